// SPDX-License-Identifier: Apache-2.0
#include "app/gui/label_comparison.h"

#include <algorithm>
#include <vector>

#include "app/core/evaluate.h"

namespace avocet::gui {

std::unique_ptr<LabelLayer> ErrorMap(const LabelLayer& prediction, const LabelLayer& reference,
                                     int label) {
  core::RequireSameGrid(prediction.geometry(), reference.geometry(), 0.01, prediction.name,
                        reference.name);
  auto map = std::make_unique<LabelLayer>();
  map->name = "Errors";
  map->header = reference.header;
  map->opacity = 0.6;
  map->comparison = true;
  const auto& p = *prediction.labels;
  const auto& r = *reference.labels;
  map->labels = std::make_shared<std::vector<uint16_t>>(p.size());
  auto& out = *map->labels;
  for (size_t i = 0; i < p.size(); ++i) {
    const bool in_p = label == 0 ? p[i] != 0 : p[i] == label;
    const bool in_r = label == 0 ? r[i] != 0 : r[i] == label;
    const bool same = label != 0 || p[i] == r[i];
    out[i] = in_p ? (in_r && same ? kTruePositive : kFalsePositive)
                  : (in_r ? kFalseNegative : uint16_t{0});
  }
  // In 3D agreement is glass, so that the errors in it are seen.
  // Blue for agreement, orange and pink for errors: told apart in any kind of colour blindness.
  map->table[kTruePositive] = {"Agreement (TP)", {86, 160, 211}, true, 0.25, 0, 0};
  map->table[kFalsePositive] = {"Too much (FP)", {240, 150, 30}, true, 1, 0, 0};
  map->table[kFalseNegative] = {"Missed (FN)", {220, 50, 130}, true, 1, 0, 0};
  CountLabels(out, map->VoxelMl(), map->table);
  return map;
}

bool WorstSlice(const LabelLayer& map, const SlicePlane& plane, Vec3& x_in_lps, uint16_t value) {
  const auto& size = map.geometry().size;
  const int axis = plane.axis;
  struct Sum {
    int64_t count = 0;
    std::array<double, 3> index{};
  };
  std::vector<Sum> sums(size[axis]);
  size_t next = 0;
  for (int64_t k = 0; k < size[2]; ++k) {
    for (int64_t j = 0; j < size[1]; ++j) {
      for (int64_t i = 0; i < size[0]; ++i) {
        const uint16_t label = (*map.labels)[next++];
        if (value == 0 ? label != kFalsePositive && label != kFalseNegative : label != value) {
          continue;
        }
        const int64_t at[3] = {i, j, k};
        Sum& sum = sums[at[axis]];
        ++sum.count;
        for (int a = 0; a < 3; ++a) sum.index[a] += static_cast<double>(at[a]);
      }
    }
  }
  const auto worst = std::max_element(sums.begin(), sums.end(),
                                      [](const Sum& a, const Sum& b) { return a.count < b.count; });
  if (worst == sums.end() || worst->count == 0) return false;
  std::array<double, 3> index = worst->index;
  for (double& a : index) a = std::round(a / static_cast<double>(worst->count));
  x_in_lps = map.geometry().PhysicalFromIndex(index);
  return true;
}

}  // namespace avocet::gui
