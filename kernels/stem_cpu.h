// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>

namespace avocet::kernels {

// The first layers of RWKV-UNet: 1x1 convolution of three planes to three and ReLU, depthwise 5 x 5
// convolution and SiLU; batch norms folded in.
constexpr int kStemPlanes = 3;
constexpr int kStemKernel = 5;
constexpr int64_t kStemPixel = 4;  // floats of a pixel of the result; the last is zero

struct StemRow {
  int64_t rows = 0, cols = 0;
  const float* planes[kStemPlanes] = {};                             // [rows, cols] each
  std::array<std::array<float, kStemPlanes>, kStemPlanes> expand{};  // [out][in]
  std::array<float, kStemPlanes> expand_bias{};
  std::array<std::array<float, kStemKernel * kStemKernel>, kStemPlanes> weight{};
  std::array<float, kStemPlanes> bias{};
  // [rows + 4, cols + 4] each, zeros around.
  float* middle[kStemPlanes] = {};
  float* y = nullptr;  // [rows, cols, kStemPixel]
};

struct StemCpuKernels {
  const char* isa;
  void (*expand)(const StemRow&, int64_t row);  // one row of `middle`
  // One row of y; sums receives the sums of its channels.
  void (*depthwise)(const StemRow&, int64_t row, double* sums);
};
const StemCpuKernels& SelectStemCpuKernels();

}  // namespace avocet::kernels
