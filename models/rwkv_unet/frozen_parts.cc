// SPDX-License-Identifier: Apache-2.0
#include "models/rwkv_unet/frozen_parts.h"

#include <ATen/ATen.h>

namespace avocet::models {

using kernels::AlignedBuffer;
using kernels::PackedLinear;
using kernels::PaddedChannels;

at::Tensor Freezer::P(const std::string& name) const {
  return parameters_.Get(name).detach().to(at::kCPU, at::kDouble).contiguous();
}

Freezer::Affine Freezer::BatchNorm(const std::string& name) const {
  const at::Tensor scale =
      P(name + ".weight") / (P(name + ".running_var") + kRwkvUnetBatchNormEps).sqrt();
  return {scale, P(name + ".bias") - P(name + ".running_mean") * scale};
}

AlignedBuffer<float> Freezer::Padded(const at::Tensor& vector) const {
  const at::Tensor flat = vector.flatten().to(at::kFloat).contiguous();
  AlignedBuffer<float> padded(PaddedChannels(flat.numel()));
  std::copy_n(flat.const_data_ptr<float>(), flat.numel(), padded.data());
  return padded;
}

FrozenNorm Freezer::Norm(const std::string& name, double eps) const {
  const at::Tensor weight = P(name + ".weight");
  return {weight.numel(), Padded(weight), Padded(P(name + ".bias")), static_cast<float>(eps)};
}

FrozenNorm Freezer::PlainNorm(int64_t channels, double eps) const {
  const at::Tensor ones = at::ones({channels}, at::kDouble);
  return {channels, Padded(ones), Padded(at::zeros_like(ones)), static_cast<float>(eps)};
}

PackedLinear Freezer::Pack(const at::Tensor& weight, const at::Tensor& bias) const {
  const at::Tensor w = weight.contiguous();
  std::vector<double> b;
  if (bias.defined()) {
    const at::Tensor flat = bias.contiguous();
    b.assign(flat.const_data_ptr<double>(), flat.const_data_ptr<double>() + flat.numel());
  }
  return {w.size(1), w.size(0), w.const_data_ptr<double>(), b, bfloat16_};
}

void Freezer::Expansion(const RwkvUnetBlock& block, at::Tensor& weight, at::Tensor& bias) const {
  const Affine after = BatchNorm(block.name + ".conv.norm");
  weight = Matrix(block.name + ".conv.conv.weight");
  bias = after.offset;
  weight = after.scale.unsqueeze(1) * weight;
  if (block.norm == RwkvUnetBlock::Norm::kBatch) {
    const Affine before = BatchNorm(block.name + ".norm");
    bias = bias + at::mv(weight, before.offset);
    weight = weight * before.scale;
  } else if (block.norm == RwkvUnetBlock::Norm::kLayer) {
    bias = bias + at::mv(weight, P(block.name + ".norm.norm.bias"));
    weight = weight * P(block.name + ".norm.norm.weight");
  }
}

void Freezer::Depthwise(const std::string& p, int kernel, int stride,
                        kernels::LocalBlock& local) const {
  const Affine after = BatchNorm(p + ".norm");
  const at::Tensor weight = Matrix(p + ".conv.weight") * after.scale.unsqueeze(1);
  const int64_t channels = weight.size(0), padded = PaddedChannels(channels);
  at::Tensor packed = at::zeros({weight.size(1), padded}, at::kDouble);
  packed.narrow(1, 0, channels).copy_(weight.t());
  local.channels = channels;
  local.kernel = kernel, local.stride = stride;
  local.weight = Padded(packed);
  local.bias = Padded(after.offset);
}

FrozenStem Freezer::Stem(const RwkvUnetBlock& stem, const RwkvUnetBlock& next) const {
  FrozenStem frozen;
  at::Tensor weight, bias;
  Expansion(stem, weight, bias);
  kernels::LocalBlock local;
  Depthwise(stem.name + ".conv_local", kRwkvUnetKernel, 1, local);
  const std::string se = stem.name + ".se.";
  const at::Tensor reduce = Matrix(se + "conv_reduce.weight"),
                   excite = Matrix(se + "conv_expand.weight");
  const at::Tensor reduce_bias = P(se + "conv_reduce.bias"),
                   excite_bias = P(se + "conv_expand.bias");
  for (int out = 0; out < kernels::kStemPlanes; ++out) {
    for (int in = 0; in < kernels::kStemPlanes; ++in) {
      frozen.row.expand[out][in] = weight[out][in].item<float>();
      frozen.reduce[out][in] = reduce[out][in].item<double>();
      frozen.excite[out][in] = excite[out][in].item<double>();
    }
    frozen.row.expand_bias[out] = bias[out].item<float>();
    frozen.reduce_bias[out] = reduce_bias[out].item<double>();
    frozen.excite_bias[out] = excite_bias[out].item<double>();
    for (int64_t tap = 0; tap < kRwkvUnetKernel * kRwkvUnetKernel; ++tap) {
      frozen.row.weight[out][tap] = local.weight[tap * PaddedChannels(local.channels) + out];
    }
    frozen.row.bias[out] = local.bias[out];
  }
  Expansion(next, weight, bias);
  frozen.expand = at::mm(weight, Matrix(stem.name + ".proj.conv.weight"));
  frozen.expand_bias = bias;
  return frozen;
}

FrozenBlock Freezer::Block(const RwkvUnetBlock& block) const {
  const std::string& p = block.name;
  FrozenBlock frozen;
  frozen.name = p;
  frozen.stage = p[std::string("encoder.stage").size()] - '0';
  frozen.attention = block.attention;
  frozen.residual = block.residual;
  if (block.norm == RwkvUnetBlock::Norm::kLayer) {
    frozen.input_norm = PlainNorm(block.in, kRwkvUnetLayerNorm2dEps);
  }
  at::Tensor weight, bias;
  Expansion(block, weight, bias);
  (block.attention ? frozen.expand : frozen.local.expand) = Pack(weight, bias);
  Depthwise(p + ".conv_local", kRwkvUnetKernel, block.stride, frozen.local);
  frozen.local.add_centre = block.residual;
  frozen.local.project = Pack(Matrix(p + ".proj.conv.weight"));
  if (!block.attention) return frozen;

  FrozenAttention& mix = frozen.mix;
  const char* names[3] = {"key", "value", "receptance"};
  const char* letters[3] = {"k", "v", "r"};
  for (int n = 0; n < 3; ++n) {
    mix.keep[n] = Padded(P(p + ".att.spatial_mix_" + letters[n]));
    mix.maps[n] = Pack(P(p + ".att." + names[n] + ".weight"));
  }
  mix.output = Pack(P(p + ".att.output.weight"));
  mix.key_norm = Norm(p + ".att.key_norm", kRwkvUnetTokenNormEps);
  mix.norm = Norm(p + ".ln1", kRwkvUnetTokenNormEps);
  const int64_t pad = PaddedChannels(block.mid) - block.mid;
  const auto padded = [&](const std::string& name) {
    return at::constant_pad_nd(P(p + name), {0, pad}).to(at::kFloat).contiguous();
  };
  mix.decay = padded(".att.spatial_decay");
  mix.first = padded(".att.spatial_first");
  return frozen;
}

FrozenMixer Freezer::Mixer() const {
  FrozenMixer mixer;
  for (int n = 0; n < 3; ++n) {
    const std::string p = "ccm.projections." + std::to_string(n);
    mixer.projections[n] = Pack(Matrix(p + ".weight"), P(p + ".bias"));
  }
  mixer.part = mixer.projections[0].out();
  TORCH_CHECK(mixer.part % kernels::kChannelPad == 0, "RWKV-UNet: the mixer's parts have ",
              mixer.part, " channels, which is no multiple of ", kernels::kChannelPad);
  const std::string p = "ccm.channel.";
  mixer.keep[0] = Padded(P(p + "spatial_mix_k"));
  mixer.keep[1] = Padded(P(p + "spatial_mix_r"));
  mixer.key = Pack(P(p + "key.weight"));
  mixer.receptance = Pack(P(p + "receptance.weight"));
  const at::Tensor value = P(p + "value.weight");
  mixer.value = Pack(value * P(p + "key_norm.weight"), at::mv(value, P(p + "key_norm.bias")));
  mixer.key_norm = PlainNorm(mixer.key.out(), kRwkvUnetTokenNormEps);
  mixer.norm = Norm("ccm.ln1", kRwkvUnetTokenNormEps);
  return mixer;
}

kernels::LocalBlock Freezer::Decoder(int stage) const {
  const std::string p = "decoder" + std::to_string(stage);
  const Affine first = BatchNorm(p + ".conv.norm"), last = BatchNorm(p + ".proj.norm");
  at::Tensor weight = first.scale.unsqueeze(1) * Matrix(p + ".conv.conv.weight");
  at::Tensor bias = first.offset;
  const int64_t channels = weight.size(0);
  if (stage > 1) {
    const std::string skip = "ccm.final_projections." + std::to_string(stage - 2);
    const at::Tensor last_projection = Matrix(skip + ".weight");
    const int64_t width = last_projection.size(0);  // of the skip, and of the stage before
    const at::Tensor before = weight.narrow(1, 0, width), beside = weight.narrow(1, width, width);
    bias = bias + at::mv(beside, P(skip + ".bias"));
    weight = at::cat({at::constant_pad_nd(before, {0, PaddedChannels(width) - width}),
                      at::mm(beside, last_projection)},
                     1);
  }
  kernels::LocalBlock local;
  local.expand = Pack(weight, bias);
  Depthwise(p + ".conv_local", kRwkvUnetDecoderKernel, 1, local);
  TORCH_INTERNAL_ASSERT(local.channels == channels);
  local.project = Pack(last.scale.unsqueeze(1) * Matrix(p + ".proj.conv.weight"), last.offset);
  local.activation = kernels::LinearActivation::kRelu;
  return local;
}

kernels::PackedLinear Freezer::Head() const {
  const at::Tensor weight = Matrix("final_conv.weight");
  const at::Tensor bias = P("final_conv.bias");
  return {weight.size(1), weight.size(0), weight.const_data_ptr<double>(),
          std::vector<double>(bias.const_data_ptr<double>(),
                              bias.const_data_ptr<double>() + bias.numel())};
}

}  // namespace avocet::models
