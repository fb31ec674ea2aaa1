// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <tuple>

namespace avocet::kernels {

// The operators of FS-RWKV as LibTorch operations, for devices without a kernel of their own:
// registered for CUDA. Arguments and results are those of fso_shift.h, ska.h and haar.h (even
// sides), any floating type; no gradients of their own.
at::Tensor ComposedFsoShift(const at::Tensor& x, int64_t height, int64_t width);
at::Tensor ComposedFsoShiftBackward(const at::Tensor& grad, int64_t height, int64_t width);
at::Tensor ComposedSka(const at::Tensor& x, const at::Tensor& kernel);
std::tuple<at::Tensor, at::Tensor> ComposedSkaBackward(const at::Tensor& grad, const at::Tensor& x,
                                                       const at::Tensor& kernel);
std::tuple<at::Tensor, at::Tensor> ComposedHaarForward(const at::Tensor& image);
at::Tensor ComposedHaarInverse(const at::Tensor& low, const at::Tensor& high);

}  // namespace avocet::kernels
