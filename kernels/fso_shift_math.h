// SPDX-License-Identifier: Apache-2.0
#pragma once

// The arithmetic of FSO-Shift (shared/spec/fs_rwkv.md 3), shared by host and device code. S is a
// scalar or a vector of channels.
#include <cstdint>

#if defined(__CUDACC__)
#define AVOCET_FSO_HOST_DEVICE __host__ __device__ __forceinline__
#else
#define AVOCET_FSO_HOST_DEVICE inline __attribute__((always_inline))
#endif

// See bi_wkv_math.h: one namespace for each instruction set.
#if !defined(AVOCET_ISA)
#define AVOCET_ISA generic
#endif

namespace avocet::kernels::AVOCET_ISA {

// Displacement of a channel's content in pixels: the shifted map has at (y, x) the value of
// (y - dy, x - dx).
struct FsoOffset {
  int dy, dx;
};

constexpr int kFsoGroups = 16;
constexpr int kFsoReach = 2;  // largest |dy| or |dx|

// Offset of group n, 0 <= n < kFsoGroups, in the official order.
AVOCET_FSO_HOST_DEVICE FsoOffset FsoOffsetOf(int n) {
  constexpr int8_t kDy[kFsoGroups] = {0, 0, 1, -1, 0, 0, 2, -2, 1, -1, 1, -1, 2, -2, 2, -2};
  constexpr int8_t kDx[kFsoGroups] = {1, -1, 0, 0, 2, -2, 0, 0, 1, -1, -1, 1, 2, -2, -2, 2};
  return {kDy[n], kDx[n]};
}

// Channels of group n: floor(C / 9 / distance), distance = |dy| + |dx| = 1, 2 or 4.
AVOCET_FSO_HOST_DEVICE int64_t FsoGroupWidth(int n, int64_t channels) {
  return channels / (n < 4 ? 9 : n < 12 ? 18 : 36);
}

// First channel of group n; FsoGroupStart(kFsoGroups, C) is the number of channels that have an
// offset. The others (8 at the published widths) have a shifted map of zeros.
AVOCET_FSO_HOST_DEVICE int64_t FsoGroupStart(int n, int64_t channels) {
  const int whole = n < 4 ? n : 4, half = n < 4 ? 0 : n < 12 ? n - 4 : 8;
  const int quarter = n < 12 ? 0 : n - 12;
  return whole * (channels / 9) + half * (channels / 18) + quarter * (channels / 36);
}

// Even grids. FSO(x) - x from the value itself, the shifted value s, the mean m over the pixel's
// 2 x 2 block and the shifted block mean ms (s and ms zero from outside the grid).
template <typename S>
AVOCET_FSO_HOST_DEVICE S FsoDifference(S x, S s, S ms, S m) {
  return (x + s + (ms - m)) * 0.25f;
}

// Odd grids: the wavelet branch before its resize, and the combination after it.
template <typename S>
AVOCET_FSO_HOST_DEVICE S FsoWavelet(S x, S ms, S m) {
  return x + (ms - m) * 0.5f;
}
template <typename S>
AVOCET_FSO_HOST_DEVICE S FsoCombine(S x, S s, S resized) {
  return x * 0.75f + s * 0.25f + resized * 0.5f;
}

// Weight of element i + 1 in element i of the resize from n + 1 to n (n odd); even axes are not
// resized.
AVOCET_FSO_HOST_DEVICE double FsoResizeWeight(int64_t i, int64_t n) {
  return n % 2 == 0 ? 0.0 : (static_cast<double>(i) + 0.5) / static_cast<double>(n);
}

}  // namespace avocet::kernels::AVOCET_ISA
