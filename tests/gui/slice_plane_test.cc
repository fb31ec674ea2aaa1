// SPDX-License-Identifier: Apache-2.0
#include "app/gui/slice_plane.h"

#include <gtest/gtest.h>

#include "tests/io/axis_orders.h"

namespace avocet::gui {
namespace {

using test::AllAxisOrders;
using test::NumberedVolume;
using test::Rotation;
using test::Stored;

const std::array<double, 9> kIdentity{1, 0, 0, 0, 1, 0, 0, 0, 1};

TEST(SlicePlane, EveryStoredOrderGivesTheSameRadiologicalScreen) {
  const io::Volume volume = NumberedVolume({5, 6, 7}, kIdentity);
  const std::array<std::array<std::string, 4>, 3> letters{
      {{"R", "L", "A", "P"}, {"R", "L", "S", "I"}, {"A", "P", "S", "I"}}};
  int checked = 0;
  for (const auto& order : AllAxisOrders()) {
    const io::Geometry g = Stored(volume, order).geometry;
    for (const Orientation orientation : kOrientations) {
      const SlicePlane plane = OwnAxesPlane(g, orientation, Convention::kRadiological);
      EXPECT_EQ(plane.Letters(), letters[static_cast<int>(orientation)]);
      // The slices stand on the volume's own.
      EXPECT_EQ(plane.count, g.size[plane.axis]);
      for (int64_t s = 0; s < plane.count; ++s) {
        std::array<double, 3> index{1, 2, 3};
        index[plane.axis] = static_cast<double>(s);
        EXPECT_NEAR(plane.SliceAt(g.PhysicalFromIndex(index)), static_cast<double>(s), 1e-9);
      }
      // Upwards means towards superior, anterior, left.
      const Vec3 up = plane.grows_up ? plane.step : Scale(plane.step, -1);
      const std::string side = SideLetters(up);
      EXPECT_EQ(side, orientation == Orientation::kAxial     ? "S"
                      : orientation == Orientation::kCoronal ? "A"
                                                             : "L");
      // Extents are those of the anatomy, whatever the order on disk.
      const double mm[3] = {5 * 0.7, 6 * 1.1, 7 * 2.3};
      EXPECT_NEAR(plane.width_mm, orientation == Orientation::kSagittal ? mm[1] : mm[0], 1e-9);
      EXPECT_NEAR(plane.height_mm, orientation == Orientation::kAxial ? mm[1] : mm[2], 1e-9);
      ++checked;
    }
  }
  EXPECT_EQ(checked, 144);
}

TEST(SlicePlane, NeurologicalTurnsLeftAndRightOnly) {
  const io::Geometry g = NumberedVolume({5, 6, 7}, kIdentity).geometry;
  using Letters = std::array<std::string, 4>;
  EXPECT_EQ(OwnAxesPlane(g, Orientation::kAxial, Convention::kNeurological).Letters(),
            (Letters{"L", "R", "A", "P"}));
  EXPECT_EQ(OwnAxesPlane(g, Orientation::kCoronal, Convention::kNeurological).Letters(),
            (Letters{"L", "R", "S", "I"}));
  EXPECT_EQ(OwnAxesPlane(g, Orientation::kSagittal, Convention::kNeurological).Letters(),
            (Letters{"A", "P", "S", "I"}));
}

TEST(SlicePlane, ObliqueVolumesShowTwoLettersBeyondTwentyDegrees) {
  const double degree = 3.14159265358979323846 / 180;
  const io::Geometry slight = NumberedVolume({4, 4, 4}, Rotation({0, 0, 15 * degree})).geometry;
  EXPECT_EQ(OwnAxesPlane(slight, Orientation::kAxial, Convention::kRadiological).Letters()[1], "L");
  const io::Geometry oblique = NumberedVolume({4, 4, 4}, Rotation({0, 0, 30 * degree})).geometry;
  EXPECT_EQ(
      OwnAxesPlane(oblique, Orientation::kAxial, Convention::kRadiological).Letters()[1].size(),
      2u);
  EXPECT_FALSE(IsAlignedWithPatient(oblique));
  EXPECT_TRUE(IsAlignedWithPatient(NumberedVolume({4, 4, 4}, kIdentity).geometry));
  // On demand the patient's own planes.
  const SlicePlane plane = AnatomicalPlane(oblique, Orientation::kAxial, Convention::kRadiological);
  EXPECT_EQ(plane.Letters(), (std::array<std::string, 4>{"R", "L", "A", "P"}));
  EXPECT_NEAR(plane.StepMm(), 0.7, 1e-12);
  EXPECT_EQ(plane.count, static_cast<int64_t>(4 * 2.3 / 0.7));
}

TEST(SlicePlane, ShearedSlicesKeepTheirIndexAndTheScreenStaysRectangular) {
  io::Geometry g = NumberedVolume({5, 6, 7}, kIdentity).geometry;
  // The k axis leans towards anterior: 20 degrees of gantry tilt.
  g.direction = {1, 0, 0, 0, 1, -0.34202, 0, 0, 0.93969};
  const SlicePlane axial = OwnAxesPlane(g, Orientation::kAxial, Convention::kRadiological);
  EXPECT_NEAR(Dot(axial.right, axial.down), 0, 1e-12);
  const Vec3 x = g.PhysicalFromIndex({2, 3, 4});
  EXPECT_NEAR(axial.SliceAt(x), 4, 1e-9);
  const auto index = g.IndexFromPhysical(axial.MovedToSlice(x, 6));
  EXPECT_NEAR(index[0], 2, 1e-9);
  EXPECT_NEAR(index[1], 3, 1e-9);
  EXPECT_NEAR(index[2], 6, 1e-9);
  const SlicePlane sagittal = OwnAxesPlane(g, Orientation::kSagittal, Convention::kRadiological);
  EXPECT_NEAR(Dot(sagittal.right, sagittal.down), 0, 1e-12);
  EXPECT_NEAR(sagittal.SliceAt(x), 2, 1e-9);
}

TEST(SlicePlane, PixelsAndMillimetresGoBothWays) {
  ViewFrame frame;
  frame.centre = {10, -20, 30};
  frame.right = {1, 0, 0};
  frame.down = {0, 1, 0};
  frame.mm_per_pixel = 0.25;
  frame.width = 400;
  frame.height = 300;
  const Vec3 x = frame.LpsFromPixel(200 + 8, 150 - 4);
  EXPECT_NEAR(x[0], 12, 1e-12);
  EXPECT_NEAR(x[1], -21, 1e-12);
  const auto pixel = frame.PixelFromLps(x);
  EXPECT_NEAR(pixel[0], 208, 1e-9);
  EXPECT_NEAR(pixel[1], 146, 1e-9);
}

TEST(SlicePlane, PositionsAreSaidInThePatientsWords) {
  EXPECT_EQ(AxisPosition({-12.34, 5, -7}, 0), "R 12.3 mm");
  EXPECT_EQ(AxisPosition({-12.34, 5, -7}, 1), "P 5.0 mm");
  EXPECT_EQ(AxisPosition({-12.34, 5, -7}, 2), "I 7.0 mm");
}

}  // namespace
}  // namespace avocet::gui
