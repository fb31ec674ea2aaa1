// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "models/parameters.h"
#include "models/rwkv_unet/rwkv_unet.h"

namespace avocet::models {

constexpr int kRwkvUnetKernel = 5;         // depthwise convolutions of the encoder
constexpr int kRwkvUnetDecoderKernel = 9;  // of the decoder
constexpr double kRwkvUnetBatchNormEps = 1e-6;
constexpr double kRwkvUnetLayerNorm2dEps = 1e-6;
constexpr double kRwkvUnetTokenNormEps = 1e-5;

// One inverted-residual block of the encoder (rwkv_unet.md section 5).
struct RwkvUnetBlock {
  enum class Norm { kNone, kBatch, kLayer };

  std::string name;  // prefix of its tensors
  int in, mid, out, stride;
  Norm norm;
  bool attention, residual, squeeze_excite;
  double drop_path;
};

// The layers of RWKV-UNet as functions of named tensors. Images are [B, C, H, W], best in
// channels-last memory, so that the token form [B, H, W, C] is the same memory. Holds references
// only.
class RwkvUnetLayers {
 public:
  RwkvUnetLayers(const ParameterStore& parameters, WkvMode mode, const ForwardOptions& options)
      : parameters_(parameters), mode_(mode), options_(options) {}

  at::Tensor Glsp(const RwkvUnetBlock& block, const at::Tensor& x) const;

  // Cross-channel mix of the encoder outputs at 1/8, 1/4 and 1/2 resolution; returns the three
  // skips in the same order, each with the size and width of its input.
  std::vector<at::Tensor> CrossChannelMix(const at::Tensor& enc3, const at::Tensor& enc2,
                                          const at::Tensor& enc1) const;

  // Decoder stage `p`; doubles the resolution.
  at::Tensor Decoder(const std::string& p, const at::Tensor& x) const;

  // x: [B, H, W, C]. Quarter by quarter of the channels the left, right, upper and lower neighbour;
  // zero outside. Group borders are floor(n C / 4).
  static at::Tensor QShift(const at::Tensor& x);

  const at::Tensor& P(const std::string& name) const { return parameters_.Get(name); }
  void Report(const std::string& name, const at::Tensor& value) const;

 private:
  at::Tensor BatchNorm(const std::string& name, const at::Tensor& x) const;
  // Over the last axis.
  at::Tensor LayerNorm(const std::string& name, const at::Tensor& x, double eps) const;
  at::Tensor DropPath(const at::Tensor& x, double rate) const;
  // 1x1 convolution. Training takes the matrix product over channels-last memory, whose gradients
  // are faster by a factor of 2 to 8 on the CPU; evaluation keeps the convolution.
  at::Tensor Pointwise(const at::Tensor& x, const std::string& weight,
                       const std::string& bias = {}) const;
  at::Tensor DepthwiseConv(const std::string& name, const at::Tensor& x, int kernel,
                           int stride) const;
  // x: [B, H, W, C].
  at::Tensor SpatialMix(const std::string& p, const at::Tensor& x) const;
  at::Tensor ChannelMix(const std::string& p, const at::Tensor& x) const;
  at::Tensor SqueezeExcite(const std::string& p, const at::Tensor& x) const;

  const ParameterStore& parameters_;
  WkvMode mode_;
  const ForwardOptions& options_;
};

}  // namespace avocet::models
