// SPDX-License-Identifier: Apache-2.0
#include "models/preprocess/degrade.h"

#include <gtest/gtest.h>

#include <cmath>
#include <complex>
#include <cstdio>

#include "app/base/error.h"
#include "models/preprocess/fourier.h"

namespace avocet {
namespace {

using namespace preprocess;
using Size = std::array<int64_t, 3>;

// A smooth ball of mean 100 in a field of 0 (about 40 % of the volume).
std::vector<float> Ball(const Size& size) {
  std::vector<float> values;
  for (int64_t k = 0; k < size[2]; ++k)
    for (int64_t j = 0; j < size[1]; ++j)
      for (int64_t i = 0; i < size[0]; ++i) {
        const double r = std::hypot(2.0 * i / (size[0] - 1) - 1, 2.0 * j / (size[1] - 1) - 1,
                                    2.0 * k / (size[2] - 1) - 1);
        values.push_back(r < 0.9 ? 100 + 20 * std::sin(0.9 * i) : 0);
      }
  return values;
}

DegradeOptions Nothing() {
  DegradeOptions options;
  options.coarser = {1, 1, 1};
  options.blur = options.snr = options.bias = 0;
  return options;
}

double Deviation(const std::vector<float>& a, const std::vector<float>& b) {
  double sum = 0;
  for (size_t x = 0; x < a.size(); ++x) sum += (a[x] - b[x]) * (a[x] - b[x]);
  return std::sqrt(sum / static_cast<double>(a.size()));
}

TEST(Degrade, NothingChangesNothing) {
  const Size size{30, 27, 22};
  const auto ball = Ball(size);
  const Degraded d = Degrade(ball, size, Nothing());
  EXPECT_EQ(d.matrix, size);
  for (size_t x = 0; x < ball.size(); ++x) ASSERT_NEAR(d.values[x], ball[x], 2e-4);
}

TEST(Degrade, TruncationKeepsTheCentreOfKSpaceOnly) {
  const Size size{30, 27, 22};
  const auto ball = Ball(size);
  DegradeOptions options = Nothing();
  options.coarser = {2, 1.5, 1};
  const Degraded d = Degrade(ball, size, options);
  EXPECT_EQ(d.matrix, (Size{15, 17, 22}));
  // The image is positive enough that the magnitude changes its spectrum little: compare with the
  // truncated transform itself.
  std::vector<std::complex<double>> k(ball.begin(), ball.end());
  FourierTransform(k.data(), size, {true, true, true}, false);
  for (int64_t c = 0; c < 22; ++c)
    for (int64_t b = 0; b < 27; ++b)
      for (int64_t a = 0; a < 30; ++a) {
        const bool kept =
            std::abs(FrequencyOf(a, 30)) * 30 <= 7.5 && std::abs(FrequencyOf(b, 27)) * 27 <= 8.5;
        if (!kept) k[(c * 27 + b) * 30 + a] = 0;
      }
  FourierTransform(k.data(), size, {true, true, true}, true);
  for (size_t x = 0; x < ball.size(); ++x) ASSERT_NEAR(d.values[x], std::abs(k[x]), 2e-4);
}

TEST(Degrade, NoiseHasTheAskedDeviationAndIsRician) {
  const Size size{40, 40, 40};
  const auto ball = Ball(size);
  DegradeOptions options = Nothing();
  options.snr = 70;
  options.field_ratio = 7.0 / 3;  // SNR 30
  const Degraded d = Degrade(ball, size, options);
  EXPECT_NEAR(d.signal, 100, 3);
  EXPECT_NEAR(d.noise, d.signal / 30, 1e-9);
  double inside = 0, outside = 0;
  int64_t n_inside = 0, n_outside = 0;
  for (size_t x = 0; x < ball.size(); ++x) {
    if (ball[x] > 0) {
      inside += std::pow(d.values[x] - ball[x], 2);
      ++n_inside;
    } else {
      outside += d.values[x];
      ++n_outside;
    }
  }
  const double sigma = std::sqrt(inside / n_inside), floor = outside / n_outside;
  std::printf("asked %.3f; inside %.3f, mean of the air %.3f\n", d.noise, sigma, floor);
  EXPECT_NEAR(sigma, d.noise, 0.03 * d.noise);
  EXPECT_NEAR(floor, d.noise * std::sqrt(std::acos(-1.0) / 2), 0.03 * d.noise);  // Rayleigh

  // Larger voxels have less: a quarter of the samples, half the noise.
  options.coarser = {2, 2, 1};
  const Degraded coarse = Degrade(std::vector<float>(ball), size, options);
  DegradeOptions clean = options;
  clean.snr = 0;
  double left = 0;
  const auto without = Degrade(ball, size, clean).values;
  for (size_t x = 0; x < ball.size(); ++x)
    if (ball[x] > 0) left += std::pow(coarse.values[x] - without[x], 2);
  EXPECT_NEAR(std::sqrt(left / n_inside), d.noise * std::sqrt(19.0 * 19 / 1600), 0.04 * d.noise);
}

TEST(Degrade, DeterministicBySeedAndThreads) {
  const Size size{20, 21, 22};
  const auto ball = Ball(size);
  DegradeOptions options;
  options.threads = 1;
  const auto a = Degrade(ball, size, options).values;
  options.threads = 3;
  EXPECT_EQ(Degrade(ball, size, options).values, a);
  options.seed = 2;
  EXPECT_GT(Deviation(Degrade(ball, size, options).values, a), 1);
}

TEST(Degrade, EmptyAirIsExactlyZeroOutsideOfTheHead) {
  const Size size{30, 31, 28};
  const auto ball = Ball(size);
  DegradeOptions options;
  const auto noisy = Degrade(ball, size, options).values;
  options.empty_air = true;
  const auto masked = Degrade(ball, size, options).values;
  int64_t zeros = 0, kept = 0, inside = 0, lost = 0;
  for (size_t x = 0; x < ball.size(); ++x) {
    if (masked[x] == 0) {
      ++zeros;
    } else {
      ASSERT_EQ(masked[x], noisy[x]);
      ++kept;
    }
    if (ball[x] > 0) {
      ++inside;
      lost += masked[x] == 0;  // single voxels that stick out of the ball
    }
  }
  EXPECT_GT(zeros, kept / 2);
  EXPECT_LT(lost, inside / 50);
  options.reconstruction = Reconstruction::kAcquired;
  EXPECT_THROW(Degrade(ball, size, options), OptionError);
}

TEST(Degrade, BiasIsSmoothAndBounded) {
  const Size size{30, 30, 30};
  const std::vector<float> flat(27000, 100.0f);
  DegradeOptions options = Nothing();
  options.bias = 0.2;
  const auto v = Degrade(flat, size, options).values;
  float low = 1e9f, high = 0;
  for (const float x : v) {
    low = std::min(low, x);
    high = std::max(high, x);
  }
  EXPECT_GE(low, 100 * std::exp(-0.2) - 0.01);
  EXPECT_LE(high, 100 * std::exp(0.2) + 0.01);
  EXPECT_NEAR(std::max(high / 100, 100 / low), std::exp(0.2), 1e-4);
}

TEST(Degrade, InterpolatedReconstructionsAgreeOnSmoothImages) {
  const Size size{48, 45, 40};
  std::vector<float> smooth;
  for (int64_t k = 0; k < 40; ++k)
    for (int64_t j = 0; j < 45; ++j)
      for (int64_t i = 0; i < 48; ++i)
        smooth.push_back(static_cast<float>(100 + 30 * std::cos(2 * std::acos(-1.0) * i / 48) *
                                                      std::cos(2 * std::acos(-1.0) * j / 45)));
  DegradeOptions options = Nothing();
  options.coarser = {2, 2, 2};
  double error[4];
  int n = 0;
  for (const char* name : {"zero-fill", "linear", "bicubic", "lanczos"}) {
    options.reconstruction = ReconstructionFromName(name);
    const Degraded d = Degrade(smooth, size, options);
    EXPECT_EQ(d.size, size);
    // Inside: at the far edges the small image ends before the large one.
    double worst = 0;
    for (int64_t k = 5; k < 34; ++k)
      for (int64_t j = 5; j < 38; ++j)
        for (int64_t i = 5; i < 42; ++i) {
          const size_t x = (k * 45 + j) * 48 + i;
          worst = std::max(worst, static_cast<double>(std::abs(d.values[x] - smooth[x])));
        }
    std::printf("%-9s worst error %.4f\n", name, worst);
    error[n++] = worst;
  }
  EXPECT_LT(error[0], 1e-3);
  EXPECT_LT(error[1], 2);
  EXPECT_LT(error[2], error[1] / 5);
  EXPECT_LT(error[3], error[1]);
  options.reconstruction = Reconstruction::kAcquired;
  const Degraded small = Degrade(smooth, size, options);
  EXPECT_EQ(small.size, (Size{23, 23, 19}));
  // Sample m lies at m * 48 / 23 of the original.
  EXPECT_NEAR(small.values[11], 100 + 30 * std::cos(2 * std::acos(-1.0) * 11 / 23.0), 1e-3);
  EXPECT_THROW(ReconstructionFromName("nearest"), OptionError);
  options.coarser = {0.5, 1, 1};
  EXPECT_THROW(Degrade(smooth, size, options), OptionError);
}

}  // namespace
}  // namespace avocet
