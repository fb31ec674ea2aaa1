// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <vector>

#include "io/volume.h"

namespace avocet::test {

// New index axis a is old axis from[a], run backwards where reversed[a].
struct AxisOrder {
  std::array<int, 3> from{0, 1, 2};
  std::array<bool, 3> reversed{false, false, false};
};

// The 48 ways of storing one volume.
inline std::vector<AxisOrder> AllAxisOrders() {
  std::vector<AxisOrder> all;
  std::array<int, 3> order{0, 1, 2};
  do {
    for (int flips = 0; flips < 8; ++flips) {
      all.push_back({order, {(flips & 1) != 0, (flips & 2) != 0, (flips & 4) != 0}});
    }
  } while (std::next_permutation(order.begin(), order.end()));
  return all;
}

// Rotations by `angles` about x, y, z, row-major.
inline std::array<double, 9> Rotation(const std::array<double, 3>& angles) {
  std::array<double, 9> r{1, 0, 0, 0, 1, 0, 0, 0, 1};
  for (int axis = 0; axis < 3; ++axis) {
    const int p = (axis + 1) % 3;
    const int q = (axis + 2) % 3;
    const double c = std::cos(angles[axis]);
    const double s = std::sin(angles[axis]);
    for (int row = 0; row < 3; ++row) {
      const double x = r[row * 3 + p];
      const double y = r[row * 3 + q];
      r[row * 3 + p] = c * x + s * y;
      r[row * 3 + q] = -s * x + c * y;
    }
  }
  return r;
}

// An int16 volume with a different value in each voxel, so that any turn shows.
inline io::Volume NumberedVolume(const std::array<int64_t, 3>& size,
                                 const std::array<double, 9>& direction) {
  io::Geometry geometry;
  geometry.size = size;
  geometry.spacing = {0.7, 1.1, 2.3};
  geometry.origin = {-31.5, 42.25, -7.75};
  geometry.direction = direction;
  io::Volume volume = io::Volume::Zeros(geometry, io::VoxelType::kInt16);
  for (int64_t i = 0; i < geometry.VoxelCount(); ++i) {
    volume.As<int16_t>()[i] = static_cast<int16_t>(i * 7 - 100);
  }
  return volume;
}

// The same anatomy stored otherwise: each voxel keeps its place in the patient.
inline io::Volume Stored(const io::Volume& volume, const AxisOrder& order) {
  io::Volume turned = volume;
  const io::Geometry& old = volume.geometry;
  io::Geometry& g = turned.geometry;
  std::array<double, 3> corner{};
  for (int a = 0; a < 3; ++a) {
    const int from = order.from[a];
    g.size[a] = old.size[from];
    g.spacing[a] = old.spacing[from];
    corner[from] = order.reversed[a] ? static_cast<double>(old.size[from] - 1) : 0;
    for (int row = 0; row < 3; ++row) {
      g.direction[row * 3 + a] = old.direction[row * 3 + from] * (order.reversed[a] ? -1 : 1);
    }
  }
  g.origin = old.PhysicalFromIndex(corner);
  size_t next = 0;
  for (int64_t k = 0; k < g.size[2]; ++k) {
    for (int64_t j = 0; j < g.size[1]; ++j) {
      for (int64_t i = 0; i < g.size[0]; ++i) {
        const std::array<int64_t, 3> index{i, j, k};
        std::array<int64_t, 3> at{};
        for (int a = 0; a < 3; ++a) {
          at[order.from[a]] = order.reversed[a] ? g.size[a] - 1 - index[a] : index[a];
        }
        turned.As<int16_t>()[next++] =
            volume.As<int16_t>()[(at[2] * old.size[1] + at[1]) * old.size[0] + at[0]];
      }
    }
  }
  return turned;
}

// Where the voxels above `threshold` lie in the patient, LPS mm.
inline std::array<double, 3> Centroid(const io::Volume& volume, float threshold) {
  const std::vector<float> values = volume.ToFloat();
  const auto& size = volume.geometry.size;
  std::array<double, 3> sum{};
  double count = 0;
  for (size_t n = 0; n < values.size(); ++n) {
    if (values[n] <= threshold) continue;
    const auto at = static_cast<int64_t>(n);
    const auto x = volume.geometry.PhysicalFromIndex({static_cast<double>(at % size[0]),
                                                      static_cast<double>(at / size[0] % size[1]),
                                                      static_cast<double>(at / size[0] / size[1])});
    for (int row = 0; row < 3; ++row) sum[row] += x[row];
    ++count;
  }
  for (double& s : sum) s /= count;
  return sum;
}

}  // namespace avocet::test
