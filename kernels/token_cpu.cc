// SPDX-License-Identifier: Apache-2.0
#include "kernels/token_cpu.h"

#include "kernels/cpu_isa.h"

namespace avocet::kernels {

namespace scalar {
extern const TokenCpuKernels kTokenKernels;
}
namespace avx2 {
extern const TokenCpuKernels kTokenKernels;
}
namespace avx512 {
extern const TokenCpuKernels kTokenKernels;
}

const TokenCpuKernels& SelectTokenCpuKernels() {
  switch (SelectCpuIsa()) {
#if defined(__x86_64__)
    case CpuIsa::kAvx512:
      return avx512::kTokenKernels;
    case CpuIsa::kAvx2:
      return avx2::kTokenKernels;
#endif
    default:
      return scalar::kTokenKernels;
  }
}

}  // namespace avocet::kernels
