// SPDX-License-Identifier: Apache-2.0
#include "models/metrics/statistics.h"

#include <gtest/gtest.h>

#include "app/base/error.h"
#include "tests/models/metrics/parity_support.h"
#include "tests/support/test_support.h"

namespace avocet {
namespace {

using namespace metrics;

TEST(Statistics, Summary) {
  const Summary s = Summarise({4, 1, 3, 2});
  EXPECT_DOUBLE_EQ(s.mean, 2.5);
  EXPECT_DOUBLE_EQ(s.median, 2.5);
  EXPECT_DOUBLE_EQ(s.std, std::sqrt(5.0 / 3));
  EXPECT_DOUBLE_EQ(s.quartile1, 1.75);
  EXPECT_DOUBLE_EQ(s.quartile3, 3.25);
  EXPECT_TRUE(std::isnan(Summarise({}).mean));
  EXPECT_TRUE(std::isnan(Summarise({1}).std));
}

TEST(Statistics, StudentTKnownValues) {
  // One degree of freedom is the Cauchy distribution; quantiles from its tangent.
  EXPECT_NEAR(StudentTCdf(1, 1), 0.75, 1e-15);
  EXPECT_NEAR(StudentTQuantile(0.975, 1), std::tan(0.475 * M_PI), 1e-10);
  // Two: t = sqrt(2) (2p - 1) / sqrt(1 - (2p - 1)^2).
  EXPECT_NEAR(StudentTQuantile(0.9, 2), std::sqrt(2.0) * 0.8 / 0.6, 1e-12);
  EXPECT_NEAR(StudentTCdf(-2.5, 7) + StudentTCdf(2.5, 7), 1, 1e-15);
}

TEST(Statistics, WilcoxonByHand) {
  // Differences 1, 2, 3: only one of 8 sign patterns has rank sum 6.
  const auto r = WilcoxonSignedRank({0, 0, 0}, {1, 2, 3}, ZeroRule::kWilcox, Alternative::kGreater);
  EXPECT_DOUBLE_EQ(r.statistic, 6);
  EXPECT_DOUBLE_EQ(r.p, 0.125);
  EXPECT_FALSE(r.permutation);
  // With a tie all sign changes are enumerated: 6 of 6 again.
  const auto tied =
      WilcoxonSignedRank({0, 0, 0}, {1, 1, 3}, ZeroRule::kWilcox, Alternative::kGreater);
  EXPECT_TRUE(tied.permutation);
  EXPECT_DOUBLE_EQ(tied.p, 0.125);
  EXPECT_TRUE(std::isnan(WilcoxonSignedRank({}, {}).p));
  EXPECT_THROW(WilcoxonSignedRank({1}, {1, 2}), OptionError);
}

TEST(Statistics, ResampleIndicesAreReproducible) {
  const auto index = ResampleIndices(7, 100, 42);
  EXPECT_EQ(index, ResampleIndices(7, 100, 42));
  EXPECT_NE(index, ResampleIndices(7, 100, 43));
  for (const int32_t i : index) EXPECT_TRUE(i >= 0 && i < 7);
}

TEST(StatisticsParity, AllSets) {
  const auto folder = test::SharedData("parity/metrics/statistics");
  if (folder.empty()) GTEST_SKIP() << "no ../shared";
  const test::SafeTensors samples(folder / "samples_and_resample_indices.safetensors");
  const auto sets = test::ReadJson(folder / "expected.json").at("sets");
  EXPECT_GE(sets.size(), 5u);
  for (const auto& [id, set] : sets.items()) {
    const std::vector<double> a = samples.Get(id + ".a").As<double>();
    const std::vector<double> b = samples.Get(id + ".b").As<double>();
    const auto index = samples.Get(id + ".resample_index").As<int32_t>();
    const auto close = [&, id = id](double actual, const nlohmann::json& expected, double tolerance,
                                    const std::string& what) {
      EXPECT_NEAR(actual, test::Number(expected), tolerance) << id << " " << what;
    };
    const auto& summary = set.at("summary");
    const Summary sa = Summarise(a), sb = Summarise(b);
    close(sa.mean, summary.at("mean_a"), 1e-15, "mean a");
    close(sb.mean, summary.at("mean_b"), 1e-15, "mean b");
    close(sa.std, summary.at("std_a_ddof1"), 1e-15, "std a");
    close(sb.std, summary.at("std_b_ddof1"), 1e-15, "std b");
    close(sa.median, summary.at("median_a"), 1e-15, "median a");
    close(sb.median, summary.at("median_b"), 1e-15, "median b");
    close(sa.quartile1, summary.at("quartiles_a_linear")[0], 1e-15, "quartile a");
    close(sb.quartile3, summary.at("quartiles_b_linear")[1], 1e-15, "quartile b");

    for (const auto& [text, expected] : set.at("wilcoxon_b_against_a").items()) {
      const auto has = [&, text = text](const char* word) {
        return text.find(word) != std::string::npos;
      };
      const ZeroRule zeros = has("pratt")    ? ZeroRule::kPratt
                             : has("zsplit") ? ZeroRule::kZsplit
                                             : ZeroRule::kWilcox;
      const Alternative alternative = has("greater") ? Alternative::kGreater
                                      : has("less")  ? Alternative::kLess
                                                     : Alternative::kTwoSided;
      const WilcoxonMethod method = has("exact")        ? WilcoxonMethod::kExact
                                    : has("asymptotic") ? WilcoxonMethod::kAsymptotic
                                                        : WilcoxonMethod::kAuto;
      const auto r = WilcoxonSignedRank(a, b, zeros, alternative, method, has("continuity"));
      close(r.statistic, expected.at("statistic"), 0, text);
      close(r.p, expected.at("p"), 1e-14, text);
    }

    const auto& t = set.at("paired_t_b_against_a");
    const PairedTResult paired = PairedT(a, b);
    EXPECT_EQ(paired.degrees_of_freedom, t.at("degrees_of_freedom"));
    close(paired.t, t.at("t"), 1e-13, "t");
    close(paired.p_two_sided, t.at("p_two_sided"), 1e-13, "t p");
    close(paired.p_greater, t.at("p_greater"), 1e-13, "t p greater");
    close(paired.low, t.at("ci95_mean_difference")[0], 1e-14, "t low");
    close(paired.high, t.at("ci95_mean_difference")[1], 1e-14, "t high");

    std::vector<double> difference(a.size());
    for (size_t n = 0; n < a.size(); ++n) difference[n] = b[n] - a[n];
    const auto& boot = set.at("bootstrap_2000");
    const auto interval = [&](const Interval& actual, const char* key) {
      close(actual.low, boot.at(key)[0], 1e-15, key);
      close(actual.high, boot.at(key)[1], 1e-15, key);
    };
    const auto means = ResampledEstimates(difference, index, Estimator::kMean);
    for (int n = 0; n < 3; ++n)
      close(means[n], boot.at("first_three_resampled_mean_differences")[n], 1e-15, "first");
    interval(PercentileInterval(ResampledEstimates(a, index, Estimator::kMean)),
             "percentile_ci95_mean_a");
    interval(PercentileInterval(ResampledEstimates(b, index, Estimator::kMean)),
             "percentile_ci95_mean_b");
    interval(PercentileInterval(means), "percentile_ci95_mean_difference");
    interval(PercentileInterval(ResampledEstimates(difference, index, Estimator::kMedian)),
             "percentile_ci95_median_difference");
    interval(BasicInterval(means, Summarise(difference).mean), "basic_ci95_mean_difference");
    close(Summarise(means).std, boot.at("standard_error_mean_difference_ddof1"), 1e-15, "error");
  }
}

}  // namespace
}  // namespace avocet
