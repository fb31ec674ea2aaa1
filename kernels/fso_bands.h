// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <cstdint>

#include "kernels/fso_shift_cpu.h"

namespace avocet::kernels {

// Tokens a task, which follows from the number of channels alone. What a task touches (8 C values a
// token) fits into 1 MB up to C = 128; matrix products of 256 rows run at full speed, and narrow
// ones need more rows before the calls stop to matter.
inline int64_t FsoBand(int64_t channels) { return std::max<int64_t>(256, 24576 / channels); }

// While it lives, MKL's matrix products on this thread use one thread. Inside a parallel region
// they do so anyway; a loop of one pass runs outside of any, and on some processors (AMD EPYC, MKL
// 2024.2) the bits of a product depend on the number of threads.
class OneMklThread {
 public:
  OneMklThread();
  ~OneMklThread();
  OneMklThread(const OneMklThread&) = delete;
  OneMklThread& operator=(const OneMklThread&) = delete;

 private:
  int before_ = 0;
};

// Calls step(first, count) for all bands of `tokens`, in parallel. Library calls inside it run on
// one thread.
template <typename Step>
void ForBands(int64_t tokens, int64_t channels, Step step) {
  const int64_t height = FsoBand(channels), bands = (tokens + height - 1) / height;
  at::parallel_for(0, bands, 1, [&](int64_t begin, int64_t end) {
    const c10::InferenceMode inference;  // per thread
    const OneMklThread one_thread;
    for (int64_t band = begin; band < end; ++band) {
      step(band * height, std::min(height, tokens - band * height));
    }
  });
}

// One image of tokens at a time, normalised and on its grid; gives the mixed inputs
// z + keep[j] * (FSO(z) - z) of any band of it. float32 on the CPU.
class FsoMixedInputs {
 public:
  // x: [B, height * width, C] contiguous; z is LayerNorm(x), or x where norm_weight is undefined.
  // keep: [branches, C], 1 to 3 branches.
  FsoMixedInputs(const at::Tensor& x, const at::Tensor& norm_weight, const at::Tensor& norm_bias,
                 double eps, const at::Tensor& keep, int64_t height, int64_t width);

  void Load(int64_t image);
  // Writes the branches of tokens [first, first + count) of the loaded image to out[j], and FSO(z)
  // - z to `difference` unless it is null; [count, C] each. Thread-safe.
  void Mix(int64_t first, int64_t count, float* const* out, float* difference = nullptr) const;

 private:
  at::Tensor x_, norm_weight_, norm_bias_;
  double eps_;
  int64_t height_, width_;
  bool even_;
  const FsoCpuKernels& kernels_;
  FsoGrid<float> grid_;
  at::Tensor weight_, bias_, pixels_, means_;  // even grids
  at::Tensor norm_, difference_;               // odd grids
  at::Tensor keep_;                            // [branches, lanes]
};

}  // namespace avocet::kernels
