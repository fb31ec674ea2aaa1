// SPDX-License-Identifier: Apache-2.0
// Included by one .cc for each instruction set, with AVOCET_ISA set to its namespace. No include
// guard on purpose: exactly one inclusion a translation unit.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "kernels/simd_native.h"
#include "kernels/token_cpu.h"

namespace avocet::kernels::AVOCET_ISA {
namespace {

constexpr int kSums = 4;  // hide the latency of an addition

// f(offset, lanes in use) for the vectors of a row; unrolled so that sums may rotate.
template <typename F>
AVOCET_ALWAYS_INLINE void ForVectors(int64_t channels, const F& f) {
  int64_t i = 0;
  for (; i + kSums * kLanes <= channels; i += kSums * kLanes) {
#pragma GCC unroll 4
    for (int s = 0; s < kSums; ++s) f(i + s * kLanes, kLanes, s);
  }
  for (int s = 0; i < PaddedChannels(channels); i += kLanes, s = (s + 1) % kSums) {
    f(i, std::clamp<int64_t>(channels - i, 0, kLanes), s);
  }
}

template <bool kGateBefore, bool kGateAfter, bool kAdd>
void NormOf(const NormRows& a) {
  const int64_t padded = PaddedChannels(a.channels);
  const float scale = 1.0f / static_cast<float>(a.channels);
  for (int64_t r = 0; r < a.rows; ++r) {
    const float* x = a.x + r * padded;
    float* y = a.y + r * padded;
    Native sums[kSums] = {};
    ForVectors(a.channels, [&](int64_t i, int64_t, int s) {
      Native t = LoadNative(x + i);
      if constexpr (kGateBefore) {
        t *= SigmoidOf(LoadNative(a.gate_before + r * padded + i));
        StoreNative(y + i, t);
      }
      sums[s] += t;
    });
    const float* t = kGateBefore ? y : x;
    const float mean = SumOf((sums[0] + sums[1]) + (sums[2] + sums[3])) * scale;
    Native squares[kSums] = {};
    ForVectors(a.channels, [&](int64_t i, int64_t count, int s) {
      const Native d = HeadOf(LoadNative(t + i) - mean, count);
      squares[s] += d * d;
    });
    const float variance = SumOf((squares[0] + squares[1]) + (squares[2] + squares[3])) * scale;
    const float inverse = 1.0f / std::sqrt(variance + a.eps);
    for (int64_t i = 0; i < padded; i += kLanes) {
      Native n =
          (LoadNative(t + i) - mean) * inverse * LoadNative(a.weight + i) + LoadNative(a.bias + i);
      if constexpr (kGateAfter) n *= SigmoidOf(LoadNative(a.gate_after + r * padded + i));
      if constexpr (kAdd) n += LoadNative(a.add + r * padded + i);
      StoreNative(y + i, n);
    }
  }
}

template <bool kGateBefore, bool kGateAfter>
void NormWith(const NormRows& a) {
  a.add == nullptr ? NormOf<kGateBefore, kGateAfter, false>(a)
                   : NormOf<kGateBefore, kGateAfter, true>(a);
}

void Norm(const NormRows& a) {
  if (a.gate_before == nullptr) {
    a.gate_after == nullptr ? NormWith<false, false>(a) : NormWith<false, true>(a);
  } else {
    a.gate_after == nullptr ? NormWith<true, false>(a) : NormWith<true, true>(a);
  }
}

// One quarter of one token.
template <int kMixes, bool kInside>
AVOCET_ALWAYS_INLINE void MixQuarter(const QShiftMix& a, const float* x, const float* s,
                                     int64_t begin, int64_t end, int64_t token) {
  const auto step = [&](int64_t i, auto load, auto store) {
    const Native value = load(x + i);
    const Native shifted = kInside ? load(s + i) : Native{};
    const Native difference = kInside ? value - shifted : value;
#pragma GCC unroll 3
    for (int m = 0; m < kMixes; ++m) {
      store(a.y[m] + token + i, shifted + difference * load(a.keep[m] + i));
    }
  };
  int64_t i = begin;
  for (; i + kLanes <= end; i += kLanes) step(i, &LoadNative, &StoreNative);
  if (i == end) return;
  const int64_t rest = end - i;
  step(
      i, [rest](const float* p) { return LoadHead(p, rest); },
      [rest](float* p, Native v) { StoreHead(p, v, rest); });
}

template <int kMixes>
void MixOf(const QShiftMix& a) {
  const int64_t c = a.channels, padded = PaddedChannels(c);
  const int64_t ends[4] = {c / 4, c / 2, c * 3 / 4, c};
  int64_t row = a.first / a.cols, col = a.first % a.cols;
  for (int64_t n = 0; n < a.count; ++n) {
    const float* x = a.x + (a.first + n) * padded;
    const float* sources[4] = {
        col > 0 ? x - padded : nullptr, col + 1 < a.cols ? x + padded : nullptr,
        row > 0 ? x - a.cols * padded : nullptr, row + 1 < a.rows ? x + a.cols * padded : nullptr};
    int64_t begin = 0;
    for (int quarter = 0; quarter < 4; begin = ends[quarter++]) {
      const float* s = sources[quarter];
      if (s == nullptr) {
        MixQuarter<kMixes, false>(a, x, s, begin, ends[quarter], n * padded);
      } else {
        MixQuarter<kMixes, true>(a, x, s, begin, ends[quarter], n * padded);
      }
    }
    for (int m = 0; m < kMixes; ++m) {
      std::fill(a.y[m] + n * padded + c, a.y[m] + (n + 1) * padded, 0.0f);
    }
    if (++col == a.cols) col = 0, ++row;
  }
}

void Mix(const QShiftMix& a) {
  if (a.mixes == 1) MixOf<1>(a);
  if (a.mixes == 2) MixOf<2>(a);
  if (a.mixes == 3) MixOf<3>(a);
}

// The two source positions of a result position, and the second one's share.
struct Between {
  int64_t low, high;
  float share;
};

inline Between SourceOf(int64_t position, int64_t in, int64_t out) {
  const float at =
      std::max(0.0f, (static_cast<float>(position) + 0.5f) * (static_cast<float>(in) / out) - 0.5f);
  const int64_t low = std::min<int64_t>(static_cast<int64_t>(at), in - 1);
  return {low, std::min(low + 1, in - 1), at - static_cast<float>(low)};
}

void Bilinear(const BilinearRow& a) {
  const Between y = SourceOf(a.row, a.rows, a.out_rows);
  const float* upper = a.x + y.low * a.cols * a.x_stride;
  const float* lower = a.x + y.high * a.cols * a.x_stride;
  for (int64_t col = 0; col < a.out_cols; ++col) {
    const Between x = SourceOf(col, a.cols, a.out_cols);
    const float weights[4] = {(1 - y.share) * (1 - x.share), (1 - y.share) * x.share,
                              y.share * (1 - x.share), y.share * x.share};
    const float* from[4] = {upper + x.low * a.x_stride, upper + x.high * a.x_stride,
                            lower + x.low * a.x_stride, lower + x.high * a.x_stride};
    float* to = a.y + col * a.y_stride;
    for (int64_t c = 0; c < a.channels; c += kLanes) {
      Native value = LoadNative(from[0] + c) * weights[0];
      for (int n = 1; n < 4; ++n) value += LoadNative(from[n] + c) * weights[n];
      StoreNative(to + c, value);
    }
  }
}

void Doubled(const DoubledRow& a) {
  const int64_t near = a.row / 2, cols = a.cols;
  const int64_t far = std::clamp<int64_t>(a.row % 2 == 0 ? near - 1 : near + 1, 0, a.rows - 1);
  const float* __restrict first = a.x + near * cols;
  const float* __restrict second = a.x + far * cols;
  float* __restrict line = a.line + 1;
  float* __restrict y = a.y;
  for (int64_t c = 0; c < cols; ++c) line[c] = first[c] * 0.75f + second[c] * 0.25f;
  line[-1] = line[0];
  line[cols] = line[cols - 1];
  for (int64_t c = 0; c < cols; ++c) {
    y[2 * c] = line[c] * 0.75f + line[c - 1] * 0.25f;
    y[2 * c + 1] = line[c] * 0.75f + line[c + 1] * 0.25f;
  }
}

}  // namespace

extern const TokenCpuKernels kTokenKernels;
const TokenCpuKernels kTokenKernels{AVOCET_ISA_NAME, &Norm, &Mix, &Bilinear, &Doubled};

}  // namespace avocet::kernels::AVOCET_ISA
