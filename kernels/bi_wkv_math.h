// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <cstring>

// What the CPU kernels (S = a vector of channels) and the CUDA kernels (S = a scalar) share.
#if defined(__CUDACC__)
#define AVOCET_HOST_DEVICE __host__ __device__ __forceinline__
#else
#define AVOCET_HOST_DEVICE inline __attribute__((always_inline))
#endif

// The CPU kernels include this file once for each instruction set; a namespace of their own keeps
// the linker from merging inline functions that were compiled for different processors.
#if !defined(AVOCET_ISA)
#define AVOCET_ISA generic
#endif

namespace avocet::kernels::AVOCET_ISA {

// IEEE 754 binary16 of a float32, to nearest, ties to even, without the compiler's own type, which
// not all have.
inline uint16_t HalfBits(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  const uint32_t sign = bits >> 16 & 0x8000;
  bits &= 0x7fffffff;
  uint32_t half;
  if (bits > 0x7f800000) {
    half = 0x7e00;
  } else if (bits >= 0x477ff000) {  // 65520 rounds to infinity
    half = 0x7c00;
  } else if (bits < 0x38800000) {  // below 2^-14: adding 1/2 leaves multiples of 2^-24
    float shifted;
    std::memcpy(&shifted, &bits, sizeof shifted);
    shifted += 0.5f;
    std::memcpy(&half, &shifted, sizeof half);
    half -= 0x3f000000;
  } else {
    half = (bits + 0xfff + (bits >> 13 & 1) - 0x38000000) >> 13;
  }
  return static_cast<uint16_t>(half | sign);
}

// Numerator and denominator of a one-sided sum: SUM e^{k_i - w distance} (v_i, 1).
template <typename S>
struct Sums {
  S num;
  S den;
};

}  // namespace avocet::kernels::AVOCET_ISA
