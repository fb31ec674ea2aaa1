// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "models/metrics/protocols.h"
#include "models/metrics/statistics.h"

namespace avocet::metrics {

// One metric of one class over cases. Values without a value (undefined, or where the library
// raises) are left out of `summary` and counted, never averaged silently.
struct ClassSummary {
  int64_t n = 0;              // values in the summary
  int64_t n_undefined = 0;    // values left out
  int64_t n_substituted = 0;  // of n, put in by the protocol's rule
  int64_t n_missed = 0;       // cases with the class in the reference only
  int64_t n_spurious = 0;     // cases with the class in the prediction only
  int64_t n_both_empty = 0;
  Summary summary;
};
ClassSummary SummariseClass(const std::vector<MetricValue>& values,
                            const std::vector<Presence>& presence);

// How a table of cases x classes becomes one number; they differ as soon as a value is undefined.
enum class AggregationOrder {
  kClassThenMean,  // mean over cases for each class, then mean over classes: what Avocet reports
  kCaseThenMean,   // mean over classes for each case, then mean over cases
  kFlat,           // mean of all values
};
const char* NameOf(AggregationOrder order);

struct Aggregate {
  double value = 0;         // NaN when nothing is defined
  int64_t n_undefined = 0;  // entries left out
};
// table[case][class]; entries that are not a value are NaN and are left out; a class (or case)
// without any value is left out of the outer mean.
Aggregate AggregateTable(const std::vector<std::vector<double>>& table, AggregationOrder order);

}  // namespace avocet::metrics
