// SPDX-License-Identifier: Apache-2.0
#include "models/metrics/aggregate.h"

#include <cmath>
#include <limits>

namespace avocet::metrics {
namespace {

// Mean of what is not NaN, with how many were.
struct Running {
  long double sum = 0;
  int64_t n = 0;
  void Add(double value) {
    if (std::isnan(value)) return;
    sum += value;
    ++n;
  }
  double MeanValue() const {
    return n == 0 ? std::numeric_limits<double>::quiet_NaN()
                  : static_cast<double>(sum / static_cast<long double>(n));
  }
};

}  // namespace

ClassSummary SummariseClass(const std::vector<MetricValue>& values,
                            const std::vector<Presence>& presence) {
  ClassSummary out;
  std::vector<double> defined;
  for (const MetricValue& v : values) {
    if (v.HasValue()) {
      defined.push_back(v.value);
      out.n_substituted += v.state == ValueState::kSubstituted;
    } else {
      ++out.n_undefined;
    }
  }
  for (const Presence p : presence) {
    out.n_missed += p == Presence::kMissed;
    out.n_spurious += p == Presence::kSpurious;
    out.n_both_empty += p == Presence::kBothEmpty;
  }
  out.n = static_cast<int64_t>(defined.size());
  out.summary = Summarise(defined);
  return out;
}

const char* NameOf(AggregationOrder order) {
  switch (order) {
    case AggregationOrder::kClassThenMean:
      return "mean over cases for each class, then mean over classes";
    case AggregationOrder::kCaseThenMean:
      return "mean over classes for each case, then mean over cases";
    case AggregationOrder::kFlat:
      return "mean over all cases and classes";
  }
  return "";
}

Aggregate AggregateTable(const std::vector<std::vector<double>>& table, AggregationOrder order) {
  Aggregate out;
  Running all;
  std::vector<Running> rows(table.size()), columns;
  for (size_t r = 0; r < table.size(); ++r) {
    if (columns.size() < table[r].size()) columns.resize(table[r].size());
    for (size_t c = 0; c < table[r].size(); ++c) {
      const double value = table[r][c];
      out.n_undefined += std::isnan(value);
      all.Add(value);
      rows[r].Add(value);
      columns[c].Add(value);
    }
  }
  Running outer;
  switch (order) {
    case AggregationOrder::kClassThenMean:
      for (const Running& column : columns) outer.Add(column.MeanValue());
      out.value = outer.MeanValue();
      break;
    case AggregationOrder::kCaseThenMean:
      for (const Running& row : rows) outer.Add(row.MeanValue());
      out.value = outer.MeanValue();
      break;
    case AggregationOrder::kFlat:
      out.value = all.MeanValue();
      break;
  }
  return out;
}

}  // namespace avocet::metrics
