// SPDX-License-Identifier: Apache-2.0
#include "kernels/ska.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include "kernels/ska_cpu.h"

namespace avocet::kernels {
namespace {

using Gradients = std::tuple<at::Tensor, at::Tensor>;
constexpr auto kChannelsLast = at::MemoryFormat::ChannelsLast;

void Check(const at::Tensor& x, const at::Tensor& kernel) {
  TORCH_CHECK(x.dim() == 4 && x.size(1) >= kSkaGroup && x.size(1) % kSkaGroup == 0,
              "ska: x must be [B, C, H, W] with C a multiple of 8, got ", x.sizes());
  const int64_t kernels = x.size(1) / kSkaGroup * kSkaTaps;
  TORCH_CHECK(kernel.sizes() == at::IntArrayRef({x.size(0), kernels, x.size(2), x.size(3)}),
              "ska: the kernel must be [", x.size(0), ", ", kernels, ", ", x.size(2), ", ",
              x.size(3), "], got ", kernel.sizes());
  TORCH_CHECK(x.scalar_type() == at::kFloat || x.scalar_type() == at::kDouble,
              "ska: the CPU kernel takes float32 or float64, got ", x.scalar_type());
  TORCH_CHECK(kernel.scalar_type() == x.scalar_type(), "ska: x is ", x.scalar_type(),
              ", the kernel ", kernel.scalar_type());
}

template <typename T>
SkaArgs<T> Arguments(const at::Tensor& x, const at::Tensor& kernel) {
  SkaArgs<T> a;
  a.batch = x.size(0), a.channels = x.size(1), a.rows = x.size(2), a.cols = x.size(3);
  a.x = x.const_data_ptr<T>();
  a.w = kernel.const_data_ptr<T>();
  return a;
}

template <typename T>
void Run(void (*kernel)(const SkaArgs<T>&, int64_t), const SkaArgs<T>& a) {
  at::parallel_for(0, a.batch * a.rows, 4, [&](int64_t begin, int64_t end) {
    for (int64_t task = begin; task < end; ++task) kernel(a, task);
  });
}

at::Tensor ForwardCpu(const at::Tensor& x, const at::Tensor& kernel) {
  Check(x, kernel);
  at::Tensor y = at::empty(x.sizes(), x.options().memory_format(kChannelsLast));
  if (y.numel() == 0) return y;
  const at::Tensor xc = x.contiguous(kChannelsLast), wc = kernel.contiguous(kChannelsLast);
  if (x.scalar_type() == at::kFloat) {
    auto a = Arguments<float>(xc, wc);
    a.y = y.mutable_data_ptr<float>();
    Run(SelectSkaCpuKernels().forward_f32, a);
  } else {
    auto a = Arguments<double>(xc, wc);
    a.y = y.mutable_data_ptr<double>();
    Run(SelectSkaCpuKernels().forward_f64, a);
  }
  return y;
}

Gradients BackwardCpu(const at::Tensor& grad, const at::Tensor& x, const at::Tensor& kernel) {
  Check(x, kernel);
  TORCH_CHECK(grad.sizes() == x.sizes() && grad.scalar_type() == x.scalar_type(),
              "ska_backward: the gradient must be ", x.scalar_type(), " ", x.sizes(), ", got ",
              grad.scalar_type(), " ", grad.sizes());
  at::Tensor gx = at::empty(x.sizes(), x.options().memory_format(kChannelsLast));
  at::Tensor gw = at::empty(kernel.sizes(), x.options().memory_format(kChannelsLast));
  if (gx.numel() == 0) return {gx, gw};
  const at::Tensor xc = x.contiguous(kChannelsLast), wc = kernel.contiguous(kChannelsLast),
                   gc = grad.contiguous(kChannelsLast);
  const auto fill = [&](auto& a) {
    using T = std::remove_const_t<std::remove_pointer_t<decltype(a.gy)>>;
    a.gy = gc.const_data_ptr<T>();
    a.gx = gx.mutable_data_ptr<T>();
    a.gw = gw.mutable_data_ptr<T>();
  };
  if (x.scalar_type() == at::kFloat) {
    auto a = Arguments<float>(xc, wc);
    fill(a);
    Run(SelectSkaCpuKernels().backward_f32, a);
  } else {
    auto a = Arguments<double>(xc, wc);
    fill(a);
    Run(SelectSkaCpuKernels().backward_f64, a);
  }
  return {gx, gw};
}

// Shapes only, for fake tensors.
at::Tensor ForwardMeta(const at::Tensor& x, const at::Tensor&) {
  return at::empty_symint(x.sym_sizes(), x.options().memory_format(kChannelsLast));
}
Gradients BackwardMeta(const at::Tensor&, const at::Tensor& x, const at::Tensor& kernel) {
  const auto options = x.options().memory_format(kChannelsLast);
  return {at::empty_symint(x.sym_sizes(), options), at::empty_symint(kernel.sym_sizes(), options)};
}

at::Tensor CallForward(const at::Tensor& x, const at::Tensor& kernel) {
  static auto op = c10::Dispatcher::singleton()
                       .findSchemaOrThrow("avocet::ska", "")
                       .typed<at::Tensor(const at::Tensor&, const at::Tensor&)>();
  return op.call(x, kernel);
}

Gradients CallBackward(const at::Tensor& grad, const at::Tensor& x, const at::Tensor& kernel) {
  static auto op = c10::Dispatcher::singleton()
                       .findSchemaOrThrow("avocet::ska_backward", "")
                       .typed<Gradients(const at::Tensor&, const at::Tensor&, const at::Tensor&)>();
  return op.call(grad, x, kernel);
}

class SkaFunction : public torch::autograd::Function<SkaFunction> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& x,
                            const at::Tensor& kernel) {
    at::AutoDispatchBelowADInplaceOrView guard;
    context->save_for_backward({x, kernel});
    return CallForward(x, kernel);
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    const auto saved = context->get_saved_variables();
    auto [gx, gw] = CallBackward(gradients[0], saved[0], saved[1]);
    return {gx, gw};
  }
};

at::Tensor ForwardAutograd(const at::Tensor& x, const at::Tensor& kernel) {
  return SkaFunction::apply(x, kernel);
}

}  // namespace

at::Tensor Ska(const at::Tensor& x, const at::Tensor& kernel) { return CallForward(x, kernel); }

at::Tensor SkaNormAdd(const at::Tensor& x, const at::Tensor& kernel, const at::Tensor& kernel_scale,
                      const at::Tensor& kernel_shift, const at::Tensor& scale,
                      const at::Tensor& shift) {
  Check(x, kernel);
  TORCH_CHECK(x.scalar_type() == at::kFloat, "ska: the fused form takes float32, got ",
              x.scalar_type());
  TORCH_CHECK(kernel_scale.numel() == kernel.size(0) * kernel.size(1) &&
                  kernel_shift.numel() == kernel_scale.numel() && scale.numel() == x.size(1) &&
                  shift.numel() == x.size(1),
              "ska: scales and shifts must be [B, 9 C / 8] and [C], got ", kernel_scale.sizes(),
              ", ", kernel_shift.sizes(), ", ", scale.sizes(), ", ", shift.sizes());
  at::Tensor y = at::empty(x.sizes(), x.options().memory_format(kChannelsLast));
  if (y.numel() == 0) return y;
  const at::Tensor xc = x.contiguous(kChannelsLast), wc = kernel.contiguous(kChannelsLast),
                   ks = kernel_scale.contiguous(), kb = kernel_shift.contiguous(),
                   s = scale.contiguous(), b = shift.contiguous();
  auto a = Arguments<float>(xc, wc);
  a.y = y.mutable_data_ptr<float>();
  a.w_scale = ks.const_data_ptr<float>(), a.w_shift = kb.const_data_ptr<float>();
  a.scale = s.const_data_ptr<float>(), a.shift = b.const_data_ptr<float>();
  Run(SelectSkaCpuKernels().forward_f32, a);
  return y;
}

TORCH_LIBRARY_FRAGMENT(avocet, library) {
  library.def("ska(Tensor x, Tensor kernel) -> Tensor");
  library.def("ska_backward(Tensor grad, Tensor x, Tensor kernel) -> (Tensor, Tensor)");
}
TORCH_LIBRARY_IMPL(avocet, CPU, library) {
  library.impl("ska", &ForwardCpu);
  library.impl("ska_backward", &BackwardCpu);
}
TORCH_LIBRARY_IMPL(avocet, Meta, library) {
  library.impl("ska", &ForwardMeta);
  library.impl("ska_backward", &BackwardMeta);
}
TORCH_LIBRARY_IMPL(avocet, Autograd, library) { library.impl("ska", &ForwardAutograd); }

}  // namespace avocet::kernels
