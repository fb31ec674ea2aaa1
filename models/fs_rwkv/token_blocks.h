// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>

#include "models/forward_options.h"
#include "models/parameters.h"

namespace avocet::models {

// The grid on which FSO-Shift places the tokens of a block.
struct TokenGrid {
  int64_t rows = 0, cols = 0;
};

// The CRB blocks of FS-RWKV (shared/spec/fs_rwkv.md 2) on tokens [B, T, C], T = rows * cols.
// Holds references only.
class FsTokenBlocks {
 public:
  FsTokenBlocks(const ParameterStore& parameters, WkvMode mode, const ForwardOptions& options)
      : parameters_(parameters), mode_(mode), options_(options) {}

  // The block whose tensors begin with `name`, as differentiable operations.
  at::Tensor Block(const std::string& name, const at::Tensor& tokens, TokenGrid grid) const;

  // The same with few tensors kept for the gradient, for float32 on the CPU. Reports nothing.
  at::Tensor TrainingBlock(const std::string& name, const at::Tensor& tokens, TokenGrid grid) const;

  // The same without gradients, for float32 on the CPU: `tokens`, contiguous, become the result.
  void BlockInPlace(const std::string& name, at::Tensor& tokens, TokenGrid grid) const;

 private:
  const at::Tensor& P(const std::string& name) const { return parameters_.Get(name); }
  void Report(const std::string& name, const at::Tensor& value) const;
  at::Tensor LayerNorm(const std::string& name, const at::Tensor& x) const;
  at::Tensor SpatialMix(const std::string& p, const at::Tensor& x, TokenGrid grid) const;
  at::Tensor ChannelMix(const std::string& p, const at::Tensor& x, TokenGrid grid) const;

  const ParameterStore& parameters_;
  WkvMode mode_;
  const ForwardOptions& options_;
};

}  // namespace avocet::models
