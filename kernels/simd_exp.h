// SPDX-License-Identifier: Apache-2.0
// Included through the per-instruction-set kernels only (see bi_wkv_math.h on AVOCET_ISA).
#pragma once

#include <cstdint>
#include <cstring>
#include <type_traits>

#include "kernels/bi_wkv_cpu.h"

namespace avocet::kernels::AVOCET_ISA {

// kWkvBlock channels in one value; the compiler splits it into the registers of the instruction
// set.
typedef float VectorF32 __attribute__((vector_size(kWkvBlock * sizeof(float))));
typedef double VectorF64 __attribute__((vector_size(kWkvBlock * sizeof(double))));
typedef int32_t VectorI32 __attribute__((vector_size(kWkvBlock * sizeof(int32_t))));
typedef int64_t VectorI64 __attribute__((vector_size(kWkvBlock * sizeof(int64_t))));

template <typename T>
using Vector = std::conditional_t<std::is_same_v<T, float>, VectorF32, VectorF64>;

// e^x for x <= 0 (0 below -87.3), relative error below 2 ulp: x = n ln 2 + r, |r| <= ln 2 / 2, a
// Taylor polynomial in r, and n added to the exponent. NaN stays NaN.
inline __attribute__((always_inline)) VectorF32 Exp(VectorF32 x) {
  constexpr float kMagic = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer
  const VectorF32 lowest = VectorF32{} - 87.0f;
  const VectorF32 clamped = x < lowest ? lowest : x;
  const VectorF32 shifted = clamped * 1.44269504088896341f + kMagic;
  const VectorF32 n = shifted - kMagic;
  const VectorF32 r = (clamped - n * 0.693145751953125f) - n * 1.42860682030941723e-6f;
  VectorF32 p = r * (1.0f / 5040) + (1.0f / 720);
  p = p * r + (1.0f / 120);
  p = p * r + (1.0f / 24);
  p = p * r + (1.0f / 6);
  p = p * r + 0.5f;
  p = p * (r * r) + r;
  p = p + 1.0f;
  const VectorI32 bits = ((VectorI32)shifted) << 23;
  const VectorF32 result = (VectorF32)((VectorI32)p + bits);
  return x < lowest ? VectorF32{} : result;
}

// The same in double (0 below -700).
inline __attribute__((always_inline)) VectorF64 Exp(VectorF64 x) {
  constexpr double kMagic = 6755399441055744.0;  // 1.5 * 2^52
  const VectorF64 lowest = VectorF64{} - 700.0;
  const VectorF64 clamped = x < lowest ? lowest : x;
  const VectorF64 shifted = clamped * 1.4426950408889634074 + kMagic;
  const VectorF64 n = shifted - kMagic;
  const VectorF64 r = (clamped - n * 6.93147180369123816490e-01) - n * 1.90821492927058770002e-10;
  VectorF64 p = r * (1.0 / 6227020800.0) + (1.0 / 479001600.0);
  p = p * r + (1.0 / 39916800.0);
  p = p * r + (1.0 / 3628800.0);
  p = p * r + (1.0 / 362880.0);
  p = p * r + (1.0 / 40320.0);
  p = p * r + (1.0 / 5040.0);
  p = p * r + (1.0 / 720.0);
  p = p * r + (1.0 / 120.0);
  p = p * r + (1.0 / 24.0);
  p = p * r + (1.0 / 6.0);
  p = p * r + 0.5;
  p = p * (r * r) + r;
  p = p + 1.0;
  const VectorI64 bits = ((VectorI64)shifted) << 52;
  const VectorF64 result = (VectorF64)((VectorI64)p + bits);
  return x < lowest ? VectorF64{} : result;
}

}  // namespace avocet::kernels::AVOCET_ISA
