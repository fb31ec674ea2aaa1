// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu_isa.h"

#include <cstdlib>
#include <string>

namespace avocet::kernels {

CpuIsa SelectCpuIsa() {
  static const CpuIsa chosen = [] {
#if defined(__x86_64__)
    const char* text = std::getenv("AVOCET_ISA");
    const std::string wanted = text ? text : "";
    const bool has_avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                          __builtin_cpu_supports("f16c");
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
