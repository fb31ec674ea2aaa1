// SPDX-License-Identifier: Apache-2.0
#include "models/preprocess/head_mask.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace avocet::preprocess {
namespace {

using Size = std::array<int64_t, 3>;

// Steps to the neighbours of x that lie inside, along the axes that are true.
template <typename Visit>
void ForNeighbours(const Size& size, const std::array<bool, 3>& axes, int64_t x, Visit visit) {
  const std::array<int64_t, 3> step{1, size[0], size[0] * size[1]};
  const std::array<int64_t, 3> at{x % size[0], x / size[0] % size[1], x / step[2]};
  for (int a = 0; a < 3; ++a) {
    if (!axes[a]) continue;
    if (at[a] > 0) visit(x - step[a]);
    if (at[a] + 1 < size[a]) visit(x + step[a]);
  }
}

// Keeps the largest 6-connected component.
void KeepLargest(std::vector<uint8_t>& mask, const Size& size) {
  std::vector<int32_t> label(mask.size(), 0);
  std::vector<int64_t> stack;
  int32_t labels = 0, best = 0;
  int64_t best_count = 0;
  for (int64_t seed = 0; seed < static_cast<int64_t>(mask.size()); ++seed) {
    if (!mask[seed] || label[seed]) continue;
    label[seed] = ++labels;
    int64_t count = 0;
    stack.push_back(seed);
    while (!stack.empty()) {
      const int64_t x = stack.back();
      stack.pop_back();
      ++count;
      ForNeighbours(size, {true, true, true}, x, [&](int64_t y) {
        if (!mask[y] || label[y]) return;
        label[y] = labels;
        stack.push_back(y);
      });
    }
    if (count > best_count) {
      best_count = count;
      best = labels;
    }
  }
  for (size_t x = 0; x < mask.size(); ++x) mask[x] = best != 0 && label[x] == best;
}

// Background that is not connected with the faces along `axes` becomes mask.
void FillHoles(std::vector<uint8_t>& mask, const Size& size, const std::array<bool, 3>& axes) {
  std::vector<uint8_t> outside(mask.size(), 0);
  std::vector<int64_t> stack;
  int64_t x = 0;
  for (int64_t k = 0; k < size[2]; ++k) {
    for (int64_t j = 0; j < size[1]; ++j) {
      for (int64_t i = 0; i < size[0]; ++i, ++x) {
        const std::array<int64_t, 3> at{i, j, k};
        bool face = false;
        for (int a = 0; a < 3; ++a)
          face = face || (axes[a] && (at[a] == 0 || at[a] == size[a] - 1));
        if (!face || mask[x] || outside[x]) continue;
        outside[x] = 1;
        stack.push_back(x);
        while (!stack.empty()) {
          const int64_t from = stack.back();
          stack.pop_back();
          ForNeighbours(size, axes, from, [&](int64_t y) {
            if (mask[y] || outside[y]) return;
            outside[y] = 1;
            stack.push_back(y);
          });
        }
      }
    }
  }
  for (size_t n = 0; n < mask.size(); ++n) mask[n] = !outside[n];
}

// One step of erosion (to = 0) or dilation (to = 1) with the 6-neighbourhood.
std::vector<uint8_t> Step(const std::vector<uint8_t>& mask, const Size& size, uint8_t to) {
  std::vector<uint8_t> out = mask;
  for (int64_t x = 0; x < static_cast<int64_t>(mask.size()); ++x) {
    if (mask[x] == to) continue;
    bool touched = false;
    ForNeighbours(size, {true, true, true}, x,
                  [&](int64_t y) { touched = touched || mask[y] == to; });
    if (touched) out[x] = to;
  }
  return out;
}

}  // namespace

double OtsuThreshold(const float* values, int64_t count) {
  constexpr int kBins = 256;
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  std::vector<float> finite;
  finite.reserve(count);
  for (int64_t x = 0; x < count; ++x) {
    if (std::isfinite(values[x])) finite.push_back(values[x]);
  }
  if (finite.empty()) return kNan;
  const auto at = static_cast<size_t>(0.995 * static_cast<double>(finite.size() - 1));
  std::nth_element(finite.begin(), finite.begin() + at, finite.end());
  double high = finite[at];
  const double low = *std::min_element(finite.begin(), finite.end());
  if (!(high > low)) high = *std::max_element(finite.begin(), finite.end());
  if (!(high > low)) return kNan;
  std::array<double, kBins> histogram{};
  for (const float v : finite) {
    const int bin = static_cast<int>((v - low) / (high - low) * kBins);
    histogram[std::clamp(bin, 0, kBins - 1)] += 1;
  }
  double total = 0, moment = 0;
  for (int b = 0; b < kBins; ++b) {
    total += histogram[b];
    moment += histogram[b] * b;
  }
  double below = 0, below_moment = 0, best = -1;
  int first_best = 0, last_best = 0;
  for (int b = 0; b + 1 < kBins; ++b) {
    below += histogram[b];
    below_moment += histogram[b] * b;
    if (below == 0 || below == total) continue;
    const double gap = below_moment / below - (moment - below_moment) / (total - below);
    const double between = below * (total - below) * gap * gap;
    // Where the histogram is empty between the classes all thresholds are equally good: the middle.
    if (between > best * (1 + 1e-9)) {
      best = between;
      first_best = b;
    }
    if (between >= best * (1 - 1e-9)) last_best = b;
  }
  return low + (high - low) * (0.5 * (first_best + last_best) + 1) / kBins;
}

std::vector<uint8_t> HeadMask(const float* values, const std::array<int64_t, 3>& size) {
  const int64_t count = size[0] * size[1] * size[2];
  std::vector<uint8_t> mask(count, 0);
  const double otsu = OtsuThreshold(values, count);
  if (std::isnan(otsu)) return mask;
  float low = std::numeric_limits<float>::infinity();
  for (int64_t x = 0; x < count; ++x) {
    if (std::isfinite(values[x])) low = std::min(low, values[x]);
  }
  const double threshold = low + 0.5 * (otsu - low);
  for (int64_t x = 0; x < count; ++x) mask[x] = values[x] > threshold;
  // Thin images (few slices) would be opened away along their short axis.
  if (*std::min_element(size.begin(), size.end()) >= 16) {
    mask = Step(Step(mask, size, 0), size, 1);
  }
  KeepLargest(mask, size);
  FillHoles(mask, size, {true, true, true});
  FillHoles(mask, size, {true, true, false});
  FillHoles(mask, size, {true, false, true});
  FillHoles(mask, size, {false, true, true});
  return mask;
}

}  // namespace avocet::preprocess
