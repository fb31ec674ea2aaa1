// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "kernels/cuda/wkv_official.h"
#include "kernels/cuda/wkv_tile.h"

// The launches of Bi-WKV, for S = float, BFloat16 and Half. All pointers are device memory on the
// current device; launches are asynchronous on `stream`, the return value is that of the launches.
namespace avocet::kernels::cuda {

// The definition. Sets a.plan for the current device.
template <typename S>
cudaError_t PlanExact(ExactArgs<S>& a, bool backward);

// Bytes that `workspace` must have, aligned to 256; it may hold anything.
template <typename S>
int64_t ExactWorkspaceBytes(const ExactArgs<S>& a, bool backward);

// Fill a.totals and the like from the workspace themselves. The sums over batch and tiles of the
// parameter gradients go to gw and gu, [C], in a fixed order.
template <typename S>
cudaError_t LaunchForward(ExactArgs<S> a, void* workspace, cudaStream_t stream);
template <typename S>
cudaError_t LaunchBackward(ExactArgs<S> a, float* gw, float* gu, void* workspace,
                           cudaStream_t stream);

// The official arithmetic; a.scratch and a.items must be set (wkv_official.h), a.gw and a.gu hold
// [B, C] doubles.
template <typename S>
cudaError_t LaunchOfficialForward(const OfficialArgs<S>& a, cudaStream_t stream);
template <typename S>
cudaError_t LaunchOfficialBackward(const OfficialArgs<S>& a, float* gw, float* gu,
                                   cudaStream_t stream);

// gw_out[c] = sum over rows of gw[row][c], in a fixed order; gu likewise.
cudaError_t LaunchSumRows(const double* gw, const double* gu, int64_t rows, int64_t channels,
                          float* gw_out, float* gu_out, cudaStream_t stream);

}  // namespace avocet::kernels::cuda
