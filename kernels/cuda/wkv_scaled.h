// SPDX-License-Identifier: Apache-2.0
#pragma once

// The definition of Bi-WKV for one tile and any decay and bonus: every sum has an exponent of its
// own. For the rare channels that leave the range of wkv_exact.h; some five times slower, since the
// sums over later tokens are computed anew for each token instead of being kept.
#include "kernels/cuda/wkv_tile.h"

namespace avocet::kernels::cuda {

struct ScaledState {
  Scaled past, future;  // what enters the thread's segment
  Scaled adjoint_past, adjoint_future;
  double w, u;  // gradients
};

AVOCET_HOST_DEVICE int TokensOf(const Tile& tile, const Memory& m, int thread) {
  const int left = tile.tokens - m.RowOf(thread) * m.length;
  return left < 0 ? 0 : left < m.length ? left : m.length;
}

// Steps: from each segment's own sum to what enters the segment from inside the tile (state.*into);
// publish, if not null, receives the tile's total.
template <bool future, typename Team, typename Args, typename Own>
AVOCET_HOST_DEVICE void ScanScaled(Team& team, const Args& a, const Tile& tile, const Memory& m,
                                   Own own, Scaled ScaledState::*into, TileTotals* publish) {
  Scaled* segments = reinterpret_cast<Scaled*>(m.exchange);
  Scaled* groups = reinterpret_cast<Scaled*>(m.groups);
  team.Run([&](int thread, auto& state) { segments[thread] = own(thread, state); });
  team.Run([&](int thread, auto&) {
    for (int i = thread; i < m.Groups() * m.lanes; i += m.threads) {
      const int lane = m.LaneOf(i), first = m.RowOf(i) * kFan, end = m.GroupEnd(m.RowOf(i));
      Scaled sum = EmptyScaled();
      for (int n = 0; n < end - first; ++n) {
        Decay(sum, m.constants[lane].w * m.length);
        Add(sum, segments[(future ? end - 1 - n : first + n) * m.lanes + lane]);
      }
      groups[i] = sum;
    }
  });
  team.Run([&](int thread, auto& state) {
    const int lane = m.LaneOf(thread), segment = m.RowOf(thread), group = segment / kFan;
    const double step = m.constants[lane].w * m.length;
    Scaled sum = EmptyScaled();
    const auto cross = [&](const Scaled& x, int count) {
      Decay(sum, step * count);
      Add(sum, x);
    };
    if (publish != nullptr && segment == 0) {
      for (int n = 0; n < m.Groups(); ++n) {
        cross(groups[(future ? m.Groups() - 1 - n : n) * m.lanes + lane], kFan);
      }
      TileTotals& total = TotalsOf(publish, tile, a.plan, tile.index)[lane];
      (future ? total.future : total.past) = sum;
      sum = EmptyScaled();
    }
    if (future) {
      for (int g = m.Groups() - 1; g > group; --g) cross(groups[g * m.lanes + lane], kFan);
      for (int s = m.GroupEnd(group) - 1; s > segment; --s) cross(segments[s * m.lanes + lane], 1);
    } else {
      for (int g = 0; g < group; ++g) cross(groups[g * m.lanes + lane], kFan);
      for (int s = group * kFan; s < segment; ++s) cross(segments[s * m.lanes + lane], 1);
    }
    state.*into = sum;
  });
}

// Part of a step: adds what enters the tile.
AVOCET_HOST_DEVICE void AddCarry(const Memory& m, int thread, Scaled& past, Scaled& future) {
  const int lane = m.LaneOf(thread), segment = m.RowOf(thread);
  const double step = m.constants[lane].w * m.length;
  Scaled left = m.carry[lane], right = m.carry[m.lanes + lane];
  Decay(left, step * segment);
  Decay(right, step * (m.segments - 1 - segment));
  Add(past, left);
  Add(future, right);
}

// Planes 0 and 1 hold k and v.
template <typename Team, typename Args>
AVOCET_HOST_DEVICE void ScaledTotals(Team& team, const Args& a, const Tile& tile, const Memory& m,
                                     TileTotals* publish) {
  ScanScaled<false>(
      team, a, tile, m,
      [&](int thread, auto&) {
        Scaled sum = EmptyScaled();
        // A segment that ends early is the row's last: nobody sees its past sum.
        for (int n = 0; n < TokensOf(tile, m, thread); ++n) {
          Decay(sum, m.constants[m.LaneOf(thread)].w);
          Add(sum, m.At(1, n, thread), 1, m.At(0, n, thread));
        }
        return sum;
      },
      &ScaledState::past, publish);
  ScanScaled<true>(
      team, a, tile, m,
      [&](int thread, auto&) {
        Scaled sum = EmptyScaled();
        for (int n = TokensOf(tile, m, thread) - 1; n >= 0; --n) {
          Decay(sum, m.constants[m.LaneOf(thread)].w);
          Add(sum, m.At(1, n, thread), 1, m.At(0, n, thread));
        }
        return sum;
      },
      &ScaledState::future, publish);
}

// The sums at one token: numerator and denominator relative to e^{shift}. The shift is a float, so
// that it can be kept exactly.
struct ScaledOutput {
  float num, den, shift;
};
AVOCET_HOST_DEVICE ScaledOutput OutputOf(const Scaled& past, const Scaled& future, float k, float v,
                                         float u) {
  const double self = static_cast<double>(u) + k;
  const auto shift = static_cast<float>(fmax(self, fmax(past.exponent, future.exponent)));
  const float e = expf(static_cast<float>(self - shift));
  const Sums<float> before = Relative(past, shift), after = Relative(future, shift);
  return {fmaf(e, v, before.num + after.num), e + (before.den + after.den), shift};
}

// A step: y into plane 0.
template <typename Team>
AVOCET_HOST_DEVICE void ScaledOutputs(Team& team, const Tile& tile, const Memory& m, bool alone) {
  team.Run([&](int thread, auto& state) {
    if (!alone) AddCarry(m, thread, state.past, state.future);
    const ChannelConstants& c = m.constants[m.LaneOf(thread)];
    const int tokens = TokensOf(tile, m, thread);
    Scaled past = state.past;
    for (int n = 0; n < tokens; ++n) {
      Scaled future = state.future;
      for (int i = tokens - 1; i > n; --i) {
        Decay(future, c.w);
        Add(future, m.At(1, i, thread), 1, m.At(0, i, thread));
      }
      const float k = m.At(0, n, thread), v = m.At(1, n, thread);
      const ScaledOutput out = OutputOf(past, future, k, v, c.u);
      Decay(past, c.w);
      Add(past, v, 1, k);
      m.At(0, n, thread) = out.num / out.den;
    }
  });
}

// Steps: with plane 2 holding g, p e^{shift} and q e^{shift} into planes 2 and 3, the shift into
// plane 1 in place of v; then the adjoint sums.
template <typename Team, typename Args>
AVOCET_HOST_DEVICE void ScaledAdjoints(Team& team, const Args& a, const Tile& tile, const Memory& m,
                                       bool alone, TileTotals* publish) {
  team.Run([&](int thread, auto& state) {
    if (!alone) AddCarry(m, thread, state.past, state.future);
    const ChannelConstants& c = m.constants[m.LaneOf(thread)];
    const int tokens = TokensOf(tile, m, thread);
    Scaled past = state.past;
    for (int n = 0; n < tokens; ++n) {
      Scaled future = state.future;
      for (int i = tokens - 1; i > n; --i) {
        Decay(future, c.w);
        Add(future, m.At(1, i, thread), 1, m.At(0, i, thread));
      }
      const float k = m.At(0, n, thread), v = m.At(1, n, thread);
      const ScaledOutput out = OutputOf(past, future, k, v, c.u);
      Decay(past, c.w);
      Add(past, v, 1, k);
      const float p = m.At(2, n, thread) / out.den;
      m.At(1, n, thread) = out.shift;
      m.At(2, n, thread) = p;
      m.At(3, n, thread) = p * (out.num / out.den);
    }
  });
  ScanScaled<false>(
      team, a, tile, m,
      [&](int thread, auto&) {
        Scaled sum = EmptyScaled();
        for (int n = 0; n < TokensOf(tile, m, thread); ++n) {
          Decay(sum, m.constants[m.LaneOf(thread)].w);
          Add(sum, m.At(2, n, thread), m.At(3, n, thread), -m.At(1, n, thread));
        }
        return sum;
      },
      &ScaledState::adjoint_past, publish);
  ScanScaled<true>(
      team, a, tile, m,
      [&](int thread, auto&) {
        Scaled sum = EmptyScaled();
        for (int n = TokensOf(tile, m, thread) - 1; n >= 0; --n) {
          Decay(sum, m.constants[m.LaneOf(thread)].w);
          Add(sum, m.At(2, n, thread), m.At(3, n, thread), -m.At(1, n, thread));
        }
        return sum;
      },
      &ScaledState::adjoint_future, publish);
}

// a.num b.num - a.den b.den with their exponents.
AVOCET_HOST_DEVICE double Product(const Scaled& a, const Scaled& b) {
  const double exponent = a.exponent + b.exponent;
  if (exponent == kNothing) return 0;
  return exp(exponent) * (static_cast<double>(a.num) * b.num - static_cast<double>(a.den) * b.den);
}

// Steps: gradients of k and v into planes 0 and 1, those of w and u into memory. v is read again.
template <typename Team, typename Args>
AVOCET_HOST_DEVICE void ScaledGradients(Team& team, const Args& a, const Tile& tile,
                                        const Memory& m, bool alone) {
  team.Run([&](int thread, auto& state) {
    const int lane = m.LaneOf(thread), tokens = TokensOf(tile, m, thread);
    const ChannelConstants& c = m.constants[lane];
    state.w = state.u = 0;
    if (lane >= tile.channels) return;
    if (!alone) AddCarry(m, thread, state.adjoint_past, state.adjoint_future);
    const auto* base =
        a.v + tile.offset + static_cast<int64_t>(m.RowOf(thread)) * m.length * a.channels + lane;
    Scaled past = state.past, left = state.adjoint_past;
    for (int n = 0; n < tokens; ++n) {
      Scaled future = state.future, right = state.adjoint_future;
      for (int i = tokens - 1; i > n; --i) {
        Decay(future, c.w);
        Add(future, Widen(base[i * a.channels]), 1, m.At(0, i, thread));
        Decay(right, c.w);
        Add(right, m.At(2, i, thread), m.At(3, i, thread), -m.At(1, i, thread));
      }
      const float k = m.At(0, n, thread), v = Widen(base[n * a.channels]);
      const float shift = m.At(1, n, thread), p = m.At(2, n, thread), q = m.At(3, n, thread);
      state.w += Product(left, future) + Product(right, past);
      const float self = expf(static_cast<float>(static_cast<double>(c.u) + k - shift));
      const Sums<float> before = Relative(left, -static_cast<double>(k));
      const Sums<float> after = Relative(right, -static_cast<double>(k));
      const float gv = fmaf(self, p, before.num + after.num);
      const float h = fmaf(self, q, before.den + after.den);
      state.u += static_cast<double>(self * fmaf(v, p, -q));
      m.At(0, n, thread) = fmaf(v, gv, -h);
      m.At(1, n, thread) = gv;
      Decay(past, c.w);
      Add(past, v, 1, k);
      Decay(left, c.w);
      Add(left, p, q, -shift);
    }
  });
  StoreParameterGradients(team, a, tile, m, [](const auto& state) {
    return Sums<double>{state.w, state.u};
  });
}

}  // namespace avocet::kernels::cuda
