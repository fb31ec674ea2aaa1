// SPDX-License-Identifier: Apache-2.0
// Bi-WKV per shape of the networks: time, bandwidth, and the fraction of a stream copy of the same
// bytes measured in the same run (shared/spec/wkv.md 1.4: forward moves 3 tensors, backward 5).
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <benchmark/benchmark.h>
#include <c10/core/GradMode.h>

#include <chrono>
#include <cstring>

#include "app/base/allocator.h"
#include "kernels/bi_wkv.h"

namespace {

// Bytes a second that copying buffers of `bytes` moves (read and written), all threads.
double CopyRate(int64_t bytes) {
  const at::Tensor from = at::ones({bytes / 4}), to = at::empty_like(from);
  double best = 0;
  for (int n = 0; n < 5; ++n) {
    const auto start = std::chrono::steady_clock::now();
    at::parallel_for(0, from.numel(), 1 << 16, [&](int64_t begin, int64_t end) {
      std::memcpy(to.data_ptr<float>() + begin, from.data_ptr<float>() + begin, (end - begin) * 4);
    });
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    best = std::max(best, 2.0 * bytes / seconds.count());
  }
  return best;
}

struct Case {
  at::Tensor w, u, k, v, g;
  explicit Case(const benchmark::State& state) {
    at::manual_seed(1);
    const int64_t b = state.range(0), t = state.range(1), c = state.range(2);
    w = at::rand({c}) * 4 / t;
    u = at::rand({c});
    k = at::randn({b, t, c});
    v = at::randn({b, t, c});
    g = at::randn({b, t, c});
  }
};

void Report(benchmark::State& state, const Case& c, int64_t tensors) {
  const double bytes = static_cast<double>(c.k.numel()) * 4 * tensors;
  state.counters["GB/s"] =
      benchmark::Counter(bytes * 1e-9, benchmark::Counter::kIsIterationInvariantRate);
  state.counters["of_copy"] = benchmark::Counter(bytes / CopyRate(c.k.numel() * 4),
                                                 benchmark::Counter::kIsIterationInvariantRate);
}

void Forward(benchmark::State& state) {
  c10::NoGradGuard no_grad;
  at::set_num_threads(static_cast<int>(state.range(4)));
  const Case c(state);
  for (auto _ : state)
    benchmark::DoNotOptimize(avocet::kernels::BiWkv(c.w, c.u, c.k, c.v, state.range(3)));
  Report(state, c, 3);
}

void ForwardAndBackward(benchmark::State& state) {
  at::set_num_threads(static_cast<int>(state.range(4)));
  const Case c(state);
  for (at::Tensor x : {c.w, c.u, c.k, c.v}) x.requires_grad_(true);
  for (auto _ : state) {
    for (at::Tensor x : {c.w, c.u, c.k, c.v}) x.mutable_grad() = at::Tensor();
    avocet::kernels::BiWkv(c.w, c.u, c.k, c.v, state.range(3)).backward(c.g);
  }
  Report(state, c, 8);
}

// The two-scan form as LibTorch operations, one token at a time: what one would write without a
// kernel.
void Composition(benchmark::State& state) {
  c10::NoGradGuard no_grad;
  at::set_num_threads(static_cast<int>(state.range(4)));
  const Case c(state);
  const int64_t tokens = state.range(1);
  for (auto _ : state) {
    const at::Tensor e = (c.k - c.k.amax(1, true)).exp(), ev = e * c.v, lambda = (-c.w).exp();
    at::Tensor num = at::empty_like(ev), den = at::empty_like(e);
    at::Tensor a = at::zeros_like(ev.select(1, 0)), b = at::zeros_like(a);
    for (int64_t t = 0; t < tokens; ++t) {
      num.select(1, t).copy_(a);
      den.select(1, t).copy_(b);
      a = a * lambda + ev.select(1, t);
      b = b * lambda + e.select(1, t);
    }
    a.zero_();
    b.zero_();
    for (int64_t t = tokens - 1; t >= 0; --t) {
      num.select(1, t).add_(a);
      den.select(1, t).add_(b);
      a = a * lambda + ev.select(1, t);
      b = b * lambda + e.select(1, t);
    }
    const at::Tensor bonus = c.u.exp();
    benchmark::DoNotOptimize((num + bonus * ev) / (den + bonus * e));
  }
  Report(state, c, 3);
}

void Shapes(benchmark::internal::Benchmark* b) {
  b->ArgNames({"B", "T", "C", "split", "threads"})->Unit(benchmark::kMicrosecond)->UseRealTime();
  for (const int64_t threads : {1, 2}) {
    for (const auto& [batch, tokens, channels] : {std::array<int64_t, 3>{1, 784, 288},
                                                  {1, 784, 576},
                                                  {1, 196, 960},
                                                  {8, 784, 576},
                                                  {1, 65536, 48}}) {
      b->Args({batch, tokens, channels, 0, threads});
    }
  }
  b->Args({1, 784, 576, 32, 1});
}

BENCHMARK(Forward)->Apply(Shapes);
BENCHMARK(ForwardAndBackward)->Apply(Shapes);
BENCHMARK(Composition)
    ->ArgNames({"B", "T", "C", "split", "threads"})
    ->Args({1, 784, 576, 0, 1})
    ->Unit(benchmark::kMicrosecond);

}  // namespace

int main(int argc, char** argv) {
  avocet::KeepFreedMemory();  // as the program does
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
}
