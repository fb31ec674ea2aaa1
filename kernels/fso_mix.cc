// SPDX-License-Identifier: Apache-2.0
#include "kernels/fso_mix.h"

#include <ATen/ATen.h>
#include <torch/library.h>

#include "kernels/fso_bands.h"

namespace avocet::kernels {
namespace {

constexpr int64_t kMaxBranches = 3;

void Check(const FsoMixInput& in) {
  TORCH_CHECK(in.x.device().is_cpu() && in.x.scalar_type() == at::kFloat && in.x.dim() == 3 &&
                  in.x.is_contiguous(),
              "fso_mix: x must be contiguous [B, T, C] float32 on the CPU, got ",
              in.x.scalar_type(), " ", in.x.sizes());
  TORCH_CHECK(in.height >= 1 && in.width >= 1 && in.x.size(1) == in.height * in.width,
              "fso_mix: ", in.x.size(1), " tokens are no grid of ", in.height, " x ", in.width);
  for (const at::Tensor* vector : {&in.norm_weight, &in.norm_bias}) {
    TORCH_CHECK(vector->numel() == in.x.size(2), "fso_mix: norm parameters must be [", in.x.size(2),
                "], got ", vector->sizes());
  }
  TORCH_CHECK(in.keep.dim() == 2 && in.keep.size(0) >= 1 && in.keep.size(0) <= kMaxBranches &&
                  in.keep.size(1) == in.x.size(2),
              "fso_mix: keep must be [1 to 3, ", in.x.size(2), "], got ", in.keep.sizes());
}

at::Tensor Transposed(const at::Tensor& weight) { return weight.detach().t(); }

}  // namespace

std::tuple<at::Tensor, at::Tensor, at::Tensor> FsoMixLinear(const FsoMixInput& in,
                                                            const at::Tensor& key,
                                                            const at::Tensor& value,
                                                            const at::Tensor& receptance) {
  Check(in);
  const int64_t batch = in.x.size(0), tokens = in.x.size(1), channels = in.x.size(2);
  TORCH_CHECK(in.keep.size(0) == kMaxBranches, "fso_mix: three branches are needed, got ",
              in.keep.size(0));
  const at::Tensor* weights[kMaxBranches] = {&key, &value, &receptance};
  at::Tensor outputs[kMaxBranches], maps[kMaxBranches];
  for (int j = 0; j < kMaxBranches; ++j) {
    const at::Tensor& weight = *weights[j];
    TORCH_CHECK(weight.dim() == 2 && weight.size(1) == channels, "fso_mix: weights must be [N, ",
                channels, "], got ", weight.sizes());
    outputs[j] = at::empty({batch, tokens, weight.size(0)}, in.x.options());
    maps[j] = Transposed(weight);
  }
  FsoMixedInputs mixed(in.x, in.norm_weight, in.norm_bias, in.eps, in.keep, in.height, in.width);
  for (int64_t n = 0; n < batch; ++n) {
    mixed.Load(n);
    ForBands(tokens, channels, [&](int64_t first, int64_t count) {
      const at::Tensor inputs = at::empty({kMaxBranches, count, channels}, at::kFloat);
      float* const start = inputs.mutable_data_ptr<float>();
      float* const pointers[] = {start, start + count * channels, start + 2 * count * channels};
      mixed.Mix(first, count, pointers);
      for (int j = 0; j < kMaxBranches; ++j) {
        at::Tensor out = outputs[j].select(0, n).narrow(0, first, count);
        at::mm_out(out, inputs[j], maps[j]);
      }
    });
  }
  return {outputs[0], outputs[1], outputs[2]};
}

void GatedLinearAdd(at::Tensor& x, const at::Tensor& gate, const at::Tensor& y,
                    const at::Tensor& output) {
  TORCH_CHECK(x.dim() == 3 && x.is_contiguous() && gate.is_contiguous() && y.is_contiguous() &&
                  gate.sizes() == x.sizes() && y.sizes() == x.sizes(),
              "gated_linear_add: x, gate and y must be contiguous [B, T, C], got ", x.sizes(), ", ",
              gate.sizes(), " and ", y.sizes());
  const FsoCpuKernels& kernels = SelectFsoCpuKernels();
  const int64_t channels = x.size(2), tokens = x.size(0) * x.size(1);
  const at::Tensor map = Transposed(output), rows = x.view({tokens, channels});
  const float* gates = gate.const_data_ptr<float>();
  const float* values = y.const_data_ptr<float>();
  ForBands(tokens, channels, [&](int64_t first, int64_t count) {
    const at::Tensor gated = at::empty({count, channels}, at::kFloat);
    const int64_t offset = first * channels;
    kernels.gate(gates + offset, values + offset, gated.mutable_data_ptr<float>(),
                 count * channels);
    at::Tensor out = rows.narrow(0, first, count);
    at::addmm_out(out, out, gated, map);
  });
}

void FsoChannelMix(FsoMixInput& in, const at::Tensor& key, const at::Tensor& receptance,
                   const at::Tensor& value) {
  Check(in);
  const int64_t tokens = in.x.size(1), channels = in.x.size(2), hidden = key.size(0);
  TORCH_CHECK(in.keep.size(0) == 2 && key.sizes() == at::IntArrayRef({hidden, channels}) &&
                  receptance.sizes() == at::IntArrayRef({channels, channels}) &&
                  value.sizes() == at::IntArrayRef({channels, hidden}),
              "fso_channel_mix: key ", key.sizes(), ", receptance ", receptance.sizes(),
              " and value ", value.sizes(), " do not fit ", channels, " channels");
  const FsoCpuKernels& kernels = SelectFsoCpuKernels();
  const at::Tensor key_map = Transposed(key), gate_map = Transposed(receptance),
                   value_map = Transposed(value);
  FsoMixedInputs mixed(in.x, in.norm_weight, in.norm_bias, in.eps, in.keep, in.height, in.width);
  for (int64_t n = 0; n < in.x.size(0); ++n) {
    mixed.Load(n);
    float* x = in.x.select(0, n).mutable_data_ptr<float>();
    ForBands(tokens, channels, [&](int64_t first, int64_t count) {
      const at::Tensor inputs = at::empty({2, count, channels}, at::kFloat);
      float* const start = inputs.mutable_data_ptr<float>();
      float* const pointers[] = {start, start + count * channels};
      mixed.Mix(first, count, pointers);
      const at::Tensor wide = at::mm(inputs[0], key_map);
      kernels.squared_relu(wide.mutable_data_ptr<float>(), wide.numel());
      const at::Tensor gate = at::mm(inputs[1], gate_map);
      const at::Tensor out = at::mm(wide, value_map);
      kernels.gate_add(gate.const_data_ptr<float>(), out.const_data_ptr<float>(),
                       x + first * channels, count * channels);
    });
  }
}

namespace {

std::tuple<at::Tensor, at::Tensor, at::Tensor> MixLinearOperator(
    const at::Tensor& x, const at::Tensor& norm_weight, const at::Tensor& norm_bias, double eps,
    const at::Tensor& keep, const at::Tensor& key, const at::Tensor& value,
    const at::Tensor& receptance, int64_t height, int64_t width) {
  return FsoMixLinear({x.contiguous(), norm_weight, norm_bias, eps, height, width, keep}, key,
                      value, receptance);
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(avocet, library) {
  library.def(
      "fso_mix_linear(Tensor x, Tensor norm_weight, Tensor norm_bias, float eps, Tensor keep,"
      " Tensor key, Tensor value, Tensor receptance, int height, int width)"
      " -> (Tensor, Tensor, Tensor)");
}
TORCH_LIBRARY_IMPL(avocet, CPU, library) { library.impl("fso_mix_linear", &MixLinearOperator); }

}  // namespace avocet::kernels
