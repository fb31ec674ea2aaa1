// SPDX-License-Identifier: Apache-2.0
#pragma once

// What a block does with a tile, in parts between which the blocks of a group exchange totals: the
// GPU's kernels and the tests on the host run these same functions.
//
//   forward:  ForwardBegin, exchange, ForwardEnd
//   backward: BackwardBegin, exchange, BackwardMiddle, exchange, BackwardEnd
//
// A group of one tile needs no exchange. `publish` is false where a launch repeats a part whose
// totals others have already read.
#include "kernels/cuda/wkv_exact.h"
#include "kernels/cuda/wkv_scaled.h"

// The rare path must not cost the usual one registers.
#if defined(__CUDACC__)
#define AVOCET_RARE __host__ __device__ __noinline__
#else
#define AVOCET_RARE inline
#endif

namespace avocet::kernels::cuda {

// Tile and Memory by value: references would keep them in local memory for the usual path too.
template <typename Team, typename Args>
AVOCET_RARE void RareTotals(Team& team, const Args& a, Tile tile, Memory m, TileTotals* publish) {
  ScaledTotals(team, a, tile, m, publish);
}
template <typename Team>
AVOCET_RARE void RareOutputs(Team& team, Tile tile, Memory m, bool alone) {
  ScaledOutputs(team, tile, m, alone);
}
template <typename Team, typename Args>
AVOCET_RARE void RareAdjoints(Team& team, const Args& a, Tile tile, Memory m, bool alone,
                              TileTotals* publish) {
  ScaledAdjoints(team, a, tile, m, alone, publish);
}
template <typename Team, typename Args>
AVOCET_RARE void RareGradients(Team& team, const Args& a, Tile tile, Memory m, bool alone) {
  ScaledGradients(team, a, tile, m, alone);
}

// Fast and Rare are teams of the same threads with states for either path.
template <int kPack, typename Fast, typename Rare, typename Args>
AVOCET_HOST_DEVICE void ForwardBegin(Fast& fast, Rare& rare, const Args& a, const Tile& tile,
                                     const Memory& m, bool publish) {
  fast.Run([&](int thread, auto&) {
    FillConstants(a, tile, m, thread);
    LoadPlane<kPack>(a, tile, m, thread, 0, a.k, -INFINITY);
    LoadPlane<kPack>(a, tile, m, thread, 1, a.v, 0);
  });
  TileTotals* totals = publish ? a.totals : nullptr;
  if (IsFast(m)) {
    ExactTotals(fast, a, tile, m, totals);
  } else {
    RareTotals(rare, a, tile, m, totals);
  }
}

template <int kPack, typename Fast, typename Rare, typename Args>
AVOCET_HOST_DEVICE void ForwardEnd(Fast& fast, Rare& rare, const Args& a, const Tile& tile,
                                   const Memory& m) {
  const bool alone = a.plan.tiles == 1;
  if (!alone) ReadCarry(fast, a, tile, m, a.totals);
  if (IsFast(m)) {
    ExactOutputs(fast, m, alone);
  } else {
    RareOutputs(rare, tile, m, alone);
  }
  fast.Run([&](int thread, auto&) { StorePlane<kPack>(a, tile, m, thread, 0, a.y); });
}

template <int kPack, typename Fast, typename Rare, typename Args>
AVOCET_HOST_DEVICE void BackwardBegin(Fast& fast, Rare& rare, const Args& a, const Tile& tile,
                                      const Memory& m, bool publish) {
  fast.Run([&](int thread, auto&) { LoadPlane<kPack>(a, tile, m, thread, 2, a.g, 0); });
  ForwardBegin<kPack>(fast, rare, a, tile, m, publish);
}

template <typename Fast, typename Rare, typename Args>
AVOCET_HOST_DEVICE void BackwardMiddle(Fast& fast, Rare& rare, const Args& a, const Tile& tile,
                                       const Memory& m, bool publish) {
  const bool alone = a.plan.tiles == 1;
  if (!alone) ReadCarry(fast, a, tile, m, a.totals);
  TileTotals* adjoints = publish ? a.adjoints : nullptr;
  if (IsFast(m)) {
    ExactAdjoints(fast, a, tile, m, alone, adjoints);
  } else {
    RareAdjoints(rare, a, tile, m, alone, adjoints);
  }
}

template <int kPack, typename Fast, typename Rare, typename Args>
AVOCET_HOST_DEVICE void BackwardEnd(Fast& fast, Rare& rare, const Args& a, const Tile& tile,
                                    const Memory& m) {
  const bool alone = a.plan.tiles == 1;
  if (!alone) ReadCarry(fast, a, tile, m, a.adjoints);
  if (IsFast(m)) {
    ExactGradients(fast, a, tile, m, alone);
  } else {
    RareGradients(rare, a, tile, m, alone);
  }
  fast.Run([&](int thread, auto&) {
    StorePlane<kPack>(a, tile, m, thread, 0, a.gk);
    StorePlane<kPack>(a, tile, m, thread, 1, a.gv);
  });
}

}  // namespace avocet::kernels::cuda
