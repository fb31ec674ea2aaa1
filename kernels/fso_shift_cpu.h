// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

namespace avocet::kernels {

constexpr int64_t kFsoLanes = 16;  // channels in a vector
constexpr int64_t kFsoBorder = 2;  // pixels of zeros around a grid, the reach of the offsets

// Neighbouring lanes of one vector that take their shifted value from the same place.
struct FsoRun {
  int64_t shift = 0;        // elements from the pixel to its source, on the padded grid
  int64_t block_shift = 0;  // the same on the padded grid of block means
  int32_t first = 0, count = 0;
  uint32_t mask = 0;  // bits first to first + count
};

// One image with even sides on a zero-bordered grid, and its 2 x 2 block means likewise, so that
// the stencil needs no bounds. Channels are padded to whole vectors.
template <typename T>
struct FsoGrid {
  int64_t rows = 0, cols = 0, channels = 0;
  const T* x = nullptr;  // [rows, cols, channels]
  // LayerNorm applied on loading; null: none. [Lanes()], zeros beyond the last channel.
  const T* norm_weight = nullptr;
  const T* norm_bias = nullptr;
  double eps = 0;
  T* z = nullptr;  // [rows + 4, cols + 4, Lanes()]
  T* m = nullptr;  // [rows / 2 + 4, cols / 2 + 4, Lanes()]
  // Runs of vector v are runs[first_run[v]] up to runs[first_run[v + 1]].
  std::vector<FsoRun> runs;
  std::vector<int32_t> first_run;

  int64_t Lanes() const { return (channels + kFsoLanes - 1) / kFsoLanes * kFsoLanes; }
  int64_t PaddedCols() const { return cols + 2 * kFsoBorder; }
  int64_t PaddedBlockCols() const { return cols / 2 + 2 * kFsoBorder; }
  int64_t PixelElements() const { return (rows + 2 * kFsoBorder) * PaddedCols() * Lanes(); }
  int64_t BlockElements() const {
    return (rows / 2 + 2 * kFsoBorder) * PaddedBlockCols() * Lanes();
  }
  // Fills runs and first_run. `transpose` negates the offsets: the adjoint of the stencil.
  void Plan(bool transpose);
};

// out[j] = z + keep[j] * (FSO(z) - z) for `count` tokens from `first` on.
template <typename T>
struct FsoMixArgs {
  int64_t first = 0, count = 0;
  int mixes = 0;            // 1 to 3
  const T* keep[3] = {};    // [Lanes()] each; 1 gives FSO(z)
  T* out[3] = {};           // [count, channels] each
  T* difference = nullptr;  // FSO(z) - z, the same shape; null: not wanted
};

struct FsoCpuKernels {
  const char* isa;
  // Fills rows 2 i and 2 i + 1 and block row i, borders included. Block rows are independent.
  void (*load_f32)(const FsoGrid<float>&, int64_t block_row);
  void (*load_f64)(const FsoGrid<double>&, int64_t block_row);
  void (*mix_f32)(const FsoGrid<float>&, const FsoMixArgs<float>&);
  void (*mix_f64)(const FsoGrid<double>&, const FsoMixArgs<double>&);
  // The pointwise steps between the matrix products of a block, n elements each.
  void (*squared_relu)(float* x, int64_t n);                              // max(0, x)^2
  void (*gate)(const float* r, const float* y, float* out, int64_t n);    // sigmoid(r) y
  void (*gate_add)(const float* r, const float* y, float* x, int64_t n);  // x += sigmoid(r) y
};

// For the best instruction set of this processor; AVOCET_ISA asks for a lesser one.
const FsoCpuKernels& SelectFsoCpuKernels();

}  // namespace avocet::kernels
