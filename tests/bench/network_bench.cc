// SPDX-License-Identifier: Apache-2.0
// One forward pass of RWKV-UNet with random weights.
#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Parallel.h>
#include <benchmark/benchmark.h>
#include <c10/core/InferenceMode.h>

#include "app/base/allocator.h"
#include "models/rwkv_unet/rwkv_unet.h"

namespace {

using avocet::models::RwkvUnet;
using avocet::models::RwkvUnetConfig;
using avocet::models::WkvMode;

void Forward(benchmark::State& state, const char* variant) {
  c10::InferenceMode inference;
  at::set_num_threads(static_cast<int>(state.range(2)));
  RwkvUnet network(RwkvUnetConfig::ForVariant(variant, 9), static_cast<WkvMode>(state.range(3)));
  at::Generator generator = at::detail::createCPUGenerator(1);
  network.Initialise(generator);
  const at::Tensor image = at::rand({state.range(0), 1, state.range(1), state.range(1)}, generator);
  for (auto _ : state) benchmark::DoNotOptimize(network.Forward(image));
  state.counters["images/s"] = benchmark::Counter(static_cast<double>(state.range(0)),
                                                  benchmark::Counter::kIsIterationInvariantRate);
}

void Sizes(benchmark::internal::Benchmark* b) {
  b->ArgNames({"N", "side", "threads", "split"})->Unit(benchmark::kMillisecond)->UseRealTime();
  b->Args({1, 224, 1, 0})->Args({1, 224, 2, 0})->Args({8, 224, 2, 0})->Args({1, 224, 2, 32});
}

BENCHMARK_CAPTURE(Forward, T, "T")->Apply(Sizes);
BENCHMARK_CAPTURE(Forward, S, "S")->Apply(Sizes);
BENCHMARK_CAPTURE(Forward, B, "B")->Apply(Sizes);

}  // namespace

int main(int argc, char** argv) {
  avocet::KeepFreedMemory();  // as the program does
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
}
