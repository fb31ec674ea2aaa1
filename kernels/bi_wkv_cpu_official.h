// SPDX-License-Identifier: Apache-2.0
// What the official kernels compute (shared/spec/rwkv_unet.md 1.2, 1.3), in double. Included
// through the per-instruction-set kernels only (see bi_wkv_math.h on AVOCET_ISA).
#pragma once

#include "kernels/bi_wkv_cpu_rows.h"

namespace avocet::kernels::AVOCET_ISA {

template <typename S, bool full>
Vector<typename WkvState<S>::Type> MaximumOverTokens(const Rows<const S, full>& k, int64_t tokens) {
  auto maximum = k.Load(0);
  for (int64_t t = 1; t < tokens; ++t) {
    const auto row = k.Load(t);
    maximum = Max(row, maximum);
  }
  return maximum;
}

inline Vector<double> ExpOf(const Vector<double>& x, double sign) {
  double values[kLanes];
  for (int64_t c = 0; c < kLanes; ++c) values[c] = std::exp(sign * x[c]);
  return Widen<kLanes>(values);
}

constexpr double kOfficialEpsilon = 1e-6;

// Everything of form O that does not depend on the token (rwkv_unet.md 1.2, 1.6).
struct OfficialConstants {
  Vector<double> lambda, growth, bonus;  // e^{-w}, e^{w}, e^{u}
  int64_t length;                        // tokens a chunk

  OfficialConstants(const Vector<double>& w, const Vector<double>& u, int64_t tokens, int64_t split)
      : lambda(ExpOf(w, -1)),
        growth(ExpOf(w, 1)),
        bonus(ExpOf(u, 1)),
        length((tokens + split - 1) / split) {}
};

// Runs form O over one block, in double, and calls visit(t, e, v, out) with the token's numerator,
// denominator and normaliser. `WithDerivative` carries d/dw of every sum along.
template <bool WithDerivative, typename Args, typename B, typename Visit>
void OfficialOutputs(const Args& a, const B& b, const OfficialConstants& oc,
                     const Vector<double>& maximum, Visit visit) {
  using W = Vector<double>;
  struct Row {
    W e, num, den, largest;  // future sums and largest future term
    W dnum, dden;
  };
  const int64_t n = a.tokens;
  const Scratch<Row> rows(n);
  const W zero{};
  {
    W num = zero, den = zero, dnum = zero, dden = zero, largest = zero;
    for (int64_t t = n - 1; t >= 0; --t) {
      const W e = Exp(Convert<double>(b.k.Load(t)) - maximum);
      const W v = Convert<double>(b.v.Load(t));
      const W own = oc.lambda * largest;
      largest = Max(e, own);
      rows[t] = {e, num, den, largest, dnum, dden};
      if (WithDerivative) {
        dnum = oc.lambda * (dnum - num);
        dden = oc.lambda * (dden - den);
      }
      num = oc.lambda * num + e * v;
      den = oc.lambda * den + e;
    }
  }
  // Past over the whole row (P), past of the chunk's convention (A), residue (R), and their
  // derivatives; o1 and o2 are the kernel's running maxima, as e^{o - maximum}.
  W pnum = zero, pden = zero, dpnum = zero, dpden = zero, plargest = zero;
  W anum = zero, aden = zero, danum = zero, daden = zero;
  W rnum = zero, rden = zero, drnum = zero, drden = zero;
  W o1 = zero, o2 = zero;
  for (int64_t t = 0; t < n; ++t) {
    const Row& row = rows[t];
    const W e = row.e;
    const W v = Convert<double>(b.v.Load(t));
    if (t % oc.length == 0) {
      anum = oc.lambda * pnum;
      aden = oc.lambda * pden;
      if (WithDerivative) {
        danum = oc.lambda * (dpnum - pnum);
        daden = oc.lambda * (dpden - pden);
      }
      rnum = rden = drnum = drden = zero;
      o1 = row.largest;
      o2 = plargest;
    } else {
      if (WithDerivative) {
        drnum = oc.growth * (drnum + rnum - e * v);
        drden = oc.growth * (drden + rden - e);
      }
      rnum = oc.growth * rnum + (1 - oc.growth) * e * v;
      rden = oc.growth * rden + (1 - oc.growth) * e;
      o1 = oc.growth * Max(o1, e);
    }
    const W self = oc.bonus * e;
    const W m12 = Max(o1, o2);
    const W m = Max(m12, self);
    const W num = anum + oc.lambda * row.num + rnum + self * v;
    const W den = aden + oc.lambda * row.den + rden + self;
    W dnum = zero, dden = zero;
    if (WithDerivative) {
      dnum = danum + oc.lambda * (row.dnum - row.num) + drnum;
      dden = daden + oc.lambda * (row.dden - row.den) + drden;
    }
    visit(t, e, v, num, den + kOfficialEpsilon * m, dnum, dden);

    if (WithDerivative) {
      dpnum = oc.lambda * (dpnum - pnum);
      dpden = oc.lambda * (dpden - pden);
      danum = oc.lambda * (danum - anum);
      daden = oc.lambda * (daden - aden);
    }
    pnum = oc.lambda * pnum + e * v;
    pden = oc.lambda * pden + e;
    anum = oc.lambda * anum + e * v;
    aden = oc.lambda * aden + e;
    const W own = oc.lambda * o2;
    o2 = Max(e, own);
    plargest = oc.lambda * Max(plargest, e);
  }
}

template <typename S, typename B>
void ForwardOfficialOf(const WkvForwardArgs<S>& a, const B& b) {
  using T = typename WkvState<S>::Type;
  using W = Vector<double>;
  const OfficialConstants oc(Convert<double>(b.w), Convert<double>(b.u), a.tokens, a.split);
  const W maximum = Convert<double>(MaximumOverTokens(b.k, a.tokens));
  OfficialOutputs<false>(a, b, oc, maximum,
                         [&](int64_t t, const W&, const W&, const W& num, const W& den, const W&,
                             const W&) { b.RowsOf(a.y).Store(t, Convert<T>(num / den)); });
}

template <typename S, typename B>
void BackwardOfficialOf(const WkvBackwardArgs<S>& a, const B& b) {
  using T = typename WkvState<S>::Type;
  using W = Vector<double>;
  struct Token {
    W e, v, p, q, past_g, past_h;
  };
  const int64_t n = a.tokens;
  const OfficialConstants oc(Convert<double>(b.w), Convert<double>(b.u), n, a.split);
  const W maximum = Convert<double>(MaximumOverTokens(b.k, n));
  const auto g = b.RowsOf(a.g);
  const Scratch<Token> tokens(n);
  W gw{}, gu{};
  W past_g{}, past_h{};
  OfficialOutputs<true>(a, b, oc, maximum,
                        [&](int64_t t, const W& e, const W& v, const W& num, const W& den,
                            const W& dnum, const W& dden) {
                          const W y = num / den;
                          const W p = Convert<double>(g.Load(t)) / den;
                          const W q = p * y;
                          gw += p * (dnum - y * dden);
                          gu += oc.bonus * e * (v * p - q);
                          tokens[t] = {e, v, p, q, past_g, past_h};
                          past_g = oc.lambda * past_g + p;
                          past_h = oc.lambda * past_h + q;
                        });
  // Weights of later outputs on token i: of the definition for the official gradient; otherwise of
  // form O, whose weights depend on whether the output lies in the same chunk (suffix "chunk") and
  // whose residue grows with e^w ("residue").
  W all_g{}, all_h{}, chunk_g{}, chunk_h{}, residue_g{}, residue_h{};
  for (int64_t t = n - 1; t >= 0; --t) {
    const Token& token = tokens[t];
    const bool last_of_chunk = t == n - 1 || (t + 1) % oc.length == 0;
    if (last_of_chunk) chunk_g = chunk_h = residue_g = residue_h = W{};
    W sum_g, sum_h;
    if (a.official_gradient) {
      sum_g = token.past_g + all_g + oc.bonus * token.p;
      sum_h = token.past_h + all_h + oc.bonus * token.q;
    } else {
      residue_g = token.p + oc.growth * residue_g;
      residue_h = token.q + oc.growth * residue_h;
      sum_g =
          oc.lambda * token.past_g + oc.lambda * (all_g - chunk_g) + chunk_g + oc.bonus * token.p;
      sum_h =
          oc.lambda * token.past_h + oc.lambda * (all_h - chunk_h) + chunk_h + oc.bonus * token.q;
      if (t % oc.length != 0) {
        sum_g += (1 - oc.growth) * residue_g;
        sum_h += (1 - oc.growth) * residue_h;
      }
    }
    b.RowsOf(a.gk).Store(t, Convert<T>(token.e * (token.v * sum_g - sum_h)));
    b.RowsOf(a.gv).Store(t, Convert<T>(token.e * sum_g));
    all_g = oc.lambda * all_g + token.p;
    all_h = oc.lambda * all_h + token.q;
    chunk_g = oc.lambda * chunk_g + token.p;
    chunk_h = oc.lambda * chunk_h + token.q;
  }
  const int64_t row = b.batch_index * a.channels + b.first_channel;
  for (int64_t c = 0; c < b.count; ++c) {
    a.gw[row + c] = gw[c];
    a.gu[row + c] = gu[c];
  }
}

template <typename S>
void ForwardOfficial(const WkvForwardArgs<S>& a, int64_t block) {
  const Block<S, WkvForwardArgs<S>, true> b(a, block);
  if (b.count == kLanes) {
    ForwardOfficialOf(a, b);
  } else {
    ForwardOfficialOf(a, Block<S, WkvForwardArgs<S>>(a, block));
  }
}
template <typename S>
void BackwardOfficial(const WkvBackwardArgs<S>& a, int64_t block) {
  const Block<S, WkvBackwardArgs<S>, true> b(a, block);
  if (b.count == kLanes) {
    BackwardOfficialOf(a, b);
  } else {
    BackwardOfficialOf(a, Block<S, WkvBackwardArgs<S>>(a, block));
  }
}

}  // namespace avocet::kernels::AVOCET_ISA
