// SPDX-License-Identifier: Apache-2.0
// Included by one .cc for each instruction set, with AVOCET_ISA set to its namespace. No include
// guard on purpose: exactly one inclusion a translation unit.
#include <algorithm>

#include "kernels/simd_native.h"
#include "kernels/stem_cpu.h"

namespace avocet::kernels::AVOCET_ISA {
namespace {

constexpr int64_t kBorder = kStemKernel / 2;

Native LoadUpTo(const float* p, int64_t count) {
  return count >= kLanes ? LoadNative(p) : LoadHead(p, count);
}

void Expand(const StemRow& a, int64_t row) {
  const int64_t offset = row * a.cols;
  for (int out = 0; out < kStemPlanes; ++out) {
    float* to = a.middle[out] + (row + kBorder) * (a.cols + 2 * kBorder) + kBorder;
    for (int64_t c = 0; c < a.cols; c += kLanes) {
      const int64_t count = std::min<int64_t>(kLanes, a.cols - c);
      Native value = Native{} + a.expand_bias[out];
      for (int in = 0; in < kStemPlanes; ++in) {
        value += LoadUpTo(a.planes[in] + offset + c, count) * a.expand[out][in];
      }
      value = value < 0 ? Native{} : value;
      count == kLanes ? StoreNative(to + c, value) : StoreHead(to + c, value, count);
    }
  }
}

void Depthwise(const StemRow& a, int64_t row, double* sums) {
  const int64_t width = a.cols + 2 * kBorder;
  Native totals[kStemPlanes] = {};
  for (int64_t c = 0; c < a.cols; c += kLanes) {
    const int64_t count = std::min<int64_t>(kLanes, a.cols - c);
    float values[kStemPlanes][kLanes];
#pragma GCC unroll 3
    for (int p = 0; p < kStemPlanes; ++p) {
      Native sum = Native{} + a.bias[p];
      for (int ky = 0; ky < kStemKernel; ++ky) {
        const float* line = a.middle[p] + (row + ky) * width + c;
        for (int kx = 0; kx < kStemKernel; ++kx) {
          sum += LoadUpTo(line + kx, count) * a.weight[p][ky * kStemKernel + kx];
        }
      }
      sum *= SigmoidOf(sum);
      StoreNative(values[p], sum);
      totals[p] += HeadOf(sum, count);
    }
    float* y = a.y + (row * a.cols + c) * kStemPixel;
    for (int64_t n = 0; n < count; ++n) {
      for (int p = 0; p < kStemPlanes; ++p) y[n * kStemPixel + p] = values[p][n];
      y[n * kStemPixel + kStemPlanes] = 0;
    }
  }
  for (int p = 0; p < kStemPlanes; ++p) sums[p] = SumOf(totals[p]);
}

}  // namespace

extern const StemCpuKernels kStemKernels;
const StemCpuKernels kStemKernels{AVOCET_ISA_NAME, &Expand, &Depthwise};

}  // namespace avocet::kernels::AVOCET_ISA
