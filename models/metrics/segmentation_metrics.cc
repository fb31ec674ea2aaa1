// SPDX-License-Identifier: Apache-2.0
#include "models/metrics/segmentation_metrics.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "models/metrics/parallel.h"

namespace avocet::metrics {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

double Ratio(int64_t numerator, int64_t denominator) {
  if (denominator == 0 && numerator == 0) return kNan;
  return static_cast<double>(numerator) / static_cast<double>(denominator);
}

// Ascending. About half of the distances of a good prediction are exactly 0, so those are moved to
// the front first and only the rest is sorted.
void SortDistances(std::vector<double>& distances) {
  const auto middle =
      std::partition(distances.begin(), distances.end(), [](double d) { return d == 0; });
  std::sort(middle, distances.end());
}

double Lerp(double a, double b, double t) {
  // Two forms, as NumPy has: each is exact at its own end.
  return t < 0.5 ? a + (b - a) * t : b - (b - a) * (1 - t);
}

double Sum(const std::vector<double>& values) {
  // Neumaier's compensated sum: the order of the list does not matter.
  double sum = 0, lost = 0;
  for (const double v : values) {
    const double next = sum + v;
    lost += std::abs(sum) >= std::abs(v) ? (sum - next) + v : (v - next) + sum;
    sum = next;
  }
  return std::isfinite(sum) ? sum + lost : sum;
}

// The n-th smallest (from 0) of two ascending lists together.
double NthOfTwo(const std::vector<double>& a, const std::vector<double>& b, size_t n) {
  // Find how many of the n smallest come from a.
  size_t low = n > b.size() ? n - b.size() : 0;
  size_t high = std::min(n, a.size());
  while (low < high) {
    const size_t i = (low + high) / 2;  // from a
    const size_t j = n - i;             // from b
    if (j > 0 && i < a.size() && b[j - 1] > a[i]) {
      low = i + 1;
    } else {
      high = i;
    }
  }
  const size_t i = low, j = n - low;
  if (i == a.size()) return b[j];
  if (j == b.size()) return a[i];
  return std::min(a[i], b[j]);
}

template <typename At>
double PercentileOf(size_t count, double percent, const At& at) {
  if (count == 0) return kNan;
  const double position = percent / 100.0 * static_cast<double>(count - 1);
  const double floor = std::floor(position);
  const size_t below = std::min(static_cast<size_t>(floor), count - 1);
  const size_t above = std::min(below + 1, count - 1);
  return Lerp(at(below), at(above), position - floor);
}

}  // namespace

double Dice(const ClassCounts& c) { return Ratio(2 * c.true_positive, c.prediction + c.reference); }
double Jaccard(const ClassCounts& c) {
  return Ratio(c.true_positive, c.prediction + c.reference - c.true_positive);
}
double Precision(const ClassCounts& c) { return Ratio(c.true_positive, c.prediction); }
double Sensitivity(const ClassCounts& c) { return Ratio(c.true_positive, c.reference); }
double Specificity(const ClassCounts& c) {
  return Ratio(c.TrueNegative(), c.TrueNegative() + c.FalsePositive());
}
double RelativeVolumeDifference(const ClassCounts& c) {
  return Ratio(c.prediction - c.reference, c.reference);
}
double VolumeMl(int64_t voxels, const Spacing3& spacing_mm) {
  return static_cast<double>(voxels) * (spacing_mm[0] * spacing_mm[1] * spacing_mm[2]) / 1000.0;
}

ItkOverlap ItkOverlapMeasures(const ClassCounts& c) {
  ItkOverlap out;
  if (c.prediction == 0 && c.reference == 0) return out;
  constexpr double kMax = std::numeric_limits<double>::max();
  out.jaccard = Jaccard(c);
  out.dice = 2 * out.jaccard / (1 + out.jaccard);
  out.volume_similarity = 2.0 * static_cast<double>(c.prediction - c.reference) /
                          static_cast<double>(c.prediction + c.reference);
  out.false_negative_error = c.reference == 0 ? kMax : Ratio(c.FalseNegative(), c.reference);
  const int64_t negatives = c.FalsePositive() + c.TrueNegative();
  out.false_positive_error =
      c.prediction == 0 || negatives == 0 ? kMax : Ratio(c.FalsePositive(), negatives);
  return out;
}

BorderPair::BorderPair(const MaskPair& masks, int threads)
    : size_(masks.size),
      threads_(ResolveThreads(threads)),
      prediction_(BorderOf(masks.prediction, masks.size, masks.dims, threads_)),
      reference_(BorderOf(masks.reference, masks.size, masks.dims, threads_)) {
  ParallelFor(2, threads_, [&](int64_t side) {
    (side == 0 ? prediction_voxels_ : reference_voxels_) =
        IndicesOf(side == 0 ? prediction_ : reference_);
  });
}

SurfaceDistances BorderPair::Distances(const Spacing3& spacing, DistanceQuery& query) const {
  SurfaceDistances out;
  out.prediction_border = prediction_border();
  out.reference_border = reference_border();
  if (!out.Defined()) return out;
  query.Build(reference_.data(), size_, spacing);
  out.prediction_to_reference = query.DistancesAt(prediction_voxels_);
  query.Build(prediction_.data(), size_, spacing);
  out.reference_to_prediction = query.DistancesAt(reference_voxels_);
  ParallelFor(2, threads_, [&](int64_t side) {
    SortDistances(side == 0 ? out.prediction_to_reference : out.reference_to_prediction);
  });
  return out;
}

double Percentile(const std::vector<double>& sorted, double percent) {
  return PercentileOf(sorted.size(), percent, [&](size_t n) { return sorted[n]; });
}

double PercentileSingle(const std::vector<double>& sorted, double percent) {
  if (sorted.empty()) return kNan;
  const float position =
      static_cast<float>(percent / 100.0) * static_cast<float>(sorted.size() - 1);
  const float floor = std::floor(position);
  const size_t below = std::min(static_cast<size_t>(floor), sorted.size() - 1);
  const size_t above = std::min(below + 1, sorted.size() - 1);
  return Lerp(sorted[below], sorted[above], static_cast<double>(position - floor));
}

double PooledPercentile(const std::vector<double>& a, const std::vector<double>& b,
                        double percent) {
  return PercentileOf(a.size() + b.size(), percent, [&](size_t n) { return NthOfTwo(a, b, n); });
}

double Mean(const std::vector<double>& values) {
  if (values.empty()) return kNan;
  return Sum(values) / static_cast<double>(values.size());
}

double HausdorffMax(const SurfaceDistances& d) {
  if (!d.Defined()) return kNan;
  return std::max(d.prediction_to_reference.back(), d.reference_to_prediction.back());
}

double HausdorffPooled(const SurfaceDistances& d, double percent) {
  if (!d.Defined()) return kNan;
  return PooledPercentile(d.prediction_to_reference, d.reference_to_prediction, percent);
}

double HausdorffMaxOfDirected(const SurfaceDistances& d, double percent) {
  if (!d.Defined()) return kNan;
  return std::max(Percentile(d.prediction_to_reference, percent),
                  Percentile(d.reference_to_prediction, percent));
}

double HausdorffMaxOfDirectedSingle(const SurfaceDistances& d, double percent) {
  if (!d.Defined()) return kNan;
  return std::max(PercentileSingle(d.prediction_to_reference, percent),
                  PercentileSingle(d.reference_to_prediction, percent));
}

double AverageDistancePooled(const SurfaceDistances& d) {
  if (!d.Defined()) return kNan;
  return (Sum(d.prediction_to_reference) + Sum(d.reference_to_prediction)) /
         static_cast<double>(d.prediction_border + d.reference_border);
}

double AverageDistanceMeanOfDirected(const SurfaceDistances& d) {
  if (!d.Defined()) return kNan;
  return (Mean(d.prediction_to_reference) + Mean(d.reference_to_prediction)) / 2;
}

double SurfaceDice(const SurfaceDistances& d, double tolerance) {
  if (!d.Defined()) return kNan;
  const auto within = [&](const std::vector<double>& sorted) {
    return std::upper_bound(sorted.begin(), sorted.end(), tolerance) - sorted.begin();
  };
  return Ratio(within(d.prediction_to_reference) + within(d.reference_to_prediction),
               d.prediction_border + d.reference_border);
}

ItkHausdorff ItkHausdorffDistance(const MaskPair& masks, const Spacing3& spacing,
                                  DistanceQuery& query) {
  const std::vector<int64_t> prediction = IndicesOf(masks.prediction);
  const std::vector<int64_t> reference = IndicesOf(masks.reference);
  if (prediction.empty() || reference.empty()) return {kNan, kNan};
  query.Build(masks.reference.data(), masks.size, spacing);
  const std::vector<double> forward = query.DistancesAt(prediction);
  query.Build(masks.prediction.data(), masks.size, spacing);
  const std::vector<double> backward = query.DistancesAt(reference);
  return {std::max(*std::max_element(forward.begin(), forward.end()),
                   *std::max_element(backward.begin(), backward.end())),
          (Mean(forward) + Mean(backward)) / 2};
}

}  // namespace avocet::metrics
