// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "kernels/group_norm_cpu.h"

namespace avocet::kernels {

// GroupNorm (Wu and He 2018) for channels-last memory, with sums in double: LibTorch's
// channels-last kernel sums squares in float32, which costs FS-RWKV a digit at 256 x 256. x: [B, C,
// H, W], float32 or float64, C a multiple of `groups`; weight, bias: [C]. Returns channels-last
// memory. Differentiable. Results do not depend on the number of threads. Throws c10::Error naming
// the offending shape.
at::Tensor GroupNorm(const at::Tensor& x, int64_t groups, const at::Tensor& weight,
                     const at::Tensor& bias, double eps);

// The same as a factor and a summand for every image and channel, [B, C] each. No gradient.
struct ChannelAffine {
  at::Tensor scale, shift;
};
ChannelAffine GroupNormAffine(const at::Tensor& x, int64_t groups, const at::Tensor& weight,
                              const at::Tensor& bias, double eps);

// x = activation(x * scale + shift) in place; x: [B, C, H, W] in channels-last memory. No gradient.
void ApplyInPlace(at::Tensor& x, const ChannelAffine& affine, Activation activation);

}  // namespace avocet::kernels
