// SPDX-License-Identifier: Apache-2.0
// The small masks on which libraries differ (evaluation.md, section 3), committed with the tests.
#include "models/metrics/aggregate.h"
#include "tests/models/metrics/parity_support.h"
#include "tests/support/test_support.h"

namespace avocet {
namespace {

using namespace metrics;

class GoldenCase : public testing::TestWithParam<std::string> {};

TEST_P(GoldenCase, AgreesWithEachLibrary) {
  const auto folder = test::TestData("metrics/golden");
  const auto expected = test::ReadJson(folder / "expected.json").at("cases").at(GetParam());
  const auto prediction = test::ReadLabelMap(folder / expected.at("prediction"));
  const auto reference = test::ReadLabelMap(folder / expected.at("reference"));
  LabelPair<uint16_t> pair{prediction.labels.data(), reference.labels.data(), reference.size,
                           reference.spacing, static_cast<int>(expected.at("shape_ijk").size())};
  test::CheckClass(expected, pair, 1, GetParam());

  const auto& extra = expected.at("extra");
  if (!extra.contains("mean_of_two_directed_asd_mm")) return;
  DistanceQuery query(1);
  ClassMeasurements m(pair, FindRegions(pair, {1}, 1).at(0), query, 1);
  test::ExpectClose(AverageDistanceMeanOfDirected(m.SurfaceMm()),
                    extra.at("mean_of_two_directed_asd_mm"), 1e-12, GetParam() + " masd");
  test::ExpectClose(HausdorffMaxOfDirected(m.SurfaceMm(), 95),
                    extra.at("max_of_directed_numpy_percentile_95_mm"), 1e-12, GetParam());
}

INSTANTIATE_TEST_SUITE_P(All, GoldenCase,
                         testing::Values("T1", "T4", "T7_3d", "T7_2d", "T9", "T11", "T15", "E1",
                                         "E2", "E3"),
                         [](const auto& info) { return info.param; });

TEST(Aggregation, OrderChangesTheHeadline) {
  const auto expected = test::ReadJson(test::TestData("metrics/golden/expected.json")).at("AG");
  std::vector<std::vector<double>> table;
  for (const auto& row : expected.at("dice")) {
    table.emplace_back();
    for (const auto& value : row) table.back().push_back(test::Number(value));
  }
  const Aggregate by_class = AggregateTable(table, AggregationOrder::kClassThenMean);
  test::ExpectClose(by_class.value, expected.at("class_nanmean_then_mean"), 1e-15, "class");
  EXPECT_EQ(by_class.n_undefined, 1);
  test::ExpectClose(AggregateTable(table, AggregationOrder::kFlat).value,
                    expected.at("flat_nanmean"), 1e-15, "flat");
  test::ExpectClose(AggregateTable(table, AggregationOrder::kCaseThenMean).value,
                    expected.at("per_case_nanmean_then_mean"), 1e-15, "case");
}

TEST(Aggregation, UndefinedValuesAreCountedNotAveraged) {
  const MetricValue nothing{std::numeric_limits<double>::quiet_NaN(), ValueState::kRaises};
  const ClassSummary s =
      SummariseClass({{2, ValueState::kDefined}, nothing, {5, ValueState::kSubstituted}},
                     {Presence::kBoth, Presence::kBothEmpty, Presence::kMissed});
  EXPECT_EQ(s.n, 2);
  EXPECT_EQ(s.n_undefined, 1);
  EXPECT_EQ(s.n_substituted, 1);
  EXPECT_EQ(s.n_missed, 1);
  EXPECT_EQ(s.n_both_empty, 1);
  EXPECT_EQ(s.n_spurious, 0);
  EXPECT_DOUBLE_EQ(s.summary.mean, 3.5);
}

}  // namespace
}  // namespace avocet
