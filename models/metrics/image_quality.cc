// SPDX-License-Identifier: Apache-2.0
#include "models/metrics/image_quality.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "app/base/error.h"

namespace avocet::metrics {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

std::vector<double> WindowWeights(const SsimOptions& options) {
  std::vector<double> weights(static_cast<size_t>(options.size));
  double sum = 0;
  for (int n = 0; n < options.size; ++n) {
    const double x = n - (options.size - 1) / 2.0;
    weights[n] = options.window == SsimOptions::Window::kGaussian
                     ? std::exp(-x * x / (2 * options.sigma * options.sigma))
                     : 1.0;
    sum += weights[n];
  }
  for (double& w : weights) w /= sum;
  return weights;
}

int64_t Mirror(int64_t x, int64_t n) {
  if (x < 0) x = -x;
  return x < n ? x : 2 * n - 2 - x;
}

// Weighted windows along axis `axis` of data[size]; kValid shrinks the axis.
std::vector<double> FilterAxis(const std::vector<double>& data, std::array<int64_t, 3>& size,
                               int axis, const std::vector<double>& weights,
                               SsimOptions::Border border) {
  const int64_t n = size[axis];
  const int64_t window = static_cast<int64_t>(weights.size());
  const bool valid = border == SsimOptions::Border::kValid;
  const int64_t n_out = valid ? n - window + 1 : n;
  const int64_t shift = valid ? 0 : window / 2;
  int64_t inner = 1, outer = 1;
  for (int a = 0; a < axis; ++a) inner *= size[a];
  for (int a = axis + 1; a < 3; ++a) outer *= size[a];
  std::vector<double> out(static_cast<size_t>(outer * n_out * inner), 0.0);
  for (int64_t o = 0; o < outer; ++o) {
    for (int64_t x = 0; x < n_out; ++x) {
      double* to = out.data() + (o * n_out + x) * inner;
      for (int64_t w = 0; w < window; ++w) {
        const double* from = data.data() + (o * n + Mirror(x + w - shift, n)) * inner;
        const double weight = weights[w];
        for (int64_t i = 0; i < inner; ++i) to[i] += weight * from[i];
      }
    }
  }
  size[axis] = n_out;
  return out;
}

}  // namespace

ErrorMeasures MeasureErrors(const ImagePair& pair) {
  // Long double sums: the figures are compared at 1e-12 and volumes have 10^8 samples.
  long double square = 0, absolute = 0, reference_square = 0, reference_sum = 0;
  double low = std::numeric_limits<double>::infinity(), high = -low;
  int64_t n = 0;
  for (int64_t x = 0; x < pair.Count(); ++x) {
    if (!pair.Counts(x)) continue;
    ++n;
    const double d = pair.prediction[x] - pair.reference[x];
    const double t = pair.reference[x];
    square += d * d;
    absolute += std::abs(d);
    reference_square += t * t;
    reference_sum += t;
    low = std::min(low, t);
    high = std::max(high, t);
  }
  ErrorMeasures out;
  if (n == 0) {
    out.mse = out.rmse = out.mae = out.nmse = out.nrmse_mean = out.nrmse_range = out.nrmse_std =
        out.nrmse_l2 = out.nrmse_euclidean = kNan;
    return out;
  }
  const long double mean = reference_sum / n;
  long double variance = 0;
  for (int64_t x = 0; x < pair.Count(); ++x) {
    if (!pair.Counts(x)) continue;
    const long double d = pair.reference[x] - mean;
    variance += d * d;
  }
  out.mse = static_cast<double>(square / n);
  out.rmse = std::sqrt(out.mse);
  out.mae = static_cast<double>(absolute / n);
  out.nmse = static_cast<double>(square / reference_square);
  const double norm = std::sqrt(static_cast<double>(reference_square));
  out.nrmse_mean = out.rmse / static_cast<double>(mean);
  out.nrmse_range = out.rmse / (high - low);
  out.nrmse_std = out.rmse / std::sqrt(static_cast<double>(variance / n));
  out.nrmse_l2 = out.rmse / norm;
  out.nrmse_euclidean = out.rmse * std::sqrt(static_cast<double>(n)) / norm;
  return out;
}

double Psnr(const ImagePair& pair, double data_range) {
  const double mse = MeasureErrors(pair).mse;
  if (mse == 0) return std::numeric_limits<double>::infinity();
  return 10 * std::log10(data_range * data_range / mse);
}

double TargetRange(const ImagePair& pair) {
  const auto [low, high] = std::minmax_element(pair.reference, pair.reference + pair.Count());
  return std::max(*high, 0.0) - std::min(*low, 0.0);
}

double DataRange(const ImagePair& pair) {
  const auto [p_low, p_high] = std::minmax_element(pair.prediction, pair.prediction + pair.Count());
  const auto [t_low, t_high] = std::minmax_element(pair.reference, pair.reference + pair.Count());
  return std::max(*p_high - *p_low, *t_high - *t_low);
}

namespace {

bool FitsWindow(const ImagePair& pair, const SsimOptions& options, SsimOptions::Border border) {
  const int64_t half = options.size / 2;
  for (int a = 0; a < pair.dims; ++a) {
    const bool valid = border == SsimOptions::Border::kValid;
    if (valid ? pair.size[a] < options.size : pair.size[a] <= half) return false;
  }
  return true;
}

// The map, in the order of the image; `size` becomes its size.
std::vector<double> SsimMap(const ImagePair& pair, const SsimOptions& options,
                            std::array<int64_t, 3>& size) {
  const std::vector<double> weights = WindowWeights(options);
  const int64_t n = pair.Count();
  // Local means of p, t, p^2, t^2, p t, one at a time: a volume is filtered in place of the last.
  std::array<std::vector<double>, 5> moment;
  for (int m = 0; m < 5; ++m) {
    std::vector<double> data(static_cast<size_t>(n));
    for (int64_t x = 0; x < n; ++x) {
      const double p = pair.prediction[x], t = pair.reference[x];
      const double values[5] = {p, t, p * p, t * t, p * t};
      data[x] = values[m];
    }
    size = {pair.size[0], pair.size[1], pair.size[2]};
    for (int a = 0; a < pair.dims; ++a) data = FilterAxis(data, size, a, weights, options.border);
    moment[m] = std::move(data);
  }
  const double c1 = (options.k1 * options.data_range) * (options.k1 * options.data_range);
  const double c2 = (options.k2 * options.data_range) * (options.k2 * options.data_range);
  const double window = std::pow(options.size, pair.dims);
  const double scale = options.sample_covariance ? window / (window - 1) : 1;
  std::vector<double>& map = moment[4];
  for (size_t x = 0; x < map.size(); ++x) {
    const double mp = moment[0][x], mt = moment[1][x];
    const double vp = scale * std::max(moment[2][x] - mp * mp, 0.0);
    const double vt = scale * std::max(moment[3][x] - mt * mt, 0.0);
    const double cov = scale * (moment[4][x] - mp * mt);
    map[x] = ((2 * mp * mt + c1) * (2 * cov + c2)) / ((mp * mp + mt * mt + c1) * (vp + vt + c2));
  }
  return std::move(map);
}

// Mean of the map over samples that count and lie at least `rim` from the image's faces. `offset`
// is the image index of the map's first sample.
double MeanOfMap(const ImagePair& pair, const std::vector<double>& map,
                 const std::array<int64_t, 3>& size, int64_t offset, int64_t rim) {
  long double sum = 0;
  int64_t count = 0;
  std::array<int64_t, 3> shift{}, margin{};
  for (int a = 0; a < pair.dims; ++a) {
    shift[a] = offset;
    margin[a] = rim;
  }
  size_t x = 0;
  for (int64_t k = 0; k < size[2]; ++k) {
    for (int64_t j = 0; j < size[1]; ++j) {
      for (int64_t i = 0; i < size[0]; ++i, ++x) {
        const int64_t at[3] = {i + shift[0], j + shift[1], k + shift[2]};
        bool inside = true;
        for (int a = 0; a < 3; ++a)
          inside = inside && at[a] >= margin[a] && at[a] < pair.size[a] - margin[a];
        if (!inside || !pair.Counts((at[2] * pair.size[1] + at[1]) * pair.size[0] + at[0]))
          continue;
        sum += map[x];
        ++count;
      }
    }
  }
  return count == 0 ? kNan : static_cast<double>(sum / count);
}

}  // namespace

double Ssim(const ImagePair& pair, const SsimOptions& options) {
  if (!FitsWindow(pair, options, options.border)) return kNan;
  std::array<int64_t, 3> size{};
  const std::vector<double> map = SsimMap(pair, options, size);
  const bool valid = options.border == SsimOptions::Border::kValid;
  return MeanOfMap(pair, map, size, valid ? options.size / 2 : 0, 0);
}

SsimMeans SsimFullAndValid(const ImagePair& pair, const SsimOptions& options) {
  SsimMeans means{kNan, kNan};
  if (!FitsWindow(pair, options, SsimOptions::Border::kReflect)) return means;
  SsimOptions full = options;
  full.border = SsimOptions::Border::kReflect;
  std::array<int64_t, 3> size{};
  const std::vector<double> map = SsimMap(pair, full, size);
  means.full = MeanOfMap(pair, map, size, 0, 0);
  if (FitsWindow(pair, options, SsimOptions::Border::kValid)) {
    means.valid = MeanOfMap(pair, map, size, 0, options.size / 2);
  }
  return means;
}

SsimOptions SsimFsRwkv(double data_range) {
  SsimOptions options;
  options.data_range = data_range;
  return options;
}

SsimOptions SsimCropped(double data_range) {
  SsimOptions options = SsimFsRwkv(data_range);
  options.border = SsimOptions::Border::kValid;
  return options;
}

SsimOptions SsimSkimageDefault(double data_range) {
  SsimOptions options = SsimCropped(data_range);
  options.window = SsimOptions::Window::kUniform;
  options.size = 7;
  options.sample_covariance = true;
  return options;
}

SsimOptions SsimUniform11(double data_range, SsimOptions::Border border) {
  SsimOptions options = SsimFsRwkv(data_range);
  options.window = SsimOptions::Window::kUniform;
  options.border = border;
  return options;
}

std::vector<std::string> SsimNames() {
  return {"fs-rwkv",      "torchmetrics",          "torchmetrics-1.4", "monai",
          "scikit-image", "scikit-image-gaussian", "uniform-11"};
}

SsimOptions SsimByName(const std::string& name, double data_range) {
  if (name == "fs-rwkv" || name == "torchmetrics") return SsimFsRwkv(data_range);
  if (name == "torchmetrics-1.4" || name == "monai" || name == "scikit-image-gaussian") {
    return SsimCropped(data_range);
  }
  if (name == "scikit-image") return SsimSkimageDefault(data_range);
  if (name == "uniform-11") return SsimUniform11(data_range, SsimOptions::Border::kReflect);
  std::string known;
  for (const std::string& each : SsimNames()) known += (known.empty() ? "" : ", ") + each;
  throw OptionError("there is no SSIM definition '" + name + "'; choose one of " + known);
}

ImagePair SliceOf(const ImagePair& pair, int64_t k) {
  const int64_t area = pair.size[0] * pair.size[1];
  ImagePair slice = pair;
  slice.prediction += k * area;
  slice.reference += k * area;
  if (slice.mask != nullptr) slice.mask += k * area;
  slice.size[2] = 1;
  slice.dims = 2;
  return slice;
}

}  // namespace avocet::metrics
