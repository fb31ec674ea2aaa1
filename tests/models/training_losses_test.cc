// SPDX-License-Identifier: Apache-2.0
#include "models/training/losses.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

namespace avocet::models {
namespace {

at::Tensor RandomLogits(at::IntArrayRef shape) {
  at::manual_seed(7);
  return at::randn(shape, at::kDouble) * 2;
}

// One pixel with logits (0, ln 3): probabilities 1/4 and 3/4.
TEST(Losses, OnePixelByHand) {
  const at::Tensor logits = at::tensor({0.0, std::log(3.0)}, at::kDouble).view({1, 2, 1, 1});
  const at::Tensor label = at::ones({1, 1, 1}, at::kByte);
  EXPECT_NEAR(CrossEntropyLoss(logits, label).item<double>(), -std::log(0.75), 1e-12);
  // Class 0: p = 1/4, g = 0; class 1: p = 3/4, g = 1.
  const double e = 1e-5;
  const double dice0 = e / (1.0 / 16 + e), dice1 = (1.5 + e) / (9.0 / 16 + 1 + e);
  const double expected = ((1 - dice0) + (1 - dice1)) / 2;
  EXPECT_NEAR(SoftmaxDiceLoss(logits, label, 2).item<double>(), expected, 1e-12);
  const SegmentationLoss both = ComputeSegmentationLoss(logits, label, 0.2, 0.8);
  EXPECT_NEAR(both.total.item<double>(), -0.2 * std::log(0.75) + 0.8 * expected, 1e-12);
}

// The sums run over the batch before the quotient is taken.
TEST(Losses, DiceIsPooledOverTheBatch) {
  const at::Tensor logits = RandomLogits({3, 4, 5, 6});
  const at::Tensor labels = at::randint(0, 4, {3, 5, 6}, at::kLong);
  const at::Tensor p = at::softmax(logits, 1);
  double expected = 0;
  for (int64_t c = 0; c < 4; ++c) {
    double pg = 0, pp = 0, gg = 0;
    for (int64_t n = 0; n < 3; ++n) {
      for (int64_t i = 0; i < 30; ++i) {
        const double value = p[n][c].flatten()[i].item<double>();
        const bool hit = labels[n].flatten()[i].item<int64_t>() == c;
        pg += hit ? value : 0;
        pp += value * value;
        gg += hit;
      }
    }
    expected += (1 - (2 * pg + 1e-5) / (pp + gg + 1e-5)) / 4;
  }
  EXPECT_NEAR(SoftmaxDiceLoss(logits, labels, 4).item<double>(), expected, 1e-12);
}

TEST(Losses, GradientsAgreeWithFiniteDifferences) {
  at::Tensor logits = RandomLogits({2, 3, 4, 3}).set_requires_grad(true);
  at::Tensor labels = at::randint(0, 3, {2, 4, 3}, at::kByte);
  labels[0][1][2] = kIgnoreLabel;
  ComputeSegmentationLoss(logits, labels, 0.3, 0.7).total.backward();
  const at::Tensor gradient = logits.grad().flatten();
  const at::Tensor flat = logits.detach().flatten();
  const double h = 1e-6;
  for (int64_t i = 0; i < flat.numel(); i += 5) {
    const auto at_offset = [&](double offset) {
      at::Tensor moved = flat.clone();
      moved[i] += offset;
      return ComputeSegmentationLoss(moved.view({2, 3, 4, 3}), labels, 0.3, 0.7)
          .total.item<double>();
    };
    EXPECT_NEAR(gradient[i].item<double>(), (at_offset(h) - at_offset(-h)) / (2 * h), 1e-8);
  }
}

TEST(Losses, IgnoredPixelsDoNotCount) {
  const at::Tensor logits = RandomLogits({2, 3, 4, 8});
  at::Tensor labels = at::randint(0, 3, {2, 4, 8}, at::kByte);
  const at::Tensor left = logits.narrow(3, 0, 5), left_labels = labels.narrow(2, 0, 5).clone();
  labels.narrow(2, 5, 3).fill_(kIgnoreLabel);
  EXPECT_NEAR(SoftmaxDiceLoss(logits, labels, 3).item<double>(),
              SoftmaxDiceLoss(left, left_labels, 3).item<double>(), 1e-12);
  EXPECT_NEAR(CrossEntropyLoss(logits, labels).item<double>(),
              CrossEntropyLoss(left, left_labels).item<double>(), 1e-12);
  labels.fill_(kIgnoreLabel);
  EXPECT_EQ(CrossEntropyLoss(logits, labels).item<double>(), 0);
}

TEST(Losses, PerfectPredictionHasNoLoss) {
  const at::Tensor labels = at::randint(0, 3, {2, 6, 6}, at::kLong);
  const at::Tensor logits = at::one_hot(labels, 3).permute({0, 3, 1, 2}).to(at::kDouble) * 60;
  EXPECT_LT(ComputeSegmentationLoss(logits, labels).total.item<double>(), 1e-12);
}

}  // namespace
}  // namespace avocet::models
