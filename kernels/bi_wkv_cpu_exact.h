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
    const Vector<double> step = Exp(-Convert<double>(w));
    segment = Broadcast<Vector<double>>(1.0);
    for (int64_t n = 0; n < kWkvSegment; ++n) {
      power[n] = Convert<T>(segment);
      segment *= step;
    }
    power[kWkvSegment] = Convert<T>(segment);
    lambda = power[1];
    bonus = Convert<T>(Exp(Convert<double>(u)));
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
  sums.num = MulAdd(lambda, sums.num, ev);
  sums.den = MulAdd(lambda, sums.den, e);
}
template <typename V>
AVOCET_HOST_DEVICE Sums<V> WithCarry(const Sums<V>& local, const V& power, const Sums<V>& carry) {
  return {MulAdd(power, carry.num, local.num), MulAdd(power, carry.den, local.den)};
}

// Asks for rows that are needed soon, a cache line at a time and in the order of memory, for the
// processor's own prefetcher to fall in with. (A block by itself is one line of each row, a pattern
// that it does not see.)
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

// The tile's part of a tensor.
template <typename S, typename Args>
PrefetchPiece PieceOf(const Args& a, WkvTile tile, const S* tensor, bool written) {
  const Block<S, Args> first(a, tile.first_block), last(a, tile.last_block - 1);
  const int64_t channels = last.first_channel + last.count - first.first_channel;
  const auto size = static_cast<int64_t>(sizeof(S));
  return {tensor + first.offset, a.channels * size, channels * size, written};
}
enum class Order { kForward, kBackward };

// Runs work(block, constants, segment) over a tile, segment by segment, each after start(the
// segment that follows). A pass that follows another goes the other way,
// to find what that one touched last in the cache.
template <typename S, typename Args, typename Start, typename Work>
void ForTile(const Args& a, WkvTile tile, Order order, Start start, Work work) {
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
    start(i + 1 < segments ? SpanOf(segment(i + 1), a.tokens) : Span{0, 0});
    for (int64_t n = 0; n < count; ++n) {
      if (!fast[n]) continue;
      const Block<S, Args, true> b(a, tile.first_block + n);
      if (b.count == kLanes) {
        work(b, constants[n], segment(i));
      } else {
        work(Block<S, Args>(a, tile.first_block + n), constants[n], segment(i));
      }
    }
  }
}

// ---------------------------------------------------------------- forward

// The segment's k, and their maximum: four at a time, so that one comparison does not wait for the
// other. Kept beside each other: rows that are a multiple of some KiB apart share few places in the
// first cache, and what is read again from there would be gone.
template <typename S, bool full>
AVOCET_HOST_DEVICE auto Gather(const Rows<S, full>& k, Span span,
                               Vector<typename WkvState<S>::Type>* kept) {
  using V = Vector<typename WkvState<S>::Type>;
  const auto next = [&](int64_t n) { return kept[n] = k.Load(span.begin + n); };
  V maxima[4];
  const V first = k.Load(span.begin);
  for (V& maximum : maxima) maximum = first;
  int64_t n = 0;
  for (; n + 4 <= span.length; n += 4) {
    for (int64_t i = 0; i < 4; ++i) maxima[i] = Max(maxima[i], next(n + i));
  }
  for (; n < span.length; ++n) maxima[0] = Max(maxima[0], next(n));
  return Max(Max(maxima[0], maxima[1]), Max(maxima[2], maxima[3]));
}

template <typename S, typename Args>
void Totals(const Args& a, WkvTile tile) {
  using T = typename WkvState<S>::Type;
  using V = Vector<T>;
  const auto workspace = WorkspaceOf(a);
  Prefetcher<2> prefetcher(PieceOf<S>(a, tile, a.k, false), PieceOf<S>(a, tile, a.v, false));
  V kept[kWkvSegment];
  const auto work = [&](const auto& b, const Constants<T>& constants, int64_t s) {
    const Span span = SpanOf(s, a.tokens);
    const V maximum = Gather(b.k, span, kept), lambda = constants.lambda;
    Sums<V> past{V{}, V{}}, future{V{}, V{}};
    for (int64_t n = 0; n < span.length; ++n) {
      prefetcher.Next();
      const V e = ExpBelow(kept[n], maximum);
      const V v = b.v.Load(span.begin + n);
      const V pe = constants.power[n] * e;
      Step(past, e * v, e, lambda);
      future.num = MulAdd(pe, v, future.num);
      future.den = pe + future.den;
    }
    workspace.Segments(b.index)[s] = {maximum, past, future};
  };
  const auto start = [&](Span next) { prefetcher.Start(next); };
  ForTile<S>(a, tile, Order::kForward, start, work);
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
  const W step = Exp(Convert<double>(b.w) * -static_cast<double>(kWkvSegment));
  Vector<T> maximum = segments[0].maximum;
  for (int64_t s = 1; s < count; ++s) {
    maximum = Max(segments[s].maximum, maximum);
  }
  const auto advance = [&](Sums<W>& carry, Sums<Vector<T>>& own, const Vector<T>& scale) {
    const Sums<W> wide{Convert<double>(own.num * scale), Convert<double>(own.den * scale)};
    own = {Convert<T>(carry.num), Convert<T>(carry.den)};
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

// For each token of the segment: e, e v and the sums over later tokens.
template <typename S>
struct FutureOfSegment {
  using T = typename WkvState<S>::Type;
  using V = Vector<T>;
  V e[kWkvSegment], ev[kWkvSegment];
  Sums<V> sums[kWkvSegment];

  template <bool full>
  AVOCET_HOST_DEVICE void Fill(const Rows<S, full>& k, const Rows<S, full>& v, Span span,
                               const Segment<T>& segment, const Constants<T>& constants) {
    Sums<V> local{V{}, V{}};
    const V maximum = segment.maximum, lambda = constants.lambda;
    const Sums<V> carry = segment.future;
    for (int64_t n = span.length - 1; n >= 0; --n) {
      const V en = ExpBelow(k.Load(span.begin + n), maximum);
      const V evn = en * v.Load(span.begin + n);
      e[n] = en;
      ev[n] = evn;
      sums[n] = WithCarry(local, constants.power[span.length - 1 - n], carry);
      Step(local, evn, en, lambda);
    }
  }
};

template <typename S>
void Outputs(const WkvForwardArgs<S>& a, WkvTile tile) {
  using T = typename WkvState<S>::Type;
  using V = Vector<T>;
  const auto workspace = WorkspaceOf(a);
  Prefetcher<2> inputs(PieceOf<S>(a, tile, a.k, false), PieceOf<S>(a, tile, a.v, false));
  Prefetcher<1> outputs(PieceOf<S>(a, tile, a.y, true));
  const auto start = [&](Span next) {
    if (!tile.kept) inputs.Start(next);
    outputs.Start(next);
  };
  FutureOfSegment<S> future;
  ForTile<S>(a, tile, Order::kBackward, start,
             [&](const auto& b, const Constants<T>& constants, int64_t s) {
               const Segment<T>* segments = workspace.Segments(b.index);
               const Span span = SpanOf(s, a.tokens);
               future.Fill(b.k, b.v, span, segments[s], constants);
               Sums<V> local{V{}, V{}};
               const V lambda = constants.lambda, bonus = constants.bonus;
               const Sums<V> carry = segments[s].past;
               for (int64_t n = 0; n < span.length; ++n) {
                 inputs.Next();
                 outputs.Next();
                 const V e = future.e[n], ev = future.ev[n];
                 const Sums<V> past = WithCarry(local, constants.power[n], carry);
                 const V num = MulAdd(bonus, ev, past.num + future.sums[n].num);
                 const V den = MulAdd(bonus, e, past.den + future.sums[n].den);
                 b.Store(a.y, span.begin + n, num * Reciprocal(den));
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
  Prefetcher<2> inputs(PieceOf<S>(a, tile, a.k, false), PieceOf<S>(a, tile, a.v, false));
  Prefetcher<1> gradients(PieceOf<S>(a, tile, a.g, false));
  const auto start = [&](Span next) {
    if (!tile.kept) inputs.Start(next);
    gradients.Start(next);
  };
  FutureOfSegment<S> future;
  ForTile<S>(a, tile, Order::kBackward, start,
             [&](const auto& b, const Constants<T>& constants, int64_t s) {
               const Segment<T>* segments = workspace.Segments(b.index);
               AdjointSegment<T>* adjoints = workspace.Adjoints(b.index);
               Sums<V>* tokens = workspace.Tokens(b.index);
               const auto g = b.RowsOf(a.g);
               const Span span = SpanOf(s, a.tokens);
               future.Fill(b.k, b.v, span, segments[s], constants);
               Sums<V> local{V{}, V{}}, past_adjoint{V{}, V{}}, future_adjoint{V{}, V{}};
               const V lambda = constants.lambda, bonus = constants.bonus;
               const Sums<V> carry = segments[s].past;
               for (int64_t n = 0; n < span.length; ++n) {
                 inputs.Next();
                 gradients.Next();
                 const V e = future.e[n], ev = future.ev[n];
                 const Sums<V> past = WithCarry(local, constants.power[n], carry);
                 const V num = MulAdd(bonus, ev, past.num + future.sums[n].num);
                 const V den = MulAdd(bonus, e, past.den + future.sums[n].den);
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
  const W step = Exp(Convert<double>(b.w) * -static_cast<double>(kWkvSegment));
  const auto advance = [&](Sums<W>& carry, Sums<Vector<T>>& own) {
    const Sums<W> wide{Convert<double>(own.num), Convert<double>(own.den)};
    own = {Convert<T>(carry.num), Convert<T>(carry.den)};
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
  Prefetcher<2> inputs(PieceOf<S>(a, tile, a.k, false), PieceOf<S>(a, tile, a.v, false));
  Prefetcher<2> outputs(PieceOf<S>(a, tile, a.gk, true), PieceOf<S>(a, tile, a.gv, true));
  const auto start = [&](Span next) {
    if (!tile.kept) inputs.Start(next);
    outputs.Start(next);
  };
  FutureOfSegment<S> future;
  Sums<V> adjoint_of[kWkvSegment];
  ForTile<S>(a, tile, Order::kForward, start,
             [&](const auto& b, const Constants<T>& constants, int64_t s) {
               const Segment<T>* segments = workspace.Segments(b.index);
               AdjointSegment<T>* adjoints = workspace.Adjoints(b.index);
               const Sums<V>* tokens = workspace.Tokens(b.index);
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
                 inputs.Next();
                 outputs.Next();
                 const V e = future.e[n], ev = future.ev[n];
                 const Sums<V> pq = tokens[span.begin + n];
                 const Sums<V> past = WithCarry(past_local, constants.power[n], past_carry);
                 const Sums<V> adjoint =
                     WithCarry(adjoint_local, constants.power[n], adjoint_carry);
                 const V g = MulAdd(bonus, pq.num, adjoint.num + adjoint_of[n].num);
                 const V h = MulAdd(bonus, pq.den, adjoint.den + adjoint_of[n].den);
                 b.Store(a.gk, span.begin + n, MulAdd(ev, g, -(e * h)));
                 b.Store(a.gv, span.begin + n, e * g);
                 gu += MulAdd(ev, pq.num, -(e * pq.den));
                 gw += Difference(adjoint, future.sums[n]) + Difference(adjoint_of[n], past);
                 Step(past_local, ev, e, lambda);
                 Step(adjoint_local, pq.num, pq.den, lambda);
               }
               adjoints[s].w = Convert<double>(gw);
               adjoints[s].u = Convert<double>(gu * bonus);
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
  const Vector<double> lambda = Exp(-Convert<double>(b.w));
  const int64_t row = b.batch_index * a.channels + b.first_channel;
  for (int64_t c = 0; c < b.count; ++c) {
    a.gw[row + c] = -lambda[c] * w[c];
    a.gu[row + c] = u[c];
  }
}

}  // namespace avocet::kernels::AVOCET_ISA
