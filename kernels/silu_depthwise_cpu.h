// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace avocet::kernels {

constexpr int64_t kMaxDepthwiseKernel = 9;

// One row of y = silu(depthwise(x) + bias), for inference. Channels are padded (kChannelPad).
struct SiluDepthwiseRow {
  int64_t channels = 0;
  int64_t kernel = 0, stride = 1;  // 5 or 9; 1 or 2
  int64_t cols = 0;                // of y
  // The `kernel` rows under the kernel, each [(cols - 1) * stride + kernel, channels] from the
  // first pixel under it on; zeros stand where the image ends.
  const float* lines[kMaxDepthwiseKernel] = {};
  const float* weight = nullptr;  // [kernel * kernel, channels]
  const float* bias = nullptr;    // [channels]
  bool add_centre = false;        // adds the pixel under the kernel's centre after the activation
  float* y = nullptr;             // [cols, channels]
};

struct SiluDepthwiseCpuKernels {
  const char* isa;
  void (*row)(const SiluDepthwiseRow&);
};
const SiluDepthwiseCpuKernels& SelectSiluDepthwiseCpuKernels();

}  // namespace avocet::kernels
