// SPDX-License-Identifier: Apache-2.0
#include "models/training/augmentation.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "app/base/error.h"
#include "models/training/augmentation_official.h"
#include "models/training/losses.h"

namespace avocet::models {
namespace {

constexpr uint8_t kIgnore = static_cast<uint8_t>(kIgnoreLabel);
constexpr int kControl = 7;  // control points a side of the elastic displacement

double LogUniform(CounterRng& rng, double extent) {
  const double bound = std::log1p(extent);
  return std::exp(rng.Uniform(-bound, bound));
}

// Where each canvas pixel comes from, in pixels of the slice.
class SourceMap {
 public:
  SourceMap(const Slice& slice, const AugmentationRecipe& r, CounterRng& rng, int64_t rows,
            int64_t cols)
      : rows_(rows), cols_(cols) {
    if (!r.geometry) return;
    const double angle = rng.Uniform(-r.rotation, r.rotation) * 3.14159265358979323846 / 180;
    const double scale = LogUniform(rng, r.scale);
    const double stretch = std::sqrt(LogUniform(rng, r.anisotropy));
    const double shear = rng.Uniform(-r.shear, r.shear);
    const double shift_row = rng.Uniform(-r.translation, r.translation);
    const double shift_col = rng.Uniform(-r.translation, r.translation);
    const double row_sign = rng.Chance(r.flip_rows_chance) ? -1 : 1;
    const double col_sign = rng.Chance(r.flip_cols_chance) ? -1 : 1;
    const double c = std::cos(angle);
    const double s = std::sin(angle);
    // rotation * shear * diag(scales); flips are outermost in the slice's frame.
    const double a = scale * stretch;
    const double b = scale / stretch;
    matrix_ = {row_sign * c * a, row_sign * (c * shear + s) * b,  //
               col_sign * -s * a, col_sign * (-s * shear + c) * b};
    centre_out_ = {(rows - 1) / 2.0, (cols - 1) / 2.0};
    centre_in_ = {(slice.rows - 1) / 2.0 + shift_row, (slice.cols - 1) / 2.0 + shift_col};
    elastic_ = rng.Chance(r.elastic_chance);
    if (elastic_) {
      for (auto& value : control_) value = rng.Normal() * r.elastic_pixels;
      row_weights_ = SplineWeights(rows);
      col_weights_ = SplineWeights(cols);
    }
  }

  std::array<double, 2> At(int64_t row, int64_t col) const {
    const double dr = row - centre_out_[0];
    const double dc = col - centre_out_[1];
    std::array<double, 2> source{centre_in_[0] + matrix_[0] * dr + matrix_[1] * dc,
                                 centre_in_[1] + matrix_[2] * dr + matrix_[3] * dc};
    if (elastic_) {
      const Weights& wr = row_weights_[row];
      const Weights& wc = col_weights_[col];
      for (int i = 0; i < 4; ++i) {
        for (int j = 0; j < 4; ++j) {
          const double w = wr.weight[i] * wc.weight[j];
          const size_t at = 2 * ((wr.first + i) * kControl + wc.first + j);
          source[0] += w * control_[at];
          source[1] += w * control_[at + 1];
        }
      }
    }
    return source;
  }

 private:
  struct Weights {
    int first = 0;
    std::array<double, 4> weight{};
  };

  // Uniform cubic B-spline over kControl - 3 intervals.
  static std::vector<Weights> SplineWeights(int64_t count) {
    std::vector<Weights> all(count);
    for (int64_t i = 0; i < count; ++i) {
      const double u = (i + 0.5) / count * (kControl - 3);
      const int first = std::min(static_cast<int>(u), kControl - 4);
      const double t = u - first;
      all[i].first = first;
      all[i].weight = {(1 - t) * (1 - t) * (1 - t) / 6, (3 * t * t * t - 6 * t * t + 4) / 6,
                       (-3 * t * t * t + 3 * t * t + 3 * t + 1) / 6, t * t * t / 6};
    }
    return all;
  }

  int64_t rows_, cols_;
  std::array<double, 4> matrix_{1, 0, 0, 1};  // source from canvas
  std::array<double, 2> centre_out_{0, 0};
  std::array<double, 2> centre_in_{0, 0};
  bool elastic_ = false;
  std::array<double, 2 * kControl * kControl> control_{};
  std::vector<Weights> row_weights_, col_weights_;
};

// The label with the largest bilinear weight; ties go to the lower class.
uint8_t VoteLabel(const std::array<uint8_t, 4>& labels, const std::array<float, 4>& weights) {
  if (labels[0] == labels[1] && labels[0] == labels[2] && labels[0] == labels[3]) return labels[0];
  uint8_t best = kIgnore;
  float best_weight = -1;
  for (int i = 0; i < 4; ++i) {
    float total = 0;
    for (int j = 0; j < 4; ++j) total += labels[j] == labels[i] ? weights[j] : 0;
    if (total > best_weight || (total == best_weight && labels[i] < best)) {
      best = labels[i];
      best_weight = total;
    }
  }
  return best;
}

void Sample(const Slice& slice, const SourceMap& map, int64_t rows, int64_t cols, float* image,
            uint8_t* label) {
  const int64_t plane = slice.rows * slice.cols;
  const double last_row = static_cast<double>(slice.rows - 1);
  const double last_col = static_cast<double>(slice.cols - 1);
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t col = 0; col < cols; ++col) {
      const auto source = map.At(row, col);
      const bool outside = source[0] < -0.5 || source[1] < -0.5 || source[0] > last_row + 0.5 ||
                           source[1] > last_col + 0.5;
      const double y = std::clamp(source[0], 0.0, last_row);
      const double x = std::clamp(source[1], 0.0, last_col);
      const int64_t y0 = static_cast<int64_t>(y);
      const int64_t x0 = static_cast<int64_t>(x);
      const int64_t y1 = std::min(y0 + 1, slice.rows - 1);
      const int64_t x1 = std::min(x0 + 1, slice.cols - 1);
      const float fy = static_cast<float>(y - y0);
      const float fx = static_cast<float>(x - x0);
      const std::array<int64_t, 4> at{y0 * slice.cols + x0, y0 * slice.cols + x1,
                                      y1 * slice.cols + x0, y1 * slice.cols + x1};
      const std::array<float, 4> w{(1 - fy) * (1 - fx), (1 - fy) * fx, fy * (1 - fx), fy * fx};
      const int64_t out = row * cols + col;
      for (int64_t channel = 0; channel < slice.channels; ++channel) {
        const float* in = slice.image.data() + channel * plane;
        image[channel * rows * cols + out] =
            in[at[0]] * w[0] + in[at[1]] * w[1] + in[at[2]] * w[2] + in[at[3]] * w[3];
      }
      label[out] = outside ? kIgnore
                           : VoteLabel({slice.label[at[0]], slice.label[at[1]], slice.label[at[2]],
                                        slice.label[at[3]]},
                                       w);
    }
  }
}

// Gaussian blur of one plane, edge repeated.
void Blur(float* plane, int64_t rows, int64_t cols, double sigma) {
  const int64_t radius = std::max<int64_t>(1, static_cast<int64_t>(std::ceil(3 * sigma)));
  std::vector<float> kernel(2 * radius + 1);
  float total = 0;
  for (int64_t i = -radius; i <= radius; ++i) {
    total += kernel[i + radius] = static_cast<float>(std::exp(-0.5 * i * i / (sigma * sigma)));
  }
  for (float& k : kernel) k /= total;
  std::vector<float> line(std::max(rows, cols));
  const auto pass = [&](float* first, int64_t count, int64_t stride) {
    for (int64_t i = 0; i < count; ++i) line[i] = first[i * stride];
    for (int64_t i = 0; i < count; ++i) {
      float sum = 0;
      for (int64_t k = -radius; k <= radius; ++k) {
        sum += kernel[k + radius] * line[std::clamp<int64_t>(i + k, 0, count - 1)];
      }
      first[i * stride] = sum;
    }
  };
  for (int64_t row = 0; row < rows; ++row) pass(plane + row * cols, cols, 1);
  for (int64_t col = 0; col < cols; ++col) pass(plane + col, rows, cols);
}

// One axis of a linear resize with pixel areas kept: position of output i in the input.
void LinearWeights(int64_t in, int64_t out, std::vector<int64_t>& low,
                   std::vector<float>& fraction) {
  low.resize(out);
  fraction.resize(out);
  for (int64_t i = 0; i < out; ++i) {
    const double x = std::clamp((i + 0.5) * in / out - 0.5, 0.0, in - 1.0);
    low[i] = std::min<int64_t>(static_cast<int64_t>(x), std::max<int64_t>(0, in - 2));
    fraction[i] = static_cast<float>(x - low[i]);
  }
}

void Resize(const float* in, int64_t in_rows, int64_t in_cols, float* out, int64_t rows,
            int64_t cols) {
  std::vector<int64_t> r, c;
  std::vector<float> fr, fc;
  LinearWeights(in_rows, rows, r, fr);
  LinearWeights(in_cols, cols, c, fc);
  for (int64_t i = 0; i < rows; ++i) {
    const float* top = in + r[i] * in_cols;
    const float* bottom = in + std::min(r[i] + 1, in_rows - 1) * in_cols;
    for (int64_t j = 0; j < cols; ++j) {
      const int64_t right = std::min(c[j] + 1, in_cols - 1);
      const float upper = top[c[j]] + fc[j] * (top[right] - top[c[j]]);
      const float lower = bottom[c[j]] + fc[j] * (bottom[right] - bottom[c[j]]);
      out[i * cols + j] = upper + fr[i] * (lower - upper);
    }
  }
}

void LowerResolution(float* plane, int64_t rows, int64_t cols, double factor) {
  const int64_t small_rows = std::max<int64_t>(2, std::lround(rows / factor));
  const int64_t small_cols = std::max<int64_t>(2, std::lround(cols / factor));
  std::vector<float> small(small_rows * small_cols);
  Resize(plane, rows, cols, small.data(), small_rows, small_cols);
  Resize(small.data(), small_rows, small_cols, plane, rows, cols);
}

void ChangeIntensity(const AugmentationRecipe& r, CounterRng& rng, int64_t channels, int64_t rows,
                     int64_t cols, float* image) {
  const int64_t count = channels * rows * cols;
  double sum = 0, squares = 0;
  float low = image[0], high = image[0];
  for (int64_t i = 0; i < count; ++i) {
    sum += image[i];
    squares += static_cast<double>(image[i]) * image[i];
    low = std::min(low, image[i]);
    high = std::max(high, image[i]);
  }
  const double mean = sum / count;
  const double deviation = std::sqrt(std::max(0.0, squares / count - mean * mean));
  if (!(high > low)) return;

  if (rng.Chance(r.blur_chance)) {
    const double sigma = rng.Uniform(0.3, std::max(0.3, r.blur_pixels));
    for (int64_t c = 0; c < channels; ++c) Blur(image + c * rows * cols, rows, cols, sigma);
  }
  if (rng.Chance(r.low_resolution_chance)) {
    const double factor = rng.Uniform(1, r.low_resolution);
    for (int64_t c = 0; c < channels; ++c)
      LowerResolution(image + c * rows * cols, rows, cols, factor);
  }
  if (rng.Chance(r.gamma_chance)) {
    const float exponent = static_cast<float>(LogUniform(rng, r.gamma));
    const float range = high - low;
    for (int64_t i = 0; i < count; ++i) {
      image[i] = low + range * std::pow(std::max(0.f, (image[i] - low) / range), exponent);
    }
  }
  if (rng.Chance(r.contrast_chance)) {
    const float factor = static_cast<float>(1 + rng.Uniform(-r.contrast, r.contrast));
    const float centre = static_cast<float>(mean);
    const float added =
        centre + static_cast<float>(rng.Uniform(-r.brightness, r.brightness) * deviation);
    for (int64_t i = 0; i < count; ++i) image[i] = (image[i] - centre) * factor + added;
  }
  if (rng.Chance(r.noise_chance)) {
    const double sigma = rng.Uniform(0, r.noise) * deviation;
    for (int64_t i = 0; i < count; ++i) image[i] += static_cast<float>(rng.Normal() * sigma);
  }
}

}  // namespace

AugmentationRecipe AugmentationRecipe::ByName(const std::string& name) {
  AugmentationRecipe r;
  r.name = name;
  if (name == "none") return r;
  if (name == "default" || name == "default-strong") {
    const bool strong = name == "default-strong";
    r.geometry = true;
    r.rotation = strong ? 20 : 15;
    r.scale = strong ? 0.25 : 0.2;
    r.anisotropy = strong ? 0.15 : 0.1;
    r.shear = strong ? 0.1 : 0.05;
    r.translation = 8;
    r.elastic_chance = strong ? 0.5 : 0.2;
    r.elastic_pixels = 3;
    r.gamma_chance = 0.3;
    r.gamma = 0.5;
    r.contrast_chance = 0.5;
    r.contrast = 0.25;
    r.brightness = 0.3;
    r.noise_chance = 0.2;
    r.noise = 0.2;
    r.blur_chance = 0.1;
    r.blur_pixels = 1.2;
    r.low_resolution_chance = 0.1;
    r.low_resolution = 2;
    return r;
  }
  if (name == "synapse") {
    r.official_brightness = 0.1;
    r.official_crop = 0.1;
    return r;
  }
  if (name == "acdc") {
    r.official_rot_flip = 0.5;
    r.official_rotation = 0.3;
    r.official_rotation_degrees = 30;
    r.official_brightness = 0.3;
    r.official_crop = 0.3;
    return r;
  }
  if (name == "synapse-release" || name == "acdc-release") {
    r.official_rot_flip = 0.5;
    r.official_rotation = 0.5;
    r.official_rotation_degrees = 20;
    r.official_rotation_else = true;
    return r;
  }
  throw OptionError(
      "--augmentation is '" + name +
      "'; it must be none, default, default-strong, synapse, acdc, synapse-release or "
      "acdc-release");
}

void AugmentSlice(const Slice& slice, const AugmentationRecipe& recipe, CounterRng& rng,
                  int64_t canvas_rows, int64_t canvas_cols, float* image, uint8_t* label) {
  Slice changed;
  const Slice* source = &slice;
  if (HasOfficialSteps(recipe)) {
    changed = slice;
    ApplyOfficialSteps(changed, recipe, rng);
    source = &changed;
  }
  const SourceMap map(*source, recipe, rng, canvas_rows, canvas_cols);
  const bool reversed = rng.Chance(recipe.flip_context_chance);
  Sample(*source, map, canvas_rows, canvas_cols, image, label);
  if (reversed) {
    const int64_t plane = canvas_rows * canvas_cols;
    for (int64_t a = 0, b = source->channels - 1; a < b; ++a, --b) {
      std::swap_ranges(image + a * plane, image + (a + 1) * plane, image + b * plane);
    }
  }
  ChangeIntensity(recipe, rng, source->channels, canvas_rows, canvas_cols, image);
}

}  // namespace avocet::models
