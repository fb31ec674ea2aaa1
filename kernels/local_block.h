// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>

#include "kernels/aligned_buffer.h"
#include "kernels/linear_cpu.h"

namespace avocet::kernels {

// A convolution block for inference: 1x1 convolution and ReLU, depthwise convolution and SiLU, 1x1
// convolution; batch norms are folded into weights and biases. Images are rows of pixels of padded
// channels (kChannelPad).
struct LocalBlock {
  PackedLinear expand;   // then ReLU; empty: the source gives the depthwise convolution's input
  int64_t channels = 0;  // of the depthwise convolution
  int64_t kernel = 5, stride = 1;
  AlignedBuffer<float> weight, bias;  // [kernel * kernel, padded], [padded]
  bool add_centre = false;            // the depthwise convolution's input is added to its result
  PackedLinear project;
  LinearActivation activation = LinearActivation::kNone;  // of the projection

  int64_t Padding() const { return (kernel - stride + 1) / 2; }
  int64_t Out(int64_t side) const { return (side + 2 * Padding() - kernel) / stride + 1; }
};

struct PixelRow {
  const float* x;
  int64_t stride;  // floats from pixel to pixel
};
// Row `row` of the input. `scratch` may hold it. Called from several threads.
using RowSource = std::function<PixelRow(int64_t row, float* scratch)>;

struct LocalBlockCall {
  int64_t rows = 0, cols = 0;  // of the input
  // [cols, expand.in()]; without an expansion [Padding() + cols + Padding(), padded], with zeros at
  // both ends.
  RowSource source;
  int64_t scratch = 0;                   // floats that the source needs
  const PackedLinear* expand = nullptr;  // instead of the block's
  const float* add = nullptr;            // added to y, same shape
  float* y = nullptr;                    // [Out(rows), Out(cols), padded]
};

// Works through the rows with a ring of lines that stays in the cache, so that the wide middle of
// the block never is a whole image. Results do not depend on the number of threads.
void RunLocalBlock(const LocalBlock& block, const LocalBlockCall& call);

}  // namespace avocet::kernels
