// SPDX-License-Identifier: Apache-2.0
#include "tests/kernels/fso_shift_reference.h"

#include <algorithm>
#include <cmath>

namespace avocet::test {
namespace {

Map Shift(const Map& x, bool assigned, int64_t dy, int64_t dx) {
  Map shifted(x.rows, x.cols);
  if (!assigned) return shifted;
  for (int64_t y = 0; y < x.rows; ++y) {
    for (int64_t c = 0; c < x.cols; ++c) shifted.At(y, c) = x.Read(y - dy, c - dx);
  }
  return shifted;
}

// Context-guided token shift: half the shifted map, half the map.
Map ContextShift(const Map& x, bool assigned, int64_t dy, int64_t dx) {
  Map y = Shift(x, assigned, dy, dx);
  for (size_t i = 0; i < y.values.size(); ++i) y.values[i] = 0.5 * y.values[i] + 0.5 * x.values[i];
  return y;
}

// Rows and columns are filtered with [a, a] and [a, -a], a = sqrt(1/2); odd sides get a zero.
struct Bands {
  Map ll, lh, hl, hh;
};
Bands Transform(const Map& x) {
  const int64_t h = (x.rows + 1) / 2, w = (x.cols + 1) / 2;
  const double a = std::sqrt(0.5);
  Map low(x.rows, w), high(x.rows, w);
  for (int64_t y = 0; y < x.rows; ++y) {
    for (int64_t j = 0; j < w; ++j) {
      low.At(y, j) = a * x.Read(y, 2 * j) + a * x.Read(y, 2 * j + 1);
      high.At(y, j) = a * x.Read(y, 2 * j) - a * x.Read(y, 2 * j + 1);
    }
  }
  Bands bands{Map(h, w), Map(h, w), Map(h, w), Map(h, w)};
  for (int64_t i = 0; i < h; ++i) {
    for (int64_t j = 0; j < w; ++j) {
      bands.ll.At(i, j) = a * low.Read(2 * i, j) + a * low.Read(2 * i + 1, j);
      bands.lh.At(i, j) = a * low.Read(2 * i, j) - a * low.Read(2 * i + 1, j);
      bands.hl.At(i, j) = a * high.Read(2 * i, j) + a * high.Read(2 * i + 1, j);
      bands.hh.At(i, j) = a * high.Read(2 * i, j) - a * high.Read(2 * i + 1, j);
    }
  }
  return bands;
}

Map Inverse(const Bands& b) {
  const int64_t h = b.ll.rows, w = b.ll.cols;
  const double a = std::sqrt(0.5);
  Map low(2 * h, w), high(2 * h, w);
  for (int64_t i = 0; i < h; ++i) {
    for (int64_t j = 0; j < w; ++j) {
      low.At(2 * i, j) = a * b.ll.Read(i, j) + a * b.lh.Read(i, j);
      low.At(2 * i + 1, j) = a * b.ll.Read(i, j) - a * b.lh.Read(i, j);
      high.At(2 * i, j) = a * b.hl.Read(i, j) + a * b.hh.Read(i, j);
      high.At(2 * i + 1, j) = a * b.hl.Read(i, j) - a * b.hh.Read(i, j);
    }
  }
  Map x(2 * h, 2 * w);
  for (int64_t y = 0; y < 2 * h; ++y) {
    for (int64_t j = 0; j < w; ++j) {
      x.At(y, 2 * j) = a * low.Read(y, j) + a * high.Read(y, j);
      x.At(y, 2 * j + 1) = a * low.Read(y, j) - a * high.Read(y, j);
    }
  }
  return x;
}

// Bilinear with half-pixel centres, edges held.
Map Resize(const Map& x, int64_t rows, int64_t cols) {
  Map y(rows, cols);
  const auto place = [](int64_t i, int64_t from, int64_t to) {
    return std::max(
        0.0,
        (static_cast<double>(i) + 0.5) * static_cast<double>(from) / static_cast<double>(to) - 0.5);
  };
  for (int64_t i = 0; i < rows; ++i) {
    const double py = place(i, x.rows, rows);
    const auto y0 = static_cast<int64_t>(py);
    const int64_t y1 = std::min(y0 + 1, x.rows - 1);
    const double fy = py - static_cast<double>(y0);
    for (int64_t j = 0; j < cols; ++j) {
      const double px = place(j, x.cols, cols);
      const auto x0 = static_cast<int64_t>(px);
      const int64_t x1 = std::min(x0 + 1, x.cols - 1);
      const double fx = px - static_cast<double>(x0);
      y.At(i, j) = (1 - fy) * ((1 - fx) * x.Read(y0, x0) + fx * x.Read(y0, x1)) +
                   fy * ((1 - fx) * x.Read(y1, x0) + fx * x.Read(y1, x1));
    }
  }
  return y;
}

}  // namespace

double Map::Read(int64_t y, int64_t x) const {
  const bool inside = y >= 0 && y < rows && x >= 0 && x < cols;
  return inside ? values[static_cast<size_t>(y * cols + x)] : 0;
}

Map ReferenceFsoShift(const Map& x, bool assigned, int64_t dy, int64_t dx) {
  const Map context = ContextShift(x, assigned, dy, dx);
  Bands bands = Transform(x);
  bands.ll = ContextShift(bands.ll, assigned, dy, dx);
  const Map rebuilt = Resize(Inverse(bands), x.rows, x.cols);
  Map y(x.rows, x.cols);
  for (size_t i = 0; i < y.values.size(); ++i) {
    y.values[i] = 0.5 * (context.values[i] + rebuilt.values[i]) + 0.5 * x.values[i];
  }
  return y;
}

std::vector<ReferenceGroup> ReferenceGroups(int64_t channels) {
  const int64_t offsets[16][2] = {{0, 1}, {0, -1},  {1, 0},  {-1, 0},  {0, 2},  {0, -2},
                                  {2, 0}, {-2, 0},  {1, 1},  {-1, -1}, {1, -1}, {-1, 1},
                                  {2, 2}, {-2, -2}, {2, -2}, {-2, 2}};
  std::vector<ReferenceGroup> groups;
  int64_t next = 0;
  for (const auto& [dy, dx] : offsets) {
    const double weight = 1.0 / static_cast<double>(std::abs(dy) + std::abs(dx));
    const auto count = static_cast<int64_t>(static_cast<double>(channels) / 9.0 * weight);
    groups.push_back({dy, dx, next, count});
    next += count;
  }
  return groups;
}

}  // namespace avocet::test
