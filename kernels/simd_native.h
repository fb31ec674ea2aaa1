// SPDX-License-Identifier: Apache-2.0
// Included through per-instruction-set kernels only: one register of the instruction set that the
// file is compiled for.
#pragma once

#include <cstdint>

#if defined(__AVX512F__)
#include <immintrin.h>
#endif

#define AVOCET_ALWAYS_INLINE inline __attribute__((always_inline))

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

AVOCET_ALWAYS_INLINE Native LoadNative(const float* p) {
  return *reinterpret_cast<const Native*>(p);
}
AVOCET_ALWAYS_INLINE void StoreNative(float* p, Native v) { *reinterpret_cast<Native*>(p) = v; }

// The first `count` lanes, 1 to kLanes - 1.
AVOCET_ALWAYS_INLINE Native LoadHead(const float* p, int64_t count) {
#if defined(__AVX512F__)
  return (Native)_mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << count) - 1), p);
#else
  Native v{};
  for (int64_t i = 0; i < count; ++i) v[i] = p[i];
  return v;
#endif
}
AVOCET_ALWAYS_INLINE void StoreHead(float* p, Native v, int64_t count) {
#if defined(__AVX512F__)
  _mm512_mask_storeu_ps(p, static_cast<__mmask16>((1u << count) - 1), (__m512)v);
#else
  for (int64_t i = 0; i < count; ++i) p[i] = v[i];
#endif
}

AVOCET_ALWAYS_INLINE float SumOf(Native v) {
#if defined(__AVX512F__)
  v += __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7);
  v += __builtin_shufflevector(v, v, 4, 5, 6, 7, 0, 1, 2, 3, 4, 5, 6, 7, 0, 1, 2, 3);
  v += __builtin_shufflevector(v, v, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1);
  return v[0] + v[1];
#else
  float part[kLanes];
  StoreNative(part, v);
  for (int width = kLanes / 2; width > 0; width /= 2) {
    for (int i = 0; i < width; ++i) part[i] += part[i + width];
  }
  return part[0];
#endif
}

// x in the first `count` lanes, zero in the others.
AVOCET_ALWAYS_INLINE Native HeadOf(Native x, int64_t count) {
#if defined(__AVX512F__)
  const __mmask16 mask = count >= kLanes ? 0xffff : static_cast<__mmask16>((1u << count) - 1);
  return (Native)_mm512_maskz_mov_ps(mask, (__m512)x);
#else
  for (int i = 0; i < kLanes; ++i) {
    if (i >= count) x[i] = 0;
  }
  return x;
#endif
}

// 1 / (1 + e^-x) within 3e-7 of the value, x not below -87 (where it is 1.6e-38); NaN stays NaN.
// e^-x by n ln 2 + r and a polynomial in r.
AVOCET_ALWAYS_INLINE Native SigmoidOf(Native x) {
  const Native lowest = Native{} - 87.0f, highest = Native{} + 87.0f;
  Native a = x < lowest ? lowest : x;
  a = a > highest ? highest : a;
  const Native scaled = a * -1.44269504088896341f;
#if defined(__AVX512F__)
  const Native n =
      (Native)_mm512_maskz_roundscale_ps(0xffff, (__m512)scaled, _MM_FROUND_TO_NEAREST_INT);
#else
  constexpr float kMagic = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer
  const Native shifted = scaled + kMagic;
  const Native n = shifted - kMagic;
#endif
  const Native r = (-a - n * 0.693145751953125f) - n * 1.42860682030941723e-6f;
  Native p = r * (1.0f / 720) + (1.0f / 120);
  p = p * r + (1.0f / 24);
  p = p * r + (1.0f / 6);
  p = p * r + 0.5f;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
#if defined(__AVX512F__)
  const Native divisor = 1 + (Native)_mm512_maskz_scalef_ps(0xffff, (__m512)p, (__m512)n);
  // A division costs 16 cycles; an estimate of 14 bits and one step of Newton's method 3.
  const Native inverse = (Native)_mm512_maskz_rcp14_ps(0xffff, (__m512)divisor);
  return inverse * (2 - divisor * inverse);
#else
  const Native e = (Native)((NativeInt)p + (((NativeInt)shifted) << 23));
  return 1 / (1 + e);
#endif
}

}  // namespace avocet::kernels::AVOCET_ISA
