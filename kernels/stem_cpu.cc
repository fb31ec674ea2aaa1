// SPDX-License-Identifier: Apache-2.0
#include "kernels/stem_cpu.h"

#include "kernels/cpu_isa.h"

namespace avocet::kernels {

namespace scalar {
extern const StemCpuKernels kStemKernels;
}
namespace avx2 {
extern const StemCpuKernels kStemKernels;
}
namespace avx512 {
extern const StemCpuKernels kStemKernels;
}

const StemCpuKernels& SelectStemCpuKernels() {
  switch (SelectCpuIsa()) {
#if defined(__x86_64__)
    case CpuIsa::kAvx512:
      return avx512::kStemKernels;
    case CpuIsa::kAvx2:
      return avx2::kStemKernels;
#endif
    default:
      return scalar::kStemKernels;
  }
}

}  // namespace avocet::kernels
