// SPDX-License-Identifier: Apache-2.0
#include "kernels/bi_wkv.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <c10/core/CPUAllocator.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include <algorithm>
#include <tuple>
#include <type_traits>

#include "kernels/bi_wkv_check.h"
#include "kernels/bi_wkv_cpu.h"

namespace avocet::kernels {
namespace {

using Gradients = std::tuple<at::Tensor, at::Tensor, at::Tensor, at::Tensor>;

// Segments of a tile, at least, where a row is cut into tiles.
constexpr int64_t kTileSegments = 8;
// Rows of no more tokens are run whole, some blocks at a time, so that what is read twice stays in
// the second cache. A block is a cache line of each row; lines as far apart as rows of many
// channels are come from few of that cache's banks, and neighbours from others.
constexpr int64_t kKeptTokens = 1024;
constexpr int64_t kGroupTokens = 1600;
int64_t GroupBlocks(int64_t tokens) { return std::clamp<int64_t>(kGroupTokens / tokens, 2, 4); }

template <typename S>
const WkvKernels<S>& KernelsFor(const WkvCpuKernels& all) {
  if constexpr (std::is_same_v<S, float>) {
    return all.f32;
  } else if constexpr (std::is_same_v<S, double>) {
    return all.f64;
  } else if constexpr (std::is_same_v<S, WkvBFloat16>) {
    return all.bf16;
  } else {
    return all.f16;
  }
}

// Calls visit(S{}) with the storage type of `type`.
template <typename Visit>
void WithStorage(at::ScalarType type, Visit visit) {
  switch (type) {
    case at::kFloat:
      return visit(float{});
    case at::kDouble:
      return visit(double{});
    case at::kBFloat16:
      return visit(WkvBFloat16{});
    case at::kHalf:
      return visit(WkvHalf{});
    default:
      TORCH_CHECK(false, "bi_wkv: tensors must be float32, float64, bfloat16 or float16, got ",
                  type);
  }
}

template <typename Args>
int64_t Blocks(const Args& a) {
  return a.batch * WkvBlocks(a.channels);
}

// With enough blocks for all threads, each thread takes some and needs not wait for the others;
// otherwise rows are cut into tiles. The result is the same.
template <typename Args>
bool EnoughBlocks(const Args& a) {
  return Blocks(a) >= 4 * at::get_num_threads() && a.tokens <= kKeptTokens;
}

// Calls work(args, tile) for a thread's blocks, whole rows of some at a time, with a workspace that
// the thread reuses.
template <typename Args, typename Work>
void ForEachThread(const Args& args, int64_t workspace_bytes, Work work) {
  const int64_t columns = WkvBlocks(args.channels), most = GroupBlocks(args.tokens);
  at::parallel_for(0, Blocks(args), 1, [&](int64_t begin, int64_t end) {
    Args a = args;
    const auto memory =
        c10::GetCPUAllocator()->allocate(workspace_bytes * std::min({most, columns, end - begin}));
    a.workspace = memory.get();
    a.kept = true;
    // As even as they can be: blocks by themselves are the slow ones.
    const auto group_end = [&](int64_t first) {
      const int64_t left = std::min(end, (first / columns + 1) * columns) - first;
      const int64_t groups = (left + most - 1) / most;
      return first + (left + groups - 1) / groups;
    };
    for (int64_t first = begin, last = group_end(begin); first < end;) {
      const int64_t next = last < end ? group_end(last) : last;
      a.workspace_block = first;
      work(a, WkvTile{first, last, 0, WkvSegments(a.tokens), last, next});
      first = last;
      last = next;
    }
  });
}

// Work over all segments; what one thread gets of a row is one tile.
template <typename Args, typename Work>
void ForEachTile(const Args& a, Work work) {
  const int64_t segments = WkvSegments(a.tokens), columns = WkvBlocks(a.channels);
  at::parallel_for(0, a.batch * segments, kTileSegments, [&](int64_t begin, int64_t end) {
    while (begin < end) {
      const int64_t row = begin / segments, last = std::min(end, (row + 1) * segments);
      work(a, WkvTile{row * columns, (row + 1) * columns, begin - row * segments,
                      last - row * segments});
      begin = last;
    }
  });
}
template <typename Args, typename Work>
void ForEachWhole(const Args& a, Work work) {
  at::parallel_for(0, Blocks(a), 1, [&](int64_t begin, int64_t end) {
    for (int64_t block = begin; block < end; ++block) work(a, block);
  });
}

template <typename S>
void RunForward(WkvForwardArgs<S> a) {
  const WkvCpuKernels& all = SelectWkvCpuKernels();
  const WkvForwardKernels<S>& kernels = KernelsFor<S>(all).forward;
  const bool kept = EnoughBlocks(a);
  const int64_t bytes = all.workspace(a.tokens, false, std::is_same_v<S, double>);
  if (a.split != 0) {
    ForEachWhole(a, kernels.official);
  } else if (kept) {
    ForEachThread(a, bytes, [&](const WkvForwardArgs<S>& mine, WkvTile tile) {
      const int64_t first = tile.first_block, last = tile.last_block;
      for (int64_t block = first; block < last; ++block) kernels.prepare(mine, block);
      kernels.totals(mine, tile);
      for (int64_t block = first; block < last; ++block) kernels.combine(mine, block);
      kernels.outputs(mine, tile);
    });
  } else {
    const auto memory = c10::GetCPUAllocator()->allocate(bytes * Blocks(a));
    a.workspace = memory.get();
    ForEachWhole(a, kernels.prepare);
    ForEachTile(a, kernels.totals);
    ForEachWhole(a, kernels.combine);
    ForEachTile(a, kernels.outputs);
  }
}

template <typename S>
void RunBackward(WkvBackwardArgs<S> a) {
  const WkvCpuKernels& all = SelectWkvCpuKernels();
  const WkvBackwardKernels<S>& kernels = KernelsFor<S>(all).backward;
  const bool kept = EnoughBlocks(a);
  const int64_t bytes = all.workspace(a.tokens, true, std::is_same_v<S, double>);
  if (a.split != 0) {
    ForEachWhole(a, kernels.official);
  } else if (kept) {
    ForEachThread(a, bytes, [&](const WkvBackwardArgs<S>& mine, WkvTile tile) {
      const int64_t first = tile.first_block, last = tile.last_block;
      for (int64_t block = first; block < last; ++block) kernels.prepare(mine, block);
      kernels.totals(mine, tile);
      for (int64_t block = first; block < last; ++block) kernels.combine(mine, block);
      kernels.adjoints(mine, tile);
      for (int64_t block = first; block < last; ++block) kernels.combine_adjoints(mine, block);
      kernels.gradients(mine, tile);
      for (int64_t block = first; block < last; ++block) kernels.finish(mine, block);
    });
  } else {
    const auto memory = c10::GetCPUAllocator()->allocate(bytes * Blocks(a));
    a.workspace = memory.get();
    ForEachWhole(a, kernels.prepare);
    ForEachTile(a, kernels.totals);
    ForEachWhole(a, kernels.combine);
    ForEachTile(a, kernels.adjoints);
    ForEachWhole(a, kernels.combine_adjoints);
    ForEachTile(a, kernels.gradients);
    ForEachWhole(a, kernels.finish);
  }
}

// The type of the sums, and of w and u on their way in.
at::ScalarType StateType(const at::Tensor& k) {
  return k.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
}

template <typename S>
const S* Pointer(const at::Tensor& x) {
  return static_cast<const S*>(x.const_data_ptr());
}
template <typename S>
S* MutablePointer(at::Tensor& x) {
  return static_cast<S*>(x.mutable_data_ptr());
}

at::Tensor ForwardCpu(const at::Tensor& w, const at::Tensor& u, const at::Tensor& k,
                      const at::Tensor& v, int64_t split, bool official_gradient) {
  CheckBiWkv(w, u, k, v, split, official_gradient);
  at::Tensor y = at::empty(k.sizes(), k.options().memory_format(at::MemoryFormat::Contiguous));
  const auto wc = w.to(StateType(k)).contiguous(), uc = u.to(StateType(k)).contiguous();
  const auto kc = k.contiguous(), vc = v.contiguous();
  WithStorage(k.scalar_type(), [&](auto storage) {
    using S = decltype(storage);
    using T = typename WkvState<S>::Type;
    if (y.numel() == 0) return;
    WkvForwardArgs<S> a;
    a.batch = k.size(0), a.tokens = k.size(1), a.channels = k.size(2), a.split = split;
    a.w = Pointer<T>(wc), a.u = Pointer<T>(uc), a.k = Pointer<S>(kc), a.v = Pointer<S>(vc);
    a.y = MutablePointer<S>(y);
    RunForward(a);
  });
  return y;
}

Gradients BackwardCpu(const at::Tensor& g, const at::Tensor& w, const at::Tensor& u,
                      const at::Tensor& k, const at::Tensor& v, int64_t split,
                      bool official_gradient) {
  CheckBiWkv(w, u, k, v, split, official_gradient);
  TORCH_CHECK(g.sizes() == k.sizes() && g.scalar_type() == k.scalar_type(),
              "bi_wkv_backward: the gradient must be ", k.scalar_type(), " ", k.sizes(), ", got ",
              g.scalar_type(), " ", g.sizes());
  const auto options = k.options().memory_format(at::MemoryFormat::Contiguous);
  at::Tensor gk = at::empty(k.sizes(), options), gv = at::empty(k.sizes(), options);
  if (k.numel() == 0) return {at::zeros_like(w), at::zeros_like(u), gk, gv};
  const auto rows = k.options().dtype(at::kDouble);
  at::Tensor gw = at::empty({k.size(0), k.size(2)}, rows), gu = at::empty_like(gw);
  const auto wc = w.to(StateType(k)).contiguous(), uc = u.to(StateType(k)).contiguous();
  const auto gc = g.contiguous(), kc = k.contiguous(), vc = v.contiguous();
  WithStorage(k.scalar_type(), [&](auto storage) {
    using S = decltype(storage);
    using T = typename WkvState<S>::Type;
    WkvBackwardArgs<S> a;
    a.batch = k.size(0), a.tokens = k.size(1), a.channels = k.size(2), a.split = split;
    a.official_gradient = official_gradient;
    a.w = Pointer<T>(wc), a.u = Pointer<T>(uc);
    a.k = Pointer<S>(kc), a.v = Pointer<S>(vc), a.g = Pointer<S>(gc);
    a.gk = MutablePointer<S>(gk), a.gv = MutablePointer<S>(gv);
    a.gw = gw.mutable_data_ptr<double>(), a.gu = gu.mutable_data_ptr<double>();
    RunBackward(a);
  });
  return {gw.sum(0).to(w.scalar_type()), gu.sum(0).to(u.scalar_type()), gk, gv};
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
  // What a graph's node costs is a few per cent of a small call.
  if (!at::GradMode::is_enabled() ||
      !(w.requires_grad() || u.requires_grad() || k.requires_grad() || v.requires_grad())) {
    at::AutoDispatchBelowADInplaceOrView guard;
    return CallForward(w, u, k, v, split, official_gradient);
  }
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
