// SPDX-License-Identifier: Apache-2.0
#include "kernels/bi_wkv_cpu.h"

#include "kernels/cpu_isa.h"

namespace avocet::kernels {

namespace scalar {
extern const WkvCpuKernels kWkvKernels;
}
namespace avx2 {
extern const WkvCpuKernels kWkvKernels;
}
namespace avx512 {
extern const WkvCpuKernels kWkvKernels;
}

const WkvCpuKernels& SelectWkvCpuKernels() {
  switch (SelectCpuIsa()) {
#if defined(__x86_64__)
    case CpuIsa::kAvx512:
      return avx512::kWkvKernels;
    case CpuIsa::kAvx2:
      return avx2::kWkvKernels;
#endif
    default:
      return scalar::kWkvKernels;
  }
}

}  // namespace avocet::kernels
