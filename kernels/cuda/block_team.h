// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cuda_runtime.h>

namespace avocet::kernels::cuda {

// The threads of a block as a Team (wkv_tile.h): each runs the step on its own state.
template <typename State, int quads>
class BlockTeam {
 public:
  static constexpr int kQuads = quads;

  template <typename Step>
  __host__ __device__ __forceinline__ void Run(Step step) {
#if defined(__CUDA_ARCH__)
    step(static_cast<int>(threadIdx.x), state_);
    __syncthreads();
#else
    (void)step;
#endif
  }

 private:
  State state_;
};

}  // namespace avocet::kernels::cuda
