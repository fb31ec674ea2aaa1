// SPDX-License-Identifier: Apache-2.0
// The definition of Bi-WKV, for decays whose sums stay in range. Included through the
// per-instruction-set kernels only (see bi_wkv_math.h on AVOCET_ISA).
#pragma once

#include "kernels/bi_wkv_cpu_rows.h"

namespace avocet::kernels::AVOCET_ISA {

// Exponents are taken relative to the largest k of the channel. The denominator is then at least
// e^{-|decay|}, so sums stay inside the type's range while the total decay over the row and the
// bonus do; other blocks take the path with running maxima (bi_wkv_cpu_scaled.h).
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

// What a block shares between its tiles.
template <typename T>
struct Constants {
  Vector<T> lambda;                  // e^{-w}
  Vector<T> bonus;                   // e^{u}
  Vector<T> power[kWkvSegment + 1];  // lambda^n, each right to its last bit
  Vector<double> segment;            // lambda^kWkvSegment

  Constants() = default;
  void Set(const Vector<T>& w, const Vector<T>& u) {
    const Vector<double> step = Exp(-Convert<double, T>(w));
    segment = Vector<double>{} + 1;
    for (int64_t n = 0; n < kWkvSegment; ++n) {
      power[n] = Convert<T, double>(segment);
      segment *= step;
    }
    power[kWkvSegment] = Convert<T, double>(segment);
    lambda = power[1];
    bonus = Convert<T, double>(Exp(Convert<double, T>(u)));
  }
};

// A segment's own sums on the way in; on the way out of Combine what enters it from both sides.
template <typename T>
struct Segment {
  Vector<T> maximum;  // of k: over the segment, then over the row
  Sums<Vector<T>> past, future;
};
// The same of (p, q) = (g / D, y g / D), and the segment's share of the parameter gradients.
template <typename T>
struct AdjointSegment {
  Sums<Vector<T>> past, future;
  Vector<double> w, u;
};

// Workspace of a call, for each block: Segment[segments], and for the backward pass
// AdjointSegment[segments] and (p, q)[tokens].
template <typename T>
struct Workspace {
  int64_t tokens, first_block;
  char* base;
  bool backward;

  int64_t BytesOfBlock() const {
    const int64_t segments = WkvSegments(tokens);
    int64_t bytes = segments * sizeof(Segment<T>);
    if (backward) {
      bytes += segments * sizeof(AdjointSegment<T>) + tokens * sizeof(Sums<Vector<T>>);
    }
    return bytes;
  }
  Segment<T>* Segments(int64_t block) const {
    return reinterpret_cast<Segment<T>*>(base + (block - first_block) * BytesOfBlock());
  }
  AdjointSegment<T>* Adjoints(int64_t block) const {
    return reinterpret_cast<AdjointSegment<T>*>(Segments(block) + WkvSegments(tokens));
  }
  Sums<Vector<T>>* Tokens(int64_t block) const {
    return reinterpret_cast<Sums<Vector<T>>*>(Adjoints(block) + WkvSegments(tokens));
  }
};
template <typename S>
auto WorkspaceOf(const WkvForwardArgs<S>& a) {
  return Workspace<typename WkvState<S>::Type>{a.tokens, a.workspace_block,
                                               static_cast<char*>(a.workspace), false};
}
template <typename S>
auto WorkspaceOf(const WkvBackwardArgs<S>& a) {
  return Workspace<typename WkvState<S>::Type>{a.tokens, a.workspace_block,
                                               static_cast<char*>(a.workspace), true};
}

struct Span {
  int64_t begin, length;
};
inline Span SpanOf(int64_t segment, int64_t tokens) {
  const int64_t begin = segment * kWkvSegment;
  return {begin, std::min(kWkvSegment, tokens - begin)};
}

// Adds token (e v, e) and moves one token on.
template <typename V>
AVOCET_HOST_DEVICE void Step(Sums<V>& sums, const V& ev, const V& e, const V& lambda) {
  sums.num = lambda * sums.num + ev;
  sums.den = lambda * sums.den + e;
}
template <typename V>
AVOCET_HOST_DEVICE Sums<V> WithCarry(const Sums<V>& local, const V& power, const Sums<V>& carry) {
  return {power * carry.num + local.num, power * carry.den + local.den};
}

// Asks for the rows of the next segment while this one is worked on, a cache line at a time and in
// the order of memory, for the processor's own prefetcher to fall in with. (A block by itself is
// one line of each row, a pattern that it does not see.)
struct PrefetchPiece {
  const void* base;  // of the tile's first channel, token 0
  int64_t stride;    // bytes from row to row
  int64_t bytes;     // of a row
  bool written;
};
template <size_t count>
class Prefetcher {
 public:
  template <typename... Pieces>
  explicit Prefetcher(const Pieces&... pieces) : pieces_{pieces...} {}

  void Start(Span rows) {
    row_ = rows.begin * pieces_[0].stride;
    end_ = (rows.begin + rows.length) * pieces_[0].stride;
    column_ = 0;
  }
  // One line of each piece.
  AVOCET_HOST_DEVICE void Next() {
    if (row_ >= end_) return;
    for (const PrefetchPiece& piece : pieces_) {
      const char* line = static_cast<const char*>(piece.base) + row_ + column_;
      if (piece.written) {
        __builtin_prefetch(line, 1, 2);
      } else {
        __builtin_prefetch(line, 0, 2);
      }
    }
    column_ += 64;
    if (column_ >= pieces_[0].bytes) {
      column_ = 0;
      row_ += pieces_[0].stride;
    }
  }

 private:
  PrefetchPiece pieces_[count];
  int64_t row_ = 0, end_ = 0, column_ = 0;
};

enum class Order { kForward, kBackward };

// Runs work(block, constants, segment) over a tile, segment by segment. A pass that follows another
// goes the other way, to find what that one touched last in the cache.
template <typename S, typename Args, size_t pieces, typename Work>
void ForTile(const Args& a, WkvTile tile, Order order, Prefetcher<pieces>& prefetcher, Work work) {
  using T = typename WkvState<S>::Type;
  const int64_t count = tile.last_block - tile.first_block;
  const Scratch<Constants<T>> constants(count);
  const Scratch<bool> fast(count);
  for (int64_t n = 0; n < count; ++n) {
    const Block<S, Args> b(a, tile.first_block + n);
    fast[n] = InFastRange<T>(b.w, b.u, a.tokens, b.count);
    if (fast[n]) constants[n].Set(b.w, b.u);
  }
  const int64_t segments = tile.last_segment - tile.first_segment;
  const auto segment = [&](int64_t i) {
    return order == Order::kForward ? tile.first_segment + i : tile.last_segment - 1 - i;
  };
  for (int64_t i = 0; i < segments; ++i) {
    prefetcher.Start(i + 1 < segments ? SpanOf(segment(i + 1), a.tokens) : Span{0, 0});
    for (int64_t n = 0; n < count; ++n) {
      if (fast[n]) work(Block<S, Args>(a, tile.first_block + n), constants[n], segment(i));
    }
  }
}

// The tile's part of a tensor.
template <typename S, typename Args>
PrefetchPiece PieceOf(const Args& a, WkvTile tile, const S* tensor, bool written) {
  const Block<S, Args> first(a, tile.first_block), last(a, tile.last_block - 1);
  const int64_t channels = last.first_channel + last.count - first.first_channel;
  const auto size = static_cast<int64_t>(sizeof(S));
  return {tensor + first.offset, a.channels * size, channels * size, written};
}

// ---------------------------------------------------------------- forward

// Four maxima at a time, so that one comparison does not wait for the other.
template <typename S>
AVOCET_HOST_DEVICE Vector<typename WkvState<S>::Type> MaximumOf(const Rows<S>& k, Span span) {
  using V = Vector<typename WkvState<S>::Type>;
  const auto larger = [](const V& a, const V& b) { return b > a ? b : a; };
  V maxima[4];
  for (V& maximum : maxima) maximum = k.Load(span.begin);
  int64_t n = 0;
  for (; n + 4 <= span.length; n += 4) {
    for (int64_t i = 0; i < 4; ++i) maxima[i] = larger(maxima[i], k.Load(span.begin + n + i));
  }
  for (; n < span.length; ++n) maxima[0] = larger(maxima[0], k.Load(span.begin + n));
  return larger(larger(maxima[0], maxima[1]), larger(maxima[2], maxima[3]));
}

template <typename S, typename Args>
void Totals(const Args& a, WkvTile tile) {
  using T = typename WkvState<S>::Type;
  using V = Vector<T>;
  const auto workspace = WorkspaceOf(a);
  Prefetcher<2> prefetcher(PieceOf<S>(a, tile, a.k, false), PieceOf<S>(a, tile, a.v, false));
  const auto work = [&](const Block<S, Args>& b, const Constants<T>& constants, int64_t s) {
    const Span span = SpanOf(s, a.tokens);
    const V maximum = MaximumOf(b.k, span), lambda = constants.lambda;
    Sums<V> past{V{}, V{}}, future{V{}, V{}};
    for (int64_t n = 0; n < span.length; ++n) {
      prefetcher.Next();
      const V e = ExpBelow(b.k.Load(span.begin + n), maximum);
      const V v = b.v.Load(span.begin + n);
      const V pe = constants.power[n] * e;
      Step(past, e * v, e, lambda);
      future.num = pe * v + future.num;
      future.den = pe + future.den;
    }
    workspace.Segments(b.index)[s] = {maximum, past, future};
  };
  ForTile<S>(a, tile, Order::kForward, prefetcher, work);
}

// Replaces each segment's sums by what enters it from the left (past) and from the right (future),
// relative to the row's maximum.
template <typename S, typename Args>
void Combine(const Args& a, int64_t block) {
  using T = typename WkvState<S>::Type;
  using W = Vector<double>;
  const Block<S, Args> b(a, block);
  if (!InFastRange<T>(b.w, b.u, a.tokens, b.count)) return;
  const int64_t count = WkvSegments(a.tokens);
  Segment<T>* segments = WorkspaceOf(a).Segments(block);
  const W step = Exp(Convert<double, T>(b.w) * -static_cast<double>(kWkvSegment));
  Vector<T> maximum = segments[0].maximum;
  for (int64_t s = 1; s < count; ++s) {
    maximum = segments[s].maximum > maximum ? segments[s].maximum : maximum;
  }
  const auto advance = [&](Sums<W>& carry, Sums<Vector<T>>& own, const Vector<T>& scale) {
    const Sums<W> wide{Convert<double, T>(own.num * scale), Convert<double, T>(own.den * scale)};
    own = {Convert<T, double>(carry.num), Convert<T, double>(carry.den)};
    carry = {carry.num * step + wide.num, carry.den * step + wide.den};
  };
  // The last segment may be short, but nothing lies behind it.
  Sums<W> past{W{}, W{}};
  for (int64_t s = 0; s < count; ++s) {
    advance(past, segments[s].past, ExpBelow(segments[s].maximum, maximum));
  }
  Sums<W> future{W{}, W{}};
  for (int64_t s = count - 1; s >= 0; --s) {
    advance(future, segments[s].future, ExpBelow(segments[s].maximum, maximum));
    segments[s].maximum = maximum;
  }
}

// Sums over later tokens, for each token of the segment; e as well.
template <typename S>
struct FutureOfSegment {
  using T = typename WkvState<S>::Type;
  using V = Vector<T>;
  V e[kWkvSegment];
  Sums<V> sums[kWkvSegment];

  AVOCET_HOST_DEVICE void Fill(const Rows<S>& k, const Rows<S>& v, Span span,
                               const Segment<T>& segment, const Constants<T>& constants) {
    Sums<V> local{V{}, V{}};
    const V maximum = segment.maximum, lambda = constants.lambda;
    const Sums<V> carry = segment.future;
    for (int64_t n = span.length - 1; n >= 0; --n) {
      const V en = ExpBelow(k.Load(span.begin + n), maximum);
      e[n] = en;
      sums[n] = WithCarry(local, constants.power[span.length - 1 - n], carry);
      Step(local, en * v.Load(span.begin + n), en, lambda);
    }
  }
};

template <typename S>
void Outputs(const WkvForwardArgs<S>& a, WkvTile tile) {
  using T = typename WkvState<S>::Type;
  using V = Vector<T>;
  const auto workspace = WorkspaceOf(a);
  Prefetcher<3> prefetcher(PieceOf<S>(a, tile, a.k, false), PieceOf<S>(a, tile, a.v, false),
                           PieceOf<S>(a, tile, a.y, true));
  FutureOfSegment<S> future;
  ForTile<S>(a, tile, Order::kBackward, prefetcher,
             [&](const Block<S, WkvForwardArgs<S>>& b, const Constants<T>& constants, int64_t s) {
               const Segment<T>* segments = workspace.Segments(b.index);
               S* y = a.y + b.offset;
               const Span span = SpanOf(s, a.tokens);
               future.Fill(b.k, b.v, span, segments[s], constants);
               Sums<V> local{V{}, V{}};
               const V lambda = constants.lambda, bonus = constants.bonus;
               const Sums<V> carry = segments[s].past;
               for (int64_t n = 0; n < span.length; ++n) {
                 prefetcher.Next();
                 const V e = future.e[n], ev = e * b.v.Load(span.begin + n);
                 const Sums<V> past = WithCarry(local, constants.power[n], carry);
                 const V num = bonus * ev + (past.num + future.sums[n].num);
                 const V den = bonus * e + (past.den + future.sums[n].den);
                 Store<S>(y, a.channels, b.count, span.begin + n, num * Reciprocal(den));
                 Step(local, ev, e, lambda);
               }
             });
}

// ---------------------------------------------------------------- backward

// p and q of each token, and the segment's adjoint sums.
template <typename S>
void Adjoints(const WkvBackwardArgs<S>& a, WkvTile tile) {
  using T = typename WkvState<S>::Type;
  using V = Vector<T>;
  const auto workspace = WorkspaceOf(a);
  Prefetcher<3> prefetcher(PieceOf<S>(a, tile, a.k, false), PieceOf<S>(a, tile, a.v, false),
                           PieceOf<S>(a, tile, a.g, false));
  FutureOfSegment<S> future;
  ForTile<S>(a, tile, Order::kBackward, prefetcher,
             [&](const Block<S, WkvBackwardArgs<S>>& b, const Constants<T>& constants, int64_t s) {
               const Segment<T>* segments = workspace.Segments(b.index);
               AdjointSegment<T>* adjoints = workspace.Adjoints(b.index);
               Sums<V>* tokens = workspace.Tokens(b.index);
               const Rows<S> g{a.g + b.offset, a.channels, b.count};
               const Span span = SpanOf(s, a.tokens);
               future.Fill(b.k, b.v, span, segments[s], constants);
               Sums<V> local{V{}, V{}}, past_adjoint{V{}, V{}}, future_adjoint{V{}, V{}};
               const V lambda = constants.lambda, bonus = constants.bonus;
               const Sums<V> carry = segments[s].past;
               for (int64_t n = 0; n < span.length; ++n) {
                 prefetcher.Next();
                 const V e = future.e[n], ev = e * b.v.Load(span.begin + n);
                 const Sums<V> past = WithCarry(local, constants.power[n], carry);
                 const V num = bonus * ev + (past.num + future.sums[n].num);
                 const V den = bonus * e + (past.den + future.sums[n].den);
                 const V inverse = Reciprocal(den);
                 const V p = g.Load(span.begin + n) * inverse;
                 const V q = p * (num * inverse);
                 tokens[span.begin + n] = {p, q};
                 Step(past_adjoint, p, q, lambda);
                 future_adjoint.num = constants.power[n] * p + future_adjoint.num;
                 future_adjoint.den = constants.power[n] * q + future_adjoint.den;
                 Step(local, ev, e, lambda);
               }
               adjoints[s].past = past_adjoint;
               adjoints[s].future = future_adjoint;
             });
}

template <typename S>
void CombineAdjoints(const WkvBackwardArgs<S>& a, int64_t block) {
  using T = typename WkvState<S>::Type;
  using W = Vector<double>;
  const Block<S, WkvBackwardArgs<S>> b(a, block);
  if (!InFastRange<T>(b.w, b.u, a.tokens, b.count)) return;
  const int64_t count = WkvSegments(a.tokens);
  AdjointSegment<T>* segments = WorkspaceOf(a).Adjoints(block);
  const W step = Exp(Convert<double, T>(b.w) * -static_cast<double>(kWkvSegment));
  const auto advance = [&](Sums<W>& carry, Sums<Vector<T>>& own) {
    const Sums<W> wide{Convert<double, T>(own.num), Convert<double, T>(own.den)};
    own = {Convert<T, double>(carry.num), Convert<T, double>(carry.den)};
    carry = {carry.num * step + wide.num, carry.den * step + wide.den};
  };
  Sums<W> carry{W{}, W{}};
  for (int64_t s = 0; s < count; ++s) advance(carry, segments[s].past);
  carry = {W{}, W{}};
  for (int64_t s = count - 1; s >= 0; --s) advance(carry, segments[s].future);
}

template <typename S>
void Gradients(const WkvBackwardArgs<S>& a, WkvTile tile) {
  using T = typename WkvState<S>::Type;
  using V = Vector<T>;
  const auto workspace = WorkspaceOf(a);
  Prefetcher<4> prefetcher(PieceOf<S>(a, tile, a.k, false), PieceOf<S>(a, tile, a.v, false),
                           PieceOf<S>(a, tile, a.gk, true), PieceOf<S>(a, tile, a.gv, true));
  FutureOfSegment<S> future;
  Sums<V> adjoint_of[kWkvSegment];
  ForTile<S>(a, tile, Order::kForward, prefetcher,
             [&](const Block<S, WkvBackwardArgs<S>>& b, const Constants<T>& constants, int64_t s) {
               const Segment<T>* segments = workspace.Segments(b.index);
               AdjointSegment<T>* adjoints = workspace.Adjoints(b.index);
               const Sums<V>* tokens = workspace.Tokens(b.index);
               S* gk = a.gk + b.offset;
               S* gv = a.gv + b.offset;
               const Span span = SpanOf(s, a.tokens);
               future.Fill(b.k, b.v, span, segments[s], constants);
               const V lambda = constants.lambda, bonus = constants.bonus;
               Sums<V> local{V{}, V{}};
               Sums<V> carry = adjoints[s].future;
               for (int64_t n = span.length - 1; n >= 0; --n) {
                 adjoint_of[n] = WithCarry(local, constants.power[span.length - 1 - n], carry);
                 Step(local, tokens[span.begin + n].num, tokens[span.begin + n].den, lambda);
               }
               Sums<V> past_local{V{}, V{}}, adjoint_local{V{}, V{}};
               const Sums<V> past_carry = segments[s].past, adjoint_carry = adjoints[s].past;
               V gu{}, gw{};
               for (int64_t n = 0; n < span.length; ++n) {
                 prefetcher.Next();
                 const V e = future.e[n], v = b.v.Load(span.begin + n);
                 const Sums<V> pq = tokens[span.begin + n];
                 const Sums<V> past = WithCarry(past_local, constants.power[n], past_carry);
                 const Sums<V> adjoint =
                     WithCarry(adjoint_local, constants.power[n], adjoint_carry);
                 const auto grad = Gradient(adjoint, adjoint_of[n], e, v, bonus, pq.num, pq.den);
                 Store<S>(gk, a.channels, b.count, span.begin + n, grad.k);
                 Store<S>(gv, a.channels, b.count, span.begin + n, grad.v);
                 gu += grad.u;
                 gw += Difference(adjoint, future.sums[n]) + Difference(adjoint_of[n], past);
                 Step(past_local, e * v, e, lambda);
                 Step(adjoint_local, pq.num, pq.den, lambda);
               }
               adjoints[s].w = Convert<double, T>(gw);
               adjoints[s].u = Convert<double, T>(gu);
             });
}

template <typename S>
void FinishExact(const WkvBackwardArgs<S>& a, const Block<S, WkvBackwardArgs<S>>& b,
                 int64_t block) {
  using T = typename WkvState<S>::Type;
  const AdjointSegment<T>* adjoints = WorkspaceOf(a).Adjoints(block);
  Vector<double> w{}, u{};
  for (int64_t s = 0; s < WkvSegments(a.tokens); ++s) {
    w += adjoints[s].w;
    u += adjoints[s].u;
  }
  const Vector<double> lambda = Exp(-Convert<double, T>(b.w));
  const int64_t row = b.batch_index * a.channels + b.first_channel;
  for (int64_t c = 0; c < b.count; ++c) {
    a.gw[row + c] = -lambda[c] * w[c];
    a.gu[row + c] = u[c];
  }
}

}  // namespace avocet::kernels::AVOCET_ISA
