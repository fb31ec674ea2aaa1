// SPDX-License-Identifier: Apache-2.0
#include "kernels/fso_shift_odd.h"

#include <cstddef>
#include <vector>

#include "kernels/fso_shift_math.h"

namespace avocet::kernels {
namespace {

using generic::FsoOffset;

template <typename T>
struct Plane {
  int64_t rows, cols;
  std::vector<T> values;

  Plane(int64_t r, int64_t c) : rows(r), cols(c), values(static_cast<std::size_t>(r * c)) {}
  T& At(int64_t row, int64_t col) { return values[static_cast<std::size_t>(row * cols + col)]; }
  T OrZero(int64_t row, int64_t col) const {
    const bool inside = row >= 0 && row < rows && col >= 0 && col < cols;
    return inside ? values[static_cast<std::size_t>(row * cols + col)] : T{0};
  }
};

template <typename T>
Plane<T> BlockMeans(const Plane<T>& extended) {
  Plane<T> means(extended.rows / 2, extended.cols / 2);
  for (int64_t i = 0; i < means.rows; ++i) {
    for (int64_t j = 0; j < means.cols; ++j) {
      means.At(i, j) =
          ((extended.OrZero(2 * i, 2 * j) + extended.OrZero(2 * i, 2 * j + 1)) +
           (extended.OrZero(2 * i + 1, 2 * j) + extended.OrZero(2 * i + 1, 2 * j + 1))) /
          4;
    }
  }
  return means;
}

template <typename T>
T Shifted(const Plane<T>& plane, int64_t row, int64_t col, const FsoOffset* offset) {
  return offset == nullptr ? T{0} : plane.OrZero(row - offset->dy, col - offset->dx);
}

template <typename T>
void OneChannel(const FsoOddArgs<T>& a, int64_t channel, const FsoOffset* offset) {
  const int64_t h = a.rows, w = a.cols;
  Plane<T> x(h, w);
  for (int64_t t = 0; t < h * w; ++t) x.values[t] = a.x[t * a.channels + channel];
  // The map on the even grid: extended with zeros, or for the adjoint spread by the resize.
  Plane<T> even(h + h % 2, w + w % 2);
  for (int64_t row = 0; row < h; ++row) {
    const T fy = a.transpose ? static_cast<T>(generic::FsoResizeWeight(row, h)) : T{0};
    for (int64_t col = 0; col < w; ++col) {
      const T fx = a.transpose ? static_cast<T>(generic::FsoResizeWeight(col, w)) : T{0};
      const T value = x.At(row, col);
      even.At(row, col) += (1 - fy) * (1 - fx) * value;
      if (fx != 0) even.At(row, col + 1) += (1 - fy) * fx * value;
      if (fy != 0) even.At(row + 1, col) += fy * (1 - fx) * value;
      if (fx != 0 && fy != 0) even.At(row + 1, col + 1) += fy * fx * value;
    }
  }
  const Plane<T> means = BlockMeans(even);
  Plane<T> wavelet(even.rows, even.cols);
  for (int64_t row = 0; row < even.rows; ++row) {
    for (int64_t col = 0; col < even.cols; ++col) {
      wavelet.At(row, col) =
          generic::FsoWavelet(even.At(row, col), Shifted(means, row / 2, col / 2, offset),
                              means.OrZero(row / 2, col / 2));
    }
  }
  for (int64_t row = 0; row < h; ++row) {
    const T fy = a.transpose ? T{0} : static_cast<T>(generic::FsoResizeWeight(row, h));
    for (int64_t col = 0; col < w; ++col) {
      const T fx = a.transpose ? T{0} : static_cast<T>(generic::FsoResizeWeight(col, w));
      const T upper = (1 - fx) * wavelet.At(row, col) + fx * wavelet.OrZero(row, col + 1);
      const T lower =
          (1 - fx) * wavelet.OrZero(row + 1, col) + fx * wavelet.OrZero(row + 1, col + 1);
      a.y[(row * w + col) * a.channels + channel] = generic::FsoCombine(
          x.At(row, col), Shifted(x, row, col, offset), (1 - fy) * upper + fy * lower);
    }
  }
}

}  // namespace

template <typename T>
void FsoShiftOdd(const FsoOddArgs<T>& a, int64_t first, int64_t count) {
  for (int64_t channel = first; channel < first + count; ++channel) {
    int group = 0;
    while (group < generic::kFsoGroups &&
           generic::FsoGroupStart(group + 1, a.channels) <= channel) {
      ++group;
    }
    if (group == generic::kFsoGroups) {
      OneChannel<T>(a, channel, nullptr);
      continue;
    }
    FsoOffset offset = generic::FsoOffsetOf(group);
    if (a.transpose) offset = {-offset.dy, -offset.dx};
    OneChannel<T>(a, channel, &offset);
  }
}

template void FsoShiftOdd(const FsoOddArgs<float>&, int64_t, int64_t);
template void FsoShiftOdd(const FsoOddArgs<double>&, int64_t, int64_t);

}  // namespace avocet::kernels
