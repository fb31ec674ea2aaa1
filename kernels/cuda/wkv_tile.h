// SPDX-License-Identifier: Apache-2.0
#pragma once

// What a block of the exact kernels holds, and how it is filled and emptied. Everything here and in
// wkv_exact.h and wkv_scaled.h is a sequence of steps: a step is what each thread does between two
// barriers. A Team runs a step: on the GPU the threads of a block do, followed by the barrier; the
// host (tests) runs them one after the other.
#include <cmath>
#include <cstdint>

#include "kernels/bi_wkv_math.h"
#include "kernels/cuda/wkv_plan.h"
#include "kernels/cuda/wkv_storage.h"

namespace avocet::kernels::cuda {

using generic::Sums;

// A one-sided sum kept as (num, den) e^{exponent}. In the range of float32 whatever the decay.
struct alignas(16) Scaled {
  float num, den;
  double exponent;
};

// The exponent of an empty sum.
constexpr double kNothing = -static_cast<double>(INFINITY);

// What a tile tells the others of its group, for each channel: its sums as seen by the token after
// it (past) and by the token before it (future).
struct TileTotals {
  Scaled past, future;
};

// Arguments of both passes; tensors contiguous [B, T, C].
template <typename S>
struct ExactArgs {
  int64_t batch = 0, tokens = 0, channels = 0;
  Plan plan;
  const float* w = nullptr;  // [C]
  const float* u = nullptr;
  const S* k = nullptr;
  const S* v = nullptr;
  S* y = nullptr;  // forward
  // Backward: gradient of y in, gradients out. gw, gu: [B, tiles, C], one value a tile.
  const S* g = nullptr;
  S* gk = nullptr;
  S* gv = nullptr;
  double* gw = nullptr;
  double* gu = nullptr;
  // [groups, tiles, lanes]; the second for the adjoint sums.
  TileTotals* totals = nullptr;
  TileTotals* adjoints = nullptr;
  bool together = true;  // false: groups of several tiles take several launches even where they fit
};

struct Tile {
  int64_t group, index;
  int64_t batch, first_channel, first_token;
  int64_t offset;  // of the first token's first channel
  int channels;    // that exist
  int tokens;      // that exist

  template <typename S>
  AVOCET_HOST_DEVICE Tile(const ExactArgs<S>& a, int64_t group, int64_t index)
      : group(group), index(index) {
    const int64_t columns = (a.channels + a.plan.lanes - 1) / a.plan.lanes;
    const int64_t size = static_cast<int64_t>(a.plan.segments) * a.plan.length;
    batch = group / columns;
    first_channel = group % columns * a.plan.lanes;
    first_token = index * size;
    const int64_t rest = a.channels - first_channel, left = a.tokens - first_token;
    channels = static_cast<int>(rest < a.plan.lanes ? rest : a.plan.lanes);
    tokens = static_cast<int>(left < size ? left : size);
    offset = (batch * a.tokens + first_token) * a.channels + first_channel;
  }
};

// A factor to twice the precision, so that its powers stay right to some last bits.
struct Precise {
  float high, low;

  Precise() = default;
  AVOCET_HOST_DEVICE explicit Precise(double value)
      : high(static_cast<float>(value)), low(static_cast<float>(value - high)) {}
  AVOCET_HOST_DEVICE float Times(float x) const { return fmaf(high, x, low * x); }
};

// Constants of a channel, computed once a block.
struct ChannelConstants {
  Precise decay;   // e^{-w}
  Precise growth;  // e^{w}
  float bonus;     // e^{u}
  float step;      // e^{-w length}
  float group;     // e^{-w kFan length}
  float top;       // e^{-w (length - 1)}
  float fast;      // 1 where the float32 sums stay in range
  double w;
  float u;
};

// Exponents are taken relative to a maximum, so a denominator is at least e^{-|decay over the
// row|}: inside these bounds all sums stay in float32's range. Other channels take wkv_scaled.h.
constexpr float kFloatDecay = 60;
constexpr float kFloatBonus = 20;

// Byte offsets in a block's shared memory.
struct SharedLayout {
  int64_t exchange, groups, carry, constants, bytes;

  AVOCET_HOST_DEVICE SharedLayout(int lanes, int segments, int length, int planes) {
    const int64_t threads = static_cast<int64_t>(lanes) * segments;
    exchange = (planes * threads * length * static_cast<int64_t>(sizeof(float)) + 15) / 16 * 16;
    groups = exchange + threads * static_cast<int64_t>(sizeof(Scaled));
    carry = groups + 3 * kFan * lanes * static_cast<int64_t>(sizeof(Scaled));
    constants = carry + 2 * lanes * static_cast<int64_t>(sizeof(Scaled));
    bytes = constants + lanes * static_cast<int64_t>(sizeof(ChannelConstants));
  }
};

struct Memory {
  // planes[(plane * length + n) * threads + thread]: token n of the thread's segment.
  float* planes;
  char* exchange;  // 16 bytes a thread
  char* groups;    // 3 * kFan * lanes entries of 16 bytes: sums of segments, then of tiles
  Scaled* carry;   // [2][lanes]: what enters the tile from the left and from the right
  ChannelConstants* constants;
  int lanes, segments, length, threads;

  AVOCET_HOST_DEVICE Memory(char* base, const Plan& plan, int plane_count)
      : lanes(plan.lanes),
        segments(plan.segments),
        length(plan.length),
        threads(plan.lanes * plan.segments) {
    const SharedLayout layout(lanes, segments, length, plane_count);
    planes = reinterpret_cast<float*>(base);
    exchange = base + layout.exchange;
    groups = base + layout.groups;
    carry = reinterpret_cast<Scaled*>(base + layout.carry);
    constants = reinterpret_cast<ChannelConstants*>(base + layout.constants);
  }
  AVOCET_HOST_DEVICE float& At(int plane, int n, int thread) const {
    return planes[(plane * length + n) * threads + thread];
  }
  // Of a thread, or of an entry of an array with one row of lanes after the other; lanes is 8, 16
  // or 32.
  AVOCET_HOST_DEVICE int LaneOf(int index) const { return index & (lanes - 1); }
  AVOCET_HOST_DEVICE int RowOf(int index) const {
    return index >> (lanes == 8 ? 3 : lanes == 16 ? 4 : 5);
  }
  AVOCET_HOST_DEVICE int Groups() const { return (segments + kFan - 1) / kFan; }
  AVOCET_HOST_DEVICE int GroupEnd(int group) const {
    return (group + 1) * kFan < segments ? (group + 1) * kFan : segments;
  }
};

// ---------------------------------------------------------------- loading and storing

// Which values a thread moves: always the same channels and segment, every kPack-th token of it.
// Neighbouring threads have neighbouring channels, in memory and in the plane, and no division is
// needed on the way.
template <int kPack>
struct Mover {
  int lane, segment, first;

  AVOCET_HOST_DEVICE Mover(const Memory& m, int thread) {
    lane = m.LaneOf(thread * kPack);
    const int row = m.RowOf(thread * kPack);
    first = row / m.segments;
    segment = row - first * m.segments;
  }
};

// In a plane, packs lie aligned: lanes and threads are multiples of every pack.
template <int kPack>
AVOCET_HOST_DEVICE void WritePlane(float* to, const float* values) {
  constexpr int kPiece = kPack < 4 ? kPack : 4;
  AVOCET_UNROLL
  for (int c = 0; c < kPack; c += kPiece) {
    Pack<float, kPiece> piece;
    AVOCET_UNROLL
    for (int i = 0; i < kPiece; ++i) piece.value[i] = values[c + i];
    *reinterpret_cast<Pack<float, kPiece>*>(to + c) = piece;
  }
}
template <int kPack>
AVOCET_HOST_DEVICE void ReadPlane(const float* from, float* values) {
  constexpr int kPiece = kPack < 4 ? kPack : 4;
  AVOCET_UNROLL
  for (int c = 0; c < kPack; c += kPiece) {
    const auto piece = *reinterpret_cast<const Pack<float, kPiece>*>(from + c);
    AVOCET_UNROLL
    for (int i = 0; i < kPiece; ++i) values[c + i] = piece.value[i];
  }
}

// Part of a step: brings a tensor's tile into a plane. Tokens that do not exist become `pad`,
// channels that do not exist 0.
template <int kPack, typename S, typename Args>
AVOCET_HOST_DEVICE void LoadPlane(const Args& a, const Tile& tile, const Memory& m,
                                  const Mover<kPack>& mine, int plane, const S* tensor, float pad) {
  // With packs of more than one value, the number of channels is a multiple of the pack.
  const bool real = mine.lane < tile.channels;
  const S* base = tensor + tile.offset + mine.lane;
  float* to = &m.At(plane, 0, mine.segment * m.lanes + mine.lane);
  const int left = tile.tokens - mine.segment * m.length;
  base += static_cast<int64_t>(mine.segment) * m.length * a.channels;
  AVOCET_UNROLL_4
  for (int n = mine.first; n < m.length; n += kPack) {
    float values[kPack];
    if (real && n < left) {
      const auto pack = *reinterpret_cast<const Pack<S, kPack>*>(base + n * a.channels);
      AVOCET_UNROLL
      for (int c = 0; c < kPack; ++c) values[c] = Widen(pack.value[c]);
    } else {
      AVOCET_UNROLL
      for (int c = 0; c < kPack; ++c) values[c] = real ? pad : 0;
    }
    WritePlane<kPack>(to + n * m.threads, values);
  }
}

template <int kPack, typename S, typename Args>
AVOCET_HOST_DEVICE void StorePlane(const Args& a, const Tile& tile, const Memory& m,
                                   const Mover<kPack>& mine, int plane, S* tensor) {
  if (mine.lane >= tile.channels) return;
  S* base = tensor + tile.offset + mine.lane;
  const float* from = &m.At(plane, 0, mine.segment * m.lanes + mine.lane);
  const int left = tile.tokens - mine.segment * m.length;
  const int end = left < m.length ? left : m.length;
  base += static_cast<int64_t>(mine.segment) * m.length * a.channels;
  AVOCET_UNROLL_4
  for (int n = mine.first; n < end; n += kPack) {
    float values[kPack];
    ReadPlane<kPack>(from + n * m.threads, values);
    Pack<S, kPack> pack;
    AVOCET_UNROLL
    for (int c = 0; c < kPack; ++c) Narrow(values[c], pack.value[c]);
    *reinterpret_cast<Pack<S, kPack>*>(base + n * a.channels) = pack;
  }
}

// Part of a step: the constants, each exponential by a thread of its own.
template <typename Args>
AVOCET_HOST_DEVICE void FillConstants(const Args& a, const Tile& tile, const Memory& m,
                                      int thread) {
  for (int i = thread; i < 7 * m.lanes; i += m.threads) {
    const int lane = m.LaneOf(i), kind = m.RowOf(i);
    const bool real = lane < tile.channels;
    const float w32 = real ? a.w[tile.first_channel + lane] : 0;
    const float u32 = real ? a.u[tile.first_channel + lane] : 0;
    const double w = w32;
    ChannelConstants& c = m.constants[lane];
    const auto power = [&](int n) { return static_cast<float>(exp(-w * n)); };
    switch (kind) {
      case 0:
        c.decay = Precise(exp(-w));
        c.w = w;
        c.u = u32;
        break;
      case 1:
        c.growth = Precise(exp(w));
        break;
      case 2:
        c.bonus = static_cast<float>(exp(static_cast<double>(u32)));
        break;
      case 3:
        c.step = power(m.length);
        break;
      case 4:
        c.group = power(kFan * m.length);
        break;
      case 5:
        c.top = power(m.length - 1);
        break;
      default:
        // Tokens that only fill up the last segment count too: sums pass over them. Written so that
        // NaN takes the other path, which propagates it.
        c.fast =
            fabs(w) * static_cast<double>(a.plan.tiles * m.segments * m.length) <= kFloatDecay &&
                    fabsf(u32) <= kFloatBonus
                ? 1
                : 0;
    }
  }
}

// After a barrier: the same answer in all tiles of a group.
AVOCET_HOST_DEVICE bool IsFast(const Memory& m) {
  bool fast = true;
  for (int lane = 0; lane < m.lanes; ++lane) fast = fast && m.constants[lane].fast != 0;
  return fast;
}

// ---------------------------------------------------------------- scaled sums

AVOCET_HOST_DEVICE Scaled EmptyScaled() { return {0, 0, kNothing}; }

// sums += (x, y) e^{exponent}
AVOCET_HOST_DEVICE void Add(Scaled& sums, float x, float y, double exponent) {
  if (exponent == kNothing) return;
  if (exponent > sums.exponent) {
    const float factor = expf(static_cast<float>(sums.exponent - exponent));
    sums = {fmaf(sums.num, factor, x), fmaf(sums.den, factor, y), exponent};
  } else {
    const float factor = expf(static_cast<float>(exponent - sums.exponent));
    sums.num = fmaf(factor, x, sums.num);
    sums.den = fmaf(factor, y, sums.den);
  }
}
AVOCET_HOST_DEVICE void Add(Scaled& sums, const Scaled& other) {
  Add(sums, other.num, other.den, other.exponent);
}
// sums *= e^{-amount}
AVOCET_HOST_DEVICE void Decay(Scaled& sums, double amount) { sums.exponent -= amount; }

// The sums divided by e^{reference}.
AVOCET_HOST_DEVICE Sums<float> Relative(const Scaled& sums, double reference) {
  if (sums.exponent == kNothing) return {0, 0};
  const float factor = expf(static_cast<float>(sums.exponent - reference));
  return {factor * sums.num, factor * sums.den};
}

// ---------------------------------------------------------------- other tiles

AVOCET_HOST_DEVICE TileTotals* TotalsOf(TileTotals* all, const Tile& tile, const Plan& plan,
                                        int64_t index) {
  return all + (tile.group * plan.tiles + index) * plan.lanes;
}

// Reads what another block wrote during this launch: past the first-level cache.
AVOCET_HOST_DEVICE Scaled ReadShared(const Scaled* from) {
#if defined(__CUDA_ARCH__)
  const double2 bits = __ldcg(reinterpret_cast<const double2*>(from));
  Scaled value;
  memcpy(&value, &bits, sizeof value);
  return value;
#else
  return *from;
#endif
}

// Two steps: what enters the tile from all earlier tiles (carry[0]) and all later ones (carry[1]).
// kFan threads a channel and direction each take every kFan-th tile; sums of many tiles are held in
// double, so that rounding does not grow with their number.
template <typename Team, typename Args>
AVOCET_HOST_DEVICE void ReadCarry(Team& team, const Args& a, const Tile& tile, const Memory& m,
                                  TileTotals* all) {
  Scaled* partial = reinterpret_cast<Scaled*>(m.groups) + kFan * m.lanes;
  const int64_t tiles = a.plan.tiles;
  const double size = static_cast<double>(m.segments) * m.length;
  team.Run([&](int thread, auto&) {
    for (int i = thread; i < 2 * kFan * m.lanes; i += m.threads) {
      const int lane = m.LaneOf(i), part = m.RowOf(i) % kFan;
      const bool future = m.RowOf(i) >= kFan;
      double num = 0, den = 0, exponent = kNothing;
      const int64_t first = future ? tile.index + 1 + part : part;
      const int64_t last = future ? tiles : tile.index;
      for (int64_t j = first; j < last; j += kFan) {
        const TileTotals* from = TotalsOf(all, tile, a.plan, j) + lane;
        const Scaled own = ReadShared(future ? &from->future : &from->past);
        const auto between = static_cast<double>(future ? j - tile.index - 1 : tile.index - 1 - j);
        const double at = own.exponent - m.constants[lane].w * size * between;
        if (at == kNothing) continue;
        if (at > exponent) {
          const double factor = expf(static_cast<float>(exponent - at));
          num = num * factor + own.num;
          den = den * factor + own.den;
          exponent = at;
        } else {
          const double factor = expf(static_cast<float>(at - exponent));
          num += factor * own.num;
          den += factor * own.den;
        }
      }
      partial[i] = {static_cast<float>(num), static_cast<float>(den), exponent};
    }
  });
  team.Run([&](int thread, auto&) {
    for (int i = thread; i < 2 * m.lanes; i += m.threads) {
      Scaled sum = EmptyScaled();
      const int lane = m.LaneOf(i), direction = m.RowOf(i);
      for (int part = 0; part < kFan; ++part) {
        Add(sum, partial[(direction * kFan + part) * m.lanes + lane]);
      }
      m.carry[i] = sum;
    }
  });
}

// Three steps: sums of each thread's (w, u) over the tile, in a fixed order.
template <typename Team, typename Args, typename Value>
AVOCET_HOST_DEVICE void StoreParameterGradients(Team& team, const Args& a, const Tile& tile,
                                                const Memory& m, Value value) {
  struct Pair {
    double w, u;
  };
  Pair* own = reinterpret_cast<Pair*>(m.exchange);
  Pair* partial = reinterpret_cast<Pair*>(m.groups);
  team.Run([&](int thread, auto& state) {
    const auto sums = value(state);
    own[thread] = {sums.num, sums.den};
  });
  team.Run([&](int thread, auto&) {
    for (int i = thread; i < kFan * m.lanes; i += m.threads) {
      Pair sum{0, 0};
      for (int s = m.RowOf(i); s < m.segments; s += kFan) {
        sum.w += own[s * m.lanes + m.LaneOf(i)].w;
        sum.u += own[s * m.lanes + m.LaneOf(i)].u;
      }
      partial[i] = sum;
    }
  });
  team.Run([&](int thread, auto&) {
    for (int lane = thread; lane < tile.channels; lane += m.threads) {
      Pair sum{0, 0};
      for (int part = 0; part < kFan; ++part) {
        sum.w += partial[part * m.lanes + lane].w;
        sum.u += partial[part * m.lanes + lane].u;
      }
      const int64_t row = (tile.batch * a.plan.tiles + tile.index) * a.channels;
      a.gw[row + tile.first_channel + lane] = -exp(-m.constants[lane].w) * sum.w;
      a.gu[row + tile.first_channel + lane] = sum.u;
    }
  });
}

}  // namespace avocet::kernels::cuda
