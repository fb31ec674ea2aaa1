// SPDX-License-Identifier: Apache-2.0
#include "app/gui/slice_picture.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/gui/phantom.h"

namespace avocet::gui {
namespace {

using test::AllAxisOrders;
using test::Phantom;
using test::Rotation;
using test::Stored;

ViewFrame FrameOf(const SlicePlane& plane, const Vec3& through, double mm_per_pixel, int width,
                  int height) {
  ViewFrame frame;
  frame.centre = plane.MovedToSlice(Add(plane.first, Scale(plane.step, (plane.count - 1) / 2.0)),
                                    plane.NearestSlice(through));
  frame.right = plane.right;
  frame.down = plane.down;
  frame.mm_per_pixel = mm_per_pixel;
  frame.width = width;
  frame.height = height;
  return frame;
}

struct Blob {
  double x = 0, y = 0;
  int64_t count = 0;
};
template <typename Inside>
Blob BlobOf(const std::vector<uint32_t>& pixels, int width, const Inside& inside) {
  Blob blob;
  for (size_t i = 0; i < pixels.size(); ++i) {
    if (!inside(pixels[i])) continue;
    blob.x += static_cast<double>(i % width) + 0.5;
    blob.y += static_cast<double>(i / width) + 0.5;
    ++blob.count;
  }
  blob.x /= blob.count;
  blob.y /= blob.count;
  return blob;
}

PictureImage Shown(const io::Volume& volume, bool linear = false) {
  PictureImage image;
  image.volume = &volume;
  image.window = Window::Between(0, 1020);
  image.colours = &ColourMaps()[0];
  image.linear = linear;
  return image;
}

// The flip test: all 48 ways to store the phantom, upright and tilted, give the same picture, with
// the left mark on the right of the screen; the overlay lies on it to a tenth of a voxel.
TEST(SlicePicture, LeftIsOnTheRightInAll48Orders) {
  const io::Volume upright = Phantom::Make();
  for (const auto& order : AllAxisOrders()) {
    const io::Volume volume = Stored(upright, order);
    const io::Volume labels_volume = Phantom::Labels(volume);
    const std::vector<uint16_t> labels = labels_volume.ToLabels("phantom");
    const Vec3 left = upright.geometry.PhysicalFromIndex(Phantom::Middle(Phantom::kLeftBox));
    for (const Orientation orientation : {Orientation::kAxial, Orientation::kCoronal}) {
      const SlicePlane plane =
          OwnAxesPlane(volume.geometry, orientation, Convention::kRadiological);
      const ViewFrame frame = FrameOf(plane, left, 0.2, 300, 360);
      PictureContent content;
      content.images.push_back(Shown(volume));
      std::vector<uint32_t> pixels;
      DrawPicture(content, GridOf(frame), pixels);
      const Blob image = BlobOf(pixels, frame.width, [](uint32_t p) { return (p & 0xff) > 200; });
      ASSERT_GT(image.count, 0);
      EXPECT_GT(image.x, frame.width / 2.0 + 20) << "the patient's left must be on the right";
      const auto expected = frame.PixelFromLps(left);
      EXPECT_NEAR(image.x, expected[0], 0.51);  // half a pixel: 0.1 mm
      EXPECT_NEAR(image.y, expected[1], 0.51);

      PictureLabels layer;
      layer.geometry = &volume.geometry;
      layer.labels = &labels;
      layer.colours = {0, 0xffff0000u};
      layer.opacity = 1;
      content.labels.push_back(layer);
      DrawPicture(content, GridOf(frame), pixels);
      const Blob overlay = BlobOf(pixels, frame.width, [](uint32_t p) { return p == 0xffff0000u; });
      EXPECT_EQ(overlay.count, image.count);  // exactly the same pixels
      EXPECT_NEAR(overlay.x, image.x, 1e-9);
      EXPECT_NEAR(overlay.y, image.y, 1e-9);
    }
    // Sagittal: anterior on the left, superior up.
    const SlicePlane sagittal =
        OwnAxesPlane(volume.geometry, Orientation::kSagittal, Convention::kRadiological);
    const Vec3 front = upright.geometry.PhysicalFromIndex(Phantom::Middle(Phantom::kAnteriorBox));
    const ViewFrame frame = FrameOf(sagittal, front, 0.2, 300, 360);
    PictureContent content;
    content.images.push_back(Shown(volume));
    std::vector<uint32_t> pixels;
    DrawPicture(content, GridOf(frame), pixels);
    const Blob anterior = BlobOf(pixels, frame.width,
                                 [](uint32_t p) { return (p & 0xff) > 100 && (p & 0xff) < 160; });
    const Blob superior =
        BlobOf(pixels, frame.width, [](uint32_t p) { return (p & 0xff) > 45 && (p & 0xff) < 90; });
    EXPECT_LT(anterior.x, frame.width / 2.0 - 20);
    EXPECT_LT(superior.y, frame.height / 2.0 - 20);
  }
}

TEST(SlicePicture, ImageAndOverlayAgreeToATenthOfAVoxelAtEightTimes) {
  const io::Volume volume = Phantom::Make();
  const std::vector<uint16_t> labels = Phantom::Labels(volume).ToLabels("phantom");
  const Vec3 left = volume.geometry.PhysicalFromIndex(Phantom::Middle(Phantom::kLeftBox));
  const SlicePlane plane =
      OwnAxesPlane(volume.geometry, Orientation::kAxial, Convention::kRadiological);
  ViewFrame frame = FrameOf(plane, left, 1.0 / 16, 400, 400);  // sixteen pixels a voxel and more
  frame.centre = left;
  PictureContent content;
  content.images.push_back(Shown(volume, /*linear=*/true));
  std::vector<uint32_t> image, overlay;
  DrawPicture(content, GridOf(frame), image);
  PictureLabels layer;
  layer.geometry = &volume.geometry;
  layer.labels = &labels;
  layer.colours = {0, 0xffff0000u};
  layer.opacity = 1;
  content.labels.push_back(layer);
  DrawPicture(content, GridOf(frame), overlay);
  // Where the interpolated image crosses the middle between body and mark is the edge of the label.
  const int middle = (Phantom::kBody + Phantom::kLeft) / 2 * 256 / 1020;
  const auto edges = [&](const auto& inside) {
    std::array<int, 2> found{-1, -1};
    for (int x = 0; x < frame.width; ++x) {
      if (!inside(static_cast<size_t>(frame.height / 2) * frame.width + x)) continue;
      if (found[0] < 0) found[0] = x;
      found[1] = x;
    }
    return found;
  };
  const auto in_image =
      edges([&](size_t i) { return static_cast<int>(image[i] & 0xff) >= middle; });
  const auto in_labels = edges([&](size_t i) { return overlay[i] == 0xffff0000u; });
  const double voxel_pixels = 1.2 * 16;
  EXPECT_NEAR(in_image[0], in_labels[0], 0.1 * voxel_pixels);
  EXPECT_NEAR(in_image[1], in_labels[1], 0.1 * voxel_pixels);
  // Five voxels wide, as stored: no half-pixel shift, aspect from the spacing.
  EXPECT_NEAR(in_labels[1] - in_labels[0] + 1, 5 * voxel_pixels, 1.01);
}

TEST(SlicePicture, ValuesAreSixteenBitBeforeTheWindow) {
  // A ramp of 0..39 on top of 20000 in a window of 40: eight-bit storage would show one grey.
  io::Volume volume = io::Volume::Zeros(Phantom::Make().geometry, io::VoxelType::kUInt16);
  for (int64_t n = 0; n < volume.geometry.VoxelCount(); ++n) {
    volume.As<uint16_t>()[n] = static_cast<uint16_t>(20000 + n % 40);
  }
  const SlicePlane plane =
      OwnAxesPlane(volume.geometry, Orientation::kAxial, Convention::kRadiological);
  PictureContent content;
  content.images.push_back(Shown(volume));
  content.images[0].window = Window::Between(20000, 20040);
  std::vector<uint32_t> pixels;
  const ViewFrame frame = FrameOf(plane, plane.first, 0.3, 160, 160);
  DrawPicture(content, GridOf(frame), pixels);
  int previous = -1;
  int steps = 0;
  for (int x = 0; x < frame.width; ++x) {
    const int grey = static_cast<int>(pixels[80 * 160 + x] & 0xff);
    EXPECT_GE(grey, previous);
    if (grey > previous) ++steps;
    previous = grey;
  }
  EXPECT_EQ(steps, 40);
}

TEST(SlicePicture, ScaledValuesAreThoseOfTheFile) {
  io::Volume volume = Phantom::Make();
  volume.scaling = {2.5, -1024};
  const SlicePlane plane =
      OwnAxesPlane(volume.geometry, Orientation::kAxial, Convention::kRadiological);
  const Vec3 left = volume.geometry.PhysicalFromIndex(Phantom::Middle(Phantom::kLeftBox));
  for (const bool linear : {false, true}) {
    SampleOptions options;
    options.linear = linear;
    std::vector<float> values;
    SampleImage(volume, options, GridOf(FrameOf(plane, left, 0.5, 100, 100)), values);
    float highest = -1e9f;
    for (const float value : values) {
      if (!std::isnan(value)) highest = std::max(highest, value);
    }
    EXPECT_FLOAT_EQ(highest, 1000 * 2.5f - 1024);
  }
}

// An oblique grid seen in patient planes: every pixel against the plain definition.
TEST(SlicePicture, ObliqueSamplingIsTrilinear) {
  io::Volume volume = Stored(Phantom::Make(), AllAxisOrders()[29]);
  volume.geometry.direction = [&] {
    const auto r = Rotation({0.3, -0.2, 0.5});
    const auto& d = volume.geometry.direction;
    std::array<double, 9> product{};
    for (int i = 0; i < 3; ++i) {
      for (int j = 0; j < 3; ++j) {
        for (int k = 0; k < 3; ++k) product[i * 3 + j] += r[i * 3 + k] * d[k * 3 + j];
      }
    }
    return product;
  }();
  const SlicePlane plane =
      AnatomicalPlane(volume.geometry, Orientation::kCoronal, Convention::kRadiological);
  const ViewFrame frame =
      FrameOf(plane, Add(plane.first, Scale(plane.step, plane.count / 2.0)), 1.1, 60, 60);
  std::vector<float> values;
  SampleImage(volume, {}, GridOf(frame), values);
  const std::vector<float> data = volume.ToFloat();
  const auto& size = volume.geometry.size;
  int inside = 0;
  for (int y = 0; y < 60; ++y) {
    for (int x = 0; x < 60; ++x) {
      const auto index = volume.geometry.IndexFromPhysical(frame.LpsFromPixel(x + 0.5, y + 0.5));
      bool in = true;
      for (int a = 0; a < 3; ++a) in = in && index[a] >= -0.5 && index[a] < size[a] - 0.5;
      const float value = values[y * 60 + x];
      ASSERT_EQ(in, !std::isnan(value));
      if (!in) continue;
      ++inside;
      double expected = 0;
      for (int corner = 0; corner < 8; ++corner) {
        double weight = 1;
        int64_t at[3];
        for (int a = 0; a < 3; ++a) {
          const double clamped = std::clamp(index[a], 0.0, size[a] - 1.0);
          const auto low = static_cast<int64_t>(clamped);
          const double part = clamped - static_cast<double>(low);
          const int side = corner >> a & 1;
          weight *= side ? part : 1 - part;
          at[a] = std::min<int64_t>(low + side, size[a] - 1);
        }
        expected += weight * data[(at[2] * size[1] + at[1]) * size[0] + at[0]];
      }
      EXPECT_NEAR(value, expected, 0.05);
    }
  }
  EXPECT_GT(inside, 800);
}

TEST(SlicePicture, OutlineIsTwoPixelsAtAnyZoom) {
  const io::Volume volume = Phantom::Make();
  const std::vector<uint16_t> labels = Phantom::Labels(volume).ToLabels("phantom");
  const Vec3 left = volume.geometry.PhysicalFromIndex(Phantom::Middle(Phantom::kLeftBox));
  const SlicePlane plane =
      OwnAxesPlane(volume.geometry, Orientation::kAxial, Convention::kRadiological);
  for (const double mm : {0.25, 0.05}) {
    ViewFrame frame = FrameOf(plane, left, mm, 200, 200);
    frame.centre = left;
    PictureContent content;
    PictureLabels layer;
    layer.geometry = &volume.geometry;
    layer.labels = &labels;
    layer.colours = {0, 0xffff0000u};
    layer.opacity = 1;
    layer.outline = true;
    content.labels.push_back(layer);
    std::vector<uint32_t> pixels;
    DrawPicture(content, GridOf(frame), pixels);
    int drawn = 0;
    for (int x = 0; x < frame.width; ++x) drawn += pixels[100 * 200 + x] != kPictureBackground;
    EXPECT_EQ(drawn, 4);  // two on each side
  }
}

TEST(SlicePicture, HiddenLabelsAreNotDrawnAndFusionMixes) {
  const io::Volume volume = Phantom::Make();
  const SlicePlane plane =
      OwnAxesPlane(volume.geometry, Orientation::kAxial, Convention::kRadiological);
  const Vec3 left = volume.geometry.PhysicalFromIndex(Phantom::Middle(Phantom::kLeftBox));
  const PlaneGrid grid = GridOf(FrameOf(plane, left, 0.5, 120, 120));
  const std::vector<uint16_t> labels = Phantom::Labels(volume).ToLabels("phantom");
  PictureContent content;
  content.images.push_back(Shown(volume));
  std::vector<uint32_t> plain, hidden, fused;
  DrawPicture(content, grid, plain);
  PictureLabels layer;
  layer.geometry = &volume.geometry;
  layer.labels = &labels;
  layer.colours = {0, 0};
  content.labels.push_back(layer);
  DrawPicture(content, grid, hidden);
  EXPECT_EQ(plain, hidden);
  content.labels.clear();
  content.images.push_back(Shown(volume));
  content.fusion = Fusion::kDifference;
  DrawPicture(content, grid, fused);
  // The same image twice: no difference anywhere, one neutral colour.
  const uint32_t neutral = ColourMaps()[3].colours[128];
  EXPECT_EQ(fused[60 * 120 + 60], neutral);
}

}  // namespace
}  // namespace avocet::gui
