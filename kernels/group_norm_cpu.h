// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace avocet::kernels {

// Rows of channels: `pixels` of them at x, [pixels, channels].
template <typename T>
struct PixelRows {
  int64_t pixels = 0, channels = 0;
  const T* x = nullptr;
  const T* other = nullptr;  // [pixels, channels]
};

// What an affine step applies at its end.
enum class Activation : int { kNone, kRelu, kTanh };

struct GroupNormCpuKernels {
  const char* isa;
  // first[c] = SUM x, second[c] = SUM x * x, or with `other` SUM x * other; overwritten.
  void (*sums_f32)(const PixelRows<float>&, double* first, double* second);
  void (*sums_f64)(const PixelRows<double>&, double* first, double* second);
  // y = act(x * a + b), or with `other` x * a + other * c + b; a, b, c: [channels].
  void (*affine_f32)(const PixelRows<float>&, const float* a, const float* b, const float* c,
                     Activation act, float* y);
  void (*affine_f64)(const PixelRows<double>&, const double* a, const double* b, const double* c,
                     Activation act, double* y);
};

// For the best instruction set of this processor; AVOCET_ISA asks for a lesser one.
const GroupNormCpuKernels& SelectGroupNormCpuKernels();

}  // namespace avocet::kernels
