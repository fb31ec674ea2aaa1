// SPDX-License-Identifier: Apache-2.0
#include "models/metrics/distance_transform.h"

#include <cmath>
#include <cstring>
#include <limits>

#include "models/metrics/parallel.h"

namespace avocet::metrics {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// First position >= begin with a non-zero byte, or `end`.
int64_t NextFeature(const uint8_t* row, int64_t begin, int64_t end) {
  int64_t x = begin;
  for (; x + 8 <= end; x += 8) {
    uint64_t word;
    std::memcpy(&word, row + x, 8);
    if (word != 0) break;
  }
  while (x < end && row[x] == 0) ++x;
  return x;
}

double Square(double x) { return x * x; }

// Squared distances along one row; false (row untouched) when it has no feature.
bool TransformRow(const uint8_t* row, int64_t n, double spacing, double* out) {
  int64_t feature = NextFeature(row, 0, n);
  if (feature == n) return false;
  for (int64_t x = 0; x < feature; ++x) out[x] = Square(static_cast<double>(feature - x) * spacing);
  while (true) {
    out[feature] = 0;
    const int64_t next = NextFeature(row, feature + 1, n);
    if (next == n) {
      for (int64_t x = feature + 1; x < n; ++x)
        out[x] = Square(static_cast<double>(x - feature) * spacing);
      return true;
    }
    const int64_t middle = (feature + next) / 2;
    for (int64_t x = feature + 1; x <= middle; ++x)
      out[x] = Square(static_cast<double>(x - feature) * spacing);
    for (int64_t x = middle + 1; x < next; ++x)
      out[x] = Square(static_cast<double>(next - x) * spacing);
    feature = next;
  }
}

// Lower envelope of the parabolas value[m] + ((y - position[m]) spacing)^2 over y = 0 .. n-1.
// All values are finite; positions ascend. Comparisons are made in index units, so that unit
// spacing works on integers, and the result is evaluated from the winning parabola, so that
// rounding of an intersection can only choose between parabolas that are equal there.
class Envelope {
 public:
  Envelope(const std::vector<int64_t>& position, int64_t n, double spacing)
      : n_(n),
        count_(static_cast<int64_t>(position.size())),
        inverse_square_(1 / Square(spacing)),
        position_(position.begin(), position.end()),
        square_(position.size()),
        half_inverse_(static_cast<size_t>(n) + 1),
        winner_(position.size()),
        from_(position.size() + 1),
        step_square_(static_cast<size_t>(n) + 1),
        position_int_(position) {
    for (size_t m = 0; m < position_.size(); ++m) square_[m] = Square(position_[m]);
    for (int64_t d = 1; d <= n; ++d) {
      half_inverse_[d] = 0.5 / static_cast<double>(d);
      step_square_[d] = Square(static_cast<double>(d) * spacing);
    }
    step_square_[0] = 0;
  }

  void Transform(const double* value, double* out) {
    int64_t top = 0;
    winner_[0] = 0;
    from_[0] = -kInfinity;
    for (int64_t m = 1; m < count_; ++m) {
      const double height = value[m] * inverse_square_ + square_[m];
      double start;
      while (true) {
        const int64_t v = winner_[top];
        start = (height - (value[v] * inverse_square_ + square_[v])) *
                half_inverse_[position_int_[m] - position_int_[v]];
        if (start > from_[top]) break;  // from_[0] is -infinity
        --top;
      }
      ++top;
      winner_[top] = m;
      from_[top] = start;
    }
    from_[top + 1] = kInfinity;
    int64_t y = 0;
    for (int64_t t = 0; t <= top; ++t) {
      const int64_t v = winner_[t];
      const int64_t p = position_int_[v];
      const double base = value[v];
      const double limit = from_[t + 1];
      for (; y < n_ && static_cast<double>(y) <= limit; ++y)
        out[y] = base + step_square_[y < p ? p - y : y - p];
    }
  }

 private:
  int64_t n_;
  int64_t count_;
  double inverse_square_;
  std::vector<double> position_;
  std::vector<double> square_;
  std::vector<double> half_inverse_;  // 1 / (2 d)
  std::vector<int64_t> winner_;
  std::vector<double> from_;         // where winner_[t] begins to be lowest
  std::vector<double> step_square_;  // (d spacing)^2
  std::vector<int64_t> position_int_;
};

// Columns are handled in groups, so that memory is touched in whole cache lines.
constexpr int64_t kGroup = 8;

// Runs the envelope along an axis of `n` samples with stride `stride`, for columns [x0, x1) whose
// samples lie at data[x + stride * y]. Samples at the envelope's positions are read, all are
// written.
void TransformColumns(double* data, int64_t stride, int64_t n, const std::vector<int64_t>& position,
                      int64_t x0, int64_t x1, Envelope& envelope, std::vector<double>& scratch) {
  const int64_t count = static_cast<int64_t>(position.size());
  scratch.resize(static_cast<size_t>(kGroup * (count + n)));
  double* in = scratch.data();
  double* out = in + kGroup * count;
  for (int64_t x = x0; x < x1; x += kGroup) {
    const int64_t group = std::min(kGroup, x1 - x);
    for (int64_t m = 0; m < count; ++m) {
      const double* from = data + x + stride * position[m];
      for (int64_t c = 0; c < group; ++c) in[c * count + m] = from[c];
    }
    for (int64_t c = 0; c < group; ++c) envelope.Transform(in + c * count, out + c * n);
    for (int64_t y = 0; y < n; ++y) {
      double* to = data + x + stride * y;
      for (int64_t c = 0; c < group; ++c) to[c] = out[c * n + y];
    }
  }
}

// Squared in-slice distances; the slice must hold a feature.
void TransformSlice(const uint8_t* features, int64_t nx, int64_t ny, const Spacing3& spacing,
                    double* out) {
  std::vector<int64_t> rows;
  for (int64_t y = 0; y < ny; ++y)
    if (TransformRow(features + y * nx, nx, spacing[0], out + y * nx)) rows.push_back(y);
  if (ny == 1) return;
  Envelope envelope(rows, ny, spacing[1]);
  std::vector<double> scratch;
  TransformColumns(out, nx, ny, rows, 0, nx, envelope, scratch);
}

std::vector<int64_t> SlicesWithFeatures(const uint8_t* features, const Size3& size) {
  const int64_t area = size[0] * size[1];
  std::vector<int64_t> slices;
  for (int64_t k = 0; k < size[2]; ++k)
    if (NextFeature(features + k * area, 0, area) < area) slices.push_back(k);
  return slices;
}

}  // namespace

std::vector<double> SquaredDistanceTransform(const uint8_t* features, const Size3& size,
                                             const Spacing3& spacing, int threads) {
  threads = ResolveThreads(threads);
  std::vector<double> out(static_cast<size_t>(VoxelCount(size)), kInfinity);
  const int64_t area = size[0] * size[1];
  const std::vector<int64_t> slices = SlicesWithFeatures(features, size);
  if (slices.empty()) return out;
  ParallelFor(static_cast<int64_t>(slices.size()), threads, [&](int64_t n) {
    const int64_t offset = slices[n] * area;
    TransformSlice(features + offset, size[0], size[1], spacing, out.data() + offset);
  });
  if (size[2] > 1) {
    ParallelFor(size[1], threads, [&](int64_t y) {
      Envelope envelope(slices, size[2], spacing[2]);
      std::vector<double> scratch;
      TransformColumns(out.data(), area, size[2], slices, y * size[0], (y + 1) * size[0], envelope,
                       scratch);
    });
  }
  return out;
}

DistanceQuery::DistanceQuery(int threads) : threads_(ResolveThreads(threads)) {}
DistanceQuery::~DistanceQuery() = default;

void DistanceQuery::Build(const uint8_t* features, const Size3& size, const Spacing3& spacing) {
  size_ = size;
  spacing_ = spacing;
  const int64_t area = size[0] * size[1];
  slice_k_ = SlicesWithFeatures(features, size);
  const size_t needed = slice_k_.size() * static_cast<size_t>(area);
  if (needed > capacity_) {
    planes_.reset();
    planes_.reset(new double[needed]);
    capacity_ = needed;
  }
  ParallelFor(static_cast<int64_t>(slice_k_.size()), threads_, [&](int64_t n) {
    TransformSlice(features + slice_k_[n] * area, size[0], size[1], spacing,
                   planes_.get() + n * area);
  });
}

std::vector<double> DistanceQuery::DistancesAt(const std::vector<int64_t>& voxels) const {
  std::vector<double> out(voxels.size(), kInfinity);
  if (slice_k_.empty()) return out;
  const int64_t area = size_[0] * size_[1];
  // For each k, the first entry of slice_k_ that is not below it.
  std::vector<int64_t> first_at_or_above(static_cast<size_t>(size_[2]));
  int64_t n = 0;
  for (int64_t k = 0; k < size_[2]; ++k) {
    while (n < static_cast<int64_t>(slice_k_.size()) && slice_k_[n] < k) ++n;
    first_at_or_above[k] = n;
  }
  const int64_t slices = static_cast<int64_t>(slice_k_.size());
  constexpr int64_t kChunk = 4096;
  const int64_t total = static_cast<int64_t>(voxels.size());
  ParallelFor((total + kChunk - 1) / kChunk, threads_, [&](int64_t chunk) {
    const int64_t end = std::min(total, (chunk + 1) * kChunk);
    for (int64_t q = chunk * kChunk; q < end; ++q) {
      const int64_t k = voxels[q] / area;
      const double* column = planes_.get() + (voxels[q] - k * area);
      int64_t above = first_at_or_above[k];
      int64_t below = above - 1;
      double best = kInfinity;
      while (above < slices || below >= 0) {
        const int64_t up = above < slices ? slice_k_[above] - k : INT64_MAX;
        const int64_t down = below >= 0 ? k - slice_k_[below] : INT64_MAX;
        const int64_t plane = up <= down ? above++ : below--;
        const double step = Square(static_cast<double>(std::min(up, down)) * spacing_[2]);
        if (step >= best) break;
        best = std::min(best, column[plane * area] + step);
      }
      out[q] = std::sqrt(best);
    }
  });
  return out;
}

}  // namespace avocet::metrics
