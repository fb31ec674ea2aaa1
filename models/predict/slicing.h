// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "models/model_card.h"
#include "models/predict/slice_layout.h"

// How a volume becomes network input and how the network's output becomes a volume again. Training
// and prediction share this file, so that a network sees the same pixels in both.
namespace avocet::models {

// stored: [k, j, i] (a volume's buffer), any element type -> [slices, rows, columns], contiguous.
at::Tensor CanonicalFromStored(const at::Tensor& stored, const SliceLayout& layout);
// The inverse. Leading dimensions (classes) are kept: [..., slices, rows, columns] -> [..., k, j,
// i].
at::Tensor StoredFromCanonical(const at::Tensor& canonical, const SliceLayout& layout);

// scaled = (min(max(value, lower), upper) - offset) * factor; what is not finite becomes 0.
struct IntensityScale {
  double lower, upper, offset, factor;
  bool clips = false;

  at::Tensor Apply(const at::Tensor& values) const;  // float32, same shape
};

// The scale of a whole volume, by Preprocessing::intensity. Statistics are taken over finite
// values; percentiles interpolate linearly between order statistics (NumPy's default). When the
// percentiles coincide, the range of all values is used; a constant volume scales to 0. Throws
// ModelError on an unknown name.
IntensityScale FindIntensityScale(const float* values, int64_t count, const Preprocessing& steps);

// The slices of one volume as network input. With the "transunet" resampling these are the slices
// of the array as stored, whatever the card's plane says. Keeps a view: the voxels must outlive it.
class SliceSource {
 public:
  // Throws ModelError when the card asks for something unknown.
  SliceSource(const VolumeView& volume, const ModelCard& card);

  const SliceLayout& layout() const { return layout_; }
  const IntensityScale& scale() const { return scale_; }
  int64_t slices() const { return layout_.size[0]; }
  // Size of a slice as the network sees it (before its own padding to a multiple of 16).
  int64_t network_rows() const { return network_rows_; }
  int64_t network_columns() const { return network_columns_; }
  int64_t channels() const { return 2 * steps_.context + 1; }

  // Canonical slices [first, first + count): float32 [count, channels, network_rows,
  // network_columns]. Channels are the slices s - context .. s + context; beyond the first and last
  // slice the outermost one is repeated.
  at::Tensor Batch(int64_t first, int64_t count) const;

  // logits [count, classes, network_rows, network_columns] -> class indices [count, rows, columns],
  // uint8 (int32 above 256 classes). Logits are resampled before argmax ("spacing"), or the argmax
  // is restored with order 0 ("transunet").
  at::Tensor Labels(const at::Tensor& logits) const;
  // The same, but softmax probabilities, float32 [count, classes, rows, columns].
  at::Tensor Probabilities(const at::Tensor& logits) const;

  // Label slices [slices, rows, columns] (of layout(), integer) on the network's grid, int64,
  // nearest neighbour ("transunet": order-0 zoom): what training compares the logits with.
  at::Tensor NetworkLabels(const at::Tensor& canonical_labels) const;

 private:
  at::Tensor CanonicalSlices(int64_t first, int64_t count) const;  // scaled, clamped to the volume
  at::Tensor Resample(const at::Tensor& slices) const;
  at::Tensor Restored(const at::Tensor& planes, bool corner_aligned) const;

  VolumeView volume_;
  Preprocessing steps_;
  SliceLayout layout_;
  IntensityScale scale_;
  int64_t network_rows_ = 0;
  int64_t network_columns_ = 0;
};

}  // namespace avocet::models
