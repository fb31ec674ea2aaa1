// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

namespace avocet::kernels {

// What tokens beyond the border of a row contribute to Bi-WKV (kernels/bi_wkv.h), so that a slab of
// a volume or a row after a prompt continues the scan of its neighbour. [B, C] each, finite:
//
//   weight = SUM_i e^{k_i - w (d_i - 1)},   value = ( SUM_i e^{k_i - w (d_i - 1)} v_i ) / weight
//
// over the tokens beyond, with d_i the distance of token i from the border's token inside.
// This is one token with k = log_weight and v = value next to the border. It is kept as a logarithm
// so that no decay or outlier leaves the range of float32.
struct WkvBorder {
  at::Tensor log_weight;
  at::Tensor value;
};

// The definition (split 0) with what lies to the left of token 0 and to the right of token T - 1;
// none where empty. Shapes and types as BiWkv; the borders are float32 beside half precision (k and
// v are then computed in float32), else of the type of k. Differentiable in all arguments, borders
// included. Throws c10::Error naming the offending value.
at::Tensor BiWkvBetween(const at::Tensor& w, const at::Tensor& u, const at::Tensor& k,
                        const at::Tensor& v, const std::optional<WkvBorder>& left,
                        const std::optional<WkvBorder>& right);

// What a row is to its right neighbour (as the `left` of that one), with what lies to its own left;
// of the state's type. Differentiable.
WkvBorder WkvToTheRight(const at::Tensor& w, const at::Tensor& k, const at::Tensor& v,
                        const std::optional<WkvBorder>& left);
// The mirror image.
WkvBorder WkvToTheLeft(const at::Tensor& w, const at::Tensor& k, const at::Tensor& v,
                       const std::optional<WkvBorder>& right);

// Registered as torch.ops.avocet.bi_wkv_between(w, u, k, v, left_log_weight, left_value,
// right_log_weight, right_value) and torch.ops.avocet.bi_wkv_border(w, k, v, to_the_left,
// log_weight, value) -> (log_weight, value).

}  // namespace avocet::kernels
