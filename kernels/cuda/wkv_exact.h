// SPDX-License-Identifier: Apache-2.0
#pragma once

// The definition of Bi-WKV for one tile, in float32 sums relative to the tile's largest k. No chain
// of additions is longer than a segment (32 tokens) plus twice kFan, whatever T is.
#include "kernels/cuda/wkv_tile.h"

namespace avocet::kernels::cuda {

// y = num / den for a normal positive den, within two units of the last place.
AVOCET_HOST_DEVICE float Reciprocal(float x) {
#if defined(__CUDA_ARCH__)
  return __fdividef(1.0f, x);
#else
  return 1.0f / x;
#endif
}

// lambda * sums + (x, y)
AVOCET_HOST_DEVICE void Step(Sums<float>& sums, float x, float y, float lambda) {
  sums.num = fmaf(lambda, sums.num, x);
  sums.den = fmaf(lambda, sums.den, y);
}

// a.num b.num - a.den b.den. The two products nearly cancel, so their rounding errors count.
AVOCET_HOST_DEVICE float Difference(const Sums<float>& a, const Sums<float>& b) {
  const float product = a.den * b.den;
  const float lost = fmaf(a.den, b.den, -product);
  return fmaf(a.num, b.num, -product) - lost;
}

// A thread's state between steps. Sums inside the segment are local; what enters the segment from
// outside is kept apart, so that it is rounded once a token and not once a step.
template <int kQuads>
struct ExactState {
  Sums<float> future_of[kQuads];   // local sums over the segment's tokens behind each quad
  Sums<float> adjoint_of[kQuads];  // the same of (p, q)
  Sums<float> past, future;        // incoming
  Sums<float> adjoint_past, adjoint_future;
  float maximum;     // of k over the tile
  double reference;  // exponent that the incoming sums are relative to
  float scale;       // e^{maximum - reference}
  float w, u;        // gradients
};

// Segment sums, exchanged inside the block.
struct SegmentSums {
  Sums<float> past, future;
};
AVOCET_HOST_DEVICE SegmentSums* SegmentsOf(const Memory& m) {
  return reinterpret_cast<SegmentSums*>(m.exchange);
}
AVOCET_HOST_DEVICE SegmentSums* GroupsOf(const Memory& m) {
  return reinterpret_cast<SegmentSums*>(m.groups);
}

// A step: sums of kFan segments each. After it, where the group has several tiles, another: the
// tile's totals, times e^{exponent}, for the other blocks.
template <typename Team, typename Args, typename Exponent>
AVOCET_HOST_DEVICE void SumSegments(Team& team, const Args& a, const Tile& tile, const Memory& m,
                                    TileTotals* publish, Exponent exponent) {
  team.Run([&](int thread, auto&) {
    const SegmentSums* own = SegmentsOf(m);
    for (int i = thread; i < m.Groups() * m.lanes; i += m.threads) {
      const int lane = m.LaneOf(i), group = m.RowOf(i), end = m.GroupEnd(group);
      const float step = m.constants[lane].step;
      SegmentSums sum{{0, 0}, {0, 0}};
      for (int s = group * kFan; s < end; ++s) {
        const Sums<float> x = own[s * m.lanes + lane].past;
        Step(sum.past, x.num, x.den, step);
      }
      for (int s = end - 1; s >= group * kFan; --s) {
        const Sums<float> x = own[s * m.lanes + lane].future;
        Step(sum.future, x.num, x.den, step);
      }
      GroupsOf(m)[i] = sum;
    }
  });
  if (publish == nullptr) return;
  team.Run([&](int thread, auto& state) {
    if (thread >= m.lanes) return;
    const float step = m.constants[thread].group;
    SegmentSums sum{{0, 0}, {0, 0}};
    for (int g = 0; g < m.Groups(); ++g) {
      const Sums<float> x = GroupsOf(m)[g * m.lanes + thread].past;
      Step(sum.past, x.num, x.den, step);
    }
    for (int g = m.Groups() - 1; g >= 0; --g) {
      const Sums<float> x = GroupsOf(m)[g * m.lanes + thread].future;
      Step(sum.future, x.num, x.den, step);
    }
    const double e = exponent(state);
    TotalsOf(publish, tile, a.plan, tile.index)[thread] = {{sum.past.num, sum.past.den, e},
                                                           {sum.future.num, sum.future.den, e}};
  });
}

// Part of a step: what enters the thread's segment. past and future hold what enters the tile;
// scale brings the tile's own sums to the same exponent.
AVOCET_HOST_DEVICE void EnterSegment(const Memory& m, int thread, float scale, Sums<float>& past,
                                     Sums<float>& future) {
  const int lane = m.LaneOf(thread), segment = m.RowOf(thread), group = segment / kFan;
  const ChannelConstants& c = m.constants[lane];
  const SegmentSums* own = SegmentsOf(m);
  const SegmentSums* groups = GroupsOf(m);
  for (int g = 0; g < group; ++g) {
    const Sums<float> x = groups[g * m.lanes + lane].past;
    Step(past, scale * x.num, scale * x.den, c.group);
  }
  for (int s = group * kFan; s < segment; ++s) {
    const Sums<float> x = own[s * m.lanes + lane].past;
    Step(past, scale * x.num, scale * x.den, c.step);
  }
  for (int g = m.Groups() - 1; g > group; --g) {
    const Sums<float> x = groups[g * m.lanes + lane].future;
    Step(future, scale * x.num, scale * x.den, c.group);
  }
  for (int s = m.GroupEnd(group) - 1; s > segment; --s) {
    const Sums<float> x = own[s * m.lanes + lane].future;
    Step(future, scale * x.num, scale * x.den, c.step);
  }
}

// local + power * carry
AVOCET_HOST_DEVICE Sums<float> WithCarry(const Sums<float>& local, float power,
                                         const Sums<float>& carry) {
  return {fmaf(power, carry.num, local.num), fmaf(power, carry.den, local.den)};
}

// ---------------------------------------------------------------- both passes

// Steps up to the tile's totals. In: planes 0 and 1 hold k and v. Out: plane 0 holds e^{k -
// maximum}.
template <typename Team, typename Args>
AVOCET_HOST_DEVICE void ExactTotals(Team& team, const Args& a, const Tile& tile, const Memory& m,
                                    TileTotals* publish) {
  constexpr int kQuads = Team::kQuads;
  const int quads = m.length / kQuad;
  team.Run([&](int thread, auto&) {
    float maximum = m.At(0, 0, thread);
    for (int n = 1; n < m.length; ++n) maximum = fmaxf(maximum, m.At(0, n, thread));
    reinterpret_cast<float*>(m.exchange)[thread] = maximum;
  });
  team.Run([&](int thread, auto&) {
    const float* own = reinterpret_cast<const float*>(m.exchange);
    for (int i = thread; i < kFan * m.lanes; i += m.threads) {
      float maximum = -INFINITY;
      for (int s = m.RowOf(i); s < m.segments; s += kFan) {
        maximum = fmaxf(maximum, own[s * m.lanes + m.LaneOf(i)]);
      }
      reinterpret_cast<float*>(m.groups)[i] = maximum;
    }
  });
  team.Run([&](int thread, auto& state) {
    const int lane = m.LaneOf(thread);
    const ChannelConstants& c = m.constants[lane];
    const float* partial = reinterpret_cast<const float*>(m.groups);
    float maximum = -INFINITY;
    for (int i = 0; i < kFan; ++i) maximum = fmaxf(maximum, partial[i * m.lanes + lane]);
    state.maximum = maximum;
    Sums<float> past{0, 0}, future{0, 0};
    const float lambda = c.decay.high;
    float power = 1;  // lambda^(tokens behind)
    AVOCET_UNROLL
    for (int quad = kQuads - 1; quad >= 0; --quad) {
      if (quad >= quads) continue;
      state.future_of[quad] = future;
      AVOCET_UNROLL
      for (int i = kQuad - 1; i >= 0; --i) {
        const int n = quad * kQuad + i;
        const float e = expf(m.At(0, n, thread) - maximum), ev = e * m.At(1, n, thread);
        m.At(0, n, thread) = e;
        Step(future, ev, e, lambda);
        past.num = fmaf(power, ev, past.num);
        past.den = fmaf(power, e, past.den);
        power = c.decay.Times(power);
      }
    }
    SegmentsOf(m)[thread] = {past, future};
  });
  SumSegments(team, a, tile, m, publish,
              [](const auto& state) { return static_cast<double>(state.maximum); });
}

// Part of a step: what enters the segment, relative to state.reference.
template <typename State>
AVOCET_HOST_DEVICE void EnterExact(const Memory& m, int thread, bool alone, State& state) {
  state.reference = state.maximum;
  state.scale = 1;
  state.past = state.future = {0, 0};
  if (!alone) {
    const int lane = m.LaneOf(thread);
    const Scaled past = m.carry[lane], future = m.carry[m.lanes + lane];
    state.reference = fmax(state.reference, fmax(past.exponent, future.exponent));
    state.scale = expf(static_cast<float>(state.maximum - state.reference));
    state.past = Relative(past, state.reference);
    state.future = Relative(future, state.reference);
  }
  EnterSegment(m, thread, state.scale, state.past, state.future);
}

// Local future sums of the four tokens of a quad, from those behind it.
AVOCET_HOST_DEVICE void FutureOfQuad(Sums<float> behind, const float* x, const float* y,
                                     float lambda, Sums<float>* future) {
  AVOCET_UNROLL
  for (int i = kQuad - 1; i >= 0; --i) {
    future[i] = behind;
    Step(behind, x[i], y[i], lambda);
  }
}

// ---------------------------------------------------------------- forward

// A step, after ExactTotals and (where there are several tiles) ReadCarry: y into plane 0.
template <typename Team>
AVOCET_HOST_DEVICE void ExactOutputs(Team& team, const Memory& m, bool alone) {
  constexpr int kQuads = Team::kQuads;
  const int quads = m.length / kQuad;
  team.Run([&](int thread, auto& state) {
    EnterExact(m, thread, alone, state);
    const ChannelConstants& c = m.constants[m.LaneOf(thread)];
    const float lambda = c.decay.high, bonus = c.bonus, scale = state.scale;
    float past_power = 1, future_power = c.top;
    Sums<float> past{0, 0};
    AVOCET_UNROLL
    for (int quad = 0; quad < kQuads; ++quad) {
      if (quad >= quads) continue;
      float e[kQuad], ev[kQuad];
      Sums<float> future[kQuad];
      AVOCET_UNROLL
      for (int i = 0; i < kQuad; ++i) {
        e[i] = m.At(0, quad * kQuad + i, thread);
        ev[i] = e[i] * m.At(1, quad * kQuad + i, thread);
      }
      FutureOfQuad(state.future_of[quad], ev, e, lambda, future);
      AVOCET_UNROLL
      for (int i = 0; i < kQuad; ++i) {
        const Sums<float> carry = WithCarry(
            {past_power * state.past.num, past_power * state.past.den}, future_power, state.future);
        const float num = fmaf(scale, fmaf(bonus, ev[i], past.num) + future[i].num, carry.num);
        const float den = fmaf(scale, fmaf(bonus, e[i], past.den) + future[i].den, carry.den);
        m.At(0, quad * kQuad + i, thread) = num * Reciprocal(den);
        Step(past, ev[i], e[i], lambda);
        past_power = c.decay.Times(past_power);
        future_power = c.growth.Times(future_power);
      }
    }
  });
}

// ---------------------------------------------------------------- backward

// Steps after ExactTotals and ReadCarry: with plane 2 holding g, planes 2 and 3 get p = g / den and
// q = p y, plane 0 e^{k - reference}; then the adjoint sums of the segments and of the tile.
template <typename Team, typename Args>
AVOCET_HOST_DEVICE void ExactAdjoints(Team& team, const Args& a, const Tile& tile, const Memory& m,
                                      bool alone, TileTotals* publish) {
  constexpr int kQuads = Team::kQuads;
  const int quads = m.length / kQuad;
  // What the segments exchanged is read in one step and overwritten in the next.
  team.Run([&](int thread, auto& state) { EnterExact(m, thread, alone, state); });
  team.Run([&](int thread, auto& state) {
    const ChannelConstants& c = m.constants[m.LaneOf(thread)];
    const float lambda = c.decay.high, bonus = c.bonus, scale = state.scale;
    float past_power = 1, future_power = c.top;
    Sums<float> past{0, 0}, adjoint_past{0, 0}, adjoint_future{0, 0};
    AVOCET_UNROLL
    for (int quad = 0; quad < kQuads; ++quad) {
      if (quad >= quads) continue;
      state.future_of[quad] = {scale * state.future_of[quad].num,
                               scale * state.future_of[quad].den};
      float e[kQuad], ev[kQuad];
      Sums<float> future[kQuad];
      AVOCET_UNROLL
      for (int i = 0; i < kQuad; ++i) {
        e[i] = scale * m.At(0, quad * kQuad + i, thread);
        m.At(0, quad * kQuad + i, thread) = e[i];
        ev[i] = e[i] * m.At(1, quad * kQuad + i, thread);
      }
      FutureOfQuad(state.future_of[quad], ev, e, lambda, future);
      AVOCET_UNROLL
      for (int i = 0; i < kQuad; ++i) {
        const int n = quad * kQuad + i;
        const Sums<float> before = WithCarry(past, past_power, state.past);
        const Sums<float> after = WithCarry(future[i], future_power, state.future);
        const float num = fmaf(bonus, ev[i], before.num + after.num);
        const float inverse = Reciprocal(fmaf(bonus, e[i], before.den + after.den));
        const float p = m.At(2, n, thread) * inverse, q = p * (num * inverse);
        m.At(2, n, thread) = p;
        m.At(3, n, thread) = q;
        Step(adjoint_past, p, q, lambda);
        adjoint_future.num = fmaf(past_power, p, adjoint_future.num);
        adjoint_future.den = fmaf(past_power, q, adjoint_future.den);
        Step(past, ev[i], e[i], lambda);
        past_power = c.decay.Times(past_power);
        future_power = c.growth.Times(future_power);
      }
    }
    SegmentsOf(m)[thread] = {adjoint_past, adjoint_future};
  });
  SumSegments(team, a, tile, m, publish, [](const auto& state) { return -state.reference; });
}

// Steps after ExactAdjoints and ReadCarry of the adjoint totals: gradients of k and v into planes 0
// and 1, those of w and u into memory.
template <typename Team, typename Args>
AVOCET_HOST_DEVICE void ExactGradients(Team& team, const Args& a, const Tile& tile, const Memory& m,
                                       bool alone) {
  constexpr int kQuads = Team::kQuads;
  const int quads = m.length / kQuad;
  team.Run([&](int thread, auto& state) {
    const int lane = m.LaneOf(thread);
    const ChannelConstants& c = m.constants[lane];
    const float lambda = c.decay.high, bonus = c.bonus;
    state.adjoint_past = state.adjoint_future = {0, 0};
    if (!alone) {
      state.adjoint_past = Relative(m.carry[lane], -state.reference);
      state.adjoint_future = Relative(m.carry[m.lanes + lane], -state.reference);
    }
    EnterSegment(m, thread, 1, state.adjoint_past, state.adjoint_future);
    Sums<float> behind{0, 0};
    AVOCET_UNROLL
    for (int quad = kQuads - 1; quad >= 0; --quad) {
      if (quad >= quads) continue;
      state.adjoint_of[quad] = behind;
      AVOCET_UNROLL
      for (int i = kQuad - 1; i >= 0; --i) {
        const int n = quad * kQuad + i;
        Step(behind, m.At(2, n, thread), m.At(3, n, thread), lambda);
      }
    }
    float past_power = 1, future_power = c.top, gw = 0, gu = 0;
    Sums<float> past{0, 0}, adjoint{0, 0};
    AVOCET_UNROLL
    for (int quad = 0; quad < kQuads; ++quad) {
      if (quad >= quads) continue;
      float e[kQuad], v[kQuad], ev[kQuad], p[kQuad], q[kQuad];
      Sums<float> future[kQuad], later[kQuad];
      AVOCET_UNROLL
      for (int i = 0; i < kQuad; ++i) {
        const int n = quad * kQuad + i;
        e[i] = m.At(0, n, thread), v[i] = m.At(1, n, thread), ev[i] = e[i] * v[i];
        p[i] = m.At(2, n, thread), q[i] = m.At(3, n, thread);
      }
      FutureOfQuad(state.future_of[quad], ev, e, lambda, future);
      FutureOfQuad(state.adjoint_of[quad], p, q, lambda, later);
      AVOCET_UNROLL
      for (int i = 0; i < kQuad; ++i) {
        const int n = quad * kQuad + i;
        const Sums<float> before = WithCarry(past, past_power, state.past);
        const Sums<float> after = WithCarry(future[i], future_power, state.future);
        const Sums<float> left = WithCarry(adjoint, past_power, state.adjoint_past);
        const Sums<float> right = WithCarry(later[i], future_power, state.adjoint_future);
        const float gv = fmaf(bonus, p[i], left.num + right.num);
        const float h = fmaf(bonus, q[i], left.den + right.den);
        m.At(0, n, thread) = e[i] * fmaf(v[i], gv, -h);
        m.At(1, n, thread) = e[i] * gv;
        gu = fmaf(bonus * e[i], fmaf(v[i], p[i], -q[i]), gu);
        gw += Difference(left, after) + Difference(right, before);
        Step(past, ev[i], e[i], lambda);
        Step(adjoint, p[i], q[i], lambda);
        past_power = c.decay.Times(past_power);
        future_power = c.growth.Times(future_power);
      }
    }
    state.w = gw;
    state.u = gu;
  });
  StoreParameterGradients(team, a, tile, m, [](const auto& state) {
    return Sums<double>{state.w, state.u};
  });
}

}  // namespace avocet::kernels::cuda
