// SPDX-License-Identifier: Apache-2.0
// Time, bandwidth and fraction of the copy floor of the exact CUDA kernels. The floor is measured
// in the same run: a kernel that reads and writes the same buffers once (forward: two in, one out;
// backward: three in, two out). Buffers rotate, so that no input is still in the L2; calls are
// replayed from a CUDA graph. Medians.
//
//   wkv_bench [--json] [--no-graph]
//
// Built with -DAVOCET_OFFICIAL_WKV=wkv_cuda.cu (fetched by whoever runs this; not in this
// repository) it times the official kernels on the same buffers, too.
#include <algorithm>
#include <cstdio>
#include <memory>
#include <random>
#include <string>
#include <type_traits>
#include <vector>

#include "kernels/cuda/bi_wkv_cuda.h"
#include "tests/gpu/device_memory.h"
#if defined(AVOCET_OFFICIAL_WKV)
#include "tests/gpu/official_wkv.h"
#endif

namespace avocet::test {
namespace {
namespace kc = kernels::cuda;

constexpr int64_t kRotateBytes = int64_t{400} << 20;
constexpr int kReplays = 15;
bool use_graph = true;

__global__ void CopyForward(const float4* k, const float4* v, float4* y, int64_t count) {
  const int64_t stride = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t i = blockIdx.x * static_cast<int64_t>(blockDim.x) + threadIdx.x; i < count;
       i += stride) {
    const float4 a = k[i], b = v[i];
    y[i] = make_float4(a.x + b.x, a.y + b.y, a.z + b.z, a.w + b.w);
  }
}
__global__ void CopyBackward(const float4* k, const float4* v, const float4* g, float4* gk,
                             float4* gv, int64_t count) {
  const int64_t stride = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t i = blockIdx.x * static_cast<int64_t>(blockDim.x) + threadIdx.x; i < count;
       i += stride) {
    const float4 a = k[i], b = v[i], c = g[i];
    gk[i] = make_float4(a.x + b.x, a.y + b.y, a.z + b.z, a.w + b.w);
    gv[i] = make_float4(c.x + b.x, c.y + b.y, c.z + b.z, c.w + b.w);
  }
}

// Fills with numbers of an ordinary spread; zeros would be faster than real data.
template <typename S>
__global__ void Fill(S* values, int64_t count, unsigned seed) {
  const int64_t stride = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t i = blockIdx.x * static_cast<int64_t>(blockDim.x) + threadIdx.x; i < count;
       i += stride) {
    unsigned x = static_cast<unsigned>(i) * 2654435761u + seed;
    float sum = -2;
    for (int n = 0; n < 4; ++n) {
      x ^= x << 13, x ^= x >> 17, x ^= x << 5;
      sum += static_cast<float>(x >> 8) * 0x1p-24f;
    }
    kc::Narrow(1.7f * sum, values[i]);
  }
}

// Microseconds of one call: the calls of all sets in one graph, replayed.
template <typename Call>
double Microseconds(cudaStream_t stream, int calls, Call call,
                    bool use_graph = ::avocet::test::use_graph) {
  call(0);  // loads the module
  Need(cudaStreamSynchronize(stream), "warming up");
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t executable = nullptr;
  if (use_graph) {
    Need(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "capture");
    for (int i = 0; i < calls; ++i) call(i);
    Need(cudaStreamEndCapture(stream, &graph), "capture");
    Need(cudaGraphInstantiate(&executable, graph, 0), "cudaGraphInstantiate");
  }
  cudaEvent_t begin, end;
  Need(cudaEventCreate(&begin), "event"), Need(cudaEventCreate(&end), "event");
  std::vector<double> times;
  for (int i = 0; i < kReplays + 3; ++i) {
    Need(cudaEventRecord(begin, stream), "event");
    if (use_graph) {
      Need(cudaGraphLaunch(executable, stream), "cudaGraphLaunch");
    } else {
      for (int n = 0; n < calls; ++n) call(n);
    }
    Need(cudaEventRecord(end, stream), "event");
    Need(cudaEventSynchronize(end), "replay");
    float milliseconds = 0;
    Need(cudaEventElapsedTime(&milliseconds, begin, end), "event");
    if (i >= 3) times.push_back(1e3 * milliseconds / calls);
  }
  if (use_graph) cudaGraphExecDestroy(executable), cudaGraphDestroy(graph);
  cudaEventDestroy(begin), cudaEventDestroy(end);
  std::nth_element(times.begin(), times.begin() + kReplays / 2, times.end());
  return times[kReplays / 2];
}

template <typename S>
struct Buffers {
  DeviceMemory<S> k, v, y, g, gk, gv;
  explicit Buffers(int64_t count) : k(count), v(count), y(count), g(count), gk(count), gv(count) {
    unsigned seed = 1;
    for (S* p : {k.data(), v.data(), g.data()}) Fill<<<1024, 256>>>(p, count, seed++);
  }
};

void Print(bool json, const char* type, int64_t batch, int64_t tokens, int64_t channels,
           const char* pass, const kc::Plan& plan, double bytes, double time, double floor) {
  if (json) {
    std::printf(
        "{\"type\": \"%s\", \"shape\": [%ld, %ld, %ld], \"pass\": \"%s\", \"us\": %.3f, "
        "\"gb_per_s\": %.1f, \"copy_us\": %.3f, \"of_copy\": %.4f}\n",
        type, batch, tokens, channels, pass, time, bytes / time * 1e-3, floor, floor / time);
  } else {
    std::printf(
        "%-8s [%2ld,%6ld,%4ld] %-8s %2dx%2dx%2d x%3ld %9.2f us %8.0f GB/s, copy %9.2f us, "
        "%5.1f %% of it\n",
        type, batch, tokens, channels, pass, plan.lanes, plan.segments, plan.length, plan.tiles,
        time, bytes / time * 1e-3, floor, 100 * floor / time);
  }
  std::fflush(stdout);
}

#if defined(AVOCET_OFFICIAL_WKV)
void PrintOfficial(bool json, int64_t batch, int64_t tokens, int64_t channels, const char* pass,
                   double official, double ours) {
  std::printf(json ? "{\"official\": [%ld, %ld, %ld], \"pass\": \"%s\", \"us\": %.3f, "
                     "\"ratio\": %.3f}\n"
                   : "official [%2ld,%6ld,%4ld] %-8s            %9.2f us, %.2f times ours\n",
              batch, tokens, channels, pass, official, official / ours);
  std::fflush(stdout);
}
#endif

template <typename S>
void Measure(bool json, const char* type, int64_t batch, int64_t tokens, int64_t channels) {
  const int64_t count = batch * tokens * channels;
  const int sets = static_cast<int>(
      std::clamp<int64_t>(kRotateBytes / (3 * count * static_cast<int64_t>(sizeof(S))), 3, 64));
  std::vector<std::unique_ptr<Buffers<S>>> buffers;
  for (int i = 0; i < sets; ++i) buffers.push_back(std::make_unique<Buffers<S>>(count));
  std::vector<float> decay(channels), bonus(channels, 0.1f);
  for (int64_t c = 0; c < channels; ++c) {
    decay[c] = static_cast<float>(8.0 * c / channels - 5) / static_cast<float>(tokens);
  }
  const DeviceMemory<float> w(decay), u(bonus), gw(channels), gu(channels);
#if defined(AVOCET_OFFICIAL_WKV)
  const DeviceMemory<float> official_gw(batch * channels), official_gu(batch * channels);
#endif
  cudaStream_t stream;
  Need(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "stream");
  Need(cudaDeviceSynchronize(), "filling");
  const int64_t quads = count * static_cast<int64_t>(sizeof(S)) / 16;
  const auto as = [](auto* p) { return reinterpret_cast<float4*>(p); };
  for (const bool backward : {false, true}) {
    kc::ExactArgs<S> a;
    a.batch = batch, a.tokens = tokens, a.channels = channels;
    a.w = w.data(), a.u = u.data();
    Need(kc::PlanExact(a, backward), "PlanExact");
    const DeviceMemory<char> workspace(kc::ExactWorkspaceBytes(a, backward));
    const double time = Microseconds(stream, sets, [&](int i) {
      const Buffers<S>& b = *buffers[i];
      a.k = b.k.data(), a.v = b.v.data();
      if (backward) {
        a.g = b.g.data(), a.gk = b.gk.data(), a.gv = b.gv.data();
        Need(kc::LaunchBackward(a, gw.data(), gu.data(), workspace.data(), stream), "backward");
      } else {
        a.y = b.y.data();
        Need(kc::LaunchForward(a, workspace.data(), stream), "forward");
      }
    });
    const double floor = Microseconds(stream, sets, [&](int i) {
      const Buffers<S>& b = *buffers[i];
      const auto blocks = static_cast<unsigned>(std::min<int64_t>((quads + 255) / 256, 132 * 16));
      if (backward) {
        CopyBackward<<<blocks, 256, 0, stream>>>(as(b.k.data()), as(b.v.data()), as(b.g.data()),
                                                 as(b.gk.data()), as(b.gv.data()), quads);
      } else {
        CopyForward<<<blocks, 256, 0, stream>>>(as(b.k.data()), as(b.v.data()), as(b.y.data()),
                                                quads);
      }
    });
    const double bytes = static_cast<double>(count) * sizeof(S) * (backward ? 5 : 3);
    Print(json, type, batch, tokens, channels, backward ? "backward" : "forward", a.plan, bytes,
          time, floor);
#if defined(AVOCET_OFFICIAL_WKV)
    if constexpr (std::is_same_v<S, float>) {
      const double official = Microseconds(
          nullptr, sets,
          [&](int i) {
            const Buffers<S>& b = *buffers[i];
            if (backward) {
              OfficialBackward(batch, tokens, channels, w.data(), u.data(), b.k.data(), b.v.data(),
                               b.g.data(), official_gw.data(), official_gu.data(), b.gk.data(),
                               b.gv.data());
            } else {
              OfficialForward(batch, tokens, channels, w.data(), u.data(), b.k.data(), b.v.data(),
                              b.y.data());
            }
          },
          false);
      PrintOfficial(json, batch, tokens, channels, backward ? "backward" : "forward", official,
                    time);
    }
#endif
  }
  cudaStreamDestroy(stream);
}

}  // namespace
}  // namespace avocet::test

int main(int argc, char** argv) {
  using namespace avocet::test;
  bool json = false;
  for (int i = 1; i < argc; ++i) {
    json = json || std::string(argv[i]) == "--json";
    use_graph = use_graph && std::string(argv[i]) != "--no-graph";
  }
  NeedDevice();
  struct Shape {
    int64_t batch, tokens, channels;
  };
  for (const Shape& s :
       {Shape{24, 784, 576}, Shape{1, 65536, 96}, Shape{24, 196, 960}, Shape{1, 784, 576},
        Shape{4, 1024, 384}, Shape{1, 4096, 192}, Shape{4, 16384, 96}, Shape{4, 65536, 96}}) {
    Measure<float>(json, "float32", s.batch, s.tokens, s.channels);
    if (s.batch * s.tokens * s.channels > 4000000) {
      Measure<kc::BFloat16>(json, "bfloat16", s.batch, s.tokens, s.channels);
    }
  }
  return 0;
}
