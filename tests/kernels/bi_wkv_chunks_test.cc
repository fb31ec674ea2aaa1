// SPDX-License-Identifier: Apache-2.0
// The phases of the CUDA kernels, run in a loop over the threads of a block, against the
// definition.
#include "kernels/cuda/bi_wkv_chunks.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

#include "tests/kernels/bi_wkv_reference.h"

namespace avocet {
namespace {

namespace kc = kernels::cuda;

struct Got {
  std::vector<float> y, gk, gv;
  double gw = 0, gu = 0;
};

template <typename S>
Got Emulate(float w, float u, const std::vector<float>& k, const std::vector<float>& v,
            const std::vector<float>& g, int chunks) {
  const int64_t n = k.size();
  kc::Channel channel{n, 1, k.data(), v.data(), w, u};
  Got got{std::vector<float>(n), std::vector<float>(n), std::vector<float>(n)};
  float maximum = -INFINITY;
  for (int c = 0; c < chunks; ++c) {
    maximum = std::max(maximum, kc::ChunkMaximum(channel, kc::ChunkOf(n, chunks, c)));
  }
  const kc::Decay<S> decay(channel, maximum);
  std::vector<kc::Totals<double>> totals(chunks), adjoint(chunks);
  const auto widen = [](const kc::Totals<S>& t) {
    return kc::Totals<double>{{t.past.num, t.past.den}, {t.future.num, t.future.den}};
  };
  const auto incoming = [&](const std::vector<kc::Totals<double>>& all, int c) {
    const auto in = kc::Incoming<double>(channel, chunks, c, all.data(), 1);
    return kc::Totals<S>{{static_cast<S>(in.past.num), static_cast<S>(in.past.den)},
                         {static_cast<S>(in.future.num), static_cast<S>(in.future.den)}};
  };
  for (int c = 0; c < chunks; ++c) {
    totals[c] = widen(kc::ChunkTotals<S>(channel, kc::ChunkOf(n, chunks, c), decay));
  }
  std::vector<S> scratch(6 * n);
  for (int c = 0; c < chunks; ++c) {
    kc::WriteOutputs<S>(channel, kc::ChunkOf(n, chunks, c), decay, incoming(totals, c),
                        got.y.data(), scratch.data(), n);
  }
  for (int c = 0; c < chunks; ++c) {
    adjoint[c] = widen(kc::WriteAdjointInputs<S>(channel, kc::ChunkOf(n, chunks, c), decay,
                                                 incoming(totals, c), g.data(), scratch.data(), n));
  }
  for (int c = 0; c < chunks; ++c) {
    const auto sum =
        kc::WriteGradients<S>(channel, kc::ChunkOf(n, chunks, c), decay, incoming(adjoint, c),
                              got.gk.data(), got.gv.data(), scratch.data(), n);
    got.gw += sum.w;
    got.gu += sum.u;
  }
  return got;
}

double Largest(const std::vector<double>& x) {
  double largest = 0;
  for (double value : x) largest = std::max(largest, std::abs(value));
  return largest;
}

double Error(const std::vector<float>& got, const std::vector<double>& want, double scale) {
  double error = 0;
  for (size_t i = 0; i < got.size(); ++i) error = std::max(error, std::abs(got[i] - want[i]));
  return error / scale;
}

TEST(BiWkvChunks, PhasesOfTheCudaKernelsMatchTheDefinition) {
  std::mt19937 random(5);
  std::normal_distribution<float> normal;
  for (const int64_t n : {1, 5, 16, 17, 196, 784}) {
    for (const double decay : {-4.0, 0.0, 3.0, 30.0, 100.0}) {
      std::vector<float> k(n), v(n), g(n);
      for (int64_t i = 0; i < n; ++i)
        k[i] = normal(random), v[i] = normal(random), g[i] = normal(random);
      const float w = static_cast<float>(decay / n), u = 0.3f;
      const auto wide = [](const std::vector<float>& x) {
        return std::vector<double>(x.begin(), x.end());
      };
      const auto want = test::ReferenceWkv(w, u, wide(k), wide(v), wide(g), 0, false);
      const kc::Channel channel{n, 1, k.data(), v.data(), w, u};
      EXPECT_EQ(channel.NeedsDouble(), decay > 60);
      const Got got = channel.NeedsDouble() ? Emulate<double>(w, u, k, v, g, 16)
                                            : Emulate<float>(w, u, k, v, g, 16);
      const double gv = Largest(want.gv);
      EXPECT_LE(Error(got.y, want.y, Largest(want.y)), 2e-6) << n << " " << decay;
      EXPECT_LE(Error(got.gv, want.gv, gv), 5e-6) << n << " " << decay;
      EXPECT_LE(Error(got.gk, want.gk, std::max(gv, Largest(want.gk))), 5e-6) << n << " " << decay;
      EXPECT_LE(std::abs(got.gw - want.gw), 5e-6 * std::max(gv, std::abs(want.gw)))
          << n << " " << decay;
      EXPECT_LE(std::abs(got.gu - want.gu), 5e-6 * std::max(gv, std::abs(want.gu)))
          << n << " " << decay;
    }
  }
}

}  // namespace
}  // namespace avocet
