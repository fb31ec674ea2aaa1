// SPDX-License-Identifier: Apache-2.0
#include "app/core/value_facts.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <limits>

namespace avocet::core {
namespace {

constexpr int64_t kSample = 500000;
constexpr int64_t kPairs = 1000000;
// Padding: at least this share of the voxels, and this far below the next value.
constexpr double kPaddingShare = 0.001;
constexpr double kPaddingGap = 200;

double PercentileOf(const std::vector<float>& sorted, double percent) {
  if (sorted.empty()) return 0;
  const double position = percent / 100 * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<size_t>(position);
  const double low = sorted[below];
  if (below + 1 >= sorted.size()) return low;
  return low + (position - static_cast<double>(below)) * (sorted[below + 1] - low);
}

}  // namespace

ValueFacts MeasureValues(const std::vector<float>& values) {
  ValueFacts facts;
  float lowest = std::numeric_limits<float>::infinity(), highest = -lowest;
  for (const float v : values) {
    if (!std::isfinite(v)) {
      ++facts.not_finite;
      continue;
    }
    lowest = std::min(lowest, v);
    highest = std::max(highest, v);
    facts.whole_numbers = facts.whole_numbers && v == std::floor(v);
  }
  if (!(highest >= lowest)) return facts;
  facts.lowest = lowest;
  facts.highest = highest;
  const auto count = static_cast<int64_t>(values.size());
  // Coprime to powers of two and to most row lengths, so that the sample visits every column.
  int64_t step = std::max<int64_t>(1, count / kSample);
  if (step > 1) step |= 1;
  std::vector<float>& sample = facts.sample;
  sample.reserve(static_cast<size_t>(count / step + 1));
  for (int64_t x = 0; x < count; x += step) {
    if (std::isfinite(values[x])) sample.push_back(values[x]);
  }
  for (const float v : values) {
    facts.at_lowest += v == lowest;
    facts.at_highest += v == highest;
  }
  std::sort(sample.begin(), sample.end());
  const auto next = std::upper_bound(sample.begin(), sample.end(), lowest);
  const auto same = static_cast<double>(next - sample.begin());
  if (next != sample.end() && same >= kPaddingShare * static_cast<double>(sample.size()) &&
      *next - lowest > kPaddingGap && lowest < 0) {
    facts.padded = true;
    facts.padding = lowest;
    facts.padded_share = same / static_cast<double>(sample.size());
    sample.erase(sample.begin(), next);
  }
  facts.percentile_0_5 = PercentileOf(sample, 0.5);
  facts.percentile_1 = PercentileOf(sample, 1);
  facts.median = PercentileOf(sample, 50);
  facts.percentile_99_5 = PercentileOf(sample, 99.5);
  return facts;
}

double ValueFacts::ShareBelow(double bound) const {
  if (sample.empty()) return 0;
  const auto end = std::lower_bound(sample.begin(), sample.end(), static_cast<float>(bound));
  return static_cast<double>(end - sample.begin()) / static_cast<double>(sample.size());
}

double ValueFacts::ShareAbove(double bound) const {
  if (sample.empty()) return 0;
  const auto begin = std::upper_bound(sample.begin(), sample.end(), static_cast<float>(bound));
  return static_cast<double>(sample.end() - begin) / static_cast<double>(sample.size());
}

double ValueFacts::Percentile(double percent) const { return PercentileOf(sample, percent); }

double AxisCorrelation(const io::Geometry& geometry, const std::vector<float>& values,
                       double distance_mm) {
  const auto& size = geometry.size;
  const std::array<int64_t, 3> stride{1, size[0], size[0] * size[1]};
  double best = std::numeric_limits<double>::quiet_NaN();
  for (int axis = 0; axis < 3; ++axis) {
    const int64_t lag = std::max<int64_t>(1, std::llround(distance_mm / geometry.spacing[axis]));
    if (2 * lag >= size[axis]) continue;
    const auto count = static_cast<int64_t>(values.size());
    int64_t step = std::max<int64_t>(1, count / kPairs);
    if (step > 1) step |= 1;
    int64_t n = 0;
    double a_sum = 0, b_sum = 0, a_squares = 0, b_squares = 0, products = 0;
    for (int64_t x = 0; x < count; x += step) {
      if (x / stride[axis] % size[axis] + lag >= size[axis]) continue;
      const double a = values[x], b = values[x + lag * stride[axis]];
      if (!std::isfinite(a) || !std::isfinite(b)) continue;
      ++n;
      a_sum += a;
      b_sum += b;
      a_squares += a * a;
      b_squares += b * b;
      products += a * b;
    }
    if (n < 2) continue;
    const auto m = static_cast<double>(n);
    const double spread = (a_squares - a_sum * a_sum / m) * (b_squares - b_sum * b_sum / m);
    if (!(spread > 0)) continue;
    const double r = (products - a_sum * b_sum / m) / std::sqrt(spread);
    if (!(r <= best)) best = r;
  }
  return best;
}

std::string RangeText(double lowest, double highest) {
  char text[64];
  std::snprintf(text, sizeof text, "%.4g to %.4g", lowest, highest);
  return text;
}

}  // namespace avocet::core
