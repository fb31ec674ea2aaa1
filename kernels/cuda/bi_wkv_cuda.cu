// SPDX-License-Identifier: Apache-2.0
// The kernels of the exact Bi-WKV. What a block does is in wkv_program.h, how a call is cut in
// wkv_plan.h.
#include "kernels/cuda/bi_wkv_cuda.h"
#include "kernels/cuda/block_team.h"
#include "kernels/cuda/wkv_program.h"

namespace avocet::kernels::cuda {
namespace {

// kAlone, a kernel of its own for groups of one tile, spares the usual case the registers of the
// exchange; tensors that cannot be read in wide packs do without.

// What a launch does of a pass.
enum class Part {
  kWhole,     // groups of one tile: everything, a block a tile
  kExchange,  // everything; blocks are all on the machine, draw tiles in order and wait for others
  kTotals,    // for groups too large for that, in turn: ...
  kAdjoints,  // (backward only)
  kOutputs,
};

// Zeroed before a launch of kExchange.
struct Counters {
  unsigned* ticket;
  unsigned* totals;    // [groups]
  unsigned* adjoints;  // [groups]
};

__device__ __forceinline__ unsigned NextTicket(unsigned* counter) {
  __shared__ unsigned ticket;
  if (threadIdx.x == 0) ticket = atomicAdd(counter, 1u);
  __syncthreads();
  return ticket;
}

// After it, what all blocks of the group published before it can be read (ReadShared).
__device__ __forceinline__ void WaitForGroup(unsigned* counter, int64_t tiles) {
  if (threadIdx.x == 0) {
    __threadfence();
    atomicAdd(counter, 1u);
    unsigned arrived = 0;
    do {
      asm volatile("ld.acquire.gpu.global.u32 %0, [%1];" : "=r"(arrived) : "l"(counter) : "memory");
      if (arrived < tiles) __nanosleep(40);
    } while (arrived < tiles);
    __threadfence();
  }
  __syncthreads();
}

template <typename S, int kPack, bool kAlone>
__global__ void __launch_bounds__(kForwardThreads, 2)
    ForwardKernel(const __grid_constant__ ExactArgs<S> a, Part part, Counters counters) {
  extern __shared__ __align__(16) char shared[];
  const Memory m(shared, a.plan, kForwardPlanes);
  BlockTeam<ExactState<kForwardLength / kQuad>, kForwardLength / kQuad> fast;
  BlockTeam<ScaledState, 1> rare;
  const int64_t total = a.plan.groups * a.plan.tiles;
  if (kAlone) part = Part::kWhole;
  for (;;) {
    const int64_t ticket = part == Part::kExchange ? NextTicket(counters.ticket) : blockIdx.x;
    if (ticket >= total) return;
    const Tile tile(a, kAlone ? ticket : ticket / a.plan.tiles, kAlone ? 0 : ticket % a.plan.tiles);
    const bool publish = part == Part::kExchange || part == Part::kTotals;
    ForwardBegin<kPack, kAlone>(fast, rare, a, tile, m, publish);
    if (part == Part::kTotals) return;
    if (part == Part::kExchange) WaitForGroup(counters.totals + tile.group, a.plan.tiles);
    ForwardEnd<kPack, kAlone>(fast, rare, a, tile, m);
    if (part != Part::kExchange) return;
  }
}

template <typename S, int kPack, bool kAlone>
__global__ void __launch_bounds__(kBackwardThreads, 2)
    BackwardKernel(const __grid_constant__ ExactArgs<S> a, Part part, Counters counters) {
  extern __shared__ __align__(16) char shared[];
  const Memory m(shared, a.plan, kBackwardPlanes);
  BlockTeam<ExactState<kBackwardLength / kQuad>, kBackwardLength / kQuad> fast;
  BlockTeam<ScaledState, 1> rare;
  const int64_t total = a.plan.groups * a.plan.tiles;
  if (kAlone) part = Part::kWhole;
  for (;;) {
    const int64_t ticket = part == Part::kExchange ? NextTicket(counters.ticket) : blockIdx.x;
    if (ticket >= total) return;
    const Tile tile(a, kAlone ? ticket : ticket / a.plan.tiles, kAlone ? 0 : ticket % a.plan.tiles);
    const bool exchange = part == Part::kExchange;
    BackwardBegin<kPack, kAlone>(fast, rare, a, tile, m, exchange || part == Part::kTotals);
    if (part == Part::kTotals) return;
    if (exchange) WaitForGroup(counters.totals + tile.group, a.plan.tiles);
    BackwardMiddle<kAlone>(fast, rare, a, tile, m, exchange || part == Part::kAdjoints);
    if (part == Part::kAdjoints) return;
    if (exchange) WaitForGroup(counters.adjoints + tile.group, a.plan.tiles);
    BackwardEnd<kPack, kAlone>(fast, rare, a, tile, m);
    if (!exchange) return;
  }
}

constexpr int kSumChannels = 32, kSumRows = 16;

__global__ void __launch_bounds__(kSumChannels* kSumRows)
    SumRowsKernel(const double* gw, const double* gu, int64_t rows, int64_t channels, float* gw_out,
                  float* gu_out) {
  __shared__ double partial[2][kSumRows][kSumChannels];
  const int64_t c = static_cast<int64_t>(blockIdx.x) * kSumChannels + threadIdx.x;
  double w = 0, u = 0;
  if (c < channels) {
    for (int64_t row = threadIdx.y; row < rows; row += kSumRows) {
      w += gw[row * channels + c];
      u += gu[row * channels + c];
    }
  }
  partial[0][threadIdx.y][threadIdx.x] = w;
  partial[1][threadIdx.y][threadIdx.x] = u;
  __syncthreads();
  if (threadIdx.y < 2 && c < channels) {
    double sum = 0;
    for (int i = 0; i < kSumRows; ++i) sum += partial[threadIdx.y][i][threadIdx.x];
    (threadIdx.y == 0 ? gw_out : gu_out)[c] = static_cast<float>(sum);
  }
}

// ---------------------------------------------------------------- host

cudaError_t LimitsOf(DeviceLimits& limits) {
  int device = 0, in_all = 0, for_block = 0, reserved = 0;
  const auto ask = [&](int& value, cudaDeviceAttr attribute) {
    return cudaDeviceGetAttribute(&value, attribute, device);
  };
  cudaError_t error = cudaGetDevice(&device);
  if (error == cudaSuccess) error = ask(limits.multiprocessors, cudaDevAttrMultiProcessorCount);
  if (error == cudaSuccess) error = ask(in_all, cudaDevAttrMaxSharedMemoryPerMultiprocessor);
  if (error == cudaSuccess) error = ask(for_block, cudaDevAttrMaxSharedMemoryPerBlockOptin);
  if (error == cudaSuccess) error = ask(reserved, cudaDevAttrReservedSharedMemoryPerBlock);
  const int half = in_all / 2 - reserved - 64;  // 64: the kernels' own static shared memory
  limits.shared_bytes = half < for_block ? half : for_block;
  return error;
}

// Pieces of the workspace, each aligned to 256 bytes.
template <typename S>
struct Workspace {
  int64_t counter_bytes, totals_bytes, adjoint_bytes, sum_bytes;

  Workspace(const ExactArgs<S>& a, bool backward) {
    const auto align = [](int64_t bytes) { return (bytes + 255) / 256 * 256; };
    const Plan& p = a.plan;
    const bool several = p.tiles > 1;
    const int64_t totals = p.groups * p.tiles * p.lanes * static_cast<int64_t>(sizeof(TileTotals));
    counter_bytes =
        several ? align((1 + 2 * p.groups) * static_cast<int64_t>(sizeof(unsigned))) : 0;
    totals_bytes = several ? align(totals) : 0;
    adjoint_bytes = backward ? totals_bytes : 0;
    sum_bytes =
        backward ? align(a.batch * p.tiles * a.channels * static_cast<int64_t>(sizeof(double))) : 0;
  }
  int64_t Bytes() const { return counter_bytes + totals_bytes + adjoint_bytes + 2 * sum_bytes; }
  Counters Assign(ExactArgs<S>& a, void* memory) const {
    char* base = static_cast<char*>(memory);
    Counters counters{reinterpret_cast<unsigned*>(base), nullptr, nullptr};
    counters.totals = counters.ticket + 1;
    counters.adjoints = counters.totals + a.plan.groups;
    base += counter_bytes;
    a.totals = reinterpret_cast<TileTotals*>(base);
    a.adjoints = reinterpret_cast<TileTotals*>(base + totals_bytes);
    base += totals_bytes + adjoint_bytes;
    a.gw = reinterpret_cast<double*>(base);
    a.gu = reinterpret_cast<double*>(base + sum_bytes);
    return counters;
  }
};

template <typename S>
using Kernel = void (*)(ExactArgs<S>, Part, Counters);

template <typename S>
bool Wide(const ExactArgs<S>& a) {
  const auto aligned = [](const void* p) { return reinterpret_cast<uintptr_t>(p) % 16 == 0; };
  return a.channels % kWidePack<S> == 0 && aligned(a.k) && aligned(a.v) && aligned(a.y) &&
         aligned(a.g) && aligned(a.gk) && aligned(a.gv);
}

// Runs a pass of which `parts` are the launches where the group does not fit on the machine.
template <typename S>
cudaError_t RunPass(Kernel<S> kernel, ExactArgs<S> a, int planes, Counters counters,
                    int64_t counter_bytes, std::initializer_list<Part> parts, cudaStream_t stream) {
  const int64_t shared = SharedBytes(a.plan, planes);
  const int64_t total = a.plan.groups * a.plan.tiles;
  const dim3 block(a.plan.Threads());
  if (total > 0x7fffffff) return cudaErrorInvalidConfiguration;
  cudaError_t error =
      cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel),
                           cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shared));
  if (error == cudaSuccess) {  // or two blocks might not share a multiprocessor
    error = cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel),
                                 cudaFuncAttributePreferredSharedMemoryCarveout,
                                 cudaSharedmemCarveoutMaxShared);
  }
  if (error != cudaSuccess) return error;
  if (a.plan.tiles == 1) {
    kernel<<<static_cast<unsigned>(total), block, shared, stream>>>(a, Part::kWhole, counters);
    return cudaGetLastError();
  }
  int per_multiprocessor = 0;
  DeviceLimits limits;
  error = LimitsOf(limits);
  if (error == cudaSuccess) {
    error = cudaOccupancyMaxActiveBlocksPerMultiprocessor(
        &per_multiprocessor, kernel, static_cast<int>(block.x), static_cast<size_t>(shared));
  }
  if (error != cudaSuccess) return error;
  const int64_t places = static_cast<int64_t>(per_multiprocessor) * limits.multiprocessors;
  if (a.together && a.plan.tiles <= places) {
    error = cudaMemsetAsync(counters.ticket, 0, static_cast<size_t>(counter_bytes), stream);
    if (error != cudaSuccess) return error;
    Part part = Part::kExchange;
    void* arguments[] = {&a, &part, &counters};
    return cudaLaunchCooperativeKernel(reinterpret_cast<const void*>(kernel),
                                       dim3(static_cast<unsigned>(total < places ? total : places)),
                                       block, arguments, static_cast<size_t>(shared), stream);
  }
  for (const Part part : parts) {
    kernel<<<static_cast<unsigned>(total), block, shared, stream>>>(a, part, counters);
    error = cudaGetLastError();
    if (error != cudaSuccess) return error;
  }
  return cudaSuccess;
}

}  // namespace

template <typename S>
cudaError_t PlanExact(ExactArgs<S>& a, bool backward) {
  DeviceLimits limits;
  const cudaError_t error = LimitsOf(limits);
  if (error != cudaSuccess) return error;
  a.plan = MakePlan(a.batch, a.tokens, a.channels, sizeof(S), backward, limits);
  return cudaSuccess;
}

template <typename S>
int64_t ExactWorkspaceBytes(const ExactArgs<S>& a, bool backward) {
  return Workspace<S>(a, backward).Bytes();
}

template <typename S>
cudaError_t LaunchForward(ExactArgs<S> a, void* workspace, cudaStream_t stream) {
  const Workspace<S> pieces(a, false);
  const Counters counters = pieces.Assign(a, workspace);
  const Kernel<S> kernel = !Wide(a)            ? ForwardKernel<S, 1, false>
                           : a.plan.tiles == 1 ? ForwardKernel<S, kWidePack<S>, true>
                                               : ForwardKernel<S, kWidePack<S>, false>;
  return RunPass<S>(kernel, a, kForwardPlanes, counters, pieces.counter_bytes,
                    {Part::kTotals, Part::kOutputs}, stream);
}

template <typename S>
cudaError_t LaunchBackward(ExactArgs<S> a, float* gw, float* gu, void* workspace,
                           cudaStream_t stream) {
  const Workspace<S> pieces(a, true);
  const Counters counters = pieces.Assign(a, workspace);
  const Kernel<S> kernel = !Wide(a)            ? BackwardKernel<S, 1, false>
                           : a.plan.tiles == 1 ? BackwardKernel<S, kWidePack<S>, true>
                                               : BackwardKernel<S, kWidePack<S>, false>;
  const cudaError_t error = RunPass<S>(kernel, a, kBackwardPlanes, counters, pieces.counter_bytes,
                                       {Part::kTotals, Part::kAdjoints, Part::kOutputs}, stream);
  if (error != cudaSuccess) return error;
  return LaunchSumRows(a.gw, a.gu, a.batch * a.plan.tiles, a.channels, gw, gu, stream);
}

cudaError_t LaunchSumRows(const double* gw, const double* gu, int64_t rows, int64_t channels,
                          float* gw_out, float* gu_out, cudaStream_t stream) {
  const auto blocks = static_cast<unsigned>((channels + kSumChannels - 1) / kSumChannels);
  SumRowsKernel<<<blocks, dim3(kSumChannels, kSumRows), 0, stream>>>(gw, gu, rows, channels, gw_out,
                                                                     gu_out);
  return cudaGetLastError();
}

#define AVOCET_INSTANTIATE(S)                                            \
  template cudaError_t PlanExact(ExactArgs<S>&, bool);                   \
  template int64_t ExactWorkspaceBytes(const ExactArgs<S>&, bool);       \
  template cudaError_t LaunchForward(ExactArgs<S>, void*, cudaStream_t); \
  template cudaError_t LaunchBackward(ExactArgs<S>, float*, float*, void*, cudaStream_t);
AVOCET_INSTANTIATE(float)
AVOCET_INSTANTIATE(BFloat16)
AVOCET_INSTANTIATE(Half)
#undef AVOCET_INSTANTIATE

}  // namespace avocet::kernels::cuda
