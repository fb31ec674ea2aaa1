// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

// Resampling with the meaning of scipy.ndimage.zoom, which the published evaluation of RWKV-UNet
// and its relatives rests on. It is not the pixel-area ("align_corners = False") resampling of
// image libraries.
//
// Size of the result: round half to even of size * factor. The factor is then forgotten. Along each
// axis output sample j lies at x_j = j (n_in - 1) / (n_out - 1), computed in double in this order,
// so the first and the last sample centres coincide; x_j = j where n_out is 1. In grid mode x_j =
// (j + 0.5) (n_in / n_out) - 0.5.
//
// Boundary `kConstant` (the default): where x_j < 0 or x_j > n_in - 1, strictly and in double, on
// any axis, the result is `cval`. Rounding of x_j makes this happen for the last sample of some
// pairs of sizes (512 -> 224, 224 -> 216, ...), whose last row and column are then `cval`: part of
// the protocol, kept exactly.
//
// Order 0 takes sample floor(x_j + 0.5). Order 1 interpolates linearly. Order 3: cubic B-spline
// coefficients by the recursive filter with pole sqrt(3) - 2 in double (whole-sample mirror
// boundary for kConstant and kMirror; half-sample for kNearest and kReflect; kNearest and
// kGridConstant extend the data by 12 samples first), then the tensor product of the four weights.
// A line of one sample is not filtered. If every factor is 1 (and the filter is on) the input is
// returned as it is.
//
// Results in integer types are rounded half away from zero and clipped to the type. Axes are listed
// from slowest to fastest (C order): shape {rows, columns} or {slices, rows, columns}.
// M. Unser, A. Aldroubi, M. Eden, "B-spline signal processing", IEEE Trans. Signal Proc. 41 (1993).
namespace avocet::preprocess {

enum class ZoomBoundary { kConstant, kNearest, kMirror, kReflect, kGridConstant };

struct ZoomOptions {
  int order = 3;  // 0, 1 or 3
  ZoomBoundary boundary = ZoomBoundary::kConstant;
  double cval = 0;
  bool prefilter = true;  // false: the input already holds spline coefficients
  bool grid_mode = false;
};

// Python's round(size * factor). Throws OptionError when the result is not in [0, 2^31).
int64_t ZoomedSize(int64_t size, double factor);

template <typename T>
struct ZoomResult {
  std::vector<int64_t> shape;
  std::vector<T> data;
};

// T: float, double, uint8_t, int8_t, uint16_t, int16_t, uint32_t, int32_t, int64_t. `shape` has 1
// to 3 axes and `factors` as many. Throws OptionError for other orders, axes or empty arrays.
template <typename T>
ZoomResult<T> Zoom(const T* input, const std::vector<int64_t>& shape,
                   const std::vector<double>& factors, const ZoomOptions& options = {});

// The slice of the protocol: zoom(x, (out_rows / rows, out_columns / columns), order) with the
// default options, order 3. `output` holds out_rows * out_columns values. Where the sizes are equal
// it copies.
void Zoom2D(const float* input, int64_t rows, int64_t columns, int64_t out_rows,
            int64_t out_columns, float* output);

// The same with order 0, for label maps.
template <typename T>
void Zoom2DNearest(const T* input, int64_t rows, int64_t columns, int64_t out_rows,
                   int64_t out_columns, T* output);

}  // namespace avocet::preprocess
