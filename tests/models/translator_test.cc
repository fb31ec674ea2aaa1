// SPDX-License-Identifier: Apache-2.0
#include "models/predict/translator.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <limits>

#include "app/base/error.h"

namespace avocet::models {
namespace {

struct TestVolume {
  std::vector<float> values;
  VolumeView View() const {
    VolumeView view;
    view.values = values.data();
    view.size = size;
    view.spacing = spacing;
    view.direction = direction;
    return view;
  }
  std::array<int64_t, 3> size{23, 19, 11};  // odd on purpose
  std::array<double, 3> spacing{1, 1, 4};
  std::array<double, 9> direction{1, 0, 0, 0, 1, 0, 0, 0, 1};
};

TestVolume Ball() {
  TestVolume v;
  for (int k = 0; k < 11; ++k)
    for (int j = 0; j < 19; ++j)
      for (int i = 0; i < 23; ++i) {
        const double r = std::hypot(i - 11, j - 9, 2 * (k - 5));
        v.values.push_back(static_cast<float>(r < 8 ? 300 + 40 * std::sin(i) + 17.3 * k : 3));
      }
  return v;
}

TranslateVolumeOptions Options(int batch = 3) {
  TranslateVolumeOptions options;
  options.batch = batch;
  options.preprocessing.intensity = "percentile";
  options.preprocessing.lower = 0;
  options.preprocessing.upper = 99;
  return options;
}

const SliceProgress kSilent = [](int64_t, int64_t) {};
const ImageFunction kIdentity = [](const at::Tensor& image) { return image.clone(); };

TEST(Translator, IdentityGivesTheInputBitForBit) {
  TestVolume v = Ball();
  for (const char* plane : {"axial", "coronal", "sagittal"}) {
    for (const int batch : {1, 4, 100}) {
      TranslateVolumeOptions options = Options(batch);
      options.plane = plane;
      const Translation t = TranslateVolume(kIdentity, v.View(), options, kSilent);
      EXPECT_EQ(t.values, v.values) << plane << batch;
      EXPECT_EQ(t.mean_change, 0);
      EXPECT_EQ(t.consistency.input, t.consistency.output);
      EXPECT_EQ(t.consistency.change, 0);
    }
  }
}

TEST(Translator, UnitsAreRestoredAndBrightVoxelsAreNotCut) {
  const TestVolume v = Ball();
  // +0.25 of the intensity range everywhere.
  int64_t calls = 0, seen = 0;
  const ImageFunction brighter = [&](const at::Tensor& image) {
    ++calls;
    seen += image.size(0);
    EXPECT_GE(image.min().item<float>(), 0);
    EXPECT_LE(image.max().item<float>(), 1);
    EXPECT_EQ(image.sizes().slice(1), (at::IntArrayRef{1, 19, 23}));
    return image + 0.25;
  };
  int64_t last = 0;
  const Translation t =
      TranslateVolume(brighter, v.View(), Options(), [&](int64_t done, int64_t total) {
        EXPECT_GT(done, last);
        EXPECT_EQ(total, 11);
        last = done;
      });
  EXPECT_EQ(last, 11);
  const double range = t.scale.upper - t.scale.lower;
  // Two slices at each end lie outside the ball: constant, and kept.
  EXPECT_EQ(t.empty_slices, 4);
  EXPECT_EQ(seen, 7);
  EXPECT_LE(calls, 4);
  for (size_t x = 0; x < v.values.size(); ++x) {
    const int64_t k = static_cast<int64_t>(x) / (23 * 19);
    const double expected = v.values[x] + (k >= 2 && k <= 8 ? 0.25 * range : 0);
    ASSERT_NEAR(t.values[x], expected, 1e-4) << x;
  }
  EXPECT_NEAR(t.mean_change, 0.25 * 7 / 11, 1e-6);
  // The change jumps at two of ten boundaries.
  EXPECT_NEAR(t.consistency.change, 0.25 * 2 / 10, 1e-6);
}

TEST(Translator, ConsistencyByHand) {
  TestVolume v;
  v.size = {16, 16, 3};
  v.values.resize(16 * 16 * 3);
  // Slices are i, i + 2, i + 1, so neighbours differ by 2 and 1; the range is 17.
  const int add[3] = {0, 2, 1};
  for (int k = 0; k < 3; ++k)
    for (int x = 0; x < 256; ++x) v.values[k * 256 + x] = static_cast<float>(x % 16 + add[k]);
  TranslateVolumeOptions options = Options(2);
  options.preprocessing.upper = 100;
  const ImageFunction doubled = [](const at::Tensor& image) { return 2 * image; };
  const Translation t = TranslateVolume(doubled, v.View(), options, kSilent);
  EXPECT_NEAR(t.consistency.input, 1.5 / 17, 1e-6);
  EXPECT_NEAR(t.consistency.output, 3.0 / 17, 1e-6);
  EXPECT_NEAR(t.consistency.change, 1.5 / 17, 1e-6);
}

TEST(Translator, DoesNotDependOnTheAxisOrder) {
  // A network that is not symmetric: it moves the picture.
  const ImageFunction shift = [](const at::Tensor& image) {
    return at::roll(image, {2, 5}, {2, 3}) * 0.5 + 0.1;
  };
  const TestVolume v = Ball();
  TranslateVolumeOptions options = Options();
  options.plane = "coronal";
  const Translation straight = TranslateVolume(shift, v.View(), options, kSilent);
  // Mirrored along i and k in memory with directions to match: the same anatomy.
  TestVolume mirrored = v;
  mirrored.direction = {-1, 0, 0, 0, 1, 0, 0, 0, -1};
  std::vector<float> expected(v.values.size());
  for (int k = 0; k < 11; ++k)
    for (int j = 0; j < 19; ++j)
      for (int i = 0; i < 23; ++i) {
        const size_t here = (k * 19 + j) * 23 + i, there = ((10 - k) * 19 + j) * 23 + 22 - i;
        mirrored.values[there] = v.values[here];
        expected[there] = straight.values[here];
      }
  const Translation other = TranslateVolume(shift, mirrored.View(), options, kSilent);
  EXPECT_EQ(other.values, expected);
}

TEST(Translator, HeadMaskNanAndBadNetworks) {
  TestVolume v = Ball();
  v.values[(5 * 19 + 9) * 23 + 11] = std::numeric_limits<float>::quiet_NaN();
  v.values[(5 * 19 + 9) * 23 + 12] = std::numeric_limits<float>::infinity();
  const ImageFunction brighter = [](const at::Tensor& image) { return image + 0.5; };
  const Translation t = TranslateVolume(brighter, v.View(), Options(), kSilent);
  for (const float value : t.values) ASSERT_TRUE(std::isfinite(value));

  std::vector<uint8_t> head(v.values.size(), 0);
  head[(4 * 19 + 9) * 23 + 11] = 1;
  TranslateVolumeOptions options = Options();
  options.head = head.data();
  const Translation masked = TranslateVolume(brighter, v.View(), options, kSilent);
  int64_t changed = 0;
  for (size_t x = 0; x < v.values.size(); ++x) {
    if (std::isfinite(v.values[x])) changed += masked.values[x] != v.values[x];
  }
  EXPECT_EQ(changed, 1);

  EXPECT_THROW(TranslateVolume([](const at::Tensor& i) { return i.narrow(2, 0, 4); }, v.View(),
                               Options(), kSilent),
               ModelError);
  EXPECT_THROW(
      TranslateVolume([](const at::Tensor& i) { return i / 0.0; }, v.View(), Options(), kSilent),
      ModelError);
  EXPECT_THROW(TranslateVolume(kIdentity, v.View(), Options(0), kSilent), OptionError);
  struct Stop {};
  EXPECT_THROW(
      TranslateVolume(kIdentity, v.View(), Options(1), [](int64_t, int64_t) { throw Stop(); }),
      Stop);
}

TEST(Translator, ConstantVolume) {
  TestVolume v;
  v.values.assign(23 * 19 * 11, 7.0f);
  const Translation t = TranslateVolume(kIdentity, v.View(), Options(), kSilent);
  EXPECT_EQ(t.values, v.values);
  EXPECT_EQ(t.empty_slices, 11);
}

TEST(ChoosePlane, FollowsTheThickAxis) {
  TestVolume v = Ball();
  EXPECT_EQ(ChoosePlane(v.View(), "coronal"), "axial");
  v.spacing = {5, 1, 1};
  EXPECT_EQ(ChoosePlane(v.View(), "coronal"), "sagittal");
  v.spacing = {1, 1.05, 1};
  EXPECT_EQ(ChoosePlane(v.View(), "coronal"), "coronal");
  v.size = {23, 1, 19};
  EXPECT_EQ(ChoosePlane(v.View(), "axial"), "coronal");
  // Axes in another order: k runs to the left.
  v.size = {23, 19, 11};
  v.direction = {0, 0, 1, 1, 0, 0, 0, 1, 0};
  v.spacing = {1, 1, 4};
  EXPECT_EQ(ChoosePlane(v.View(), "axial"), "sagittal");
}

}  // namespace
}  // namespace avocet::models
