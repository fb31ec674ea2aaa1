// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <tuple>

namespace avocet::kernels {

// The token blocks of FS-RWKV for inference (shared/spec/fs_rwkv.md 2), fused: LayerNorm,
// FSO-Shift, the mixes with the shifted tokens and the matrix products behind them run over bands
// of some hundred tokens that stay in the cache, so that none of the mixed inputs is ever a whole
// tensor. No gradients. Results do not depend on the number of threads.

// x: [B, height * width, C] contiguous float32 on the CPU; the mixed input of branch j is
// norm(x) + keep[j] * (FSO(norm(x)) - norm(x)).
struct FsoMixInput {
  at::Tensor x;
  at::Tensor norm_weight, norm_bias;  // [C]
  double eps = 1e-5;
  int64_t height = 0, width = 0;
  at::Tensor keep;  // [branches, C], 1 - spatial_mix
};

// Three branches: the mixed inputs times key, value and receptance ([N, C] each) transposed,
// [B, T, N] each. Registered as torch.ops.avocet.fso_mix_linear.
std::tuple<at::Tensor, at::Tensor, at::Tensor> FsoMixLinear(const FsoMixInput& input,
                                                            const at::Tensor& key,
                                                            const at::Tensor& value,
                                                            const at::Tensor& receptance);

// x += (sigmoid(gate) * y) output^T; x, gate, y: [B, T, C], output: [C, C].
void GatedLinearAdd(at::Tensor& x, const at::Tensor& gate, const at::Tensor& y,
                    const at::Tensor& output);

// x += sigmoid(mixed_1 receptance^T) * (max(0, mixed_0 key^T)^2 value^T) in place, x = input.x and
// two branches; key: [N, C], receptance: [C, C], value: [C, N].
void FsoChannelMix(FsoMixInput& input, const at::Tensor& key, const at::Tensor& receptance,
                   const at::Tensor& value);

}  // namespace avocet::kernels
