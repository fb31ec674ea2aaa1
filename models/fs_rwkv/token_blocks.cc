// SPDX-License-Identifier: Apache-2.0
#include "models/fs_rwkv/token_blocks.h"

#include <ATen/ATen.h>

#include "kernels/bi_wkv.h"
#include "kernels/fso_branch.h"
#include "kernels/fso_mix.h"
#include "kernels/fso_shift.h"

namespace avocet::models {
namespace {

constexpr double kNormEps = 1e-5;

}  // namespace

void FsTokenBlocks::Report(const std::string& name, const at::Tensor& value) const {
  if (options_.hook) (*options_.hook)(name, value);
}

at::Tensor FsTokenBlocks::LayerNorm(const std::string& name, const at::Tensor& x) const {
  return at::layer_norm(x, {x.size(-1)}, P(name + ".weight"), P(name + ".bias"), kNormEps);
}

at::Tensor FsTokenBlocks::SpatialMix(const std::string& p, const at::Tensor& x,
                                     TokenGrid grid) const {
  const double tokens = static_cast<double>(x.size(1));
  const at::Tensor shifted = kernels::FsoShift(x, grid.rows, grid.cols);
  Report(p + ".shift", shifted);
  const at::Tensor difference = x - shifted;
  const auto mixed = [&](const char* name) {
    return at::addcmul(shifted, difference, P(p + ".spatial_mix_" + name));
  };
  const at::Tensor key = at::linear(mixed("k"), P(p + ".key.weight"));
  const at::Tensor value = at::linear(mixed("v"), P(p + ".value.weight"));
  const at::Tensor gate = at::linear(mixed("r"), P(p + ".receptance.weight"));
  Report(p + ".key", key);
  Report(p + ".value", value);
  Report(p + ".receptance", gate);
  const at::Tensor y =
      kernels::BiWkv(P(p + ".spatial_decay") / tokens, P(p + ".spatial_first") / tokens, key, value,
                     static_cast<int64_t>(mode_));
  const at::Tensor gated = at::sigmoid(gate) * y;
  Report(p + ".gated_wkv", gated);
  return at::linear(gated, P(p + ".output.weight"));
}

at::Tensor FsTokenBlocks::ChannelMix(const std::string& p, const at::Tensor& x,
                                     TokenGrid grid) const {
  const at::Tensor shifted = kernels::FsoShift(x, grid.rows, grid.cols);
  Report(p + ".shift", shifted);
  const at::Tensor difference = x - shifted;
  const at::Tensor mixed_k = at::addcmul(shifted, difference, P(p + ".spatial_mix_k"));
  const at::Tensor mixed_r = at::addcmul(shifted, difference, P(p + ".spatial_mix_r"));
  const at::Tensor key = at::linear(mixed_k, P(p + ".key.weight"));
  Report(p + ".key", key);
  const at::Tensor value = at::linear(at::square(at::relu(key)), P(p + ".value.weight"));
  Report(p + ".value", value);
  const at::Tensor gate = at::linear(mixed_r, P(p + ".receptance.weight"));
  Report(p + ".receptance", gate);
  return at::sigmoid(gate) * value;
}

at::Tensor FsTokenBlocks::Block(const std::string& name, const at::Tensor& tokens,
                                TokenGrid grid) const {
  at::Tensor norm = LayerNorm(name + ".ln1", tokens);
  Report(name + ".ln1", norm);
  at::Tensor mixed = SpatialMix(name + ".att", norm, grid);
  Report(name + ".att", mixed);
  const at::Tensor x = at::addcmul(tokens, mixed, P(name + ".gamma1"));
  norm = LayerNorm(name + ".ln2", x);
  Report(name + ".ln2", norm);
  mixed = ChannelMix(name + ".ffn", norm, grid);
  Report(name + ".ffn", mixed);
  return at::addcmul(x, mixed, P(name + ".gamma2"));
}

at::Tensor FsTokenBlocks::TrainingBlock(const std::string& name, const at::Tensor& tokens,
                                        TokenGrid grid) const {
  const std::string att = name + ".att.", ffn = name + ".ffn.";
  const at::Tensor x = kernels::SpatialBranch(
      tokens,
      {P(name + ".ln1.weight"), P(name + ".ln1.bias"), P(att + "spatial_mix_k"),
       P(att + "spatial_mix_v"), P(att + "spatial_mix_r"), P(att + "key.weight"),
       P(att + "value.weight"), P(att + "receptance.weight"), P(att + "spatial_decay"),
       P(att + "spatial_first"), P(att + "output.weight"), P(name + ".gamma1")},
      grid.rows, grid.cols, static_cast<int64_t>(mode_));
  return kernels::ChannelBranch(
      x,
      {P(name + ".ln2.weight"), P(name + ".ln2.bias"), P(ffn + "spatial_mix_k"),
       P(ffn + "spatial_mix_r"), P(ffn + "key.weight"), P(ffn + "receptance.weight"),
       P(ffn + "value.weight"), P(name + ".gamma2")},
      grid.rows, grid.cols);
}

void FsTokenBlocks::BlockInPlace(const std::string& name, at::Tensor& tokens,
                                 TokenGrid grid) const {
  const double count = static_cast<double>(tokens.size(1));
  const auto input = [&](const std::string& norm, std::initializer_list<const char*> mixes) {
    std::vector<at::Tensor> rows;
    for (const char* mix : mixes) rows.push_back(P(name + mix).flatten());
    return kernels::FsoMixInput{
        tokens,    P(name + norm + ".weight"), P(name + norm + ".bias"), kNormEps, grid.rows,
        grid.cols, 1 - at::stack(rows)};
  };
  std::string p = name + ".att.";
  const auto [key, value, gate] = kernels::FsoMixLinear(
      input(".ln1", {".att.spatial_mix_k", ".att.spatial_mix_v", ".att.spatial_mix_r"}),
      P(p + "key.weight"), P(p + "value.weight"), P(p + "receptance.weight"));
  const at::Tensor y =
      kernels::BiWkv(P(p + "spatial_decay") / count, P(p + "spatial_first") / count, key, value,
                     static_cast<int64_t>(mode_));
  // The branch scales gamma go into the last matrix of their branch.
  kernels::GatedLinearAdd(tokens, gate, y,
                          P(p + "output.weight") * P(name + ".gamma1").unsqueeze(1));
  p = name + ".ffn.";
  kernels::FsoMixInput mix = input(".ln2", {".ffn.spatial_mix_k", ".ffn.spatial_mix_r"});
  kernels::FsoChannelMix(mix, P(p + "key.weight"), P(p + "receptance.weight"),
                         P(p + "value.weight") * P(name + ".gamma2").unsqueeze(1));
}

}  // namespace avocet::models
