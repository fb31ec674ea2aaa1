// SPDX-License-Identifier: Apache-2.0
// Bi-WKV per shape of the networks: time, bandwidth, and the fraction of what a stream copy of the
// same buffers moves, measured in the same run (shared/spec/wkv.md 1.4: the floor of the forward
// pass is three tensors, of the backward pass five).
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <benchmark/benchmark.h>
#include <c10/core/GradMode.h>

#include <array>
#include <chrono>
#include <cstring>

#include "app/base/allocator.h"
#include "kernels/bi_wkv.h"

namespace {

using Clock = std::chrono::steady_clock;

double Seconds(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Bytes a second, read and written, that copying `from` to `to` moves on all threads: the best of
// many, since other work only ever slows it.
double CopyRate(const at::Tensor& from, at::Tensor to) {
  const auto bytes = static_cast<int64_t>(from.nbytes());
  const auto* source = static_cast<const char*>(from.const_data_ptr());
  auto* target = static_cast<char*>(to.mutable_data_ptr());
  const int64_t part = bytes / at::get_num_threads();
  double best = 0;
  const auto begin = Clock::now();
  while (Seconds(begin) < 0.05) {
    const auto start = Clock::now();
    at::parallel_for(0, bytes, part, [&](int64_t first, int64_t last) {
      std::memcpy(target + first, source + first, last - first);
    });
    best = std::max(best, 2.0 * static_cast<double>(bytes) / Seconds(start));
  }
  return best;
}

struct Case {
  at::Tensor w, u, k, v, g;
  explicit Case(const benchmark::State& state, at::ScalarType type = at::kFloat) {
    at::set_num_threads(static_cast<int>(state.range(4)));
    at::manual_seed(1);
    const int64_t b = state.range(0), t = state.range(1), c = state.range(2);
    w = at::rand({c}) * 4 / t;
    u = at::rand({c});
    k = at::randn({b, t, c}).to(type);
    v = at::randn({b, t, c}).to(type);
    g = at::randn({b, t, c}).to(type);
  }
};

// Times `call`, and states its best as bandwidth over `tensors` of the size of k.
template <typename Call>
void Measure(benchmark::State& state, const Case& c, int64_t tensors, Call call) {
  double best = 1e9;
  for (auto _ : state) {
    const auto start = Clock::now();
    call();
    best = std::min(best, Seconds(start));
  }
  const double rate = static_cast<double>(c.k.nbytes()) * static_cast<double>(tensors) / best;
  const double copy = CopyRate(c.k, at::empty_like(c.k));
  state.counters["best_us"] = best * 1e6;
  state.counters["GB/s"] = rate * 1e-9;
  state.counters["copy_GB/s"] = copy * 1e-9;
  state.counters["of_copy"] = rate / copy;
}

void Forward(benchmark::State& state) {
  c10::NoGradGuard no_grad;
  const Case c(state);
  Measure(state, c, 3, [&] {
    benchmark::DoNotOptimize(avocet::kernels::BiWkv(c.w, c.u, c.k, c.v, state.range(3)));
  });
}

void ForwardBFloat16(benchmark::State& state) {
  c10::NoGradGuard no_grad;
  const Case c(state, at::kBFloat16);
  Measure(state, c, 3, [&] {
    benchmark::DoNotOptimize(avocet::kernels::BiWkv(c.w, c.u, c.k, c.v, state.range(3)));
  });
}

void ForwardAndBackward(benchmark::State& state) {
  const Case c(state);
  for (at::Tensor x : {c.w, c.u, c.k, c.v}) x.requires_grad_(true);
  Measure(state, c, 8, [&] {
    for (at::Tensor x : {c.w, c.u, c.k, c.v}) x.mutable_grad() = at::Tensor();
    avocet::kernels::BiWkv(c.w, c.u, c.k, c.v, state.range(3)).backward(c.g);
  });
}

// The two-scan form as LibTorch operations, one token at a time: what one would write without a
// kernel.
at::Tensor Composed(const Case& c) {
  const int64_t tokens = c.k.size(1);
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
  return (num + bonus * ev) / (den + bonus * e);
}

// Ours and the composition turn by turn; `ratio` is what counts.
void AgainstComposition(benchmark::State& state) {
  c10::NoGradGuard no_grad;
  const Case c(state);
  double ours = 1e9, composed = 1e9;
  for (auto _ : state) {
    auto start = Clock::now();
    benchmark::DoNotOptimize(Composed(c));
    composed = std::min(composed, Seconds(start));
    for (int n = 0; n < 10; ++n) {
      start = Clock::now();
      benchmark::DoNotOptimize(avocet::kernels::BiWkv(c.w, c.u, c.k, c.v));
      ours = std::min(ours, Seconds(start));
    }
  }
  state.counters["best_us"] = ours * 1e6;
  state.counters["composed_us"] = composed * 1e6;
  state.counters["ratio"] = composed / ours;
}

// The machine's own stream rate: arrays far beyond any cache of its own.
void StreamCopy(benchmark::State& state) {
  at::set_num_threads(static_cast<int>(state.range(0)));
  const at::Tensor from = at::ones({int64_t{1} << 27});
  at::Tensor to = at::empty_like(from);
  double best = 0;
  for (auto _ : state) best = std::max(best, CopyRate(from, to));
  state.counters["GB/s"] = best * 1e-9;
}

constexpr std::array<std::array<int64_t, 3>, 6> kShapes{
    {{1, 784, 288}, {1, 784, 576}, {1, 196, 960}, {8, 784, 576}, {1, 65536, 48}, {1, 65536, 96}}};

void Names(benchmark::internal::Benchmark* b) {
  b->ArgNames({"B", "T", "C", "split", "threads"})->Unit(benchmark::kMicrosecond)->UseRealTime();
}
void Shapes(benchmark::internal::Benchmark* b) {
  Names(b);
  for (const int64_t threads : {1, 2}) {
    for (const auto& [batch, tokens, channels] : kShapes)
      b->Args({batch, tokens, channels, 0, threads});
  }
  b->Args({1, 784, 576, 32, 1});
}

BENCHMARK(Forward)->Apply(Shapes);
BENCHMARK(ForwardAndBackward)->Apply(Shapes);
BENCHMARK(ForwardBFloat16)->Apply(Names)->Args({1, 784, 576, 0, 1})->Args({1, 65536, 96, 0, 1});
BENCHMARK(AgainstComposition)
    ->Apply(Names)
    ->Args({1, 784, 576, 0, 1})
    ->Args({1, 784, 576, 0, 2})
    ->Args({1, 4096, 96, 0, 1});
BENCHMARK(StreamCopy)->ArgName("threads")->Arg(1)->Arg(2)->Unit(benchmark::kMillisecond);

}  // namespace

int main(int argc, char** argv) {
  avocet::KeepFreedMemory();  // as the program does
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
}
