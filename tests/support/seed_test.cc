// SPDX-License-Identifier: Apache-2.0
// Random numbers do not depend on the tests that ran before.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cstdlib>

namespace avocet {
namespace {

struct Drawn {
  int plain = 0;
  double torch = 0;
};

Drawn Draw() { return {std::rand(), at::rand({1}, at::kDouble).item<double>()}; }

// What the first test of the program drew first, whichever that is.
const Drawn& First(const Drawn& now) {
  static const Drawn first = now;
  return first;
}

TEST(Seed, ATestDrawsSomething) {
  const Drawn first = First(Draw());
  const Drawn next = Draw();
  EXPECT_NE(next.plain, first.plain);
  EXPECT_NE(next.torch, first.torch);
}

class SeedAgain : public testing::TestWithParam<int> {};

TEST_P(SeedAgain, TheNextTestDrawsTheSame) {
  const Drawn again = Draw();
  const Drawn first = First(again);
  EXPECT_EQ(again.plain, first.plain);
  EXPECT_EQ(again.torch, first.torch);
  for (int n = 0; n < GetParam(); ++n) Draw();  // the one after must not notice
}

INSTANTIATE_TEST_SUITE_P(Twice, SeedAgain, testing::Values(3, 0));

}  // namespace
}  // namespace avocet
