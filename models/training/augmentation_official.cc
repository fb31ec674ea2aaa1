// SPDX-License-Identifier: Apache-2.0
#include "models/training/augmentation_official.h"

#include <algorithm>
#include <cmath>

namespace avocet::models {
namespace {

// Replaces the slice by one of `rows` x `cols` whose pixel (r, c) is source(r, c): a flat index
// into the old plane, or -1 for zero.
template <typename SourceIndex>
void Gather(Slice& slice, int64_t rows, int64_t cols, const SourceIndex& source) {
  const int64_t old_plane = slice.rows * slice.cols;
  const int64_t plane = rows * cols;
  std::vector<float> image(slice.channels * plane);
  std::vector<uint8_t> label(plane);
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < cols; ++c) {
      const int64_t from = source(r, c);
      const int64_t to = r * cols + c;
      label[to] = from < 0 ? 0 : slice.label[from];
      for (int64_t channel = 0; channel < slice.channels; ++channel) {
        image[channel * plane + to] = from < 0 ? 0 : slice.image[channel * old_plane + from];
      }
    }
  }
  slice.rows = rows;
  slice.cols = cols;
  slice.image = std::move(image);
  slice.label = std::move(label);
}

}  // namespace

void RotateQuarterTurns(Slice& slice, int turns) {
  for (int turn = 0; turn < ((turns % 4) + 4) % 4; ++turn) {
    const int64_t old_cols = slice.cols;
    Gather(slice, slice.cols, slice.rows,
           [&](int64_t r, int64_t c) { return c * old_cols + (old_cols - 1 - r); });
  }
}

void FlipRows(Slice& slice) {
  const int64_t rows = slice.rows, cols = slice.cols;
  Gather(slice, rows, cols, [&](int64_t r, int64_t c) { return (rows - 1 - r) * cols + c; });
}

void FlipCols(Slice& slice) {
  const int64_t rows = slice.rows, cols = slice.cols;
  Gather(slice, rows, cols, [&](int64_t r, int64_t c) { return r * cols + (cols - 1 - c); });
}

void RotateNearest(Slice& slice, double degrees) {
  const int64_t rows = slice.rows, cols = slice.cols;
  const double angle = degrees * 3.14159265358979323846 / 180;
  const double cosine = std::cos(angle), sine = std::sin(angle);
  const double centre_row = (rows - 1) / 2.0, centre_col = (cols - 1) / 2.0;
  Gather(slice, rows, cols, [&](int64_t r, int64_t c) -> int64_t {
    const double dr = r - centre_row, dc = c - centre_col;
    const double row = cosine * dr + sine * dc + centre_row;
    const double col = -sine * dr + cosine * dc + centre_col;
    if (row < 0 || col < 0 || row > rows - 1 || col > cols - 1) return -1;
    return static_cast<int64_t>(std::floor(row + 0.5)) * cols +
           static_cast<int64_t>(std::floor(col + 0.5));
  });
}

void ChangeBrightness(Slice& slice, double brightness, double contrast) {
  double sum = 0;
  for (float& value : slice.image) {
    value = static_cast<float>(value * (1 + brightness));
    sum += value;
  }
  const double mean = sum / static_cast<double>(slice.image.size());
  float high = 0;
  for (float& value : slice.image) {
    value = static_cast<float>((value - mean) * contrast + mean);
    high = std::max(high, value);
  }
  const float top = high <= 1 ? 1.f : 255.f;
  for (float& value : slice.image) value = std::clamp(value, 0.f, top);
}

void CropAndEnlarge(Slice& slice, int64_t top, int64_t left, int64_t crop_rows, int64_t crop_cols) {
  const int64_t rows = slice.rows, cols = slice.cols;
  const auto nearest = [](int64_t i, int64_t in, int64_t out) {
    return (2 * i + 1) * in / (2 * out);
  };
  Gather(slice, rows, cols, [&](int64_t r, int64_t c) {
    return (top + nearest(r, crop_rows, rows)) * cols + left + nearest(c, crop_cols, cols);
  });
}

bool HasOfficialSteps(const AugmentationRecipe& r) {
  return r.official_rot_flip > 0 || r.official_rotation > 0 || r.official_brightness > 0 ||
         r.official_crop > 0;
}

void ApplyOfficialSteps(Slice& slice, const AugmentationRecipe& recipe, CounterRng& rng) {
  const bool rot_flip = rng.Chance(recipe.official_rot_flip);
  if (rot_flip) {
    RotateQuarterTurns(slice, static_cast<int>(rng.Below(4)));
    rng.Below(2) == 0 ? FlipRows(slice) : FlipCols(slice);
  }
  if (!(recipe.official_rotation_else && rot_flip) && rng.Chance(recipe.official_rotation)) {
    const int bound = recipe.official_rotation_degrees;
    RotateNearest(slice, static_cast<double>(rng.Below(2 * bound)) - bound);
  }
  if (rng.Chance(recipe.official_brightness)) {
    const double brightness = rng.Uniform(-0.2, 0.2);
    ChangeBrightness(slice, brightness, rng.Uniform(0.8, 1.2));
  }
  if (rng.Chance(recipe.official_crop)) {
    const double ratio = rng.Uniform(0.8, 1.2);
    const int64_t rows =
        std::clamp<int64_t>(static_cast<int64_t>(slice.rows * ratio), 1, slice.rows);
    const int64_t cols =
        std::clamp<int64_t>(static_cast<int64_t>(slice.cols * ratio), 1, slice.cols);
    const int64_t top = static_cast<int64_t>(rng.Below(slice.rows - rows + 1));
    const int64_t left = static_cast<int64_t>(rng.Below(slice.cols - cols + 1));
    CropAndEnlarge(slice, top, left, rows, cols);
  }
}

}  // namespace avocet::models
