// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <vector>

#include "models/rwkv_unet/frozen_parts.h"
#include "models/rwkv_unet/rwkv_unet.h"

namespace avocet::models {

// RWKV-UNet for inference on the CPU: the same function as RwkvUnet in evaluation mode up to
// rounding, from constants folded and laid out once. What differs: batch norms are part of the
// convolutions, linear steps that follow each other are one, pointwise convolutions run before an
// enlargement instead of after it, and images are worked through in bands that stay in the cache.
// Each image's result is the same bits in any batch and with any number of threads.
class FrozenRwkvUnet {
 public:
  // Takes what it needs from `parameters`; later changes there do not show here.
  FrozenRwkvUnet(const std::vector<RwkvUnetBlock>& blocks, const ParameterStore& parameters,
                 Precision precision);

  // image: [N, 1 or 3, H, W] float32, H and W multiples of 16. Returns logits [N, classes, H, W].
  // Thread-safe.
  at::Tensor Forward(const at::Tensor& image, WkvMode mode) const;

 private:
  // An image of padded channels.
  struct Grid {
    int64_t rows = 0, cols = 0, stride = 0;
    at::Tensor data;

    Grid() = default;
    Grid(int64_t rows, int64_t cols, int64_t channels);
    float* At(int64_t row) const { return data.mutable_data_ptr<float>() + row * cols * stride; }
  };

  at::Tensor Logits(const at::Tensor& planes, WkvMode mode) const;
  Grid Stem(const at::Tensor& planes) const;
  Grid Attention(const FrozenBlock& block, const Grid& x, WkvMode mode) const;
  Grid Block(const FrozenBlock& block, const Grid& x, WkvMode mode) const;
  // Part n of the mixer's result at 1/8, 1/4 and 1/2 resolution.
  std::array<Grid, 3> Mix(const Grid& enc3, const Grid& enc2, const Grid& enc1) const;
  Grid Decode(int stage, const Grid& x, const Grid* skip) const;
  at::Tensor Head(const Grid& x) const;

  FrozenStem stem_;
  std::vector<FrozenBlock> blocks_;  // stages 1 to 4
  FrozenMixer mixer_;
  std::array<kernels::LocalBlock, 4> decoders_;
  kernels::PackedLinear head_;
};

}  // namespace avocet::models
