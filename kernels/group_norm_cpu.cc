// SPDX-License-Identifier: Apache-2.0
#include "kernels/group_norm_cpu.h"

#include "kernels/cpu_isa.h"

namespace avocet::kernels {

namespace scalar {
extern const GroupNormCpuKernels kGroupNormKernels;
}
namespace avx2 {
extern const GroupNormCpuKernels kGroupNormKernels;
}
namespace avx512 {
extern const GroupNormCpuKernels kGroupNormKernels;
}

const GroupNormCpuKernels& SelectGroupNormCpuKernels() {
  switch (SelectCpuIsa()) {
#if defined(__x86_64__)
    case CpuIsa::kAvx512:
      return avx512::kGroupNormKernels;
    case CpuIsa::kAvx2:
      return avx2::kGroupNormKernels;
#endif
    default:
      return scalar::kGroupNormKernels;
  }
}

}  // namespace avocet::kernels
