// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "models/predict/slicing.h"

namespace avocet::models::test {

// A small volume that owns its voxels.
struct OrientedVolume {
  std::vector<float> values;
  std::array<int64_t, 3> size{0, 0, 0};
  std::array<double, 3> spacing{1, 1, 1};
  std::array<double, 9> direction{1, 0, 0, 0, 1, 0, 0, 0, 1};

  VolumeView View() const { return {values.data(), size, spacing, direction}; }
};

// New index axis a is old axis `from[a]`, run backwards where `reversed[a]`.
struct Orientation {
  std::array<int, 3> from{0, 1, 2};
  std::array<bool, 3> reversed{false, false, false};
};

// The 48 ways of storing one volume.
inline std::vector<Orientation> AllOrientations() {
  std::vector<Orientation> all;
  std::array<int, 3> order{0, 1, 2};
  do {
    for (int flips = 0; flips < 8; ++flips) {
      all.push_back({order, {(flips & 1) != 0, (flips & 2) != 0, (flips & 4) != 0}});
    }
  } while (std::next_permutation(order.begin(), order.end()));
  return all;
}

// Voxels in another storage order; T = float, label types.
template <typename T>
std::vector<T> ReorientValues(const std::vector<T>& values, const std::array<int64_t, 3>& old_size,
                              const Orientation& orientation) {
  std::array<int64_t, 3> size{};
  for (int a = 0; a < 3; ++a) size[a] = old_size[orientation.from[a]];
  std::vector<T> turned(values.size());
  std::array<int64_t, 3> index{};
  size_t next = 0;
  for (index[2] = 0; index[2] < size[2]; ++index[2]) {
    for (index[1] = 0; index[1] < size[1]; ++index[1]) {
      for (index[0] = 0; index[0] < size[0]; ++index[0]) {
        std::array<int64_t, 3> old{};
        for (int a = 0; a < 3; ++a) {
          old[orientation.from[a]] = orientation.reversed[a] ? size[a] - 1 - index[a] : index[a];
        }
        turned[next++] = values[(old[2] * old_size[1] + old[1]) * old_size[0] + old[0]];
      }
    }
  }
  return turned;
}

// The same anatomy, stored otherwise.
inline OrientedVolume Reorient(const OrientedVolume& volume, const Orientation& orientation) {
  OrientedVolume turned;
  turned.values = ReorientValues(volume.values, volume.size, orientation);
  for (int a = 0; a < 3; ++a) {
    const int from = orientation.from[a];
    turned.size[a] = volume.size[from];
    turned.spacing[a] = volume.spacing[from];
    for (int row = 0; row < 3; ++row) {
      turned.direction[3 * row + a] =
          volume.direction[3 * row + from] * (orientation.reversed[a] ? -1 : 1);
    }
  }
  return turned;
}

}  // namespace avocet::models::test
