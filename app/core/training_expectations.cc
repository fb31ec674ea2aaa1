// SPDX-License-Identifier: Apache-2.0
#include "app/core/training_expectations.h"

#include <algorithm>
#include <cmath>

#include "app/base/error.h"
#include "app/core/intensity_fit.h"
#include "app/core/value_facts.h"
#include "models/predict/slice_layout.h"

namespace avocet::core {
namespace {

// Three significant digits: people read the card.
double Rounded(double value) {
  if (value == 0 || !std::isfinite(value)) return value;
  const double unit = std::pow(10, std::floor(std::log10(std::abs(value))) - 2);
  return std::round(value / unit) * unit;
}

}  // namespace

void TrainingExpectations::Extreme::Add(double value) {
  if (!std::isfinite(value)) return;
  lowest = any ? std::min(lowest, value) : value;
  highest = any ? std::max(highest, value) : value;
  any = true;
}

models::Interval TrainingExpectations::Extreme::Widened(double down, double up) const {
  if (!any) return {};
  return {Rounded(lowest * down), Rounded(highest * up)};
}

bool TrainingExpectations::CheckRule(const io::Volume& image, const std::vector<float>& values,
                                     const std::string& name, Progress& progress) const {
  const IntensityFit fit = FitIntensity(image, MeasureValues(values), card_);
  if (!fit.refusal.empty()) {
    throw OptionError("'" + name + "' does not fit the intensity rule: " + fit.refusal +
                      ", or choose another rule");
  }
  if (!fit.note.empty()) progress.Warn("'" + name + "': " + fit.note);
  return fit.as_stored;
}

void TrainingExpectations::Add(const io::Volume& image, const std::vector<float>& values,
                               const std::vector<int64_t>& voxels) {
  const io::Geometry& g = image.geometry;
  const models::VolumeView view{values.data(), g.size, g.spacing, g.direction};
  const models::SliceLayout layout = card_.preprocessing.resample == "transunet"
                                         ? models::StoredSliceLayout(view)
                                         : models::FindSliceLayout(view, card_.plane);
  for (int part = 0; part < 3; ++part) {
    const bool stated =
        layout.axis[part] < 2 ? !image.assumed.in_plane_size : !image.assumed.slice_distance;
    if (!stated) continue;
    extent_[part].Add(static_cast<double>(layout.size[part]) * layout.spacing[part]);
    voxel_[part].Add(layout.spacing[part]);
  }
  const ValueFacts facts = MeasureValues(values);
  values_low_.Add(facts.percentile_0_5);
  values_high_.Add(facts.percentile_99_5);
  correlation_.Add(AxisCorrelation(g, values, 0));
  if (image.assumed.in_plane_size || image.assumed.slice_distance) return;
  const double ml = g.spacing[0] * g.spacing[1] * g.spacing[2] / 1000;
  volume_ml_.resize(std::max(volume_ml_.size(), voxels.size()));
  for (size_t c = 1; c < voxels.size(); ++c) {
    volume_ml_[c].Add(static_cast<double>(voxels[c]) * ml);
  }
}

models::Expectations TrainingExpectations::Result() const {
  models::Expectations e;
  e.field_of_view_mm.slices.highest = extent_[0].Widened(1, 2).highest;
  e.field_of_view_mm.rows = extent_[1].Widened(0.7, 1.4);
  e.field_of_view_mm.columns = extent_[2].Widened(0.7, 1.4);
  e.voxel_mm.slices = voxel_[0].Widened(0.5, 2);
  e.voxel_mm.rows = voxel_[1].Widened(0.5, 2);
  e.voxel_mm.columns = voxel_[2].Widened(0.5, 2);
  if (card_.preprocessing.intensity == "none" && values_low_.any) {
    const double margin = 0.25 * (values_high_.highest - values_low_.lowest);
    e.values = {Rounded(values_low_.lowest - margin), Rounded(values_high_.highest + margin)};
  }
  if (correlation_.any && correlation_.lowest > 0) {
    e.correlation.lowest = Rounded(0.5 * correlation_.lowest);
  }
  for (size_t c = 1; c < volume_ml_.size() && c < card_.labels.size(); ++c) {
    const models::Interval range = volume_ml_[c].Widened(0.5, 2);
    if (range.Stated()) e.volumes_ml[card_.labels[c].value] = range;
  }
  return e;
}

}  // namespace avocet::core
