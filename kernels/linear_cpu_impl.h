// SPDX-License-Identifier: Apache-2.0
// Included by one .cc for each instruction set, with AVOCET_ISA set to its namespace. No include
// guard on purpose: exactly one inclusion a translation unit.
#include "kernels/linear_cpu.h"
#include "kernels/simd_native.h"

namespace avocet::kernels::AVOCET_ISA {
namespace {

// A tile is kRows rows times kVectors registers of outputs; its sums stay in registers.
#if defined(__AVX512F__)
constexpr int kMaxVectors = 3, kMaxRows = 8;
#elif defined(__AVX2__)
constexpr int kMaxVectors = 2, kMaxRows = 6;
#else
constexpr int kMaxVectors = 4, kMaxRows = 2;
#endif
constexpr int64_t kDepth = 8;  // inputs a step
constexpr int64_t kLine = 16;  // floats in a cache line
constexpr int64_t kMaxPanel = kMaxVectors * kLanes;
static_assert(kMaxPanel % kChannelPad == 0, "panels are whole groups of padded channels");

struct TileArgs {
  const float* x;
  const float* weight;
  const float* bias;
  float* y;
  const float* add;
  const float* next;  // fetched from memory meanwhile, a cache line a step
};

template <int kRows, int kVectors>
void Tile(const PackedLinear& linear, const LinearArgs& a, const TileArgs& t) {
  Native sums[kRows][kVectors];
#pragma GCC unroll 8
  for (int v = 0; v < kVectors; ++v) {
    const Native bias = LoadNative(t.bias + v * kLanes);
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) sums[r][v] = bias;
  }
  const float* weight = t.weight;
  const int64_t stride = a.x_stride, in = linear.in();
  const float* x = t.x;
  const auto step = [&] {
    Native w[kVectors];
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) w[v] = LoadNative(weight + v * kLanes);
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      const float factor = x[r * stride];
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) sums[r][v] += factor * w[v];
    }
    ++x;
    weight += kVectors * kLanes;
  };
  int64_t k = 0;
  for (const float* next = t.next; k + kDepth <= in; k += kDepth, next += kLine) {
    __builtin_prefetch(next, 0, 2);
    for (int n = 0; n < kDepth; ++n) step();
  }
  for (; k < in; ++k) step();
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) {
      Native value = sums[r][v];
      if (a.activation != LinearActivation::kNone) {
        value = value < 0 ? Native{} : value;  // NaN stays
        if (a.activation == LinearActivation::kSquaredRelu) value *= value;
      }
      if (t.add != nullptr) value += LoadNative(t.add + r * a.add_stride + v * kLanes);
      StoreNative(t.y + r * a.y_stride + v * kLanes, value);
    }
  }
}

template <int kVectors, int kRows>
void TileOfRows(int64_t rows, const PackedLinear& linear, const LinearArgs& a, const TileArgs& t) {
  if constexpr (kRows > 1) {
    if (rows < kRows) return TileOfRows<kVectors, kRows - 1>(rows, linear, a, t);
  }
  Tile<kRows, kVectors>(linear, a, t);
}

void Run(const PackedLinear& linear, const LinearArgs& a) {
  const int64_t tiles = (a.rows + kMaxRows - 1) / kMaxRows;
  const float* weight = linear.weight();
  int64_t first = 0;
  for (const int64_t width : linear.panels()) {
    const int64_t panel = width * linear.in();
    for (int64_t tile = 0; tile < tiles; ++tile) {  // as equal as can be
      // The first tiles fetch the next panel.
      const int64_t fetched = tile * (linear.in() / kDepth) * kLine;
      const float* next = fetched < panel ? weight + panel + fetched : weight;
      const int64_t row = a.rows * tile / tiles, rows = a.rows * (tile + 1) / tiles - row;
      const TileArgs t{a.x + row * a.x_stride,
                       weight,
                       linear.bias() + first,
                       a.y + row * a.y_stride + first,
                       a.add == nullptr ? nullptr : a.add + row * a.add_stride + first,
                       next};
      switch (width / kLanes) {
        case 1:
          TileOfRows<1, kMaxRows>(rows, linear, a, t);
          break;
        case 2:
          TileOfRows<2, kMaxRows>(rows, linear, a, t);
          break;
        case 3:
          TileOfRows<3, kMaxRows>(rows, linear, a, t);
          break;
        default:
          TileOfRows<4, kMaxRows>(rows, linear, a, t);
      }
    }
    first += width;
    weight += panel;
  }
}

}  // namespace

extern const LinearCpuKernels kLinearKernels;
const LinearCpuKernels kLinearKernels{AVOCET_ISA_NAME, kMaxPanel, &Run};

}  // namespace avocet::kernels::AVOCET_ISA
