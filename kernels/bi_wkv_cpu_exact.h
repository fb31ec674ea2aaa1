// SPDX-License-Identifier: Apache-2.0
// The definition of Bi-WKV, for decays whose sums stay in range. Included through the
// per-instruction-set kernels only (see bi_wkv_math.h on AVOCET_ISA).
#pragma once

#include "kernels/bi_wkv_cpu_prefetch.h"
#include "kernels/bi_wkv_cpu_rows.h"

namespace avocet::kernels::AVOCET_ISA {

// For hot loops that are to have all registers to themselves.
#define AVOCET_APART __attribute__((noinline))
#define AVOCET_INLINED __attribute__((always_inline))

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

// Factors of lambda that take turns.
constexpr int64_t kFactors = 8;
static_assert(kWkvLongestSegment / 2 % kFactors == 0);
// Tokens that a loop takes at once.
constexpr int64_t kStride = 4;
static_assert(kFactors % kStride == 0);

// What all passes over a block share.
template <typename T>
struct Constants {
  bool fast;
  Vector<T> bonus;  // e^{u}
  // lambda = e^{-w}, rounded so that the product of all of them is its power: that of one rounded
  // lambda drifts away from it over a segment.
  Vector<T> lambda[kFactors];
  Vector<T> power[kWkvLongestSegment];  // lambda^n, each right to its last bit
  Vector<double> segment;               // lambda^(tokens of a segment)

  void Set(const Vector<T>& w, const Vector<T>& u, int64_t tokens) {
    const Vector<double> step = Exp(-Convert<double>(w));
    segment = Broadcast<Vector<double>>(1.0);
    for (int64_t n = 0; n < WkvSegment(tokens); ++n) {
      power[n] = Convert<T>(segment);
      segment *= step;
    }
    const Vector<T> nearest = Convert<T>(step);
    if constexpr (std::is_same_v<T, double>) {
      std::fill(lambda, lambda + kFactors, nearest);
    } else {
      // A unit in the last place now and then, as a straight line is drawn on a grid.
      const Vector<T> unit = UnitOf(nearest);
      const Vector<T> missing = Convert<T>(step - Convert<double>(nearest)) / unit;
      Vector<T> drawn{};
      for (int64_t n = 0; n < kFactors; ++n) {
        const Vector<T> line = Whole(missing * static_cast<T>(n + 1));
        lambda[n] = MulAdd(unit, line - drawn, nearest);
        drawn = line;
      }
    }
    bonus = Convert<T>(Exp(Convert<double>(u)));
  }
};

// So far, in powers of e or 2 as references are, may the reference of a segment lie below that of
// the row; the weights of a segment farther down are scaled. Sums of a row that grows by
// e^kSafeDecay still fit.
constexpr int kDeepest = 16;

// A segment's own sums, relative to its largest k, on the way in; on the way out of Combine what
// enters it from both sides, relative to the same k or to one kDeepest below the row's.
template <typename T>
struct Segment {
  Vector<T> reference;  // see ReferenceOf
  Vector<T> scale;      // of the weights e^k over the reference: 1, except far below the row's
  // What makes a sum relative to the row's reference of one of this segment, and the inverse.
  Vector<T> fall, rise;
  Sums<Vector<T>> past, future;
};
// The same of (p, q) = (g / D, y g / D), and the segment's share of the parameter gradients.
template <typename T>
struct AdjointSegment {
  Sums<Vector<T>> past, future;
  Vector<double> w, u;
};
// Workspace of a call, for each block: Constants, Segment[segments], and for the backward pass
// AdjointSegment[segments] and (p, q)[tokens].
template <typename T>
class Workspace {
 public:
  Workspace(int64_t tokens, bool backward)
      : tokens_(tokens), segments_(WkvSegments(tokens)), backward_(backward) {}
  template <typename Args>
  explicit Workspace(const Args& a) : Workspace(a.tokens, IsBackward(a)) {
    base_ = static_cast<char*>(a.workspace) - a.workspace_block * BytesOfBlock();
  }

  int64_t BytesOfBlock() const {
    return AfterSegments() +
           (backward_ ? segments_ * Bytes<AdjointSegment<T>>() + tokens_ * Bytes<Sums<Vector<T>>>()
                      : 0);
  }
  Constants<T>& ConstantsOf(int64_t block) const { return *At<Constants<T>>(block, 0); }
  Segment<T>* Segments(int64_t block) const { return At<Segment<T>>(block, Bytes<Constants<T>>()); }
  AdjointSegment<T>* Adjoints(int64_t block) const {
    return At<AdjointSegment<T>>(block, AfterSegments());
  }
  Sums<Vector<T>>* AdjointTokens(int64_t block) const {
    return reinterpret_cast<Sums<Vector<T>>*>(Adjoints(block) + segments_);
  }

 private:
  template <typename S>
  static bool IsBackward(const WkvForwardArgs<S>&) {
    return false;
  }
  template <typename S>
  static bool IsBackward(const WkvBackwardArgs<S>&) {
    return true;
  }
  template <typename X>
  static constexpr int64_t Bytes() {
    return sizeof(X);
  }
  template <typename X>
  X* At(int64_t block, int64_t offset) const {
    return reinterpret_cast<X*>(base_ + block * BytesOfBlock() + offset);
  }
  int64_t AfterSegments() const { return Bytes<Constants<T>>() + segments_ * Bytes<Segment<T>>(); }

  int64_t tokens_, segments_;
  bool backward_;
  char* base_ = nullptr;
};
template <typename S, typename Args>
auto WorkspaceOf(const Args& a) {
  return Workspace<typename WkvState<S>::Type>(a);
}

struct Span {
  int64_t begin, length;
};
inline Span SpanOf(int64_t segment, int64_t tokens) {
  const int64_t begin = segment * WkvSegment(tokens);
  return {begin, std::min(WkvSegment(tokens), tokens - begin)};
}

// Adds a token (e v, e) from a distance.
template <typename V>
AVOCET_HOST_DEVICE void Add(Sums<V>& sums, const V& power, const V& ev, const V& e) {
  sums.num = MulAdd(power, ev, sums.num);
  sums.den = MulAdd(power, e, sums.den);
}

// Whether what enters a segment is kept apart from its own sums: each is rounded at every token,
// and what enters can be many times larger, which shows in long rows and without fused products.
template <typename T>
bool EntersApart(int64_t tokens) {
  return std::is_same_v<T, float> && (!kFused || tokens > kWkvLongRow);
}
// A one-sided sum on its way through a segment.
template <typename V, bool apart>
class Scan {
 public:
  explicit Scan(const Sums<V>& entering) : entering_(entering) {
    if constexpr (apart) {
      own_ = {V{}, V{}};
    } else {
      own_ = entering;
    }
  }
  // After so many tokens that what entered has decayed by `power`.
  AVOCET_HOST_DEVICE Sums<V> After(const V& power) const {
    if constexpr (!apart) return own_;
    return {MulAdd(power, entering_.num, own_.num), MulAdd(power, entering_.den, own_.den)};
  }
  AVOCET_HOST_DEVICE void Step(const V& ev, const V& e, const V& lambda) {
    own_.num = MulAdd(lambda, own_.num, ev);
    own_.den = MulAdd(lambda, own_.den, e);
  }

 private:
  Sums<V> own_, entering_;
};

// Calls visit(n, n % kFactors) for the tokens of a segment in either direction, and prefetches as
// many lines. The factor's number is one that the compiler sees.
template <typename Visit>
AVOCET_HOST_DEVICE void Upward(int64_t length, Prefetcher& prefetcher, Visit visit) {
  Prefetcher mine = prefetcher;
  const int64_t whole = length / kStride * kStride;
  for (int64_t n = 0; n < whole; n += kStride) {
    mine.Next(kStride);
#pragma GCC unroll 4
    for (int64_t i = 0; i < kStride; ++i) visit(n + i, n % kFactors + i);
  }
  for (int64_t n = whole; n < length; ++n) visit(n, n % kFactors);
  prefetcher = mine;
}
template <typename Visit>
AVOCET_HOST_DEVICE void Downward(int64_t length, Prefetcher& prefetcher, Visit visit) {
  Prefetcher mine = prefetcher;
  const int64_t whole = length / kStride * kStride;
  for (int64_t n = length - 1; n >= whole; --n) visit(n, n % kFactors);
  for (int64_t n = whole - kStride; n >= 0; n -= kStride) {
    mine.Next(kStride);
#pragma GCC unroll 4
    for (int64_t i = kStride - 1; i >= 0; --i) visit(n + i, n % kFactors + i);
  }
  prefetcher = mine;
}

enum class Order { kForward, kBackward };

// Runs work(block, segment) over a tile, segment by segment, each after start(the first token of
// the segment with its number from the left, of the one that follows). A pass that follows another
// goes the other way, to find what that one touched last in the cache.
template <typename S, typename Args, typename Start, typename Work>
void ForTile(const Args& a, WkvTile tile, Order order, Start start, Work work) {
  const auto workspace = WorkspaceOf<S>(a);
  const int64_t segments = tile.last_segment - tile.first_segment, length = WkvSegment(a.tokens);
  const auto segment = [&](int64_t i) {
    return order == Order::kForward ? tile.first_segment + i : tile.last_segment - 1 - i;
  };
  for (int64_t i = 0; i < segments; ++i) {
    start(i * length, segment(i + 1 < segments ? i + 1 : i) * length);
    for (int64_t block = tile.first_block; block < tile.last_block; ++block) {
      if (!workspace.ConstantsOf(block).fast) continue;
      const Block<S, Args, true> b(a, block);
      if (b.count == kLanes) {
        work(b, segment(i));
      } else {
        work(Block<S, Args>(a, block), segment(i));
      }
    }
  }
}

template <typename S, typename Args>
void Prepare(const Args& a, int64_t block) {
  using T = typename WkvState<S>::Type;
  const Block<S, Args> b(a, block);
  Constants<T>& constants = WorkspaceOf<S>(a).ConstantsOf(block);
  constants.fast = InFastRange<T>(b.w, b.u, a.tokens, b.count);
  if (constants.fast) constants.Set(b.w, b.u, a.tokens);
}
template <typename S, typename Args>
bool IsFast(const Args& a, int64_t block) {
  return WorkspaceOf<S>(a).ConstantsOf(block).fast;
}

// ---------------------------------------------------------------- forward

// The largest k of the segment: four at a time, so that one comparison does not wait for the other.
template <typename S, bool full>
AVOCET_HOST_DEVICE auto Largest(const Rows<const S, full>& k, int64_t length) {
  using V = Vector<typename WkvState<S>::Type>;
  V maxima[4];
  const V first = k.Load(0);
  for (V& maximum : maxima) maximum = first;
  int64_t n = 0;
  for (; n + 4 <= length; n += 4) {
    for (int64_t i = 0; i < 4; ++i) maxima[i] = Max(maxima[i], k.Load(n + i));
  }
  for (; n < length; ++n) maxima[0] = Max(maxima[0], k.Load(n));
  return Max(Max(maxima[0], maxima[1]), Max(maxima[2], maxima[3]));
}

template <typename S, typename Args>
void Totals(const Args& a, WkvTile tile) {
  using T = typename WkvState<S>::Type;
  using V = Vector<T>;
  const auto workspace = WorkspaceOf<S>(a);
  Prefetcher inputs(PieceOf(a, tile, a.k), PieceOf(a, tile, a.v));
  const auto work = [&](const auto& b, int64_t s) AVOCET_APART {
    const Constants<T>& constants = workspace.ConstantsOf(b.index);
    const Span span = SpanOf(s, a.tokens);
    const auto k = b.k.From(span.begin), v = b.v.From(span.begin);
    const V reference = ReferenceOf(Largest(k, span.length));
    const int64_t last = span.length - 1;
    Sums<V> past{V{}, V{}}, future{V{}, V{}};
    const auto visit = [&](int64_t n, int64_t) AVOCET_INLINED {
      const V e = ExpBelow(k.Load(n), reference);
      const V ev = e * v.Load(n);
      Add(past, constants.power[last - n], ev, e);
      Add(future, constants.power[n], ev, e);
    };
    Upward(span.length, inputs, visit);
    Segment<T>& segment = workspace.Segments(b.index)[s];
    segment.reference = reference;
    segment.past = past;
    segment.future = future;
  };
  ForTile<S>(
      a, tile, Order::kForward, [&](int64_t, int64_t next) { inputs.Start(next); }, work);
}

// Replaces each segment's sums by what enters it from the left (past) and from the right (future).
template <typename S, typename Args>
void Combine(const Args& a, int64_t block) {
  using T = typename WkvState<S>::Type;
  using V = Vector<T>;
  using W = Vector<double>;
  const auto workspace = WorkspaceOf<S>(a);
  const Constants<T>& constants = workspace.ConstantsOf(block);
  if (!constants.fast) return;
  const int64_t count = WkvSegments(a.tokens);
  Segment<T>* segments = workspace.Segments(block);
  const W step = constants.segment;
  V row = segments[0].reference;
  for (int64_t s = 1; s < count; ++s) row = Max(segments[s].reference, row);
  const auto advance = [&](Sums<W>& carry, const Segment<T>& segment, Sums<V>& own) {
    const W num = Convert<double>(own.num * segment.fall);
    const W den = Convert<double>(own.den * segment.fall);
    own.num = Convert<T>(carry.num) * segment.rise;
    own.den = Convert<T>(carry.den) * segment.rise;
    carry.num = MulAdd(carry.num, step, num);
    carry.den = MulAdd(carry.den, step, den);
  };
  // The last segment may be short, but nothing lies behind it.
  Sums<W> past{W{}, W{}};
  for (int64_t s = 0; s < count; ++s) {
    Segment<T>& segment = segments[s];
    const V below = segment.reference - row, lowest = Broadcast<V>(static_cast<T>(-kDeepest));
    segment.fall = Power(Max(below, lowest));
    segment.rise = Power(-Max(below, lowest));
    segment.scale = Power(-Max(lowest - below, V{}));
    segment.past.num *= segment.scale;
    segment.past.den *= segment.scale;
    segment.future.num *= segment.scale;
    segment.future.den *= segment.scale;
    advance(past, segment, segment.past);
  }
  Sums<W> future{W{}, W{}};
  for (int64_t s = count - 1; s >= 0; --s) advance(future, segments[s], segments[s].future);
}

// The tokens of a segment.
template <typename S, bool full>
struct Tokens {
  using V = Vector<typename WkvState<S>::Type>;
  Rows<const S, full> k, v;
  V reference, scale;

  template <typename Args, typename T>
  Tokens(const Block<S, Args, full>& b, const Segment<T>& segment, Span span)
      : k(b.k.From(span.begin)),
        v(b.v.From(span.begin)),
        reference(segment.reference),
        scale(segment.scale) {}
  AVOCET_HOST_DEVICE V Weight(int64_t n) const { return ExpBelow(k.Load(n), reference) * scale; }
};

// Fills, from the last token of a segment to the first, its tokens and, for each, what it has of
// itself with its bonus and of later tokens.
template <bool apart, typename B, typename T>
AVOCET_HOST_DEVICE void GatherLater(const B& b, const Constants<T>& constants,
                                    const Segment<T>& segment, Span span, Prefetcher& inputs,
                                    Sums<Vector<T>>* tokens, Sums<Vector<T>>* later) {
  using V = Vector<T>;
  const V bonus = constants.bonus;
  const int64_t last = span.length - 1;
  const Tokens source(b, segment, span);
  Scan<V, apart> future(segment.future);
  const auto gather = [&](int64_t n, int64_t i) AVOCET_INLINED {
    const V e = source.Weight(n), ev = e * source.v.Load(n);
    tokens[n].num = ev;
    tokens[n].den = e;
    const Sums<V> sums = future.After(constants.power[last - n]);
    later[n].num = MulAdd(bonus, ev, sums.num);
    later[n].den = MulAdd(bonus, e, sums.den);
    future.Step(ev, e, constants.lambda[i]);
  };
  Downward(span.length, inputs, gather);
}

template <typename S, bool apart>
void OutputsOf(const WkvForwardArgs<S>& a, WkvTile tile) {
  using T = typename WkvState<S>::Type;
  using V = Vector<T>;
  const auto workspace = WorkspaceOf<S>(a);
  // Where a tile's k and v are kept in the cache, those of the next tile are asked for, on which
  // the thread would wait: the first pass over them computes less than it fetches, this one more.
  const bool next = tile.next_first_block < tile.next_last_block;
  auto inputs = !a.kept ? Prefetcher(PieceOf(a, tile, a.k), PieceOf(a, tile, a.v))
                : next  ? Prefetcher(NextPieceOf(a, tile, a.k))
                        : Prefetcher();
  Prefetcher outputs(PieceOf(a, tile, a.y));
  const auto start = [&](int64_t upward, int64_t following) {
    inputs.Start(a.kept ? upward : following);
    outputs.Start(following);
  };
  Sums<V> tokens[kWkvLongestSegment];
  Sums<V> later[kWkvLongestSegment];
  const auto work = [&](const auto& b, int64_t s) AVOCET_APART {
    const Constants<T>& constants = workspace.ConstantsOf(b.index);
    const Segment<T>& segment = workspace.Segments(b.index)[s];
    const Span span = SpanOf(s, a.tokens);
    const V* power = constants.power;
    const V* lambda = constants.lambda;
    const auto y = b.RowsOf(a.y).From(span.begin);
    Scan<V, apart> past(segment.past);
    GatherLater<apart>(b, constants, segment, span, inputs, tokens, later);
    const auto visit = [&](int64_t n, int64_t i) AVOCET_INLINED {
      const Sums<V> sums = past.After(power[n]);
      y.Store(n, Ratio(sums.num + later[n].num, sums.den + later[n].den));
      past.Step(tokens[n].num, tokens[n].den, lambda[i]);
    };
    Upward(span.length, outputs, visit);
  };
  ForTile<S>(a, tile, Order::kBackward, start, work);
}
template <typename S>
void Outputs(const WkvForwardArgs<S>& a, WkvTile tile) {
  if (EntersApart<typename WkvState<S>::Type>(a.tokens)) {
    OutputsOf<S, true>(a, tile);
  } else {
    OutputsOf<S, false>(a, tile);
  }
}

// ---------------------------------------------------------------- backward

// p and q of each token, and the segment's adjoint sums.
template <typename S, bool apart>
void AdjointsOf(const WkvBackwardArgs<S>& a, WkvTile tile) {
  using T = typename WkvState<S>::Type;
  using V = Vector<T>;
  const auto workspace = WorkspaceOf<S>(a);
  auto inputs = a.kept ? Prefetcher() : Prefetcher(PieceOf(a, tile, a.k), PieceOf(a, tile, a.v));
  Prefetcher gradients(PieceOf(a, tile, a.g));
  const auto start = [&](int64_t, int64_t following) {
    inputs.Start(following);
    gradients.Start(following);
  };
  Sums<V> tokens[kWkvLongestSegment];
  Sums<V> later[kWkvLongestSegment];
  const auto work = [&](const auto& b, int64_t s) AVOCET_APART {
    const Constants<T>& constants = workspace.ConstantsOf(b.index);
    const Segment<T>& segment = workspace.Segments(b.index)[s];
    const Span span = SpanOf(s, a.tokens);
    const auto g = b.RowsOf(a.g).From(span.begin);
    const V* power = constants.power;
    const V* lambda = constants.lambda;
    const int64_t last = span.length - 1;
    Sums<V>* adjoints = workspace.AdjointTokens(b.index) + span.begin;
    Scan<V, apart> past(segment.past);
    GatherLater<apart>(b, constants, segment, span, inputs, tokens, later);
    Sums<V> past_adjoint{V{}, V{}}, future_adjoint{V{}, V{}};
    const auto visit = [&](int64_t n, int64_t i) AVOCET_INLINED {
      const Sums<V> sums = past.After(power[n]);
      const V num = sums.num + later[n].num, den = sums.den + later[n].den;
      const V inverse = Reciprocal(den);
      const V p = g.Load(n) * inverse;
      const V q = p * (num * inverse);
      adjoints[n].num = p;
      adjoints[n].den = q;
      Add(past_adjoint, power[last - n], p, q);
      Add(future_adjoint, power[n], p, q);
      past.Step(tokens[n].num, tokens[n].den, lambda[i]);
    };
    Upward(span.length, gradients, visit);
    AdjointSegment<T>& adjoint = workspace.Adjoints(b.index)[s];
    adjoint.past = past_adjoint;
    adjoint.future = future_adjoint;
  };
  ForTile<S>(a, tile, Order::kBackward, start, work);
}
template <typename S>
void Adjoints(const WkvBackwardArgs<S>& a, WkvTile tile) {
  if (EntersApart<typename WkvState<S>::Type>(a.tokens)) {
    AdjointsOf<S, true>(a, tile);
  } else {
    AdjointsOf<S, false>(a, tile);
  }
}

template <typename S>
void CombineAdjoints(const WkvBackwardArgs<S>& a, int64_t block) {
  using T = typename WkvState<S>::Type;
  using W = Vector<double>;
  const auto workspace = WorkspaceOf<S>(a);
  const Constants<T>& constants = workspace.ConstantsOf(block);
  if (!constants.fast) return;
  const int64_t count = WkvSegments(a.tokens);
  AdjointSegment<T>* segments = workspace.Adjoints(block);
  const W step = constants.segment;
  const Segment<T>* sums = workspace.Segments(block);
  // p and q are relative to the inverse of what the segment's sums are relative to.
  const auto advance = [&](Sums<W>& carry, int64_t s, Sums<Vector<T>>& own) {
    const W num = Convert<double>(own.num * sums[s].rise);
    const W den = Convert<double>(own.den * sums[s].rise);
    own.num = Convert<T>(carry.num) * sums[s].fall;
    own.den = Convert<T>(carry.den) * sums[s].fall;
    carry.num = MulAdd(carry.num, step, num);
    carry.den = MulAdd(carry.den, step, den);
  };
  Sums<W> carry{W{}, W{}};
  for (int64_t s = 0; s < count; ++s) advance(carry, s, segments[s].past);
  carry = {W{}, W{}};
  for (int64_t s = count - 1; s >= 0; --s) advance(carry, s, segments[s].future);
}

template <typename S, bool apart>
void GradientsOf(const WkvBackwardArgs<S>& a, WkvTile tile) {
  using T = typename WkvState<S>::Type;
  using V = Vector<T>;
  const auto workspace = WorkspaceOf<S>(a);
  auto inputs = a.kept ? Prefetcher() : Prefetcher(PieceOf(a, tile, a.k), PieceOf(a, tile, a.v));
  Prefetcher outputs(PieceOf(a, tile, a.gk), PieceOf(a, tile, a.gv));
  const auto start = [&](int64_t, int64_t following) {
    inputs.Start(following);
    outputs.Start(following);
  };
  Sums<V> tokens[kWkvLongestSegment];
  Sums<V> later[kWkvLongestSegment], adjoint_later[kWkvLongestSegment];  // sums over later tokens
  const auto work = [&](const auto& b, int64_t s) AVOCET_APART {
    const Constants<T>& constants = workspace.ConstantsOf(b.index);
    AdjointSegment<T>& adjoint = workspace.Adjoints(b.index)[s];
    const Span span = SpanOf(s, a.tokens);
    const V bonus = constants.bonus;
    const V* power = constants.power;
    const V* lambda = constants.lambda;
    const int64_t last = span.length - 1;
    const Sums<V>* adjoints = workspace.AdjointTokens(b.index) + span.begin;
    const Segment<T>& segment = workspace.Segments(b.index)[s];
    const auto gk = b.RowsOf(a.gk).From(span.begin), gv = b.RowsOf(a.gv).From(span.begin);
    const Tokens source(b, segment, span);
    Scan<V, apart> future(segment.future), after(adjoint.future);
    const auto gather = [&](int64_t n, int64_t i) AVOCET_INLINED {
      const Sums<V> sums = future.After(power[last - n]),
                    adjoints_after = after.After(power[last - n]);
      later[n].num = sums.num;
      later[n].den = sums.den;
      adjoint_later[n].num = adjoints_after.num;
      adjoint_later[n].den = adjoints_after.den;
      const V e = source.Weight(n), ev = e * source.v.Load(n);
      tokens[n].num = ev;
      tokens[n].den = e;
      future.Step(ev, e, lambda[i]);
      after.Step(adjoints[n].num, adjoints[n].den, lambda[i]);
    };
    Downward(span.length, inputs, gather);
    Scan<V, apart> past(segment.past), before(adjoint.past);
    V gu{}, gw{};
    const auto visit = [&](int64_t n, int64_t i) AVOCET_INLINED {
      const V ev = tokens[n].num, e = tokens[n].den;
      const V p = adjoints[n].num, q = adjoints[n].den;
      const Sums<V> sums = past.After(power[n]), adjoints_before = before.After(power[n]);
      const V g = MulAdd(bonus, p, adjoints_before.num + adjoint_later[n].num);
      const V h = MulAdd(bonus, q, adjoints_before.den + adjoint_later[n].den);
      gk.Store(n, MulAdd(ev, g, -(e * h)));
      gv.Store(n, e * g);
      gu += MulAdd(ev, p, -(e * q));
      gw += Difference(adjoints_before, later[n]) + Difference(adjoint_later[n], sums);
      past.Step(ev, e, lambda[i]);
      before.Step(p, q, lambda[i]);
    };
    Upward(span.length, outputs, visit);
    adjoint.w = Convert<double>(gw);
    adjoint.u = Convert<double>(gu * bonus);
  };
  ForTile<S>(a, tile, Order::kForward, start, work);
}
template <typename S>
void Gradients(const WkvBackwardArgs<S>& a, WkvTile tile) {
  if (EntersApart<typename WkvState<S>::Type>(a.tokens)) {
    GradientsOf<S, true>(a, tile);
  } else {
    GradientsOf<S, false>(a, tile);
  }
}

template <typename S>
void FinishExact(const WkvBackwardArgs<S>& a, const Block<S, WkvBackwardArgs<S>>& b,
                 int64_t block) {
  using T = typename WkvState<S>::Type;
  const AdjointSegment<T>* adjoints = WorkspaceOf<S>(a).Adjoints(block);
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
