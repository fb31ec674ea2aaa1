// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "models/model_card.h"

// How a volume becomes network input and how the network's output becomes a volume again. Training
// and prediction share this file, so that a network sees the same pixels in both.
namespace avocet::models {

// A volume as the models see it: no image library, no ownership. Conventions are those of
// io::Geometry: index (i, j, k) runs fastest to slowest in memory; the columns of the row-major
// `direction` are the directions of i, j, k in LPS; spacing in millimetres.
struct VolumeView {
  const float* values = nullptr;
  std::array<int64_t, 3> size{0, 0, 0};
  std::array<double, 3> spacing{1, 1, 1};
  std::array<double, 9> direction{1, 0, 0, 0, 1, 0, 0, 0, 1};

  int64_t VoxelCount() const { return size[0] * size[1] * size[2]; }
};

// Which index axis plays which part in the slices of a plane, and whether it runs against the
// canonical direction. Canonical slices look as a radiologist expects them on a screen (the
// patient's right is on the left of the picture), whatever the order of axes in the file:
//
//   plane      slices run             rows run (downwards)     columns run (to the right)
//   axial      inferior -> superior   anterior -> posterior    right -> left
//   coronal    anterior -> posterior  superior -> inferior     right -> left
//   sagittal   right -> left          superior -> inferior     anterior -> posterior
//
// Oblique volumes are not rotated: each index axis stands for its nearest anatomical axis (the
// assignment of the three with the largest sum of direction cosines).
struct SliceLayout {
  std::array<int, 3> axis{2, 1, 0};  // index axis of slices, rows, columns
  std::array<bool, 3> reversed{false, false, false};
  std::array<int64_t, 3> size{0, 0, 0};    // slices, rows, columns
  std::array<double, 3> spacing{1, 1, 1};  // mm between slices, rows, columns
};

// Throws ModelError when `plane` is none of "axial", "coronal", "sagittal".
SliceLayout FindSliceLayout(const VolumeView& volume, const std::string& plane);

// Slices along k, rows along j, columns along i, nothing reversed: the array as stored, which is
// what the published TransUNet protocol takes.
SliceLayout StoredSliceLayout(const VolumeView& volume);

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

// The slices of one volume as network input. Keeps a view: the voxels must outlive it.
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

  // Label slices [slices, rows, columns] (canonical, integer) on the network's grid, int64, nearest
  // neighbour: what training compares the logits with.
  at::Tensor NetworkLabels(const at::Tensor& canonical_labels) const;

 private:
  at::Tensor CanonicalSlices(int64_t first, int64_t count) const;  // scaled, clamped to the volume
  at::Tensor Resample(const at::Tensor& slices) const;

  VolumeView volume_;
  Preprocessing steps_;
  SliceLayout layout_;
  IntensityScale scale_;
  int64_t network_rows_ = 0;
  int64_t network_columns_ = 0;
};

}  // namespace avocet::models
