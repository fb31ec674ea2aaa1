// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace avocet::kernels {

// FSO-Shift, or with `transpose` its adjoint, of channels [first, first + count) of one image
// [rows, cols, channels] whose sides may be odd. Straight from section 3.5 of
// shared/spec/fs_rwkv.md, one channel at a time: only the smallest grid of a network is ever odd.
template <typename T>
struct FsoOddArgs {
  int64_t rows = 0, cols = 0, channels = 0;
  const T* x = nullptr;
  T* y = nullptr;
  bool transpose = false;
};
template <typename T>
void FsoShiftOdd(const FsoOddArgs<T>& a, int64_t first, int64_t count);

}  // namespace avocet::kernels
