// SPDX-License-Identifier: Apache-2.0
// The kernels of the official arithmetic (wkv_official.h).
#include "kernels/cuda/bi_wkv_cuda.h"
#include "kernels/cuda/block_team.h"

namespace avocet::kernels::cuda {
namespace {

constexpr int kThreads = 64 * kOfficialLanes;

template <typename S>
__global__ void __launch_bounds__(kThreads)
    OfficialForwardKernel(const __grid_constant__ OfficialArgs<S> a) {
  extern __shared__ __align__(16) char shared[];
  BlockTeam<OfficialState, 1> team;
  OfficialForward(team, a, blockIdx.x, OfficialMemory(shared));
}

template <typename S>
__global__ void __launch_bounds__(kThreads)
    OfficialBackwardKernel(const __grid_constant__ OfficialArgs<S> a) {
  extern __shared__ __align__(16) char shared[];
  BlockTeam<OfficialState, 1> team;
  OfficialBackward(team, a, blockIdx.x, OfficialMemory(shared));
}

template <typename Kernel, typename S>
cudaError_t Launch(Kernel kernel, OfficialArgs<S> a, cudaStream_t stream) {
  const int64_t shared = OfficialSharedBytes(a.split);
  const cudaError_t error =
      cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel),
                           cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shared));
  if (error != cudaSuccess) return error;
  const int64_t columns = (a.channels + kOfficialLanes - 1) / kOfficialLanes;
  for (a.first_item = 0; a.first_item < a.batch; a.first_item += a.items) {
    const int64_t left = a.batch - a.first_item, items = left < a.items ? left : a.items;
    kernel<<<static_cast<unsigned>(items * columns), a.split * kOfficialLanes, shared, stream>>>(a);
    const cudaError_t launched = cudaGetLastError();
    if (launched != cudaSuccess) return launched;
  }
  return cudaSuccess;
}

}  // namespace

template <typename S>
cudaError_t LaunchOfficialForward(const OfficialArgs<S>& a, cudaStream_t stream) {
  return Launch(OfficialForwardKernel<S>, a, stream);
}

template <typename S>
cudaError_t LaunchOfficialBackward(const OfficialArgs<S>& a, float* gw, float* gu,
                                   cudaStream_t stream) {
  const cudaError_t error = Launch(OfficialBackwardKernel<S>, a, stream);
  if (error != cudaSuccess) return error;
  return LaunchSumRows(a.gw, a.gu, a.batch, a.channels, gw, gu, stream);
}

#define AVOCET_INSTANTIATE(S)                                                       \
  template cudaError_t LaunchOfficialForward(const OfficialArgs<S>&, cudaStream_t); \
  template cudaError_t LaunchOfficialBackward(const OfficialArgs<S>&, float*, float*, cudaStream_t);
AVOCET_INSTANTIATE(float)
AVOCET_INSTANTIATE(BFloat16)
AVOCET_INSTANTIATE(Half)
#undef AVOCET_INSTANTIATE

}  // namespace avocet::kernels::cuda
