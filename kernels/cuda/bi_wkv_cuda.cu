// SPDX-License-Identifier: Apache-2.0
// One block is 32 channels of one batch item times kChunks chunks of tokens; global accesses of a
// warp are 32 neighbouring channels. No dependence on T in local memory; sums in a fixed order, so
// results are the same bits in every run.
#include "kernels/cuda/bi_wkv_cuda.h"

#include "kernels/cuda/bi_wkv_chunks.h"

namespace avocet::kernels::cuda {
namespace {

constexpr int kLanes = 32;
constexpr int kChunks = 16;

struct Place {
  Channel channel;
  Range range;
  int64_t first = 0;  // element offset of token 0
  int lane, chunk;
  bool active;
};

__device__ Place Locate(const WkvArgs& a) {
  Place p;
  p.lane = threadIdx.x;
  p.chunk = threadIdx.y;
  const int64_t blocks = (a.channels + kLanes - 1) / kLanes;
  const int64_t batch = blockIdx.x / blocks;
  const int64_t c = blockIdx.x % blocks * kLanes + p.lane;
  p.active = c < a.channels;
  p.channel.tokens = a.tokens;
  p.channel.stride = a.channels;
  if (p.active) {
    p.first = batch * a.tokens * a.channels + c;
    p.channel.k = a.k + p.first;
    p.channel.v = a.v + p.first;
    p.channel.w = a.w[c];
    p.channel.u = a.u[c];
  }
  p.range = ChunkOf(a.tokens, kChunks, p.chunk);
  return p;
}

// Shared memory of a block. Totals are kept in double for both accumulation types: a block may hold
// channels of either.
struct Shared {
  float maximum[kChunks][kLanes];
  Totals<double> totals[kChunks][kLanes];
  Totals<double> adjoint[kChunks][kLanes];
  ParameterGradient gradient[kChunks][kLanes];
};

__device__ float MaximumOfChannel(Shared& shared, const Place& p) {
  if (p.active) shared.maximum[p.chunk][p.lane] = ChunkMaximum(p.channel, p.range);
  __syncthreads();
  float maximum = -INFINITY;
  if (p.active) {
    for (int n = 0; n < kChunks; ++n) {
      const float value = shared.maximum[n][p.lane];
      maximum = value > maximum || value != value ? value : maximum;
    }
  }
  return maximum;
}

template <typename S>
__device__ Totals<double> Widen(const Totals<S>& t) {
  return {{t.past.num, t.past.den}, {t.future.num, t.future.den}};
}
template <typename S>
__device__ Totals<S> Narrow(const Totals<double>& t) {
  return {{static_cast<S>(t.past.num), static_cast<S>(t.past.den)},
          {static_cast<S>(t.future.num), static_cast<S>(t.future.den)}};
}

template <typename S>
__device__ void StoreTotals(Shared& shared, const Place& p, float maximum) {
  shared.totals[p.chunk][p.lane] =
      Widen(ChunkTotals<S>(p.channel, p.range, Decay<S>(p.channel, maximum)));
}

template <typename S>
__device__ void FinishForward(const Shared& shared, const Place& p, float maximum, float* y,
                              S* scratch, int64_t plane) {
  const Totals<S> in =
      Narrow<S>(Incoming<double>(p.channel, kChunks, p.chunk, &shared.totals[0][p.lane], kLanes));
  WriteOutputs<S>(p.channel, p.range, Decay<S>(p.channel, maximum), in, y + p.first,
                  scratch + p.first, plane);
}

__global__ void __launch_bounds__(kLanes* kChunks) ForwardKernel(WkvArgs a, float* y) {
  extern __shared__ double raw[];
  Shared& shared = *reinterpret_cast<Shared*>(raw);
  const Place p = Locate(a);
  const int64_t plane = a.batch * a.tokens * a.channels;
  const float maximum = MaximumOfChannel(shared, p);
  const bool in_double = p.active && p.channel.NeedsDouble();
  if (p.active) {
    if (in_double) {
      StoreTotals<double>(shared, p, maximum);
    } else {
      StoreTotals<float>(shared, p, maximum);
    }
  }
  __syncthreads();
  if (!p.active) return;
  // The scratch of either type has room for two planes of doubles; a channel uses one type only.
  if (in_double) {
    FinishForward<double>(shared, p, maximum, y, static_cast<double*>(a.scratch), plane);
  } else {
    float* floats = reinterpret_cast<float*>(static_cast<double*>(a.scratch) + 2 * plane);
    FinishForward<float>(shared, p, maximum, y, floats, plane);
  }
}

template <typename S>
__device__ void AdjointPhase(Shared& shared, const Place& p, float maximum, const float* g,
                             S* scratch, int64_t plane) {
  const Totals<S> in =
      Narrow<S>(Incoming<double>(p.channel, kChunks, p.chunk, &shared.totals[0][p.lane], kLanes));
  shared.adjoint[p.chunk][p.lane] = Widen(WriteAdjointInputs<S>(
      p.channel, p.range, Decay<S>(p.channel, maximum), in, g + p.first, scratch + p.first, plane));
}

template <typename S>
__device__ void GradientPhase(Shared& shared, const Place& p, float maximum, float* gk, float* gv,
                              S* scratch, int64_t plane) {
  const Totals<S> in =
      Narrow<S>(Incoming<double>(p.channel, kChunks, p.chunk, &shared.adjoint[0][p.lane], kLanes));
  shared.gradient[p.chunk][p.lane] =
      WriteGradients<S>(p.channel, p.range, Decay<S>(p.channel, maximum), in, gk + p.first,
                        gv + p.first, scratch + p.first, plane);
}

__global__ void __launch_bounds__(kLanes* kChunks)
    BackwardKernel(WkvArgs a, const float* g, float* gk, float* gv, double* gw, double* gu) {
  extern __shared__ double raw[];
  Shared& shared = *reinterpret_cast<Shared*>(raw);
  const Place p = Locate(a);
  const int64_t plane = a.batch * a.tokens * a.channels;
  double* doubles = static_cast<double*>(a.scratch);
  float* floats = reinterpret_cast<float*>(doubles + 6 * plane);
  const float maximum = MaximumOfChannel(shared, p);
  const bool in_double = p.active && p.channel.NeedsDouble();
  if (p.active) {
    if (in_double) {
      StoreTotals<double>(shared, p, maximum);
    } else {
      StoreTotals<float>(shared, p, maximum);
    }
  }
  __syncthreads();
  if (p.active) {
    if (in_double) {
      AdjointPhase<double>(shared, p, maximum, g, doubles, plane);
    } else {
      AdjointPhase<float>(shared, p, maximum, g, floats, plane);
    }
  }
  __syncthreads();
  if (p.active) {
    if (in_double) {
      GradientPhase<double>(shared, p, maximum, gk, gv, doubles, plane);
    } else {
      GradientPhase<float>(shared, p, maximum, gk, gv, floats, plane);
    }
  }
  __syncthreads();
  if (p.active && p.chunk == 0) {
    ParameterGradient sum;
    for (int n = 0; n < kChunks; ++n) {
      sum.w += shared.gradient[n][p.lane].w;
      sum.u += shared.gradient[n][p.lane].u;
    }
    const int64_t blocks = (a.channels + kLanes - 1) / kLanes;
    const int64_t row = blockIdx.x / blocks * a.channels + blockIdx.x % blocks * kLanes + p.lane;
    gw[row] = sum.w;
    gu[row] = sum.u;
  }
}

dim3 Grid(const WkvArgs& a) {
  return dim3(static_cast<unsigned>(a.batch * ((a.channels + kLanes - 1) / kLanes)));
}

template <typename Kernel>
cudaError_t AllowShared(Kernel kernel) {
  return cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel),
                              cudaFuncAttributeMaxDynamicSharedMemorySize, sizeof(Shared));
}

}  // namespace

int64_t ForwardScratchBytes(const WkvArgs& a) {
  return 2 * a.batch * a.tokens * a.channels * static_cast<int64_t>(sizeof(double) + sizeof(float));
}
int64_t BackwardScratchBytes(const WkvArgs& a) { return 3 * ForwardScratchBytes(a); }

cudaError_t LaunchForward(const WkvArgs& a, float* y, cudaStream_t stream) {
  if (const cudaError_t error = AllowShared(ForwardKernel); error != cudaSuccess) return error;
  ForwardKernel<<<Grid(a), dim3(kLanes, kChunks), sizeof(Shared), stream>>>(a, y);
  return cudaGetLastError();
}

cudaError_t LaunchBackward(const WkvArgs& a, const float* g, float* gk, float* gv, double* gw,
                           double* gu, cudaStream_t stream) {
  if (const cudaError_t error = AllowShared(BackwardKernel); error != cudaSuccess) return error;
  BackwardKernel<<<Grid(a), dim3(kLanes, kChunks), sizeof(Shared), stream>>>(a, g, gk, gv, gw, gu);
  return cudaGetLastError();
}

}  // namespace avocet::kernels::cuda
