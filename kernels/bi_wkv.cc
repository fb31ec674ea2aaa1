// SPDX-License-Identifier: Apache-2.0
#include "kernels/bi_wkv.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include <tuple>

#include "kernels/bi_wkv_check.h"
#include "kernels/bi_wkv_cpu.h"

namespace avocet::kernels {
namespace {

using Gradients = std::tuple<at::Tensor, at::Tensor, at::Tensor, at::Tensor>;

void CheckCpuType(const at::Tensor& k) {
  TORCH_CHECK(k.scalar_type() == at::kFloat || k.scalar_type() == at::kDouble,
              "bi_wkv: the CPU kernel takes float32 or float64, got ", k.scalar_type());
}

template <typename Args>
int64_t Tasks(const Args& a) {
  return a.batch * ((a.channels + kWkvBlock - 1) / kWkvBlock);
}

template <typename T>
void RunForward(const at::Tensor& w, const at::Tensor& u, const at::Tensor& k, const at::Tensor& v,
                int64_t split, at::Tensor& y) {
  WkvForwardArgs<T> a;
  a.batch = k.size(0), a.tokens = k.size(1), a.channels = k.size(2), a.split = split;
  a.w = w.const_data_ptr<T>(), a.u = u.const_data_ptr<T>();
  a.k = k.const_data_ptr<T>(), a.v = v.const_data_ptr<T>();
  a.y = y.mutable_data_ptr<T>();
  const WkvCpuKernels& kernels = SelectWkvCpuKernels();
  at::parallel_for(0, Tasks(a), 1, [&](int64_t begin, int64_t end) {
    for (int64_t task = begin; task < end; ++task) {
      if constexpr (std::is_same_v<T, float>) {
        kernels.forward_f32(a, task);
      } else {
        kernels.forward_f64(a, task);
      }
    }
  });
}

template <typename T>
void RunBackward(const at::Tensor& g, const at::Tensor& w, const at::Tensor& u, const at::Tensor& k,
                 const at::Tensor& v, int64_t split, bool official_gradient, at::Tensor& gk,
                 at::Tensor& gv, at::Tensor& gw, at::Tensor& gu) {
  WkvBackwardArgs<T> a;
  a.batch = k.size(0), a.tokens = k.size(1), a.channels = k.size(2), a.split = split;
  a.official_gradient = official_gradient;
  a.w = w.const_data_ptr<T>(), a.u = u.const_data_ptr<T>();
  a.k = k.const_data_ptr<T>(), a.v = v.const_data_ptr<T>(), a.g = g.const_data_ptr<T>();
  a.gk = gk.mutable_data_ptr<T>(), a.gv = gv.mutable_data_ptr<T>();
  a.gw = gw.mutable_data_ptr<double>(), a.gu = gu.mutable_data_ptr<double>();
  const WkvCpuKernels& kernels = SelectWkvCpuKernels();
  at::parallel_for(0, Tasks(a), 1, [&](int64_t begin, int64_t end) {
    for (int64_t task = begin; task < end; ++task) {
      if constexpr (std::is_same_v<T, float>) {
        kernels.backward_f32(a, task);
      } else {
        kernels.backward_f64(a, task);
      }
    }
  });
}

at::Tensor ForwardCpu(const at::Tensor& w, const at::Tensor& u, const at::Tensor& k,
                      const at::Tensor& v, int64_t split, bool official_gradient) {
  CheckBiWkv(w, u, k, v, split, official_gradient);
  CheckCpuType(k);
  at::Tensor y = at::empty(k.sizes(), k.options().memory_format(at::MemoryFormat::Contiguous));
  if (y.numel() == 0) return y;
  const auto wc = w.contiguous(), uc = u.contiguous(), kc = k.contiguous(), vc = v.contiguous();
  if (k.scalar_type() == at::kFloat) {
    RunForward<float>(wc, uc, kc, vc, split, y);
  } else {
    RunForward<double>(wc, uc, kc, vc, split, y);
  }
  return y;
}

Gradients BackwardCpu(const at::Tensor& g, const at::Tensor& w, const at::Tensor& u,
                      const at::Tensor& k, const at::Tensor& v, int64_t split,
                      bool official_gradient) {
  CheckBiWkv(w, u, k, v, split, official_gradient);
  CheckCpuType(k);
  TORCH_CHECK(g.sizes() == k.sizes() && g.scalar_type() == k.scalar_type(),
              "bi_wkv_backward: the gradient must be ", k.scalar_type(), " ", k.sizes(), ", got ",
              g.scalar_type(), " ", g.sizes());
  const auto options = k.options().memory_format(at::MemoryFormat::Contiguous);
  at::Tensor gk = at::empty(k.sizes(), options), gv = at::empty(k.sizes(), options);
  if (k.numel() == 0) return {at::zeros_like(w), at::zeros_like(u), gk, gv};
  const auto rows = k.options().dtype(at::kDouble);
  at::Tensor gw = at::empty({k.size(0), k.size(2)}, rows), gu = at::empty_like(gw);
  const auto gc = g.contiguous(), wc = w.contiguous(), uc = u.contiguous(), kc = k.contiguous(),
             vc = v.contiguous();
  if (k.scalar_type() == at::kFloat) {
    RunBackward<float>(gc, wc, uc, kc, vc, split, official_gradient, gk, gv, gw, gu);
  } else {
    RunBackward<double>(gc, wc, uc, kc, vc, split, official_gradient, gk, gv, gw, gu);
  }
  return {gw.sum(0).to(k.scalar_type()), gu.sum(0).to(k.scalar_type()), gk, gv};
}

// Shapes only, for fake tensors.
at::Tensor ForwardMeta(const at::Tensor& w, const at::Tensor& u, const at::Tensor& k,
                       const at::Tensor& v, int64_t, bool) {
  (void)w, (void)u, (void)v;
  return at::empty_symint(k.sym_sizes(), k.options().memory_format(at::MemoryFormat::Contiguous));
}
Gradients BackwardMeta(const at::Tensor& g, const at::Tensor& w, const at::Tensor& u,
                       const at::Tensor& k, const at::Tensor& v, int64_t, bool) {
  (void)g, (void)v;
  const auto options = k.options().memory_format(at::MemoryFormat::Contiguous);
  return {at::empty_like(w), at::empty_like(u), at::empty_symint(k.sym_sizes(), options),
          at::empty_symint(k.sym_sizes(), options)};
}

at::Tensor CallForward(const at::Tensor& w, const at::Tensor& u, const at::Tensor& k,
                       const at::Tensor& v, int64_t split, bool official_gradient) {
  static auto op = c10::Dispatcher::singleton()
                       .findSchemaOrThrow("avocet::bi_wkv", "")
                       .typed<at::Tensor(const at::Tensor&, const at::Tensor&, const at::Tensor&,
                                         const at::Tensor&, int64_t, bool)>();
  return op.call(w, u, k, v, split, official_gradient);
}

Gradients CallBackward(const at::Tensor& g, const at::Tensor& w, const at::Tensor& u,
                       const at::Tensor& k, const at::Tensor& v, int64_t split,
                       bool official_gradient) {
  static auto op = c10::Dispatcher::singleton()
                       .findSchemaOrThrow("avocet::bi_wkv_backward", "")
                       .typed<Gradients(const at::Tensor&, const at::Tensor&, const at::Tensor&,
                                        const at::Tensor&, const at::Tensor&, int64_t, bool)>();
  return op.call(g, w, u, k, v, split, official_gradient);
}

class BiWkvFunction : public torch::autograd::Function<BiWkvFunction> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& w,
                            const at::Tensor& u, const at::Tensor& k, const at::Tensor& v,
                            int64_t split, bool official_gradient) {
    at::AutoDispatchBelowADInplaceOrView guard;
    context->save_for_backward({w, u, k, v});
    context->saved_data["split"] = split;
    context->saved_data["official_gradient"] = official_gradient;
    return CallForward(w, u, k, v, split, official_gradient);
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    const auto saved = context->get_saved_variables();
    auto [gw, gu, gk, gv] = CallBackward(gradients[0], saved[0], saved[1], saved[2], saved[3],
                                         context->saved_data["split"].toInt(),
                                         context->saved_data["official_gradient"].toBool());
    return {gw, gu, gk, gv, at::Tensor(), at::Tensor()};
  }
};

at::Tensor ForwardAutograd(const at::Tensor& w, const at::Tensor& u, const at::Tensor& k,
                           const at::Tensor& v, int64_t split, bool official_gradient) {
  return BiWkvFunction::apply(w, u, k, v, split, official_gradient);
}

}  // namespace

at::Tensor BiWkv(const at::Tensor& w, const at::Tensor& u, const at::Tensor& k, const at::Tensor& v,
                 int64_t split, bool official_gradient) {
  return CallForward(w, u, k, v, split, official_gradient);
}

TORCH_LIBRARY(avocet, library) {
  library.def(
      "bi_wkv(Tensor w, Tensor u, Tensor k, Tensor v, int split=0, bool official_gradient=False)"
      " -> Tensor");
  library.def(
      "bi_wkv_backward(Tensor grad, Tensor w, Tensor u, Tensor k, Tensor v, int split=0,"
      " bool official_gradient=False) -> (Tensor, Tensor, Tensor, Tensor)");
}
TORCH_LIBRARY_IMPL(avocet, CPU, library) {
  library.impl("bi_wkv", &ForwardCpu);
  library.impl("bi_wkv_backward", &BackwardCpu);
}
TORCH_LIBRARY_IMPL(avocet, Meta, library) {
  library.impl("bi_wkv", &ForwardMeta);
  library.impl("bi_wkv_backward", &BackwardMeta);
}
TORCH_LIBRARY_IMPL(avocet, Autograd, library) { library.impl("bi_wkv", &ForwardAutograd); }

}  // namespace avocet::kernels
