// SPDX-License-Identifier: Apache-2.0
#include "kernels/silu_depthwise_cpu.h"

#include "kernels/cpu_isa.h"

namespace avocet::kernels {

namespace scalar {
extern const SiluDepthwiseCpuKernels kSiluDepthwiseKernels;
}
namespace avx2 {
extern const SiluDepthwiseCpuKernels kSiluDepthwiseKernels;
}
namespace avx512 {
extern const SiluDepthwiseCpuKernels kSiluDepthwiseKernels;
}

const SiluDepthwiseCpuKernels& SelectSiluDepthwiseCpuKernels() {
  switch (SelectCpuIsa()) {
#if defined(__x86_64__)
    case CpuIsa::kAvx512:
      return avx512::kSiluDepthwiseKernels;
    case CpuIsa::kAvx2:
      return avx2::kSiluDepthwiseKernels;
#endif
    default:
      return scalar::kSiluDepthwiseKernels;
  }
}

}  // namespace avocet::kernels
