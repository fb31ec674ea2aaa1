// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace avocet::kernels {

// One call of the operator on plain memory. Tensors are contiguous [B, T, C]; w, u are [C].
template <typename T>
struct WkvForwardArgs {
  int64_t batch = 0, tokens = 0, channels = 0;
  const T* w = nullptr;
  const T* u = nullptr;
  const T* k = nullptr;
  const T* v = nullptr;
  T* y = nullptr;
  int64_t split = 0;
};

template <typename T>
struct WkvBackwardArgs {
  int64_t batch = 0, tokens = 0, channels = 0;
  const T* w = nullptr;
  const T* u = nullptr;
  const T* k = nullptr;
  const T* v = nullptr;
  const T* g = nullptr;  // gradient of y
  T* gk = nullptr;
  T* gv = nullptr;
  double* gw = nullptr;  // [B, C], summed over B by the caller in order
  double* gu = nullptr;  // [B, C]
  int64_t split = 0;
  bool official_gradient = false;
};

// A task is one batch item times one block of kWkvBlock channels; tasks are independent and write
// disjoint memory, so that results do not depend on who runs them.
constexpr int64_t kWkvBlock = 16;

struct WkvCpuKernels {
  const char* isa;
  void (*forward_f32)(const WkvForwardArgs<float>&, int64_t task);
  void (*forward_f64)(const WkvForwardArgs<double>&, int64_t task);
  void (*backward_f32)(const WkvBackwardArgs<float>&, int64_t task);
  void (*backward_f64)(const WkvBackwardArgs<double>&, int64_t task);
};

// Kernels for the instruction set that SelectCpuIsa chooses.
const WkvCpuKernels& SelectWkvCpuKernels();

}  // namespace avocet::kernels
