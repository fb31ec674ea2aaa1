// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

namespace avocet::kernels::cuda {

// One call on device memory: tensors contiguous [B, T, C] float32, w and u [C]. `scratch` holds
// ScratchBytes bytes. Launches are asynchronous on `stream`; the return value is that of the
// launch.
struct WkvArgs {
  int64_t batch = 0, tokens = 0, channels = 0;
  const float* w = nullptr;
  const float* u = nullptr;
  const float* k = nullptr;
  const float* v = nullptr;
  void* scratch = nullptr;
};

int64_t ForwardScratchBytes(const WkvArgs& args);
int64_t BackwardScratchBytes(const WkvArgs& args);

cudaError_t LaunchForward(const WkvArgs& args, float* y, cudaStream_t stream);

// gw, gu: [B, C] double, to be summed over B in order.
cudaError_t LaunchBackward(const WkvArgs& args, const float* g, float* gk, float* gv, double* gw,
                           double* gu, cudaStream_t stream);

}  // namespace avocet::kernels::cuda
