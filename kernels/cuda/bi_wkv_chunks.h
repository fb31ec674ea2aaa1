// SPDX-License-Identifier: Apache-2.0
#pragma once

// Bi-WKV of one channel cut into chunks of tokens, one CUDA thread a chunk. Each phase below is
// what one thread does between two barriers; the kernels in bi_wkv_cuda.cu run the phases with the
// threads of a block, tests/kernels/bi_wkv_chunks_test.cc runs them in a loop on the host.
#include <cmath>
#include <cstdint>

#include "kernels/bi_wkv_math.h"

namespace avocet::kernels::cuda {

using generic::Advance;
using generic::AdvanceAdjoint;
using generic::Sums;

// Above these the float sums could leave their range (bi_wkv_cpu_impl.h); the channel is then
// computed in double, which holds to a total decay of 300.
constexpr float kFloatDecay = 60;
constexpr float kFloatBonus = 20;

// Where one channel of one batch item lies: values are `stride` elements apart.
struct Channel {
  int64_t tokens = 0;
  int64_t stride = 0;
  const float* k = nullptr;
  const float* v = nullptr;
  float w = 0, u = 0;

  AVOCET_HOST_DEVICE bool NeedsDouble() const {
    return !(fabsf(w) * static_cast<float>(tokens) <= kFloatDecay) || !(fabsf(u) <= kFloatBonus);
  }
};

struct Range {
  int64_t begin, end;
};

AVOCET_HOST_DEVICE Range ChunkOf(int64_t tokens, int chunks, int chunk) {
  const int64_t length = (tokens + chunks - 1) / chunks;
  const int64_t begin = chunk * length < tokens ? chunk * length : tokens;
  const int64_t end = begin + length < tokens ? begin + length : tokens;
  return {begin, end};
}

// Constants of a channel in the accumulation type S.
template <typename S>
struct Decay {
  S delta, lambda, bonus, maximum;

  AVOCET_HOST_DEVICE Decay(const Channel& c, float maximum_k)
      : delta(static_cast<S>(-expm1(-static_cast<double>(c.w)))),
        lambda(static_cast<S>(exp(-static_cast<double>(c.w)))),
        bonus(static_cast<S>(exp(static_cast<double>(c.u)))),
        maximum(maximum_k) {}

  AVOCET_HOST_DEVICE static S Power(const Channel& c, int64_t n) {
    return static_cast<S>(exp(-static_cast<double>(c.w) * static_cast<double>(n)));
  }
  AVOCET_HOST_DEVICE S Exp(float k) const { return exp(static_cast<S>(k) - maximum); }
};

// A sum that enters a chunk from outside and decays while the chunk's own sum grows; kept apart so
// that rounding does not add up over the row.
template <typename S>
struct CarriedSums {
  Sums<S> local{0, 0}, carry{0, 0};
  S power{1};

  AVOCET_HOST_DEVICE explicit CarriedSums(Sums<S> from_outside) : carry(from_outside) {}
  AVOCET_HOST_DEVICE Sums<S> Value() const {
    return {local.num + power * carry.num, local.den + power * carry.den};
  }
  AVOCET_HOST_DEVICE void Add(S e, S v, S delta) {
    Advance(local, e, v, delta);
    power -= delta * power;
  }
  AVOCET_HOST_DEVICE void AddAdjoint(S p, S q, S delta) {
    AdvanceAdjoint(local, p, q, delta);
    power -= delta * power;
  }
};

// Phase 1: largest k of the chunk.
AVOCET_HOST_DEVICE float ChunkMaximum(const Channel& c, Range r) {
  float maximum = -INFINITY;
  for (int64_t t = r.begin; t < r.end; ++t) {
    const float k = c.k[t * c.stride];
    maximum = k > maximum || k != k ? k : maximum;
  }
  return maximum;
}

// Phase 2: the chunk's sums as seen by the token after it (past) and by the token before it
// (future).
template <typename S>
struct Totals {
  Sums<S> past{0, 0}, future{0, 0};
};
template <typename S>
AVOCET_HOST_DEVICE Totals<S> ChunkTotals(const Channel& c, Range r, const Decay<S>& d) {
  Totals<S> totals;
  for (int64_t t = r.begin; t < r.end; ++t) {
    Advance(totals.past, d.Exp(c.k[t * c.stride]), static_cast<S>(c.v[t * c.stride]), d.delta);
  }
  for (int64_t t = r.end - 1; t >= r.begin; --t) {
    Advance(totals.future, d.Exp(c.k[t * c.stride]), static_cast<S>(c.v[t * c.stride]), d.delta);
  }
  return totals;
}

// Phase 3: what enters chunk `chunk` from all earlier (past) and all later (future) chunks.
// `totals` has one entry a chunk, `pitch` apart.
template <typename S>
AVOCET_HOST_DEVICE Totals<S> Incoming(const Channel& c, int chunks, int chunk,
                                      const Totals<S>* totals, int pitch) {
  Totals<S> in;
  for (int n = 0; n < chunk; ++n) {
    const Range r = ChunkOf(c.tokens, chunks, n);
    const S power = Decay<S>::Power(c, r.end - r.begin);
    in.past.num = power * in.past.num + totals[n * pitch].past.num;
    in.past.den = power * in.past.den + totals[n * pitch].past.den;
  }
  for (int n = chunks - 1; n > chunk; --n) {
    const Range r = ChunkOf(c.tokens, chunks, n);
    const S power = Decay<S>::Power(c, r.end - r.begin);
    in.future.num = power * in.future.num + totals[n * pitch].future.num;
    in.future.den = power * in.future.den + totals[n * pitch].future.den;
  }
  return in;
}

// Phase 4 of the forward pass: future sums right to left into scratch, then outputs left to right.
// scratch: two planes of `plane` elements, laid out like y.
template <typename S>
AVOCET_HOST_DEVICE void WriteOutputs(const Channel& c, Range r, const Decay<S>& d,
                                     const Totals<S>& in, float* y, S* scratch, int64_t plane) {
  CarriedSums<S> future(in.future);
  for (int64_t t = r.end - 1; t >= r.begin; --t) {
    const int64_t i = t * c.stride;
    const Sums<S> value = future.Value();
    scratch[i] = value.num;
    scratch[plane + i] = value.den;
    future.Add(d.Exp(c.k[i]), static_cast<S>(c.v[i]), d.delta);
  }
  CarriedSums<S> past(in.past);
  for (int64_t t = r.begin; t < r.end; ++t) {
    const int64_t i = t * c.stride;
    const S e = d.Exp(c.k[i]), v = static_cast<S>(c.v[i]);
    const Sums<S> out =
        generic::Output(past.Value(), {scratch[i], scratch[plane + i]}, e, v, d.bonus);
    y[i] = static_cast<float>(out.num / out.den);
    past.Add(e, v, d.delta);
  }
}

// Phase 4 of the backward pass: p and q of each token, with the sums they came from. Scratch has
// six planes: future num, den; past num, den; p, q. Returns the chunk's adjoint totals.
template <typename S>
AVOCET_HOST_DEVICE Totals<S> WriteAdjointInputs(const Channel& c, Range r, const Decay<S>& d,
                                                const Totals<S>& in, const float* g, S* scratch,
                                                int64_t plane) {
  CarriedSums<S> future(in.future);
  for (int64_t t = r.end - 1; t >= r.begin; --t) {
    const int64_t i = t * c.stride;
    const Sums<S> value = future.Value();
    scratch[i] = value.num;
    scratch[plane + i] = value.den;
    future.Add(d.Exp(c.k[i]), static_cast<S>(c.v[i]), d.delta);
  }
  CarriedSums<S> past(in.past);
  Totals<S> adjoint;
  for (int64_t t = r.begin; t < r.end; ++t) {
    const int64_t i = t * c.stride;
    const S e = d.Exp(c.k[i]), v = static_cast<S>(c.v[i]);
    const Sums<S> before = past.Value();
    const Sums<S> out = generic::Output(before, {scratch[i], scratch[plane + i]}, e, v, d.bonus);
    const S p = static_cast<S>(g[i]) / out.den;
    const S q = p * (out.num / out.den);
    scratch[2 * plane + i] = before.num;
    scratch[3 * plane + i] = before.den;
    scratch[4 * plane + i] = p;
    scratch[5 * plane + i] = q;
    AdvanceAdjoint(adjoint.past, p, q, d.delta);
    past.Add(e, v, d.delta);
  }
  for (int64_t t = r.end - 1; t >= r.begin; --t) {
    const int64_t i = t * c.stride;
    AdvanceAdjoint(adjoint.future, scratch[4 * plane + i], scratch[5 * plane + i], d.delta);
  }
  return adjoint;
}

// Phase 5 of the backward pass, after Incoming of the adjoint totals: gradients of k and v, and the
// chunk's share of the gradients of w and u.
struct ParameterGradient {
  double w = 0, u = 0;
};
template <typename S>
AVOCET_HOST_DEVICE ParameterGradient WriteGradients(const Channel& c, Range r, const Decay<S>& d,
                                                    const Totals<S>& in, float* gk, float* gv,
                                                    S* scratch, int64_t plane) {
  ParameterGradient sum;
  CarriedSums<S> past(in.past);
  for (int64_t t = r.begin; t < r.end; ++t) {
    const int64_t i = t * c.stride;
    const Sums<S> before = past.Value();
    sum.w += static_cast<double>(before.num * scratch[i] - before.den * scratch[plane + i]);
    scratch[i] = before.num;  // the future sums have served
    scratch[plane + i] = before.den;
    past.AddAdjoint(scratch[4 * plane + i], scratch[5 * plane + i], d.delta);
  }
  CarriedSums<S> future(in.future);
  for (int64_t t = r.end - 1; t >= r.begin; --t) {
    const int64_t i = t * c.stride;
    const Sums<S> after = future.Value();
    const S p = scratch[4 * plane + i], q = scratch[5 * plane + i];
    const auto grad = generic::Gradient({scratch[i], scratch[plane + i]}, after, d.Exp(c.k[i]),
                                        static_cast<S>(c.v[i]), d.bonus, p, q);
    gk[i] = static_cast<float>(grad.k);
    gv[i] = static_cast<float>(grad.v);
    sum.u += static_cast<double>(grad.u);
    sum.w += static_cast<double>(after.num * scratch[2 * plane + i] -
                                 after.den * scratch[3 * plane + i]);
    future.AddAdjoint(p, q, d.delta);
  }
  sum.w *= -static_cast<double>(d.lambda);
  return sum;
}

}  // namespace avocet::kernels::cuda
