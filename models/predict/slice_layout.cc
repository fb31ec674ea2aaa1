// SPDX-License-Identifier: Apache-2.0
#include "models/predict/slice_layout.h"

#include <algorithm>
#include <cmath>

#include "app/base/error.h"

namespace avocet::models {
namespace {

// An LPS axis (0 = left, 1 = posterior, 2 = superior) and the sense in which it is wanted.
struct Wanted {
  int lps_axis;
  int sign;
};

std::array<Wanted, 3> WantedAxes(const std::string& plane) {
  if (plane == "axial") return {{{2, +1}, {1, +1}, {0, +1}}};
  if (plane == "coronal") return {{{1, +1}, {2, -1}, {0, +1}}};
  if (plane == "sagittal") return {{{0, +1}, {2, -1}, {1, +1}}};
  throw ModelError("the model's plane is '" + plane + "'; it must be axial, coronal or sagittal");
}

// For each LPS axis the index axis that stands for it.
std::array<int, 3> IndexAxisOfLps(const std::array<double, 9>& direction) {
  std::array<int, 3> order{0, 1, 2};
  std::array<int, 3> best = order;
  double best_sum = -1;
  do {
    double sum = 0;
    for (int lps = 0; lps < 3; ++lps) sum += std::abs(direction[3 * lps + order[lps]]);
    if (sum > best_sum + 1e-9) {
      best_sum = sum;
      best = order;
    }
  } while (std::next_permutation(order.begin(), order.end()));
  return best;
}

}  // namespace

SliceLayout FindSliceLayout(const VolumeView& volume, const std::string& plane) {
  const auto wanted = WantedAxes(plane);
  const auto index_axis = IndexAxisOfLps(volume.direction);
  SliceLayout layout;
  for (int part = 0; part < 3; ++part) {
    const int axis = index_axis[wanted[part].lps_axis];
    layout.axis[part] = axis;
    layout.reversed[part] =
        volume.direction[3 * wanted[part].lps_axis + axis] * wanted[part].sign < 0;
    layout.size[part] = volume.size[axis];
    layout.spacing[part] = volume.spacing[axis];
  }
  return layout;
}

std::string ChoosePlane(const VolumeView& volume, const std::string& otherwise) {
  for (const char* plane : {"axial", "coronal", "sagittal"}) {
    const SliceLayout layout = FindSliceLayout(volume, plane);
    if (layout.size[0] == 1 && layout.size[1] > 1 && layout.size[2] > 1) return plane;
  }
  for (const char* plane : {"axial", "coronal", "sagittal"}) {
    const SliceLayout layout = FindSliceLayout(volume, plane);
    if (layout.spacing[0] > 1.1 * std::max(layout.spacing[1], layout.spacing[2])) return plane;
  }
  return otherwise;
}

SliceLayout StoredSliceLayout(const VolumeView& volume) {
  SliceLayout layout;
  for (int part = 0; part < 3; ++part) {
    layout.size[part] = volume.size[layout.axis[part]];
    layout.spacing[part] = volume.spacing[layout.axis[part]];
  }
  return layout;
}

}  // namespace avocet::models
