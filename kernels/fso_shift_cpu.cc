// SPDX-License-Identifier: Apache-2.0
#include "kernels/fso_shift_cpu.h"

#include <algorithm>

#include "kernels/cpu_isa.h"
#include "kernels/fso_shift_math.h"

namespace avocet::kernels {

namespace scalar {
extern const FsoCpuKernels kFsoKernels;
}
namespace avx2 {
extern const FsoCpuKernels kFsoKernels;
}
namespace avx512 {
extern const FsoCpuKernels kFsoKernels;
}

template <typename T>
void FsoGrid<T>::Plan(bool transpose) {
  runs.clear();
  first_run.assign(1, 0);
  const int sign = transpose ? 1 : -1;
  for (int64_t start = 0; start < Lanes(); start += kFsoLanes) {
    for (int n = 0; n < generic::kFsoGroups; ++n) {
      const int64_t from = std::max(start, generic::FsoGroupStart(n, channels));
      const int64_t to = std::min(start + kFsoLanes, generic::FsoGroupStart(n + 1, channels));
      if (from >= to) continue;
      const generic::FsoOffset offset = generic::FsoOffsetOf(n);
      FsoRun run;
      run.shift = sign * (offset.dy * PaddedCols() + offset.dx) * Lanes();
      run.block_shift = sign * (offset.dy * PaddedBlockCols() + offset.dx) * Lanes();
      run.first = static_cast<int32_t>(from - start);
      run.count = static_cast<int32_t>(to - from);
      run.mask = ((1u << run.count) - 1) << run.first;
      runs.push_back(run);
    }
    first_run.push_back(static_cast<int32_t>(runs.size()));
  }
}

template struct FsoGrid<float>;
template struct FsoGrid<double>;

const FsoCpuKernels& SelectFsoCpuKernels() {
  switch (SelectCpuIsa()) {
#if defined(__x86_64__)
    case CpuIsa::kAvx512:
      return avx512::kFsoKernels;
    case CpuIsa::kAvx2:
      return avx2::kFsoKernels;
#endif
    default:
      return scalar::kFsoKernels;
  }
}

}  // namespace avocet::kernels
