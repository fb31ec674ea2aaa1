// SPDX-License-Identifier: Apache-2.0
#include "models/training/schedule.h"

#include <gtest/gtest.h>

#include <cmath>

namespace avocet::models {
namespace {

ScheduleOptions Options(const char* name, double base, int64_t epochs, int64_t steps) {
  ScheduleOptions o;
  o.name = name;
  o.base = base;
  o.epochs = epochs;
  o.steps_per_epoch = steps;
  return o;
}

// Numbers of shared/spec/rwkv_unet.md 15.3.
TEST(Schedule, SynapseOfficial) {
  const auto o = Options("synapse-official", 1e-3, 30, 93);
  EXPECT_EQ(o.TotalSteps(), 2790);
  EXPECT_DOUBLE_EQ(LearningRate(o, 0), 1e-3);
  EXPECT_DOUBLE_EQ(LearningRate(o, 1), 1e-3);
  const struct {
    int64_t epoch;
    double first;
  } firsts[] = {{1, 9.676e-4}, {2, 9.324e-4}, {10, 6.562e-4}, {20, 3.139e-4}, {29, 1.186e-5}};
  for (const auto& f : firsts) {
    EXPECT_NEAR(LearningRate(o, 93 * f.epoch) / f.first, 1, 6e-4) << f.epoch;
  }
  EXPECT_NEAR(LearningRate(o, 93 * 29 + 1), 4.684e-5, 5e-9);
  EXPECT_NEAR(LearningRate(o, 2789), 1.479e-6, 5e-10);
  const struct {
    int64_t epoch;
    double rho;
  } ratios[] = {{1, 0.9973},  {10, 0.9447}, {15, 0.9054}, {20, 0.8428},
                {25, 0.7015}, {28, 0.4465}, {29, 0.2507}};
  for (const auto& r : ratios) {
    const int64_t k = 93 * r.epoch;
    const double poly = 1e-3 * std::pow(1 - (k - 1) / 2790.0, 0.9);
    EXPECT_NEAR(LearningRate(o, k) / poly, r.rho, 5e-5) << r.epoch;
  }
}

// 15.4: period 112 half waves in iterations, floor 1e-6; the release: 150 and 0.
TEST(Schedule, AcdcOscillatesPerIteration) {
  const auto o = Options("acdc-official", 5e-4, 150, 55);
  EXPECT_DOUBLE_EQ(LearningRate(o, 0), 5e-4);
  EXPECT_NEAR(LearningRate(o, 112), 1e-6, 1e-15);
  EXPECT_NEAR(LearningRate(o, 224), 5e-4, 1e-15);
  EXPECT_NEAR(LearningRate(o, 56), (5e-4 + 1e-6) / 2, 1e-15);
  const auto release = Options("acdc-release", 5e-4, 150, 55);
  EXPECT_NEAR(LearningRate(release, 150), 0, 1e-18);
  EXPECT_NEAR(LearningRate(release, 300), 5e-4, 1e-15);
}

TEST(Schedule, CosineWarmsUpAndFallsToItsFloor) {
  auto o = Options("cosine", 2e-3, 10, 10);
  o.warmup_steps = 10;
  o.floor = 0.01;
  EXPECT_DOUBLE_EQ(LearningRate(o, 0), 2e-4);
  EXPECT_DOUBLE_EQ(LearningRate(o, 9), 2e-3);
  EXPECT_DOUBLE_EQ(LearningRate(o, 10), 2e-3);
  EXPECT_NEAR(LearningRate(o, 55), 2e-3 * 0.505, 1e-15);
  EXPECT_NEAR(LearningRate(o, 100), 2e-5, 1e-15);
  for (int64_t step = 11; step < 100; ++step) {
    EXPECT_LT(LearningRate(o, step), LearningRate(o, step - 1));
  }
}

TEST(Schedule, PolyConstantAndCosineByEpoch) {
  const auto poly = Options("poly", 1e-2, 4, 25);
  EXPECT_NEAR(LearningRate(poly, 50), 1e-2 * std::pow(0.5, 0.9), 1e-15);
  EXPECT_DOUBLE_EQ(LearningRate(Options("constant", 1e-2, 4, 25), 77), 1e-2);
  const auto epoch = Options("cosine-epoch", 1e-3, 30, 93);
  EXPECT_DOUBLE_EQ(LearningRate(epoch, 92), 1e-3);
  EXPECT_NEAR(LearningRate(epoch, 93 * 15), 5e-4, 1e-15);
}

TEST(Schedule, WrongOptionsAreNamed) {
  auto o = Options("cosin", 1e-3, 10, 10);
  EXPECT_NE(o.Check().find("cosin"), std::string::npos);
  o = Options("cosine", 0, 10, 10);
  EXPECT_NE(o.Check().find("--lr"), std::string::npos);
  EXPECT_EQ(Options("poly", 1e-3, 10, 10).Check(), "");
}

TEST(Schedule, FsRwkvCheckValues) {
  ScheduleOptions o;
  o.name = "fs-rwkv";
  o.base = 2e-4;
  o.epochs = 200;
  o.steps_per_epoch = 7;
  for (const auto& [epoch, rate] : {std::pair{0, 2.0e-4},
                                    {50, 1.7086e-4},
                                    {100, 1.0050e-4},
                                    {150, 3.0143e-5},
                                    {199, 1.0123e-6}}) {
    EXPECT_NEAR(LearningRate(o, 7 * epoch), rate, 5e-5 * rate) << epoch;
    EXPECT_EQ(LearningRate(o, 7 * epoch + 6), LearningRate(o, 7 * epoch)) << epoch;
  }
}

}  // namespace
}  // namespace avocet::models
