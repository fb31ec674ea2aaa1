// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "models/metrics/distance_transform.h"

namespace avocet::metrics {

// Two label maps on one grid. `dims` is 2 or 3: it decides which neighbours make a border (4 or 6)
// and whether surface elements are lengths or areas; a 3-D image with one slice is not a 2-D image.
// With dims == 2, size[2] must be 1. Label is uint8_t or uint16_t.
template <typename Label>
struct LabelPair {
  const Label* prediction = nullptr;
  const Label* reference = nullptr;
  Size3 size{0, 0, 0};
  Spacing3 spacing{1, 1, 1};  // mm
  int dims = 3;
};

// What is known of one class after a single pass over both maps.
struct ClassRegion {
  int label = 0;
  int64_t prediction_voxels = 0;
  int64_t reference_voxels = 0;
  Size3 low{0, 0, 0};  // bounding box of the union, half-open; empty when both masks are
  Size3 high{0, 0, 0};

  bool empty() const { return prediction_voxels == 0 && reference_voxels == 0; }
  int64_t BoxVoxels() const { return (high[0] - low[0]) * (high[1] - low[1]) * (high[2] - low[2]); }
};

// Counts and bounding boxes of all `classes` in one pass, threads over slices.
template <typename Label>
std::vector<ClassRegion> FindRegions(const LabelPair<Label>& pair, const std::vector<int>& classes,
                                     int threads);

// Every label above 0 that occurs in either map, ascending.
template <typename Label>
std::vector<int> LabelsPresent(const LabelPair<Label>& pair, int threads);

// The two masks of one class, cut to the bounding box of their union and padded by one zero voxel
// on each side (axes i, j and, in 3-D, k). Exact for everything below: outside the array is
// background.
struct MaskPair {
  Size3 size{0, 0, 0};  // padded
  int dims = 3;
  std::vector<uint8_t> prediction;  // 0 or 1
  std::vector<uint8_t> reference;
  int64_t true_positive = 0;
};

// `region` must not be empty.
template <typename Label>
MaskPair CutMasks(const LabelPair<Label>& pair, const ClassRegion& region, int threads);

// Mask voxels that one erosion with the 4-neighbour (2-D) or 6-neighbour (3-D) cross removes:
// voxels with at least one face neighbour outside the mask. Faces of the array count as border,
// because the mask is padded with background.
std::vector<uint8_t> BorderOf(const std::vector<uint8_t>& mask, const Size3& size, int dims,
                              int threads);

// Linear indices of the non-zero bytes, ascending.
std::vector<int64_t> IndicesOf(const std::vector<uint8_t>& mask);

}  // namespace avocet::metrics
