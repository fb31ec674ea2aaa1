// SPDX-License-Identifier: Apache-2.0
#include "models/metrics/distance_transform.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

namespace avocet::metrics {
namespace {

// Every pair of voxels: slow and obvious.
std::vector<double> BruteForce(const std::vector<uint8_t>& features, const Size3& size,
                               const Spacing3& s) {
  std::vector<double> out(features.size(), std::numeric_limits<double>::infinity());
  const auto at = [&](int64_t n) {
    return std::array<int64_t, 3>{n % size[0], n / size[0] % size[1], n / (size[0] * size[1])};
  };
  for (int64_t f = 0; f < static_cast<int64_t>(features.size()); ++f) {
    if (!features[f]) continue;
    const auto p = at(f);
    for (int64_t n = 0; n < static_cast<int64_t>(out.size()); ++n) {
      const auto q = at(n);
      double square = 0;
      for (int a = 0; a < 3; ++a) {
        const double d = static_cast<double>(p[a] - q[a]) * s[a];
        square += d * d;
      }
      out[n] = std::min(out[n], square);
    }
  }
  return out;
}

struct Case {
  Size3 size;
  Spacing3 spacing;
  double density;
};

class DistanceTransform : public testing::TestWithParam<Case> {};

TEST_P(DistanceTransform, EqualsBruteForceForAnyNumberOfThreads) {
  const Case& c = GetParam();
  std::mt19937_64 random(7);
  std::bernoulli_distribution feature(c.density);
  std::vector<uint8_t> features(static_cast<size_t>(VoxelCount(c.size)));
  for (uint8_t& f : features) f = feature(random);
  features[features.size() / 3] = 1;
  const std::vector<double> expected = BruteForce(features, c.size, c.spacing);
  const std::vector<double> one = SquaredDistanceTransform(features.data(), c.size, c.spacing, 1);
  EXPECT_EQ(one, SquaredDistanceTransform(features.data(), c.size, c.spacing, 3));
  std::vector<int64_t> everywhere(features.size());
  for (size_t n = 0; n < everywhere.size(); ++n) everywhere[n] = static_cast<int64_t>(n);
  DistanceQuery query(2);
  query.Build(features.data(), c.size, c.spacing);
  const std::vector<double> asked = query.DistancesAt(everywhere);
  for (size_t n = 0; n < features.size(); ++n) {
    ASSERT_LE(std::abs(one[n] - expected[n]), 1e-15 * expected[n]) << n;
    ASSERT_LE(std::abs(asked[n] - std::sqrt(expected[n])), 1e-15 * asked[n]) << n;
    if (c.spacing == Spacing3{1, 1, 1}) {
      ASSERT_EQ(one[n], expected[n]) << n;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, DistanceTransform,
    testing::Values(Case{{17, 23, 11}, {1, 1, 1}, 0.01}, Case{{17, 23, 11}, {0.7, 0.9, 3.1}, 0.01},
                    Case{{9, 31, 20}, {5, 0.7, 0.3}, 0.002}, Case{{40, 33, 1}, {1, 1, 1}, 0.005},
                    Case{{40, 33, 1}, {0.3, 2.5, 1}, 0.005}, Case{{1, 1, 60}, {1, 1, 0.77}, 0.05},
                    Case{{1, 50, 7}, {1, 1.3, 0.77}, 0.01}, Case{{64, 1, 1}, {1.1, 1, 1}, 0.02},
                    Case{{21, 22, 23}, {1, 1, 1}, 0.5}, Case{{8, 8, 8}, {1e-3, 1, 1e3}, 0.05}));

TEST(DistanceQuery, NoFeatureIsInfinitelyFar) {
  const std::vector<uint8_t> none(24, 0);
  const auto d = SquaredDistanceTransform(none.data(), {2, 3, 4}, {1, 1, 1});
  EXPECT_TRUE(std::isinf(d[0]) && std::isinf(d[23]));
  DistanceQuery query(1);
  query.Build(none.data(), {2, 3, 4}, {1, 1, 1});
  EXPECT_TRUE(std::isinf(query.DistancesAt({5})[0]));
}

TEST(DistanceQuery, IsReusable) {
  std::vector<uint8_t> features(60, 0);
  features[0] = 1;
  DistanceQuery query(1);
  query.Build(features.data(), {3, 4, 5}, {1, 1, 1});
  EXPECT_DOUBLE_EQ(query.DistancesAt({59})[0], std::sqrt(4 + 9 + 16));
  features[59] = 1;
  query.Build(features.data(), {3, 4, 5}, {1, 1, 1});
  EXPECT_DOUBLE_EQ(query.DistancesAt({59})[0], 0);
}

}  // namespace
}  // namespace avocet::metrics
