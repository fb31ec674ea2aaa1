// SPDX-License-Identifier: Apache-2.0
// The exact CUDA kernels on a GPU against the same blocks on the host (which bi_wkv_cuda_tiles_test
// holds against the definition), with every kind of launch; then the same launch again, bit for
// bit. Needs no LibTorch; small enough for compute-sanitizer:
//
//   wkv_blocks_check [--small]
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <random>
#include <string>

#include "kernels/cuda/bi_wkv_cuda.h"
#include "tests/gpu/device_memory.h"
#include "tests/kernels/cuda_tiles.h"

namespace avocet::test {
namespace {
namespace kc = kernels::cuda;

int failures = 0;

struct Case {
  int64_t batch, tokens, channels;
  std::vector<double> decays;
  // Where segments is not 0, this cut instead of the planned one.
  int segments = 0, length = 0;
  bool together = true;
};

template <typename S>
std::vector<S> Random(std::mt19937& random, size_t count) {
  std::normal_distribution<float> normal;
  std::vector<S> values(count);
  for (S& value : values) kc::Narrow(normal(random), value);
  return values;
}

kc::Plan PlanOf(const Case& c, const kc::Plan& planned) {
  if (c.segments == 0) return planned;
  kc::Plan plan;
  plan.lanes = planned.lanes, plan.segments = c.segments, plan.length = c.length;
  plan.tiles = (c.tokens + plan.TileTokens() - 1) / plan.TileTokens();
  plan.groups = c.batch * ((c.channels + plan.lanes - 1) / plan.lanes);
  return plan;
}

// Largest difference relative to the largest value; infinite where either is not a number.
template <typename S>
double Distance(const std::vector<S>& got, const std::vector<S>& want) {
  double largest = 0, error = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    const double a = kc::Widen(got[i]), b = kc::Widen(want[i]);
    largest = std::max(largest, std::abs(b));
    error = std::isfinite(a) && std::isfinite(b) ? std::max(error, std::abs(a - b)) : INFINITY;
  }
  return error / (largest + 1e-30);
}

template <typename S>
bool Same(const std::vector<S>& a, const std::vector<S>& b) {
  return std::memcmp(a.data(), b.data(), a.size() * sizeof(S)) == 0;
}

template <typename S>
struct Results {
  std::vector<S> y, gk, gv;
  std::vector<float> gw, gu;
};

template <typename S>
Results<S> RunOnDevice(const TiledCall<S>& call, kc::Plan& forward, kc::Plan& backward,
                       const Case& c) {
  const DeviceMemory<float> w(call.w), u(call.u);
  const DeviceMemory<S> k(call.k), v(call.v), g(call.g);
  const DeviceMemory<S> y(call.k.size()), gk(call.k.size()), gv(call.k.size());
  const DeviceMemory<float> gw(call.w.size()), gu(call.w.size());
  kc::ExactArgs<S> a;
  a.batch = call.batch, a.tokens = call.tokens, a.channels = call.channels;
  a.w = w.data(), a.u = u.data(), a.k = k.data(), a.v = v.data(), a.y = y.data();
  a.together = c.together;
  Need(kc::PlanExact(a, false), "PlanExact");
  forward = a.plan = PlanOf(c, a.plan);
  {
    const DeviceMemory<char> workspace(kc::ExactWorkspaceBytes(a, false));
    Need(kc::LaunchForward(a, workspace.data(), nullptr), "LaunchForward");
    Need(cudaDeviceSynchronize(), "forward");
  }
  a.y = nullptr, a.g = g.data(), a.gk = gk.data(), a.gv = gv.data();
  Need(kc::PlanExact(a, true), "PlanExact");
  backward = a.plan = PlanOf(c, a.plan);
  {
    const DeviceMemory<char> workspace(kc::ExactWorkspaceBytes(a, true));
    Need(kc::LaunchBackward(a, gw.data(), gu.data(), workspace.data(), nullptr), "LaunchBackward");
    Need(cudaDeviceSynchronize(), "backward");
  }
  return {y.Read(), gk.Read(), gv.Read(), gw.Read(), gu.Read()};
}

template <typename S>
void Check(const char* type, const Case& c, double tolerance) {
  std::mt19937 random(static_cast<unsigned>(c.tokens + c.channels));
  TiledCall<S> call;
  call.batch = c.batch, call.tokens = c.tokens, call.channels = c.channels;
  const size_t count = c.batch * c.tokens * c.channels;
  for (int64_t i = 0; i < c.channels; ++i) {
    call.w.push_back(static_cast<float>(c.decays[i % c.decays.size()] / c.tokens));
  }
  call.u = Random<float>(random, c.channels);
  call.k = Random<S>(random, count);
  call.v = Random<S>(random, count);
  call.g = Random<S>(random, count);
  kc::Plan forward, backward;
  const Results<S> got = RunOnDevice(call, forward, backward, c);
  const Results<S> again = RunOnDevice(call, forward, backward, c);
  RunTiled(call, forward, backward, c.channels % kc::kWidePack<S> == 0, false);
  const std::vector<float> gw(call.gw.begin(), call.gw.end()), gu(call.gu.begin(), call.gu.end());
  const double y = Distance(got.y, call.y);
  const double gradients = std::max({Distance(got.gk, call.gk), Distance(got.gv, call.gv),
                                     Distance(got.gw, gw), Distance(got.gu, gu)});
  const bool same = Same(got.y, again.y) && Same(got.gk, again.gk) && Same(got.gv, again.gv) &&
                    Same(got.gw, again.gw) && Same(got.gu, again.gu);
  const bool good = y <= tolerance && gradients <= 4 * tolerance && same;
  if (!good) ++failures;
  std::printf(
      "%s %s [%ld,%ld,%ld] %dx%dx%d x %ld and %dx%dx%d x %ld tiles%s: y %.1e, gradients "
      "%.1e, again %s\n",
      good ? "ok  " : "FAIL", type, c.batch, c.tokens, c.channels, forward.lanes, forward.segments,
      forward.length, forward.tiles, backward.lanes, backward.segments, backward.length,
      backward.tiles, c.together ? "" : ", several launches", y, gradients,
      same ? "the same bits" : "DIFFERENT");
}

}  // namespace
}  // namespace avocet::test

int main(int argc, char** argv) {
  using namespace avocet::test;
  const bool small = argc > 1 && std::string(argv[1]) == "--small";
  NeedDevice();
  const std::vector<double> usual{-4, 0, 0.5, 3, 30}, far{100, -100, 3, 400};
  std::vector<Case> cases{{1, 1, 1, usual},
                          {2, 5, 7, usual},
                          {2, 65, 20, usual},
                          {1, 129, 96, usual},
                          {1, 129, 8, far},
                          {2, 200, 12, usual, 8, 4},
                          {1, 200, 12, far, 8, 4},
                          {1, 300, 9, usual, 16, 8, false},
                          {1, 100, 8, far, 8, 4, false}};
  if (!small) {
    cases.insert(cases.end(), {{2, 196, 560, usual},
                               {3, 784, 576, usual},
                               {1, 1024, 384, usual},
                               {1, 784, 70, far},
                               {1, 4096, 192, usual},
                               {1, 65536, 48, usual},
                               {1, 30000, 33, usual},
                               {1, 30000, 32, far},
                               {1, 30000, 32, usual, 0, 0, false},
                               {2, 20000, 40, usual, 8, 8}});
  }
  for (const Case& c : cases) {
    Check<float>("float32 ", c, 2e-6);
    // A unit of the last place where the device and the host round apart.
    Check<kc::BFloat16>("bfloat16", c, 0x1p-7);
    Check<kc::Half>("float16 ", c, 0x1p-10);
  }
  std::printf(failures == 0 ? "all agree\n" : "%d FAILED\n", failures);
  return failures == 0 ? 0 : 1;
}
