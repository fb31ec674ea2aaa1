// SPDX-License-Identifier: Apache-2.0
// Included by one .cc for each instruction set, with AVOCET_ISA set to its namespace. No include
// guard on purpose: exactly one inclusion a translation unit.
#include "kernels/silu_depthwise_cpu.h"
#include "kernels/simd_native.h"

namespace avocet::kernels::AVOCET_ISA {
namespace {

#if defined(__AVX512F__)
constexpr int kPixels = 8;  // sums and the pixels under one row of the kernel stay in registers
#else
constexpr int kPixels = 4;
#endif

template <int kKernel, int kStride, int kCount>
inline __attribute__((always_inline)) void Pixels(const SiluDepthwiseRow& a, int64_t col,
                                                  int64_t channel) {
  constexpr int kUnder = (kCount - 1) * kStride + kKernel;
  const int64_t step = a.channels;
  Native sums[kCount];
  const Native bias = LoadNative(a.bias + channel);
#pragma GCC unroll 8
  for (int p = 0; p < kCount; ++p) sums[p] = bias;
  const float* weight = a.weight + channel;
  for (int ky = 0; ky < kKernel; ++ky) {
    const float* line = a.lines[ky] + col * kStride * step + channel;
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
  float* y = a.y + col * step + channel;
#pragma GCC unroll 8
  for (int p = 0; p < kCount; ++p) {
    Native value = sums[p] * SigmoidOf(sums[p]);
    if (a.add_centre) {
      value +=
          LoadNative(a.lines[kKernel / 2] + ((col + p) * kStride + kKernel / 2) * step + channel);
    }
    StoreNative(y + p * step, value);
  }
}

template <int kKernel, int kStride>
void Row(const SiluDepthwiseRow& a) {
  for (int64_t channel = 0; channel < a.channels; channel += kLanes) {
    int64_t col = 0;
    for (; col + kPixels <= a.cols; col += kPixels) {
      Pixels<kKernel, kStride, kPixels>(a, col, channel);
    }
    if constexpr (kPixels > 4) {
      for (; col + 4 <= a.cols; col += 4) Pixels<kKernel, kStride, 4>(a, col, channel);
    }
    for (; col + 2 <= a.cols; col += 2) Pixels<kKernel, kStride, 2>(a, col, channel);
    for (; col < a.cols; ++col) Pixels<kKernel, kStride, 1>(a, col, channel);
  }
}

void AnyRow(const SiluDepthwiseRow& a) {
  if (a.kernel == 5) {
    a.stride == 1 ? Row<5, 1>(a) : Row<5, 2>(a);
  } else {
    a.stride == 1 ? Row<9, 1>(a) : Row<9, 2>(a);
  }
}

}  // namespace

extern const SiluDepthwiseCpuKernels kSiluDepthwiseKernels;
const SiluDepthwiseCpuKernels kSiluDepthwiseKernels{AVOCET_ISA_NAME, &AnyRow};

}  // namespace avocet::kernels::AVOCET_ISA
