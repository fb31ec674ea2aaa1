// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace avocet::kernels {

// Which arithmetic `split` selects.
constexpr int64_t kWkvExact = 0;
constexpr int64_t kWkvOfficial32 = 32;  // RWKV-UNet, Vision-RWKV
constexpr int64_t kWkvOfficial64 = 64;  // FS-RWKV

// Bidirectional WKV of Vision-RWKV (Duan et al., ICLR 2025), linear in the number of tokens:
//
//   y_t = ( SUM_{i != t} e^{k_i - w (|t-i| - 1)} v_i + e^{u + k_t} v_t ) / (same with v = 1)
//
// w, u: [C]; k, v: [B, T, C], any B >= 0, T >= 1, C >= 1, any strides. All four of one type,
// float32, float64, bfloat16 or float16, on one device; w and u may be float32 beside half
// precision, whose sums are float32 and whose results are rounded once. Returns y, [B, T, C]
// contiguous. w and u enter as they are: networks pass spatial_decay / T and spatial_first / T. w
// may be negative.
//
// split = 0 is the definition above. split = 32 or 64 is what the official CUDA kernel computes
// with that many token chunks, its epsilon included (shared/spec/rwkv_unet.md 1.2 and 1.3); use it
// with official checkpoints.
//
// Differentiable in all arguments. The gradient is that of the selected forward; with
// `official_gradient` (split > 0 only) the k and v gradients are those the official backward kernel
// returns, which are not the derivative of its forward.
//
// Results do not depend on the number of threads, to the last bit. Throws c10::Error naming the
// offending value. Registered as torch.ops.avocet.bi_wkv.
at::Tensor BiWkv(const at::Tensor& w, const at::Tensor& u, const at::Tensor& k, const at::Tensor& v,
                 int64_t split = kWkvExact, bool official_gradient = false);

}  // namespace avocet::kernels
