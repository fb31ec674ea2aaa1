// SPDX-License-Identifier: Apache-2.0
#include "io/contours.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

namespace avocet::io {
namespace {

double AreaOf(const std::vector<Polygon>& polygons) {
  double area = 0;
  for (const Polygon& polygon : polygons)
    for (size_t i = 0; i < polygon.size(); ++i) {
      const auto& a = polygon[i];
      const auto& b = polygon[(i + 1) % polygon.size()];
      area += (a[0] * b[1] - b[0] * a[1]) / 2;
    }
  return area;
}

TEST(Contours, OnePixelIsASquareAroundItsCentre) {
  std::vector<uint8_t> plane(12);
  plane[1 * 4 + 2] = 1;
  const auto polygons = OutlinePolygons(plane, 3, 4);
  ASSERT_EQ(polygons.size(), 1U);
  ASSERT_EQ(polygons[0].size(), 4U);
  for (const auto& point : polygons[0]) {
    EXPECT_EQ(std::abs(point[0] - 2), 0.5);
    EXPECT_EQ(std::abs(point[1] - 1), 0.5);
  }
}

TEST(Contours, CornersDoNotJoinAndHolesAreChannelled) {
  std::vector<uint8_t> corners{1, 0, 0, 1};
  EXPECT_EQ(OutlinePolygons(corners, 2, 2).size(), 2U);
  std::vector<uint8_t> ring(25, 1);
  ring[12] = 0;
  const auto polygons = OutlinePolygons(ring, 5, 5);
  ASSERT_EQ(polygons.size(), 1U);
  EXPECT_EQ(polygons[0].size(), 4U + 4 + 4);  // outline, hole, two channel ends twice
  EXPECT_NEAR(AreaOf(polygons), 24, 1e-12);
}

// Random planes: outlines enclose exactly the pixels' area, filling them gives the pixels back, and
// so does filling them a little displaced, as after rounding in a file.
TEST(Contours, RandomPlanesComeBack) {
  std::mt19937 random(7);
  for (int round = 0; round < 400; ++round) {
    const int rows = 1 + static_cast<int>(random() % 14);
    const int columns = 1 + static_cast<int>(random() % 17);
    std::vector<uint8_t> plane(static_cast<size_t>(rows) * columns);
    const unsigned density = 1 + random() % 9;
    int count = 0;
    for (auto& pixel : plane) count += pixel = random() % 10 < density;
    const auto polygons = OutlinePolygons(plane, rows, columns);
    ASSERT_NEAR(AreaOf(polygons), count, 1e-9) << round;
    std::vector<uint8_t> filled(plane.size());
    for (const auto& polygon : polygons) FlipInside(polygon, rows, columns, filled);
    ASSERT_EQ(filled, plane) << round;
    std::vector<uint8_t> united(plane.size());
    for (auto polygon : polygons) {
      for (auto& point : polygon) {
        point[0] += 1e-7 * std::sin(100 * point[0]);
        point[1] += 1e-7 * std::cos(100 * point[1]);
      }
      std::vector<uint8_t> one(plane.size());
      FlipInside(polygon, rows, columns, one);
      for (size_t i = 0; i < one.size(); ++i) united[i] |= one[i];  // as other readers combine
    }
    ASSERT_EQ(united, plane) << round;
  }
}

TEST(Contours, NestedRegionsInOneHole) {
  // A ring with an island that has a hole of its own.
  const int n = 9;
  std::vector<uint8_t> plane(n * n);
  for (int y = 0; y < n; ++y)
    for (int x = 0; x < n; ++x)
      plane[static_cast<size_t>(y * n + x)] = std::max(std::abs(x - 4), std::abs(y - 4)) % 2 == 0;
  const auto polygons = OutlinePolygons(plane, n, n);
  EXPECT_EQ(polygons.size(), 3U);
  EXPECT_NEAR(AreaOf(polygons), 81 - 49 + 25 - 9 + 1, 1e-9);
  std::vector<uint8_t> filled(plane.size());
  for (const auto& polygon : polygons) FlipInside(polygon, n, n, filled);
  EXPECT_EQ(filled, plane);
}

TEST(Contours, PolygonsOutsideThePlaneDoNoHarm) {
  std::vector<uint8_t> plane(20);
  FlipInside({{-1e6, -1e6}, {1e6, -1e6}, {1e6, 1e6}, {-1e6, 1e6}}, 4, 5, plane);
  EXPECT_EQ(plane, std::vector<uint8_t>(20, 1));
  FlipInside({{10, 10}, {12, 10}, {12, 12}}, 4, 5, plane);
  FlipInside({{1, 1}, {2, 2}}, 4, 5, plane);
  FlipInside({}, 4, 5, plane);
  EXPECT_EQ(plane, std::vector<uint8_t>(20, 1));
}

}  // namespace
}  // namespace avocet::io
