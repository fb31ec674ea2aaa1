// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "models/metrics/label_pair.h"

// Overlap and surface metrics of one class. P is the prediction, R the reference. Which of these a
// library reports under which name, and what it does with empty masks, is in protocols.h; here
// every value is its plain definition, and 0/0 is NaN.
namespace avocet::metrics {

struct ClassCounts {
  int64_t prediction = 0;     // |P|
  int64_t reference = 0;      // |R|
  int64_t true_positive = 0;  // |P and R|
  int64_t total = 0;          // voxels of the image

  int64_t FalsePositive() const { return prediction - true_positive; }
  int64_t FalseNegative() const { return reference - true_positive; }
  int64_t TrueNegative() const { return total - prediction - reference + true_positive; }
};

double Dice(const ClassCounts& c);         // 2 TP / (|P| + |R|)
double Jaccard(const ClassCounts& c);      // TP / |P or R|
double Precision(const ClassCounts& c);    // TP / |P|
double Sensitivity(const ClassCounts& c);  // TP / |R|, also called recall
double Specificity(const ClassCounts& c);  // TN / (TN + FP)
// (|P| - |R|) / |R|; infinity when only R is empty.
double RelativeVolumeDifference(const ClassCounts& c);
double VolumeMl(int64_t voxels, const Spacing3& spacing_mm);

// ITK's LabelOverlapMeasuresImageFilter with P as source and R as target. A class that is in
// neither mask is 0 in every value; a division by zero gives the largest double, as in ITK 5.4.
struct ItkOverlap {
  double dice = 0, jaccard = 0, volume_similarity = 0;
  double false_negative_error = 0;  // FN / |R|
  double false_positive_error = 0;  // FP / (FP + TN)
};
ItkOverlap ItkOverlapMeasures(const ClassCounts& c);

// Distances between the borders of P and R (face-neighbour borders, see BorderOf): for each border
// voxel the distance to the nearest border voxel of the other mask, sorted ascending. When a mask
// is empty both lists are empty; the numbers of border voxels are always right.
struct SurfaceDistances {
  std::vector<double> prediction_to_reference;
  std::vector<double> reference_to_prediction;
  int64_t prediction_border = 0;
  int64_t reference_border = 0;

  bool Defined() const { return prediction_border > 0 && reference_border > 0; }
};

// The borders of a mask pair, found once; distances with any spacing.
class BorderPair {
 public:
  BorderPair(const MaskPair& masks, int threads);
  SurfaceDistances Distances(const Spacing3& spacing, DistanceQuery& query) const;
  int64_t prediction_border() const { return static_cast<int64_t>(prediction_voxels_.size()); }
  int64_t reference_border() const { return static_cast<int64_t>(reference_voxels_.size()); }

 private:
  Size3 size_;
  int threads_;
  std::vector<uint8_t> prediction_, reference_;
  std::vector<int64_t> prediction_voxels_, reference_voxels_;
};

// `percent` in [0, 100] of an ascending list, linear between order statistics at percent/100 (n -
// 1), like numpy.percentile; NaN for an empty list.
double Percentile(const std::vector<double>& sorted, double percent);
// The same for the two lists together, without merging them.
double PooledPercentile(const std::vector<double>& a, const std::vector<double>& b, double percent);
// The same with the position computed in single precision, as torch.quantile does on float32 data:
// for long lists the position is off by up to 1e-7 n, which moves the result by parts in a million.
double PercentileSingle(const std::vector<double>& sorted, double percent);
double Mean(const std::vector<double>& values);  // NaN for an empty list

// All of the following are NaN unless d.Defined().
double HausdorffMax(const SurfaceDistances& d);                            // max of both lists
double HausdorffPooled(const SurfaceDistances& d, double percent);         // percentile of the pool
double HausdorffMaxOfDirected(const SurfaceDistances& d, double percent);  // max of two percentiles
// As MONAI has it: PercentileSingle in the place of Percentile.
double HausdorffMaxOfDirectedSingle(const SurfaceDistances& d, double percent);
double AverageDistancePooled(const SurfaceDistances& d);          // mean of the pool (ASSD)
double AverageDistanceMeanOfDirected(const SurfaceDistances& d);  // mean of the two means (MASD)
// Normalised surface dice: share of border voxels of both masks within `tolerance` of the other
// border (Nikolov et al. 2018, counted in voxels as MONAI and MetricsReloaded do).
double SurfaceDice(const SurfaceDistances& d, double tolerance);

// ITK's HausdorffDistanceImageFilter: distances from all foreground voxels of one mask to the other
// mask (0 inside it), maximum, and mean of the two directed means. NaN when a mask is empty.
struct ItkHausdorff {
  double maximum = 0;
  double average = 0;
};
ItkHausdorff ItkHausdorffDistance(const MaskPair& masks, const Spacing3& spacing,
                                  DistanceQuery& query);

}  // namespace avocet::metrics
