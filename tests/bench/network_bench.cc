// SPDX-License-Identifier: Apache-2.0
// FS-RWKV with random weights: one forward pass and one training step. CPU time is
// that of the whole process, so that other work on the machine matters little.
#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Parallel.h>
#include <benchmark/benchmark.h>
#include <c10/core/InferenceMode.h>

#include "app/base/allocator.h"
#include "models/fs_rwkv/fs_rwkv.h"
#include "models/training/optimizer.h"
#include "models/training/translation_loss.h"

namespace {

using avocet::models::FsRwkv;
using avocet::models::FsRwkvConfig;
using avocet::models::WkvMode;

// FS-RWKV; width 48 is the published size.
FsRwkv Translator(int64_t split, at::Generator& generator, int64_t width = 48) {
  FsRwkvConfig config;
  config.sizes.dim = width;
  config.wkv = static_cast<WkvMode>(split);
  FsRwkv network(config);
  network.Initialise(generator);
  return network;
}

void TranslatorForward(benchmark::State& state) {
  c10::InferenceMode inference;
  at::set_num_threads(static_cast<int>(state.range(2)));
  at::Generator generator = at::detail::createCPUGenerator(1);
  const FsRwkv network = Translator(state.range(3), generator);
  const at::Tensor image = at::rand({state.range(0), 1, state.range(1), state.range(1)}, generator);
  for (auto _ : state) benchmark::DoNotOptimize(network.Forward(image));
}
BENCHMARK(TranslatorForward)
    ->ArgNames({"N", "side", "threads", "split"})
    ->Unit(benchmark::kMillisecond)
    ->MeasureProcessCPUTime()
    ->Args({1, 64, 1, 0})
    ->Args({1, 256, 1, 0})
    ->Args({1, 256, 2, 0})
    ->Args({1, 256, 1, 64});

void TranslatorStep(benchmark::State& state) {
  at::set_num_threads(static_cast<int>(state.range(2)));
  at::Generator generator = at::detail::createCPUGenerator(1);
  FsRwkv network = Translator(0, generator, state.range(3));
  network.parameters().RequireGradients(true);
  avocet::models::AdamW optimizer(network.parameters(), {});
  const at::Tensor image = at::rand({state.range(0), 1, state.range(1), state.range(1)}, generator);
  const at::Tensor target = image.square();
  avocet::models::ForwardOptions options;
  options.training = true;
  for (auto _ : state) {
    optimizer.ZeroGradients();
    avocet::models::ComputeTranslationLoss(network.Forward(image, options), target)
        .total.backward();
    optimizer.Step(1e-4);
  }
}
BENCHMARK(TranslatorStep)
    ->ArgNames({"N", "side", "threads", "width"})
    ->Unit(benchmark::kMillisecond)
    ->MeasureProcessCPUTime()
    ->Iterations(2)
    ->Args({1, 64, 1, 48})
    ->Args({1, 256, 1, 48})
    ->Args({4, 128, 1, 16});

}  // namespace

int main(int argc, char** argv) {
  avocet::KeepFreedMemory();  // as the program does
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
}
