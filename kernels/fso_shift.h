// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace avocet::kernels {

// FSO-Shift of FS-RWKV (shared/spec/fs_rwkv.md 3): every channel takes a fixed mix of itself, of
// its neighbour at one of 16 offsets, and of the same shift applied to the low-pass band of its
// Haar transform. All weights are the official constants (1/2); the wavelet transform is folded
// into a stencil of nine taps.
//
// x: [B, height * width, C] tokens in raster order, float32 or float64, any strides, B >= 0,
// C >= 1, height and width >= 1 (odd sides go through the zero-extended transform and bilinear
// resize of the official code, section 3.5). Returns the same shape, contiguous. Differentiable;
// the gradient is the exact adjoint.
//
// Results do not depend on the number of threads. Throws c10::Error naming the offending value.
// Registered as torch.ops.avocet.fso_shift.
at::Tensor FsoShift(const at::Tensor& x, int64_t height, int64_t width);

// The adjoint: the gradient of x from that of the result. No gradient of its own.
at::Tensor FsoShiftAdjoint(const at::Tensor& grad, int64_t height, int64_t width);

}  // namespace avocet::kernels
