// SPDX-License-Identifier: Apache-2.0
// Registers the CUDA kernels with the dispatcher. This library is loaded after libtorch_cuda
// (app/core/select_device.cc), or by torch.ops.load_library.
#include "kernels/cuda/bi_wkv_cuda.h"

#include <ATen/ATen.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <torch/library.h>

#include <tuple>

#include "kernels/bi_wkv_check.h"

namespace avocet::kernels::cuda {
namespace {

void CheckLaunch(cudaError_t error) {
  TORCH_CHECK(error == cudaSuccess, "bi_wkv on CUDA: ", cudaGetErrorString(error));
}

void CheckType(const at::Tensor& k) {
  TORCH_CHECK(k.scalar_type() == at::kFloat, "bi_wkv: the CUDA kernel takes float32, got ",
              k.scalar_type());
}

WkvArgs ArgsOf(const at::Tensor& w, const at::Tensor& u, const at::Tensor& k, const at::Tensor& v) {
  WkvArgs a;
  a.batch = k.size(0), a.tokens = k.size(1), a.channels = k.size(2);
  a.w = w.const_data_ptr<float>(), a.u = u.const_data_ptr<float>();
  a.k = k.const_data_ptr<float>(), a.v = v.const_data_ptr<float>();
  return a;
}

at::Tensor Forward(const at::Tensor& w, const at::Tensor& u, const at::Tensor& k,
                   const at::Tensor& v, int64_t split, bool official_gradient) {
  CheckBiWkv(w, u, k, v, split, official_gradient);
  CheckType(k);
  if (split != 0) {  // the official arithmetic is kept for checking checkpoints; it runs on the CPU
    static auto op = c10::Dispatcher::singleton().findSchemaOrThrow("avocet::bi_wkv", "");
    return op
        .typed<at::Tensor(const at::Tensor&, const at::Tensor&, const at::Tensor&,
                          const at::Tensor&, int64_t, bool)>()
        .call(w.cpu(), u.cpu(), k.cpu(), v.cpu(), split, official_gradient)
        .to(k.device());
  }
  const c10::cuda::CUDAGuard guard(k.device());
  at::Tensor y = at::empty(k.sizes(), k.options().memory_format(at::MemoryFormat::Contiguous));
  if (y.numel() == 0) return y;
  const auto wc = w.contiguous(), uc = u.contiguous(), kc = k.contiguous(), vc = v.contiguous();
  WkvArgs a = ArgsOf(wc, uc, kc, vc);
  at::Tensor scratch = at::empty({ForwardScratchBytes(a)}, k.options().dtype(at::kByte));
  a.scratch = scratch.mutable_data_ptr();
  CheckLaunch(LaunchForward(a, y.mutable_data_ptr<float>(), c10::cuda::getCurrentCUDAStream()));
  return y;
}

std::tuple<at::Tensor, at::Tensor, at::Tensor, at::Tensor> Backward(
    const at::Tensor& g, const at::Tensor& w, const at::Tensor& u, const at::Tensor& k,
    const at::Tensor& v, int64_t split, bool official_gradient) {
  CheckBiWkv(w, u, k, v, split, official_gradient);
  CheckType(k);
  if (split != 0) {
    static auto op = c10::Dispatcher::singleton().findSchemaOrThrow("avocet::bi_wkv_backward", "");
    auto [gw, gu, gk, gv] =
        op.typed<std::tuple<at::Tensor, at::Tensor, at::Tensor, at::Tensor>(
            const at::Tensor&, const at::Tensor&, const at::Tensor&, const at::Tensor&,
            const at::Tensor&, int64_t, bool)>()
            .call(g.cpu(), w.cpu(), u.cpu(), k.cpu(), v.cpu(), split, official_gradient);
    return {gw.to(k.device()), gu.to(k.device()), gk.to(k.device()), gv.to(k.device())};
  }
  const c10::cuda::CUDAGuard guard(k.device());
  const auto options = k.options().memory_format(at::MemoryFormat::Contiguous);
  at::Tensor gk = at::empty(k.sizes(), options), gv = at::empty(k.sizes(), options);
  if (k.numel() == 0) return {at::zeros_like(w), at::zeros_like(u), gk, gv};
  at::Tensor gw = at::empty({k.size(0), k.size(2)}, k.options().dtype(at::kDouble));
  at::Tensor gu = at::empty_like(gw);
  const auto gc = g.contiguous(), wc = w.contiguous(), uc = u.contiguous(), kc = k.contiguous(),
             vc = v.contiguous();
  WkvArgs a = ArgsOf(wc, uc, kc, vc);
  at::Tensor scratch = at::empty({BackwardScratchBytes(a)}, k.options().dtype(at::kByte));
  a.scratch = scratch.mutable_data_ptr();
  CheckLaunch(LaunchBackward(a, gc.const_data_ptr<float>(), gk.mutable_data_ptr<float>(),
                             gv.mutable_data_ptr<float>(), gw.mutable_data_ptr<double>(),
                             gu.mutable_data_ptr<double>(), c10::cuda::getCurrentCUDAStream()));
  return {gw.sum(0).to(k.scalar_type()), gu.sum(0).to(k.scalar_type()), gk, gv};
}

}  // namespace

TORCH_LIBRARY_IMPL(avocet, CUDA, library) {
  library.impl("bi_wkv", &Forward);
  library.impl("bi_wkv_backward", &Backward);
}

}  // namespace avocet::kernels::cuda
