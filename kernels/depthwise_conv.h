// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace avocet::kernels {

// True when DepthwiseConv takes these tensors: CPU, x [N, C, H, W] in float32 or bfloat16, weight
// [C, 1, k, k] in float32 with k one of 3, 5, 7, 9, stride 1 or 2, 0 <= padding < k.
bool DepthwiseConvSupports(const at::Tensor& x, const at::Tensor& weight, int64_t stride,
                           int64_t padding);

// at::conv2d with groups = C, forward and backward, for channels-last memory: what LibTorch's CPU
// build is slow at (its gradients by a factor of 5 to 20). Sums are in float32 whatever x's type;
// the result has x's type; gradients do not depend on the number of threads. Zero padding.
// Throws c10::Error when DepthwiseConvSupports is false.
at::Tensor DepthwiseConv(const at::Tensor& x, const at::Tensor& weight, int64_t stride,
                         int64_t padding);

}  // namespace avocet::kernels
