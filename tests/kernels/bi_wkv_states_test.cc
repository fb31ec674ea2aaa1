// SPDX-License-Identifier: Apache-2.0
#include "kernels/bi_wkv_states.h"

#include <gtest/gtest.h>

#include "kernels/bi_wkv.h"

namespace avocet {
namespace {

using kernels::BiWkv;
using kernels::BiWkvBetween;
using kernels::WkvBorder;
using kernels::WkvToTheLeft;
using kernels::WkvToTheRight;

constexpr int64_t kB = 2, kC = 19;

struct Row {
  at::Tensor w, u, k, v, g;
};

Row RandomRow(int64_t tokens, at::ScalarType type, double decay) {
  at::manual_seed(tokens);
  const auto options = at::TensorOptions().dtype(at::kDouble);
  Row row{at::rand({kC}, options) * decay / static_cast<double>(tokens), at::randn({kC}, options),
          at::randn({kB, tokens, kC}, options), at::randn({kB, tokens, kC}, options),
          at::randn({kB, tokens, kC}, options)};
  for (at::Tensor* x : {&row.w, &row.u, &row.k, &row.v, &row.g}) *x = x->to(type);
  for (at::Tensor* x : {&row.w, &row.u, &row.k, &row.v}) x->set_requires_grad(true);
  return row;
}

// The row in three slabs, each seeing of its neighbours only their borders.
at::Tensor InSlabs(const Row& row, int64_t first, int64_t second) {
  const auto slab = [&](const at::Tensor& x, int n) {
    const int64_t cuts[] = {0, first, second, x.size(1)};
    return x.slice(1, cuts[n], cuts[n + 1]);
  };
  const at::Tensor k[] = {slab(row.k, 0), slab(row.k, 1), slab(row.k, 2)};
  const at::Tensor v[] = {slab(row.v, 0), slab(row.v, 1), slab(row.v, 2)};
  const WkvBorder right0 = WkvToTheRight(row.w, k[0], v[0], {});
  const WkvBorder right1 = WkvToTheRight(row.w, k[1], v[1], right0);
  const WkvBorder left2 = WkvToTheLeft(row.w, k[2], v[2], {});
  const WkvBorder left1 = WkvToTheLeft(row.w, k[1], v[1], left2);
  return at::cat({BiWkvBetween(row.w, row.u, k[0], v[0], {}, left1),
                  BiWkvBetween(row.w, row.u, k[1], v[1], right0, left2),
                  BiWkvBetween(row.w, row.u, k[2], v[2], right1, {})},
                 1);
}

double Error(const at::Tensor& got, const at::Tensor& want) {
  return ((got - want).abs().max() / want.abs().max()).item<double>();
}

TEST(BiWkvStates, SlabsAreTheWholeRowWithGradients) {
  struct Case {
    at::ScalarType type;
    double decay, forward, backward;
  };
  for (const Case& c : {Case{at::kDouble, 6, 1e-13, 1e-11}, Case{at::kDouble, -40, 1e-13, 1e-11},
                        Case{at::kDouble, 100, 1e-13, 1e-11}, Case{at::kFloat, 6, 2e-6, 2e-5}}) {
    const Row whole = RandomRow(200, c.type, c.decay), cut = RandomRow(200, c.type, c.decay);
    const at::Tensor want = BiWkv(whole.w, whole.u, whole.k, whole.v), got = InSlabs(cut, 67, 131);
    EXPECT_LE(Error(got, want), c.forward) << c.decay;
    want.backward(whole.g);
    got.backward(cut.g);
    EXPECT_LE(Error(cut.k.grad(), whole.k.grad()), c.backward) << c.decay;
    EXPECT_LE(Error(cut.v.grad(), whole.v.grad()), c.backward) << c.decay;
    EXPECT_LE(Error(cut.u.grad(), whole.u.grad()), c.backward) << c.decay;
    EXPECT_LE(Error(cut.w.grad(), whole.w.grad()), c.backward) << c.decay;
  }
}

// State tuning: what lies beyond the border is learnt.
TEST(BiWkvStates, BordersHaveGradients) {
  const Row row = RandomRow(30, at::kDouble, 3);
  const auto options = at::TensorOptions().dtype(at::kDouble);
  const WkvBorder left{at::randn({kB, kC}, options).set_requires_grad(true),
                       at::randn({kB, kC}, options).set_requires_grad(true)};
  const auto loss = [&](const at::Tensor& log_weight, const at::Tensor& value) {
    return (BiWkvBetween(row.w, row.u, row.k, row.v, WkvBorder{log_weight, value}, {}) * row.g)
        .sum();
  };
  loss(left.log_weight, left.value).backward();
  const double h = 1e-6;
  for (const bool weight : {true, false}) {
    const at::Tensor x = (weight ? left.log_weight : left.value).detach();
    const at::Tensor other = (weight ? left.value : left.log_weight).detach();
    at::Tensor up = x.clone(), down = x.clone();
    up[1][7] += h;
    down[1][7] -= h;
    const at::Tensor difference =
        weight ? loss(up, other) - loss(down, other) : loss(other, up) - loss(other, down);
    const at::Tensor& grad = weight ? left.log_weight.grad() : left.value.grad();
    EXPECT_NEAR(grad[1][7].item<double>(), difference.item<double>() / (2 * h), 1e-7);
    EXPECT_NE(grad[1][7].item<double>(), 0);
  }
}

TEST(BiWkvStates, HalfPrecisionKeepsTheStateInFloat32) {
  const Row row = RandomRow(90, at::kFloat, 5);
  const auto half = [](const at::Tensor& x) { return x.detach().to(at::kBFloat16); };
  const at::Tensor k = half(row.k), v = half(row.v);
  const at::Tensor w = row.w.detach(), u = row.u.detach();
  const WkvBorder border = WkvToTheRight(w, k.slice(1, 0, 40), v.slice(1, 0, 40), {});
  EXPECT_EQ(border.value.scalar_type(), at::kFloat);
  const at::Tensor got = BiWkvBetween(w, u, k.slice(1, 40), v.slice(1, 40), border, {});
  EXPECT_EQ(got.scalar_type(), at::kBFloat16);
  const at::Tensor want = BiWkv(w, u, k.to(at::kFloat), v.to(at::kFloat)).slice(1, 40);
  EXPECT_LE(Error(got.to(at::kFloat), want), 1.0 / 256);
}

TEST(BiWkvStates, ErrorsNameTheBorder) {
  const Row row = RandomRow(5, at::kDouble, 1);
  const auto message = [](const std::function<void()>& call) -> std::string {
    try {
      call();
    } catch (const c10::Error& error) {
      return error.what_without_backtrace();
    }
    return "";
  };
  const at::Tensor wrong = at::zeros({kB, 3}, row.k.options());
  const std::string text = message([&] {
    BiWkvBetween(row.w, row.u, row.k, row.v, {}, WkvBorder{wrong, wrong});
  });
  EXPECT_NE(text.find("right border"), std::string::npos) << text;
  EXPECT_NE(text.find("[2, 3]"), std::string::npos) << text;
  const at::Tensor narrow = at::zeros({kB, kC}, at::kFloat);
  EXPECT_NE(message([&] {
              BiWkvBetween(row.w, row.u, row.k, row.v, WkvBorder{narrow, narrow}, {});
            }).find("Float"),
            std::string::npos);
}

}  // namespace
}  // namespace avocet
