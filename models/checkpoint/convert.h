// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "models/checkpoint/tensor_file.h"

namespace avocet::models {

// Bits of an IEEE 754 binary16 or a bfloat16 number nearest to `value` (ties to even; NaN stays
// NaN; beyond the largest number becomes infinity). One rounding, also from double.
uint16_t Float16FromDouble(double value);
uint16_t BFloat16FromDouble(double value);
double DoubleFromFloat16(uint16_t bits);
double DoubleFromBFloat16(uint16_t bits);

// All elements as doubles, which hold every type exactly except 64-bit integers beyond 2^53.
std::vector<double> ToDoubles(const StoredTensor& tensor);

// A floating tensor in another floating type, each element rounded once to nearest, ties to even.
// `overflowed` counts finite elements that became infinite. Throws ModelError for other types.
StoredTensor ConvertFloat(const StoredTensor& tensor, TensorType type, int64_t* overflowed);

struct ValueSummary {
  int64_t nan = 0;
  int64_t infinite = 0;
  double min = 0;  // of the finite elements; 0 when there are none
  double max = 0;
};
ValueSummary Summarise(const StoredTensor& tensor);

}  // namespace avocet::models
