// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "kernels/linear_cpu.h"

namespace avocet::kernels {

// The steps between the matrix products of Vision-RWKV blocks, for inference; rows of channels are
// padded with zeros (kChannelPad), vectors of parameters likewise.

// y = LayerNorm(x) over the channels, with what stands around it:
//   t = x, or sigmoid(gate_before) x
//   n = LayerNorm(t) weight + bias
//   y = n, or sigmoid(gate_after) n;  + add
struct NormRows {
  int64_t rows = 0, channels = 0;  // true channels
  const float* x = nullptr;        // [rows, PaddedChannels(channels)], as all below
  const float* gate_before = nullptr;
  const float* gate_after = nullptr;
  const float* add = nullptr;
  const float* weight = nullptr;  // [padded], zeros at the end
  const float* bias = nullptr;
  float eps = 1e-5f;
  float* y = nullptr;  // may be one of the inputs
};

// q-shift and the mix with it: y = s + (x - s) keep, s = each quarter of the channels taken from
// the left, right, upper, lower neighbour, zero outside. Quarters end at floor(n channels / 4).
struct QShiftMix {
  int64_t rows = 0, cols = 0, channels = 0;
  const float* x = nullptr;      // image [rows, cols, padded]
  int64_t first = 0, count = 0;  // tokens, counted along rows
  int mixes = 0;                 // 1 to 3
  const float* keep[3] = {};     // [padded] each
  float* y[3] = {};              // [count, padded] each
};

// One row of a bilinear resize without aligned corners (source = (i + 1/2) in / out - 1/2,
// clamped).
struct BilinearRow {
  int64_t rows = 0, cols = 0;  // of x
  int64_t channels = 0;        // to copy, a multiple of kChannelPad
  const float* x = nullptr;
  int64_t x_stride = 0;  // floats from pixel to pixel; rows follow each other
  int64_t out_rows = 0, out_cols = 0;
  int64_t row = 0;  // of the result
  float* y = nullptr;
  int64_t y_stride = 0;
};

// One row of a plane twice as large in both directions, resized as above.
struct DoubledRow {
  int64_t rows = 0, cols = 0;  // of x
  const float* x = nullptr;
  int64_t row = 0;        // of the result
  float* line = nullptr;  // scratch, [cols + 2]
  float* y = nullptr;     // [2 cols]
};

struct TokenCpuKernels {
  const char* isa;
  void (*norm)(const NormRows&);
  void (*mix)(const QShiftMix&);
  void (*bilinear)(const BilinearRow&);
  void (*doubled)(const DoubledRow&);
};
const TokenCpuKernels& SelectTokenCpuKernels();

}  // namespace avocet::kernels
