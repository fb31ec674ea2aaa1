// SPDX-License-Identifier: Apache-2.0
// The operators of FS-RWKV's skip block: Haar transform, SKA, GroupNorm.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include "kernels/group_norm.h"
#include "kernels/haar.h"
#include "kernels/ska.h"

namespace avocet::kernels {
namespace {

double Error(const at::Tensor& got, const at::Tensor& want) {
  EXPECT_EQ(got.sizes(), want.sizes());
  return (got.to(at::kDouble) - want.to(at::kDouble)).abs().max().item<double>() /
         std::max(1e-12, want.abs().max().item<double>());
}

// ---- Haar

TEST(Haar, PublishedBlockAndBandOrder) {
  const at::Tensor block = at::tensor({1.0, 2.0, 3.0, 5.0}, at::kDouble).view({1, 1, 2, 2});
  const auto [low, high] = HaarForward(block);
  EXPECT_NEAR(low.item<double>(), 5.5, 1e-15);
  EXPECT_NEAR(high[0][0][0][0].item<double>(), -2.5, 1e-15);
  EXPECT_NEAR(high[0][1][0][0].item<double>(), -1.5, 1e-15);
  EXPECT_NEAR(high[0][2][0][0].item<double>(), 0.5, 1e-15);
}

TEST(Haar, IsOrthonormalAndInverts) {
  at::manual_seed(1);
  const at::Tensor x = at::randn({2, 5, 6, 8}, at::kDouble).requires_grad_(true);
  const auto [low, high] = HaarForward(x);
  EXPECT_NEAR((low.square().sum() + high.square().sum()).item<double>(),
              x.square().sum().item<double>(), 1e-11);
  EXPECT_LE(Error(HaarInverse(low, high), x), 1e-15);
  // Adjoint by autograd against the definition <T x, y> = <x, T' y>.
  const at::Tensor a = at::randn(low.sizes(), at::kDouble),
                   b = at::randn(high.sizes(), at::kDouble);
  ((low * a).sum() + (high * b).sum()).backward();
  EXPECT_LE(Error(x.grad(), HaarInverse(a, b)), 1e-15);
  // One of the bands may stay unused.
  const at::Tensor y = x.detach().clone().requires_grad_(true);
  HaarForward(y).second.square().sum().backward();
  const at::Tensor only_high = HaarInverse(at::zeros_like(a), 2 * high.detach());
  EXPECT_LE(Error(y.grad(), only_high), 1e-15);
}

TEST(Haar, OddSidesAreExtendedAtTheirEnd) {
  const at::Tensor x = at::randn({1, 2, 5, 3}, at::kDouble);
  const auto zero = HaarForward(x, HaarPadding::kZero);
  const auto copy = HaarForward(x, HaarPadding::kSymmetric);
  EXPECT_LE(Error(HaarInverse(zero.first, zero.second), at::constant_pad_nd(x, {0, 1, 0, 1}, 0)),
            1e-15);
  EXPECT_LE(Error(HaarInverse(copy.first, copy.second), at::replication_pad2d(x, {0, 1, 0, 1})),
            1e-15);
}

TEST(Haar, InverseWithFusion) {
  at::manual_seed(2);
  const at::Tensor low = at::randn({3, 4, 5, 6}), high = at::randn({3, 12, 5, 6}),
                   image = at::randn({3, 4, 10, 12}), first = at::rand({3}), second = at::rand({3});
  const auto wide = [](const at::Tensor& x) { return x.to(at::kDouble); };
  const at::Tensor want = wide(first).view({3, 1, 1, 1}) * HaarInverse(wide(low), wide(high)) +
                          wide(second).view({3, 1, 1, 1}) * wide(image);
  EXPECT_LE(Error(HaarInverseMix(low, high, image, first, second), want), 3e-7);
  EXPECT_THROW(HaarInverseMix(low, high, low, first, second), c10::Error);
  EXPECT_THROW(HaarInverse(low, low), c10::Error);
}

// ---- SKA

// Through the unfolded image, as the official code writes it.
at::Tensor UnfoldedSka(const at::Tensor& x, const at::Tensor& kernel) {
  const int64_t b = x.size(0), c = x.size(1), h = x.size(2), w = x.size(3);
  const at::Tensor taps =
      at::im2col(x, {3, 3}, {1, 1}, {1, 1}, {1, 1}).view({b, c / 8, 8, 9, h, w});
  return (taps * kernel.view({b, c / 8, 1, 9, h, w})).sum(3).view({b, c, h, w});
}

class SkaTest : public testing::TestWithParam<std::array<int64_t, 4>> {};

TEST_P(SkaTest, OutputAndGradients) {
  at::manual_seed(3);
  const auto [b, c, h, w] = GetParam();
  const auto run = [&, b = b, c = c, h = h, w = w](bool ours, at::ScalarType type) {
    at::manual_seed(4);
    const at::Tensor x = at::randn({b, c, h, w}, at::kDouble).to(type).requires_grad_(true);
    const at::Tensor k = at::randn({b, c / 8 * 9, h, w}, at::kDouble).to(type).requires_grad_(true);
    const at::Tensor y = ours ? Ska(x, k) : UnfoldedSka(x, k);
    y.backward(at::sin(at::arange(y.numel(), at::kDouble)).view(y.sizes()).to(type));
    return std::array<at::Tensor, 3>{y.detach(), x.grad(), k.grad()};
  };
  const auto want = run(false, at::kDouble), wide = run(true, at::kDouble),
             single = run(true, at::kFloat);
  for (int i = 0; i < 3; ++i) {
    EXPECT_LE(Error(wide[i], want[i]), 1e-14) << i;
    EXPECT_LE(Error(single[i], want[i]), 2e-6) << i;
  }
  const int threads = at::get_num_threads();
  at::set_num_threads(1);
  const auto one = run(true, at::kFloat);
  at::set_num_threads(3);
  const auto three = run(true, at::kFloat);
  at::set_num_threads(threads);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(at::equal(one[i], three[i])) << i;
}

TEST_P(SkaTest, FusedWithItsNorms) {
  at::manual_seed(5);
  const auto [b, c, h, w] = GetParam();
  const at::Tensor x = at::randn({b, c, h, w}), k = at::randn({b, c / 8 * 9, h, w}),
                   ks = at::randn({b, c / 8 * 9}), kb = at::randn({b, c / 8 * 9}),
                   s = at::randn({c}), t = at::randn({c});
  const auto wide = [](const at::Tensor& v) { return v.to(at::kDouble); };
  const auto pixels = [](const at::Tensor& v) { return v.unsqueeze(-1).unsqueeze(-1); };
  const at::Tensor want = UnfoldedSka(wide(x), wide(k) * pixels(wide(ks)) + pixels(wide(kb))) *
                              pixels(wide(s).unsqueeze(0)) +
                          pixels(wide(t).unsqueeze(0)) + wide(x);
  EXPECT_LE(Error(SkaNormAdd(x, k, ks, kb, s, t), want), 1e-6);
}

INSTANTIATE_TEST_SUITE_P(Shapes, SkaTest,
                         testing::Values(std::array<int64_t, 4>{2, 16, 5, 7},
                                         std::array<int64_t, 4>{1, 8, 1, 1},
                                         std::array<int64_t, 4>{1, 24, 2, 9},
                                         std::array<int64_t, 4>{1, 48, 6, 1}));

// A kernel with one tap in one group moves exactly the eight consecutive channels of that group.
TEST(Ska, GroupsAreConsecutiveChannels) {
  const at::Tensor x = at::randn({1, 24, 4, 4});
  at::Tensor k = at::zeros({1, 27, 4, 4});
  k[0][9 * 1 + 5].fill_(1);  // group 1, ky = 1, kx = 2: the right neighbour
  const at::Tensor y = Ska(x, k);
  EXPECT_TRUE(at::equal(y.narrow(1, 8, 8).slice(3, 0, 3), x.narrow(1, 8, 8).slice(3, 1, 4)));
  EXPECT_EQ(y.narrow(1, 8, 8).select(3, 3).abs().max().item<float>(), 0);
  EXPECT_EQ(y.narrow(1, 0, 8).abs().max().item<float>(), 0);
  EXPECT_EQ(y.narrow(1, 16, 8).abs().max().item<float>(), 0);
  EXPECT_THROW(Ska(x.narrow(1, 0, 12), k), c10::Error);
  EXPECT_THROW(Ska(x, k.narrow(1, 0, 18)), c10::Error);
}

// ---- GroupNorm

TEST(GroupNorm, OutputAndGradients) {
  for (const auto& [c, groups] : {std::pair<int64_t, int64_t>{24, 8}, {27, 3}, {16, 1}, {5, 5}}) {
    const auto run = [&, c = c, groups = groups](bool ours, at::ScalarType type) {
      at::manual_seed(6);
      const at::Tensor x = (at::randn({2, c, 5, 7}, at::kDouble) * 2 + 3).to(type);
      const at::Tensor w = at::randn({c}, at::kDouble).to(type),
                       b = at::randn({c}, at::kDouble).to(type);
      for (const at::Tensor* leaf : {&x, &w, &b}) leaf->requires_grad_(true);
      const at::Tensor y =
          ours ? GroupNorm(x, groups, w, b, 1e-5) : at::group_norm(x, groups, w, b);
      y.backward(at::sin(at::arange(y.numel(), at::kDouble)).view(y.sizes()).to(type));
      return std::array<at::Tensor, 4>{y.detach(), x.grad(), w.grad(), b.grad()};
    };
    const auto want = run(false, at::kDouble), wide = run(true, at::kDouble),
               single = run(true, at::kFloat);
    for (int i = 0; i < 4; ++i) {
      EXPECT_LE(Error(wide[i], want[i]), 1e-12) << c << " " << i;
      EXPECT_LE(Error(single[i], want[i]), 3e-6) << c << " " << i;
    }
  }
}

TEST(GroupNorm, KeepsPrecisionOnLargeImagesAndOffsets) {
  at::manual_seed(8);
  const at::Tensor x = at::randn({1, 8, 300, 300}) + 30;
  const at::Tensor w = at::ones({8}), b = at::zeros({8});
  const at::Tensor want =
      at::group_norm(x.to(at::kDouble), 1, w.to(at::kDouble), b.to(at::kDouble));
  EXPECT_LE(Error(GroupNorm(x, 1, w, b, 1e-5), want), 2e-6);
}

TEST(GroupNorm, InPlaceWithActivations) {
  at::manual_seed(9);
  const at::Tensor x = (at::randn({2, 20, 9, 11}) * 3).contiguous(at::MemoryFormat::ChannelsLast);
  const at::Tensor w = at::randn({20}), b = at::randn({20});
  const at::Tensor norm =
      at::group_norm(x.to(at::kDouble), 4, w.to(at::kDouble), b.to(at::kDouble));
  for (const Activation act : {Activation::kNone, Activation::kRelu, Activation::kTanh}) {
    at::Tensor y = x.clone(at::MemoryFormat::ChannelsLast);
    ApplyInPlace(y, GroupNormAffine(y, 4, w, b, 1e-5), act);
    const at::Tensor want = act == Activation::kRelu   ? at::relu(norm)
                            : act == Activation::kTanh ? at::tanh(norm)
                                                       : norm;
    EXPECT_LE(Error(y, want), 2e-6) << static_cast<int>(act);
  }
  EXPECT_THROW(GroupNorm(x, 3, w, b, 1e-5), c10::Error);
}

TEST(GroupNorm, TanhOverItsWholeRange) {
  at::Tensor x = at::linspace(-12, 12, 24001, at::kFloat).view({1, 1, 1, -1});
  const at::Tensor want = at::tanh(x.to(at::kDouble));
  at::Tensor y = x.clone().contiguous(at::MemoryFormat::ChannelsLast);
  ApplyInPlace(y, {at::ones({1, 1}), at::zeros({1, 1})}, Activation::kTanh);
  const at::Tensor relative = (y.to(at::kDouble) - want).abs() / want.abs().clamp_min(1e-30);
  EXPECT_LE(relative.masked_fill(want == 0, 0).max().item<double>(), 1e-6);
}

}  // namespace
}  // namespace avocet::kernels
