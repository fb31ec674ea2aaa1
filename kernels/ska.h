// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

namespace avocet::kernels {

// Small-kernel aggregation of FS-RWKV's LSConv (shared/spec/fs_rwkv.md 6.2): a depthwise 3 x 3
// convolution with zero border whose kernel differs from pixel to pixel and is shared by 8
// consecutive channels,
//
//   y[c, y, x] = SUM_m kernel[9 (c / 8) + m, y, x] x[c, y + m / 3 - 1, x + m % 3 - 1].
//
// x: [B, C, H, W], C a multiple of 8; kernel: [B, 9 C / 8, H, W]; both float32 or both float64.
// Returns [B, C, H, W] in channels-last memory; best when the arguments are so too. Differentiable.
// Results do not depend on the number of threads. Throws c10::Error naming the offending value.
// Registered as torch.ops.avocet.ska.
at::Tensor Ska(const at::Tensor& x, const at::Tensor& kernel);

// For inference: Ska(x, kernel * kernel_scale + kernel_shift) * scale + shift + x in one pass over
// memory. kernel_scale, kernel_shift: [B, 9 C / 8]; scale, shift: [C]. No gradient.
at::Tensor SkaNormAdd(const at::Tensor& x, const at::Tensor& kernel, const at::Tensor& kernel_scale,
                      const at::Tensor& kernel_shift, const at::Tensor& scale,
                      const at::Tensor& shift);

}  // namespace avocet::kernels
