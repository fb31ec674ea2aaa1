// SPDX-License-Identifier: Apache-2.0
#include "kernels/fso_shift.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <gtest/gtest.h>

#include "kernels/fso_mix.h"
#include "tests/kernels/fso_shift_reference.h"

namespace avocet::kernels {
namespace {

using test::Map;
using test::ReferenceFsoShift;

Map ChannelMap(const at::Tensor& x, int64_t batch, int64_t channel, int64_t rows, int64_t cols) {
  const at::Tensor values = x[batch].select(1, channel).to(at::kDouble).contiguous();
  Map map(rows, cols);
  std::copy_n(values.const_data_ptr<double>(), values.numel(), map.values.begin());
  return map;
}

at::Tensor Reference(const at::Tensor& x, int64_t rows, int64_t cols) {
  at::Tensor y = at::empty(x.sizes(), at::kDouble);
  for (int64_t b = 0; b < x.size(0); ++b) {
    for (int64_t c = 0; c < x.size(2); ++c) {
      Map out(rows, cols);
      bool assigned = false;
      for (const auto& group : test::ReferenceGroups(x.size(2))) {
        if (c < group.first || c >= group.first + group.count) continue;
        out = ReferenceFsoShift(ChannelMap(x, b, c, rows, cols), true, group.dy, group.dx);
        assigned = true;
      }
      if (!assigned) out = ReferenceFsoShift(ChannelMap(x, b, c, rows, cols), false, 0, 0);
      y[b].select(1, c).copy_(at::tensor(out.values, at::kDouble));
    }
  }
  return y;
}

double Error(const at::Tensor& got, const at::Tensor& want) {
  return (got.to(at::kDouble) - want).abs().max().item<double>() / want.abs().max().item<double>();
}

struct Shape {
  int64_t batch, rows, cols, channels;
};

class FsoShiftTest : public testing::TestWithParam<Shape> {
 protected:
  void SetUp() override {
    at::manual_seed(7);
    const Shape& s = GetParam();
    x_ = at::randn({s.batch, s.rows * s.cols, s.channels}, at::kDouble);
  }
  at::Tensor x_;
};

TEST_P(FsoShiftTest, AgreesWithTheOfficialSteps) {
  const Shape& s = GetParam();
  EXPECT_LE(Error(FsoShift(x_, s.rows, s.cols), Reference(x_, s.rows, s.cols)), 1e-14);
  const at::Tensor single = x_.to(at::kFloat);
  EXPECT_LE(
      Error(FsoShift(single, s.rows, s.cols), Reference(single.to(at::kDouble), s.rows, s.cols)),
      3e-7);
}

TEST_P(FsoShiftTest, GradientIsTheAdjoint) {
  const Shape& s = GetParam();
  const at::Tensor a = x_.clone().requires_grad_(true), b = at::randn(x_.sizes(), at::kDouble);
  const at::Tensor y = FsoShift(a, s.rows, s.cols);
  y.backward(b);
  // <F a, b> = <a, F' b> for this a, and F' b for every other one.
  const double left = (y * b).sum().item<double>(), right = (x_ * a.grad()).sum().item<double>();
  EXPECT_NEAR(left, right, 1e-11 * std::max(1.0, std::abs(left)));
  const at::Tensor other = at::randn(x_.sizes(), at::kDouble);
  EXPECT_NEAR((Reference(other, s.rows, s.cols) * b).sum().item<double>(),
              (other * a.grad()).sum().item<double>(), 1e-10);
}

TEST_P(FsoShiftTest, ThreadsDoNotChangeASingleBit) {
  const Shape& s = GetParam();
  const int threads = at::get_num_threads();
  const at::Tensor x = x_.to(at::kFloat);
  at::set_num_threads(1);
  const at::Tensor one = FsoShift(x, s.rows, s.cols);
  at::set_num_threads(3);
  const at::Tensor three = FsoShift(x, s.rows, s.cols);
  at::set_num_threads(threads);
  EXPECT_TRUE(at::equal(one, three));
}

INSTANTIATE_TEST_SUITE_P(Shapes, FsoShiftTest,
                         testing::Values(Shape{1, 4, 4, 48}, Shape{2, 8, 6, 24}, Shape{1, 2, 2, 96},
                                         Shape{1, 6, 10, 10}, Shape{1, 4, 6, 36},
                                         Shape{2, 6, 4, 16}, Shape{1, 4, 4, 192},
                                         Shape{1, 4, 6, 384}, Shape{1, 8, 4, 7},
                                         Shape{1, 4, 8, 100}, Shape{1, 64, 40, 40},
                                         // odd sides
                                         Shape{1, 3, 3, 48}, Shape{2, 5, 4, 36}, Shape{1, 4, 7, 24},
                                         Shape{1, 1, 1, 48}, Shape{1, 1, 6, 20},
                                         Shape{1, 13, 13, 16}));

// Section 18.
TEST(FsoShift, PublishedVectors) {
  const auto run = [](int64_t side, int64_t channels, int64_t channel) {
    const at::Tensor map = at::arange(1, side * side + 1, at::kDouble);
    const at::Tensor x = map.view({1, -1, 1}).expand({1, -1, channels}).contiguous();
    return FsoShift(x, side, side)[0].select(1, channel);
  };
  const auto expect = [](const at::Tensor& got, const std::vector<double>& want) {
    for (size_t i = 0; i < want.size(); ++i) EXPECT_NEAR(got[i].item<double>(), want[i], 1e-7) << i;
  };
  // Channels of width 48: 0 has (0, +1), 32 (+1, -1), 39 (-2, +2), 47 none.
  expect(run(4, 48, 0), {.375, 1.875, 3.75, 5.25, 5.375, 7.875, 9.75, 11.25, 8.375, 11.875, 15.75,
                         17.25, 13.375, 17.875, 21.75, 23.25});
  expect(run(4, 48, 32), {.375, 1.625, 2.375, 3.625, 5.875, 7.375, 8.375, 8.625, 11.25, 12.75,
                          12.375, 11.625, 17.25, 18.75, 18.375, 16.625});
  expect(run(4, 48, 39), {.375, 1.625, 4.625, 6.125, 5.375, 6.625, 10.625, 12.125, 8.375, 9.625,
                          10.375, 11.625, 13.375, 14.625, 15.375, 16.625});
  expect(run(4, 48, 47), {.375, 1.625, 2.375, 3.625, 5.375, 6.625, 7.375, 8.625, 8.375, 9.625,
                          10.375, 11.625, 13.375, 14.625, 15.375, 16.625});
  expect(run(3, 48, 0),
         {0.8333333, 2.96875, 3.2291667, 4.9895833, 7.96875, 6.65625, 4.9097222, 8.1770833, 9.25});
  expect(run(3, 48, 47), {0.8333333, 2.34375, 1.9791667, 4.9895833, 6.546875, 4.5625, 4.9097222,
                          5.9583333, 6.3125});
}

TEST(FsoShift, PublishedWidthsLeaveEightChannels) {
  for (const auto& [width, rest] : {std::pair<int64_t, int64_t>{48, 8},
                                    {96, 8},
                                    {192, 8},
                                    {384, 8},
                                    {16, 12},
                                    {10, 6},
                                    {36, 0},
                                    {72, 0}}) {
    const at::Tensor x = at::rand({1, 16, width}, at::kDouble) + 1;
    // Where a channel has no offset, the corner is 1.25 x - M / 4; a shifted one adds what it
    // reads.
    const at::Tensor y = FsoShift(x, 4, 4)[0];
    const at::Tensor mean = (x[0][5] + x[0][4] + x[0][1] + x[0][0]) / 4;
    int64_t plain = 0;
    for (int64_t c = 0; c < width; ++c) {
      bool shifted = false;
      for (int64_t t = 0; t < 16; ++t) {
        const int64_t i = t / 8, j = t % 4 / 2;
        const at::Tensor m = (x[0][8 * i + 2 * j] + x[0][8 * i + 2 * j + 1] +
                              x[0][8 * i + 2 * j + 4] + x[0][8 * i + 2 * j + 5]) /
                             4;
        const double want = (1.25 * x[0][t][c] - 0.25 * m[c]).item<double>();
        shifted = shifted || std::abs(y[t][c].item<double>() - want) > 1e-9;
      }
      plain += shifted ? 0 : 1;
    }
    EXPECT_EQ(plain, rest) << width;
  }
}

TEST(FsoShift, StridedEmptyAndWrongInput) {
  const at::Tensor x = at::randn({2, 24, 20}, at::kDouble);
  const at::Tensor strided = x.transpose(1, 2).contiguous().transpose(1, 2);
  EXPECT_TRUE(at::equal(FsoShift(strided, 4, 6), FsoShift(x, 4, 6)));
  EXPECT_EQ(FsoShift(at::empty({0, 24, 20}), 4, 6).numel(), 0);
  EXPECT_THROW(FsoShift(x, 5, 5), c10::Error);
  EXPECT_THROW(FsoShift(x[0], 4, 6), c10::Error);
  EXPECT_THROW(FsoShift(x.to(at::kHalf), 4, 6), c10::Error);
}

TEST(FsoShift, NanStaysNearItsPlace) {
  at::Tensor x = at::ones({1, 64, 9});
  x[0][27][0] = std::nan("");
  const at::Tensor y = FsoShift(x, 8, 8);
  EXPECT_TRUE(at::isnan(y[0][27][0]).item<bool>());
  EXPECT_FALSE(at::isnan(y[0].narrow(1, 1, 8)).any().item<bool>());
  EXPECT_FALSE(at::isnan(y[0][63][0]).item<bool>());
}

// ---- the fused steps of a token block

struct Block {
  int64_t batch, rows, cols, channels;
};

class FsoMixTest : public testing::TestWithParam<Block> {
 protected:
  void SetUp() override {
    at::manual_seed(11);
    const Block& p = GetParam();
    x_ = at::randn({p.batch, p.rows * p.cols, p.channels});
    norm_weight_ = at::rand({p.channels}) + 0.5;
    norm_bias_ = at::randn({p.channels});
    keep_ = at::rand({3, p.channels});
  }
  FsoMixInput Input(const at::Tensor& x, int64_t branches) const {
    return {x,
            norm_weight_,
            norm_bias_,
            1e-5,
            GetParam().rows,
            GetParam().cols,
            keep_.narrow(0, 0, branches)};
  }
  // The mixed input of branch j in double.
  at::Tensor Mixed(int64_t j) const {
    const at::Tensor z =
        at::layer_norm(x_.to(at::kDouble), {GetParam().channels}, norm_weight_.to(at::kDouble),
                       norm_bias_.to(at::kDouble), 1e-5);
    return z + keep_[j].to(at::kDouble) * (FsoShift(z, GetParam().rows, GetParam().cols) - z);
  }

  at::Tensor x_, norm_weight_, norm_bias_, keep_;
};

TEST_P(FsoMixTest, LinearBranches) {
  const int64_t c = GetParam().channels;
  const at::Tensor maps[] = {at::randn({c, c}), at::randn({c + 3, c}), at::randn({5, c})};
  const auto [a, b, d] = FsoMixLinear(Input(x_, 3), maps[0], maps[1], maps[2]);
  const at::Tensor* got[] = {&a, &b, &d};
  for (int j = 0; j < 3; ++j) {
    EXPECT_LE(Error(*got[j], at::linear(Mixed(j), maps[j].to(at::kDouble))), 2e-6) << j;
  }
}

TEST_P(FsoMixTest, RegisteredOperatorIsTheSame) {
  const int64_t c = GetParam().channels;
  const at::Tensor map = at::randn({c, c});
  const FsoMixInput in = Input(x_, 3);
  auto op = c10::Dispatcher::singleton().findSchemaOrThrow("avocet::fso_mix_linear", "");
  torch::jit::Stack stack{in.x, in.norm_weight, in.norm_bias, in.eps, in.keep, map, map,
                          map,  in.height,      in.width};
  op.callBoxed(stack);
  const auto [a, b, d] = FsoMixLinear(in, map, map, map);
  EXPECT_TRUE(at::equal(stack[0].toTensor(), a));
  EXPECT_TRUE(at::equal(stack[1].toTensor(), b));
  EXPECT_TRUE(at::equal(stack[2].toTensor(), d));
}

TEST_P(FsoMixTest, ChannelMixInPlace) {
  const int64_t c = GetParam().channels;
  const at::Tensor key = at::randn({4 * c, c}) * 0.2, gate = at::randn({c, c}) * 0.2,
                   value = at::randn({c, 4 * c}) * 0.2;
  const auto wide = [](const at::Tensor& x) { return x.to(at::kDouble); };
  const at::Tensor hidden = at::square(at::relu(at::linear(Mixed(0), wide(key))));
  const at::Tensor want =
      wide(x_) + at::sigmoid(at::linear(Mixed(1), wide(gate))) * at::linear(hidden, wide(value));
  const int threads = at::get_num_threads();
  at::Tensor results[2];
  for (const int n : {0, 1}) {
    at::set_num_threads(n == 0 ? 1 : 3);
    results[n] = x_.clone();
    FsoMixInput input = Input(results[n], 2);
    FsoChannelMix(input, key, gate, value);
  }
  at::set_num_threads(threads);
  EXPECT_LE(Error(results[0], want), 2e-6);
  EXPECT_TRUE(at::equal(results[0], results[1]));
}

TEST_P(FsoMixTest, GatedLinear) {
  const int64_t c = GetParam().channels;
  const at::Tensor gate = at::randn(x_.sizes()) * 20, y = at::randn(x_.sizes()),
                   map = at::randn({c, c});
  const auto wide = [](const at::Tensor& x) { return x.to(at::kDouble); };
  const at::Tensor want = wide(x_) + at::linear(at::sigmoid(wide(gate)) * wide(y), wide(map));
  at::Tensor x = x_.clone();
  GatedLinearAdd(x, gate, y, map);
  EXPECT_LE(Error(x, want), 1e-6);
}

INSTANTIATE_TEST_SUITE_P(Shapes, FsoMixTest,
                         testing::Values(Block{1, 8, 8, 48}, Block{2, 24, 20, 24},
                                         Block{1, 4, 6, 36}, Block{1, 2, 2, 10}, Block{1, 9, 9, 16},
                                         Block{2, 5, 4, 12}, Block{1, 40, 34, 96}));

TEST(FsoMix, WrongShapesAreNamed) {
  const at::Tensor x = at::ones({1, 16, 8}), one = at::ones({8}), map = at::ones({8, 8});
  EXPECT_THROW(FsoMixLinear({x, one, one, 1e-5, 4, 4, at::ones({2, 8})}, map, map, map),
               c10::Error);
  EXPECT_THROW(FsoMixLinear({x, one, one, 1e-5, 4, 5, at::ones({3, 8})}, map, map, map),
               c10::Error);
  EXPECT_THROW(
      FsoMixLinear({x, one, one, 1e-5, 4, 4, at::ones({3, 8})}, map, at::ones({8, 7}), map),
      c10::Error);
}

}  // namespace
}  // namespace avocet::kernels
