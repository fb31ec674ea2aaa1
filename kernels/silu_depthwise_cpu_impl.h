// SPDX-License-Identifier: Apache-2.0
// Included by one .cc for each instruction set, with AVOCET_ISA set to its namespace. No include
// guard on purpose: exactly one inclusion a translation unit.
#include "kernels/silu_depthwise_cpu.h"
#include "kernels/simd_native.h"

namespace avocet::kernels::AVOCET_ISA {
namespace {

// Pixels at once: their sums and what lies under one row of the kernel stay in registers.
#if defined(__AVX512F__)
constexpr int kPixelsOfStride[] = {0, 8, 6};
#else
constexpr int kPixelsOfStride[] = {0, 4, 2};
#endif

template <int kKernel, int kStride, int kCount>
inline __attribute__((always_inline)) void Pixels(const SiluDepthwiseRows& a, int64_t row,
                                                  int64_t col, int64_t channel) {
  constexpr int kUnder = (kCount - 1) * kStride + kKernel;
  const int64_t step = a.channels;
  Native sums[kCount];
  const Native bias = LoadNative(a.bias + channel);
#pragma GCC unroll 8
  for (int p = 0; p < kCount; ++p) sums[p] = bias;
  const float* weight = a.weight + channel;
  for (int ky = 0; ky < kKernel; ++ky) {
    const float* line = a.lines[row * kStride + ky] + col * kStride * step + channel;
    Native under[kUnder];
#pragma GCC unroll 32
    for (int x = 0; x < kUnder; ++x) under[x] = LoadNative(line + x * step);
#pragma GCC unroll 16
    for (int kx = 0; kx < kKernel; ++kx, weight += step) {
      const Native factor = LoadNative(weight);
#pragma GCC unroll 8
      for (int p = 0; p < kCount; ++p) sums[p] += under[p * kStride + kx] * factor;
    }
  }
  float* y = a.y + (row * a.cols + col) * step + channel;
#pragma GCC unroll 8
  for (int p = 0; p < kCount; ++p) {
    Native value = sums[p] * SigmoidOf(sums[p]);
    if (a.add_centre) {
      value += LoadNative(a.lines[row * kStride + kKernel / 2] +
                          ((col + p) * kStride + kKernel / 2) * step + channel);
    }
    StoreNative(y + p * step, value);
  }
}

template <int kKernel, int kStride, int kCount>
AVOCET_ALWAYS_INLINE void PixelsOf(int64_t count, const SiluDepthwiseRows& a, int64_t row,
                                   int64_t col, int64_t channel) {
  if constexpr (kCount > 1) {
    if (count < kCount) {
      return PixelsOf<kKernel, kStride, kCount - 1>(count, a, row, col, channel);
    }
  }
  Pixels<kKernel, kStride, kCount>(a, row, col, channel);
}

// Row below row: what lies under the kernel stays in the first-level cache.
template <int kKernel, int kStride>
void Rows(const SiluDepthwiseRows& a) {
  constexpr int kPixels = kPixelsOfStride[kStride];
  const int64_t parts = (a.cols + kPixels - 1) / kPixels;
  for (int64_t channel = 0; channel < a.channels; channel += kLanes) {
    for (int64_t part = 0; part < parts; ++part) {  // as equal as can be
      const int64_t col = a.cols * part / parts, count = a.cols * (part + 1) / parts - col;
      for (int64_t row = 0; row < a.rows; ++row) {
        PixelsOf<kKernel, kStride, kPixels>(count, a, row, col, channel);
      }
    }
  }
}

void AnyRows(const SiluDepthwiseRows& a) {
  if (a.kernel == 5) {
    a.stride == 1 ? Rows<5, 1>(a) : Rows<5, 2>(a);
  } else {
    a.stride == 1 ? Rows<9, 1>(a) : Rows<9, 2>(a);
  }
}

}  // namespace

extern const SiluDepthwiseCpuKernels kSiluDepthwiseKernels;
const SiluDepthwiseCpuKernels kSiluDepthwiseKernels{AVOCET_ISA_NAME, &AnyRows};

}  // namespace avocet::kernels::AVOCET_ISA
