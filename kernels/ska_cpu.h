// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace avocet::kernels {

constexpr int64_t kSkaGroup = 8;  // channels that share a kernel
constexpr int64_t kSkaTaps = 9;   // of the 3 x 3 kernels

// Plain channels-last memory: activations [B, rows, cols, channels], kernels [B, rows, cols,
// channels / 8 * 9] with tap m = 3 ky + kx of group g at 9 g + m.
template <typename T>
struct SkaArgs {
  int64_t batch = 0, rows = 0, cols = 0, channels = 0;
  const T* x = nullptr;
  const T* w = nullptr;
  T* y = nullptr;  // forward
  // Forward, optional: kernels w * w_scale + w_shift ([B, channels / 8 * 9], per image), and
  // y = ska * scale + shift + x ([channels]).
  const T* w_scale = nullptr;
  const T* w_shift = nullptr;
  const T* scale = nullptr;
  const T* shift = nullptr;
  const T* gy = nullptr;  // backward
  T* gx = nullptr;
  T* gw = nullptr;

  int64_t Kernels() const { return channels / kSkaGroup * kSkaTaps; }
};

// A task is one row of one image: n * rows + row. Tasks write disjoint memory.
struct SkaCpuKernels {
  const char* isa;
  void (*forward_f32)(const SkaArgs<float>&, int64_t task);
  void (*forward_f64)(const SkaArgs<double>&, int64_t task);
  void (*backward_f32)(const SkaArgs<float>&, int64_t task);
  void (*backward_f64)(const SkaArgs<double>&, int64_t task);
};

// For the best instruction set of this processor; AVOCET_ISA asks for a lesser one.
const SkaCpuKernels& SelectSkaCpuKernels();

}  // namespace avocet::kernels
