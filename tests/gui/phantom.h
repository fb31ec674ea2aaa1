// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cmath>
#include <cstdint>

#include "io/volume.h"
#include "tests/io/axis_orders.h"

namespace avocet::test {

// A body with one bright mark on the patient's left, one half as bright anterior and one a quarter
// as bright superior, so that every turn and mirror shows. 40 x 48 x 32 voxels of 1.2 x 1 x 2 mm,
// stored towards L, P and S; `Stored` gives it any other order.
struct Phantom {
  static constexpr int16_t kBody = 100, kLeft = 1000, kAnterior = 500, kSuperior = 250;
  static constexpr std::array<int64_t, 3> kSize{40, 48, 32};
  // Box of each mark, voxels, first and last.
  static constexpr int kLeftBox[6] = {32, 36, 22, 26, 14, 18};
  static constexpr int kAnteriorBox[6] = {18, 22, 4, 8, 14, 18};
  static constexpr int kSuperiorBox[6] = {18, 22, 22, 26, 26, 29};

  static bool In(const int (&box)[6], int64_t i, int64_t j, int64_t k) {
    return i >= box[0] && i <= box[1] && j >= box[2] && j <= box[3] && k >= box[4] && k <= box[5];
  }
  static std::array<double, 3> Middle(const int (&box)[6]) {
    return {(box[0] + box[1]) / 2.0, (box[2] + box[3]) / 2.0, (box[4] + box[5]) / 2.0};
  }

  static io::Volume Make() {
    io::Geometry g;
    g.size = kSize;
    g.spacing = {1.2, 1.0, 2.0};
    g.origin = {-24, -22, -30};
    io::Volume volume = io::Volume::Zeros(g, io::VoxelType::kInt16);
    size_t next = 0;
    for (int64_t k = 0; k < kSize[2]; ++k) {
      for (int64_t j = 0; j < kSize[1]; ++j) {
        for (int64_t i = 0; i < kSize[0]; ++i) {
          const double x = (i - 19.5) / 19, y = (j - 23.5) / 23, z = (k - 15.5) / 15;
          int16_t value = x * x + y * y + z * z < 1 ? kBody : 0;
          if (In(kLeftBox, i, j, k)) value = kLeft;
          if (In(kAnteriorBox, i, j, k)) value = kAnterior;
          if (In(kSuperiorBox, i, j, k)) value = kSuperior;
          volume.As<int16_t>()[next++] = value;
        }
      }
    }
    return volume;
  }

  // The same as a label map: 1 the left mark, 2 the anterior one, 3 the superior one.
  static io::Volume Labels(const io::Volume& image) {
    io::Volume labels = image;
    for (int64_t n = 0; n < image.geometry.VoxelCount(); ++n) {
      int16_t& value = labels.As<int16_t>()[n];
      value = value == kLeft ? 1 : value == kAnterior ? 2 : value == kSuperior ? 3 : 0;
    }
    return labels;
  }
};

// A noisy head in air, of nested bodies as bright as the tissues of T1-weighted MR, for what looks
// at an image before it translates it: 96 x 96 x 24 voxels of 2 x 2 x 6 mm, turned by 0.2 rad.
inline io::Volume Head() {
  io::Geometry g;
  g.size = {96, 96, 24};
  g.spacing = {2, 2, 6};
  g.origin = {90, -80, -60};
  const double c = std::cos(0.2), s = std::sin(0.2);
  g.direction = {-c, s, 0, -s, -c, 0, 0, 0, 1};
  io::Volume image = io::Volume::Zeros(g, io::VoxelType::kInt16);
  uint32_t state = 5;
  size_t next = 0;
  for (int64_t k = 0; k < g.size[2]; ++k) {
    for (int64_t j = 0; j < g.size[1]; ++j) {
      for (int64_t i = 0; i < g.size[0]; ++i) {
        state = state * 1664525u + 1013904223u;
        const double x = 2.0 * i - 95, y = 2.0 * j - 95, z = 6.0 * k - 69;
        const double r = std::sqrt(x * x / 0.7 + y * y + z * z);
        const double folds = std::sin(x / 5) * std::sin(y / 6) * std::cos(z / 9);
        const double clean = r > 86   ? 0
                             : r > 80 ? 700                               // scalp
                             : r > 74 ? 90                                // bone
                             : r > 60 ? 380 + 90 * folds                  // grey matter
                             : r > 22 ? 520 + 80 * folds - x / 2 - y / 3  // white matter
                                      : 160 + y;                          // fluid
        image.As<int16_t>()[next++] = static_cast<int16_t>(clean + (state >> 24) / 6.0);
      }
    }
  }
  return image;
}

}  // namespace avocet::test
