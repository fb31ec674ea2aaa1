// SPDX-License-Identifier: Apache-2.0
// Registers the CUDA kernels with the dispatcher. This library is loaded after libtorch_cuda
// (app/core/select_device.cc), or by torch.ops.load_library.
#include "kernels/cuda/bi_wkv_cuda.h"

#include <ATen/ATen.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <torch/library.h>

#include <algorithm>
#include <tuple>

#include "kernels/bi_wkv_check.h"

namespace avocet::kernels::cuda {
namespace {

using Gradients = std::tuple<at::Tensor, at::Tensor, at::Tensor, at::Tensor>;

// Scratch of the official arithmetic that is asked for at once.
constexpr int64_t kScratchBytes = int64_t{256} << 20;

void CheckLaunch(cudaError_t error) {
  TORCH_CHECK(error == cudaSuccess, "bi_wkv on CUDA: ", cudaGetErrorString(error));
}

// Calls visit(S{}) with the storage type of k.
template <typename Visit>
void WithStorage(const at::Tensor& k, Visit visit) {
  switch (k.scalar_type()) {
    case at::kFloat:
      return visit(float{});
    case at::kBFloat16:
      return visit(BFloat16{});
    case at::kHalf:
      return visit(Half{});
    default:
      TORCH_CHECK(false, "bi_wkv: the CUDA kernels take float32, bfloat16 or float16, got ",
                  k.scalar_type());
  }
}

template <typename S>
const S* Pointer(const at::Tensor& x) {
  return static_cast<const S*>(x.const_data_ptr());
}
template <typename S>
S* MutablePointer(at::Tensor& x) {
  return static_cast<S*>(x.mutable_data_ptr());
}

at::Tensor Bytes(int64_t count, const at::Tensor& like) {
  return at::empty({count}, like.options().dtype(at::kByte));
}

// The fields that both arithmetics and both passes have. Tensors contiguous, w and u float32.
template <typename S, typename Args>
void Fill(Args& a, const at::Tensor& w, const at::Tensor& u, const at::Tensor& k,
          const at::Tensor& v) {
  a.batch = k.size(0), a.tokens = k.size(1), a.channels = k.size(2);
  a.w = Pointer<float>(w), a.u = Pointer<float>(u);
  a.k = Pointer<S>(k), a.v = Pointer<S>(v);
}

// Batch items at a time, so that the scratch stays within bounds where one item does.
template <typename S>
at::Tensor OfficialScratch(OfficialArgs<S>& a, int64_t split, const at::Tensor& like) {
  a.split = static_cast<int>(split);
  const int64_t item =
      kOfficialPlanes * a.tokens * a.channels * static_cast<int64_t>(sizeof(double));
  a.items = std::clamp<int64_t>(kScratchBytes / item, 1, a.batch);
  at::Tensor scratch = Bytes(item * a.items, like);
  a.scratch = MutablePointer<double>(scratch);
  return scratch;
}

at::Tensor Forward(const at::Tensor& w, const at::Tensor& u, const at::Tensor& k,
                   const at::Tensor& v, int64_t split, bool official_gradient) {
  CheckBiWkv(w, u, k, v, split, official_gradient);
  const c10::cuda::CUDAGuard guard(k.device());
  at::Tensor y = at::empty(k.sizes(), k.options().memory_format(at::MemoryFormat::Contiguous));
  if (y.numel() == 0) return y;
  const auto wc = w.to(at::kFloat).contiguous(), uc = u.to(at::kFloat).contiguous();
  const auto kc = k.contiguous(), vc = v.contiguous();
  const cudaStream_t stream = c10::cuda::getCurrentCUDAStream();
  WithStorage(k, [&](auto storage) {
    using S = decltype(storage);
    if (split != 0) {
      OfficialArgs<S> a;
      Fill<S>(a, wc, uc, kc, vc);
      a.y = MutablePointer<S>(y);
      const at::Tensor scratch = OfficialScratch(a, split, k);
      CheckLaunch(LaunchOfficialForward(a, stream));
    } else {
      ExactArgs<S> a;
      Fill<S>(a, wc, uc, kc, vc);
      a.y = MutablePointer<S>(y);
      CheckLaunch(PlanExact(a, false));
      at::Tensor workspace = Bytes(ExactWorkspaceBytes(a, false), k);
      CheckLaunch(LaunchForward(a, workspace.mutable_data_ptr(), stream));
    }
  });
  return y;
}

Gradients Backward(const at::Tensor& g, const at::Tensor& w, const at::Tensor& u,
                   const at::Tensor& k, const at::Tensor& v, int64_t split,
                   bool official_gradient) {
  CheckBiWkv(w, u, k, v, split, official_gradient);
  TORCH_CHECK(
      g.sizes() == k.sizes() && g.scalar_type() == k.scalar_type() && g.device() == k.device(),
      "bi_wkv_backward: the gradient must be ", k.scalar_type(), " ", k.sizes(), " on ", k.device(),
      ", got ", g.scalar_type(), " ", g.sizes(), " on ", g.device());
  const c10::cuda::CUDAGuard guard(k.device());
  const auto options = k.options().memory_format(at::MemoryFormat::Contiguous);
  at::Tensor gk = at::empty(k.sizes(), options), gv = at::empty(k.sizes(), options);
  if (k.numel() == 0) return {at::zeros_like(w), at::zeros_like(u), gk, gv};
  at::Tensor gw = at::empty({k.size(2)}, k.options().dtype(at::kFloat)), gu = at::empty_like(gw);
  const auto wc = w.to(at::kFloat).contiguous(), uc = u.to(at::kFloat).contiguous();
  const auto gc = g.contiguous(), kc = k.contiguous(), vc = v.contiguous();
  const cudaStream_t stream = c10::cuda::getCurrentCUDAStream();
  WithStorage(k, [&](auto storage) {
    using S = decltype(storage);
    const auto fill = [&](auto& a) {
      Fill<S>(a, wc, uc, kc, vc);
      a.g = Pointer<S>(gc), a.gk = MutablePointer<S>(gk), a.gv = MutablePointer<S>(gv);
    };
    if (split != 0) {
      OfficialArgs<S> a;
      fill(a);
      a.official_gradient = official_gradient;
      const at::Tensor scratch = OfficialScratch(a, split, k);
      at::Tensor rows = at::empty({2, a.batch, a.channels}, k.options().dtype(at::kDouble));
      a.gw = rows.mutable_data_ptr<double>();
      a.gu = a.gw + a.batch * a.channels;
      CheckLaunch(LaunchOfficialBackward(a, gw.mutable_data_ptr<float>(),
                                         gu.mutable_data_ptr<float>(), stream));
    } else {
      ExactArgs<S> a;
      fill(a);
      CheckLaunch(PlanExact(a, true));
      at::Tensor workspace = Bytes(ExactWorkspaceBytes(a, true), k);
      CheckLaunch(LaunchBackward(a, gw.mutable_data_ptr<float>(), gu.mutable_data_ptr<float>(),
                                 workspace.mutable_data_ptr(), stream));
    }
  });
  return {gw.to(w.scalar_type()), gu.to(u.scalar_type()), gk, gv};
}

}  // namespace

TORCH_LIBRARY_IMPL(avocet, CUDA, library) {
  library.impl("bi_wkv", &Forward);
  library.impl("bi_wkv_backward", &Backward);
}

}  // namespace avocet::kernels::cuda
