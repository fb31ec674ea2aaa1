// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace avocet::test {

// A map of one channel, rows of doubles.
struct Map {
  int64_t rows = 0, cols = 0;
  std::vector<double> values;

  Map(int64_t r, int64_t c) : rows(r), cols(c), values(static_cast<std::size_t>(r * c)) {}
  double& At(int64_t y, int64_t x) { return values[static_cast<std::size_t>(y * cols + x)]; }
  // 0 outside.
  double Read(int64_t y, int64_t x) const;
};

// The judge: FSO-Shift of one channel as shared/spec/fs_rwkv.md 3 tells the official code's steps,
// one after the other: shift, Haar transform, shift of the low band, inverse transform, bilinear
// resize, blends. Slow and obvious. Offset (dy, dx), or `assigned` = false for a channel without
// one.
Map ReferenceFsoShift(const Map& x, bool assigned, int64_t dy, int64_t dx);

// One offset of the 16 groups and its first channel, in order; `channels` have 16 groups and a
// rest.
struct ReferenceGroup {
  int64_t dy, dx, first, count;
};
std::vector<ReferenceGroup> ReferenceGroups(int64_t channels);

}  // namespace avocet::test
