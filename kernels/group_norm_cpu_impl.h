// SPDX-License-Identifier: Apache-2.0
// Included by one .cc for each instruction set, with AVOCET_ISA set to its namespace. No include
// guard on purpose: exactly one inclusion a translation unit. Inner loops run over channels, which
// are contiguous, and are left to the compiler's vectoriser.
#include <cmath>
#include <cstring>
#include <type_traits>

#include "kernels/group_norm_cpu.h"
#include "kernels/simd_exp.h"

namespace avocet::kernels::AVOCET_ISA {
namespace {

template <typename T>
void Sums(const PixelRows<T>& r, double* __restrict first, double* __restrict second) {
  const int64_t c = r.channels;
  std::memset(first, 0, c * sizeof(double));
  std::memset(second, 0, c * sizeof(double));
  for (int64_t p = 0; p < r.pixels; ++p) {
    const T* __restrict x = r.x + p * c;
    const T* __restrict other = r.other == nullptr ? x : r.other + p * c;
    for (int64_t i = 0; i < c; ++i) {
      const double value = x[i];
      first[i] += value;
      second[i] += value * static_cast<double>(other[i]);
    }
  }
}

// tanh in float32: (1 - e) / (1 + e) with e = e^{-2 |x|}; below 0.25 a polynomial in x^2 (the
// quotient would lose digits there).
inline VectorF32 Tanh(VectorF32 x) {
  const VectorF32 size = x < 0 ? -x : x;
  const VectorF32 e = Exp(size * -2.0f);
  const VectorF32 far = (1 - e) / (1 + e);
  const VectorF32 square = size * size;
  VectorF32 near = square * (-1382.0f / 155925) + 62.0f / 2835;
  near = near * square - 17.0f / 315;
  near = near * square + 2.0f / 15;
  near = near * square - 1.0f / 3;
  near = near * square * size + size;
  const VectorF32 result = size < 0.25f ? near : far;
  return x < 0 ? -result : result;
}

void TanhInPlace(float* x, int64_t n) {
  for (int64_t i = 0; i < n; i += kWkvBlock) {
    const int64_t count = n - i < kWkvBlock ? n - i : kWkvBlock;
    VectorF32 value{};
    std::memcpy(&value, x + i, count * sizeof(float));
    value = Tanh(value);
    std::memcpy(x + i, &value, count * sizeof(float));
  }
}

void TanhInPlace(double* x, int64_t n) {
  for (int64_t i = 0; i < n; ++i) x[i] = std::tanh(x[i]);
}

template <typename T>
void Affine(const PixelRows<T>& r, const T* __restrict a, const T* __restrict b,
            const T* __restrict c, Activation act, T* y) {
  const int64_t n = r.channels;
  for (int64_t p = 0; p < r.pixels; ++p) {
    const T* x = r.x + p * n;
    T* to = y + p * n;  // may be x
    if (r.other != nullptr) {
      const T* other = r.other + p * n;
#pragma GCC ivdep
      for (int64_t i = 0; i < n; ++i) to[i] = x[i] * a[i] + other[i] * c[i] + b[i];
    } else if (act == Activation::kRelu) {
#pragma GCC ivdep
      for (int64_t i = 0; i < n; ++i) {
        const T value = x[i] * a[i] + b[i];
        to[i] = value < 0 ? T{0} : value;  // NaN stays
      }
    } else {
#pragma GCC ivdep
      for (int64_t i = 0; i < n; ++i) to[i] = x[i] * a[i] + b[i];
      if (act == Activation::kTanh) TanhInPlace(to, n);
    }
  }
}

}  // namespace

extern const GroupNormCpuKernels kGroupNormKernels;
const GroupNormCpuKernels kGroupNormKernels{AVOCET_ISA_NAME, &Sums<float>, &Sums<double>,
                                            &Affine<float>, &Affine<double>};

}  // namespace avocet::kernels::AVOCET_ISA
