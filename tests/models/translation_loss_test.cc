// SPDX-License-Identifier: Apache-2.0
#include "models/training/translation_loss.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

namespace avocet::models {
namespace {

// The images of section 18 of shared/spec/fs_rwkv.md.
struct Images {
  at::Tensor prediction, target;
};
Images Published(at::ScalarType type) {
  const at::Tensor y = at::arange(16, at::kLong).view({1, 1, 16, 1}),
                   x = at::arange(16, at::kLong).view({1, 1, 1, 16});
  return {(at::remainder(3 * y + 5 * x, 17).to(at::kDouble) / 16).to(type),
          (at::remainder(2 * y + 7 * x, 13).to(at::kDouble) / 12).to(type)};
}

TEST(TranslationLoss, PublishedValues) {
  for (const at::ScalarType type : {at::kDouble, at::kFloat}) {
    const auto [p, t] = Published(type);
    const double tolerance = type == at::kDouble ? 1e-9 : 2e-7;
    const TranslationLoss loss = ComputeTranslationLoss(p, t);
    EXPECT_NEAR(loss.smooth_l1.item<double>(), 0.0872743395, tolerance);
    EXPECT_NEAR(loss.edge.item<double>(), 0.6049552734, tolerance);
    EXPECT_NEAR(loss.ssim.item<double>(), 1 - 0.1014684795, tolerance);
    EXPECT_NEAR(loss.total.item<double>(), 0.6281735297, tolerance);
    EXPECT_NEAR(StructuralSimilarity(p, t, SsimBorder::kCrop).item<double>(), 0.1517901700,
                tolerance);
    EXPECT_EQ(loss.total.scalar_type(), type);
  }
}

TEST(TranslationLoss, IdenticalImagesCostNothing) {
  at::manual_seed(1);
  const at::Tensor x = at::rand({2, 1, 20, 14});
  const TranslationLoss loss = ComputeTranslationLoss(x, x);
  EXPECT_NEAR(loss.total.item<double>(), 0, 1e-7);
  EXPECT_NEAR(StructuralSimilarity(at::ones_like(x), at::ones_like(x)).item<double>(), 1, 1e-7);
}

TEST(TranslationLoss, SmoothL1BeyondOneIsLinear) {
  const at::Tensor x = at::zeros({1, 1, 1, 2}, at::kDouble),
                   y = at::tensor({0.5, -3.0}, at::kDouble).view({1, 1, 1, 2});
  EXPECT_NEAR(SmoothL1Loss(y, x).item<double>(), (0.125 + 2.5) / 2, 1e-15);
}

TEST(TranslationLoss, GradientsAreFiniteDifferences) {
  const auto [p, t] = Published(at::kDouble);
  for (const SsimBorder border : {SsimBorder::kFull, SsimBorder::kCrop}) {
    TranslationLossOptions options;
    options.border = border;
    const at::Tensor x = p.clone().requires_grad_(true);
    ComputeTranslationLoss(x, t, options).total.backward();
    for (const int64_t i : {0, 17, 100, 137, 255}) {
      const double h = 1e-6;
      const auto at_offset = [&](double step) {
        at::Tensor moved = p.clone();
        moved.view(-1)[i] += step;
        return ComputeTranslationLoss(moved, t, options).total.item<double>();
      };
      EXPECT_NEAR(x.grad().view(-1)[i].item<double>(), (at_offset(h) - at_offset(-h)) / (2 * h),
                  1e-8)
          << i;
    }
  }
}

TEST(TranslationLoss, BatchesAreMeans) {
  at::manual_seed(2);
  const at::Tensor a = at::rand({3, 1, 12, 18}, at::kDouble),
                   b = at::rand({3, 1, 12, 18}, at::kDouble);
  double mean = 0;
  for (int64_t n = 0; n < 3; ++n) {
    mean += ComputeTranslationLoss(a.narrow(0, n, 1), b.narrow(0, n, 1)).total.item<double>() / 3;
  }
  EXPECT_NEAR(ComputeTranslationLoss(a, b).total.item<double>(), mean, 1e-12);
}

TEST(TranslationLoss, RefusesWhatItCannotJudge) {
  const at::Tensor small = at::zeros({1, 1, 5, 20}), edge = at::zeros({1, 1, 6, 6});
  EXPECT_THROW(StructuralSimilarity(small, small), c10::Error);
  EXPECT_NO_THROW(StructuralSimilarity(edge, edge));
  EXPECT_THROW(StructuralSimilarity(edge, edge, SsimBorder::kCrop), c10::Error);
  EXPECT_THROW(ComputeTranslationLoss(edge, small), c10::Error);
  EXPECT_THROW(SmoothL1Loss(at::zeros({1, 3, 8, 8}), at::zeros({1, 3, 8, 8})), c10::Error);
}

}  // namespace
}  // namespace avocet::models
