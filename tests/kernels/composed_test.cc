// SPDX-License-Identifier: Apache-2.0
// The forms for devices without kernels, run on the CPU against the CPU's kernels.
#include "kernels/composed.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "kernels/fso_shift.h"
#include "kernels/haar.h"
#include "kernels/ska.h"

namespace avocet::kernels {
namespace {

void ExpectClose(const at::Tensor& got, const at::Tensor& want) {
  ASSERT_EQ(got.sizes(), want.sizes());
  EXPECT_LE((got - want).abs().max().item<double>(), 1e-13);
}

TEST(Composed, FsoShiftAndAdjoint) {
  at::manual_seed(1);
  for (const auto& [h, w, c] : {std::tuple<int64_t, int64_t, int64_t>{4, 4, 48},
                                {6, 10, 24},
                                {2, 2, 36},
                                {5, 5, 48},
                                {4, 7, 20},
                                {1, 1, 18},
                                {13, 12, 96}}) {
    const at::Tensor x = at::randn({2, h * w, c}, at::kDouble);
    ExpectClose(ComposedFsoShift(x, h, w), FsoShift(x, h, w));
    ExpectClose(ComposedFsoShiftBackward(x, h, w), FsoShiftAdjoint(x, h, w));
  }
}

TEST(Composed, Ska) {
  at::manual_seed(2);
  const at::Tensor x = at::randn({2, 16, 5, 6}, at::kDouble),
                   k = at::randn({2, 18, 5, 6}, at::kDouble),
                   g = at::randn({2, 16, 5, 6}, at::kDouble);
  const at::Tensor a = x.clone().requires_grad_(true), b = k.clone().requires_grad_(true);
  const at::Tensor y = Ska(a, b);
  ExpectClose(ComposedSka(x, k), y.detach());
  y.backward(g);
  const auto [gx, gk] = ComposedSkaBackward(g, x, k);
  ExpectClose(gx, a.grad());
  ExpectClose(gk, b.grad());
}

TEST(Composed, Haar) {
  at::manual_seed(3);
  const at::Tensor x = at::randn({2, 5, 6, 8}, at::kDouble);
  const auto [low, high] = ComposedHaarForward(x);
  const auto want = HaarForward(x);
  ExpectClose(low, want.first);
  ExpectClose(high, want.second);
  ExpectClose(ComposedHaarInverse(low, high), x);
}

}  // namespace
}  // namespace avocet::kernels
