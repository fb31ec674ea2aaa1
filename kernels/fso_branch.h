// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace avocet::kernels {

// The two residual branches of a token block of FS-RWKV (shared/spec/fs_rwkv.md 2) for training:
// one differentiable operation each, which keeps few tensors for its gradient and computes the rest
// anew in bands of tokens. x: [B, height * width, C], float32 on the CPU; parameters float32 with
// the shapes of the official state dictionary. Gradients are exact (those of the selected WKV
// arithmetic) and flow to every tensor below; matrix gradients do not depend on the number of
// threads.

struct SpatialBranchWeights {
  at::Tensor norm_weight, norm_bias;        // [C]
  at::Tensor mix_k, mix_v, mix_r;           // C elements each
  at::Tensor key, value, receptance;        // [C, C]
  at::Tensor spatial_decay, spatial_first;  // [C], not divided by T
  at::Tensor output;                        // [C, C]
  at::Tensor gamma;                         // [C]
};
// x + gamma * SpatialMix(LayerNorm(x)); `split` as for BiWkv.
at::Tensor SpatialBranch(const at::Tensor& x, const SpatialBranchWeights& weights, int64_t height,
                         int64_t width, int64_t split);

struct ChannelBranchWeights {
  at::Tensor norm_weight, norm_bias;  // [C]
  at::Tensor mix_k, mix_r;            // C elements each
  at::Tensor key;                     // [N, C]
  at::Tensor receptance;              // [C, C]
  at::Tensor value;                   // [C, N]
  at::Tensor gamma;                   // [C]
};
// x + gamma * ChannelMix(LayerNorm(x)).
at::Tensor ChannelBranch(const at::Tensor& x, const ChannelBranchWeights& weights, int64_t height,
                         int64_t width);

}  // namespace avocet::kernels
