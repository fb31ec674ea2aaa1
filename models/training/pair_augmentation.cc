// SPDX-License-Identifier: Apache-2.0
#include "models/training/pair_augmentation.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "app/base/error.h"

namespace avocet::models {
namespace {

constexpr double kPi = 3.14159265358979323846;

float Rounded(double value, bool eight_bit) {
  if (!eight_bit) return static_cast<float>(value);
  return static_cast<float>(std::clamp(std::nearbyint(value * 255), 0.0, 255.0) / 255);
}

// Index mirrored about the edge samples, however far outside.
int64_t Reflect(int64_t index, int64_t length) {
  if (length == 1) return 0;
  const int64_t period = 2 * (length - 1);
  index %= period;
  if (index < 0) index += period;
  return index < length ? index : period - index;
}

template <typename At>
void Remap(PlanePair& pair, int64_t rows, int64_t cols, At source_of) {
  PlanePair out;
  out.rows = rows;
  out.cols = cols;
  out.eight_bit = pair.eight_bit;
  out.source.resize(rows * cols);
  out.target.resize(rows * cols);
  for (int64_t y = 0; y < rows; ++y) {
    for (int64_t x = 0; x < cols; ++x) {
      const auto [from_y, from_x] = source_of(y, x);
      out.source[y * cols + x] = pair.source[from_y * pair.cols + from_x];
      out.target[y * cols + x] = pair.target[from_y * pair.cols + from_x];
    }
  }
  pair = std::move(out);
}

// Both pictures at fractional positions; `index` brings a sample's index into the picture.
template <typename Position, typename Index>
void Sample(PlanePair& pair, int64_t rows, int64_t cols, Position position, Index index) {
  PlanePair out;
  out.rows = rows;
  out.cols = cols;
  out.eight_bit = pair.eight_bit;
  out.source.resize(rows * cols);
  out.target.resize(rows * cols);
  for (int64_t y = 0; y < rows; ++y) {
    for (int64_t x = 0; x < cols; ++x) {
      const auto [py, px] = position(y, x);
      const double fy = std::floor(py), fx = std::floor(px);
      const double wy = py - fy, wx = px - fx;
      const auto y0 = static_cast<int64_t>(fy), x0 = static_cast<int64_t>(fx);
      const int64_t ya = index(y0, pair.rows), yb = index(y0 + 1, pair.rows);
      const int64_t xa = index(x0, pair.cols), xb = index(x0 + 1, pair.cols);
      const auto mix = [&](const std::vector<float>& plane) {
        const double top = (1 - wx) * plane[ya * pair.cols + xa] + wx * plane[ya * pair.cols + xb];
        const double bottom =
            (1 - wx) * plane[yb * pair.cols + xa] + wx * plane[yb * pair.cols + xb];
        return Rounded((1 - wy) * top + wy * bottom, pair.eight_bit);
      };
      out.source[y * cols + x] = mix(pair.source);
      out.target[y * cols + x] = mix(pair.target);
    }
  }
  pair = std::move(out);
}

}  // namespace

PairRecipe PairRecipe::ByName(const std::string& name) {
  PairRecipe recipe;
  recipe.name = name;
  if (name == "none") return recipe;
  if (name == "default") {
    recipe.flip_cols = 0.5;
    return recipe;
  }
  if (name == "fs-rwkv/unc" || name == "fs-rwkv/bnu") {
    recipe.flip_cols = 0.5;
    recipe.flip_rows = 0.3;
    recipe.quarter_turns = 0.3;
    recipe.rotation = 0.3;
    recipe.transpose = 0.3;
    recipe.mixing = "official";
    return recipe;
  }
  throw OptionError("there is no augmentation '" + name +
                    "' for translation; it must be none, default, fs-rwkv/unc or fs-rwkv/bnu");
}

void FlipColumns(PlanePair& pair) {
  const int64_t cols = pair.cols;
  Remap(pair, pair.rows, cols, [cols](int64_t y, int64_t x) { return std::pair{y, cols - 1 - x}; });
}

void FlipRowsOf(PlanePair& pair) {
  const int64_t rows = pair.rows;
  Remap(pair, rows, pair.cols, [rows](int64_t y, int64_t x) { return std::pair{rows - 1 - y, x}; });
}

void TurnQuarters(PlanePair& pair, int turns) {
  for (int n = 0; n < turns; ++n) {
    const int64_t cols = pair.cols;
    Remap(pair, cols, pair.rows, [cols](int64_t y, int64_t x) {
      return std::pair{x, cols - 1 - y};
    });
  }
}

void TransposePair(PlanePair& pair) {
  Remap(pair, pair.cols, pair.rows, [](int64_t y, int64_t x) { return std::pair{x, y}; });
}

void RotatePair(PlanePair& pair, double degrees) {
  const double angle = degrees * kPi / 180, c = std::cos(angle), s = std::sin(angle);
  const double cy = (pair.rows - 1) / 2.0, cx = (pair.cols - 1) / 2.0;
  Sample(
      pair, pair.rows, pair.cols,
      [=](int64_t y, int64_t x) {
        // Rows run downwards: turning the picture counter-clockwise looks clockwise for the source.
        return std::pair{cy + s * (x - cx) + c * (y - cy), cx + c * (x - cx) - s * (y - cy)};
      },
      Reflect);
}

void ResizePair(PlanePair& pair, int64_t rows, int64_t cols) {
  if (rows == pair.rows && cols == pair.cols) return;
  const double sy = static_cast<double>(pair.rows) / rows,
               sx = static_cast<double>(pair.cols) / cols;
  const double last_y = pair.rows - 1.0, last_x = pair.cols - 1.0;
  Sample(
      pair, rows, cols,
      [=](int64_t y, int64_t x) {
        return std::pair{std::clamp((y + 0.5) * sy - 0.5, 0.0, last_y),
                         std::clamp((x + 0.5) * sx - 0.5, 0.0, last_x)};
      },
      [](int64_t index, int64_t length) { return std::clamp<int64_t>(index, 0, length - 1); });
}

PlanePair CropPair(const PlanePair& pair, int64_t top, int64_t left, int64_t rows, int64_t cols) {
  PlanePair out;
  out.rows = rows;
  out.cols = cols;
  out.eight_bit = pair.eight_bit;
  out.source.assign(rows * cols, 0.0f);
  out.target.assign(rows * cols, 0.0f);
  for (int64_t y = std::max<int64_t>(0, -top); y < std::min(rows, pair.rows - top); ++y) {
    for (int64_t x = std::max<int64_t>(0, -left); x < std::min(cols, pair.cols - left); ++x) {
      out.source[y * cols + x] = pair.source[(y + top) * pair.cols + x + left];
      out.target[y * cols + x] = pair.target[(y + top) * pair.cols + x + left];
    }
  }
  return out;
}

void AugmentPair(PlanePair& pair, const PairRecipe& recipe, CounterRng& rng) {
  // Every step draws whether it happens or not, so that one does not shift the draws of the next.
  if (rng.Chance(recipe.flip_cols)) FlipColumns(pair);
  if (rng.Chance(recipe.flip_rows)) FlipRowsOf(pair);
  const bool turn = rng.Chance(recipe.quarter_turns);
  const int turns = static_cast<int>(rng.Below(4));
  if (turn) TurnQuarters(pair, turns);
  const bool rotate = rng.Chance(recipe.rotation);
  const double degrees = rng.Uniform(-recipe.rotation_degrees, recipe.rotation_degrees);
  if (rotate) RotatePair(pair, degrees);
  if (rng.Chance(recipe.transpose)) TransposePair(pair);
}

double DrawBeta(double a, CounterRng& rng) {
  while (true) {
    // In logarithms: powers of 1/a underflow.
    const double x = std::log(1 - rng.Uniform()) / a, y = std::log(1 - rng.Uniform()) / a;
    const double highest = std::max(x, y);
    const double log_sum = highest + std::log(std::exp(x - highest) + std::exp(y - highest));
    if (log_sum <= 0) return std::exp(x - log_sum);
  }
}

void MixUp(PlanePair& pair, const PlanePair& other, double lambda) {
  const auto mix = [lambda](std::vector<float>& a, const std::vector<float>& b) {
    for (size_t x = 0; x < a.size(); ++x) {
      a[x] = static_cast<float>(lambda * a[x] + (1 - lambda) * b[x]);
    }
  };
  mix(pair.source, other.source);
  mix(pair.target, other.target);
  pair.eight_bit = false;
}

void CutMix(PlanePair& pair, const PlanePair& other, double lambda, double centre_x,
            double centre_y) {
  const double share = std::sqrt(1 - lambda);
  const double w = pair.cols * share, h = pair.rows * share;
  // nearbyint: half to even, as Python's round.
  const auto x0 = static_cast<int64_t>(std::nearbyint(std::max(centre_x - w / 2, 0.0)));
  const auto x1 = static_cast<int64_t>(
      std::nearbyint(std::min(centre_x + w / 2, static_cast<double>(pair.cols))));
  const auto y0 = static_cast<int64_t>(std::nearbyint(std::max(centre_y - h / 2, 0.0)));
  const auto y1 = static_cast<int64_t>(
      std::nearbyint(std::min(centre_y + h / 2, static_cast<double>(pair.rows))));
  for (int64_t y = y0; y < y1; ++y) {
    for (int64_t x = x0; x < x1; ++x) {
      pair.source[y * pair.cols + x] = other.source[y * pair.cols + x];
      pair.target[y * pair.cols + x] = other.target[y * pair.cols + x];
    }
  }
}

}  // namespace avocet::models
