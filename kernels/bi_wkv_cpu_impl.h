// SPDX-License-Identifier: Apache-2.0
// Included by one .cc for each instruction set, with AVOCET_ISA set to its namespace. No include
// guard on purpose: exactly one inclusion a translation unit.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <vector>

#include "kernels/bi_wkv_cpu.h"
#include "kernels/bi_wkv_math.h"
#include "kernels/simd_exp.h"

namespace avocet::kernels::AVOCET_ISA {
namespace {

constexpr int64_t kLanes = kWkvBlock;

// A block of channels of one batch item: rows of kLanes values, `count` of them real.
template <typename T>
struct Rows {
  const T* base;
  int64_t stride;
  int64_t count;

  Vector<T> Load(int64_t token) const {
    Vector<T> value{};
    const T* row = base + token * stride;
    if (count == kLanes) {
      std::memcpy(&value, row, sizeof value);
    } else {
      std::memcpy(&value, row, count * sizeof(T));
    }
    return value;
  }
};

template <typename T>
void Store(T* base, int64_t stride, int64_t count, int64_t token, const Vector<T>& value) {
  T* row = base + token * stride;
  if (count == kLanes) {
    std::memcpy(row, &value, sizeof value);
  } else {
    std::memcpy(row, &value, count * sizeof(T));
  }
}

template <typename D, typename T>
Vector<D> Convert(const Vector<T>& x) {
  return __builtin_convertvector(x, Vector<D>);
}

// Scratch rows for one thread, reused from call to call.
template <typename T>
Vector<T>* Scratch(int64_t rows) {
  static thread_local std::vector<char> buffer;
  const size_t bytes = rows * sizeof(Vector<T>) + 128;
  if (buffer.size() < bytes) buffer.resize(bytes);
  void* start = buffer.data();
  size_t space = buffer.size();
  return static_cast<Vector<T>*>(std::align(128, rows * sizeof(Vector<T>), start, space));
}

template <typename T, typename Args>
struct Block {
  int64_t batch_index, first_channel, count, offset;
  Rows<T> k, v;
  Vector<T> w{}, u{};

  Block(const Args& a, int64_t task) {
    const int64_t blocks = (a.channels + kLanes - 1) / kLanes;
    batch_index = task / blocks;
    first_channel = task % blocks * kLanes;
    count = std::min<int64_t>(kLanes, a.channels - first_channel);
    offset = batch_index * a.tokens * a.channels + first_channel;
    k = {a.k + offset, a.channels, count};
    v = {a.v + offset, a.channels, count};
    std::memcpy(&w, a.w + first_channel, count * sizeof(T));
    std::memcpy(&u, a.u + first_channel, count * sizeof(T));
  }
};

// Exponents are taken relative to the largest k of the channel. The denominator is then at least
// e^{-|decay|}, so sums stay inside the type's range while the total decay over the row and the
// bonus do; other channels take the path with running maxima.
template <typename T>
constexpr double kSafeDecay = std::is_same_v<T, float> ? 60.0 : 300.0;
template <typename T>
constexpr double kSafeBonus = std::is_same_v<T, float> ? 20.0 : 100.0;

template <typename T>
bool InFastRange(const Vector<T>& w, const Vector<T>& u, int64_t tokens, int64_t count) {
  for (int64_t c = 0; c < count; ++c) {
    // Written so that NaN takes the other path, which propagates it.
    if (!(std::abs(static_cast<double>(w[c])) * tokens <= kSafeDecay<T>)) return false;
    if (!(std::abs(static_cast<double>(u[c])) <= kSafeBonus<T>)) return false;
  }
  return true;
}

template <typename T>
Vector<T> MaximumOverTokens(const Rows<T>& k, int64_t tokens) {
  Vector<T> maximum = k.Load(0);
  for (int64_t t = 1; t < tokens; ++t) {
    const Vector<T> row = k.Load(t);
    maximum = row > maximum ? row : maximum;
  }
  return maximum;
}

// 1 - e^{-w}, e^u per lane, in double (once a block).
template <typename T>
Vector<T> DeltaOf(const Vector<T>& w) {
  Vector<T> delta;
  for (int64_t c = 0; c < kLanes; ++c)
    delta[c] = static_cast<T>(-std::expm1(-static_cast<double>(w[c])));
  return delta;
}
template <typename T>
Vector<T> ExpOf(const Vector<T>& x, double sign) {
  Vector<T> result;
  for (int64_t c = 0; c < kLanes; ++c) {
    result[c] = static_cast<T>(std::exp(sign * static_cast<double>(x[c])));
  }
  return result;
}

// ---------------------------------------------------------------- exact, fast range

// lambda^n for n up to a segment, each right to its last bit: repeated multiplication in T would
// drift.
template <typename T>
struct Powers {
  static constexpr int kSegment = 128;

  Vector<T> delta;         // 1 - lambda
  Vector<T> of[kSegment];  // lambda^n
  Vector<double> segment;  // lambda^kSegment

  explicit Powers(const Vector<T>& w) : delta(DeltaOf<T>(w)) {
    const Vector<double> lambda = ExpOf<double>(Convert<double, T>(w), -1);
    segment = Vector<double>{} + 1;
    for (int n = 0; n < kSegment; ++n) {
      of[n] = Convert<T, double>(segment);
      segment *= lambda;
    }
  }
};

// A one-sided sum that keeps full precision over any number of tokens: the sum over the present
// segment in T, and what lies before it as a carry that is folded in double.
template <typename T>
class CarriedSums {
 public:
  using V = Vector<T>;
  using W = Vector<double>;

  explicit CarriedSums(const Powers<T>& powers) : powers_(powers) {}

  Sums<V> Value() const {
    const V& power = powers_.of[tokens_];
    return {local_.num + power * carry_.num, local_.den + power * carry_.den};
  }
  // Adds token (e v, e) and moves one token on.
  void Add(const V& e, const V& v) {
    Advance(local_, e, v, powers_.delta);
    if (++tokens_ == Powers<T>::kSegment) Fold();
  }
  void AddAdjoint(const V& p, const V& q) {
    AdvanceAdjoint(local_, p, q, powers_.delta);
    if (++tokens_ == Powers<T>::kSegment) Fold();
  }

 private:
  void Fold() {
    total_.num = total_.num * powers_.segment + Convert<double, T>(local_.num);
    total_.den = total_.den * powers_.segment + Convert<double, T>(local_.den);
    carry_ = {Convert<T, double>(total_.num), Convert<T, double>(total_.den)};
    local_ = {V{}, V{}};
    tokens_ = 0;
  }

  const Powers<T>& powers_;
  Sums<V> local_{V{}, V{}}, carry_{V{}, V{}};
  Sums<W> total_{W{}, W{}};
  int tokens_ = 0;
};

template <typename T>
void ForwardExact(const WkvForwardArgs<T>& a, const Block<T, WkvForwardArgs<T>>& b) {
  using V = Vector<T>;
  const int64_t n = a.tokens;
  V* e = Scratch<T>(3 * n);
  Sums<V>* future_of = reinterpret_cast<Sums<V>*>(e + n);
  const V maximum = MaximumOverTokens<T>(b.k, n);
  const Powers<T> powers(b.w);
  const V bonus = ExpOf<T>(b.u, 1);

  CarriedSums<T> future(powers);
  for (int64_t t = n - 1; t >= 0; --t) {
    e[t] = Exp(b.k.Load(t) - maximum);
    future_of[t] = future.Value();
    future.Add(e[t], b.v.Load(t));
  }
  CarriedSums<T> past(powers);
  T* y = a.y + b.offset;
  for (int64_t t = 0; t < n; ++t) {
    const V vt = b.v.Load(t);
    const Sums<V> out = Output(past.Value(), future_of[t], e[t], vt, bonus);
    Store<T>(y, a.channels, b.count, t, out.num / out.den);
    past.Add(e[t], vt);
  }
}

// a.num b.num - a.den b.den. The two products nearly cancel: in double.
template <typename T>
Vector<double> Difference(const Sums<Vector<T>>& a, const Sums<Vector<T>>& b) {
  return Convert<double, T>(a.num) * Convert<double, T>(b.num) -
         Convert<double, T>(a.den) * Convert<double, T>(b.den);
}

template <typename T>
void BackwardExact(const WkvBackwardArgs<T>& a, const Block<T, WkvBackwardArgs<T>>& b) {
  using V = Vector<T>;
  using W = Vector<double>;
  const int64_t n = a.tokens;
  V* e = Scratch<T>(7 * n);
  Sums<V>* sums_of = reinterpret_cast<Sums<V>*>(e + n);         // future sums, then past sums
  Sums<V>* adjoint_of = reinterpret_cast<Sums<V>*>(e + 3 * n);  // past adjoint sums
  Sums<V>* pq = reinterpret_cast<Sums<V>*>(e + 5 * n);
  const V maximum = MaximumOverTokens<T>(b.k, n);
  const Powers<T> powers(b.w);
  const V bonus = ExpOf<T>(b.u, 1);
  const Rows<T> g{a.g + b.offset, a.channels, b.count};

  CarriedSums<T> future(powers);
  for (int64_t t = n - 1; t >= 0; --t) {
    e[t] = Exp(b.k.Load(t) - maximum);
    sums_of[t] = future.Value();
    future.Add(e[t], b.v.Load(t));
  }
  W gw{}, gu{};
  CarriedSums<T> past(powers), past_adjoint(powers);
  for (int64_t t = 0; t < n; ++t) {
    const V vt = b.v.Load(t);
    const Sums<V> before = past.Value(), after = sums_of[t];
    const Sums<V> out = Output(before, after, e[t], vt, bonus);
    const V p = g.Load(t) / out.den;
    const V q = p * (out.num / out.den);
    const Sums<V> adjoint = past_adjoint.Value();
    pq[t] = {p, q};
    adjoint_of[t] = adjoint;
    gw += Difference<T>(adjoint, after);
    sums_of[t] = before;
    past.Add(e[t], vt);
    past_adjoint.AddAdjoint(p, q);
  }
  CarriedSums<T> future_adjoint(powers);
  T* gk = a.gk + b.offset;
  T* gv = a.gv + b.offset;
  for (int64_t t = n - 1; t >= 0; --t) {
    const Sums<V> adjoint = future_adjoint.Value();
    const auto grad =
        Gradient(adjoint_of[t], adjoint, e[t], b.v.Load(t), bonus, pq[t].num, pq[t].den);
    Store<T>(gk, a.channels, b.count, t, grad.k);
    Store<T>(gv, a.channels, b.count, t, grad.v);
    gu += Convert<double, T>(grad.u);
    gw += Difference<T>(adjoint, sums_of[t]);
    future_adjoint.AddAdjoint(pq[t].num, pq[t].den);
  }
  const int64_t row = b.batch_index * a.channels + b.first_channel;
  for (int64_t c = 0; c < b.count; ++c) {
    a.gw[row + c] = -std::exp(-static_cast<double>(b.w[c])) * gw[c];
    a.gu[row + c] = gu[c];
  }
}

// ---------------------------------------------------------------- exact, any range

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

template <typename T, typename Args, typename Visit>
void ScaledOutputs(const Args& a, int64_t offset, double w, double u, std::vector<Scaled>& future,
                   Visit visit) {
  const int64_t n = a.tokens;
  Scaled sums;
  for (int64_t t = n - 1; t >= 0; --t) {
    future[t] = sums;
    sums.Decay(w);
    sums.Add(a.v[offset + t * a.channels], 1, a.k[offset + t * a.channels]);
  }
  Scaled past;
  for (int64_t t = 0; t < n; ++t) {
    const double k = a.k[offset + t * a.channels];
    const double v = a.v[offset + t * a.channels];
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

template <typename T>
void ForwardScaled(const WkvForwardArgs<T>& a, const Block<T, WkvForwardArgs<T>>& b) {
  std::vector<Scaled> future(a.tokens);
  for (int64_t c = 0; c < b.count; ++c) {
    const int64_t offset = b.offset + c;
    ScaledOutputs<T>(a, offset, b.w[c], b.u[c], future,
                     [&](int64_t t, const Scaled&, const Scaled&, double num, double den, double) {
                       a.y[offset + t * a.channels] = static_cast<T>(num / den);
                     });
  }
}

template <typename T>
void BackwardScaled(const WkvBackwardArgs<T>& a, const Block<T, WkvBackwardArgs<T>>& b) {
  const int64_t n = a.tokens;
  std::vector<Scaled> future(n), past(n), adjoint(n);
  std::vector<double> p(n), q(n), shift(n);
  for (int64_t c = 0; c < b.count; ++c) {
    const int64_t offset = b.offset + c;
    const double w = b.w[c], u = b.u[c];
    // p_t = g_t / D_t is kept as p * e^{-shift}: adjoint sums are scaled like the forward ones.
    ScaledOutputs<T>(
        a, offset, w, u, future,
        [&](int64_t t, const Scaled& s, const Scaled&, double num, double den, double m) {
          past[t] = s;
          p[t] = a.g[offset + t * a.channels] / den;
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
      const double k = a.k[offset + t * a.channels];
      const double v = a.v[offset + t * a.channels];
      gw += product(after, past[t]);
      const double self = std::exp(u + k - shift[t]);
      double g = self * p[t], h = self * q[t];
      gu += v * g - h;
      Accumulate(adjoint[t], -k, g, h);
      Accumulate(after, -k, g, h);
      a.gk[offset + t * a.channels] = static_cast<T>(v * g - h);
      a.gv[offset + t * a.channels] = static_cast<T>(g);
      after.Decay(w);
      after.Add(p[t], q[t], -shift[t]);
    }
    const int64_t row = b.batch_index * a.channels + b.first_channel + c;
    a.gw[row] = -std::exp(-w) * gw;
    a.gu[row] = gu;
  }
}

// ---------------------------------------------------------------- official arithmetic

constexpr double kOfficialEpsilon = 1e-6;

// Everything of form O that does not depend on the token (rwkv_unet.md 1.2, 1.6).
struct OfficialConstants {
  Vector<double> lambda, growth, bonus;  // e^{-w}, e^{w}, e^{u}
  int64_t length;                        // tokens a chunk

  OfficialConstants(const Vector<double>& w, const Vector<double>& u, int64_t tokens, int64_t split)
      : lambda(ExpOf<double>(w, -1)),
        growth(ExpOf<double>(w, 1)),
        bonus(ExpOf<double>(u, 1)),
        length((tokens + split - 1) / split) {}
};

// Runs form O over one block, in double, and calls visit(t, e, v, out) with the token's numerator,
// denominator and normaliser. `WithDerivative` carries d/dw of every sum along.
template <bool WithDerivative, typename T, typename Args, typename B, typename Visit>
void OfficialOutputs(const Args& a, const B& b, const OfficialConstants& oc,
                     const Vector<double>& maximum, Visit visit) {
  using W = Vector<double>;
  struct Row {
    W e, num, den, largest;  // future sums and largest future term
    W dnum, dden;
  };
  const int64_t n = a.tokens;
  static_assert(sizeof(Row) == 6 * sizeof(W));
  Row* rows = reinterpret_cast<Row*>(Scratch<double>(6 * n));
  const W zero{};
  {
    W num = zero, den = zero, dnum = zero, dden = zero, largest = zero;
    for (int64_t t = n - 1; t >= 0; --t) {
      const W e = Exp(Convert<double, T>(b.k.Load(t)) - maximum);
      const W v = Convert<double, T>(b.v.Load(t));
      const W own = oc.lambda * largest;
      largest = e > own ? e : own;
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
    const W v = Convert<double, T>(b.v.Load(t));
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
      o1 = oc.growth * (o1 > e ? o1 : e);
    }
    const W self = oc.bonus * e;
    const W m12 = o1 > o2 ? o1 : o2;
    const W m = m12 > self ? m12 : self;
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
    o2 = e > own ? e : own;
    plargest = oc.lambda * (plargest > e ? plargest : e);
  }
}

template <typename T>
void ForwardOfficial(const WkvForwardArgs<T>& a, const Block<T, WkvForwardArgs<T>>& b) {
  using W = Vector<double>;
  const OfficialConstants oc(Convert<double, T>(b.w), Convert<double, T>(b.u), a.tokens, a.split);
  const W maximum = Convert<double, T>(MaximumOverTokens<T>(b.k, a.tokens));
  T* y = a.y + b.offset;
  OfficialOutputs<false, T>(
      a, b, oc, maximum,
      [&](int64_t t, const W&, const W&, const W& num, const W& den, const W&, const W&) {
        Store<T>(y, a.channels, b.count, t, Convert<T, double>(num / den));
      });
}

template <typename T>
void BackwardOfficial(const WkvBackwardArgs<T>& a, const Block<T, WkvBackwardArgs<T>>& b) {
  using W = Vector<double>;
  struct Token {
    W e, v, p, q, past_g, past_h;
  };
  const int64_t n = a.tokens;
  const OfficialConstants oc(Convert<double, T>(b.w), Convert<double, T>(b.u), n, a.split);
  const W maximum = Convert<double, T>(MaximumOverTokens<T>(b.k, n));
  const Rows<T> g{a.g + b.offset, a.channels, b.count};
  std::vector<char> storage(n * sizeof(Token) + 128);
  void* start = storage.data();
  size_t space = storage.size();
  auto* tokens = static_cast<Token*>(std::align(128, n * sizeof(Token), start, space));
  W gw{}, gu{};
  W past_g{}, past_h{};
  OfficialOutputs<true, T>(a, b, oc, maximum,
                           [&](int64_t t, const W& e, const W& v, const W& num, const W& den,
                               const W& dnum, const W& dden) {
                             const W y = num / den;
                             const W p = Convert<double, T>(g.Load(t)) / den;
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
  T* gk = a.gk + b.offset;
  T* gv = a.gv + b.offset;
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
    Store<T>(gk, a.channels, b.count, t, Convert<T, double>(token.e * (token.v * sum_g - sum_h)));
    Store<T>(gv, a.channels, b.count, t, Convert<T, double>(token.e * sum_g));
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

// ---------------------------------------------------------------- entry

template <typename T>
void Forward(const WkvForwardArgs<T>& a, int64_t task) {
  const Block<T, WkvForwardArgs<T>> block(a, task);
  if (a.split != 0) {
    ForwardOfficial(a, block);
  } else if (InFastRange<T>(block.w, block.u, a.tokens, block.count)) {
    ForwardExact(a, block);
  } else {
    ForwardScaled(a, block);
  }
}

template <typename T>
void Backward(const WkvBackwardArgs<T>& a, int64_t task) {
  const Block<T, WkvBackwardArgs<T>> block(a, task);
  if (a.split != 0) {
    BackwardOfficial(a, block);
  } else if (InFastRange<T>(block.w, block.u, a.tokens, block.count)) {
    BackwardExact(a, block);
  } else {
    BackwardScaled(a, block);
  }
}

}  // namespace

extern const WkvCpuKernels kWkvKernels;
const WkvCpuKernels kWkvKernels{AVOCET_ISA_NAME, &Forward<float>, &Forward<double>,
                                &Backward<float>, &Backward<double>};

}  // namespace avocet::kernels::AVOCET_ISA
