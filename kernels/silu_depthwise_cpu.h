// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace avocet::kernels {

constexpr int64_t kMaxDepthwiseKernel = 9;

constexpr int64_t kMaxDepthwiseRows = 16;

// Some rows of y = silu(depthwise(x) + bias), for inference. Channels are padded (kChannelPad).
struct SiluDepthwiseRows {
  int64_t channels = 0;
  int64_t kernel = 0, stride = 1;  // 5 or 9; 1 or 2
  int64_t rows = 0, cols = 0;      // of y; at most kMaxDepthwiseRows
  // The input's rows from the first one under the kernel on, kernel + (rows - 1) stride of them,
  // each
  // [(cols - 1) * stride + kernel, channels] from the first pixel under the kernel on; zeros stand
  // where the image ends.
  const float* lines[kMaxDepthwiseKernel + (kMaxDepthwiseRows - 1) * 2] = {};
  const float* weight = nullptr;  // [kernel * kernel, channels]
  const float* bias = nullptr;    // [channels]
  bool add_centre = false;        // adds the pixel under the kernel's centre after the activation
  float* y = nullptr;             // [rows, cols, channels]
};

struct SiluDepthwiseCpuKernels {
  const char* isa;
  void (*rows)(const SiluDepthwiseRows&);
};
const SiluDepthwiseCpuKernels& SelectSiluDepthwiseCpuKernels();

}  // namespace avocet::kernels
