// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <string>

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

// The plane in which a volume was acquired, as far as its grid tells: that of its only slice, or
// the one across the axis whose spacing exceeds both others by more than a tenth. `otherwise` when
// there is none (isotropic voxels).
std::string ChoosePlane(const VolumeView& volume, const std::string& otherwise);

// Slices along k, rows along j, columns along i, nothing reversed: the array as stored, which is
// what the published TransUNet protocol takes.
SliceLayout StoredSliceLayout(const VolumeView& volume);

}  // namespace avocet::models
