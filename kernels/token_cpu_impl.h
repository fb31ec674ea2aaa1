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

// x in the first `count` lanes, zero in the others.
inline Native Head(Native x, int64_t count) {
  if (count >= kLanes) return x;
  for (int i = 0; i < kLanes; ++i) {
    if (i >= count) x[i] = 0;
  }
  return x;
}

template <bool kGateBefore>
void NormOf(const NormRows& a) {
  const int64_t padded = PaddedChannels(a.channels);
  const float scale = 1.0f / static_cast<float>(a.channels);
  for (int64_t r = 0; r < a.rows; ++r) {
    const float* x = a.x + r * padded;
    float* y = a.y + r * padded;
    Native sums[2] = {};
    for (int64_t c = 0; c < padded; c += 2 * kLanes) {
      for (int half = 0; half < 2 && c + half * kLanes < padded; ++half) {
        const int64_t i = c + half * kLanes;
        Native t = LoadNative(x + i);
        if (kGateBefore) {
          t *= SigmoidOf(LoadNative(a.gate_before + r * padded + i));
          StoreNative(y + i, t);
        }
        sums[half] += t;
      }
    }
    const float* t = kGateBefore ? y : x;
    const float mean = SumOf(sums[0] + sums[1]) * scale;
    Native squares[2] = {};
    for (int64_t c = 0; c < padded; c += 2 * kLanes) {
      for (int half = 0; half < 2 && c + half * kLanes < padded; ++half) {
        const int64_t i = c + half * kLanes;
        const Native d = Head(LoadNative(t + i) - mean, a.channels - i);
        squares[half] += d * d;
      }
    }
    const float inverse = 1.0f / std::sqrt(SumOf(squares[0] + squares[1]) * scale + a.eps);
    for (int64_t i = 0; i < padded; i += kLanes) {
      Native n =
          (LoadNative(t + i) - mean) * inverse * LoadNative(a.weight + i) + LoadNative(a.bias + i);
      if (a.gate_after != nullptr) n *= SigmoidOf(LoadNative(a.gate_after + r * padded + i));
      if (a.add != nullptr) n += LoadNative(a.add + r * padded + i);
      StoreNative(y + i, n);
    }
  }
}

void Norm(const NormRows& a) { a.gate_before == nullptr ? NormOf<false>(a) : NormOf<true>(a); }

template <int kMixes>
void MixOf(const QShiftMix& a) {
  const int64_t c = a.channels, padded = PaddedChannels(c);
  const int64_t ends[4] = {c / 4, c / 2, c * 3 / 4, c};
  for (int64_t n = 0; n < a.count; ++n) {
    const int64_t token = a.first + n, row = token / a.cols, col = token % a.cols;
    const float* x = a.x + token * padded;
    const float* sources[4] = {
        col > 0 ? x - padded : nullptr, col + 1 < a.cols ? x + padded : nullptr,
        row > 0 ? x - a.cols * padded : nullptr, row + 1 < a.rows ? x + a.cols * padded : nullptr};
    int64_t begin = 0;
    for (int quarter = 0; quarter < 4; ++quarter) {
      const float* __restrict s = sources[quarter];
      const int64_t end = ends[quarter];
      for (int m = 0; m < kMixes; ++m) {
        float* __restrict y = a.y[m] + n * padded;
        const float* __restrict keep = a.keep[m];
        if (s == nullptr) {
          for (int64_t i = begin; i < end; ++i) y[i] = x[i] * keep[i];
        } else {
          for (int64_t i = begin; i < end; ++i) y[i] = s[i] + (x[i] - s[i]) * keep[i];
        }
      }
      begin = end;
    }
    for (int m = 0; m < kMixes; ++m) {
      std::fill(a.y[m] + n * padded + c, a.y[m] + (n + 1) * padded, 0.0f);
    }
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
