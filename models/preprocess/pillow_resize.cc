// SPDX-License-Identifier: Apache-2.0
#include "models/preprocess/pillow_resize.h"

#include <algorithm>
#include <cmath>

namespace avocet::preprocess {
namespace {

constexpr int kBits = 22;  // of the fixed-point weights

struct Taps {
  int64_t first = 0;
  std::vector<int32_t> weight;
};

std::vector<Taps> MakeTaps(int64_t from, int64_t to) {
  const double scale = static_cast<double>(from) / static_cast<double>(to);
  const double support = std::max(scale, 1.0);
  std::vector<Taps> all(to);
  for (int64_t i = 0; i < to; ++i) {
    const double centre = (static_cast<double>(i) + 0.5) * scale;
    const auto low = std::max<int64_t>(0, static_cast<int64_t>(centre - support + 0.5));
    const auto high = std::min(from, static_cast<int64_t>(centre + support + 0.5));
    std::vector<double> raw;
    double sum = 0;
    for (int64_t j = low; j < high; ++j) {
      const double x = (static_cast<double>(j) - centre + 0.5) / support;
      raw.push_back(std::max(0.0, 1 - std::abs(x)));
      sum += raw.back();
    }
    all[i].first = low;
    for (const double w : raw) {
      all[i].weight.push_back(static_cast<int32_t>(0.5 + w / sum * (1 << kBits)));
    }
  }
  return all;
}

uint8_t Round(int64_t sum) {
  return static_cast<uint8_t>(std::clamp<int64_t>((sum + (1 << (kBits - 1))) >> kBits, 0, 255));
}

}  // namespace

std::vector<uint8_t> PillowResizeBilinear(const uint8_t* image, int64_t rows, int64_t cols,
                                          int64_t new_rows, int64_t new_cols) {
  std::vector<uint8_t> wide(image, image + rows * cols);
  if (new_cols != cols) {
    const std::vector<Taps> taps = MakeTaps(cols, new_cols);
    wide.assign(rows * new_cols, 0);
    for (int64_t y = 0; y < rows; ++y) {
      for (int64_t x = 0; x < new_cols; ++x) {
        int64_t sum = 0;
        const uint8_t* from = image + y * cols + taps[x].first;
        for (size_t n = 0; n < taps[x].weight.size(); ++n) {
          sum += static_cast<int64_t>(taps[x].weight[n]) * from[n];
        }
        wide[y * new_cols + x] = Round(sum);
      }
    }
  }
  if (new_rows == rows) return wide;
  const std::vector<Taps> taps = MakeTaps(rows, new_rows);
  std::vector<uint8_t> result(new_rows * new_cols);
  std::vector<int64_t> sums(new_cols);
  for (int64_t y = 0; y < new_rows; ++y) {
    std::fill(sums.begin(), sums.end(), 0);
    for (size_t n = 0; n < taps[y].weight.size(); ++n) {
      const uint8_t* from = wide.data() + (taps[y].first + static_cast<int64_t>(n)) * new_cols;
      for (int64_t x = 0; x < new_cols; ++x) {
        sums[x] += static_cast<int64_t>(taps[y].weight[n]) * from[x];
      }
    }
    for (int64_t x = 0; x < new_cols; ++x) result[y * new_cols + x] = Round(sums[x]);
  }
  return result;
}

}  // namespace avocet::preprocess
