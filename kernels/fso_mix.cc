// SPDX-License-Identifier: Apache-2.0
#include "kernels/fso_mix.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>
#include <torch/library.h>

#include <algorithm>
#include <vector>

#include "kernels/fso_shift.h"
#include "kernels/fso_shift_cpu.h"

namespace avocet::kernels {
namespace {

// Tokens a task. Matrix products of this height run at full speed, and what a task touches (8 C
// values a token) fits into 1 MB at C = 128.
constexpr int64_t kBand = 256;
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

// A vector of channels padded with zeros to whole SIMD vectors.
at::Tensor Padded(const at::Tensor& vector, int64_t lanes) {
  at::Tensor padded = at::zeros({lanes}, at::kFloat);
  padded.narrow(0, 0, vector.numel()).copy_(vector.detach().flatten());
  return padded;
}

// One image, normalised and on its grid; gives the mixed inputs of any band of tokens.
class MixedInputs {
 public:
  explicit MixedInputs(const FsoMixInput& in) : in_(in), kernels_(SelectFsoCpuKernels()) {
    even_ = in.height % 2 == 0 && in.width % 2 == 0;
    grid_.rows = in.height, grid_.cols = in.width, grid_.channels = in.x.size(2);
    grid_.eps = in.eps;
    const int64_t lanes = grid_.Lanes();
    for (int64_t j = 0; j < in.keep.size(0); ++j) keep_.push_back(Padded(in.keep[j], lanes));
    if (!even_) return;
    grid_.Plan(/*transpose=*/false);
    weight_ = Padded(in.norm_weight, lanes);
    bias_ = Padded(in.norm_bias, lanes);
    grid_.norm_weight = weight_.const_data_ptr<float>();
    grid_.norm_bias = bias_.const_data_ptr<float>();
    pixels_ = at::empty({grid_.PixelElements()}, at::kFloat);
    means_ = at::empty({grid_.BlockElements()}, at::kFloat);
    grid_.z = pixels_.mutable_data_ptr<float>();
    grid_.m = means_.mutable_data_ptr<float>();
  }

  void Load(int64_t image) {
    const at::Tensor tokens = in_.x.select(0, image);
    if (even_) {
      grid_.x = tokens.const_data_ptr<float>();
      at::parallel_for(0, in_.height / 2, 1, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) kernels_.load_f32(grid_, i);
      });
      return;
    }
    norm_ = at::layer_norm(tokens.unsqueeze(0), {tokens.size(1)}, in_.norm_weight, in_.norm_bias,
                           in_.eps);
    difference_ = FsoShift(norm_, in_.height, in_.width).sub_(norm_);
  }

  // Writes the branches of tokens [first, first + count), [count, C] each.
  void Mix(int64_t first, int64_t count, float* const* out) const {
    if (even_) {
      FsoMixArgs<float> a;
      a.first = first, a.count = count, a.mixes = static_cast<int>(keep_.size());
      for (size_t j = 0; j < keep_.size(); ++j) {
        a.keep[j] = keep_[j].const_data_ptr<float>();
        a.out[j] = out[j];
      }
      kernels_.mix_f32(grid_, a);
      return;
    }
    const int64_t c = grid_.channels;
    const float* z = norm_.const_data_ptr<float>() + first * c;
    const float* d = difference_.const_data_ptr<float>() + first * c;
    for (size_t j = 0; j < keep_.size(); ++j) {
      const float* keep = keep_[j].const_data_ptr<float>();
      for (int64_t t = 0; t < count; ++t) {
        for (int64_t i = 0; i < c; ++i) {
          out[j][t * c + i] = z[t * c + i] + keep[i] * d[t * c + i];
        }
      }
    }
  }

 private:
  const FsoMixInput& in_;
  const FsoCpuKernels& kernels_;
  bool even_ = true;
  FsoGrid<float> grid_;
  at::Tensor weight_, bias_, pixels_, means_;  // even grids
  at::Tensor norm_, difference_;               // odd grids
  std::vector<at::Tensor> keep_;
};

// Calls step(first, count) for all bands of `tokens`, in parallel. Library calls inside it run on
// one thread.
template <typename Step>
void ForBands(int64_t tokens, Step step) {
  const int64_t bands = (tokens + kBand - 1) / kBand;
  at::parallel_for(0, bands, 1, [&](int64_t begin, int64_t end) {
    const c10::InferenceMode inference;  // per thread
    for (int64_t band = begin; band < end; ++band) {
      step(band * kBand, std::min(kBand, tokens - band * kBand));
    }
  });
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
  MixedInputs mixed(in);
  for (int64_t n = 0; n < batch; ++n) {
    mixed.Load(n);
    ForBands(tokens, [&](int64_t first, int64_t count) {
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
  ForBands(tokens, [&](int64_t first, int64_t count) {
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
  MixedInputs mixed(in);
  for (int64_t n = 0; n < in.x.size(0); ++n) {
    mixed.Load(n);
    float* x = in.x.select(0, n).mutable_data_ptr<float>();
    ForBands(tokens, [&](int64_t first, int64_t count) {
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
