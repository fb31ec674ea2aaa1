// SPDX-License-Identifier: Apache-2.0
#pragma once

// What the official kernels compute (shared/spec/rwkv_unet.md 1.2 to 1.4, 1.6), in double, with
// their own chunks as the unit of work: a block is kOfficialLanes channels of one batch item, a
// thread one chunk of one channel. For checking and running official checkpoints; not built for
// speed beyond that. Steps and Teams are those of wkv_tile.h.
#include <cmath>
#include <cstdint>

#include "kernels/bi_wkv_math.h"
#include "kernels/cuda/wkv_storage.h"

namespace avocet::kernels::cuda {

constexpr int kOfficialLanes = 8;
constexpr int kOfficialPlanes = 4;  // doubles of scratch for a value
constexpr double kOfficialEpsilon = 1e-6;

// Tensors contiguous [B, T, C].
template <typename S>
struct OfficialArgs {
  int64_t batch = 0, tokens = 0, channels = 0;
  int split = 32;
  bool official_gradient = false;
  const float* w = nullptr;
  const float* u = nullptr;
  const S* k = nullptr;
  const S* v = nullptr;
  S* y = nullptr;
  const S* g = nullptr;
  S* gk = nullptr;
  S* gv = nullptr;
  double* gw = nullptr;  // [B, C]
  double* gu = nullptr;
  // Batch items are worked off `items` at a time; scratch holds kOfficialPlanes * items * T * C.
  double* scratch = nullptr;
  int64_t items = 0, first_item = 0;
};

// A sum, its denominator, and their derivatives by w.
struct OfficialSums {
  double num, den, dnum, dden;

  AVOCET_HOST_DEVICE void Decay(double lambda) {
    dnum = lambda * (dnum - num);
    dden = lambda * (dden - den);
    num *= lambda;
    den *= lambda;
  }
  AVOCET_HOST_DEVICE void Add(double x, double y) {
    num += x;
    den += y;
  }
};

// What a chunk tells the others: its sums as seen by the token after it and before it, and the
// largest term in each. In the second exchange past and future hold (p, q).
struct OfficialTotals {
  OfficialSums past, future;
  double past_largest, future_largest;
};

struct OfficialState {
  OfficialSums past, future;
  double past_largest, future_largest;
  double maximum;
  double past_g, past_h, future_g, future_h;
  double gw, gu;
};

struct OfficialMemory {
  OfficialTotals* totals;  // [split * kOfficialLanes]
  AVOCET_HOST_DEVICE explicit OfficialMemory(char* base)
      : totals(reinterpret_cast<OfficialTotals*>(base)) {}
};
constexpr int64_t OfficialSharedBytes(int split) {
  return static_cast<int64_t>(split) * kOfficialLanes *
         static_cast<int64_t>(sizeof(OfficialTotals));
}

// Where a thread works, and the constants of its channel.
template <typename S>
struct OfficialChunk {
  int chunk, lane;
  int64_t channel, batch;
  int64_t length, begin, end;  // tokens a chunk; this one's
  int64_t first;               // element of token 0
  double lambda, growth, bonus, w;
  bool real;  // the channel exists

  AVOCET_HOST_DEVICE OfficialChunk(const OfficialArgs<S>& a, int64_t block, int thread) {
    const int64_t columns = (a.channels + kOfficialLanes - 1) / kOfficialLanes;
    lane = thread % kOfficialLanes;
    chunk = thread / kOfficialLanes;
    batch = a.first_item + block / columns;
    channel = block % columns * kOfficialLanes + lane;
    real = channel < a.channels;
    length = (a.tokens + a.split - 1) / a.split;
    begin = chunk * length < a.tokens ? chunk * length : a.tokens;
    end = real ? (begin + length < a.tokens ? begin + length : a.tokens) : begin;
    first = batch * a.tokens * a.channels + channel;
    w = real ? a.w[channel] : 0;
    lambda = exp(-w);
    growth = exp(w);
    bonus = real ? exp(static_cast<double>(a.u[channel])) : 1;
  }
  AVOCET_HOST_DEVICE int64_t At(const OfficialArgs<S>& a, int64_t t) const {
    return first + t * a.channels;
  }
  AVOCET_HOST_DEVICE double& Scratch(const OfficialArgs<S>& a, int plane, int64_t t) const {
    const int64_t item = (batch - a.first_item) * a.tokens * a.channels + channel;
    return a.scratch[plane * a.items * a.tokens * a.channels + item + t * a.channels];
  }
  AVOCET_HOST_DEVICE double E(const OfficialArgs<S>& a, int64_t t, double maximum) const {
    return exp(static_cast<double>(Widen(a.k[At(a, t)])) - maximum);
  }
  AVOCET_HOST_DEVICE double V(const OfficialArgs<S>& a, int64_t t) const {
    return Widen(a.v[At(a, t)]);
  }
};

AVOCET_HOST_DEVICE double Larger(double a, double b) { return a > b ? a : b; }

// sums of what lies `count` tokens away, moved here: lambda^count and its derivative.
AVOCET_HOST_DEVICE OfficialSums Moved(const OfficialSums& s, double power, double count) {
  return {power * s.num, power * s.den, power * (s.dnum - count * s.num),
          power * (s.dden - count * s.den)};
}
AVOCET_HOST_DEVICE OfficialSums operator+(const OfficialSums& a, const OfficialSums& b) {
  return {a.num + b.num, a.den + b.den, a.dnum + b.dnum, a.dden + b.dden};
}

// Steps up to what enters each chunk.
template <typename Team, typename S>
AVOCET_HOST_DEVICE void OfficialEnter(Team& team, const OfficialArgs<S>& a, int64_t block,
                                      const OfficialMemory& m) {
  team.Run([&](int thread, auto&) {
    const OfficialChunk<S> c(a, block, thread);
    double maximum = -INFINITY;
    for (int64_t t = c.begin; t < c.end; ++t) {
      const double k = Widen(a.k[c.At(a, t)]);
      maximum = k > maximum || k != k ? k : maximum;
    }
    m.totals[thread].past_largest = maximum;
  });
  team.Run([&](int thread, auto& state) {
    double maximum = -INFINITY;
    for (int n = 0; n < a.split; ++n) {
      const double k = m.totals[n * kOfficialLanes + thread % kOfficialLanes].past_largest;
      maximum = k > maximum || k != k ? k : maximum;
    }
    state.maximum = maximum;
  });
  team.Run([&](int thread, auto& state) {
    const OfficialChunk<S> c(a, block, thread);
    OfficialTotals own{{0, 0, 0, 0}, {0, 0, 0, 0}, 0, 0};
    for (int64_t t = c.begin; t < c.end; ++t) {
      const double e = c.E(a, t, state.maximum);
      own.past.Decay(c.lambda);
      own.past.Add(e * c.V(a, t), e);
      own.past_largest = c.lambda * Larger(own.past_largest, e);
    }
    for (int64_t t = c.end - 1; t >= c.begin; --t) {
      const double e = c.E(a, t, state.maximum);
      own.future.Decay(c.lambda);
      own.future.Add(e * c.V(a, t), e);
      own.future_largest = Larger(e, c.lambda * own.future_largest);
    }
    m.totals[thread] = own;
  });
  team.Run([&](int thread, auto& state) {
    const OfficialChunk<S> c(a, block, thread);
    // Only the last chunk with tokens may be short, and nothing lies behind it.
    const auto length = static_cast<double>(c.length);
    const double power = exp(-c.w * length);
    state.past = state.future = {0, 0, 0, 0};
    state.past_largest = state.future_largest = 0;
    for (int n = 0; n < c.chunk; ++n) {
      const OfficialTotals& x = m.totals[n * kOfficialLanes + c.lane];
      state.past = Moved(state.past, power, length) + x.past;
      state.past_largest = Larger(power * state.past_largest, x.past_largest);
    }
    for (int n = a.split - 1; n > c.chunk; --n) {
      const OfficialTotals& x = m.totals[n * kOfficialLanes + c.lane];
      state.future = Moved(state.future, power, length) + x.future;
      state.future_largest = Larger(power * state.future_largest, x.future_largest);
    }
  });
}

// Part of a step: form O over one chunk; visit(t, e, v, out) gets numerator, denominator with its
// epsilon, and their derivatives by w. kDerivative: whether these are wanted.
template <bool kDerivative, typename S, typename Visit>
AVOCET_HOST_DEVICE void OfficialOutputs(const OfficialArgs<S>& a, const OfficialChunk<S>& c,
                                        const OfficialState& state, Visit visit) {
  constexpr int kPlanes = kDerivative ? 4 : 2;
  OfficialSums future = state.future;
  double o1 = state.future_largest;
  for (int64_t t = c.end - 1; t >= c.begin; --t) {
    const double sums[4] = {future.num, future.den, future.dnum, future.dden};
    for (int plane = 0; plane < kPlanes; ++plane) c.Scratch(a, plane, t) = sums[plane];
    const double e = c.E(a, t, state.maximum);
    o1 = Larger(e, c.lambda * o1);
    future.Decay(c.lambda);
    future.Add(e * c.V(a, t), e);
  }
  // Past sums in the chunk's own convention, and the residue of tokens that left the future sum.
  OfficialSums past = state.past, residue{0, 0, 0, 0};
  past.Decay(c.lambda);
  double o2 = state.past_largest;
  for (int64_t t = c.begin; t < c.end; ++t) {
    const double e = c.E(a, t, state.maximum), v = c.V(a, t);
    if (t > c.begin) {
      residue.dnum = c.growth * (residue.dnum + residue.num - e * v);
      residue.dden = c.growth * (residue.dden + residue.den - e);
      residue.num = c.growth * residue.num + (1 - c.growth) * e * v;
      residue.den = c.growth * residue.den + (1 - c.growth) * e;
      o1 = c.growth * Larger(o1, e);
    }
    OfficialSums later{c.Scratch(a, 0, t), c.Scratch(a, 1, t), 0, 0};
    if (kDerivative) later.dnum = c.Scratch(a, 2, t), later.dden = c.Scratch(a, 3, t);
    later.Decay(c.lambda);
    const double self = c.bonus * e;
    OfficialSums out = past + later + residue;
    out.Add(self * v, self + kOfficialEpsilon * Larger(Larger(o1, o2), self));
    visit(t, e, v, out);
    past.Decay(c.lambda);
    past.Add(e * v, e);
    o2 = Larger(e, c.lambda * o2);
  }
}

template <typename Team, typename S>
AVOCET_HOST_DEVICE void OfficialForward(Team& team, const OfficialArgs<S>& a, int64_t block,
                                        const OfficialMemory& m) {
  OfficialEnter(team, a, block, m);
  team.Run([&](int thread, auto& state) {
    const OfficialChunk<S> c(a, block, thread);
    OfficialOutputs<false>(a, c, state, [&](int64_t t, double, double, const OfficialSums& out) {
      Narrow(static_cast<float>(out.num / out.den), a.y[c.At(a, t)]);
    });
  });
}

template <typename Team, typename S>
AVOCET_HOST_DEVICE void OfficialBackward(Team& team, const OfficialArgs<S>& a, int64_t block,
                                         const OfficialMemory& m) {
  OfficialEnter(team, a, block, m);
  // p and q into planes 0 and 1, the chunk's own past sums of them into planes 2 and 3.
  team.Run([&](int thread, auto& state) {
    const OfficialChunk<S> c(a, block, thread);
    state.gw = state.gu = 0;
    double past_g = 0, past_h = 0;
    OfficialOutputs<true>(a, c, state, [&](int64_t t, double e, double v, const OfficialSums& out) {
      const double y = out.num / out.den;
      const double p = Widen(a.g[c.At(a, t)]) / out.den, q = p * y;
      state.gw += p * (out.dnum - y * out.dden);
      state.gu += c.bonus * e * (v * p - q);
      c.Scratch(a, 0, t) = p;
      c.Scratch(a, 1, t) = q;
      c.Scratch(a, 2, t) = past_g;
      c.Scratch(a, 3, t) = past_h;
      past_g = c.lambda * past_g + p;
      past_h = c.lambda * past_h + q;
    });
    double future_g = 0, future_h = 0;
    for (int64_t t = c.end - 1; t >= c.begin; --t) {
      future_g = c.lambda * future_g + c.Scratch(a, 0, t);
      future_h = c.lambda * future_h + c.Scratch(a, 1, t);
    }
    m.totals[thread].past = {past_g, past_h, 0, 0};
    m.totals[thread].future = {future_g, future_h, 0, 0};
  });
  team.Run([&](int thread, auto& state) {
    const OfficialChunk<S> c(a, block, thread);
    const double power = exp(-c.w * static_cast<double>(c.length));
    state.past_g = state.past_h = state.future_g = state.future_h = 0;
    for (int n = 0; n < c.chunk; ++n) {
      const OfficialSums& x = m.totals[n * kOfficialLanes + c.lane].past;
      state.past_g = power * state.past_g + x.num;
      state.past_h = power * state.past_h + x.den;
    }
    for (int n = a.split - 1; n > c.chunk; --n) {
      const OfficialSums& x = m.totals[n * kOfficialLanes + c.lane].future;
      state.future_g = power * state.future_g + x.num;
      state.future_h = power * state.future_h + x.den;
    }
  });
  // Weights of later outputs on a token: of the definition for the official gradient; otherwise of
  // form O, whose weights depend on whether the output lies in the same chunk and whose residue
  // grows with e^w.
  team.Run([&](int thread, auto& state) {
    const OfficialChunk<S> c(a, block, thread);
    double power = 1;  // lambda^(t - begin): of what enters from the left
    for (int64_t t = c.begin; t < c.end; ++t) {
      c.Scratch(a, 2, t) += power * state.past_g;
      c.Scratch(a, 3, t) += power * state.past_h;
      power *= c.lambda;
    }
    double chunk_g = 0, chunk_h = 0, residue_g = 0, residue_h = 0;
    double later_g = state.future_g, later_h = state.future_h;
    for (int64_t t = c.end - 1; t >= c.begin; --t) {
      const double e = c.E(a, t, state.maximum), v = c.V(a, t);
      const double p = c.Scratch(a, 0, t), q = c.Scratch(a, 1, t);
      double g = c.Scratch(a, 2, t), h = c.Scratch(a, 3, t);
      if (a.official_gradient) {
        g += later_g + chunk_g;
        h += later_h + chunk_h;
      } else {
        residue_g = p + c.growth * residue_g;
        residue_h = q + c.growth * residue_h;
        g = c.lambda * (g + later_g) + chunk_g;
        h = c.lambda * (h + later_h) + chunk_h;
        if (t > c.begin) {
          g += (1 - c.growth) * residue_g;
          h += (1 - c.growth) * residue_h;
        }
      }
      g += c.bonus * p;
      h += c.bonus * q;
      Narrow(static_cast<float>(e * (v * g - h)), a.gk[c.At(a, t)]);
      Narrow(static_cast<float>(e * g), a.gv[c.At(a, t)]);
      later_g *= c.lambda;
      later_h *= c.lambda;
      chunk_g = c.lambda * chunk_g + p;
      chunk_h = c.lambda * chunk_h + q;
    }
    m.totals[thread].past_largest = state.gw;
    m.totals[thread].future_largest = state.gu;
  });
  team.Run([&](int thread, auto&) {
    const OfficialChunk<S> c(a, block, thread);
    if (c.chunk != 0 || !c.real) return;
    double gw = 0, gu = 0;
    for (int n = 0; n < a.split; ++n) {
      gw += m.totals[n * kOfficialLanes + c.lane].past_largest;
      gu += m.totals[n * kOfficialLanes + c.lane].future_largest;
    }
    a.gw[c.batch * a.channels + c.channel] = gw;
    a.gu[c.batch * a.channels + c.channel] = gu;
  });
}

}  // namespace avocet::kernels::cuda
