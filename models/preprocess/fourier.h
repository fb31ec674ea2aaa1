// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <complex>
#include <cstdint>

namespace avocet::preprocess {

// Discrete Fourier transform in place of data[size] (i fastest) along the axes that are true, any
// lengths. Forward: sum x exp(-2 pi i f n / N), not scaled; inverse: divided by the number of
// samples transformed over, so that inverse(forward(x)) = x. Frequency f of an axis of N samples
// lies at index f mod N. At most `threads` threads (0 = all cores); the result does not depend on
// them.
template <typename Real>
void FourierTransform(std::complex<Real>* data, const std::array<int64_t, 3>& size,
                      const std::array<bool, 3>& axes, bool inverse, int threads = 1);

// Signed frequency of an index in cycles per sample, in [-0.5, 0.5).
inline double FrequencyOf(int64_t index, int64_t length) {
  const int64_t f = index < (length + 1) / 2 ? index : index - length;
  return static_cast<double>(f) / static_cast<double>(length);
}

}  // namespace avocet::preprocess
