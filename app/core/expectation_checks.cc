// SPDX-License-Identifier: Apache-2.0
#include "app/core/expectation_checks.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

#include "models/predict/slice_layout.h"

namespace avocet::core {
namespace {

// Headers round voxel sizes.
constexpr double kTolerance = 1.005;
// Of neighbouring voxels, in images of whatever kind; white noise has 0 with a spread of one over
// the root of the number of voxels.
constexpr double kNoise = 0.1;
constexpr int64_t kVoxelsForNoise = 2000;

std::string Text(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.4g", value);
  return text;
}

bool Fits(const models::Interval& interval, double length) {
  return length * kTolerance >= interval.lowest && length / kTolerance <= interval.highest;
}

// Is the length along this index axis stated?
bool Known(const io::Assumptions& assumed, int axis) {
  return axis < 2 ? !assumed.in_plane_size : !assumed.slice_distance;
}

std::string LengthRefusal(const io::Volume& image, const models::SliceLayout& layout,
                          const models::Expectations& e) {
  struct Part {
    const char* along;
    const models::Interval& extent;
    const models::Interval& voxel;
  };
  const std::array<Part, 3> parts{
      {{"across its slices", e.field_of_view_mm.slices, e.voxel_mm.slices},
       {"from top to bottom of a slice", e.field_of_view_mm.rows, e.voxel_mm.rows},
       {"from left to right of a slice", e.field_of_view_mm.columns, e.voxel_mm.columns}}};
  for (int part = 0; part < 3; ++part) {
    if (!Known(image.assumed, layout.axis[part])) continue;
    const double extent = static_cast<double>(layout.size[part]) * layout.spacing[part];
    if (!Fits(parts[part].extent, extent)) {
      return "it extends " + Text(extent) + " mm " + parts[part].along +
             ", and the model was made for a field of view of " + IntervalText(parts[part].extent) +
             " mm there; give an image of that part of the body";
    }
    if (!Fits(parts[part].voxel, layout.spacing[part])) {
      return "its voxels are " + Text(layout.spacing[part]) + " mm large " + parts[part].along +
             ", and the model was made for " + IntervalText(parts[part].voxel) +
             " mm; give an image of that resolution";
    }
  }
  return "";
}

}  // namespace

std::string IntervalText(const models::Interval& interval) {
  const bool low = std::isfinite(interval.lowest), high = std::isfinite(interval.highest);
  if (low && high) return Text(interval.lowest) + " to " + Text(interval.highest);
  if (low) return "at least " + Text(interval.lowest);
  return "at most " + Text(interval.highest);
}

std::string ExpectationRefusal(const io::Volume& image, const std::vector<float>& values,
                               const ValueFacts& facts, const models::ModelCard& card,
                               const std::string& plane) {
  const models::Expectations& e = card.expects;
  const models::VolumeView view{values.data(), image.geometry.size, image.geometry.spacing,
                                image.geometry.direction};
  const models::SliceLayout layout = card.preprocessing.resample == "transunet"
                                         ? models::StoredSliceLayout(view)
                                         : models::FindSliceLayout(view, plane);
  if (std::string wrong = LengthRefusal(image, layout, e); !wrong.empty()) return wrong;
  if (const auto slices = static_cast<double>(layout.size[0]); !e.slice_count.Holds(slices)) {
    return "it has " + Text(slices) + (slices == 1 ? " slice" : " slices") +
           ", and the model was made for " + IntervalText(e.slice_count) + "; give a whole volume";
  }
  if (!(facts.percentile_0_5 >= e.values.lowest && facts.percentile_99_5 <= e.values.highest)) {
    return "99 % of its values lie within " +
           RangeText(facts.percentile_0_5, facts.percentile_99_5) +
           ", and the model was made for values of " + IntervalText(e.values) +
           "; give the image in those units";
  }
  if (image.geometry.VoxelCount() >= kVoxelsForNoise) {
    const double neighbours = AxisCorrelation(image.geometry, values, 0);
    if (neighbours < kNoise) {
      return "neighbouring voxels have nothing in common (correlation " + Text(neighbours) +
             "): it is noise, not an image";
    }
  }
  if (e.correlation.lowest > 0) {
    const bool distance = !image.assumed.in_plane_size && !image.assumed.slice_distance;
    const double mm = distance ? e.correlation.distance_mm : 0;
    const double found = AxisCorrelation(image.geometry, values, mm);
    if (found < e.correlation.lowest) {
      return "voxels " + (mm > 0 ? Text(mm) + " mm apart" : std::string("side by side")) +
             " have little in common (correlation " + Text(found) +
             ", in the model's images at least " + Text(e.correlation.lowest) +
             "): too much noise for this model, or no image at all";
    }
  }
  return "";
}

std::string ImplausibleVolume::Sentence() const {
  return label + ": " + Text(ml) + " ml is implausible, " + IntervalText(range) +
         " ml is expected" + (ml < range.lowest ? " (is all of it in the image?)" : "") +
         "; do not trust this mask";
}

std::vector<ImplausibleVolume> FindImplausible(
    const io::Volume& image, const std::vector<std::pair<std::string, double>>& volumes_ml,
    const models::ModelCard& card) {
  std::vector<ImplausibleVolume> found;
  if (image.assumed.in_plane_size || image.assumed.slice_distance) return found;
  for (const auto& [name, ml] : volumes_ml) {
    const auto label = std::find_if(card.labels.begin(), card.labels.end(),
                                    [n = name](const auto& l) { return l.name == n; });
    if (label == card.labels.end()) continue;
    const auto range = card.expects.volumes_ml.find(label->value);
    if (range == card.expects.volumes_ml.end() || range->second.Holds(ml)) continue;
    found.push_back({label->value, name, ml, range->second});
  }
  return found;
}

}  // namespace avocet::core
