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

// Fast and Rare are teams of the same threads with states for either path. kAlone: the group has
// one tile.
template <int kPack, bool kAlone, typename Fast, typename Rare, typename Args>
AVOCET_HOST_DEVICE void ForwardBegin(Fast& fast, Rare& rare, const Args& a, const Tile& tile,
                                     const Memory& m, bool publish) {
  fast.Run([&](int thread, auto&) {
    FillConstants(a, tile, m, thread);
    const Mover<kPack> mover(m, thread);
    LoadPlane(a, tile, m, mover, 0, a.k, -INFINITY);
    LoadPlane(a, tile, m, mover, 1, a.v, 0);
  });
  TileTotals* totals = !kAlone && publish ? a.totals : nullptr;
  if (IsFast(m)) {
    ExactTotals(fast, a, tile, m, totals);
  } else {
    RareTotals(rare, a, tile, m, totals);
  }
}

template <int kPack, bool kAlone, typename Fast, typename Rare, typename Args>
AVOCET_HOST_DEVICE void ForwardEnd(Fast& fast, Rare& rare, const Args& a, const Tile& tile,
                                   const Memory& m) {
  if (!kAlone) ReadCarry(fast, a, tile, m, a.totals);
  if (IsFast(m)) {
    ExactOutputs(fast, m, kAlone);
  } else {
    RareOutputs(rare, tile, m, kAlone);
  }
  fast.Run([&](int thread, auto&) { StorePlane(a, tile, m, Mover<kPack>(m, thread), 0, a.y); });
}

template <int kPack, bool kAlone, typename Fast, typename Rare, typename Args>
AVOCET_HOST_DEVICE void BackwardBegin(Fast& fast, Rare& rare, const Args& a, const Tile& tile,
                                      const Memory& m, bool publish) {
  fast.Run([&](int thread, auto&) { LoadPlane(a, tile, m, Mover<kPack>(m, thread), 2, a.g, 0); });
  ForwardBegin<kPack, kAlone>(fast, rare, a, tile, m, publish);
}

template <bool kAlone, typename Fast, typename Rare, typename Args>
AVOCET_HOST_DEVICE void BackwardMiddle(Fast& fast, Rare& rare, const Args& a, const Tile& tile,
                                       const Memory& m, bool publish) {
  if (!kAlone) ReadCarry(fast, a, tile, m, a.totals);
  TileTotals* adjoints = !kAlone && publish ? a.adjoints : nullptr;
  if (IsFast(m)) {
    ExactAdjoints(fast, a, tile, m, kAlone, adjoints);
  } else {
    RareAdjoints(rare, a, tile, m, kAlone, adjoints);
  }
}

template <int kPack, bool kAlone, typename Fast, typename Rare, typename Args>
AVOCET_HOST_DEVICE void BackwardEnd(Fast& fast, Rare& rare, const Args& a, const Tile& tile,
                                    const Memory& m) {
  if (!kAlone) ReadCarry(fast, a, tile, m, a.adjoints);
  if (IsFast(m)) {
    ExactGradients(fast, a, tile, m, kAlone);
  } else {
    RareGradients(rare, a, tile, m, kAlone);
  }
  fast.Run([&](int thread, auto&) {
    const Mover<kPack> mover(m, thread);
    StorePlane(a, tile, m, mover, 0, a.gk);
    StorePlane(a, tile, m, mover, 1, a.gv);
  });
}

}  // namespace avocet::kernels::cuda
