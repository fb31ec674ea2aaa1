// SPDX-License-Identifier: Apache-2.0
// The exact CUDA kernels' blocks, threads and steps, run on the host, against the definition.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <random>

#include "kernels/cuda/wkv_storage.h"
#include "tests/kernels/bi_wkv_reference.h"
#include "tests/kernels/cuda_tiles.h"

namespace avocet {
namespace {

namespace kc = kernels::cuda;
using test::RunTiled;
using test::TiledCall;

template <typename S>
std::vector<S> Random(std::mt19937& random, size_t count, float deviation = 1) {
  std::normal_distribution<float> normal(0, deviation);
  std::vector<S> values(count);
  for (S& value : values) kc::Narrow(normal(random), value);
  return values;
}

template <typename S>
TiledCall<S> MakeCall(int64_t batch, int64_t tokens, int64_t channels,
                      const std::vector<double>& decays, bool gradients = true) {
  std::mt19937 random(static_cast<unsigned>(tokens * 31 + channels));
  TiledCall<S> call;
  call.batch = batch, call.tokens = tokens, call.channels = channels;
  const size_t count = batch * tokens * channels;
  for (int64_t c = 0; c < channels; ++c) {
    call.w.push_back(static_cast<float>(decays[c % decays.size()] / tokens));
  }
  call.u = Random<float>(random, channels, 0.5f);
  call.k = Random<S>(random, count);
  call.v = Random<S>(random, count);
  if (gradients) call.g = Random<S>(random, count);
  return call;
}

// Largest errors over all judged channels, relative to the largest wanted value; gradients that are
// differences of terms of the size of gv relative to that where they cancel.
struct Errors {
  double y = 0, gk = 0, gv = 0, gw = 0, gu = 0;
  double Worst() const { return std::max({gk, gv, gw, gu}); }
};

struct Gap {
  double largest = 0, error = 0;

  void See(double got, double wanted) {
    largest = std::max(largest, std::abs(wanted));
    const double difference = std::abs(got - wanted);
    error = difference <= error ? error : difference;  // keeps NaN
  }
  double Relative(double floor = 0) const { return error / std::max(largest, floor); }
};

// Fewer than all channels suffice where each costs O(T^2).
template <typename S>
Errors Judge(const TiledCall<S>& call, const std::vector<int64_t>& judged) {
  Gap y, gk, gv, gw, gu;
  for (const int64_t c : judged) {
    double sum_w = 0, sum_u = 0;
    for (int64_t b = 0; b < call.batch; ++b) {
      const auto column = [&](const std::vector<S>& x) {
        std::vector<double> line;
        for (int64_t t = 0; t < call.tokens && !x.empty(); ++t) {
          line.push_back(kc::Widen(x[(b * call.tokens + t) * call.channels + c]));
        }
        return line;
      };
      const auto want = test::ReferenceWkv(call.w[c], call.u[c], column(call.k), column(call.v),
                                           column(call.g), 0, false);
      const auto see = [&](Gap& gap, const std::vector<S>& x, const std::vector<double>& wanted) {
        const auto got = column(x);
        for (size_t i = 0; i < got.size(); ++i) gap.See(got[i], wanted[i]);
      };
      see(y, call.y, want.y);
      if (call.g.empty()) continue;
      see(gk, call.gk, want.gk);
      see(gv, call.gv, want.gv);
      sum_w += want.gw, sum_u += want.gu;
    }
    if (call.g.empty()) continue;
    gw.See(call.gw[c], sum_w);
    gu.See(call.gu[c], sum_u);
  }
  if (call.g.empty()) return {y.Relative()};
  const double floor = gv.largest;
  return {y.Relative(), gk.Relative(floor), gv.Relative(), gw.Relative(floor), gu.Relative(floor)};
}

std::vector<int64_t> All(int64_t channels) {
  std::vector<int64_t> all;
  for (int64_t c = 0; c < channels; ++c) all.push_back(c);
  return all;
}

template <typename S>
void RunPlanned(TiledCall<S>& call, const kc::DeviceLimits& limits = {}) {
  const int size = sizeof(S);
  RunTiled(call, kc::MakePlan(call.batch, call.tokens, call.channels, size, false, limits),
           kc::MakePlan(call.batch, call.tokens, call.channels, size, true, limits),
           call.channels % kc::kWidePack<S> == 0, false);
}

// A group of several tiles, whatever the shape.
kc::Plan Cut(int64_t batch, int64_t tokens, int64_t channels, int segments, int length) {
  kc::Plan plan;
  plan.lanes = 8, plan.segments = segments, plan.length = length;
  plan.tiles = (tokens + plan.TileTokens() - 1) / plan.TileTokens();
  plan.groups = batch * ((channels + 7) / 8);
  return plan;
}

const std::vector<double> kDecays{-4, 0, 0.5, 3, 30, -30, 55};

TEST(CudaTiles, PlansOfTheDefinitionMatchIt) {
  Errors worst;
  for (const int64_t tokens : {1, 2, 5, 63, 64, 65, 127, 128, 129, 196, 784, 1024}) {
    for (const int64_t channels : {1, 7, 8, 16, 20}) {
      const int64_t batch = tokens < 200 ? 2 : 1;
      if (tokens > 200 && channels > 8) continue;
      auto call = MakeCall<float>(batch, tokens, channels, kDecays);
      RunPlanned(call);
      const Errors e = Judge(call, All(channels));
      EXPECT_LE(e.y, 2e-6) << tokens << " " << channels;
      EXPECT_LE(e.Worst(), 5e-6) << tokens << " " << channels << " gk " << e.gk << " gv " << e.gv
                                 << " gw " << e.gw << " gu " << e.gu;
      worst.y = std::max(worst.y, e.y), worst.gk = std::max(worst.gk, e.Worst());
    }
  }
  std::printf("largest relative error: y %.2g, gradients %.2g\n", worst.y, worst.gk);
}

TEST(CudaTiles, ManyChannels) {
  for (const int64_t channels : {96, 576}) {
    for (const int64_t tokens : {64, 784}) {
      auto call = MakeCall<float>(tokens == 64 ? 2 : 1, tokens, channels, kDecays);
      RunPlanned(call);
      const Errors e = Judge(call, {0, 1, 7, 8, 17, 31, 32, 50, 94, channels - 2, channels - 1});
      EXPECT_LE(e.y, 2e-6) << tokens << " " << channels;
      EXPECT_LE(e.Worst(), 5e-6) << tokens << " " << channels;
      for (const float value : call.gk) EXPECT_FALSE(std::isnan(value));
      for (const float value : call.y) EXPECT_FALSE(std::isnan(value));
    }
  }
}

TEST(CudaTiles, GroupsOfSeveralTiles) {
  Errors worst;
  for (const int64_t tokens : {65, 129, 700, 784}) {
    for (const int length : {4, 8, 16}) {
      auto call = MakeCall<float>(2, tokens, 12, kDecays);
      const kc::Plan plan = Cut(2, tokens, 12, 8, length);
      for (const bool repeat : {false, true}) {
        RunTiled(call, plan, plan, true, repeat);
        const Errors e = Judge(call, {0, 3, 4, 5, 6, 11});
        EXPECT_LE(e.y, 2e-6) << tokens << " " << length;
        EXPECT_LE(e.Worst(), 5e-6) << tokens << " " << length;
        worst.y = std::max(worst.y, e.y), worst.gk = std::max(worst.gk, e.Worst());
      }
    }
  }
  std::printf("largest relative error: y %.2g, gradients %.2g\n", worst.y, worst.gk);
}

// How a launch is cut must not be seen in its result: repeated launches give the same bits.
TEST(CudaTiles, RepeatedLaunchesGiveTheSameBits) {
  auto call = MakeCall<float>(1, 500, 10, {-3, 5, 90});
  const kc::Plan plan = Cut(1, 500, 10, 16, 8);
  RunTiled(call, plan, plan, false, false);
  const TiledCall<float> first = call;
  RunTiled(call, plan, plan, false, true);
  EXPECT_EQ(first.y, call.y);
  EXPECT_EQ(first.gk, call.gk);
  EXPECT_EQ(first.gv, call.gv);
  EXPECT_EQ(first.gw, call.gw);
  EXPECT_EQ(first.gu, call.gu);
}

// A missing barrier would show: the order of the threads between two barriers must not matter.
TEST(CudaTiles, OrderOfThreadsDoesNotMatter) {
  for (const double decay : {3.0, 100.0}) {
    for (const bool wide : {false, true}) {
      auto call = MakeCall<float>(1, 600, 12, {decay, -2, 0});
      const kc::Plan plan = Cut(1, 600, 12, 16, 16);
      RunTiled(call, plan, plan, wide, false);
      const TiledCall<float> first = call;
      call.reversed = true;
      RunTiled(call, plan, plan, wide, false);
      EXPECT_EQ(first.y, call.y);
      EXPECT_EQ(first.gk, call.gk);
      EXPECT_EQ(first.gv, call.gv);
      EXPECT_EQ(first.gw, call.gw);
      EXPECT_EQ(first.gu, call.gu);
    }
  }
}

TEST(CudaTiles, DecaysBeyondFloatTakeTheOtherPath) {
  Errors worst;
  for (const int64_t tokens : {1, 3, 65, 196, 784}) {
    for (const bool cut : {false, true}) {
      auto call = MakeCall<float>(1, tokens, 8, {100, -100, 70, 300, -300, 2000, 0, 3});
      const kc::Plan plan = Cut(1, tokens, 8, 8, 4);
      if (cut) {
        RunTiled(call, plan, plan, true, false);
      } else {
        RunPlanned(call);
      }
      const Errors e = Judge(call, {0, 1, 2, 3, 6, 7});
      EXPECT_LE(e.y, 2e-6) << tokens;
      EXPECT_LE(e.Worst(), 5e-6) << tokens;
      worst.y = std::max(worst.y, e.y), worst.gk = std::max(worst.gk, e.Worst());
      for (const float y : call.y) EXPECT_TRUE(std::isfinite(y));
    }
  }
  std::printf("largest relative error: y %.2g, gradients %.2g\n", worst.y, worst.gk);
}

TEST(CudaTiles, LargeBonusAndOutliers) {
  for (const float bonus : {-40.f, 15.f, 40.f}) {
    auto call = MakeCall<float>(1, 150, 8, {-20, 0, 3, 30});
    for (float& u : call.u) u = bonus;
    for (int c = 0; c < 8; ++c) call.k[70 * 8 + c] += 60;
    for (const bool cut : {false, true}) {
      const kc::Plan plan = Cut(1, 150, 8, 8, 4);
      if (cut) {
        RunTiled(call, plan, plan, true, false);
      } else {
        RunPlanned(call);
      }
      const Errors e = Judge(call, All(8));
      EXPECT_LE(e.y, 2e-6) << bonus;
      // With a token that outweighs all by e^60, the gradient of the others cancels to nothing.
      EXPECT_LE(e.Worst(), 2e-5) << bonus;
    }
  }
}

// Against the same steps in another cut, and the definition where it can be had in reasonable time.
TEST(CudaTiles, LongRowsKeepPrecision) {
  const int64_t tokens = 65536;
  auto call = MakeCall<float>(1, tokens, 8, {0, 0.5, 3, 30, -5});
  const kc::Plan forward = kc::MakePlan(1, tokens, 96, 4, false, {});
  const kc::Plan backward = kc::MakePlan(1, tokens, 96, 4, true, {});
  EXPECT_LE(forward.tiles, 132);
  EXPECT_LE(backward.tiles, 132);
  kc::Plan one_forward = forward, one_backward = backward;
  one_forward.groups = one_backward.groups = 1;
  RunTiled(call, one_forward, one_backward, true, false);
  // Two scans in double.
  for (int64_t c = 0; c < 5; ++c) {
    const double w = call.w[c], lambda = std::exp(-w), bonus = std::exp(call.u[c]);
    const auto value = [&](const std::vector<float>& x, int64_t t) { return double{x[t * 8 + c]}; };
    std::vector<double> future_num(tokens), future_den(tokens), e(tokens);
    double num = 0, den = 0, largest = 0, error = 0;
    for (int64_t t = tokens - 1; t >= 0; --t) {
      e[t] = std::exp(value(call.k, t));
      future_num[t] = num, future_den[t] = den;
      num = lambda * num + e[t] * value(call.v, t), den = lambda * den + e[t];
    }
    num = den = 0;
    std::vector<double> p(tokens), q(tokens), past_num(tokens), past_den(tokens);
    for (int64_t t = 0; t < tokens; ++t) {
      const double v = value(call.v, t);
      const double d = den + future_den[t] + bonus * e[t];
      const double y = (num + future_num[t] + bonus * e[t] * v) / d;
      largest = std::max(largest, std::abs(y));
      error = std::max(error, std::abs(y - value(call.y, t)));
      p[t] = value(call.g, t) / d, q[t] = p[t] * y;
      past_num[t] = num, past_den[t] = den;
      num = lambda * num + e[t] * v, den = lambda * den + e[t];
    }
    // The mean of 65,536 normal values is small: the bound is that of the values averaged.
    EXPECT_LE(error, 2e-6 * std::max(largest, 0.02)) << c;
    std::vector<double> left_p(tokens), left_q(tokens);
    double a = 0, b = 0, gw = 0, gu = 0, error_v = 0, error_k = 0, largest_v = 0, largest_k = 0;
    for (int64_t t = 0; t < tokens; ++t) {
      left_p[t] = a, left_q[t] = b;
      gw += a * future_num[t] - b * future_den[t];
      a = lambda * a + p[t], b = lambda * b + q[t];
    }
    a = b = 0;
    for (int64_t t = tokens - 1; t >= 0; --t) {
      const double v = value(call.v, t);
      gw += a * past_num[t] - b * past_den[t];
      const double g = left_p[t] + a + bonus * p[t], h = left_q[t] + b + bonus * q[t];
      gu += bonus * e[t] * (v * p[t] - q[t]);
      largest_v = std::max(largest_v, std::abs(e[t] * g));
      largest_k = std::max(largest_k, std::abs(e[t] * (v * g - h)));
      error_v = std::max(error_v, std::abs(e[t] * g - value(call.gv, t)));
      error_k = std::max(error_k, std::abs(e[t] * (v * g - h) - value(call.gk, t)));
      a = lambda * a + p[t], b = lambda * b + q[t];
    }
    gw *= -lambda;
    EXPECT_LE(error_v, 5e-6 * largest_v) << c;
    EXPECT_LE(error_k, 5e-6 * std::max(largest_v, largest_k)) << c;
    EXPECT_LE(std::abs(gw - call.gw[c]), 5e-6 * std::max(largest_v, std::abs(gw))) << c;
    EXPECT_LE(std::abs(gu - call.gu[c]), 5e-6 * std::max(largest_v, std::abs(gu))) << c;
    std::printf("decay %g: y %.2g, gv %.2g, gk %.2g, gw %.2g, gu %.2g\n", w * tokens,
                error / largest, error_v / largest_v, error_k / largest_k,
                std::abs(gw / call.gw[c] - 1), std::abs(gu / call.gu[c] - 1));
  }
}

template <typename S>
void ExpectRounded(double unit) {
  for (const int64_t tokens : {1, 65, 196, 784}) {
    for (const int64_t channels : {5, 16}) {
      auto call = MakeCall<S>(1, tokens, channels, {-4, 0, 3, 30, 90});
      RunPlanned(call);
      const Errors e = Judge(call, {0, 1, 2, 3, 4});
      EXPECT_LE(e.y, unit) << tokens;
      EXPECT_LE(std::max(e.gk, e.gv), unit) << tokens;
      EXPECT_LE(std::max(e.gw, e.gu), 5e-6) << tokens;  // not rounded to the storage
    }
  }
}
TEST(CudaTiles, BFloat16IsRoundedOnce) { ExpectRounded<kc::BFloat16>(0x1p-8 + 5e-6); }
TEST(CudaTiles, HalfIsRoundedOnce) { ExpectRounded<kc::Half>(0x1p-11 + 5e-6); }

TEST(CudaTiles, HalvesConvertExactly) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const auto b16 = static_cast<uint16_t>(bits);
    kc::Half half;
    kc::Narrow(kc::Widen(kc::Half{b16}), half);
    kc::BFloat16 brain;
    kc::Narrow(kc::Widen(kc::BFloat16{b16}), brain);
    const bool half_nan = (bits & 0x7fff) > 0x7c00, brain_nan = (bits & 0x7fff) > 0x7f80;
    EXPECT_TRUE(half_nan ? std::isnan(kc::Widen(half)) : half.bits == b16) << bits;
    EXPECT_TRUE(brain_nan ? std::isnan(kc::Widen(brain)) : brain.bits == b16) << bits;
  }
  EXPECT_EQ(kc::Widen(kc::Half{0x3555}), 0.333251953125f);
  EXPECT_EQ(kc::Widen(kc::Half{0x0001}), 0x1p-24f);
  EXPECT_EQ(kc::Widen(kc::BFloat16{0x3eab}), 0.333984375f);
}

TEST(CudaTiles, NanStaysInItsChannel) {
  for (const double decay : {1.0, 100.0}) {
    auto call = MakeCall<float>(1, 40, 8, {decay});
    call.v[20 * 8 + 2] = NAN;
    RunPlanned(call);
    for (int64_t i = 0; i < 40 * 8; ++i) EXPECT_EQ(std::isnan(call.y[i]), i % 8 == 2) << i;
  }
}

// What wkv_plan.h promises.
TEST(CudaTiles, PlansFitTheMachine) {
  struct Shape {
    int64_t batch, tokens, channels;
  };
  for (const int64_t budget : {113 * 1024, 81 * 1024, 49 * 1024}) {
    kc::DeviceLimits limits;
    limits.shared_bytes = budget;
    for (const Shape& s :
         {Shape{24, 784, 576}, Shape{1, 784, 576}, Shape{24, 196, 960}, Shape{1, 196, 560},
          Shape{4, 1024, 384}, Shape{1, 4096, 192}, Shape{1, 16384, 96}, Shape{1, 65536, 96},
          Shape{1, 65536, 48}, Shape{1, 1, 1}, Shape{3, 1000000, 7}}) {
      for (const int element : {4, 2}) {
        for (const bool backward : {false, true}) {
          const kc::Plan p = kc::MakePlan(s.batch, s.tokens, s.channels, element, backward, limits);
          const int planes = backward ? kc::kBackwardPlanes : kc::kForwardPlanes;
          EXPECT_LE(kc::SharedBytes(p, planes), budget);
          EXPECT_LE(p.Threads(), backward ? kc::kBackwardThreads : kc::kForwardThreads);
          EXPECT_LE(p.segments, kc::kMaxSegments);
          EXPECT_LE(p.length, backward ? kc::kBackwardLength : kc::kForwardLength);
          EXPECT_EQ(p.length % kc::kQuad, 0);
          EXPECT_GE(p.lanes * element, 32);
          EXPECT_GE(p.tiles * p.TileTokens(), s.tokens);
          EXPECT_LT((p.tiles - 1) * p.TileTokens(), s.tokens);
          EXPECT_EQ(p.groups, s.batch * ((s.channels + p.lanes - 1) / p.lanes));
          EXPECT_TRUE(p.tiles == 1 || p.segments % kc::kFan == 0);
          if (budget == 113 * 1024 && element == 4) {
            std::printf(
                "[%2ld,%7ld,%3ld] %s: %2d channels x %2d segments x %2d tokens, %ld tiles x "
                "%ld groups, %ld KB\n",
                s.batch, s.tokens, s.channels, backward ? "backward" : "forward ", p.lanes,
                p.segments, p.length, p.tiles, p.groups, kc::SharedBytes(p, planes) / 1024);
          }
        }
      }
    }
  }
}

// The shapes of the networks that need no exchange between blocks, and those whose groups fit on
// 132 multiprocessors with two blocks each.
TEST(CudaTiles, PlansOfTheNetworks) {
  for (const int64_t tokens : {196, 256, 784}) {
    for (const int64_t channels : {288, 384, 560, 576, 768, 960}) {
      for (const int64_t batch : {1, 24}) {
        EXPECT_EQ(kc::MakePlan(batch, tokens, channels, 4, false, {}).tiles, 1);
        EXPECT_EQ(kc::MakePlan(batch, tokens, channels, 4, true, {}).tiles, 1);
      }
    }
  }
  struct Level {
    int64_t tokens, channels;
  };
  for (const Level& level :
       {Level{65536, 48}, Level{65536, 96}, Level{16384, 96}, Level{4096, 192}}) {
    for (const int element : {4, 2}) {
      for (const bool backward : {false, true}) {
        const kc::Plan plan = kc::MakePlan(1, level.tokens, level.channels, element, backward, {});
        EXPECT_LE(plan.tiles, 2 * 132) << level.tokens << " " << level.channels;
        EXPECT_GE(plan.tiles * plan.groups, 132) << level.tokens << " " << level.channels;
      }
    }
  }
}

}  // namespace
}  // namespace avocet
