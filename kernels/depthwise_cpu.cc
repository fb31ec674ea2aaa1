// SPDX-License-Identifier: Apache-2.0
#include "kernels/depthwise_cpu.h"

#include "kernels/cpu_isa.h"

namespace avocet::kernels {

namespace scalar {
extern const DepthwiseCpuKernels kDepthwiseKernels;
}
namespace avx2 {
extern const DepthwiseCpuKernels kDepthwiseKernels;
}
namespace avx512 {
extern const DepthwiseCpuKernels kDepthwiseKernels;
}

const DepthwiseCpuKernels& SelectDepthwiseCpuKernels() {
  switch (SelectCpuIsa()) {
#if defined(__x86_64__)
    case CpuIsa::kAvx512:
      return avx512::kDepthwiseKernels;
    case CpuIsa::kAvx2:
      return avx2::kDepthwiseKernels;
#endif
    default:
      return scalar::kDepthwiseKernels;
  }
}

}  // namespace avocet::kernels
