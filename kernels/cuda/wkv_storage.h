// SPDX-License-Identifier: Apache-2.0
#pragma once

// How values lie in memory: single ones and packs of neighbouring channels, widened to float32.
#include <cstdint>
#include <cstring>

#if defined(__CUDACC__)
#include <cuda_fp16.h>
#endif

#include "kernels/bi_wkv_math.h"

// Arrays indexed in such loops stay in registers; the host's compiler need not.
#if defined(__CUDA_ARCH__)
#define AVOCET_UNROLL _Pragma("unroll")
#define AVOCET_UNROLL_4 _Pragma("unroll 4")
#else
#define AVOCET_UNROLL
#define AVOCET_UNROLL_4
#endif

namespace avocet::kernels::cuda {

// Bits only: the host has no arithmetic for them.
struct BFloat16 {
  uint16_t bits;
};
struct Half {
  uint16_t bits;
};

AVOCET_HOST_DEVICE float FloatOfBits(uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}
AVOCET_HOST_DEVICE uint32_t BitsOf(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}

AVOCET_HOST_DEVICE float Widen(float x) { return x; }
AVOCET_HOST_DEVICE float Widen(BFloat16 x) {
  return FloatOfBits(static_cast<uint32_t>(x.bits) << 16);
}
AVOCET_HOST_DEVICE float Widen(Half x) {
#if defined(__CUDA_ARCH__)
  return __half2float(__ushort_as_half(x.bits));
#else
  // The exponent is moved by multiplying, which is right for subnormal halves too.
  const uint32_t sign = (x.bits & 0x8000u) << 16, rest = (x.bits & 0x7fffu) << 13;
  const uint32_t scaled = BitsOf(FloatOfBits(rest) * 0x1p112f);
  return FloatOfBits((rest >= (31u << 23) ? scaled | (0xffu << 23) : scaled) | sign);
#endif
}

// Rounds to nearest, ties to even; NaN stays NaN.
AVOCET_HOST_DEVICE void Narrow(float value, float& out) { out = value; }
AVOCET_HOST_DEVICE void Narrow(float value, BFloat16& out) {
  const uint32_t bits = BitsOf(value);
  const uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  out.bits = static_cast<uint16_t>(value == value ? rounded : (bits >> 16) | 0x40u);
}
AVOCET_HOST_DEVICE void Narrow(float value, Half& out) {
#if defined(__CUDA_ARCH__)
  out.bits = __half_as_ushort(__float2half_rn(value));
#elif !defined(__CUDACC__)
  out.bits = AVOCET_ISA::HalfBits(value);
#else
  out.bits = __half_as_ushort(__float2half_rn(value));
#endif
}

// Channels that one access moves; 16 bytes where the tensors allow it.
template <typename S, int count>
struct alignas(sizeof(S) * count) Pack {
  S value[count];
};
template <typename S>
constexpr int kWidePack = 16 / sizeof(S);

}  // namespace avocet::kernels::cuda
