// SPDX-License-Identifier: Apache-2.0
#include "models/metrics/statistics.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>

#include "app/base/error.h"
#include "models/metrics/segmentation_metrics.h"

namespace avocet::metrics {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

double MeanOf(const std::vector<double>& values) {
  long double sum = 0;
  for (const double v : values) sum += v;
  return static_cast<double>(sum / static_cast<long double>(values.size()));
}

double StdOf(const std::vector<double>& values) {
  if (values.size() < 2) return kNan;
  long double mean = 0, sum = 0;
  for (const double v : values) mean += v;
  mean /= static_cast<long double>(values.size());
  for (const double v : values) sum += (v - mean) * (v - mean);
  return static_cast<double>(std::sqrt(sum / static_cast<long double>(values.size() - 1)));
}

std::vector<double> Differences(const std::vector<double>& a, const std::vector<double>& b) {
  if (a.size() != b.size())
    throw OptionError("a paired test needs lists of equal length, not " + std::to_string(a.size()) +
                      " and " + std::to_string(b.size()));
  std::vector<double> d(a.size());
  for (size_t n = 0; n < a.size(); ++n) d[n] = b[n] - a[n];
  return d;
}

// Average ranks (from 1) of |d|, and the tie term sum (t^3 - t) over groups of equal |d| other than
// zeros when `skip_zeros`.
struct Ranks {
  std::vector<double> rank;
  double tie_term = 0;
  bool ties = false;
};
Ranks RankAbsolute(const std::vector<double>& d, bool skip_zeros) {
  Ranks out;
  out.rank.resize(d.size());
  std::vector<size_t> order(d.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(),
            [&](size_t x, size_t y) { return std::abs(d[x]) < std::abs(d[y]); });
  for (size_t begin = 0; begin < order.size();) {
    size_t end = begin;
    while (end < order.size() && std::abs(d[order[end]]) == std::abs(d[order[begin]])) ++end;
    const double rank = (static_cast<double>(begin) + static_cast<double>(end) + 1) / 2;
    for (size_t n = begin; n < end; ++n) out.rank[order[n]] = rank;
    const double t = static_cast<double>(end - begin);
    if (end - begin > 1) out.ties = true;
    if (!(skip_zeros && d[order[begin]] == 0)) out.tie_term += t * t * t - t;
    begin = end;
  }
  return out;
}

// Upper tail of the standard normal distribution.
double NormalUpperTail(double z) { return 0.5 * std::erfc(z / std::sqrt(2.0)); }

// P(W = w) of the signed-rank sum of n untied differences, w = 0 .. n(n+1)/2.
std::vector<double> SignedRankDistribution(int64_t n) {
  std::vector<double> probability(static_cast<size_t>(n * (n + 1) / 2 + 1), 0.0);
  probability[0] = 1;
  int64_t reach = 0;
  for (int64_t rank = 1; rank <= n; ++rank) {
    reach += rank;
    for (int64_t w = reach; w >= 0; --w) {
      const double without = probability[w];
      const double with = w >= rank ? probability[w - rank] : 0;
      probability[w] = (without + with) / 2;
    }
  }
  return probability;
}

double ExactP(double rank_plus, int64_t n, Alternative alternative) {
  const std::vector<double> pmf = SignedRankDistribution(n);
  const auto lower = [&](double w) {  // P(W <= w)
    long double sum = 0;
    for (int64_t x = 0; x <= static_cast<int64_t>(w) && x < static_cast<int64_t>(pmf.size()); ++x)
      sum += pmf[x];
    return std::min(1.0, static_cast<double>(sum));
  };
  // The distribution is symmetric: P(W >= w) = P(W <= max - w). A half rank sum is rounded away
  // from significance, up for the lower tail and down for the upper.
  const double maximum = static_cast<double>(pmf.size() - 1);
  const double less = lower(std::ceil(rank_plus));
  const double greater = lower(maximum - std::floor(rank_plus));
  if (alternative == Alternative::kLess) return less;
  if (alternative == Alternative::kGreater) return greater;
  return std::min(1.0, 2 * std::min(less, greater));
}

// All 2^n sign changes of the differences; n <= 13.
double PermutationP(const std::vector<double>& d, const std::vector<double>& rank, ZeroRule zeros,
                    Alternative alternative) {
  double zero_half = 0;
  std::vector<double> moving;
  double observed = 0;
  for (size_t n = 0; n < d.size(); ++n) {
    if (d[n] == 0) {
      if (zeros == ZeroRule::kZsplit) zero_half += rank[n] / 2;
      continue;
    }
    moving.push_back(rank[n]);
    if (d[n] > 0) observed += rank[n];
  }
  observed += zero_half;
  const uint32_t count = uint32_t{1} << moving.size();
  int64_t below = 0, above = 0;  // ranks are multiples of 1/4, so comparisons are exact
  for (uint32_t signs = 0; signs < count; ++signs) {
    double sum = zero_half;
    for (size_t n = 0; n < moving.size(); ++n)
      if (signs >> n & 1) sum += moving[n];
    below += sum <= observed;
    above += sum >= observed;
  }
  const double less = static_cast<double>(below) / count;
  const double greater = static_cast<double>(above) / count;
  if (alternative == Alternative::kLess) return less;
  if (alternative == Alternative::kGreater) return greater;
  return std::min(1.0, 2 * std::min(less, greater));
}

// Continued fraction of the incomplete beta function (modified Lentz), DLMF 8.17.22.
double BetaFraction(double a, double b, double x) {
  constexpr double kTiny = 1e-300;
  double c = 1, d = 1 - (a + b) * x / (a + 1);
  if (std::abs(d) < kTiny) d = kTiny;
  d = 1 / d;
  double f = d;
  for (int m = 1; m < 10000; ++m) {
    const double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
    const double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
    double change = 1;
    for (const double term : {even, odd}) {
      d = 1 + term * d;
      if (std::abs(d) < kTiny) d = kTiny;
      c = 1 + term / c;
      if (std::abs(c) < kTiny) c = kTiny;
      d = 1 / d;
      change = c * d;
      f *= change;
    }
    if (std::abs(change - 1) < 1e-16) break;
  }
  return f;
}

double RegularisedBeta(double a, double b, double x) {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  const double front = std::exp(std::lgamma(a + b) - std::lgamma(a) - std::lgamma(b) +
                                a * std::log(x) + b * std::log1p(-x));
  if (x < (a + 1) / (a + b + 2)) return front * BetaFraction(a, b, x) / a;
  return 1 - front * BetaFraction(b, a, 1 - x) / b;
}

// P(T > t).
double StudentTUpperTail(double t, double df) {
  const double tail = 0.5 * RegularisedBeta(df / 2, 0.5, df / (df + t * t));
  return t >= 0 ? tail : 1 - tail;
}

}  // namespace

Summary Summarise(const std::vector<double>& values) {
  Summary s;
  s.n = static_cast<int64_t>(values.size());
  std::vector<double> sorted = values;
  std::sort(sorted.begin(), sorted.end());
  s.mean = values.empty() ? kNan : MeanOf(values);
  s.std = StdOf(values);
  s.median = Percentile(sorted, 50);
  s.quartile1 = Percentile(sorted, 25);
  s.quartile3 = Percentile(sorted, 75);
  s.minimum = values.empty() ? kNan : sorted.front();
  s.maximum = values.empty() ? kNan : sorted.back();
  return s;
}

WilcoxonResult WilcoxonSignedRank(const std::vector<double>& a, const std::vector<double>& b,
                                  ZeroRule zeros, Alternative alternative, WilcoxonMethod method,
                                  bool continuity) {
  const std::vector<double> all = Differences(a, b);
  WilcoxonResult result;
  if (all.empty()) {
    result.statistic = result.p = kNan;
    return result;
  }
  std::vector<double> d;
  int64_t zero_count = 0;
  for (const double v : all) {
    zero_count += v == 0;
    if (v != 0 || zeros != ZeroRule::kWilcox) d.push_back(v);
  }
  const Ranks ranks = RankAbsolute(d, zeros == ZeroRule::kPratt);
  double plus = 0, minus = 0, zero_sum = 0;
  for (size_t n = 0; n < d.size(); ++n)
    (d[n] > 0 ? plus : d[n] < 0 ? minus : zero_sum) += ranks.rank[n];
  if (zeros == ZeroRule::kZsplit) {
    plus += zero_sum / 2;
    minus += zero_sum / 2;
  }
  result.statistic = alternative == Alternative::kTwoSided ? std::min(plus, minus) : plus;

  if (method == WilcoxonMethod::kAuto) {
    const bool plain = zero_count == 0 && !ranks.ties;
    if (plain && all.size() <= 50) {
      method = WilcoxonMethod::kExact;
    } else if (!plain && all.size() <= 13) {
      result.permutation = true;
      result.method = WilcoxonMethod::kExact;
      result.p = PermutationP(d, ranks.rank, zeros, alternative);
      return result;
    } else {
      method = WilcoxonMethod::kAsymptotic;
    }
  }
  result.method = method;
  const double n = static_cast<double>(d.size());
  if (method == WilcoxonMethod::kExact) {
    result.p = ExactP(plus, static_cast<int64_t>(d.size()), alternative);
    return result;
  }
  double mean = n * (n + 1) / 4;
  double variance = n * (n + 1) * (2 * n + 1);
  if (zeros == ZeroRule::kPratt) {
    const double z = static_cast<double>(zero_count);
    mean -= z * (z + 1) / 4;
    variance -= z * (z + 1) * (2 * z + 1);
  }
  const double error = std::sqrt((variance - ranks.tie_term / 2) / 24);
  double z = (plus - mean) / error;
  if (continuity) {
    const double sign = alternative == Alternative::kGreater ? 1
                        : alternative == Alternative::kLess  ? -1
                        : z > 0                              ? 1
                        : z < 0                              ? -1
                                                             : 0;
    z -= sign * 0.5 / error;
  }
  if (alternative == Alternative::kGreater) {
    result.p = NormalUpperTail(z);
  } else if (alternative == Alternative::kLess) {
    result.p = NormalUpperTail(-z);
  } else {
    result.p = std::min(1.0, 2 * NormalUpperTail(std::abs(z)));
    if (std::isnan(z)) result.p = kNan;
  }
  return result;
}

double StudentTCdf(double t, double df) { return StudentTUpperTail(-t, df); }

double StudentTQuantile(double p, double df) {
  if (!(p > 0 && p < 1)) return p == 0.5 ? 0 : kNan;
  if (p < 0.5) return -StudentTQuantile(1 - p, df);
  const double tail = 1 - p;
  double low = 0, high = 1;
  while (StudentTUpperTail(high, df) > tail) high *= 2;
  for (int step = 0; step < 200 && high - low > 0; ++step) {
    const double middle = low + (high - low) / 2;
    if (middle == low || middle == high) break;
    (StudentTUpperTail(middle, df) > tail ? low : high) = middle;
  }
  return low + (high - low) / 2;
}

PairedTResult PairedT(const std::vector<double>& a, const std::vector<double>& b,
                      double confidence) {
  const std::vector<double> d = Differences(a, b);
  PairedTResult r;
  r.degrees_of_freedom = static_cast<int64_t>(d.size()) - 1;
  if (d.size() < 2) {
    r.t = r.p_two_sided = r.p_greater = r.p_less = r.low = r.high = kNan;
    return r;
  }
  const double mean = MeanOf(d);
  const double error = StdOf(d) / std::sqrt(static_cast<double>(d.size()));
  const double df = static_cast<double>(r.degrees_of_freedom);
  r.t = mean / error;
  r.p_greater = StudentTUpperTail(r.t, df);
  r.p_less = StudentTUpperTail(-r.t, df);
  r.p_two_sided = 2 * StudentTUpperTail(std::abs(r.t), df);
  const double reach = StudentTQuantile(0.5 + confidence / 2, df) * error;
  r.low = mean - reach;
  r.high = mean + reach;
  return r;
}

std::vector<double> ResampledEstimates(const std::vector<double>& values,
                                       const std::vector<int32_t>& index, Estimator estimator) {
  const size_t n = values.size();
  if (n == 0 || index.size() % n != 0)
    throw OptionError("bootstrap indices must come in rows of as many entries as there are cases");
  std::vector<double> out(index.size() / n), sample(n);
  for (size_t r = 0; r < out.size(); ++r) {
    for (size_t c = 0; c < n; ++c) sample[c] = values.at(static_cast<size_t>(index[r * n + c]));
    if (estimator == Estimator::kMean) {
      out[r] = MeanOf(sample);
    } else {
      std::sort(sample.begin(), sample.end());
      out[r] = n % 2 ? sample[n / 2] : (sample[n / 2 - 1] + sample[n / 2]) / 2;
    }
  }
  return out;
}

Interval PercentileInterval(std::vector<double> estimates, double confidence) {
  std::sort(estimates.begin(), estimates.end());
  const double tail = (100 - 100 * confidence) / 2;
  return {Percentile(estimates, tail), Percentile(estimates, 100 - tail)};
}

Interval BasicInterval(std::vector<double> estimates, double estimate, double confidence) {
  const Interval p = PercentileInterval(std::move(estimates), confidence);
  return {2 * estimate - p.high, 2 * estimate - p.low};
}

std::vector<int32_t> ResampleIndices(int64_t n, int64_t resamples, uint64_t seed) {
  std::mt19937_64 random(seed);
  const uint64_t bound = static_cast<uint64_t>(n);
  const uint64_t limit = bound == 0 ? 0 : UINT64_MAX - UINT64_MAX % bound;
  std::vector<int32_t> index(static_cast<size_t>(n * resamples));
  for (int32_t& i : index) {
    uint64_t draw = random();
    while (draw >= limit) draw = random();
    i = static_cast<int32_t>(draw % bound);
  }
  return index;
}

}  // namespace avocet::metrics
