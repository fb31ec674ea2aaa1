// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "io/volume.h"

namespace avocet::core {

// What the values of an image tell of the units they are in. Percentiles and shares are those of an
// even sample of at most some 500,000 voxels.
struct ValueFacts {
  int64_t not_finite = 0;
  double lowest = 0, highest = 0;  // of all finite values; both 0 when there are none
  bool whole_numbers = true;       // all finite values

  // Fills what lies outside of the scanner's circle or of a rotated grid: the lowest value, when
  // many voxels have exactly it and the next one is far above. The figures below leave it out.
  bool padded = false;
  double padding = 0;
  double padded_share = 0;  // of all voxels

  double percentile_0_5 = 0, percentile_1 = 0, median = 0, percentile_99_5 = 0;
  std::vector<float> sample;  // sorted, without padding

  int64_t at_lowest = 0, at_highest = 0;  // voxels that have exactly that value

  // Of the sample: the share of values below (above) a bound.
  double ShareBelow(double bound) const;
  double ShareAbove(double bound) const;
  double Percentile(double percent) const;
};
ValueFacts MeasureValues(const std::vector<float>& values);

// The largest of the three axes' Pearson correlations between voxels `distance_mm` apart (0, or
// less than a voxel: neighbours); NaN where no axis is long enough or the image is constant.
double AxisCorrelation(const io::Geometry& geometry, const std::vector<float>& values,
                       double distance_mm);

// Values as a text: "-1024 to 3071", "0.02 to 1.13".
std::string RangeText(double lowest, double highest);

}  // namespace avocet::core
