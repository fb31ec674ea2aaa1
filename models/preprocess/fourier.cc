// SPDX-License-Identifier: Apache-2.0
#include "models/preprocess/fourier.h"

#include <kissfft.hh>
#include <memory>
#include <vector>

#include "models/metrics/parallel.h"

namespace avocet::preprocess {
namespace {

// The last transform that this thread used. (kissfft::assign forgets to note a change of
// direction.)
template <typename Real>
const kissfft<Real>& Plan(size_t length, bool inverse) {
  struct Kept {
    size_t length = 0;
    bool inverse = false;
    std::unique_ptr<kissfft<Real>> transform;
  };
  thread_local Kept kept;
  if (!kept.transform || kept.length != length || kept.inverse != inverse) {
    kept.transform = std::make_unique<kissfft<Real>>(length, inverse);
    kept.length = length;
    kept.inverse = inverse;
  }
  return *kept.transform;
}

// All lines along one axis.
template <typename Real>
void TransformAxis(std::complex<Real>* data, const std::array<int64_t, 3>& size, int axis,
                   bool inverse, int threads) {
  const int64_t length = size[axis];
  if (length <= 1) return;
  int64_t inner = 1, outer = 1;
  for (int a = 0; a < axis; ++a) inner *= size[a];
  for (int a = axis + 1; a < 3; ++a) outer *= size[a];
  const Real scale = inverse ? Real(1) / static_cast<Real>(length) : Real(1);
  // One item is all lines of one outer index: they lie in one block of memory. Along the last axis
  // there is one block, which is divided by lines instead.
  const int64_t parts = outer > 1 ? outer : inner;
  const int64_t lines = outer > 1 ? inner : 1;
  metrics::ParallelFor(parts, metrics::ResolveThreads(threads), [&](int64_t part) {
    const kissfft<Real>& transform = Plan<Real>(static_cast<size_t>(length), inverse);
    std::vector<std::complex<Real>> line(length), result(length);
    for (int64_t i = 0; i < lines; ++i) {
      std::complex<Real>* first = outer > 1 ? data + part * length * inner + i : data + part;
      for (int64_t n = 0; n < length; ++n) line[n] = first[n * inner];
      transform.transform(line.data(), result.data());
      for (int64_t n = 0; n < length; ++n) first[n * inner] = result[n] * scale;
    }
  });
}

}  // namespace

template <typename Real>
void FourierTransform(std::complex<Real>* data, const std::array<int64_t, 3>& size,
                      const std::array<bool, 3>& axes, bool inverse, int threads) {
  for (int axis = 0; axis < 3; ++axis) {
    if (axes[axis]) TransformAxis(data, size, axis, inverse, threads);
  }
}

template void FourierTransform(std::complex<float>*, const std::array<int64_t, 3>&,
                               const std::array<bool, 3>&, bool, int);
template void FourierTransform(std::complex<double>*, const std::array<int64_t, 3>&,
                               const std::array<bool, 3>&, bool, int);

}  // namespace avocet::preprocess
