// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace avocet::kernels {

// Depthwise convolution on plain channels-last memory [N, H, W, C]. Weights and their gradient are
// float32, packed as [kernel * kernel][blocks * 16] with zeros beyond the last channel. All sums
// are in float32.
constexpr int64_t kDepthwiseBlock = 16;  // channels

struct DepthwiseArgs {
  int64_t batch = 0, channels = 0;
  int64_t in_rows = 0, in_cols = 0, out_rows = 0, out_cols = 0;
  int64_t kernel = 0, stride = 1, padding = 0;
  bool bfloat16 = false;  // type of the four activation pointers; float32 otherwise
  const void* x = nullptr;
  const float* w = nullptr;
  void* y = nullptr;         // forward
  const void* gy = nullptr;  // backward
  void* gx = nullptr;
  float* gw = nullptr;  // overwritten

  int64_t Blocks() const { return (channels + kDepthwiseBlock - 1) / kDepthwiseBlock; }
};

struct DepthwiseCpuKernels {
  const char* isa;
  // task = n * Blocks() + block
  void (*forward)(const DepthwiseArgs&, int64_t task);
  // task = block; sums over the batch in order, so the result does not depend on threads.
  void (*backward)(const DepthwiseArgs&, int64_t task);
};

// For the best instruction set of this processor; AVOCET_ISA asks for a lesser one.
const DepthwiseCpuKernels& SelectDepthwiseCpuKernels();

}  // namespace avocet::kernels
