// SPDX-License-Identifier: Apache-2.0
// The definition of Bi-WKV for any decay and bonus, in double with running exponents. Included
// through the per-instruction-set kernels only (see bi_wkv_math.h on AVOCET_ISA).
#pragma once

#include "kernels/bi_wkv_cpu_rows.h"

namespace avocet::kernels::AVOCET_ISA {

// One stored value.
inline double Get(const float* x) { return *x; }
inline double Get(const double* x) { return *x; }
template <typename S>
double Get(const S* x) {
  S padded[kLanes] = {};
  padded[0] = *x;
  return Widen<kLanes>(padded)[0];
}
inline void Put(double value, float* x) { *x = static_cast<float>(value); }
inline void Put(double value, double* x) { *x = value; }
template <typename S>
void Put(double value, S* x) {
  S padded[kLanes];
  Narrow<kLanes>(Broadcast<Vector<float>>(static_cast<float>(value)), padded);
  *x = padded[0];
}

// A sum kept as value * e^{exponent}, so that no decay, bonus or outlier leaves the range of
// double.
struct Scaled {
  double num = 0, den = 0, exponent = -std::numeric_limits<double>::infinity();

  void Decay(double w) { exponent -= w; }
  void Add(double x, double y, double log_scale) {
    if (log_scale > exponent) {
      const double factor = std::exp(exponent - log_scale);
      num = num * factor + x;
      den = den * factor + y;
      exponent = log_scale;
    } else {
      const double factor = std::exp(log_scale - exponent);
      num += factor * x;
      den += factor * y;
    }
  }
};

// Adds s * e^{-shift} to (num, den).
inline void Accumulate(const Scaled& s, double shift, double& num, double& den) {
  if (s.exponent == -std::numeric_limits<double>::infinity()) return;
  const double factor = std::exp(s.exponent - shift);
  num += factor * s.num;
  den += factor * s.den;
}

template <typename Args, typename Visit>
void ScaledOutputs(const Args& a, int64_t offset, double w, double u, const Scratch<Scaled>& future,
                   Visit visit) {
  const int64_t n = a.tokens;
  Scaled sums;
  for (int64_t t = n - 1; t >= 0; --t) {
    future[t] = sums;
    sums.Decay(w);
    sums.Add(Get(a.v + offset + t * a.channels), 1, Get(a.k + offset + t * a.channels));
  }
  Scaled past;
  for (int64_t t = 0; t < n; ++t) {
    const double k = Get(a.k + offset + t * a.channels);
    const double v = Get(a.v + offset + t * a.channels);
    const double shift = std::max({past.exponent, future[t].exponent, u + k});
    const double self = std::exp(u + k - shift);
    double num = self * v, den = self;
    Accumulate(past, shift, num, den);
    Accumulate(future[t], shift, num, den);
    visit(t, past, future[t], num, den, shift);
    past.Decay(w);
    past.Add(v, 1, k);
  }
}

template <typename S>
void ForwardScaled(const WkvForwardArgs<S>& a, const Block<S, WkvForwardArgs<S>>& b) {
  const Scratch<Scaled> future(a.tokens);
  for (int64_t c = 0; c < b.count; ++c) {
    const int64_t offset = b.offset + c;
    ScaledOutputs(a, offset, b.w[c], b.u[c], future,
                  [&](int64_t t, const Scaled&, const Scaled&, double num, double den, double) {
                    Put(num / den, a.y + offset + t * a.channels);
                  });
  }
}

template <typename S>
void BackwardScaled(const WkvBackwardArgs<S>& a, const Block<S, WkvBackwardArgs<S>>& b) {
  const int64_t n = a.tokens;
  const Scratch<Scaled> future(n), past(n), adjoint(n);
  const Scratch<double> p(n), q(n), shift(n);
  for (int64_t c = 0; c < b.count; ++c) {
    const int64_t offset = b.offset + c;
    const double w = b.w[c], u = b.u[c];
    // p_t = g_t / D_t is kept as p * e^{-shift}: adjoint sums are scaled like the forward ones.
    ScaledOutputs(a, offset, w, u, future,
                  [&](int64_t t, const Scaled& s, const Scaled&, double num, double den, double m) {
                    past[t] = s;
                    p[t] = Get(a.g + offset + t * a.channels) / den;
                    q[t] = p[t] * (num / den);
                    shift[t] = m;
                  });
    // Product of an adjoint sum and a forward sum: SUM p_t e^{-shift_t} e^{k_i} (v_i, -y_t)...
    const auto product = [](const Scaled& adj, const Scaled& fwd) {
      const double scale = adj.exponent + fwd.exponent;
      if (!(scale > -std::numeric_limits<double>::infinity())) return 0.0;
      return std::exp(scale) * (adj.num * fwd.num - adj.den * fwd.den);
    };
    double gw = 0, gu = 0;
    Scaled before;
    for (int64_t t = 0; t < n; ++t) {
      adjoint[t] = before;
      gw += product(before, future[t]);
      before.Decay(w);
      before.Add(p[t], q[t], -shift[t]);
    }
    Scaled after;
    for (int64_t t = n - 1; t >= 0; --t) {
      const double k = Get(a.k + offset + t * a.channels);
      const double v = Get(a.v + offset + t * a.channels);
      gw += product(after, past[t]);
      const double self = std::exp(u + k - shift[t]);
      double g = self * p[t], h = self * q[t];
      gu += v * g - h;
      Accumulate(adjoint[t], -k, g, h);
      Accumulate(after, -k, g, h);
      Put(v * g - h, a.gk + offset + t * a.channels);
      Put(g, a.gv + offset + t * a.channels);
      after.Decay(w);
      after.Add(p[t], q[t], -shift[t]);
    }
    const int64_t row = b.batch_index * a.channels + b.first_channel + c;
    a.gw[row] = -std::exp(-w) * gw;
    a.gu[row] = gu;
  }
}

}  // namespace avocet::kernels::AVOCET_ISA
