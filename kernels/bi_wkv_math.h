// SPDX-License-Identifier: Apache-2.0
#pragma once

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

// Numerator and denominator of a one-sided sum: SUM e^{k_i - w distance} (v_i, 1).
template <typename S>
struct Sums {
  S num;
  S den;
};

}  // namespace avocet::kernels::AVOCET_ISA
