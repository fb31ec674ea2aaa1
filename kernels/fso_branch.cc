// SPDX-License-Identifier: Apache-2.0
#include "kernels/fso_branch.h"

#include <ATen/ATen.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <torch/csrc/autograd/custom_function.h>

#include "kernels/bi_wkv.h"
#include "kernels/fso_bands.h"
#include "kernels/fso_mix.h"
#include "kernels/fso_shift.h"

namespace avocet::kernels {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr double kNormEps = 1e-5;
// Sums over tokens are kept apart in at most so many parts of an image, whatever the number of
// threads, and added in order.
constexpr int64_t kMaxParts = 8;

// The tokens of a batch in parts of whole bands.
struct Parts {
  int64_t batch, tokens, height, bands, per_image, bands_a_part;

  explicit Parts(const at::Tensor& x)
      : batch(x.size(0)),
        tokens(x.size(1)),
        height(FsoBand(x.size(2))),
        bands((tokens + height - 1) / height) {
    bands_a_part = (bands + kMaxParts - 1) / kMaxParts;
    per_image = (bands + bands_a_part - 1) / bands_a_part;
  }
  int64_t Count() const { return batch * per_image; }
};

// Calls step(part, first, count) for the bands of one image, parts in parallel, the bands of a part
// in order. `part` counts over the batch.
template <typename Step>
void ForImage(const Parts& parts, int64_t image, Step step) {
  at::parallel_for(0, parts.per_image, 1, [&](int64_t begin, int64_t end) {
    const c10::InferenceMode inference;  // per thread
    for (int64_t part = begin; part < end; ++part) {
      const int64_t last = std::min(parts.bands, (part + 1) * parts.bands_a_part);
      for (int64_t band = part * parts.bands_a_part; band < last; ++band) {
        const int64_t first = band * parts.height;
        step(image * parts.per_image + part, first, std::min(parts.height, parts.tokens - first));
      }
    }
  });
}

at::Tensor Accumulator(const Parts& parts, int64_t rows, int64_t cols) {
  return at::zeros({parts.Count(), rows, cols}, at::kFloat);
}

// sum[part] += a^T b.
void AddProduct(const at::Tensor& sum, int64_t part, const at::Tensor& a, const at::Tensor& b) {
  at::Tensor target = sum[part];
  at::addmm_out(target, target, a.t(), b);
}

// Gradients of the mixed inputs of J branches, gathered band by band.
struct MixGradients {
  at::Tensor keep;           // [J, C]
  at::Tensor direct;         // to z: SUM mix_j gx_j, [B, T, C]
  at::Tensor shifted;        // to FSO(z): SUM keep_j gx_j
  at::Tensor keep_gradient;  // [parts, J, C]

  MixGradients(const at::Tensor& x, const at::Tensor& keep_vectors, const Parts& parts)
      : keep(keep_vectors),
        direct(at::empty(x.sizes(), at::kFloat)),
        shifted(at::empty(x.sizes(), at::kFloat)),
        keep_gradient(Accumulator(parts, keep_vectors.size(0), x.size(2))) {}

  // gx: J tensors [count, C]; difference = FSO(z) - z.
  template <size_t kBranches>
  void Add(int64_t part, int64_t image, int64_t first, const std::array<at::Tensor, kBranches>& gx,
           const at::Tensor& difference) const {
    const int64_t count = difference.size(0);
    at::Tensor to_shifted = shifted.select(0, image).narrow(0, first, count),
               to_direct = direct.select(0, image).narrow(0, first, count);
    at::mul_out(to_shifted, gx[0], keep[0]);
    to_direct.copy_(gx[0]);
    for (size_t j = 0; j < kBranches; ++j) {
      if (j > 0) {
        to_shifted.addcmul_(gx[j], keep[static_cast<int64_t>(j)]);
        to_direct.add_(gx[j]);
      }
      keep_gradient[part][static_cast<int64_t>(j)].add_((gx[j] * difference).sum(0));
    }
    to_direct.sub_(to_shifted);
  }
};

struct NormGradients {
  at::Tensor x, weight, bias;
};

// Through FSO-Shift and LayerNorm, with the residual's own gradient g added.
NormGradients ThroughNorm(const MixGradients& mix, const at::Tensor& x, const at::Tensor& weight,
                          const at::Tensor& bias, const at::Tensor& mean, const at::Tensor& scale,
                          const at::Tensor& g, int64_t height, int64_t width) {
  const at::Tensor gz = FsoShiftAdjoint(mix.shifted, height, width).add_(mix.direct);
  auto [gx, gw, gb] = at::native_layer_norm_backward(gz, x, {x.size(2)}, mean, scale, weight, bias,
                                                     {true, true, true});
  return {gx.add_(g), gw, gb};
}

at::Tensor Keep(std::initializer_list<at::Tensor> mixes) {
  std::vector<at::Tensor> rows;
  for (const at::Tensor& mix : mixes) rows.push_back(mix.detach().flatten());
  return 1 - at::stack(rows);
}

// z = LayerNorm(x) with what its gradient needs.
struct Normalised {
  at::Tensor z, mean, scale;
};
Normalised Normalise(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  auto [z, mean, scale] = at::native_layer_norm(x, {x.size(2)}, weight, bias, kNormEps);
  return {z, mean, scale};
}

using WkvGradients = std::tuple<at::Tensor, at::Tensor, at::Tensor, at::Tensor>;
WkvGradients WkvBackward(const at::Tensor& g, const at::Tensor& w, const at::Tensor& u,
                         const at::Tensor& k, const at::Tensor& v, int64_t split) {
  static auto op = c10::Dispatcher::singleton()
                       .findSchemaOrThrow("avocet::bi_wkv_backward", "")
                       .typed<WkvGradients(const at::Tensor&, const at::Tensor&, const at::Tensor&,
                                           const at::Tensor&, const at::Tensor&, int64_t, bool)>();
  return op.call(g, w, u, k, v, split, false);
}

class SpatialFunction : public torch::autograd::Function<SpatialFunction> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x,
                            const at::Tensor& norm_weight, const at::Tensor& norm_bias,
                            const at::Tensor& mix_k, const at::Tensor& mix_v,
                            const at::Tensor& mix_r, const at::Tensor& key, const at::Tensor& value,
                            const at::Tensor& receptance, const at::Tensor& decay,
                            const at::Tensor& first, const at::Tensor& output,
                            const at::Tensor& gamma, int64_t height, int64_t width, int64_t split) {
    at::AutoDispatchBelowADInplaceOrView guard;
    const auto [k, v, r] = FsoMixLinear(
        {x, norm_weight, norm_bias, kNormEps, height, width, Keep({mix_k, mix_v, mix_r})}, key,
        value, receptance);
    const double tokens = static_cast<double>(x.size(1));
    const at::Tensor y = BiWkv(decay / tokens, first / tokens, k, v, split);
    at::Tensor out = x.clone();
    GatedLinearAdd(out, r, y, output * gamma.unsqueeze(1));
    context->save_for_backward({x, norm_weight, norm_bias, mix_k, mix_v, mix_r, key, value,
                                receptance, decay, first, output, gamma, k, v, r, y});
    context->saved_data["grid"] = std::vector<int64_t>{height, width, split};
    return out;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const variable_list s = context->get_saved_variables();
    const at::Tensor &x = s[0], &key = s[6], &value = s[7], &receptance = s[8], &output = s[11],
                     &gamma = s[12], &k = s[13], &v = s[14], &r = s[15], &y = s[16];
    const auto grid = context->saved_data["grid"].toIntVector();
    const at::Tensor g = gradients[0].contiguous();
    const int64_t c = x.size(2);
    const Parts parts(x);

    // The output matrix and the gate.
    const at::Tensor outer = Accumulator(parts, c, c);  // g^T gated
    const at::Tensor gy = at::empty(x.sizes(), at::kFloat), gr = at::empty(x.sizes(), at::kFloat);
    for (int64_t n = 0; n < parts.batch; ++n) {
      ForImage(parts, n, [&](int64_t part, int64_t first, int64_t count) {
        const auto band = [&](const at::Tensor& t) {
          return t.select(0, n).narrow(0, first, count);
        };
        const at::Tensor gate = at::sigmoid(band(r)), gated = gate * band(y);
        AddProduct(outer, part, band(g), gated);
        const at::Tensor back = at::mm(band(g) * gamma, output);
        at::Tensor to_y = band(gy), to_r = band(gr);
        at::mul_out(to_y, back, gate);
        at::mul_out(to_r, back, gated);
        to_r.sub_(to_r * gate);  // back gated (1 - gate)
      });
    }
    const at::Tensor product = outer.sum(0);
    const double tokens = static_cast<double>(x.size(1));
    auto [gw, gu, gk, gv] = WkvBackward(gy, s[9] / tokens, s[10] / tokens, k, v, grid[2]);

    // The projections and the mixes.
    const Normalised norm = Normalise(x, s[1], s[2]);
    const at::Tensor keep = Keep({s[3], s[4], s[5]});
    FsoMixedInputs mixed(norm.z, {}, {}, kNormEps, keep, grid[0], grid[1]);
    const MixGradients mix(x, keep, parts);
    const at::Tensor sums[3] = {Accumulator(parts, c, c), Accumulator(parts, c, c),
                                Accumulator(parts, c, c)};
    const at::Tensor* maps[3] = {&key, &value, &receptance};
    const at::Tensor* above[3] = {&gk, &gv, &gr};
    for (int64_t n = 0; n < parts.batch; ++n) {
      mixed.Load(n);
      ForImage(parts, n, [&](int64_t part, int64_t first, int64_t count) {
        const at::Tensor inputs = at::empty({4, count, c}, at::kFloat);
        float* const start = inputs.mutable_data_ptr<float>();
        float* const pointers[] = {start, start + count * c, start + 2 * count * c};
        mixed.Mix(first, count, pointers, start + 3 * count * c);
        std::array<at::Tensor, 3> gx;
        for (int j = 0; j < 3; ++j) {
          const at::Tensor from = above[j]->select(0, n).narrow(0, first, count);
          AddProduct(sums[j], part, from, inputs[j]);
          gx[j] = at::mm(from, *maps[j]);
        }
        mix.Add(part, n, first, gx, inputs[3]);
      });
    }
    const NormGradients through =
        ThroughNorm(mix, x, s[1], s[2], norm.mean, norm.scale, g, grid[0], grid[1]);
    const at::Tensor mixes = mix.keep_gradient.sum(0).neg_();
    return {through.x,
            through.weight,
            through.bias,
            mixes[0].view_as(s[3]),
            mixes[1].view_as(s[4]),
            mixes[2].view_as(s[5]),
            sums[0].sum(0),
            sums[1].sum(0),
            sums[2].sum(0),
            gw / tokens,
            gu / tokens,
            product * gamma.unsqueeze(1),
            (product * output).sum(1),
            at::Tensor(),
            at::Tensor(),
            at::Tensor()};
  }
};

class ChannelFunction : public torch::autograd::Function<ChannelFunction> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x,
                            const at::Tensor& norm_weight, const at::Tensor& norm_bias,
                            const at::Tensor& mix_k, const at::Tensor& mix_r, const at::Tensor& key,
                            const at::Tensor& receptance, const at::Tensor& value,
                            const at::Tensor& gamma, int64_t height, int64_t width) {
    at::AutoDispatchBelowADInplaceOrView guard;
    FsoMixInput input{x.clone(), norm_weight, norm_bias,           kNormEps,
                      height,    width,       Keep({mix_k, mix_r})};
    FsoChannelMix(input, key, receptance, value * gamma.unsqueeze(1));
    context->save_for_backward(
        {x, norm_weight, norm_bias, mix_k, mix_r, key, receptance, value, gamma});
    context->saved_data["grid"] = std::vector<int64_t>{height, width};
    return input.x;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const variable_list s = context->get_saved_variables();
    const at::Tensor &x = s[0], &key = s[5], &receptance = s[6], &value = s[7], &gamma = s[8];
    const auto grid = context->saved_data["grid"].toIntVector();
    const at::Tensor g = gradients[0].contiguous();
    const int64_t c = x.size(2), hidden = key.size(0);
    const Parts parts(x);
    const Normalised norm = Normalise(x, s[1], s[2]);
    const at::Tensor keep = Keep({s[3], s[4]});
    FsoMixedInputs mixed(norm.z, {}, {}, kNormEps, keep, grid[0], grid[1]);
    const MixGradients mix(x, keep, parts);
    const at::Tensor key_sum = Accumulator(parts, hidden, c), gate_sum = Accumulator(parts, c, c),
                     outer = Accumulator(parts, c, hidden);  // (g gate)^T hidden
    for (int64_t n = 0; n < parts.batch; ++n) {
      mixed.Load(n);
      ForImage(parts, n, [&](int64_t part, int64_t first, int64_t count) {
        const at::Tensor inputs = at::empty({3, count, c}, at::kFloat);
        float* const start = inputs.mutable_data_ptr<float>();
        float* const pointers[] = {start, start + count * c};
        mixed.Mix(first, count, pointers, start + 2 * count * c);
        const at::Tensor positive = at::mm(inputs[0], key.t()).clamp_min_(0),
                         squared = positive.square(), out = at::mm(squared, value.t()),
                         gate = at::mm(inputs[1], receptance.t()).sigmoid_();
        const at::Tensor gated = g.select(0, n).narrow(0, first, count) * gate;
        AddProduct(outer, part, gated, squared);
        const at::Tensor to_out = gated * gamma;
        const at::Tensor to_key = at::mm(to_out, value).mul_(positive).mul_(2);
        const at::Tensor to_gate = (to_out * out).mul_(1 - gate);
        AddProduct(key_sum, part, to_key, inputs[0]);
        AddProduct(gate_sum, part, to_gate, inputs[1]);
        mix.Add<2>(part, n, first, {at::mm(to_key, key), at::mm(to_gate, receptance)}, inputs[2]);
      });
    }
    const NormGradients through =
        ThroughNorm(mix, x, s[1], s[2], norm.mean, norm.scale, g, grid[0], grid[1]);
    const at::Tensor mixes = mix.keep_gradient.sum(0).neg_(), product = outer.sum(0);
    return {through.x,
            through.weight,
            through.bias,
            mixes[0].view_as(s[3]),
            mixes[1].view_as(s[4]),
            key_sum.sum(0),
            gate_sum.sum(0),
            product * gamma.unsqueeze(1),
            (product * value).sum(1),
            at::Tensor(),
            at::Tensor()};
  }
};

}  // namespace

at::Tensor SpatialBranch(const at::Tensor& x, const SpatialBranchWeights& w, int64_t height,
                         int64_t width, int64_t split) {
  return SpatialFunction::apply(x.contiguous(), w.norm_weight, w.norm_bias, w.mix_k, w.mix_v,
                                w.mix_r, w.key, w.value, w.receptance, w.spatial_decay,
                                w.spatial_first, w.output, w.gamma, height, width, split);
}

at::Tensor ChannelBranch(const at::Tensor& x, const ChannelBranchWeights& w, int64_t height,
                         int64_t width) {
  return ChannelFunction::apply(x.contiguous(), w.norm_weight, w.norm_bias, w.mix_k, w.mix_r, w.key,
                                w.receptance, w.value, w.gamma, height, width);
}

}  // namespace avocet::kernels
