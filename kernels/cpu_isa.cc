// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu_isa.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include <cstdlib>
#include <string>

namespace avocet::kernels {

CpuIsa SelectCpuIsa() {
  static const CpuIsa chosen = [] {
#if defined(__x86_64__)
    const char* text = std::getenv("AVOCET_ISA");
    const std::string wanted = text ? text : "";
    // Every processor with AVX2 converts half precision, but compilers know no name for that.
    unsigned a = 0, b = 0, c = 0, d = 0;
    const bool has_f16c = __get_cpuid(1, &a, &b, &c, &d) != 0 && (c & bit_F16C) != 0;
    const bool has_avx2 =
        has_f16c && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    const bool has_avx512 =
        has_avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw");
    if (has_avx512 && wanted != "scalar" && wanted != "avx2") return CpuIsa::kAvx512;
    if (has_avx2 && wanted != "scalar") return CpuIsa::kAvx2;
#endif
    return CpuIsa::kScalar;
  }();
  return chosen;
}

}  // namespace avocet::kernels
