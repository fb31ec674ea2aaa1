// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

namespace avocet::test {

// The judge: Bi-WKV of one channel straight from its definition in double, O(T^2), and the official
// kernel's weights straight from the table of shared/spec/rwkv_unet.md 1.2. Slow and obvious.
struct WkvReference {
  std::vector<double> y, gk, gv;
  double gw = 0, gu = 0;
};

// g may be empty (forward only). split = 0: definition; otherwise form O with its epsilon.
// official_gradient: k and v gradients with the definition's weights (1.4).
WkvReference ReferenceWkv(double w, double u, const std::vector<double>& k,
                          const std::vector<double>& v, const std::vector<double>& g, int64_t split,
                          bool official_gradient);

}  // namespace avocet::test
