// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

namespace avocet::kernels {

// x times the transpose of `weight`, plus `bias` unless it is undefined, as at::linear: x [...,
// in], weight [out, in], bias [out]; for inference. In float32 on the CPU the rows are computed in
// bands whose height depends on `in` alone, each band on one thread, so that the number of threads
// changes no bit; at::linear leaves the split to MKL, whose result depends on it on some
// processors. Other tensors go to at::linear.
at::Tensor BandedLinear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias = {});

}  // namespace avocet::kernels
