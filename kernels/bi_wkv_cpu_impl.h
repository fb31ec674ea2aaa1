// SPDX-License-Identifier: Apache-2.0
// Included by one .cc for each instruction set, with AVOCET_ISA set to its namespace. No include
// guard on purpose: exactly one inclusion a translation unit.
#include "kernels/bi_wkv_cpu_exact.h"
#include "kernels/bi_wkv_cpu_official.h"
#include "kernels/bi_wkv_cpu_scaled.h"

namespace avocet::kernels::AVOCET_ISA {
namespace {

// Blocks out of the fast range are computed whole where the others only combine their segments.
template <typename S>
void CombineForward(const WkvForwardArgs<S>& a, int64_t block) {
  const Block<S, WkvForwardArgs<S>> b(a, block);
  if (IsFast<S>(a, block)) {
    Combine<S>(a, block);
  } else {
    ForwardScaled(a, b);
  }
}

template <typename S>
void FinishBackward(const WkvBackwardArgs<S>& a, int64_t block) {
  const Block<S, WkvBackwardArgs<S>> b(a, block);
  if (IsFast<S>(a, block)) {
    FinishExact(a, b, block);
  } else {
    BackwardScaled(a, b);
  }
}

template <typename S>
constexpr WkvKernels<S> KernelsFor() {
  return {{&Prepare<S, WkvForwardArgs<S>>, &Totals<S, WkvForwardArgs<S>>, &CombineForward<S>,
           &Outputs<S>, &ForwardOfficial<S>},
          {&Prepare<S, WkvBackwardArgs<S>>, &Totals<S, WkvBackwardArgs<S>>,
           &Combine<S, WkvBackwardArgs<S>>, &Adjoints<S>, &CombineAdjoints<S>, &Gradients<S>,
           &FinishBackward<S>, &BackwardOfficial<S>}};
}

int64_t WorkspaceBytes(int64_t tokens, bool backward, bool in_double) {
  return in_double ? Workspace<double>(tokens, backward).BytesOfBlock()
                   : Workspace<float>(tokens, backward).BytesOfBlock();
}

}  // namespace

extern const WkvCpuKernels kWkvKernels;
const WkvCpuKernels kWkvKernels{AVOCET_ISA_NAME,       KernelsFor<float>(),
                                KernelsFor<double>(),  KernelsFor<WkvBFloat16>(),
                                KernelsFor<WkvHalf>(), &WorkspaceBytes};

}  // namespace avocet::kernels::AVOCET_ISA
