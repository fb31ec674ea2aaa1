// SPDX-License-Identifier: Apache-2.0
#include "kernels/group_norm.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>

namespace avocet::kernels {
namespace {

constexpr auto kChannelsLast = at::MemoryFormat::ChannelsLast;
constexpr int64_t kPixels = 1024;  // a task; fixed, so that sums do not depend on threads

void Check(const at::Tensor& x, int64_t groups, const at::Tensor& weight, const at::Tensor& bias) {
  TORCH_CHECK(x.dim() == 4 && groups >= 1 && x.size(1) % groups == 0 && x.numel() > 0,
              "group_norm: ", x.sizes(), " is no [B, C, H, W] with C a multiple of ", groups);
  TORCH_CHECK(x.scalar_type() == at::kFloat || x.scalar_type() == at::kDouble,
              "group_norm: the CPU kernel takes float32 or float64, got ", x.scalar_type());
  TORCH_CHECK(weight.numel() == x.size(1) && bias.numel() == x.size(1),
              "group_norm: weight and bias must be [", x.size(1), "], got ", weight.sizes(),
              " and ", bias.sizes());
}

void RunSums(const PixelRows<float>& rows, double* first, double* second) {
  SelectGroupNormCpuKernels().sums_f32(rows, first, second);
}
void RunSums(const PixelRows<double>& rows, double* first, double* second) {
  SelectGroupNormCpuKernels().sums_f64(rows, first, second);
}
void RunAffine(const PixelRows<float>& rows, const float* a, const float* b, const float* c,
               Activation act, float* y) {
  SelectGroupNormCpuKernels().affine_f32(rows, a, b, c, act, y);
}
void RunAffine(const PixelRows<double>& rows, const double* a, const double* b, const double* c,
               Activation act, double* y) {
  SelectGroupNormCpuKernels().affine_f64(rows, a, b, c, act, y);
}

struct Sums {
  at::Tensor first, second;  // [B, C], float64
};

// SUM x and SUM x * other over the pixels of an image; `other` may be x.
Sums SumOverPixels(const at::Tensor& x, const at::Tensor& other) {
  const int64_t batch = x.size(0), channels = x.size(1), pixels = x.size(2) * x.size(3);
  const int64_t chunks = (pixels + kPixels - 1) / kPixels;
  const at::Tensor partial =
      at::empty({2, batch, chunks, channels}, x.options().dtype(at::kDouble));
  double* sums = partial.mutable_data_ptr<double>();
  AT_DISPATCH_FLOATING_TYPES(x.scalar_type(), "group_norm", [&] {
    const scalar_t* from = x.const_data_ptr<scalar_t>();
    const scalar_t* with = other.const_data_ptr<scalar_t>();
    at::parallel_for(0, batch * chunks, 1, [&](int64_t begin, int64_t end) {
      for (int64_t task = begin; task < end; ++task) {
        const int64_t first = task % chunks * kPixels;
        const int64_t offset = (task / chunks * pixels + first) * channels;
        PixelRows<scalar_t> rows{std::min(kPixels, pixels - first), channels, from + offset,
                                 with == from ? nullptr : with + offset};
        double* a = sums + task * channels;
        double* b = a + batch * chunks * channels;
        RunSums(rows, a, b);
      }
    });
  });
  const at::Tensor total = partial.sum(2);
  return {total[0], total[1]};
}

// y = act(x * a + b) or x * a + other * c + b; a, b, c: [B, C] of x's type.
void Affine(const at::Tensor& x, const at::Tensor& other, const at::Tensor& a, const at::Tensor& b,
            const at::Tensor& c, Activation act, const at::Tensor& y) {
  const int64_t batch = x.size(0), channels = x.size(1), pixels = x.size(2) * x.size(3);
  const int64_t chunks = (pixels + kPixels - 1) / kPixels;
  AT_DISPATCH_FLOATING_TYPES(x.scalar_type(), "group_norm", [&] {
    const scalar_t* from = x.const_data_ptr<scalar_t>();
    const scalar_t* with = other.defined() ? other.const_data_ptr<scalar_t>() : nullptr;
    const scalar_t* pa = a.const_data_ptr<scalar_t>();
    const scalar_t* pb = b.const_data_ptr<scalar_t>();
    const scalar_t* pc = c.defined() ? c.const_data_ptr<scalar_t>() : nullptr;
    scalar_t* to = y.mutable_data_ptr<scalar_t>();
    at::parallel_for(0, batch * chunks, 4, [&](int64_t begin, int64_t end) {
      for (int64_t task = begin; task < end; ++task) {
        const int64_t n = task / chunks, first = task % chunks * kPixels;
        const int64_t offset = (n * pixels + first) * channels;
        PixelRows<scalar_t> rows{std::min(kPixels, pixels - first), channels, from + offset,
                                 with == nullptr ? nullptr : with + offset};
        const scalar_t* third = pc == nullptr ? nullptr : pc + n * channels;
        RunAffine(rows, pa + n * channels, pb + n * channels, third, act, to + offset);
      }
    });
  });
}

// Mean and 1 / standard deviation of every image and group, repeated over its channels: [B, C].
struct Moments {
  at::Tensor mean, inverse;
};

// Sums over the channels of a group, repeated over them.
at::Tensor OverGroup(const at::Tensor& x, int64_t groups) {
  const int64_t b = x.size(0), c = x.size(1);
  return x.view({b, groups, c / groups})
      .sum(2, true)
      .expand({b, groups, c / groups})
      .reshape({b, c});
}

Moments MomentsOf(const at::Tensor& x, int64_t groups, double eps) {
  const Sums sums = SumOverPixels(x, x);
  const double count = static_cast<double>(x.size(1) / groups * x.size(2) * x.size(3));
  const at::Tensor mean = OverGroup(sums.first, groups) / count;
  const at::Tensor variance = (OverGroup(sums.second, groups) / count - mean * mean).clamp_min(0);
  return {mean, (variance + eps).rsqrt()};
}

ChannelAffine AffineOf(const Moments& m, const at::Tensor& weight, const at::Tensor& bias,
                       at::ScalarType type) {
  const at::Tensor scale = m.inverse * weight;
  return {scale.to(type), (bias - m.mean * scale).to(type)};
}

class GroupNormFunction : public torch::autograd::Function<GroupNormFunction> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& x,
                            int64_t groups, const at::Tensor& weight, const at::Tensor& bias,
                            double eps) {
    at::AutoDispatchBelowADInplaceOrView guard;
    const at::Tensor xc = x.contiguous(kChannelsLast);
    const Moments m = MomentsOf(xc, groups, eps);
    const ChannelAffine affine = AffineOf(m, weight, bias, x.scalar_type());
    at::Tensor y = at::empty_like(xc);
    Affine(xc, {}, affine.scale, affine.shift, {}, Activation::kNone, y);
    context->save_for_backward({xc, weight, m.mean, m.inverse});
    context->saved_data["groups"] = groups;
    return y;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const at::Tensor x = saved[0], weight = saved[1], mean = saved[2], inverse = saved[3];
    const int64_t groups = context->saved_data["groups"].toInt();
    const at::Tensor gy = gradients[0].to(x.scalar_type()).contiguous(kChannelsLast);
    const double count = static_cast<double>(x.size(1) / groups * x.size(2) * x.size(3));
    const Sums sums = SumOverPixels(gy, x);                                // SUM gy, SUM gy x
    const at::Tensor along = (sums.second - mean * sums.first) * inverse;  // SUM gy x_hat
    const at::Tensor wide = weight.to(at::kDouble);
    // gx = r (gy w - mean(gy w) - x_hat mean(gy w x_hat)), an affine step in gy and x.
    const at::Tensor first = OverGroup(sums.first * wide, groups) / count;
    const at::Tensor second = OverGroup(along * wide, groups) / count;
    const at::Tensor on_gy = inverse * wide, on_x = -inverse * inverse * second;
    const at::Tensor constant = -inverse * first - on_x * mean;
    at::Tensor gx = at::empty_like(x);
    const auto type = x.scalar_type();
    Affine(gy, x, on_gy.to(type), constant.to(type), on_x.to(type), Activation::kNone, gx);
    return {gx, at::Tensor(), along.sum(0).to(weight.scalar_type()),
            sums.first.sum(0).to(weight.scalar_type()), at::Tensor()};
  }
};

}  // namespace

at::Tensor GroupNorm(const at::Tensor& x, int64_t groups, const at::Tensor& weight,
                     const at::Tensor& bias, double eps) {
  if (!x.device().is_cpu()) return at::group_norm(x, groups, weight, bias, eps);
  Check(x, groups, weight, bias);
  return GroupNormFunction::apply(x, groups, weight, bias, eps);
}

ChannelAffine GroupNormAffine(const at::Tensor& x, int64_t groups, const at::Tensor& weight,
                              const at::Tensor& bias, double eps) {
  Check(x, groups, weight, bias);
  return AffineOf(MomentsOf(x.contiguous(kChannelsLast), groups, eps), weight, bias,
                  x.scalar_type());
}

void ApplyInPlace(at::Tensor& x, const ChannelAffine& affine, Activation activation) {
  TORCH_CHECK(x.dim() == 4 && x.is_contiguous(kChannelsLast),
              "group_norm: an image to change in place must be in channels-last memory");
  const std::vector<int64_t> shape{x.size(0), x.size(1)};
  TORCH_CHECK(affine.scale.sizes() == at::IntArrayRef(shape) &&
                  affine.shift.sizes() == at::IntArrayRef(shape),
              "group_norm: scale and shift must be ", at::IntArrayRef(shape), ", got ",
              affine.scale.sizes(), " and ", affine.shift.sizes());
  Affine(x, {}, affine.scale.contiguous(), affine.shift.contiguous(), {}, activation, x);
}

}  // namespace avocet::kernels
