// SPDX-License-Identifier: Apache-2.0
// Included through the per-instruction-set kernels only (see bi_wkv_math.h on AVOCET_ISA).
#pragma once

#include <cstdint>

#include "kernels/bi_wkv_cpu.h"
#include "kernels/bi_wkv_cpu_rows.h"

namespace avocet::kernels::AVOCET_ISA {

// Asks for rows that are needed soon, a cache line at a time and in the order of memory, for the
// processor's own prefetcher to fall in with. (A block by itself is one line of each row, a pattern
// that it does not see.)
struct PrefetchPiece {
  const void* base;  // of the tile's first channel, token 0
  int64_t stride;    // bytes from row to row
  int64_t bytes;     // of a row
};
class Prefetcher {
 public:
  // Nothing, one tensor, or two.
  Prefetcher() = default;
  explicit Prefetcher(const PrefetchPiece& piece)
      : first_(static_cast<const char*>(piece.base)), stride_(piece.stride), bytes_(piece.bytes) {}
  Prefetcher(const PrefetchPiece& first, const PrefetchPiece& second) : Prefetcher(first) {
    second_ = static_cast<const char*>(second.base);
  }

  void Start(int64_t token) {
    line_ = token * stride_;
    row_end_ = line_ + bytes_;
  }
  // So many lines of each. (Beyond the end of a tensor this does nothing.)
  AVOCET_HOST_DEVICE void Next(int64_t lines) {
    if (!first_) return;
    for (int64_t i = 0; i < lines; ++i) {
      __builtin_prefetch(first_ + line_, 0, 2);
      if (second_) __builtin_prefetch(second_ + line_, 0, 2);
      line_ += 64;
      if (line_ >= row_end_) {
        row_end_ += stride_;
        line_ = row_end_ - bytes_;
      }
    }
  }

 private:
  const char *first_ = nullptr, *second_ = nullptr;
  int64_t stride_ = 0, bytes_ = 0, line_ = 0, row_end_ = 0;
};

// What blocks of one batch item take of a tensor.
template <typename S, typename Args>
PrefetchPiece PieceOf(const Args& a, int64_t first_block, int64_t last_block, const S* tensor) {
  const Block<S, Args> first(a, first_block), last(a, last_block - 1);
  const int64_t channels = last.first_channel + last.count - first.first_channel;
  const auto size = static_cast<int64_t>(sizeof(S));
  return {tensor + first.offset, a.channels * size, channels * size};
}
template <typename S, typename Args>
PrefetchPiece NextPieceOf(const Args& a, const WkvTile& tile, const S* tensor) {
  return PieceOf(a, tile.next_first_block, tile.next_last_block, tensor);
}
template <typename S, typename Args>
PrefetchPiece PieceOf(const Args& a, const WkvTile& tile, const S* tensor) {
  return PieceOf(a, tile.first_block, tile.last_block, tensor);
}

}  // namespace avocet::kernels::AVOCET_ISA
