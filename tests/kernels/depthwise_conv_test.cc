// SPDX-License-Identifier: Apache-2.0
#include "kernels/depthwise_conv.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

namespace avocet::kernels {
namespace {

struct Case {
  int64_t batch, channels, rows, cols, kernel, stride, padding;
};

class DepthwiseConvTest : public testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    at::manual_seed(3);
    const Case& p = GetParam();
    x_ =
        at::randn({p.batch, p.channels, p.rows, p.cols}).contiguous(at::MemoryFormat::ChannelsLast);
    w_ = at::randn({p.channels, 1, p.kernel, p.kernel});
  }

  // Output and gradients of sum(y * factor).
  std::vector<at::Tensor> Run(at::Tensor x, at::Tensor w, bool ours) {
    const Case& p = GetParam();
    x = x.detach().clone().set_requires_grad(true);
    w = w.detach().clone().set_requires_grad(true);
    const at::Tensor y = ours ? DepthwiseConv(x, w, p.stride, p.padding)
                              : at::conv2d(x, w, {}, p.stride, p.padding, 1, p.channels);
    at::manual_seed(4);
    const at::Tensor factor = at::randn(y.sizes()).to(y.scalar_type());
    (y * factor).sum().backward();
    return {y.detach(), x.grad(), w.grad()};
  }

  at::Tensor x_, w_;
};

TEST_P(DepthwiseConvTest, AgreesWithDoubleConvolution) {
  const auto expected = Run(x_.to(at::kDouble), w_.to(at::kDouble), false);
  const auto ours = Run(x_, w_, true);
  for (int i = 0; i < 3; ++i) {
    ASSERT_EQ(ours[i].sizes(), expected[i].sizes());
    const double scale = expected[i].abs().max().item<double>();
    EXPECT_LT((ours[i].to(at::kDouble) - expected[i]).abs().max().item<double>() / scale, 2e-6)
        << i;
  }
}

TEST_P(DepthwiseConvTest, BFloat16RoundsOnlyOnce) {
  const at::Tensor x = x_.to(at::kBFloat16);
  const auto expected = Run(x.to(at::kDouble), w_.to(at::kDouble), false);
  const at::Tensor y = DepthwiseConv(x, w_, GetParam().stride, GetParam().padding);
  ASSERT_EQ(y.scalar_type(), at::kBFloat16);
  const at::Tensor error = (y.to(at::kDouble) - expected[0]).abs();
  EXPECT_TRUE((error <= expected[0].abs() * 0x1p-8 + 1e-4).all().item<bool>());
}

TEST_P(DepthwiseConvTest, GradientsDoNotDependOnThreads) {
  const int threads = at::get_num_threads();
  at::set_num_threads(1);
  const auto one = Run(x_, w_, true);
  at::set_num_threads(3);
  const auto three = Run(x_, w_, true);
  at::set_num_threads(threads);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(at::equal(one[i], three[i])) << i;
}

INSTANTIATE_TEST_SUITE_P(Shapes, DepthwiseConvTest,
                         testing::Values(Case{2, 16, 7, 9, 5, 1, 2}, Case{1, 24, 12, 20, 9, 1, 4},
                                         Case{2, 40, 16, 18, 5, 2, 2}, Case{1, 9, 5, 6, 5, 2, 2},
                                         Case{2, 17, 11, 8, 3, 1, 1}, Case{1, 33, 9, 9, 7, 2, 3},
                                         Case{1, 16, 3, 40, 3, 2, 0}, Case{1, 8, 1, 1, 5, 1, 2},
                                         Case{2, 3, 10, 13, 5, 1, 2}));

TEST(DepthwiseConv, RefusesWhatItCannotDo) {
  const at::Tensor x = at::ones({1, 16, 8, 8}), w = at::ones({16, 1, 5, 5});
  EXPECT_TRUE(DepthwiseConvSupports(x, w, 1, 2));
  EXPECT_FALSE(DepthwiseConvSupports(x.to(at::kDouble), w, 1, 2));
  EXPECT_FALSE(DepthwiseConvSupports(x, w, 3, 2));
  EXPECT_FALSE(DepthwiseConvSupports(x, at::ones({16, 1, 4, 4}), 1, 2));
  EXPECT_THROW(DepthwiseConv(x, at::ones({8, 1, 5, 5}), 1, 2), c10::Error);
}

}  // namespace
}  // namespace avocet::kernels
