// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <string>

#include "kernels/linear_cpu.h"
#include "kernels/local_block.h"
#include "kernels/stem_cpu.h"
#include "models/parameters.h"
#include "models/rwkv_unet/layers.h"

namespace avocet::models {

// Parts of RWKV-UNet for inference: constants computed and laid out once. Images of all parts are
// [rows, cols, channels padded with zeros to kernels::kChannelPad], float32.

struct FrozenNorm {
  int64_t channels = 0;
  kernels::AlignedBuffer<float> weight, bias;
  float eps = 0;
};

// SpatialMix with the LayerNorm and the addition behind it.
struct FrozenAttention {
  kernels::AlignedBuffer<float> keep[3];  // of key, value, receptance
  kernels::PackedLinear maps[3], output;
  FrozenNorm key_norm, norm;
  at::Tensor decay, first;  // [padded channels], not yet divided by the tokens
};

struct FrozenBlock {
  std::string name;
  int stage = 0;
  FrozenNorm input_norm;  // no channels: none
  bool attention = false, residual = false;
  kernels::PackedLinear expand;  // with attention; otherwise `local` has it
  FrozenAttention mix;
  kernels::LocalBlock local;
};

// The stem up to its squeeze-excite. Its last convolution, linear, is part of the next block's
// first one: `expand` [96, 3] takes the excited planes.
struct FrozenStem {
  kernels::StemRow row;                                     // constants only
  std::array<std::array<double, 3>, 3> reduce{}, excite{};  // [out][in]
  std::array<double, 3> reduce_bias{}, excite_bias{};
  at::Tensor expand, expand_bias;  // double
};

struct FrozenMixer {  // CCM
  int64_t part = 0;   // channels of one of the three parts
  kernels::PackedLinear projections[3];
  kernels::AlignedBuffer<float> keep[2];  // of key, receptance
  kernels::PackedLinear key, receptance, value;
  FrozenNorm key_norm;  // without scale and offset: `value` has them
  FrozenNorm norm;
};

// Folding, in double.
class Freezer {
 public:
  Freezer(const ParameterStore& parameters, bool bfloat16)
      : parameters_(parameters), bfloat16_(bfloat16) {}

  FrozenStem Stem(const RwkvUnetBlock& stem, const RwkvUnetBlock& next) const;
  FrozenBlock Block(const RwkvUnetBlock& block) const;
  FrozenMixer Mixer() const;
  // Decoder stage 1 to 4. Its input is the stage before, enlarged, and the part of the mixer's
  // result that belongs to the skip; the mixer's final projection is folded in.
  kernels::LocalBlock Decoder(int stage) const;
  kernels::PackedLinear Head() const;

 private:
  at::Tensor P(const std::string& name) const;  // double, detached
  at::Tensor Matrix(const std::string& name) const { return P(name).flatten(1); }
  struct Affine {
    at::Tensor scale, offset;
  };
  Affine BatchNorm(const std::string& name) const;
  FrozenNorm Norm(const std::string& name, double eps) const;
  FrozenNorm PlainNorm(int64_t channels, double eps) const;
  kernels::PackedLinear Pack(const at::Tensor& weight, const at::Tensor& bias = {}) const;
  kernels::AlignedBuffer<float> Padded(const at::Tensor& vector) const;
  // 1x1 convolution `p`.conv and batch norm of a block, with its input norm folded in.
  void Expansion(const RwkvUnetBlock& block, at::Tensor& weight, at::Tensor& bias) const;
  void Depthwise(const std::string& p, int kernel, int stride, kernels::LocalBlock& local) const;

  const ParameterStore& parameters_;
  bool bfloat16_;
};

}  // namespace avocet::models
