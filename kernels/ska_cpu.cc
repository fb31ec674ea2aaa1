// SPDX-License-Identifier: Apache-2.0
#include "kernels/ska_cpu.h"

#include "kernels/cpu_isa.h"

namespace avocet::kernels {

namespace scalar {
extern const SkaCpuKernels kSkaKernels;
}
namespace avx2 {
extern const SkaCpuKernels kSkaKernels;
}
namespace avx512 {
extern const SkaCpuKernels kSkaKernels;
}

const SkaCpuKernels& SelectSkaCpuKernels() {
  switch (SelectCpuIsa()) {
#if defined(__x86_64__)
    case CpuIsa::kAvx512:
      return avx512::kSkaKernels;
    case CpuIsa::kAvx2:
      return avx2::kSkaKernels;
#endif
    default:
      return scalar::kSkaKernels;
  }
}

}  // namespace avocet::kernels
