// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <utility>

namespace avocet::kernels {

// How an odd side is extended by one row or column at its end.
enum class HaarPadding { kZero, kSymmetric };

// One level of the orthonormal Haar transform (shared/spec/fs_rwkv.md 3.3). image: [B, C, H, W],
// float32 or float64. Returns the low band [B, C, h, w] and the three others [B, 3 C, h, w] with
// h = ceil(H / 2), w = ceil(W / 2); channel 3 c + b of the second is band b of channel c in the
// order LH (top minus bottom), HL (left minus right), HH. Channels-last memory. Differentiable.
std::pair<at::Tensor, at::Tensor> HaarForward(const at::Tensor& image,
                                              HaarPadding padding = HaarPadding::kSymmetric);

// The inverse: [B, C, h, w] and [B, 3 C, h, w] to [B, C, 2 h, 2 w]. Differentiable.
at::Tensor HaarInverse(const at::Tensor& low, const at::Tensor& high);

// For inference: first[b] * HaarInverse(low, high) + second[b] * image in one pass; first, second:
// [B], image: [B, C, 2 h, 2 w]. No gradient.
at::Tensor HaarInverseMix(const at::Tensor& low, const at::Tensor& high, const at::Tensor& image,
                          const at::Tensor& first, const at::Tensor& second);

// Both are registered as torch.ops.avocet.haar_forward (even sides) and haar_inverse. Throw
// c10::Error naming the offending shape.

}  // namespace avocet::kernels
