// SPDX-License-Identifier: Apache-2.0
#include "io/volume.h"

#include <gtest/gtest.h>

#include <limits>

#include "tests/io/io_test_util.h"

namespace avocet::io {
namespace {

using test::ExpectError;

Geometry Oblique() {
  Geometry geometry;
  geometry.size = {5, 6, 7};
  geometry.spacing = {0.5, 2, 3};
  geometry.origin = {10, -20, 30};
  const double c = std::cos(0.3);
  const double s = std::sin(0.3);
  geometry.direction = {c, -s, 0, s, c, 0, 0, 0, 1};
  return geometry;
}

TEST(Geometry, PhysicalAndIndexAreInverse) {
  const Geometry geometry = Oblique();
  const auto x = geometry.PhysicalFromIndex({1, 2, 3});
  EXPECT_NEAR(x[0], 10 + std::cos(0.3) * 0.5 - std::sin(0.3) * 4, 1e-12);
  EXPECT_NEAR(x[1], -20 + std::sin(0.3) * 0.5 + std::cos(0.3) * 4, 1e-12);
  EXPECT_NEAR(x[2], 39, 1e-12);
  const auto index = geometry.IndexFromPhysical(x);
  for (int i = 0; i < 3; ++i) EXPECT_NEAR(index[i], i + 1, 1e-12);
}

TEST(Geometry, InverseHoldsForShearedAxes) {
  Geometry geometry = Oblique();
  geometry.direction = {1, 0.6, 0, 0, 0.8, 0, 0, 0, 1};
  EXPECT_FALSE(geometry.IsOrthonormal());
  const auto index = geometry.IndexFromPhysical(geometry.PhysicalFromIndex({-1, 2.5, 4}));
  EXPECT_NEAR(index[0], -1, 1e-12);
  EXPECT_NEAR(index[1], 2.5, 1e-12);
  EXPECT_NEAR(index[2], 4, 1e-12);
}

TEST(Geometry, Letters) {
  Geometry geometry;
  EXPECT_EQ(geometry.OrientationLetters(), "LPS");
  geometry.direction = {-1, 0, 0, 0, -1, 0, 0, 0, 1};
  EXPECT_EQ(geometry.OrientationLetters(), "RAS");
  geometry.direction = {0, 0, -1, 1, 0, 0, 0, -1, 0};  // i to P, j to I, k to R
  EXPECT_EQ(geometry.OrientationLetters(), "PIR");
  // Both i and j lie nearest to x; each must still get a letter of its own.
  geometry.direction = {0.8, 0.75, 0, 0.6, -0.66, 0, 0, 0, 1};
  EXPECT_EQ(geometry.OrientationLetters(), "LAS");
}

TEST(Geometry, CornerDistance) {
  const Geometry a = Oblique();
  Geometry b = a;
  EXPECT_EQ(MaxCornerDistance(a, b), 0);
  b.origin[1] += 5;
  EXPECT_NEAR(MaxCornerDistance(a, b), 5, 1e-12);
  b = a;
  b.spacing[2] += 0.1;  // the far corner moves by 6 steps
  EXPECT_NEAR(MaxCornerDistance(a, b), 0.6, 1e-12);
  b.size[0] = 4;
  EXPECT_TRUE(std::isinf(MaxCornerDistance(a, b)));
}

TEST(Volume, ZerosRefusesAbsurdSizes) {
  Geometry geometry;
  geometry.size = {int64_t{1} << 31, int64_t{1} << 31, int64_t{1} << 31};
  ExpectError([&] { Volume::Zeros(geometry, VoxelType::kFloat64); }, {"memory"});
#ifndef __SANITIZE_ADDRESS__  // which ends the process instead of throwing bad_alloc
  geometry.size = {int64_t{1} << 20, int64_t{1} << 20, 1 << 10};  // 1 PiB: fits no machine
  ExpectError([&] { Volume::Zeros(geometry, VoxelType::kUInt8); }, {"memory"});
#endif
  geometry.size = {-1, 2, 3};
  ExpectError([&] { Volume::Zeros(geometry, VoxelType::kUInt8); }, {"-1"});
}

TEST(Volume, FloatsAreScaledPerFrame) {
  Geometry geometry;
  geometry.size = {2, 1, 1};
  Volume volume = Volume::Zeros(geometry, VoxelType::kInt16);
  volume.frames = 2;
  volume.data.resize(8);
  const int16_t stored[] = {1, -2, 30000, -32768};
  std::copy(stored, stored + 4, volume.As<int16_t>());
  volume.scaling = {0.5, -10};
  EXPECT_EQ(volume.ToFloat(0), (std::vector<float>{-9.5F, -11.F}));
  EXPECT_EQ(volume.ToFloat(1), (std::vector<float>{14990.F, -16394.F}));
  ExpectError([&] { volume.ToFloat(2); }, {"frame 2"});
}

TEST(Volume, EveryTypeConverts) {
  Geometry geometry;
  geometry.size = {3, 1, 1};
  for (int t = 0; t <= static_cast<int>(VoxelType::kFloat64); ++t) {
    const auto type = static_cast<VoxelType>(t);
    Volume volume = Volume::Zeros(geometry, type);
    ASSERT_EQ(volume.data.size(), 3 * SizeOf(type));
    // 1 and 3 as the low byte, which is all there is to see in a little-endian integer.
    if (type == VoxelType::kFloat32) {
      volume.As<float>()[1] = 1, volume.As<float>()[2] = 3;
    } else if (type == VoxelType::kFloat64) {
      volume.As<double>()[1] = 1, volume.As<double>()[2] = 3;
    } else {
      volume.data[SizeOf(type)] = std::byte{1};
      volume.data[2 * SizeOf(type)] = std::byte{3};
    }
    EXPECT_EQ(volume.ToFloat(), (std::vector<float>{0, 1, 3})) << NameOf(type);
    EXPECT_EQ(volume.ToLabels("x"), (std::vector<uint16_t>{0, 1, 3})) << NameOf(type);
  }
}

TEST(Volume, LabelsAreWholeNumbers) {
  Geometry geometry;
  geometry.size = {2, 1, 1};
  Volume volume = Volume::Zeros(geometry, VoxelType::kFloat32);
  volume.As<float>()[1] = 2.0004F;
  EXPECT_EQ(volume.ToLabels("a.nii"), (std::vector<uint16_t>{0, 2}));
  for (const float bad : {0.25F, -1.F, 65536.F, std::numeric_limits<float>::quiet_NaN(),
                          std::numeric_limits<float>::infinity()}) {
    volume.As<float>()[1] = bad;
    ExpectError([&] { volume.ToLabels("a.nii"); }, {"a.nii", "label"});
  }
  volume.As<float>()[1] = 1;
  volume.scaling = {0.5, 0};
  ExpectError([&] { volume.ToLabels("a.nii"); }, {"0.5"});
  volume.scaling = {1, 0};
  volume.components = 3;
  ExpectError([&] { volume.ToLabels("a.nii"); }, {"colour"});
}

}  // namespace
}  // namespace avocet::io
