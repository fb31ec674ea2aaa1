// SPDX-License-Identifier: Apache-2.0
// Whole RWKV-UNets with random weights, one forward pass at 224 x 224. Beside each time stands the
// ratio to an eager composition measured in the same run: the layers one LibTorch operation after
// the other in NCHW memory and in the published order, which is what the official Python code
// executes with our Bi-WKV operator loaded, less the interpreter.
#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Parallel.h>
#include <benchmark/benchmark.h>
#include <c10/core/InferenceMode.h>
#include <time.h>

#include <algorithm>
#include <array>
#include <functional>
#include <map>
#include <tuple>

#include "app/base/allocator.h"
#include "kernels/linear_cpu.h"
#include "models/rwkv_unet/layers.h"
#include "models/rwkv_unet/rwkv_unet.h"

namespace {

using avocet::models::ForwardOptions;
using avocet::models::Precision;
using avocet::models::RwkvUnet;
using avocet::models::RwkvUnetBlock;
using avocet::models::RwkvUnetConfig;
using avocet::models::RwkvUnetLayers;
using avocet::models::WkvMode;

constexpr int kClasses = 9;
constexpr int64_t kSide = 224;

RwkvUnet Network(const std::string& variant) {
  RwkvUnet network(RwkvUnetConfig::ForVariant(variant, kClasses));
  at::Generator generator = at::detail::createCPUGenerator(1);
  network.Initialise(generator);
  return network;
}

at::Tensor Image(int64_t batch) {
  at::Generator generator = at::detail::createCPUGenerator(2);
  return at::rand({batch, 1, kSide, kSide}, generator);
}

at::Tensor Eager(const RwkvUnet& network, const at::Tensor& image) {
  const ForwardOptions options;
  const RwkvUnetLayers layers(network.parameters(), WkvMode::kExact, options);
  const RwkvUnetConfig& config = network.config();
  at::Tensor x = image.repeat({1, 3, 1, 1});
  x = layers.Glsp(
      {"encoder.stage0.0", 3, 3, 24, 1, RwkvUnetBlock::Norm::kNone, false, false, true, 0}, x);
  std::array<at::Tensor, 5> outputs;
  for (int stage = 1; stage <= 4; ++stage) {
    const auto norm = stage <= 2 ? RwkvUnetBlock::Norm::kBatch : RwkvUnetBlock::Norm::kLayer;
    for (int j = 0; j < config.depths[stage - 1]; ++j) {
      x = layers.Glsp({"encoder.stage" + std::to_string(stage) + "." + std::to_string(j), 0, 0, 0,
                       j == 0 ? 2 : 1, norm, stage >= 3 && j > 0, j > 0, false, 0},
                      x);
    }
    outputs[stage] = x;
  }
  const auto skips = layers.CrossChannelMix(outputs[3], outputs[2], outputs[1]);
  x = layers.Decoder("decoder1", x);
  for (int n = 0; n < 3; ++n) {
    x = layers.Decoder("decoder" + std::to_string(n + 2), at::cat({x, skips[n]}, 1));
  }
  return at::conv2d(x, layers.P("final_conv.weight"), layers.P("final_conv.bias"));
}

// Wall time; of one thread its CPU time, so that other work on the machine matters little.
double Seconds(int64_t threads, const std::function<void()>& run) {
  const auto now = [threads] {
    timespec t{};
    clock_gettime(threads == 1 ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &t);
    return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
  };
  const double start = now();
  run();
  return now() - start;
}

// Smallest of some runs, once for each argument.
double EagerSeconds(const std::string& variant, int64_t batch, int64_t threads) {
  static std::map<std::tuple<std::string, int64_t, int64_t>, double> known;
  const auto key = std::make_tuple(variant, batch, threads);
  if (const auto found = known.find(key); found != known.end()) return found->second;
  const RwkvUnet network = Network(variant);
  const at::Tensor image = Image(batch);
  double best = 1e9;
  for (int n = 0; n < (batch == 1 ? 6 : 3); ++n) {
    best =
        std::min(best, Seconds(threads, [&] { benchmark::DoNotOptimize(Eager(network, image)); }));
  }
  return known[key] = best;
}

enum class Path { kEager, kPlain, kFloat32, kBFloat16 };

void Forward(benchmark::State& state, const char* variant, Path path) {
  if (path == Path::kBFloat16 && !avocet::kernels::HasFastBFloat16()) {
    state.SkipWithError("this processor has no bfloat16 matrix products");
    return;
  }
  c10::InferenceMode inference;
  const int64_t batch = state.range(0);
  at::set_num_threads(static_cast<int>(state.range(1)));
  RwkvUnet network = Network(variant);
  if (path == Path::kFloat32) network.Freeze();
  if (path == Path::kBFloat16) network.Freeze(Precision::kBFloat16);
  const at::Tensor image = Image(batch);
  double best = 1e9;
  for (auto _ : state) {
    const double seconds = Seconds(state.range(1), [&] {
      benchmark::DoNotOptimize(path == Path::kEager ? Eager(network, image)
                                                    : network.Forward(image));
    });
    best = std::min(best, seconds);
    state.SetIterationTime(seconds);
  }
  state.counters["best_ms"] = best * 1e3;
  state.counters["ms/image"] = best * 1e3 / static_cast<double>(batch);
  state.counters["x_eager"] = EagerSeconds(variant, batch, state.range(1)) / best;
}

void Sizes(benchmark::internal::Benchmark* b) {
  b->ArgNames({"N", "threads"})->Unit(benchmark::kMillisecond)->UseManualTime();
  for (const int64_t batch : {1, 8}) {
    for (const int64_t threads : {1, 2}) b->Args({batch, threads});
  }
}

#define AVOCET_VARIANT(variant)                                                      \
  BENCHMARK_CAPTURE(Forward, variant / eager, #variant, Path::kEager)->Apply(Sizes); \
  BENCHMARK_CAPTURE(Forward, variant / plain, #variant, Path::kPlain)->Apply(Sizes); \
  BENCHMARK_CAPTURE(Forward, variant / float32, #variant, Path::kFloat32)            \
      ->Apply(Sizes)                                                                 \
      ->MinTime(1);                                                                  \
  BENCHMARK_CAPTURE(Forward, variant / bfloat16, #variant, Path::kBFloat16)          \
      ->Apply(Sizes)                                                                 \
      ->MinTime(1)
AVOCET_VARIANT(T);
AVOCET_VARIANT(S);
AVOCET_VARIANT(B);

}  // namespace

int main(int argc, char** argv) {
  avocet::KeepFreedMemory();  // as the program does
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
}
