// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "app/gui/slice_plane.h"
#include "app/gui/vec3.h"
#include "io/volume.h"

namespace avocet::gui {

// Points of a plane in the patient: pixel (column, row) has its centre at
// origin + column * along_row + row * down_column.
struct PlaneGrid {
  Vec3 origin{};
  Vec3 along_row{};
  Vec3 down_column{};
  int width = 0;
  int height = 0;
};
PlaneGrid GridOf(const ViewFrame& frame);

// Where the pixels of a grid lie in a volume: index = start + column * along + row * down.
struct IndexGrid {
  std::array<double, 3> start{}, along{}, down{};
  int width = 0, height = 0;
};
IndexGrid IndexGridOf(const PlaneGrid& grid, const io::Geometry& geometry);

struct SampleOptions {
  int64_t frame = 0;
  int component = 0;
  bool linear = true;  // trilinear; otherwise the voxel that holds the point
};

// Real values (scaling applied) of the volume at the pixels, NaN outside it. A voxel reaches half a
// voxel to each side of its centre. Nothing is copied or converted beforehand.
void SampleImage(const io::Volume& volume, const SampleOptions& options, const PlaneGrid& grid,
                 std::vector<float>& values);

// The label of the voxel that holds each pixel's centre, 0 outside.
void SampleLabels(const io::Geometry& geometry, const std::vector<uint16_t>& labels,
                  const PlaneGrid& grid, std::vector<uint16_t>& values);

}  // namespace avocet::gui
