// SPDX-License-Identifier: Apache-2.0
// Order of operations and constants: shared/spec/rwkv_unet.md sections 2 to 8.
#include "models/rwkv_unet/layers.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <array>

#include "kernels/bi_wkv.h"
#include "kernels/depthwise_conv.h"

namespace avocet::models {
namespace {

constexpr double kBatchNormMomentum = 0.1;

constexpr double kCcmDropPath = 0.05;  // unconditional in the official network

at::Tensor Resize(const at::Tensor& x, int64_t height, int64_t width) {
  if (x.size(2) == height && x.size(3) == width) return x;
  return at::upsample_bilinear2d(x, {height, width}, /*align_corners=*/false);
}

}  // namespace

void RwkvUnetLayers::Report(const std::string& name, const at::Tensor& value) const {
  if (options_.hook) (*options_.hook)(name, value);
}

at::Tensor RwkvUnetLayers::BatchNorm(const std::string& name, const at::Tensor& x) const {
  if (options_.training) {
    c10::NoGradGuard no_grad;
    at::Tensor counter = P(name + ".num_batches_tracked");
    counter.add_(1);
  }
  return at::batch_norm(x, P(name + ".weight"), P(name + ".bias"), P(name + ".running_mean"),
                        P(name + ".running_var"), options_.training, kBatchNormMomentum,
                        kRwkvUnetBatchNormEps, /*cudnn_enabled=*/true);
}

at::Tensor RwkvUnetLayers::LayerNorm(const std::string& name, const at::Tensor& x,
                                     double eps) const {
  return at::layer_norm(x, {x.size(-1)}, P(name + ".weight"), P(name + ".bias"), eps);
}

at::Tensor RwkvUnetLayers::DropPath(const at::Tensor& x, double rate) const {
  if (!options_.training || rate <= 0 || options_.generator == nullptr) return x;
  std::vector<int64_t> shape(x.dim(), 1);
  shape[0] = x.size(0);
  const at::Tensor keep = at::empty(shape, x.options()).bernoulli_(1 - rate, *options_.generator);
  return x * (keep / (1 - rate));
}

at::Tensor RwkvUnetLayers::Pointwise(const at::Tensor& x, const std::string& weight,
                                     const std::string& bias) const {
  const at::Tensor b = bias.empty() ? at::Tensor() : P(bias);
  if (!options_.training) return at::conv2d(x, P(weight), b);
  return at::linear(x.permute({0, 2, 3, 1}), P(weight).flatten(1), b).permute({0, 3, 1, 2});
}

at::Tensor RwkvUnetLayers::DepthwiseConv(const std::string& name, const at::Tensor& x, int kernel,
                                         int stride) const {
  const int64_t padding = (kernel - stride + 1) / 2;
  if (options_.training &&
      kernels::DepthwiseConvSupports(x, P(name + ".weight"), stride, padding)) {
    return kernels::DepthwiseConv(x, P(name + ".weight"), stride, padding);
  }
  return at::conv2d(x, P(name + ".weight"), {}, stride, padding, 1, x.size(1));
}

at::Tensor RwkvUnetLayers::QShift(const at::Tensor& x) {
  const int64_t c = x.size(3);
  const int64_t bounds[5] = {0, c / 4, c / 2, c * 3 / 4, c};
  // Padding of constant_pad_nd: last axis first, (before, after) each.
  const std::array<int64_t, 6> pads[4] = {
      {0, 0, 1, -1, 0, 0}, {0, 0, -1, 1, 0, 0}, {0, 0, 0, 0, 1, -1}, {0, 0, 0, 0, -1, 1}};
  // One split: its gradient is one concatenation, where four slices would add four padded tensors.
  const int64_t sizes[4] = {bounds[1], bounds[2] - bounds[1], bounds[3] - bounds[2],
                            bounds[4] - bounds[3]};
  const std::vector<at::Tensor> groups = at::split_with_sizes(x, sizes, 3);
  std::vector<at::Tensor> parts;
  parts.reserve(4);
  for (int n = 0; n < 4; ++n) {
    parts.push_back(at::constant_pad_nd(groups[n], pads[n], 0));
  }
  return at::cat(parts, 3);
}

at::Tensor RwkvUnetLayers::SpatialMix(const std::string& p, const at::Tensor& x) const {
  const int64_t b = x.size(0), h = x.size(1), w = x.size(2), c = x.size(3), t = h * w;
  const at::Tensor shifted = QShift(x);
  const at::Tensor difference = x - shifted;
  const auto mixed = [&](const char* name) {
    return shifted + difference * P(p + ".spatial_mix_" + name).view({c});
  };
  const at::Tensor key = at::linear(mixed("k"), P(p + ".key.weight"));
  const at::Tensor value = at::linear(mixed("v"), P(p + ".value.weight"));
  const at::Tensor gate = at::sigmoid(at::linear(mixed("r"), P(p + ".receptance.weight")));
  const at::Tensor decay = P(p + ".spatial_decay") / static_cast<double>(t);
  const at::Tensor first = P(p + ".spatial_first") / static_cast<double>(t);
  const auto type = decay.scalar_type();  // under autocast k and v come in a smaller type
  at::Tensor y = kernels::BiWkv(decay, first, key.reshape({b, t, c}).to(type),
                                value.reshape({b, t, c}).to(type), static_cast<int64_t>(mode_));
  y = LayerNorm(p + ".key_norm", y.view({b, h, w, c}), kRwkvUnetTokenNormEps);
  return at::linear(gate * y, P(p + ".output.weight"));
}

at::Tensor RwkvUnetLayers::SqueezeExcite(const std::string& p, const at::Tensor& x) const {
  at::Tensor s = x.mean({2, 3}, /*keepdim=*/true);
  s = at::silu(at::conv2d(s, P(p + ".conv_reduce.weight"), P(p + ".conv_reduce.bias")));
  s = at::sigmoid(at::conv2d(s, P(p + ".conv_expand.weight"), P(p + ".conv_expand.bias")));
  return x * s;
}

at::Tensor RwkvUnetLayers::Glsp(const RwkvUnetBlock& block, const at::Tensor& x) const {
  const std::string& p = block.name;
  at::Tensor h = x;
  if (block.norm == RwkvUnetBlock::Norm::kBatch) {
    h = BatchNorm(p + ".norm", x);
  } else if (block.norm == RwkvUnetBlock::Norm::kLayer) {
    h = LayerNorm(p + ".norm.norm", x.permute({0, 2, 3, 1}), kRwkvUnetLayerNorm2dEps)
            .permute({0, 3, 1, 2});
  }
  h = at::relu(BatchNorm(p + ".conv.norm", Pointwise(h, p + ".conv.conv.weight")));
  if (block.attention) {
    const at::Tensor tokens = h.permute({0, 2, 3, 1});
    const at::Tensor mixed =
        LayerNorm(p + ".ln1", SpatialMix(p + ".att", tokens), kRwkvUnetTokenNormEps);
    h = (tokens + DropPath(mixed, block.drop_path)).permute({0, 3, 1, 2});
  }
  at::Tensor local = DepthwiseConv(p + ".conv_local.conv", h, kRwkvUnetKernel, block.stride);
  local = at::silu(BatchNorm(p + ".conv_local.norm", local));
  if (block.squeeze_excite) local = SqueezeExcite(p + ".se", local);
  h = block.residual ? h + local : local;
  h = Pointwise(h, p + ".proj.conv.weight");
  return block.residual ? x + DropPath(h, block.drop_path) : h;
}

at::Tensor RwkvUnetLayers::ChannelMix(const std::string& p, const at::Tensor& x) const {
  const int64_t c = x.size(3);
  const at::Tensor shifted = QShift(x);
  const at::Tensor difference = x - shifted;
  const at::Tensor mixed_k = shifted + difference * P(p + ".spatial_mix_k").view({c});
  const at::Tensor mixed_r = shifted + difference * P(p + ".spatial_mix_r").view({c});
  at::Tensor k = at::square(at::relu(at::linear(mixed_k, P(p + ".key.weight"))));
  k = LayerNorm(p + ".key_norm", k, kRwkvUnetTokenNormEps);
  const at::Tensor kv = at::linear(k, P(p + ".value.weight"));
  return at::sigmoid(at::linear(mixed_r, P(p + ".receptance.weight"))) * kv;
}

std::vector<at::Tensor> RwkvUnetLayers::CrossChannelMix(const at::Tensor& enc3,
                                                        const at::Tensor& enc2,
                                                        const at::Tensor& enc1) const {
  const at::Tensor inputs[3] = {enc3, enc2, enc1};
  const int64_t height = enc1.size(2), width = enc1.size(3);
  std::vector<at::Tensor> parts;
  for (int n = 0; n < 3; ++n) {
    const std::string p = "ccm.projections." + std::to_string(n);
    // A pointwise convolution and a resize commute; the official order (resize first) costs more.
    parts.push_back(
        options_.training
            ? Resize(Pointwise(inputs[n], p + ".weight", p + ".bias"), height, width)
            : at::conv2d(Resize(inputs[n], height, width), P(p + ".weight"), P(p + ".bias")));
  }
  at::Tensor z = at::cat(parts, 1).permute({0, 2, 3, 1});
  const at::Tensor mixed = ChannelMix("ccm.channel", z);
  Report("ccm.channel", mixed);
  z = z + DropPath(LayerNorm("ccm.ln1", mixed, kRwkvUnetTokenNormEps), kCcmDropPath);
  z = z.permute({0, 3, 1, 2});
  const int64_t t = z.size(1) / 3;
  std::vector<at::Tensor> skips;
  for (int n = 0; n < 3; ++n) {
    const std::string p = "ccm.final_projections." + std::to_string(n);
    const at::Tensor part = z.slice(1, n * t, (n + 1) * t);
    const int64_t rows = inputs[n].size(2), cols = inputs[n].size(3);
    skips.push_back(options_.training
                        ? Pointwise(Resize(part, rows, cols), p + ".weight", p + ".bias")
                        : Resize(at::conv2d(part, P(p + ".weight"), P(p + ".bias")), rows, cols));
    Report("ccm.out_enc" + std::to_string(3 - n), skips.back());
  }
  return skips;
}

at::Tensor RwkvUnetLayers::Decoder(const std::string& p, const at::Tensor& x) const {
  at::Tensor h = at::relu(BatchNorm(p + ".conv.norm", Pointwise(x, p + ".conv.conv.weight")));
  h = DepthwiseConv(p + ".conv_local.conv", h, kRwkvUnetDecoderKernel, 1);
  h = at::silu(BatchNorm(p + ".conv_local.norm", h));
  h = at::relu(BatchNorm(p + ".proj.norm", Pointwise(h, p + ".proj.conv.weight")));
  h = at::upsample_bilinear2d(h, {2 * h.size(2), 2 * h.size(3)}, /*align_corners=*/false);
  Report(p, h);
  return h;
}

}  // namespace avocet::models
