// SPDX-License-Identifier: Apache-2.0
#include "app/core/montage.h"

#include <cairo.h>
#include <gtest/gtest.h>

#include <cmath>

#include "app/base/error.h"
#include "app/core/montage_panel.h"
#include "io/volume_io.h"
#include "tests/support/test_support.h"

namespace avocet::core {
namespace {

// A bright ball in a dark box; the front half (small P) is label 1, the back half label 2.
MontageCase Ball() {
  MontageCase item;
  item.name = "ball";
  item.geometry.size = {30, 40, 20};
  item.geometry.spacing = {1, 1, 2};
  for (int k = 0; k < 20; ++k) {
    for (int j = 0; j < 40; ++j) {
      for (int i = 0; i < 30; ++i) {
        const double r = std::hypot(i - 15, j - 20, 2.0 * (k - 10));
        item.image.push_back(r < 10 ? 100 : 20);
        item.prediction.push_back(r >= 8 ? 0 : j < 20 ? 1 : 2);
      }
    }
  }
  item.reference = item.prediction;
  item.captions = {{1, "front  0.93"}, {2, "back  0.88"}};
  return item;
}

MontageOptions Options() {
  MontageOptions options;
  options.title = "A ball";
  options.labels = {
      {0, "background", {0, 0, 0}}, {1, "front", {255, 0, 0}}, {2, "back", {0, 255, 0}}};
  options.row_height = 160;
  return options;
}

struct Picture {
  explicit Picture(const std::filesystem::path& path)
      : surface(cairo_image_surface_create_from_png(path.c_str())) {}
  ~Picture() { cairo_surface_destroy(surface); }
  int width() const { return cairo_image_surface_get_width(surface); }
  int height() const { return cairo_image_surface_get_height(surface); }
  // Pixels in which one channel (2 = red, 1 = green) clearly exceeds the two others.
  int Count(int channel) const {
    int count = 0;
    for (int y = 0; y < height(); ++y) {
      const unsigned char* line =
          cairo_image_surface_get_data(surface) + y * cairo_image_surface_get_stride(surface);
      for (int x = 0; x < width(); ++x) {
        const unsigned char* pixel = line + 4 * x;
        bool exceeds = true;
        for (int other = 0; other < 3; ++other) {
          if (other != channel && pixel[channel] < pixel[other] + 60) exceeds = false;
        }
        count += exceeds;
      }
    }
    return count;
  }
  cairo_surface_t* surface;
};

TEST(Montage, PanelsCutThroughTheLabelsInMillimetres) {
  const auto panels = ChoosePanels(Ball(), 4);
  ASSERT_EQ(panels.size(), 5u);
  const Panel& sagittal = panels[0];
  EXPECT_EQ(sagittal.letters, (std::array<std::string, 4>{"A", "P", "S", "I"}));
  // The ball's diameter, and the margin, in each direction.
  EXPECT_NEAR(sagittal.WidthMm(), 15 + 8, 1.01);
  EXPECT_NEAR(sagittal.HeightMm(), 15 + 8, 2.01);
  EXPECT_NEAR(sagittal.slice, 13, 2);
  const Panel& axial = panels[4];
  EXPECT_EQ(axial.letters, (std::array<std::string, 4>{"R", "L", "A", "P"}));
  EXPECT_NEAR(axial.slice, 10, 1);
}

TEST(Montage, APictureShowsLabelsInTheirColours) {
  const auto path = test::TemporaryFolder() / "ball.png";
  MontageCase item = Ball();
  WriteMontage({item, item}, Options(), path);
  const Picture both(path);
  ASSERT_EQ(cairo_surface_status(both.surface), CAIRO_STATUS_SUCCESS);
  EXPECT_GT(both.height(), 2 * 160);
  // Red and green fill like areas; without the back label there is hardly any green.
  EXPECT_GT(both.Count(2), 5000);
  EXPECT_GT(both.Count(1), 5000);
  item.reference.clear();
  for (auto& value : item.prediction) value = value == 1 ? 1 : 0;
  MontageOptions options = Options();
  options.labels.pop_back();
  WriteMontage({item}, options, path);
  const Picture front(path);
  EXPECT_GT(front.Count(2), 2500);
  EXPECT_LT(front.Count(1), 100);
}

TEST(Montage, StorageOrderDoesNotChangeTheChoiceOfPanels) {
  const MontageCase lps = Ball();
  MontageCase turned = lps;  // R and S axes reversed
  turned.geometry.direction = {-1, 0, 0, 0, 1, 0, 0, 0, -1};
  std::reverse(turned.prediction.begin(), turned.prediction.end());
  std::reverse(turned.image.begin(), turned.image.end());
  for (int k = 0; k < 20; ++k) {  // undo the reversal of j
    for (int j = 0; j < 20; ++j) {
      for (int i = 0; i < 30; ++i) {
        std::swap(turned.prediction[(k * 40 + j) * 30 + i],
                  turned.prediction[(k * 40 + 39 - j) * 30 + i]);
        std::swap(turned.image[(k * 40 + j) * 30 + i], turned.image[(k * 40 + 39 - j) * 30 + i]);
      }
    }
  }
  turned.reference = turned.prediction;
  const auto folder = test::TemporaryFolder();
  WriteMontage({lps}, Options(), folder / "lps.png");
  WriteMontage({turned}, Options(), folder / "turned.png");
  const Picture a(folder / "lps.png");
  const Picture b(folder / "turned.png");
  ASSERT_EQ(a.height(), b.height());
  ASSERT_EQ(a.width(), b.width());
  EXPECT_EQ(0,
            memcmp(cairo_image_surface_get_data(a.surface), cairo_image_surface_get_data(b.surface),
                   static_cast<size_t>(cairo_image_surface_get_stride(a.surface)) * a.height()));
}

TEST(Montage, NothingToDrawIsSaid) {
  EXPECT_THROW(WriteMontage({}, Options(), test::TemporaryFolder() / "x.png"), IoError);
}

// Real cases with the reference shifted by a voxel as a prediction: to be looked at.
TEST(Montage, HippocampusCases) {
  const auto folder = test::SharedData("data/hippocampus");
  if (folder.empty()) GTEST_SKIP();
  std::vector<MontageCase> cases;
  for (const auto& path : io::ListVolumes(folder / "imagesTr")) {
    if (cases.size() == 5) break;
    MontageCase item;
    item.name = io::StemOf(path);
    const io::Volume image = io::ReadVolume(path);
    item.geometry = image.geometry;
    item.image = image.ToFloat();
    item.reference = io::ReadVolume(folder / "labelsTr" / path.filename()).ToLabels("label");
    item.prediction = item.reference;
    std::rotate(item.prediction.begin(), item.prediction.begin() + 1, item.prediction.end());
    item.captions = {{1, "Anterior  Dice 0.912"}, {2, "Posterior  Dice 0.894"}, {0, "0.9 s"}};
    cases.push_back(std::move(item));
  }
  MontageOptions options;
  options.title = "Avocet: hippocampus in MR";
  options.subtitle = "RWKV-UNet-T, 5 held-out cases, mean Dice 0.90";
  options.footer = "Research use, not for diagnosis";
  options.labels = {{0, "background", {0, 0, 0}},
                    {1, "Anterior", {230, 159, 0}},
                    {2, "Posterior", {0, 158, 115}}};
  const auto path = test::TemporaryFolder() / "montage.png";
  WriteMontage(cases, options, path);
  const Picture picture(path);
  EXPECT_GT(picture.width(), 900);
  if (const char* keep = getenv("AVOCET_KEEP_MONTAGE")) {
    std::filesystem::copy_file(path, keep, std::filesystem::copy_options::overwrite_existing);
  }
}

}  // namespace
}  // namespace avocet::core
