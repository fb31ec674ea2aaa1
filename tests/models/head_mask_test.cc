// SPDX-License-Identifier: Apache-2.0
#include "models/preprocess/head_mask.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <limits>
#include <random>
#include <utility>
#include <vector>

#include "io/volume_io.h"
#include "tests/support/test_support.h"

namespace avocet {
namespace {

using preprocess::HeadMask;
using preprocess::OtsuThreshold;

TEST(Otsu, SeparatesTwoLevels) {
  std::vector<float> values;
  for (int n = 0; n < 1000; ++n) values.push_back(n % 4 == 0 ? 90.0f + n % 7 : 10.0f + n % 5);
  const double t = OtsuThreshold(values.data(), 1000);
  EXPECT_GT(t, 14);
  EXPECT_LT(t, 90);
  values.push_back(std::numeric_limits<float>::quiet_NaN());
  EXPECT_EQ(OtsuThreshold(values.data(), 1001), t);
  const std::vector<float> constant(20, 3.0f);
  EXPECT_TRUE(std::isnan(OtsuThreshold(constant.data(), 20)));
}

// A bright shell with a dark inside (a skull with CSF), a bright speck beside it, noise around.
TEST(HeadMask, FillsTheHeadAndDropsTheRest) {
  const std::array<int64_t, 3> size{40, 44, 36};
  std::mt19937 random(2);
  std::normal_distribution<float> noise(0, 2);
  std::vector<float> values;
  std::vector<uint8_t> truth;
  for (int k = 0; k < 36; ++k)
    for (int j = 0; j < 44; ++j)
      for (int i = 0; i < 40; ++i) {
        const double r = std::hypot(i - 20, j - 22, k - 18);
        const bool speck = i > 36 && j > 40;
        values.push_back(std::abs(noise(random)) + (speck || (r < 14 && r > 10) ? 100.0f
                                                    : r <= 10                   ? 4.0f
                                                                                : 0.0f));
        truth.push_back(r < 14);
      }
  const auto mask = HeadMask(values.data(), size);
  int64_t wrong = 0, inside = 0;
  for (size_t x = 0; x < mask.size(); ++x) {
    wrong += mask[x] != truth[x];
    inside += truth[x];
  }
  std::printf("%lld of %lld voxels wrong\n", static_cast<long long>(wrong),
              static_cast<long long>(inside));
  EXPECT_LT(wrong, inside / 50);
  EXPECT_EQ(mask[(18 * 44 + 22) * 40 + 20], 1);
  EXPECT_EQ(mask[(18 * 44 + 43) * 40 + 39], 0);
  const std::vector<float> constant(40 * 44 * 36, 1.0f);
  for (const uint8_t v : HeadMask(constant.data(), size)) ASSERT_EQ(v, 0);
}

TEST(HeadMask, RealHeadsHaveTheVolumeOfHeads) {
  const auto folder = test::SharedData("data/brain");
  if (folder.empty()) GTEST_SKIP() << "no ../shared";
  // The template holds the brain alone (nilearn's copy is skull-stripped); a head with its face is
  // 4 to 5 litres.
  const std::vector<std::pair<const char*, std::pair<double, double>>> heads{
      {"icbm152_2009a/icbm152_2009a_sym_t1.nii.gz", {1.6, 2.2}},
      {"3t_t1w/studyforrest_t1w_3T_halfres.nii.gz", {3, 6}},
      {"ixi/IXI012-HH-1211_T1.nii.gz", {3, 6}}};
  for (const auto& [name, expected] : heads) {
    const io::Volume image = io::ReadVolume(folder / name);
    const auto values = image.ToFloat();
    const auto mask = HeadMask(values.data(), image.geometry.size);
    double inside = 0;
    for (const uint8_t v : mask) inside += v;
    const auto& s = image.geometry.spacing;
    const double litres = inside * s[0] * s[1] * s[2] / 1e6;
    std::printf("%s: %.2f litres, %.0f %% of the image\n", name, litres,
                100 * inside / mask.size());
    EXPECT_GT(litres, expected.first);
    EXPECT_LT(litres, expected.second);
  }
}

}  // namespace
}  // namespace avocet
