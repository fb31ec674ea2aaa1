// SPDX-License-Identifier: Apache-2.0
// Included through the per-instruction-set kernels only (see bi_wkv_math.h on AVOCET_ISA).
#pragma once

#include <cstdint>
#include <cstring>
#include <type_traits>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

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

// e^{k - maximum} for k <= maximum: the hot exponential of the operators. 0 where it underflows.
inline __attribute__((always_inline)) VectorF32 ExpBelow(const VectorF32& k,
                                                         const VectorF32& maximum) {
#if defined(__AVX512F__) && defined(__AVX512DQ__)
  // 2^t = 2^floor(t) 2^f with a minimax polynomial for 2^f on [0, 1), relative error 1.5e-7. The
  // rounding of maximum * log2(e) is the same for all tokens of a channel and cancels.
  constexpr float kLog2E = 1.44269504088896341f;
  const __m512 offset = (__m512)(maximum * -kLog2E);
  const __m512 t = _mm512_fmadd_ps((__m512)k, _mm512_set1_ps(kLog2E), offset);
  const __m512 f = _mm512_maskz_reduce_ps(0xffff, t, 0x01);  // t - floor(t)
  __m512 p = _mm512_set1_ps(1.8775767e-3f);
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(8.9893402e-3f));
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(5.5826318e-2f));
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(2.4015362e-1f));
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(6.9315307e-1f));
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(9.9999993e-1f));
  return (VectorF32)_mm512_maskz_scalef_ps(0xffff, p, t);
#else
  return Exp(k - maximum);
#endif
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
inline __attribute__((always_inline)) VectorF64 ExpBelow(const VectorF64& k,
                                                         const VectorF64& maximum) {
  return Exp(k - maximum);
}

}  // namespace avocet::kernels::AVOCET_ISA
