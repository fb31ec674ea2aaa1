// SPDX-License-Identifier: Apache-2.0
#include "kernels/bi_wkv.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/kernels/bi_wkv_reference.h"

namespace avocet {
namespace {

using kernels::BiWkv;
using test::ReferenceWkv;
using test::WkvReference;

struct Inputs {
  at::Tensor w, u, k, v, g;
};

// decay is the total over the row, as networks hold it; drawn in [lowest, highest].
Inputs RandomInputs(int64_t b, int64_t t, int64_t c, double lowest, double highest,
                    double k_std = 1) {
  at::manual_seed(7 * b + 31 * t + 101 * c);
  const auto f64 = at::TensorOptions().dtype(at::kDouble);
  Inputs in;
  in.w = (at::rand({c}, f64) * (highest - lowest) + lowest) / static_cast<double>(t);
  in.u = at::randn({c}, f64) * 0.5;
  in.k = at::randn({b, t, c}, f64) * k_std;
  in.v = at::randn({b, t, c}, f64);
  in.g = at::randn({b, t, c}, f64);
  return in;
}

struct Outputs {
  at::Tensor y, gw, gu, gk, gv;
};

Outputs RunReference(const Inputs& in, int64_t split, bool official_gradient) {
  const int64_t b = in.k.size(0), t = in.k.size(1), c = in.k.size(2);
  Outputs out{at::zeros_like(in.k), at::zeros_like(in.w), at::zeros_like(in.u),
              at::zeros_like(in.k), at::zeros_like(in.k)};
  for (int64_t bi = 0; bi < b; ++bi) {
    for (int64_t ci = 0; ci < c; ++ci) {
      const auto column = [&](const at::Tensor& x) {
        const at::Tensor line = x.select(0, bi).select(1, ci).to(at::kDouble).contiguous();
        return std::vector<double>(line.data_ptr<double>(), line.data_ptr<double>() + t);
      };
      const WkvReference r =
          ReferenceWkv(in.w[ci].item<double>(), in.u[ci].item<double>(), column(in.k), column(in.v),
                       column(in.g), split, official_gradient);
      const auto put = [&](at::Tensor& x, const std::vector<double>& line) {
        x.select(0, bi).select(1, ci).copy_(
            at::from_blob(const_cast<double*>(line.data()), {t}, at::kDouble));
      };
      put(out.y, r.y);
      put(out.gk, r.gk);
      put(out.gv, r.gv);
      out.gw[ci] += r.gw;
      out.gu[ci] += r.gu;
    }
  }
  return out;
}

Outputs RunOperator(const Inputs& in, at::ScalarType type, int64_t split, bool official_gradient) {
  const auto leaf = [&](const at::Tensor& x) {
    return x.detach().to(type).clone().set_requires_grad(true);
  };
  const at::Tensor w = leaf(in.w), u = leaf(in.u), k = leaf(in.k), v = leaf(in.v);
  const at::Tensor y = BiWkv(w, u, k, v, split, official_gradient);
  y.backward(in.g.to(type));
  return {y.detach(), w.grad(), u.grad(), k.grad(), v.grad()};
}

// Largest error relative to the largest wanted value, or to `floor` where that is larger.
double Error(const at::Tensor& got, const at::Tensor& want, double floor = 0) {
  const double scale = std::max(want.abs().max().item<double>(), floor);
  const double error = (got.to(at::kDouble) - want).abs().max().item<double>();
  return error / (scale + 1e-30);
}

void ExpectClose(const Outputs& got, const Outputs& want, double forward, double backward) {
  // The k, u and w gradients are differences of terms of the size of gv times v; where they cancel
  // (one token, or one that outweighs all) only that size can be asked for.
  const double gv = want.gv.abs().max().item<double>();
  EXPECT_LE(Error(got.y, want.y), forward);
  EXPECT_LE(Error(got.gv, want.gv), backward) << "gv";
  EXPECT_LE(Error(got.gk, want.gk, gv), backward) << "gk";
  EXPECT_LE(Error(got.gw, want.gw, gv), backward) << "gw";
  EXPECT_LE(Error(got.gu, want.gu, gv), backward) << "gu";
}

struct Shape {
  int64_t b, t, c;
  double lowest, highest, k_std;
};

class BiWkvShapes : public testing::TestWithParam<Shape> {};

TEST_P(BiWkvShapes, ExactMatchesDefinition) {
  const Shape s = GetParam();
  const Inputs in = RandomInputs(s.b, s.t, s.c, s.lowest, s.highest, s.k_std);
  const Outputs want = RunReference(in, 0, false);
  ExpectClose(RunOperator(in, at::kDouble, 0, false), want, 1e-12, 1e-11);
  // float32 rounds its inputs: the reference sees the rounded ones.
  const auto rounded = [](const at::Tensor& x) { return x.to(at::kFloat).to(at::kDouble); };
  const Inputs in32{rounded(in.w), rounded(in.u), rounded(in.k), rounded(in.v), rounded(in.g)};
  ExpectClose(RunOperator(in32, at::kFloat, 0, false), RunReference(in32, 0, false), 2e-6, 5e-6);
}

TEST_P(BiWkvShapes, OfficialMatchesItsWeights) {
  const Shape s = GetParam();
  if (std::max(std::abs(s.lowest), std::abs(s.highest)) > 20) {
    GTEST_SKIP() << "form O is unstable for large decay (rwkv_unet.md 1.2)";
  }
  const Inputs in = RandomInputs(s.b, s.t, s.c, s.lowest, s.highest, s.k_std);
  for (const int64_t split : {32, 64}) {
    for (const bool official_gradient : {false, true}) {
      ExpectClose(RunOperator(in, at::kDouble, split, official_gradient),
                  RunReference(in, split, official_gradient), 1e-11, 1e-9);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, BiWkvShapes,
                         testing::Values(Shape{1, 1, 1, -2, 6, 1}, Shape{2, 1, 3, -2, 6, 1},
                                         Shape{1, 2, 17, -2, 6, 1}, Shape{2, 7, 5, -2, 6, 2},
                                         Shape{1, 33, 16, -3, 5, 1}, Shape{3, 70, 20, -10, 20, 1},
                                         Shape{2, 196, 33, -2, 6, 1}, Shape{1, 784, 8, -5, 3, 2},
                                         Shape{1, 300, 4, 0, 0, 1}, Shape{1, 200, 6, 30, 100, 1},
                                         Shape{1, 200, 6, -100, -30, 1},
                                         Shape{1, 150, 6, -10, 30, 5},
                                         Shape{1, 1023, 3, -2, 6, 1}));

// float32 against double for token counts where O(T^2) is too slow.
TEST(BiWkv, LongRowsKeepPrecision) {
  for (const double decay : {0.0, 0.5, 3.0, 30.0, -5.0}) {
    Inputs in = RandomInputs(1, 65536, 3, decay, decay);
    for (at::Tensor* x : {&in.w, &in.u, &in.k, &in.v, &in.g})
      *x = x->to(at::kFloat).to(at::kDouble);
    const Outputs want = RunOperator(in, at::kDouble, 0, false);
    ExpectClose(RunOperator(in, at::kFloat, 0, false), want, 2e-6, 5e-6);
  }
}

TEST(BiWkv, OutlierInKStaysFinite) {
  Inputs in = RandomInputs(1, 256, 4, -3, 30);
  in.k[0][100] += 60;
  ExpectClose(RunOperator(in, at::kDouble, 0, false), RunReference(in, 0, false), 1e-12, 1e-10);
  const Outputs got = RunOperator(in, at::kFloat, 0, false);
  for (const auto& x : {got.y, got.gk, got.gv, got.gw, got.gu})
    EXPECT_TRUE(at::isfinite(x).all().item<bool>());
  EXPECT_LE(Error(got.y, RunReference(in, 0, false).y), 1e-5);
}

// The kernel takes 64 tokens relative to their own largest k. Here these lie far apart, up to
// segments that count for nothing, with decays up to the ends of the fast path.
TEST(BiWkv, SegmentsOfDifferentHeight) {
  for (const auto& [lowest, highest] : {std::pair{-3.0, 6.0}, {-59.0, -50.0}, {50.0, 59.0}}) {
    Inputs in = RandomInputs(2, 400, 19, lowest, highest);
    const double infinite = std::numeric_limits<double>::infinity();
    const double heights[] = {-12, 0, -40, -100, -infinite, 3, -17};
    for (int64_t s = 0; s < 7; ++s) in.k.narrow(1, 64 * s, s < 6 ? 64 : 16) += heights[s];
    for (at::Tensor* x : {&in.w, &in.u, &in.k, &in.v, &in.g})
      *x = x->to(at::kFloat).to(at::kDouble);
    const Outputs want = RunReference(in, 0, false);
    ExpectClose(RunOperator(in, at::kDouble, 0, false), want, 1e-12, 1e-11);
    ExpectClose(RunOperator(in, at::kFloat, 0, false), want, 2e-6, 2e-5);
  }
}

TEST(BiWkv, ZeroDecayIsTheGlobalSoftmaxMean) {
  Inputs in = RandomInputs(2, 40, 5, 0, 0);
  in.u.zero_();
  const at::Tensor weights = at::softmax(in.k, 1);
  const at::Tensor mean = (weights * in.v).sum(1, true).expand_as(in.v);
  EXPECT_LE(Error(BiWkv(in.w, in.u, in.k, in.v), mean), 1e-13);
  // Without decay the official form has no border effect; only its epsilon is left.
  EXPECT_LE(Error(BiWkv(in.w, in.u, in.k, in.v, 32), mean), 2e-6);
}

TEST(BiWkv, ReversingTokensReversesTheResult) {
  const Inputs in = RandomInputs(2, 53, 9, -4, 9);
  const at::Tensor y = BiWkv(in.w, in.u, in.k, in.v);
  const at::Tensor reversed = BiWkv(in.w, in.u, in.k.flip(1), in.v.flip(1)).flip(1);
  EXPECT_LE(Error(reversed, y), 1e-13);
}

// shared/spec/rwkv_unet.md B.1.
TEST(BiWkv, PublishedVectors) {
  const auto run = [](int64_t n, double w, double u, int64_t split) {
    const auto i = at::arange(n, at::TensorOptions().dtype(at::kDouble)).view({1, n, 1});
    Inputs in{at::full({1}, w, at::kDouble), at::full({1}, u, at::kDouble), at::sin(0.7 * i),
              at::cos(0.3 * i + 0.5), at::sin(1.1 * i + 0.2)};
    return RunOperator(in, at::kDouble, split, split != 0);
  };
  const auto at_index = [](const at::Tensor& x, int64_t t) { return x[0][t][0].item<double>(); };
  const Outputs o = run(70, 0.05, 0.3, 32), r = run(70, 0.05, 0.3, 0);
  EXPECT_NEAR(at_index(o.y, 0), 0.038714324, 1e-9);
  EXPECT_NEAR(at_index(o.y, 35), 0.017363779, 1e-9);
  EXPECT_NEAR(at_index(o.y, 69), 0.096189203, 1e-9);
  EXPECT_NEAR(at_index(r.y, 0), 0.036657586, 1e-9);
  EXPECT_NEAR(at_index(r.y, 69), 0.097015970, 1e-9);
  EXPECT_NEAR(o.gw.item<double>(), 0.596764706, 1e-8);
  EXPECT_NEAR(o.gu.item<double>(), 0.056077285, 1e-8);
  EXPECT_NEAR(r.gw.item<double>(), 0.478738995, 1e-8);
  EXPECT_NEAR(r.gu.item<double>(), 0.053551498, 1e-8);
  EXPECT_NEAR(at_index(o.gk, 0), 0.030345043, 1e-8);
  EXPECT_NEAR(at_index(o.gv, 69), -0.000395658, 1e-8);
  EXPECT_NEAR(at_index(r.gk, 69), 0.000187107, 1e-8);
  const Outputs o196 = run(196, -0.01, 0.2, 32), r196 = run(196, -0.01, 0.2, 0);
  EXPECT_NEAR(at_index(o196.y, 98), 0.018217142, 1e-9);
  EXPECT_NEAR(at_index(r196.y, 195), 0.005312711, 1e-9);
  EXPECT_NEAR(o196.gw.item<double>(), -1.667026129, 1e-8);
  EXPECT_NEAR(r196.gw.item<double>(), -1.665995845, 1e-8);
  const Outputs o20 = run(20, 0.05, 0.3, 32), r20 = run(20, 0.05, 0.3, 0);
  EXPECT_NEAR(at_index(o20.y, 10), -0.164761073, 1e-9);
  EXPECT_NEAR(at_index(r20.y, 19), 0.019920970, 1e-9);
  EXPECT_NEAR(o20.gw.item<double>(), 2.983989724, 1e-8);
  EXPECT_NEAR(r20.gu.item<double>(), 0.369092205, 1e-8);
}

// The judge itself is judged: its gradients are those of finite differences.
TEST(BiWkv, ReferenceGradientsAreFiniteDifferences) {
  std::vector<double> k(23), v(23), g(23);
  for (int i = 0; i < 23; ++i)
    k[i] = std::sin(0.7 * i), v[i] = std::cos(0.3 * i), g[i] = std::sin(i);
  const double w = 0.11, u = -0.4, h = 1e-6;
  const auto loss = [&](double w, double u, const std::vector<double>& k) {
    const WkvReference r = ReferenceWkv(w, u, k, v, {}, 0, false);
    double sum = 0;
    for (int i = 0; i < 23; ++i) sum += g[i] * r.y[i];
    return sum;
  };
  const WkvReference r = ReferenceWkv(w, u, k, v, g, 0, false);
  EXPECT_NEAR(r.gw, (loss(w + h, u, k) - loss(w - h, u, k)) / (2 * h), 1e-7);
  EXPECT_NEAR(r.gu, (loss(w, u + h, k) - loss(w, u - h, k)) / (2 * h), 1e-7);
  auto up = k, down = k;
  up[11] += h, down[11] -= h;
  EXPECT_NEAR(r.gk[11], (loss(w, u, up) - loss(w, u, down)) / (2 * h), 1e-7);
}

// Few threads take whole columns, many take tiles of rows.
TEST(BiWkv, ThreadsDoNotChangeASingleBit) {
  const int before = at::get_num_threads();
  for (const int64_t tokens : {100, 1500}) {
    for (const int64_t split : {0, 32}) {
      const Inputs in = RandomInputs(2, tokens, 70, -2, 6);
      at::set_num_threads(1);
      const Outputs one = RunOperator(in, at::kFloat, split, false);
      for (const int threads : {2, 3, 7}) {
        at::set_num_threads(threads);
        const Outputs more = RunOperator(in, at::kFloat, split, false);
        EXPECT_TRUE(at::equal(one.y, more.y)) << threads;
        EXPECT_TRUE(at::equal(one.gk, more.gk)) << threads;
        EXPECT_TRUE(at::equal(one.gv, more.gv)) << threads;
        EXPECT_TRUE(at::equal(one.gw, more.gw)) << threads;
        EXPECT_TRUE(at::equal(one.gu, more.gu)) << threads;
      }
    }
  }
  at::set_num_threads(before);
}

// Storage in half precision is float32 arithmetic between two roundings: the same bits as
// converting before and after.
TEST(BiWkv, HalfPrecisionIsFloat32RoundedOnce) {
  for (const at::ScalarType type : {at::kBFloat16, at::kHalf}) {
    for (const int64_t split : {0, 64}) {
      const Inputs in = RandomInputs(2, 133, 37, -3, 8);
      const auto round = [&](const at::Tensor& x) { return x.to(type).to(at::kFloat); };
      const Inputs rounded{round(in.w), round(in.u), round(in.k), round(in.v), round(in.g)};
      const Outputs got = RunOperator(in, type, split, false);
      const Outputs want = RunOperator(rounded, at::kFloat, split, false);
      const auto same = [&](const at::Tensor& a, const at::Tensor& b) {
        return a.scalar_type() == type && at::equal(a, b.to(type));
      };
      EXPECT_TRUE(same(got.y, want.y)) << type << " " << split;
      EXPECT_TRUE(same(got.gk, want.gk)) << type << " " << split;
      EXPECT_TRUE(same(got.gv, want.gv)) << type << " " << split;
      EXPECT_TRUE(same(got.gw, want.gw)) << type << " " << split;
      EXPECT_TRUE(same(got.gu, want.gu)) << type << " " << split;
      // Subnormal and infinite values pass through; averages of small ones round as LibTorch does.
      const at::Tensor odd = at::tensor({1e-7, 5.9e-8, 2.9e-8, 3e-5, 6.1e-5, 65519.0, 65520.0, 1e6,
                                         -2049.0, 2051.0, 0.0, -1e-6, 1.00048828125},
                                        at::kFloat)
                                 .to(type)
                                 .view({1, 1, 13});
      const at::Tensor zero = at::zeros({13});
      EXPECT_TRUE(at::equal(BiWkv(zero, zero, at::zeros_like(odd), odd, kernels::kWkvExact), odd));
      // Parameters keep their precision where they are given it.
      const at::Tensor y = BiWkv(rounded.w, rounded.u, in.k.to(type), in.v.to(type), split);
      EXPECT_TRUE(same(y, want.y));
    }
  }
}

TEST(BiWkv, StridedAndEmptyInput) {
  const Inputs in = RandomInputs(2, 12, 10, -2, 6);
  const at::Tensor strided = in.k.transpose(1, 2).contiguous().transpose(1, 2);
  ASSERT_FALSE(strided.is_contiguous());
  EXPECT_TRUE(at::equal(BiWkv(in.w, in.u, strided, in.v), BiWkv(in.w, in.u, in.k, in.v)));
  // Every second channel, and a row that does not begin on a cache line.
  const at::Tensor odd = in.k.slice(2, 1, 10, 2), even = in.v.slice(2, 1, 10, 2);
  EXPECT_TRUE(at::equal(BiWkv(in.w.slice(0, 1, 10, 2), in.u.slice(0, 1, 10, 2), odd, even),
                        BiWkv(in.w, in.u, in.k, in.v).slice(2, 1, 10, 2)));
  const at::Tensor empty = at::empty({0, 4, 10}, in.k.options());
  EXPECT_EQ(BiWkv(in.w, in.u, empty, empty).sizes(), empty.sizes());
}

TEST(BiWkv, ErrorsNameTheValue) {
  const Inputs in = RandomInputs(1, 4, 3, 0, 1);
  const auto message = [](const std::function<void()>& call) -> std::string {
    try {
      call();
    } catch (const c10::Error& error) {
      return error.what_without_backtrace();
    }
    return "";
  };
  EXPECT_NE(message([&] { BiWkv(in.w, in.u, in.k, in.v, 16); }).find("got 16"), std::string::npos);
  EXPECT_NE(message([&] { BiWkv(in.w, in.u, in.k, in.v, 0, true); }).find("split"),
            std::string::npos);
  EXPECT_NE(message([&] { BiWkv(in.w.slice(0, 1), in.u, in.k, in.v); }).find("[3]"),
            std::string::npos);
  EXPECT_NE(message([&] { BiWkv(in.w, in.u, in.k, in.v.to(at::kFloat)); }).find("Float"),
            std::string::npos);
  const auto integers = [](const at::Tensor& x) { return x.to(at::kInt); };
  EXPECT_NE(message([&] {
              BiWkv(integers(in.w), integers(in.u), integers(in.k), integers(in.v));
            }).find("Int"),
            std::string::npos);
  EXPECT_NE(message([&] {
              const at::Tensor none = at::empty({1, 0, 3}, in.k.options());
              BiWkv(in.w, in.u, none, none);
            }).find("one token"),
            std::string::npos);
}

TEST(BiWkv, NanPropagates) {
  Inputs in = RandomInputs(1, 8, 2, 0, 1);
  in.v[0][3][0] = std::nan("");
  const at::Tensor y = BiWkv(in.w, in.u, in.k, in.v);
  EXPECT_TRUE(at::isnan(y.select(2, 0)).all().item<bool>());
  EXPECT_FALSE(at::isnan(y.select(2, 1)).any().item<bool>());
}

}  // namespace
}  // namespace avocet
