// SPDX-License-Identifier: Apache-2.0
// Augmentation of pairs (identical geometry), mixing, and the data set of slices.
#include "models/training/pair_dataset.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "app/base/error.h"
#include "models/metrics/registration.h"
#include "models/training/batch_queue.h"

namespace avocet::models {
namespace {

// The target is 1 - source: whatever geometry is applied to both, this stays.
PlanePair Complementary(int64_t rows, int64_t cols, uint64_t seed = 1, bool eight_bit = false) {
  PlanePair pair;
  pair.rows = rows;
  pair.cols = cols;
  pair.eight_bit = eight_bit;
  CounterRng rng(seed, 0, 0);
  for (int64_t x = 0; x < rows * cols; ++x) {
    const double v = static_cast<double>(rng.Below(256)) / 255;
    pair.source.push_back(static_cast<float>(v));
    pair.target.push_back(static_cast<float>(1 - v));
  }
  return pair;
}

std::vector<float> Plane(std::initializer_list<float> values) { return values; }

TEST(PairAugmentation, StepsByHand) {
  PlanePair p;
  p.rows = 2;
  p.cols = 3;
  p.source = {1, 2, 3, 4, 5, 6};
  p.target = p.source;
  PlanePair q = p;
  FlipColumns(q);
  EXPECT_EQ(q.source, Plane({3, 2, 1, 6, 5, 4}));
  q = p;
  FlipRowsOf(q);
  EXPECT_EQ(q.target, Plane({4, 5, 6, 1, 2, 3}));
  q = p;
  TransposePair(q);
  EXPECT_EQ(q.rows, 3);
  EXPECT_EQ(q.source, Plane({1, 4, 2, 5, 3, 6}));
  q = p;
  TurnQuarters(q, 1);  // numpy.rot90
  EXPECT_EQ(q.rows, 3);
  EXPECT_EQ(q.source, Plane({3, 6, 2, 5, 1, 4}));
  TurnQuarters(q, 3);
  EXPECT_EQ(q.source, p.source);
  // A rotation by 90 degrees of a square is a quarter turn.
  PlanePair square = Complementary(9, 9);
  PlanePair turned = square;
  TurnQuarters(turned, 1);
  RotatePair(square, 90);
  for (size_t x = 0; x < 81; ++x) ASSERT_NEAR(square.source[x], turned.source[x], 1e-5);
  // Enlarging by half-pixel centres, edges clamped.
  PlanePair line;
  line.rows = 1;
  line.cols = 2;
  line.source = {0, 1};
  line.target = {0, 1};
  ResizePair(line, 1, 4);
  EXPECT_EQ(line.source, Plane({0, 0.25f, 0.75f, 1}));
  const PlanePair crop = CropPair(p, -1, 1, 3, 3);
  EXPECT_EQ(crop.source, Plane({0, 0, 0, 2, 3, 0, 5, 6, 0}));
}

TEST(PairAugmentation, RotationReflectsAtTheBorder) {
  // A picture that depends on the row only, turned by a few degrees, keeps its range and its mean.
  PlanePair pair = Complementary(20, 30);
  RotatePair(pair, 17);
  for (size_t x = 0; x < pair.source.size(); ++x) {
    ASSERT_NEAR(pair.source[x] + pair.target[x], 1, 1e-5);  // nothing came from outside
  }
}

TEST(PairAugmentation, BothPicturesGetTheSameGeometry) {
  const PairRecipe recipe = PairRecipe::ByName("fs-rwkv/unc");
  std::set<std::pair<int64_t, int64_t>> shapes;
  int changed = 0;
  for (uint64_t n = 0; n < 60; ++n) {
    for (const bool eight_bit : {false, true}) {
      PlanePair pair = Complementary(12, 18, 3, eight_bit);
      const PlanePair before = pair;
      CounterRng rng(7, 1, n);
      AugmentPair(pair, recipe, rng);
      changed += pair.source != before.source;
      shapes.insert({pair.rows, pair.cols});
      ResizePair(pair, 16, 16);
      for (size_t x = 0; x < pair.source.size(); ++x) {
        // Rounding of a half goes to even on both sides.
        ASSERT_NEAR(pair.source[x] + pair.target[x], 1, eight_bit ? 0.0041 : 1e-5);
        if (eight_bit) {
          ASSERT_NEAR(pair.source[x] * 255, std::nearbyint(pair.source[x] * 255), 1e-4);
        }
      }
    }
  }
  EXPECT_GT(changed, 80);
  EXPECT_EQ(shapes.size(), 2u);  // upright and turned
}

TEST(PairAugmentation, MixingAndBeta) {
  CounterRng rng(5, 0, 0);
  double sum = 0, square = 0, extreme = 0;
  constexpr int kDraws = 20000;
  for (int n = 0; n < kDraws; ++n) {
    const double b = DrawBeta(0.2, rng);
    ASSERT_TRUE(b >= 0 && b <= 1);
    sum += b;
    square += b * b;
    extreme += b < 0.01 || b > 0.99;
  }
  const double mean = sum / kDraws, variance = square / kDraws - mean * mean;
  EXPECT_NEAR(mean, 0.5, 0.01);
  EXPECT_NEAR(variance, 0.25 / 1.4, 0.005);  // 1 / (4 (2a + 1))
  EXPECT_GT(extreme / kDraws, 0.4);          // most of the mass lies at the ends

  PlanePair a = Complementary(10, 10, 1), b = Complementary(10, 10, 2);
  PlanePair mixed = a;
  MixUp(mixed, b, 0.25);
  EXPECT_NEAR(mixed.source[17], 0.25 * a.source[17] + 0.75 * b.source[17], 1e-6);
  EXPECT_NEAR(mixed.target[17], 0.25 * a.target[17] + 0.75 * b.target[17], 1e-6);
  PlanePair cut = a;
  CutMix(cut, b, 0.75, 2,
         9);  // 5 x 5 about (2, 9): columns 0..4 (2 - 2.5 = -0.5, 4.5), rows 6.5..10
  for (int64_t y = 0; y < 10; ++y) {
    for (int64_t x = 0; x < 10; ++x) {
      const bool inside = x < 4 && y >= 6;  // round half to even: 4.5 -> 4, 6.5 -> 6
      EXPECT_EQ(cut.source[y * 10 + x], (inside ? b : a).source[y * 10 + x]) << x << " " << y;
      EXPECT_EQ(cut.target[y * 10 + x], (inside ? b : a).target[y * 10 + x]);
    }
  }
  EXPECT_THROW(PairRecipe::ByName("synapse"), OptionError);
}

ModelCard Card() {
  ModelCard card;
  card.architecture = "fs-rwkv";
  card.task = "translation";
  card.plane = "coronal";
  card.preprocessing.intensity = "percentile";
  card.preprocessing.lower = 0;
  card.preprocessing.upper = 100;
  return card;
}

// A ball; the target is three times the source plus 10.
PairCase BallCase(const std::string& name, int64_t slices = 12) {
  PairCase one;
  one.name = name;
  one.size = {20, 24, slices};
  one.spacing = {1, 1, 3};
  for (int64_t k = 0; k < slices; ++k)
    for (int64_t j = 0; j < 24; ++j)
      for (int64_t i = 0; i < 20; ++i) {
        const double r = std::hypot(i - 10.0, j - 12.0, 2 * (k - slices / 2.0));
        const double v = r < 8 ? 100 + 40 * std::sin(i + 0.5 * j) : 0;
        one.source.push_back(static_cast<float>(v));
        one.target.push_back(static_cast<float>(3 * v + 10));
      }
  return one;
}

TEST(PairDataset, StacksAreScaledAndOriented) {
  const PairCase one = BallCase("a");
  const PairStack own = MakeStack(one, Card(), false);
  EXPECT_EQ(own.plane, "axial");  // thick slices
  EXPECT_EQ(own.slices, 12);
  EXPECT_EQ(own.rows, 24);
  EXPECT_EQ(own.cols, 20);
  // Each by its own range: equal in spite of other units.
  for (size_t x = 0; x < own.source.size(); ++x) ASSERT_NEAR(own.source[x], own.target[x], 1e-5);
  const PairStack shared = MakeStack(one, Card(), true);
  EXPECT_EQ(shared.source, own.source);
  EXPECT_NE(shared.target, own.target);
}

TEST(PairDataset, EpochsAreFunctionsOfSeedAndEpoch) {
  PairDataset::Options options;
  options.augmentation = PairRecipe::ByName("fs-rwkv/bnu");
  options.size = 16;
  options.batch = 4;
  options.seed = 9;
  const auto make = [&] {
    std::vector<PairStack> stacks;
    stacks.push_back(MakeStack(BallCase("a"), Card(), false));
    stacks.push_back(MakeStack(BallCase("b", 10), Card(), false));
    return PairDataset(std::move(stacks), options);
  };
  const PairDataset a = make(), b = make();
  EXPECT_LT(a.slices(), 22);  // those beyond the balls show nothing
  EXPECT_GE(a.slices(), 14);
  EXPECT_EQ(a.steps_per_epoch(), (a.slices() + 3) / 4);
  EXPECT_EQ(a.EpochOrder(3), b.EpochOrder(3));
  EXPECT_NE(a.EpochOrder(3), a.EpochOrder(4));
  BatchQueue<PairDataset> queue(a, 2, 1);
  const auto order = b.EpochOrder(2);
  for (int64_t step = 1; step < a.steps_per_epoch(); ++step) {
    const PairDataset::Batch from_queue = queue.Next(), direct = b.MakeBatch(2, step, order);
    EXPECT_TRUE(at::equal(from_queue.source, direct.source));
    EXPECT_TRUE(at::equal(from_queue.target, direct.target));
    EXPECT_EQ(direct.source.size(2), 16);
    // Geometry and mixing are linear and the same for both.
    EXPECT_LT((direct.source - direct.target).abs().max().item<float>(), 1e-4);
  }
  options.slices_per_epoch = 6;
  EXPECT_EQ(make().EpochOrder(0).size(), 6u);
  EXPECT_EQ(make().steps_per_epoch(), 2);
  options.squeeze = false;
  options.size = 32;  // larger than the slices: surrounded by 0
  const PairDataset::Batch crop = make().MakeBatch(0, 0, make().EpochOrder(0));
  EXPECT_EQ(crop.source.size(3), 32);
  EXPECT_EQ(crop.source.select(2, 0).abs().max().item<float>(), 0);
}

TEST(PairDataset, OfficialMixingIsEveryThirdItem) {
  PairDataset::Options options;
  options.augmentation.name = "mix only";
  options.augmentation.mixing = "official";
  options.size = 24;
  options.batch = 1;
  std::vector<PairStack> stacks;
  for (int n = 0; n < 7; ++n) {  // pictures: all are items, each of one grey value
    PairCase one;
    one.name = std::to_string(n);
    one.picture = true;
    one.size = {24, 24, 1};
    one.source.assign(576, static_cast<float>(10 + 30 * n));
    one.target = one.source;
    stacks.push_back(MakeStack(one, Card(), false));
  }
  const PairDataset data(std::move(stacks), options);
  ASSERT_EQ(data.slices(), 7);
  for (const int64_t index : {0, 1, 2, 4, 5}) {
    const auto batch = data.MakeBatch(0, 0, {index});
    EXPECT_NEAR(batch.source.min().item<float>(), (10 + 30 * index) / 255.0, 1e-6);
    EXPECT_NEAR(batch.source.max().item<float>(), (10 + 30 * index) / 255.0, 1e-6);
  }
  int touched = 0;
  for (int64_t epoch = 0; epoch < 20; ++epoch) {
    for (const int64_t index : {3, 6}) {
      const auto batch = data.MakeBatch(epoch, 0, {index});
      const double own = (10 + 30 * index) / 255.0;
      touched += (batch.source - own).abs().max().item<float>() > 1e-3;
    }
  }
  EXPECT_GT(touched, 15);  // the partner may be itself, lambda may be 1
}

TEST(Registration, FindsShiftsAndUnrelatedImages) {
  const PairCase one = BallCase("a", 20);
  const auto in_place = metrics::CheckRegistration(one.source, one.target, one.size);
  EXPECT_EQ(in_place.best_shift, (std::array<int64_t, 3>{0, 0, 0}));
  EXPECT_NEAR(in_place.information, 2, 1e-9);  // equal up to a linear map
  // The target displaced by +2 along j must be moved back by -2.
  std::vector<float> moved(one.target.size(), 10.0f);
  for (int64_t k = 0; k < 20; ++k)
    for (int64_t j = 2; j < 24; ++j)
      for (int64_t i = 0; i < 20; ++i)
        moved[(k * 24 + j) * 20 + i] = one.target[(k * 24 + j - 2) * 20 + i];
  const auto shifted = metrics::CheckRegistration(one.source, moved, one.size);
  EXPECT_EQ(shifted.best_shift, (std::array<int64_t, 3>{0, -2, 0}));
  EXPECT_GT(shifted.best_information, shifted.information + 0.1);
  std::vector<float> noise;
  CounterRng rng(1, 2, 3);
  for (size_t x = 0; x < moved.size(); ++x) noise.push_back(static_cast<float>(rng.Normal()));
  EXPECT_LT(metrics::NormalisedMutualInformation(one.source, noise, one.size), 1.06);
}

}  // namespace
}  // namespace avocet::models
