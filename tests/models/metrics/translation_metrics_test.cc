// SPDX-License-Identifier: Apache-2.0
// The official FS-RWKV evaluation pipeline, detail measures, and masks.
#include <gtest/gtest.h>

#include <cmath>
#include <complex>
#include <cstdio>
#include <random>

#include "models/metrics/detail_measures.h"
#include "models/metrics/image_quality.h"
#include "models/preprocess/fourier.h"
#include "models/preprocess/pillow_resize.h"
#include "tests/models/metrics/parity_support.h"
#include "tests/support/test_support.h"

namespace avocet {
namespace {

using namespace metrics;

std::vector<double> OfficialPixels(const std::filesystem::path& path) {
  const io::Volume picture = io::ReadVolume(path);
  EXPECT_EQ(picture.type, io::VoxelType::kUInt8);
  const auto bytes = preprocess::PillowResizeBilinear(
      picture.As<uint8_t>(), picture.geometry.size[1], picture.geometry.size[0], 256, 256);
  std::vector<double> values(bytes.size());
  for (size_t n = 0; n < bytes.size(); ++n) {
    values[n] = static_cast<double>(static_cast<float>(bytes[n]) / 255.0f);
  }
  return values;
}

void CheckCase(const std::filesystem::path& folder, const std::string& name,
               const nlohmann::json& expected) {
  const auto p = OfficialPixels(folder / (name + "_prediction.png"));
  const auto t = OfficialPixels(folder / (name + "_target.png"));
  ImagePair pair;
  pair.prediction = p.data();
  pair.reference = t.data();
  pair.size[0] = pair.size[1] = 256;
  pair.dims = 2;
  const SsimMeans ssim = SsimFullAndValid(pair, SsimFsRwkv(1));
  std::printf("%s: PSNR %.4f dB, SSIM full %.6f crop %.6f, RMSE %.6f\n", name.c_str(),
              Psnr(pair, 1), ssim.full, ssim.valid, MeasureErrors(pair).rmse);
  EXPECT_NEAR(Psnr(pair, 1), expected.at("psnr").get<double>(), 2e-5);
  EXPECT_NEAR(MeasureErrors(pair).rmse, expected.at("rmse").get<double>(), 1e-7);
  // TorchMetrics computes SSIM in single precision (parity README: 2e-4).
  EXPECT_NEAR(ssim.full, expected.at("ssim_full").get<double>(), 2e-4);
  EXPECT_NEAR(ssim.valid, expected.at("ssim_crop").get<double>(), 2e-4);
  EXPECT_NEAR(Psnr(pair, TargetRange(pair)), expected.at("psnr_target_range").get<double>(), 2e-5);
  EXPECT_DOUBLE_EQ(ssim.full, Ssim(pair, SsimFsRwkv(1)));
  EXPECT_NEAR(ssim.valid, Ssim(pair, SsimCropped(1)), 1e-14);
}

TEST(FsRwkvMetrics, CommittedPairs) {
  const auto folder = test::TestData("metrics/image_quality");
  const auto cases = test::ReadJson(folder / "expected.json").at("cases");
  ASSERT_EQ(cases.size(), 2u);
  for (const auto& [name, expected] : cases.items()) CheckCase(folder, name, expected);
}

TEST(FsRwkvMetrics, SharedPairs) {
  const auto folder = test::SharedData("parity/fs_rwkv/metrics");
  if (folder.empty()) GTEST_SKIP() << "no ../shared";
  const auto all = test::ReadJson(folder / "metrics.json").at("versions");
  for (const auto& [name, values] : all.at("1.9.0").at("cases").items()) {
    const auto& old = all.at("1.4.1").at("cases").at(name);
    CheckCase(folder, name,
              {{"psnr", values.at("psnr")},
               {"rmse", values.at("rmse")},
               {"ssim_full", values.at("ssim")},
               {"ssim_crop", old.at("ssim")},
               {"psnr_target_range", old.at("validation_psnr_no_data_range")}});
  }
}

TEST(PillowResize, CheckValues) {
  const auto resize = [](std::vector<uint8_t> line, int64_t width) {
    const auto n = static_cast<int64_t>(line.size());
    const auto wide = preprocess::PillowResizeBilinear(line.data(), 1, n, 1, width);
    EXPECT_EQ(preprocess::PillowResizeBilinear(line.data(), n, 1, width, 1), wide);
    return wide;
  };
  using Line = std::vector<uint8_t>;
  EXPECT_EQ(resize({0, 50, 100, 150, 200}, 3), (Line{21, 100, 179}));
  EXPECT_EQ(resize({0, 50, 100, 150, 200}, 8), (Line{0, 22, 53, 84, 116, 147, 178, 200}));
  EXPECT_EQ(resize({10, 200, 30, 90, 250, 0, 60}, 4), (Line{92, 81, 155, 43}));
  EXPECT_EQ(resize({7, 8, 9}, 3), (Line{7, 8, 9}));
  EXPECT_EQ(preprocess::PillowGrey(255, 255, 255), 255);
  EXPECT_EQ(preprocess::PillowGrey(255, 0, 0), 76);
}

TEST(Fourier, MatchesTheDefinitionAndInverts) {
  const std::array<int64_t, 3> size{6, 7, 5};
  std::mt19937 random(3);
  std::normal_distribution<double> normal;
  std::vector<std::complex<double>> x(6 * 7 * 5);
  for (auto& v : x) v = {normal(random), normal(random)};
  auto f = x;
  preprocess::FourierTransform(f.data(), size, {true, true, true}, false, 2);
  const double pi = std::acos(-1.0);
  for (const std::array<int64_t, 3> at : {std::array<int64_t, 3>{0, 0, 0}, {1, 2, 3}, {5, 6, 4}}) {
    std::complex<double> sum = 0;
    for (int64_t k = 0; k < 5; ++k)
      for (int64_t j = 0; j < 7; ++j)
        for (int64_t i = 0; i < 6; ++i)
          sum += x[(k * 7 + j) * 6 + i] *
                 std::polar(1.0, -2 * pi * (at[0] * i / 6.0 + at[1] * j / 7.0 + at[2] * k / 5.0));
    EXPECT_LT(std::abs(sum - f[(at[2] * 7 + at[1]) * 6 + at[0]]), 1e-12);
  }
  preprocess::FourierTransform(f.data(), size, {true, true, true}, true, 2);
  for (size_t n = 0; n < x.size(); ++n) ASSERT_LT(std::abs(f[n] - x[n]), 1e-13);
  // The same length along all axes, there and back.
  std::vector<std::complex<float>> cube(8 * 8 * 8);
  for (size_t n = 0; n < cube.size(); ++n) cube[n] = {static_cast<float>(n % 13), 1};
  auto back = cube;
  preprocess::FourierTransform(back.data(), {8, 8, 8}, {true, true, true}, false);
  preprocess::FourierTransform(back.data(), {8, 8, 8}, {true, true, true}, true);
  for (size_t n = 0; n < cube.size(); ++n) ASSERT_LT(std::abs(back[n] - cube[n]), 1e-5f);
  EXPECT_DOUBLE_EQ(preprocess::FrequencyOf(3, 6), -0.5);
  EXPECT_DOUBLE_EQ(preprocess::FrequencyOf(3, 7), 3 / 7.0);
}

struct Textures {
  std::vector<double> reference, blurred, noisy, other;
  int64_t n = 96;
  ImagePair Pair(const std::vector<double>& p) const {
    ImagePair pair;
    pair.prediction = p.data();
    pair.reference = reference.data();
    pair.size[0] = pair.size[1] = n;
    pair.dims = 2;
    return pair;
  }
};

// A disc with stripes of rising frequency: the reference; blurred; with white noise; turned.
Textures MakeTextures() {
  Textures t;
  std::mt19937 random(5);
  std::normal_distribution<double> normal(0, 0.05);
  const int64_t n = t.n;
  for (int64_t y = 0; y < n; ++y) {
    for (int64_t x = 0; x < n; ++x) {
      const double r = std::hypot(x - 48.0, y - 48.0);
      t.reference.push_back(r < 36 ? 0.5 + 0.3 * std::sin(0.02 * x * x) + 0.1 * std::sin(2.0 * y)
                                   : 0);
    }
  }
  for (int64_t y = 0; y < n; ++y) {
    for (int64_t x = 0; x < n; ++x) {
      double sum = 0;
      for (int64_t dy = -1; dy <= 1; ++dy)
        for (int64_t dx = -1; dx <= 1; ++dx)
          sum += t.reference[std::clamp<int64_t>(y + dy, 0, n - 1) * n +
                             std::clamp<int64_t>(x + dx, 0, n - 1)];
      t.blurred.push_back(sum / 9);
      t.noisy.push_back(t.reference[y * n + x] + normal(random));
      t.other.push_back(t.reference[x * n + y]);
    }
  }
  return t;
}

TEST(DetailMeasures, TellBlurNoiseAndInventionApart) {
  const Textures t = MakeTextures();
  const std::array<double, 3> mm{1, 1, 1};
  const auto row = [&](const char* name, const std::vector<double>& p) {
    const GradientMeasures g = CompareGradients(t.Pair(p), mm);
    const SpectrumMeasures s = CompareSpectra(t.Pair(p));
    std::printf(
        "%-9s gradient correlation %.4f ratio %.4f, high frequencies: power %.4f coherence "
        "%.4f\n",
        name, g.correlation, g.ratio, s.high_power_ratio, s.high_coherence);
    return std::pair{g, s};
  };
  const auto [g0, s0] = row("itself", t.reference);
  EXPECT_NEAR(g0.correlation, 1, 1e-12);
  EXPECT_NEAR(g0.ratio, 1, 1e-12);
  EXPECT_NEAR(s0.high_power_ratio, 1, 1e-12);
  EXPECT_NEAR(s0.high_coherence, 1, 1e-12);
  EXPECT_EQ(s0.rings.size(), 16u);
  const auto [gb, sb] = row("blurred", t.blurred);
  EXPECT_LT(gb.ratio, 0.75);
  EXPECT_LT(sb.high_power_ratio, 0.2);
  const auto [gn, sn] = row("noisy", t.noisy);
  EXPECT_GT(gn.ratio, 1.02);
  EXPECT_GT(sn.high_power_ratio, 1.02);
  EXPECT_LT(sn.high_coherence, 0.999);
  const auto [gi, si] = row("turned", t.other);
  EXPECT_LT(gi.correlation, 0.8);
  EXPECT_NEAR(si.high_power_ratio, 1, 0.1);  // as much power, but not the reference's
  EXPECT_LT(si.high_coherence, 0.5);

  // A linear ramp by hand: gradient 2 per mm at every inner sample, whatever the spacing.
  std::vector<double> ramp(5 * 4 * 3), steeper(5 * 4 * 3);
  for (int k = 0; k < 3; ++k)
    for (int j = 0; j < 4; ++j)
      for (int i = 0; i < 5; ++i) {
        ramp[(k * 4 + j) * 5 + i] = 0.5 * i;
        steeper[(k * 4 + j) * 5 + i] = 1.5 * i;
      }
  ImagePair pair;
  pair.prediction = steeper.data();
  pair.reference = ramp.data();
  pair.size[0] = 5, pair.size[1] = 4, pair.size[2] = 3;
  const GradientMeasures g = CompareGradients(pair, {0.25, 1, 1});
  EXPECT_NEAR(g.ratio, 3, 1e-12);
  EXPECT_TRUE(std::isnan(g.correlation));  // both constant
}

TEST(ImageQualityMask, OnlyMaskedSamplesCount) {
  const Textures t = MakeTextures();
  std::vector<uint8_t> mask(t.reference.size(), 0), all(t.reference.size(), 1);
  for (int64_t y = 30; y < 50; ++y)
    for (int64_t x = 40; x < 60; ++x) mask[y * t.n + x] = 1;
  ImagePair pair = t.Pair(t.blurred);
  const double whole = MeasureErrors(pair).mse, ssim = Ssim(pair, SsimFsRwkv(1));
  pair.mask = all.data();
  EXPECT_EQ(MeasureErrors(pair).mse, whole);
  EXPECT_EQ(Ssim(pair, SsimFsRwkv(1)), ssim);
  pair.mask = mask.data();
  double sum = 0;
  for (size_t n = 0; n < mask.size(); ++n)
    if (mask[n]) sum += std::pow(t.blurred[n] - t.reference[n], 2);
  EXPECT_NEAR(MeasureErrors(pair).mse, sum / 400, 1e-15);
  // The windows of these pixels lie inside: both borders give the same.
  const SsimMeans means = SsimFullAndValid(pair, SsimFsRwkv(1));
  EXPECT_NEAR(means.full, means.valid, 1e-14);
  EXPECT_NEAR(means.valid, Ssim(pair, SsimCropped(1)), 1e-14);
  EXPECT_NE(means.full, ssim);
  std::fill(mask.begin(), mask.end(), 0);
  EXPECT_TRUE(std::isnan(MeasureErrors(pair).rmse));
  EXPECT_TRUE(std::isnan(Ssim(pair, SsimFsRwkv(1))));
}

TEST(SsimNames, AllResolve) {
  for (const std::string& name : SsimNames()) EXPECT_EQ(SsimByName(name, 2).data_range, 2);
  EXPECT_EQ(SsimByName("monai", 1).border, SsimOptions::Border::kValid);
  EXPECT_EQ(SsimByName("scikit-image", 1).size, 7);
  EXPECT_THROW(SsimByName("x", 1), OptionError);
}

}  // namespace
}  // namespace avocet
