// SPDX-License-Identifier: Apache-2.0
#include "kernels/haar.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include <tuple>

namespace avocet::kernels {
namespace {

using Bands = std::tuple<at::Tensor, at::Tensor>;
constexpr auto kChannelsLast = at::MemoryFormat::ChannelsLast;

void CheckType(const at::Tensor& x) {
  TORCH_CHECK(x.scalar_type() == at::kFloat || x.scalar_type() == at::kDouble,
              "haar: the CPU kernel takes float32 or float64, got ", x.scalar_type());
}

void CheckBands(const at::Tensor& low, const at::Tensor& high) {
  TORCH_CHECK(low.dim() == 4 && high.dim() == 4 && high.size(0) == low.size(0) &&
                  high.size(1) == 3 * low.size(1) && high.size(2) == low.size(2) &&
                  high.size(3) == low.size(3) && high.scalar_type() == low.scalar_type(),
              "haar: the bands must be [B, C, h, w] and [B, 3 C, h, w] of one type, got ",
              low.scalar_type(), " ", low.sizes(), " and ", high.scalar_type(), " ", high.sizes());
  CheckType(low);
}

Bands ForwardCpu(const at::Tensor& image) {
  TORCH_CHECK(image.dim() == 4 && image.size(2) % 2 == 0 && image.size(3) % 2 == 0,
              "haar: the image must be [B, C, H, W] with even H and W, got ", image.sizes());
  CheckType(image);
  const at::Tensor x = image.contiguous(kChannelsLast);
  const int64_t b = x.size(0), c = x.size(1), h = x.size(2) / 2, w = x.size(3) / 2;
  const auto options = x.options().memory_format(kChannelsLast);
  at::Tensor low = at::empty({b, c, h, w}, options), high = at::empty({b, 3 * c, h, w}, options);
  AT_DISPATCH_FLOATING_TYPES(x.scalar_type(), "haar_forward", [&] {
    const scalar_t half = 0.5;
    const scalar_t* from = x.const_data_ptr<scalar_t>();
    scalar_t* ll = low.mutable_data_ptr<scalar_t>();
    scalar_t* bands = high.mutable_data_ptr<scalar_t>();
    at::parallel_for(0, b * h, 8, [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        for (int64_t col = 0; col < w; ++col) {
          const scalar_t* top = from + (2 * row * w + col) * 2 * c;
          const scalar_t* bottom = top + 2 * w * c;
          scalar_t* l = ll + (row * w + col) * c;
          scalar_t* d = bands + (row * w + col) * 3 * c;
          for (int64_t i = 0; i < c; ++i) {
            const scalar_t sum_top = top[i] + top[i + c], sum_bottom = bottom[i] + bottom[i + c];
            const scalar_t dif_top = top[i] - top[i + c], dif_bottom = bottom[i] - bottom[i + c];
            l[i] = half * (sum_top + sum_bottom);
            d[3 * i] = half * (sum_top - sum_bottom);
            d[3 * i + 1] = half * (dif_top + dif_bottom);
            d[3 * i + 2] = half * (dif_top - dif_bottom);
          }
        }
      }
    });
  });
  return {low, high};
}

// out = scale[b] * inverse, plus add_scale[b] * add where `add` is given.
template <typename T>
void Inverse(const at::Tensor& low, const at::Tensor& high, at::Tensor& out, const T* scale,
             const T* add, const T* add_scale) {
  const int64_t b = low.size(0), c = low.size(1), h = low.size(2), w = low.size(3);
  const T* ll = low.const_data_ptr<T>();
  const T* bands = high.const_data_ptr<T>();
  T* to = out.mutable_data_ptr<T>();
  at::parallel_for(0, b * h, 8, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const T half = scale == nullptr ? T{0.5} : T{0.5} * scale[row / h];
      const T other = add == nullptr ? T{0} : add_scale[row / h];
      for (int64_t col = 0; col < w; ++col) {
        const T* l = ll + (row * w + col) * c;
        const T* d = bands + (row * w + col) * 3 * c;
        const int64_t start = (2 * row * w + col) * 2 * c, next = 2 * w * c;
        T* top = to + start;
        T* bottom = top + next;
        for (int64_t i = 0; i < c; ++i) {
          const T lh = d[3 * i], hl = d[3 * i + 1], hh = d[3 * i + 2];
          const T up = l[i] + lh, down = l[i] - lh;
          top[i] = half * (up + (hl + hh));
          top[i + c] = half * (up - (hl + hh));
          bottom[i] = half * (down + (hl - hh));
          bottom[i + c] = half * (down - (hl - hh));
        }
        if (add != nullptr) {
          for (int64_t i = 0; i < 2 * c; ++i) {
            top[i] += other * add[start + i];
            bottom[i] += other * add[start + next + i];
          }
        }
      }
    }
  });
}

at::Tensor EmptyImage(const at::Tensor& low) {
  return at::empty({low.size(0), low.size(1), 2 * low.size(2), 2 * low.size(3)},
                   low.options().memory_format(kChannelsLast));
}

at::Tensor InverseCpu(const at::Tensor& low, const at::Tensor& high) {
  CheckBands(low, high);
  at::Tensor out = EmptyImage(low);
  const at::Tensor l = low.contiguous(kChannelsLast), d = high.contiguous(kChannelsLast);
  AT_DISPATCH_FLOATING_TYPES(low.scalar_type(), "haar_inverse",
                             [&] { Inverse<scalar_t>(l, d, out, nullptr, nullptr, nullptr); });
  return out;
}

Bands CallForward(const at::Tensor& image) {
  static auto op = c10::Dispatcher::singleton()
                       .findSchemaOrThrow("avocet::haar_forward", "")
                       .typed<Bands(const at::Tensor&)>();
  return op.call(image);
}
at::Tensor CallInverse(const at::Tensor& low, const at::Tensor& high) {
  static auto op = c10::Dispatcher::singleton()
                       .findSchemaOrThrow("avocet::haar_inverse", "")
                       .typed<at::Tensor(const at::Tensor&, const at::Tensor&)>();
  return op.call(low, high);
}

// The transform is orthonormal: each is the adjoint of the other.
class HaarForwardFunction : public torch::autograd::Function<HaarForwardFunction> {
 public:
  static torch::autograd::variable_list forward(torch::autograd::AutogradContext*,
                                                const at::Tensor& image) {
    at::AutoDispatchBelowADInplaceOrView guard;
    auto [low, high] = CallForward(image);
    return {low, high};
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext*,
                                                 torch::autograd::variable_list gradients) {
    const at::Tensor& given = gradients[0].defined() ? gradients[0] : gradients[1];
    if (!given.defined()) return {at::Tensor()};
    const auto zeros = [&](int64_t channels) {
      return at::zeros({given.size(0), channels, given.size(2), given.size(3)}, given.options());
    };
    if (!gradients[0].defined()) gradients[0] = zeros(given.size(1) / 3);
    if (!gradients[1].defined()) gradients[1] = zeros(given.size(1) * 3);
    return {CallInverse(gradients[0], gradients[1])};
  }
};

class HaarInverseFunction : public torch::autograd::Function<HaarInverseFunction> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext*, const at::Tensor& low,
                            const at::Tensor& high) {
    at::AutoDispatchBelowADInplaceOrView guard;
    return CallInverse(low, high);
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext*,
                                                 torch::autograd::variable_list gradients) {
    auto [low, high] = CallForward(gradients[0]);
    return {low, high};
  }
};

Bands ForwardAutograd(const at::Tensor& image) {
  const auto bands = HaarForwardFunction::apply(image);
  return {bands[0], bands[1]};
}
at::Tensor InverseAutograd(const at::Tensor& low, const at::Tensor& high) {
  return HaarInverseFunction::apply(low, high);
}

}  // namespace

std::pair<at::Tensor, at::Tensor> HaarForward(const at::Tensor& image, HaarPadding padding) {
  at::Tensor even = image;
  TORCH_CHECK(image.dim() == 4, "haar: the image must be [B, C, H, W], got ", image.sizes());
  for (const int64_t axis : {2, 3}) {
    if (even.size(axis) % 2 == 0) continue;
    const at::Tensor last = even.narrow(axis, even.size(axis) - 1, 1);
    even = at::cat({even, padding == HaarPadding::kZero ? at::zeros_like(last) : last}, axis);
  }
  auto [low, high] = CallForward(even);
  return {low, high};
}

at::Tensor HaarInverse(const at::Tensor& low, const at::Tensor& high) {
  return CallInverse(low, high);
}

at::Tensor HaarInverseMix(const at::Tensor& low, const at::Tensor& high, const at::Tensor& image,
                          const at::Tensor& first, const at::Tensor& second) {
  CheckBands(low, high);
  at::Tensor out = EmptyImage(low);
  TORCH_CHECK(image.sizes() == out.sizes() && image.scalar_type() == low.scalar_type(),
              "haar: the image must be ", low.scalar_type(), " ", out.sizes(), ", got ",
              image.scalar_type(), " ", image.sizes());
  TORCH_CHECK(first.numel() == low.size(0) && second.numel() == low.size(0),
              "haar: one weight an image is needed, got ", first.sizes(), " and ", second.sizes());
  const at::Tensor l = low.contiguous(kChannelsLast), d = high.contiguous(kChannelsLast),
                   add = image.contiguous(kChannelsLast), f = first.contiguous(),
                   s = second.contiguous();
  AT_DISPATCH_FLOATING_TYPES(low.scalar_type(), "haar_inverse", [&] {
    Inverse<scalar_t>(l, d, out, f.const_data_ptr<scalar_t>(), add.const_data_ptr<scalar_t>(),
                      s.const_data_ptr<scalar_t>());
  });
  return out;
}

TORCH_LIBRARY_FRAGMENT(avocet, library) {
  library.def("haar_forward(Tensor image) -> (Tensor, Tensor)");
  library.def("haar_inverse(Tensor low, Tensor high) -> Tensor");
}
TORCH_LIBRARY_IMPL(avocet, CPU, library) {
  library.impl("haar_forward", &ForwardCpu);
  library.impl("haar_inverse", &InverseCpu);
}
TORCH_LIBRARY_IMPL(avocet, Autograd, library) {
  library.impl("haar_forward", &ForwardAutograd);
  library.impl("haar_inverse", &InverseAutograd);
}

}  // namespace avocet::kernels
