// SPDX-License-Identifier: Apache-2.0
#include "kernels/depthwise_cpu.h"

#include <cstdlib>
#include <string>

namespace avocet::kernels {

#define AVOCET_DECLARE_ISA(isa)                       \
  namespace isa {                                     \
  extern const DepthwiseCpuKernels kDepthwiseKernels; \
  }
AVOCET_DECLARE_ISA(scalar)
#if defined(__x86_64__)
AVOCET_DECLARE_ISA(avx2)
AVOCET_DECLARE_ISA(avx512)
#endif

const DepthwiseCpuKernels& SelectDepthwiseCpuKernels() {
  static const DepthwiseCpuKernels* chosen = [] {
#if defined(__x86_64__)
    const char* text = std::getenv("AVOCET_ISA");
    const std::string wanted = text ? text : "";
    const bool has_avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    const bool has_avx512 =
        has_avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw");
    if (has_avx512 && wanted != "scalar" && wanted != "avx2") return &avx512::kDepthwiseKernels;
    if (has_avx2 && wanted != "scalar") return &avx2::kDepthwiseKernels;
#endif
    return &scalar::kDepthwiseKernels;
  }();
  return *chosen;
}

}  // namespace avocet::kernels
