// SPDX-License-Identifier: Apache-2.0
#include "io/surface.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <random>

#include "io/marching_cubes.h"
#include "tests/io/io_test_util.h"
#include "tests/support/test_support.h"

namespace avocet::io {
namespace {

using test::ExpectError;
using test::Slurp;
using test::TemporaryFolder;

Volume Ball(const Geometry& g, double radius_mm) {
  Volume volume = Volume::Zeros(g, VoxelType::kUInt8);
  const auto centre =
      g.PhysicalFromIndex({g.size[0] / 2.0 - 0.3, g.size[1] / 2.0 - 0.4, g.size[2] / 2.0 - 0.6});
  int64_t n = 0;
  for (int64_t k = 0; k < g.size[2]; ++k)
    for (int64_t j = 0; j < g.size[1]; ++j)
      for (int64_t i = 0; i < g.size[0]; ++i, ++n) {
        const auto x = g.PhysicalFromIndex(
            {static_cast<double>(i), static_cast<double>(j), static_cast<double>(k)});
        double r = 0;
        for (int a = 0; a < 3; ++a) r += (x[a] - centre[a]) * (x[a] - centre[a]);
        if (r < radius_mm * radius_mm) volume.As<uint8_t>()[n] = 3;
      }
  return volume;
}

double VoxelVolume(const Volume& labels, int label) {
  const auto values = labels.ToLabels("test");
  const auto& g = labels.geometry;
  return static_cast<double>(std::count(values.begin(), values.end(), label)) * g.spacing[0] *
         g.spacing[1] * g.spacing[2];
}

// Watertight: every directed edge has its opposite, once each (two-sided manifold along edges).
void ExpectClosed(const Surface& surface) {
  std::map<std::pair<uint32_t, uint32_t>, int> edges;
  for (const auto& t : surface.triangles)
    for (int c = 0; c < 3; ++c) ++edges[{t[c], t[(c + 1) % 3]}];
  for (const auto& [edge, times] : edges) {
    ASSERT_EQ(times, 1);
    const auto opposite = edges.find({edge.second, edge.first});
    ASSERT_TRUE(opposite != edges.end());
  }
}

Geometry Grid(int64_t n) {
  Geometry g;
  g.size = {n, n + 2, n + 4};
  g.origin = {-31, 12, 400};
  return g;
}

TEST(Surface, BallKeepsItsVolumeWithinOnePercent) {
  const Volume ball = Ball(Grid(44), 18);
  const double expected = VoxelVolume(ball, 3);
  SurfaceOptions options;
  for (const int smoothing : {0, 10, 40}) {
    options.smoothing = smoothing;
    options.keep_volume = false;
    const double raw = SurfaceOfLabel(ball, 3, options).Volume();
    options.keep_volume = true;
    const Surface surface = SurfaceOfLabel(ball, 3, options);
    ExpectClosed(surface);
    std::printf("smoothing %d: raw volume %.3f %%, kept %.4f %%, area %.2f %%\n", smoothing,
                100 * raw / expected, 100 * surface.Volume() / expected,
                100 * surface.Area() / (4 * 3.14159265 * 18 * 18));
    EXPECT_NEAR(raw / expected, 1, 0.01);
    EXPECT_NEAR(surface.Volume() / expected, 1, 0.001);
    if (smoothing > 0) {
      EXPECT_NEAR(surface.Area() / (4 * 3.14159265 * 18 * 18), 1, 0.02);
    }
    // On the sphere, half a voxel each way and a little.
    const auto centre = ball.geometry.PhysicalFromIndex({21.7, 22.6, 23.4});
    for (const auto& v : surface.vertices) {
      const double r = std::sqrt((v[0] - centre[0]) * (v[0] - centre[0]) +
                                 (v[1] - centre[1]) * (v[1] - centre[1]) +
                                 (v[2] - centre[2]) * (v[2] - centre[2]));
      ASSERT_NEAR(r, 18, 1.2);
    }
  }
}

TEST(Surface, ObliqueAnisotropicAndLeftHandedGridsFaceOutward) {
  for (const double sign : {1.0, -1.0}) {
    Geometry g = Grid(30);
    const double c = std::cos(0.5);
    const double s = std::sin(0.5);
    g.spacing = {0.8, 0.9, 1.4};
    g.direction = {c, -s * c, s * s * sign, s, c * c, -s * c * sign, 0, s, c * sign};
    const Volume ball = Ball(g, 9);
    const Surface surface = SurfaceOfLabel(ball, 3);
    ExpectClosed(surface);
    EXPECT_NEAR(surface.Volume() / VoxelVolume(ball, 3), 1, 0.01) << sign;
    std::array<double, 3> mean{};
    for (const auto& v : surface.vertices)
      for (int a = 0; a < 3; ++a) mean[a] += v[a] / static_cast<double>(surface.vertices.size());
    const auto centre = g.PhysicalFromIndex({14.7, 15.6, 16.4});
    for (int a = 0; a < 3; ++a) EXPECT_NEAR(mean[a], centre[a], 0.3);
  }
}

// Parts of a voxel or two once grew beyond all bounds when their volume was restored.
TEST(Surface, SinglesStayWhereTheyAre) {
  for (int voxels = 1; voxels <= 3; ++voxels) {
    Geometry g = Grid(9);
    g.spacing = {3, 2, 1};
    Volume volume = Volume::Zeros(g, VoxelType::kUInt8);
    for (int v = 0; v < voxels; ++v)
      volume.As<uint8_t>()[(4 * g.size[1] + 4) * g.size[0] + 4 + v] = 1;
    const Surface surface = SurfaceOfLabel(volume, 1);
    EXPECT_NEAR(surface.Volume() / VoxelVolume(volume, 1), 1, 0.01) << voxels;
    for (const auto& vertex : surface.vertices) {
      const auto index = g.IndexFromPhysical(vertex);
      EXPECT_GT(index[0], 2.5);
      EXPECT_LT(index[0], 5.5 + voxels);
      for (int a = 1; a < 3; ++a) EXPECT_LT(std::abs(index[a] - 4), 3);
    }
  }
}

TEST(Surface, AnyPatternOfVoxelsIsClosed) {
  std::mt19937 random(3);
  Geometry g;
  g.size = {7, 6, 5};
  for (int round = 0; round < 300; ++round) {
    Volume volume = Volume::Zeros(g, VoxelType::kUInt8);
    const unsigned density = 1 + random() % 9;
    for (int64_t i = 0; i < volume.ValueCount(); ++i)
      volume.As<uint8_t>()[i] = random() % 10 < density ? 1 : 2;
    SurfaceOptions raw;
    raw.smoothing = 0;
    raw.keep_volume = false;
    const Surface surface = SurfaceOfLabel(volume, 1, raw);
    ExpectClosed(surface);
    if (!surface.triangles.empty()) {
      ASSERT_GT(surface.Volume(), 0);
    }
    const Surface smooth = SurfaceOfLabel(volume, 1);
    for (const auto& v : smooth.vertices)
      for (int a = 0; a < 3; ++a) ASSERT_TRUE(std::isfinite(v[a]));
  }
}

TEST(Surface, EveryCaseOfTheTableHasItsTriangles) {
  for (int inside = 0; inside < 256; ++inside) {
    const auto& triangles = MarchingCubes().triangles[static_cast<size_t>(inside)];
    EXPECT_EQ(triangles.empty(), inside == 0 || inside == 255) << inside;
  }
}

TEST(Surface, AllPairsOfCubesAgreeOnTheirFace) {
  // 3 x 2 x 2 voxels hold every pair of neighbouring cubes: closed with the margin around.
  Geometry g;
  g.size = {3, 2, 2};
  SurfaceOptions raw;
  raw.smoothing = 0;
  raw.keep_volume = false;
  for (int pattern = 1; pattern < 4096; ++pattern) {
    Volume volume = Volume::Zeros(g, VoxelType::kUInt8);
    for (int i = 0; i < 12; ++i) volume.As<uint8_t>()[i] = pattern >> i & 1;
    ExpectClosed(SurfaceOfLabel(volume, 1, raw));
    if (HasFatalFailure()) FAIL() << pattern;
  }
}

TEST(Surface, FilesHoldTheSameMesh) {
  const Volume ball = Ball(Grid(16), 5);
  std::vector<Surface> surfaces{SurfaceOfLabel(ball, 3)};
  surfaces[0].name = "my ball";
  const size_t n = surfaces[0].triangles.size();
  const auto folder = TemporaryFolder();
  WriteSurfaces(surfaces, folder / "a.stl");
  const std::string stl = Slurp(folder / "a.stl");
  ASSERT_EQ(stl.size(), 84 + 50 * n);
  uint32_t count = 0;
  std::memcpy(&count, stl.data() + 80, 4);
  EXPECT_EQ(count, n);
  EXPECT_NE(stl.substr(0, 5), "solid");
  float numbers[12];
  double volume = 0;
  for (size_t t = 0; t < n; ++t) {
    std::memcpy(numbers, stl.data() + 84 + 50 * t, 48);
    const float* p = numbers + 3;
    volume += (p[0] * (p[4] * p[8] - p[5] * p[7]) - p[1] * (p[3] * p[8] - p[5] * p[6]) +
               p[2] * (p[3] * p[7] - p[4] * p[6])) /
              6.0;
    const double length =
        std::sqrt(numbers[0] * numbers[0] + numbers[1] * numbers[1] + numbers[2] * numbers[2]);
    EXPECT_NEAR(length, 1, 1e-5);
  }
  EXPECT_NEAR(volume, surfaces[0].Volume(), 0.01 * surfaces[0].Volume());
  WriteSurfaces(surfaces, folder / "a.OBJ");
  const std::string obj = Slurp(folder / "a.OBJ");
  EXPECT_NE(obj.find("g my_ball\n"), std::string::npos);
  size_t faces = 0;
  for (size_t at = obj.find("\nf "); at != std::string::npos; at = obj.find("\nf ", at + 1))
    ++faces;
  EXPECT_EQ(faces, n);
  WriteSurfaces(surfaces, folder / "a.ply");
  const std::string ply = Slurp(folder / "a.ply");
  const size_t body = ply.find("end_header\n") + 11;
  EXPECT_EQ(ply.size() - body, surfaces[0].vertices.size() * 15 + n * 15);
  ExpectError([&] { WriteSurfaces(surfaces, folder / "a.vtk"); }, {"a.vtk", ".stl"});
  ExpectError([&] { WriteSurfaces({SurfaceOfLabel(ball, 9)}, folder / "b.stl"); }, {"empty"});
  EXPECT_FALSE(std::filesystem::exists(folder / "b.stl"));
}

}  // namespace
}  // namespace avocet::io
