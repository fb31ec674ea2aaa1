// SPDX-License-Identifier: Apache-2.0
// The official arithmetic as the CUDA kernels compute it, its blocks and threads run on the host,
// against the weights it is specified by.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <random>
#include <vector>

#include "kernels/cuda/wkv_official.h"
#include "tests/kernels/bi_wkv_reference.h"

namespace avocet {
namespace {

namespace kc = kernels::cuda;

class HostTeam {
 public:
  HostTeam(int threads, bool reversed) : states_(threads), reversed_(reversed) {}
  template <typename Step>
  void Run(Step step) {
    const int threads = static_cast<int>(states_.size());
    for (int i = 0; i < threads; ++i) {
      const int thread = reversed_ ? threads - 1 - i : i;
      step(thread, states_[thread]);
    }
  }

 private:
  std::vector<kc::OfficialState> states_;
  bool reversed_;
};

struct Call {
  int64_t batch, tokens, channels;
  std::vector<float> w, u, k, v, g, y, gk, gv;
  std::vector<double> gw, gu;
};

Call MakeCall(int64_t batch, int64_t tokens, int64_t channels, double lowest, double highest,
              float bonus = 0.5f) {
  std::mt19937 random(static_cast<unsigned>(tokens + channels));
  std::normal_distribution<float> normal;
  Call call{batch, tokens, channels, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}};
  for (int64_t c = 0; c < channels; ++c) {
    const double share = channels > 1 ? static_cast<double>(c) / (channels - 1) : 0.5;
    call.w.push_back(static_cast<float>((lowest + share * (highest - lowest)) / tokens));
    call.u.push_back(bonus * normal(random));
  }
  for (int64_t i = 0; i < batch * tokens * channels; ++i) {
    call.k.push_back(normal(random));
    call.v.push_back(normal(random));
    call.g.push_back(normal(random));
  }
  return call;
}

// Batch items are worked off two at a time.
// reversed: see cuda_tiles.h.
void RunChunks(Call& call, int split, bool official_gradient, bool reversed = false) {
  kc::OfficialArgs<float> a;
  a.batch = call.batch, a.tokens = call.tokens, a.channels = call.channels;
  a.split = split, a.official_gradient = official_gradient;
  a.w = call.w.data(), a.u = call.u.data(), a.k = call.k.data(), a.v = call.v.data();
  call.y.assign(call.k.size(), NAN), call.gk = call.gv = call.y;
  call.gw.assign(call.batch * call.channels, NAN), call.gu = call.gw;
  a.y = call.y.data(), a.g = call.g.data(), a.gk = call.gk.data(), a.gv = call.gv.data();
  a.gw = call.gw.data(), a.gu = call.gu.data();
  a.items = 2;
  std::vector<double> scratch(kc::kOfficialPlanes * a.items * a.tokens * a.channels, NAN);
  a.scratch = scratch.data();
  std::vector<char> shared(kc::OfficialSharedBytes(split));
  const int64_t columns = (a.channels + kc::kOfficialLanes - 1) / kc::kOfficialLanes;
  for (const bool backward : {false, true}) {
    for (a.first_item = 0; a.first_item < a.batch; a.first_item += a.items) {
      const int64_t items = std::min(a.items, a.batch - a.first_item);
      for (int64_t block = 0; block < items * columns; ++block) {
        HostTeam team(split * kc::kOfficialLanes, reversed);
        if (backward) {
          kc::OfficialBackward(team, a, block, kc::OfficialMemory(shared.data()));
        } else {
          kc::OfficialForward(team, a, block, kc::OfficialMemory(shared.data()));
        }
      }
    }
  }
}

struct Gap {
  double largest = 0, error = 0;
  void See(double got, double wanted) {
    largest = std::max(largest, std::abs(wanted));
    const double difference = std::abs(got - wanted);
    error = difference <= error ? error : difference;  // keeps NaN
  }
  double Relative(double floor = 0) const { return error / std::max(largest, floor); }
};

void ExpectMatch(const Call& call, int split, bool official_gradient) {
  SCOPED_TRACE(testing::Message() << call.tokens << " tokens, " << call.channels
                                  << " channels, split " << split << " " << official_gradient);
  Gap y, gk, gv, gw, gu;
  for (int64_t b = 0; b < call.batch; ++b) {
    for (int64_t c = 0; c < call.channels; ++c) {
      const auto column = [&](const std::vector<float>& x) {
        std::vector<double> line;
        for (int64_t t = 0; t < call.tokens; ++t) {
          line.push_back(x[(b * call.tokens + t) * call.channels + c]);
        }
        return line;
      };
      const auto want = test::ReferenceWkv(call.w[c], call.u[c], column(call.k), column(call.v),
                                           column(call.g), split, official_gradient);
      const auto see = [&](Gap& gap, const std::vector<float>& x,
                           const std::vector<double>& wanted) {
        const auto got = column(x);
        for (size_t i = 0; i < got.size(); ++i) gap.See(got[i], wanted[i]);
      };
      see(y, call.y, want.y), see(gk, call.gk, want.gk), see(gv, call.gv, want.gv);
      gw.See(call.gw[b * call.channels + c], want.gw);
      gu.See(call.gu[b * call.channels + c], want.gu);
    }
  }
  // Sums are double: what is left is the float32 of the results.
  EXPECT_LE(y.Relative(), 1e-7);
  EXPECT_LE(gk.Relative(gv.largest), 1e-7);
  EXPECT_LE(gv.Relative(), 1e-7);
  EXPECT_LE(gw.Relative(gv.largest), 1e-9);
  EXPECT_LE(gu.Relative(gv.largest), 1e-9);
}

TEST(CudaOfficial, ChunksMatchTheOfficialWeights) {
  for (const int64_t tokens : {1, 2, 20, 31, 32, 33, 63, 64, 65, 70, 129, 196, 300}) {
    for (const int64_t channels : {1, 7, 9}) {
      Call call = MakeCall(channels == 9 ? 3 : 1, tokens, channels, -5, 12);
      for (const int split : {32, 64}) {
        for (const bool official_gradient : {false, true}) {
          RunChunks(call, split, official_gradient);
          ExpectMatch(call, split, official_gradient);
        }
      }
    }
  }
}

TEST(CudaOfficial, OrderOfThreadsDoesNotMatter) {
  Call call = MakeCall(2, 200, 9, -5, 12);
  for (const bool official_gradient : {false, true}) {
    RunChunks(call, 32, official_gradient);
    const Call first = call;
    RunChunks(call, 32, official_gradient, true);
    EXPECT_EQ(first.y, call.y);
    EXPECT_EQ(first.gk, call.gk);
    EXPECT_EQ(first.gv, call.gv);
    EXPECT_EQ(first.gw, call.gw);
    EXPECT_EQ(first.gu, call.gu);
  }
}

TEST(CudaOfficial, RowOfTheNetwork) {
  Call call = MakeCall(1, 784, 3, -2, 6);
  for (const int split : {32, 64}) {
    RunChunks(call, split, true);
    ExpectMatch(call, split, true);
  }
}

// The epsilon follows the kernel's running maxima, which matter for large bonuses and one token.
TEST(CudaOfficial, EpsilonFollowsTheNormaliser) {
  for (const float bonus : {3.f, 8.f}) {
    for (const int64_t tokens : {1, 33, 90}) {
      Call call = MakeCall(1, tokens, 8, -3, 3, bonus);
      RunChunks(call, 32, false);
      ExpectMatch(call, 32, false);
    }
  }
}

}  // namespace
}  // namespace avocet
