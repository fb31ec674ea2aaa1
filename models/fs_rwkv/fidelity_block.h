// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <string>

#include "models/forward_options.h"
#include "models/parameters.h"

namespace avocet::models {

// SFEB, the block on the skip connections of FS-RWKV (shared/spec/fs_rwkv.md 6), on images
// [B, C, H, W] with even H and W. Holds references only.
class FsFidelityBlock {
 public:
  // `name` begins the names of its tensors.
  FsFidelityBlock(const ParameterStore& parameters, std::string name, const ForwardOptions& options)
      : parameters_(parameters), name_(std::move(name)), options_(options) {}

  // As differentiable operations.
  at::Tensor Forward(const at::Tensor& image) const;

  // The same for evaluation without gradients, float32 on the CPU: norms folded into their
  // neighbours, activations in place, the inverse wavelet transform and the fusion in one pass.
  at::Tensor Infer(const at::Tensor& image) const;

 private:
  // A BatchNorm with running statistics as a factor and a summand, [C] each.
  struct Folded {
    at::Tensor scale, shift;
  };
  Folded Fold(const std::string& name) const;
  at::Tensor InferSimple(const std::string& p, const at::Tensor& x) const;
  at::Tensor InferLargeSmallConv(const std::string& p, const at::Tensor& x) const;
  at::Tensor InferSeparableConv(const std::string& p, const at::Tensor& x) const;

  const at::Tensor& P(const std::string& name) const { return parameters_.Get(name_ + name); }
  void Report(const std::string& name, const at::Tensor& value) const;
  at::Tensor BatchNorm(const std::string& name, const at::Tensor& x) const;
  at::Tensor GroupNorm(const std::string& name, const at::Tensor& x, int64_t groups) const;
  // LayerNorm over the channels of an image.
  at::Tensor PixelNorm(const std::string& name, const at::Tensor& x) const;
  at::Tensor Pointwise(const std::string& name, const at::Tensor& x, bool bias = false) const;
  at::Tensor Conv(const std::string& name, const at::Tensor& x) const;
  at::Tensor Depthwise(const std::string& name, const at::Tensor& x) const;
  at::Tensor Simple(const std::string& p, const at::Tensor& x) const;
  at::Tensor LargeSmallConv(const std::string& p, const at::Tensor& x) const;
  at::Tensor SeparableConv(const std::string& p, const at::Tensor& x) const;
  at::Tensor LowProcessor(const at::Tensor& low) const;
  at::Tensor HighProcessor(const at::Tensor& high) const;
  // The weights of the wavelet and the spatial branch, [B, 2, 1, 1].
  at::Tensor FusionWeights(const at::Tensor& pooled) const;

  const ParameterStore& parameters_;
  std::string name_;
  const ForwardOptions& options_;
};

}  // namespace avocet::models
