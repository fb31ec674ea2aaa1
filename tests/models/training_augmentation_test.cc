// SPDX-License-Identifier: Apache-2.0
#include "models/training/augmentation.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "app/base/error.h"
#include "models/training/augmentation_official.h"
#include "models/training/losses.h"

namespace avocet::models {
namespace {

constexpr uint8_t kIgnore = static_cast<uint8_t>(kIgnoreLabel);

// A slice whose image, in every channel, is its own label map: a disc of 2 in a square of 1.
Slice LabelledSlice(int64_t channels, int64_t rows, int64_t cols) {
  Slice slice;
  slice.channels = channels;
  slice.rows = rows;
  slice.cols = cols;
  slice.label.resize(rows * cols);
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < cols; ++c) {
      const double dr = r - rows * 0.45, dc = c - cols * 0.55;
      const bool square = std::abs(dr) < rows * 0.3 && std::abs(dc) < cols * 0.3;
      slice.label[r * cols + c] = dr * dr + dc * dc < 0.03 * rows * cols ? 2 : square ? 1 : 0;
    }
  }
  for (int64_t k = 0; k < channels; ++k) {
    slice.image.insert(slice.image.end(), slice.label.begin(), slice.label.end());
  }
  return slice;
}

Slice NumberedSlice(int64_t rows, int64_t cols) {
  Slice slice;
  slice.rows = rows;
  slice.cols = cols;
  slice.image.resize(rows * cols);
  std::iota(slice.image.begin(), slice.image.end(), 0.f);
  slice.label.resize(rows * cols);
  for (size_t i = 0; i < slice.label.size(); ++i) slice.label[i] = static_cast<uint8_t>(i % 200);
  return slice;
}

struct Canvas {
  std::vector<float> image;
  std::vector<uint8_t> label;
};

Canvas Augment(const Slice& slice, const AugmentationRecipe& recipe, uint64_t index, int64_t rows,
               int64_t cols) {
  Canvas canvas{std::vector<float>(slice.channels * rows * cols, -77.f),
                std::vector<uint8_t>(rows * cols, 77)};
  CounterRng rng(11, 3, index);
  AugmentSlice(slice, recipe, rng, rows, cols, canvas.image.data(), canvas.label.data());
  return canvas;
}

TEST(Augmentation, NoneIsTheIdentityWithEdgesRepeated) {
  const Slice slice = NumberedSlice(5, 7);
  const Canvas canvas = Augment(slice, AugmentationRecipe::ByName("none"), 0, 8, 9);
  for (int64_t r = 0; r < 8; ++r) {
    for (int64_t c = 0; c < 9; ++c) {
      const bool inside = r < 5 && c < 7;
      const int64_t from = std::min<int64_t>(r, 4) * 7 + std::min<int64_t>(c, 6);
      EXPECT_EQ(canvas.image[r * 9 + c], slice.image[from]);
      EXPECT_EQ(canvas.label[r * 9 + c], inside ? slice.label[from] : kIgnore);
    }
  }
}

// With every magnitude at zero the geometry of the default recipe only centres the slice.
TEST(Augmentation, ZeroGeometryCentresTheSlice) {
  const Slice slice = NumberedSlice(6, 8);
  AugmentationRecipe recipe;
  recipe.geometry = true;
  const Canvas canvas = Augment(slice, recipe, 0, 10, 8);
  for (int64_t r = 0; r < 10; ++r) {
    for (int64_t c = 0; c < 8; ++c) {
      const int64_t from = std::clamp<int64_t>(r - 2, 0, 5) * 8 + c;
      EXPECT_EQ(canvas.image[r * 8 + c], slice.image[from]);
      EXPECT_EQ(canvas.label[r * 8 + c], r >= 2 && r < 8 ? slice.label[from] : kIgnore);
    }
  }
}

// Image and label go through one geometry: where the image is a label map, it stays one.
TEST(Augmentation, LabelFollowsTheImage) {
  const Slice slice = LabelledSlice(3, 40, 56);
  AugmentationRecipe recipe = AugmentationRecipe::ByName("default-strong");
  recipe.gamma_chance = recipe.contrast_chance = recipe.noise_chance = 0;
  recipe.blur_chance = recipe.low_resolution_chance = 0;
  recipe.flip_rows_chance = recipe.flip_cols_chance = 0.5;
  recipe.elastic_chance = 0.5;
  for (uint64_t index = 0; index < 40; ++index) {
    const Canvas canvas = Augment(slice, recipe, index, 48, 48);
    int64_t sure = 0;
    for (int64_t i = 0; i < 48 * 48; ++i) {
      const uint8_t label = canvas.label[i];
      ASSERT_TRUE(label <= 2 || label == kIgnore) << int{label};
      for (int k = 1; k < 3; ++k) ASSERT_EQ(canvas.image[i], canvas.image[k * 48 * 48 + i]);
      // Where all four neighbours agree, the interpolated value is theirs.
      if (label == kIgnore || std::abs(canvas.image[i] - std::round(canvas.image[i])) > 1e-4)
        continue;
      // A whole number between other classes (a 1 between 0 and 2) is not certain.
      if (canvas.image[i] > 0.5f && canvas.image[i] < 1.5f) continue;
      ++sure;
      ASSERT_EQ(std::lround(canvas.image[i]), label);
    }
    EXPECT_GT(sure, 48 * 48 / 3);
  }
}

TEST(Augmentation, GeometryMovesThingsAsFarAsItSays) {
  const Slice slice = LabelledSlice(1, 64, 64);
  AugmentationRecipe recipe;
  recipe.geometry = true;
  recipe.translation = 5;
  std::set<double> centres;
  for (uint64_t index = 0; index < 20; ++index) {
    const Canvas canvas = Augment(slice, recipe, index, 64, 64);
    double row = 0, count = 0, row0 = 0, count0 = 0;
    for (int64_t i = 0; i < 64 * 64; ++i) {
      if (canvas.label[i] == 2) row += static_cast<double>(i / 64), ++count;
      if (slice.label[i] == 2) row0 += static_cast<double>(i / 64), ++count0;
    }
    EXPECT_LE(std::abs(row / count - row0 / count0), 5.51);
    EXPECT_NEAR(count / count0, 1, 0.05);
    centres.insert(row / count);
  }
  EXPECT_GE(centres.size(), 8u);  // labels move by whole pixels
  EXPECT_GT(*centres.rbegin() - *centres.begin(), 4);
}

TEST(Augmentation, DependsOnTheCounterAlone) {
  const Slice slice = LabelledSlice(3, 30, 34);
  const auto recipe = AugmentationRecipe::ByName("default-strong");
  const Canvas first = Augment(slice, recipe, 5, 32, 32);
  Augment(slice, recipe, 6, 32, 32);
  const Canvas again = Augment(slice, recipe, 5, 32, 32);
  EXPECT_EQ(first.image, again.image);
  EXPECT_EQ(first.label, again.label);
  EXPECT_NE(first.image, Augment(slice, recipe, 6, 32, 32).image);
}

TEST(Augmentation, IntensityChangesLeaveLabelsAndStayFinite) {
  Slice slice = LabelledSlice(3, 32, 32);
  for (float& value : slice.image) value = value * 40 - 30;  // negative values too
  AugmentationRecipe recipe = AugmentationRecipe::ByName("default");
  recipe.geometry = false;
  recipe.gamma_chance = recipe.contrast_chance = recipe.noise_chance = 1;
  recipe.blur_chance = recipe.low_resolution_chance = 1;
  const Canvas canvas = Augment(slice, recipe, 0, 32, 32);
  EXPECT_EQ(canvas.label, slice.label);
  EXPECT_NE(canvas.image, slice.image);
  for (const float value : canvas.image) EXPECT_TRUE(std::isfinite(value));
  slice.image.assign(slice.image.size(), 4.f);  // a constant slice stays constant
  const Canvas constant = Augment(slice, recipe, 0, 32, 32);
  EXPECT_EQ(constant.image, slice.image);
}

TEST(Augmentation, ContextFlipReversesTheChannels) {
  Slice slice = LabelledSlice(3, 16, 16);
  for (int k = 0; k < 3; ++k) std::fill_n(slice.image.begin() + k * 256, 256, float(k));
  AugmentationRecipe recipe;
  recipe.flip_context_chance = 1;
  const Canvas canvas = Augment(slice, recipe, 0, 16, 16);
  EXPECT_EQ(canvas.image[0], 2.f);
  EXPECT_EQ(canvas.image[256], 1.f);
  EXPECT_EQ(canvas.image[512], 0.f);
}

TEST(OfficialAugmentation, QuarterTurnsAndFlips) {
  Slice slice = NumberedSlice(2, 3);  // 0 1 2 / 3 4 5
  RotateQuarterTurns(slice, 1);       // counter-clockwise: 2 5 / 1 4 / 0 3
  EXPECT_EQ(slice.rows, 3);
  EXPECT_EQ(slice.image, (std::vector<float>{2, 5, 1, 4, 0, 3}));
  RotateQuarterTurns(slice, 3);
  EXPECT_EQ(slice.image, NumberedSlice(2, 3).image);
  FlipRows(slice);
  EXPECT_EQ(slice.image, (std::vector<float>{3, 4, 5, 0, 1, 2}));
  FlipCols(slice);
  EXPECT_EQ(slice.image, (std::vector<float>{5, 4, 3, 2, 1, 0}));
}

// Against the formula of 15.5 at single pixels, and its fixed points.
TEST(OfficialAugmentation, RotationUsesNearestAndZero) {
  Slice slice = NumberedSlice(9, 9);
  for (float& value : slice.image) value += 1;
  const Slice before = slice;
  RotateNearest(slice, 0);
  EXPECT_EQ(slice.image, before.image);
  RotateNearest(slice, 20);
  EXPECT_EQ(slice.image[4 * 9 + 4], before.image[4 * 9 + 4]);
  EXPECT_EQ(slice.image[0], 0);  // the corner comes from outside
  // Output (2, 5): offset (-2, 1); source = (cos20 * -2 + sin20, 2 sin20 + cos20) + 4 =
  // (2.463, 5.624) -> (2, 6).
  EXPECT_EQ(slice.image[2 * 9 + 5], before.image[2 * 9 + 6]);
}

TEST(OfficialAugmentation, BrightnessClipRule) {
  Slice slice = NumberedSlice(1, 4);
  slice.image = {0.f, 0.2f, 0.4f, 0.6f};
  ChangeBrightness(slice, -0.2, 1.2);  // 0 .16 .32 .48, mean .24 -> -.048 .144 .336 .528
  EXPECT_FLOAT_EQ(slice.image[0], 0.f);
  EXPECT_FLOAT_EQ(slice.image[1], 0.144f);
  EXPECT_FLOAT_EQ(slice.image[3], 0.528f);
  slice.image = {0.f, 0.5f, 1.f, 1.f};
  ChangeBrightness(slice, 0.2, 1);
  EXPECT_FLOAT_EQ(slice.image[3], 1.2f);  // above 1 the upper bound becomes 255
}

TEST(OfficialAugmentation, CropIsEnlargedByPixelAreas) {
  Slice slice = NumberedSlice(4, 4);
  CropAndEnlarge(slice, 1, 2, 2, 2);
  EXPECT_EQ(slice.image,
            (std::vector<float>{6, 6, 7, 7, 6, 6, 7, 7, 10, 10, 11, 11, 10, 10, 11, 11}));
}

TEST(OfficialAugmentation, GatesFireAsOftenAsTheySay) {
  const Slice slice = NumberedSlice(12, 12);
  const auto recipe = AugmentationRecipe::ByName("synapse");
  int changed = 0;
  for (uint64_t index = 0; index < 2000; ++index) {
    Slice copy = slice;
    CounterRng rng(1, 0, index);
    ApplyOfficialSteps(copy, recipe, rng);
    changed += copy.image != slice.image;
  }
  // Brightness 0.1; crop 0.1, of which half change nothing (ratio >= 1) and int(12 r) = 11 at
  // least.
  EXPECT_NEAR(changed / 2000.0, 1 - 0.9 * 0.95, 0.025);
}

TEST(Augmentation, UnknownRecipeIsNamed) {
  EXPECT_THROW(AugmentationRecipe::ByName("synaps"), OptionError);
}

}  // namespace
}  // namespace avocet::models
