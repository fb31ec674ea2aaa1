// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

// Summaries and paired comparisons of two methods on the same cases.
namespace avocet::metrics {

struct Summary {
  int64_t n = 0;
  double mean = 0;
  double std = 0;  // sample standard deviation (n - 1); NaN for n < 2
  double median = 0;
  double quartile1 = 0, quartile3 = 0;  // linear interpolation
  double minimum = 0, maximum = 0;
};
// NaN in every value when `values` is empty. The values must not hold NaN.
Summary Summarise(const std::vector<double>& values);

enum class Alternative { kTwoSided, kGreater, kLess };  // of b - a against 0
enum class ZeroRule {
  kWilcox,  // zero differences are dropped
  kPratt,   // ranked, then their ranks dropped (Pratt 1959; variance after Cureton 1967)
  kZsplit,  // ranked, their rank sum split between the signs
};
enum class WilcoxonMethod {
  kAuto,        // see below
  kExact,       // distribution without zeros and ties, as if there were none
  kAsymptotic,  // normal, variance corrected for ties
};

struct WilcoxonResult {
  double statistic = 0;  // two-sided: the smaller rank sum; one-sided: rank sum of b > a
  double p = 0;
  WilcoxonMethod method = WilcoxonMethod::kExact;  // what kAuto chose
  bool permutation =
      false;  // all 2^n signs were enumerated instead (kAuto, zeros or ties, n <= 13)
};

// Wilcoxon signed-rank test of b against a, with the conventions of scipy.stats.wilcoxon 1.17. Ties
// are equal doubles of |b - a|. kAuto: more than 50 pairs: asymptotic; else exact when there are no
// zeros and no ties; else all sign changes for up to 13 pairs; else asymptotic. `continuity` moves
// the statistic by 0.5 towards the mean (asymptotic only). NaN for no pairs. Throws OptionError
// when the lists differ in length.
WilcoxonResult WilcoxonSignedRank(const std::vector<double>& a, const std::vector<double>& b,
                                  ZeroRule zeros = ZeroRule::kWilcox,
                                  Alternative alternative = Alternative::kTwoSided,
                                  WilcoxonMethod method = WilcoxonMethod::kAuto,
                                  bool continuity = false);

struct PairedTResult {
  double t = 0;
  int64_t degrees_of_freedom = 0;
  double p_two_sided = 0, p_greater = 0, p_less = 0;
  double low = 0, high = 0;  // confidence interval of the mean difference
};
// Paired t-test of b against a (Student). NaN for fewer than two pairs.
PairedTResult PairedT(const std::vector<double>& a, const std::vector<double>& b,
                      double confidence = 0.95);

// Distribution function of Student's t and its inverse.
double StudentTCdf(double t, double degrees_of_freedom);
double StudentTQuantile(double p, double degrees_of_freedom);

struct Interval {
  double low = 0, high = 0;
};

enum class Estimator { kMean, kMedian };

// Estimates of the resamples: row r of `index` (resamples x n, row-major) names the cases drawn.
std::vector<double> ResampledEstimates(const std::vector<double>& values,
                                       const std::vector<int32_t>& index, Estimator estimator);
// Percentile interval: the (1 -+ confidence)/2 percentiles, linear interpolation.
Interval PercentileInterval(std::vector<double> estimates, double confidence = 0.95);
// Basic ("reverse percentile") interval about `estimate`: 2 estimate - percentiles, ends exchanged.
Interval BasicInterval(std::vector<double> estimates, double estimate, double confidence = 0.95);

// resamples x n case numbers drawn with replacement; the same everywhere for the same seed
// (std::mt19937_64 and rejection, no std:: distribution).
std::vector<int32_t> ResampleIndices(int64_t n, int64_t resamples, uint64_t seed);

}  // namespace avocet::metrics
