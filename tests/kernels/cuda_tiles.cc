// SPDX-License-Identifier: Apache-2.0
#include "tests/kernels/cuda_tiles.h"

#include <cstdlib>
#include <cstring>
#include <memory>

#include "kernels/cuda/wkv_program.h"

namespace avocet::test {
namespace kc = kernels::cuda;
namespace {

// The threads of a block, one after the other.
template <typename State, int quads>
class HostTeam {
 public:
  static constexpr int kQuads = quads;
  HostTeam(int threads, bool reversed) : states_(threads), reversed_(reversed) {}
  template <typename Step>
  void Run(Step step) {
    const int threads = static_cast<int>(states_.size());
    for (int i = 0; i < threads; ++i) {
      const int thread = reversed_ ? threads - 1 - i : i;
      step(thread, states_[thread]);
    }
  }

 private:
  std::vector<State> states_;
  bool reversed_;
};

// Shared memory of a block, of exactly the size that the GPU's has, so that a sanitizer sees a step
// out of it; full of NaN, so that a value read before it is written shows.
struct Free {
  void operator()(void* p) const { std::free(p); }
};
std::unique_ptr<char, Free> SharedOf(const kc::Plan& plan, int planes) {
  const int64_t bytes = kc::SharedBytes(plan, planes);
  std::unique_ptr<char, Free> memory(static_cast<char*>(std::malloc(bytes)));
  std::memset(memory.get(), 0xff, bytes);
  return memory;
}

template <int quads>
struct Block {
  Block(const kc::Plan& plan, int planes, bool reversed)
      : memory(SharedOf(plan, planes)),
        fast(plan.Threads(), reversed),
        rare(plan.Threads(), reversed),
        m(memory.get(), plan, planes) {}
  std::unique_ptr<char, Free> memory;
  HostTeam<kc::ExactState<quads>, quads> fast;
  HostTeam<kc::ScaledState, quads> rare;
  kc::Memory m;
};

// kAlone as in the launches (bi_wkv_cuda.cu).

// All blocks of a group, part by part.
template <int quads, typename Part>
void ForEachBlock(std::vector<std::unique_ptr<Block<quads>>>& blocks, Part part) {
  for (size_t i = 0; i < blocks.size(); ++i) part(*blocks[i], static_cast<int64_t>(i));
}

constexpr int kForwardQuads = kc::kForwardLength / kc::kQuad;
constexpr int kBackwardQuads = kc::kBackwardLength / kc::kQuad;

template <int quads>
std::vector<std::unique_ptr<Block<quads>>> Blocks(const kc::Plan& plan, int planes, bool reversed) {
  std::vector<std::unique_ptr<Block<quads>>> blocks;
  for (int64_t i = 0; i < plan.tiles; ++i) {
    blocks.push_back(std::make_unique<Block<quads>>(plan, planes, reversed));
  }
  return blocks;
}

template <int kPack, bool kAlone, typename S>
void Forward(kc::ExactArgs<S> a, bool repeat, bool reversed) {
  std::vector<kc::TileTotals> totals(a.plan.groups * a.plan.tiles * a.plan.lanes);
  const bool several = a.plan.tiles > 1;
  a.totals = totals.data();
  for (int64_t group = 0; group < a.plan.groups; ++group) {
    auto blocks = Blocks<kForwardQuads>(a.plan, kc::kForwardPlanes, reversed);
    ForEachBlock(blocks, [&](auto& b, int64_t i) {
      kc::ForwardBegin<kPack, kAlone>(b.fast, b.rare, a, kc::Tile(a, group, i), b.m, several);
    });
    if (repeat) blocks = Blocks<kForwardQuads>(a.plan, kc::kForwardPlanes, reversed);
    ForEachBlock(blocks, [&](auto& b, int64_t i) {
      const kc::Tile tile(a, group, i);
      if (repeat) kc::ForwardBegin<kPack, kAlone>(b.fast, b.rare, a, tile, b.m, false);
      kc::ForwardEnd<kPack, kAlone>(b.fast, b.rare, a, tile, b.m);
    });
  }
}

template <int kPack, bool kAlone, typename S>
void Backward(kc::ExactArgs<S> a, bool repeat, bool reversed) {
  std::vector<kc::TileTotals> totals(a.plan.groups * a.plan.tiles * a.plan.lanes);
  std::vector<kc::TileTotals> adjoints(totals.size());
  const bool several = a.plan.tiles > 1;
  a.totals = totals.data();
  a.adjoints = adjoints.data();
  for (int64_t group = 0; group < a.plan.groups; ++group) {
    auto blocks = Blocks<kBackwardQuads>(a.plan, kc::kBackwardPlanes, reversed);
    ForEachBlock(blocks, [&](auto& b, int64_t i) {
      kc::BackwardBegin<kPack, kAlone>(b.fast, b.rare, a, kc::Tile(a, group, i), b.m, several);
    });
    if (repeat) blocks = Blocks<kBackwardQuads>(a.plan, kc::kBackwardPlanes, reversed);
    ForEachBlock(blocks, [&](auto& b, int64_t i) {
      const kc::Tile tile(a, group, i);
      if (repeat) kc::BackwardBegin<kPack, kAlone>(b.fast, b.rare, a, tile, b.m, false);
      kc::BackwardMiddle<kAlone>(b.fast, b.rare, a, tile, b.m, several);
    });
    if (repeat) blocks = Blocks<kBackwardQuads>(a.plan, kc::kBackwardPlanes, reversed);
    ForEachBlock(blocks, [&](auto& b, int64_t i) {
      const kc::Tile tile(a, group, i);
      if (repeat) {
        kc::BackwardBegin<kPack, kAlone>(b.fast, b.rare, a, tile, b.m, false);
        kc::BackwardMiddle<kAlone>(b.fast, b.rare, a, tile, b.m, false);
      }
      kc::BackwardEnd<kPack, kAlone>(b.fast, b.rare, a, tile, b.m);
    });
  }
}

}  // namespace

template <typename S>
void RunTiled(TiledCall<S>& call, const kc::Plan& forward, const kc::Plan& backward, bool wide,
              bool repeat) {
  constexpr int kWide = kc::kWidePack<S>;
  kc::ExactArgs<S> a;
  a.batch = call.batch, a.tokens = call.tokens, a.channels = call.channels;
  a.w = call.w.data(), a.u = call.u.data(), a.k = call.k.data(), a.v = call.v.data();
  S poison;
  std::memset(&poison, 0xff, sizeof poison);
  call.y.assign(call.k.size(), poison);
  a.y = call.y.data();
  a.plan = forward;
  if (!wide) {
    Forward<1, false>(a, repeat, call.reversed);
  } else if (a.plan.tiles == 1) {
    Forward<kWide, true>(a, repeat, call.reversed);
  } else {
    Forward<kWide, false>(a, repeat, call.reversed);
  }
  if (call.g.empty()) return;
  call.gk.assign(call.k.size(), poison);
  call.gv.assign(call.k.size(), poison);
  std::vector<double> gw(call.batch * backward.tiles * call.channels, NAN), gu(gw);
  a.plan = backward;
  a.y = nullptr;
  a.g = call.g.data(), a.gk = call.gk.data(), a.gv = call.gv.data();
  a.gw = gw.data(), a.gu = gu.data();
  if (!wide) {
    Backward<1, false>(a, repeat, call.reversed);
  } else if (a.plan.tiles == 1) {
    Backward<kWide, true>(a, repeat, call.reversed);
  } else {
    Backward<kWide, false>(a, repeat, call.reversed);
  }
  call.gw.assign(call.channels, 0);
  call.gu.assign(call.channels, 0);
  for (size_t i = 0; i < gw.size(); ++i) {
    call.gw[i % call.channels] += gw[i];
    call.gu[i % call.channels] += gu[i];
  }
}

template void RunTiled(TiledCall<float>&, const kc::Plan&, const kc::Plan&, bool, bool);
template void RunTiled(TiledCall<kc::BFloat16>&, const kc::Plan&, const kc::Plan&, bool, bool);
template void RunTiled(TiledCall<kc::Half>&, const kc::Plan&, const kc::Plan&, bool, bool);

}  // namespace avocet::test
