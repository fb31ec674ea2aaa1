// SPDX-License-Identifier: Apache-2.0
// Included through per-instruction-set kernels only: one register of the instruction set that the
// file is compiled for.
#pragma once

#include <cstdint>

#if defined(__AVX512F__)
#include <immintrin.h>
#endif

namespace avocet::kernels::AVOCET_ISA {

#if defined(__AVX512F__)
constexpr int kLanes = 16;
#elif defined(__AVX2__)
constexpr int kLanes = 8;
#else
constexpr int kLanes = 4;
#endif

typedef float Native __attribute__((vector_size(kLanes * 4), aligned(4)));
typedef int32_t NativeInt __attribute__((vector_size(kLanes * 4), aligned(4)));

inline __attribute__((always_inline)) Native LoadNative(const float* p) {
  return *reinterpret_cast<const Native*>(p);
}
inline __attribute__((always_inline)) void StoreNative(float* p, Native v) {
  *reinterpret_cast<Native*>(p) = v;
}

inline __attribute__((always_inline)) float SumOf(Native v) {
  float part[kLanes];
  StoreNative(part, v);
  for (int width = kLanes / 2; width > 0; width /= 2) {
    for (int i = 0; i < width; ++i) part[i] += part[i + width];
  }
  return part[0];
}

// 1 / (1 + e^-x) within 2e-7 of the value, 0 below -87; NaN stays NaN. e^-|x| by n ln 2 + r and a
// polynomial in r.
inline __attribute__((always_inline)) Native SigmoidOf(Native x) {
  constexpr float kMagic = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer
  const Native lowest = Native{} - 87.0f;
  Native a = x < 0 ? x : -x;
  const Native clamped = a < lowest ? lowest : a;
  const Native shifted = clamped * 1.44269504088896341f + kMagic;
  const Native n = shifted - kMagic;
  const Native r = (clamped - n * 0.693145751953125f) - n * 1.42860682030941723e-6f;
  Native p = r * (1.0f / 5040) + (1.0f / 720);
  p = p * r + (1.0f / 120);
  p = p * r + (1.0f / 24);
  p = p * r + (1.0f / 6);
  p = p * r + 0.5f;
  p = p * (r * r) + r;
  p = p + 1.0f;
  const Native e = (Native)((NativeInt)p + (((NativeInt)shifted) << 23));
  const Native below = a < lowest ? Native{} : e;
  const Native divisor = 1 + e;
#if defined(__AVX512F__)
  // A division costs 16 cycles; an estimate of 14 bits and one step of Newton's method 3.
  Native inverse = (Native)_mm512_maskz_rcp14_ps(0xffff, (__m512)divisor);
  inverse = inverse * (2 - divisor * inverse);
#else
  const Native inverse = 1 / divisor;
#endif
  return (x < 0 ? below : Native{} + 1.0f) * inverse;
}

}  // namespace avocet::kernels::AVOCET_ISA
