// SPDX-License-Identifier: Apache-2.0
#include "io/contour_regions.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

namespace avocet::io {
namespace {

constexpr int kRows = 40;
constexpr int kColumns = 50;

Polygon Square(double low_x, double low_y, double side) {
  return {
      {low_x, low_y}, {low_x + side, low_y}, {low_x + side, low_y + side}, {low_x, low_y + side}};
}

// Around (25, 20), which is no symmetric place of the pixels.
Polygon Circle(double radius, double x = 25.13, double y = 20.27, int points = 60) {
  Polygon polygon;
  for (int n = 0; n < points; ++n) {
    const double angle = 2 * M_PI * n / points;
    polygon.push_back({x + radius * std::cos(angle), y + radius * std::sin(angle)});
  }
  return polygon;
}

Polygon Reversed(Polygon polygon) {
  std::reverse(polygon.begin(), polygon.end());
  std::rotate(polygon.begin(), polygon.begin() + 5, polygon.end());
  return polygon;
}

Polygon Moved(Polygon polygon, double x, double y) {
  for (auto& point : polygon) point = {point[0] + x, point[1] + y};
  return polygon;
}

struct Filled {
  std::vector<uint8_t> plane;
  RegionCounts counts;
  int64_t Count() const { return std::count(plane.begin(), plane.end(), uint8_t{1}); }
};

Filled Fill(const std::vector<Polygon>& polygons, bool exclusive_or = false) {
  std::vector<PlaneContour> contours;
  for (const Polygon& polygon : polygons) contours.push_back({polygon, exclusive_or});
  Filled filled;
  filled.plane.resize(static_cast<size_t>(kRows) * kColumns);
  filled.counts = FillRegion(contours, kRows, kColumns, filled.plane);
  return filled;
}

std::vector<uint8_t> EvenOdd(const std::vector<Polygon>& polygons) {
  std::vector<uint8_t> plane(static_cast<size_t>(kRows) * kColumns);
  for (const Polygon& polygon : polygons) FlipInside(polygon, kRows, kColumns, plane);
  return plane;
}

TEST(ContourRegions, WhatIsStoredTwiceCountsOnce) {
  const Polygon once = Circle(12);
  const std::vector<uint8_t> wanted = EvenOdd({once});
  ASSERT_GT(std::count(wanted.begin(), wanted.end(), uint8_t{1}), 400);
  Polygon fewer = Circle(12, 25.13, 20.27, 45);
  Polygon rounds = once;
  rounds.insert(rounds.end(), once.begin(), once.end());
  Polygon closed = once;
  closed.push_back(once.front());
  std::mt19937 random(3);
  Polygon jittered = once;
  for (auto& point : jittered)
    for (double& x : point) x += 0.02 * (static_cast<double>(random() % 1000) / 1000 - 0.5);
  const struct {
    const char* name;
    std::vector<Polygon> polygons;
    int duplicates;
  } kCases[] = {{"the same", {once, once}, 1},
                {"thrice", {once, once, once}, 2},
                {"four times", {once, once, once, once}, 3},
                {"reversed", {once, Reversed(once)}, 1},
                {"moved a little", {once, Moved(once, 0.015, 0)}, 1},
                {"a little smaller", {once, Circle(11.99)}, 1},
                {"a little larger", {once, Circle(12.01)}, 1},
                {"other points", {once, fewer}, 1},
                {"jittered", {once, jittered, Reversed(jittered)}, 2},
                {"closed and not", {once, closed}, 1},
                {"two rounds in one contour", {rounds}, 1}};
  for (const auto& item : kCases) {
    SCOPED_TRACE(item.name);
    const Filled filled = Fill(item.polygons);
    EXPECT_EQ(filled.plane, wanted);
    EXPECT_EQ(filled.counts.duplicates, item.duplicates);
    EXPECT_EQ(filled.counts.overlaps, 0);
    EXPECT_EQ(filled.counts.holes, 0);
  }
}

TEST(ContourRegions, WhatOverlapsInPartIsUnited) {
  const auto united = [](const std::vector<Polygon>& polygons) {
    std::vector<uint8_t> plane(static_cast<size_t>(kRows) * kColumns);
    for (const Polygon& polygon : polygons) {
      const auto one = EvenOdd({polygon});
      for (size_t p = 0; p < plane.size(); ++p) plane[p] |= one[p];
    }
    return plane;
  };
  const std::vector<std::vector<Polygon>> kCases = {
      {Circle(10), Circle(8, 36)},
      // A bump that sticks out by little more than half a pixel.
      {Circle(10), Circle(4, 31.8, 20.27)},
      // Two bars that cross: no corner of either lies in the other.
      {{{5, 15}, {45, 15}, {45, 19}, {5, 19}}, {{20, 3}, {24, 3}, {24, 36}, {20, 36}}},
      {Square(5.5, 5.5, 10), Square(12.5, 12.5, 10), Square(8.5, 14.5, 10)}};
  for (size_t n = 0; n < kCases.size(); ++n) {
    SCOPED_TRACE(n);
    const Filled filled = Fill(kCases[n]);
    EXPECT_EQ(filled.plane, united(kCases[n]));
    EXPECT_EQ(filled.counts.overlaps, static_cast<int>(kCases[n].size()));
    EXPECT_EQ(filled.counts.holes, 0);
  }
}

TEST(ContourRegions, WhatTouchesIsNoOverlapAndNoHole) {
  const std::vector<std::vector<Polygon>> kCases = {
      {Square(5.5, 5.5, 10), Square(15.5, 5.5, 10)},   // along a side
      {Square(5.5, 5.5, 10), Square(15.5, 8.5, 4)},    // a part of a side
      {Square(5.5, 5.5, 10), Square(15.5, 15.5, 10)},  // a corner
      // Along a column of pixel centres, with digits that overlap by a hundredth.
      {Square(5.5, 5.5, 10), Square(15.49, 5.5, 10)},
      {Square(5, 5, 10), Square(14.99, 5, 10)}};
  for (size_t n = 0; n < kCases.size(); ++n) {
    SCOPED_TRACE(n);
    const Filled filled = Fill(kCases[n]);
    EXPECT_EQ(filled.Count(), n == 1 ? 100 + 16 : 200);
    EXPECT_EQ(filled.counts.overlaps, 0);
    EXPECT_EQ(filled.counts.holes, 0);
  }
}

TEST(ContourRegions, InsideIsAHoleAndInsideThatAnIsland) {
  const std::vector<Polygon> nested = {Circle(4), Circle(15), Circle(1.5), Circle(10)};
  const Filled filled = Fill(nested);
  EXPECT_EQ(filled.plane, EvenOdd(nested));
  EXPECT_EQ(filled.counts.holes, 3);
  EXPECT_EQ(filled.counts.duplicates + filled.counts.overlaps, 0);
  // The same with everything stored twice.
  std::vector<Polygon> doubled = nested;
  for (const Polygon& polygon : nested) doubled.push_back(Reversed(polygon));
  EXPECT_EQ(Fill(doubled).plane, filled.plane);
  EXPECT_EQ(Fill(doubled).counts.duplicates, 4);
  // A hole that touches the outline from inside stays one.
  EXPECT_EQ(Fill({Square(5.5, 5.5, 12), Square(5.5, 8.5, 4)}).Count(), 144 - 16);
  // A thin wall is no contour stored twice.
  const Filled wall = Fill({Circle(12), Circle(11.2)});
  EXPECT_EQ(wall.plane, EvenOdd({Circle(12), Circle(11.2)}));
  EXPECT_GT(wall.Count(), 30);
  // A hole in two contours that overlap is one in what they unite to.
  const Polygon hole = Square(14.5, 14.5, 3);
  EXPECT_EQ(Fill({Square(5.5, 5.5, 15), Square(10.5, 10.5, 15), hole}).Count(),
            225 + 225 - 100 - 9);
  // Two holes that overlap.
  EXPECT_EQ(Fill({Square(5.5, 5.5, 20), Square(8.5, 8.5, 6), Square(12.5, 12.5, 6)}).Count(),
            400 - (36 + 36 - 4));
  // What overlaps a hole from outside fills a part of it.
  EXPECT_EQ(Fill({Square(5.5, 5.5, 10), Square(7.5, 7.5, 6), Square(10.5, 9.5, 10)}).Count(),
            100 - 36 + 100 - (5 * 6 - 3 * 4));
}

TEST(ContourRegions, KeyholesAndExclusiveOrStay) {
  // Outline and hole in one contour, joined by a channel of no width; either way round.
  for (const bool same_way : {false, true}) {
    Polygon keyhole = Square(5.5, 5.5, 20);
    Polygon hole = Square(10.5, 10.5, 8);
    if (!same_way) std::reverse(hole.begin() + 1, hole.end());
    keyhole.push_back(keyhole.front());
    keyhole.insert(keyhole.end(), hole.begin(), hole.end());
    keyhole.push_back(hole.front());
    EXPECT_EQ(Fill({keyhole}).Count(), 400 - 64);
    EXPECT_EQ(Fill({keyhole, keyhole}).Count(), 400 - 64);
    // An island in the hole.
    EXPECT_EQ(Fill({keyhole, Square(12.5, 12.5, 3)}).Count(), 400 - 64 + 9);
  }
  const std::vector<Polygon> crossing = {Circle(10), Circle(8, 36), Circle(3)};
  EXPECT_EQ(Fill(crossing, true).plane, EvenOdd(crossing));
  EXPECT_EQ(Fill({Circle(10), Circle(10)}, true).Count(), 0);  // as the type says
}

// Contours of random label planes are disjoint, nested or touch at corners: the even-odd rule and
// the union agree, pixel for pixel.
TEST(ContourRegions, OutlinesOfPixelsComeBack) {
  std::mt19937 random(11);
  for (int round = 0; round < 200; ++round) {
    std::vector<uint8_t> plane(static_cast<size_t>(kRows) * kColumns);
    const unsigned density = 1 + random() % 9;
    for (auto& pixel : plane) pixel = random() % 10 < density;
    std::vector<Polygon> outlines = OutlinePolygons(plane, kRows, kColumns);
    if (outlines.size() > 120) outlines.resize(120);
    std::shuffle(outlines.begin(), outlines.end(), random);
    ASSERT_EQ(Fill(outlines).plane, EvenOdd(outlines)) << round;
    // Digits of a file.
    for (auto& outline : outlines)
      for (auto& point : outline)
        for (double& x : point) x += 1e-3 * (static_cast<double>(random() % 1000) / 500 - 1);
    ASSERT_EQ(Fill(outlines).plane, EvenOdd(outlines)) << round;
  }
}

TEST(ContourRegions, WhatIsFarOutsideOrNothingIsHarmless) {
  const Polygon far = {{-1e9, -1e9}, {1e9, -1e9}, {1e9, 1e9}, {-1e9, 1e9}};
  EXPECT_EQ(Fill({far}).Count(), kRows * kColumns);
  EXPECT_EQ(Fill({far, Circle(5)}).Count(), kRows * kColumns - Fill({Circle(5)}).Count());
  EXPECT_EQ(Fill({Moved(Circle(5), 1e6, 0), Polygon{}, {{1, 1}, {2, 2}}}).Count(), 0);
  EXPECT_EQ(Fill({{{5, 5}, {5, 5}, {5, 5}}, Circle(5)}).Count(), Fill({Circle(5)}).Count());
}

}  // namespace
}  // namespace avocet::io
