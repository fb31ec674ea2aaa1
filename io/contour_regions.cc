// SPDX-License-Identifier: Apache-2.0
#include "io/contour_regions.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace avocet::io {
namespace {

// Contours nowhere farther apart, in pixels, are one contour. A ring of this width holds no pixel
// that a person drew.
constexpr double kCoincide = 0.25;
// Rounded digits of two contours that share an edge, in pixels.
constexpr double kTouch = 0.05;
// Points at which a contour is compared with another: this far apart, but no more than so many.
constexpr double kStep = 0.25;
constexpr double kMostSteps = 8192;
constexpr int kMostBuckets = 4096;

using Point = std::array<double, 2>;

double Squared(double x) { return x * x; }

double DistanceToSegment(const Point& p, const Point& a, const Point& b) {
  const double dx = b[0] - a[0];
  const double dy = b[1] - a[1];
  const double length = dx * dx + dy * dy;
  double t = length > 0 ? ((p[0] - a[0]) * dx + (p[1] - a[1]) * dy) / length : 0;
  t = std::clamp(t, 0.0, 1.0);
  return std::sqrt(Squared(p[0] - a[0] - t * dx) + Squared(p[1] - a[1] - t * dy));
}

// A polygon whose edges are found by the rows that they cross.
class Outline {
 public:
  // `order`: of the contour in its file.
  Outline(const Polygon& polygon, size_t order) : order_(order), points_(polygon) {
    low_ = high_ = points_[0];
    double perimeter = 0;
    double area = 0;
    for (size_t i = 0; i < points_.size(); ++i) {
      const Point& a = points_[i];
      const Point& b = points_[(i + 1) % points_.size()];
      for (size_t c = 0; c < 2; ++c) {
        low_[c] = std::min(low_[c], a[c]);
        high_[c] = std::max(high_[c], a[c]);
      }
      perimeter += std::sqrt(Squared(b[0] - a[0]) + Squared(b[1] - a[1]));
      area += a[0] * b[1] - b[0] * a[1];
    }
    area_ = std::abs(area) / 2;
    step_ = std::max(kStep, perimeter / kMostSteps);
    // Rows as low as a pixel, unless long edges would then stand in too many of them.
    height_ = std::max(1.0, (high_[1] - low_[1]) / kMostBuckets);
    while (EntriesIn(height_) > 16.0 * static_cast<double>(points_.size()) + 65536) height_ *= 4;
    buckets_.resize(static_cast<size_t>((high_[1] - low_[1]) / height_) + 1);
    for (size_t i = 0; i < points_.size(); ++i) {
      const double y0 = points_[i][1];
      const double y1 = points_[(i + 1) % points_.size()][1];
      for (size_t b = Bucket(std::min(y0, y1)); b <= Bucket(std::max(y0, y1)); ++b)
        buckets_[b].push_back(i);
    }
  }

  const Point& low() const { return low_; }
  const Point& high() const { return high_; }
  double area() const { return area_; }
  size_t order() const { return order_; }
  const Polygon& points() const { return points_; }

  // By the even-odd rule.
  bool Contains(const Point& p) const {
    if (p[1] < low_[1] || p[1] > high_[1] || p[0] < low_[0] || p[0] > high_[0]) return false;
    bool inside = false;
    for (const size_t i : buckets_[Bucket(p[1])]) {
      const Point& a = points_[i];
      const Point& b = points_[(i + 1) % points_.size()];
      if ((a[1] > p[1]) == (b[1] > p[1])) continue;
      if (a[0] + (p[1] - a[1]) / (b[1] - a[1]) * (b[0] - a[0]) > p[0]) inside = !inside;
    }
    return inside;
  }

  // True when the outline passes within `distance` of the point.
  bool Passes(const Point& p, double distance) const {
    if (p[1] < low_[1] - distance || p[1] > high_[1] + distance || p[0] < low_[0] - distance ||
        p[0] > high_[0] + distance)
      return false;
    for (size_t b = Bucket(p[1] - distance); b <= Bucket(p[1] + distance); ++b)
      for (const size_t i : buckets_[b])
        if (DistanceToSegment(p, points_[i], points_[(i + 1) % points_.size()]) <= distance)
          return true;
    return false;
  }

  // Calls f with points all along the outline until it returns false; true when it never did.
  template <typename F>
  bool EveryPoint(F&& f) const {
    for (size_t i = 0; i < points_.size(); ++i) {
      const Point& a = points_[i];
      const Point& b = points_[(i + 1) % points_.size()];
      const double length = std::sqrt(Squared(b[0] - a[0]) + Squared(b[1] - a[1]));
      const int steps = std::max(1, static_cast<int>(std::ceil(length / step_)));
      for (int s = 0; s < steps; ++s) {
        const double t = static_cast<double>(s) / steps;
        if (!f(Point{a[0] + t * (b[0] - a[0]), a[1] + t * (b[1] - a[1])})) return false;
      }
    }
    return true;
  }

 private:
  // Entries of all edges in rows of that height.
  double EntriesIn(double height) const {
    double entries = 0;
    for (size_t i = 0; i < points_.size(); ++i)
      entries += 1 + std::abs(points_[(i + 1) % points_.size()][1] - points_[i][1]) / height;
    return entries;
  }

  size_t Bucket(double y) const {
    const double row = std::floor((y - low_[1]) / height_);
    return static_cast<size_t>(std::clamp(row, 0.0, static_cast<double>(buckets_.size() - 1)));
  }

  size_t order_;
  Polygon points_;
  Point low_{}, high_{};
  double area_ = 0;
  double step_ = kStep;
  double height_ = 1;
  std::vector<std::vector<size_t>> buckets_;  // edges by their first point
};

bool BoxesMeet(const Outline& a, const Outline& b) {
  for (size_t c = 0; c < 2; ++c)
    if (a.low()[c] > b.high()[c] || b.low()[c] > a.high()[c]) return false;
  return true;
}

bool Coincide(const Outline& a, const Outline& b) {
  for (size_t c = 0; c < 2; ++c)
    if (std::abs(a.low()[c] - b.low()[c]) > kCoincide ||
        std::abs(a.high()[c] - b.high()[c]) > kCoincide)
      return false;
  return a.EveryPoint([&](const Point& p) { return b.Passes(p, kCoincide); }) &&
         b.EveryPoint([&](const Point& p) { return a.Passes(p, kCoincide); });
}

// True when some of the outline of `b` runs well inside `a`.
bool EntersInto(const Outline& b, const Outline& a) {
  return !b.EveryPoint([&](const Point& p) { return !a.Contains(p) || a.Passes(p, kTouch); });
}

// True when `b` runs inside `a` all along, though it may touch it.
bool IsInside(const Outline& b, const Outline& a) {
  for (size_t c = 0; c < 2; ++c)
    if (b.low()[c] < a.low()[c] - kTouch || b.high()[c] > a.high()[c] + kTouch) return false;
  return b.EveryPoint([&](const Point& p) { return a.Contains(p) || a.Passes(p, kTouch); }) &&
         EntersInto(b, a);
}

// A contour that runs around twice would cancel itself: its first round. Points that repeat the
// first one are closing points.
Polygon OneRound(Polygon polygon, bool& twice) {
  while (polygon.size() > 3 && polygon.front() == polygon.back()) polygon.pop_back();
  const size_t half = polygon.size() / 2;
  twice = polygon.size() % 2 == 0 && half >= 3;
  for (size_t i = 0; twice && i < half; ++i)
    for (size_t c = 0; c < 2; ++c)
      if (std::abs(polygon[i][c] - polygon[i + half][c]) > kCoincide) twice = false;
  if (twice) polygon.resize(half);
  return polygon;
}

// The pixels of a contour within its own box.
struct Patch {
  int left = 0, top = 0, columns = 0, rows = 0;
  std::vector<uint8_t> inside;
};

Patch Fill(const Outline& outline, int rows, int columns) {
  Patch patch;
  const double left = std::max(0.0, std::floor(outline.low()[0]));
  const double top = std::max(0.0, std::floor(outline.low()[1]));
  const double right = std::min(columns - 1.0, std::ceil(outline.high()[0]));
  const double bottom = std::min(rows - 1.0, std::ceil(outline.high()[1]));
  if (left > right || top > bottom) return patch;
  patch.left = static_cast<int>(left);
  patch.top = static_cast<int>(top);
  patch.columns = static_cast<int>(right) - patch.left + 1;
  patch.rows = static_cast<int>(bottom) - patch.top + 1;
  patch.inside.resize(static_cast<size_t>(patch.rows) * static_cast<size_t>(patch.columns));
  Polygon moved = outline.points();
  for (Point& point : moved) {
    point[0] -= patch.left;
    point[1] -= patch.top;
  }
  FlipInside(moved, patch.rows, patch.columns, patch.inside);
  return patch;
}

// Takes the pixels of `hole` out of `patch`.
void Subtract(const Patch& hole, Patch& patch) {
  const int left = std::max(hole.left, patch.left);
  const int right = std::min(hole.left + hole.columns, patch.left + patch.columns);
  const int top = std::max(hole.top, patch.top);
  const int bottom = std::min(hole.top + hole.rows, patch.top + patch.rows);
  for (int y = top; y < bottom; ++y)
    for (int x = left; x < right; ++x)
      if (hole.inside[static_cast<size_t>(y - hole.top) * static_cast<size_t>(hole.columns) +
                      static_cast<size_t>(x - hole.left)])
        patch.inside[static_cast<size_t>(y - patch.top) * static_cast<size_t>(patch.columns) +
                     static_cast<size_t>(x - patch.left)] = 0;
}

// The contours of one plane that are not combined by exclusive or.
class Region {
 public:
  Region(const std::vector<PlaneContour>& contours, int rows, int columns)
      : rows_(rows), columns_(columns) {
    for (const PlaneContour& contour : contours) {
      if (contour.exclusive_or || contour.polygon.size() < 3) continue;
      bool twice = false;
      outlines_.emplace_back(OneRound(contour.polygon, twice), outlines_.size());
      counts_.duplicates += twice;
    }
    // From the smallest to the largest: what lies inside a contour comes before it.
    std::stable_sort(outlines_.begin(), outlines_.end(),
                     [](const Outline& a, const Outline& b) { return a.area() < b.area(); });
  }

  RegionCounts FillInto(std::vector<uint8_t>& plane) {
    Relate();
    std::vector<Patch> patches(outlines_.size());
    std::vector<bool> inner(outlines_.size());
    for (size_t i = 0; i < outlines_.size(); ++i) {
      patches[i] = Fill(outlines_[i], rows_, columns_);
      // The largest contours inside are holes; those inside these belong to them.
      std::vector<bool> deeper(outlines_.size());
      for (auto j = inside_[i].rbegin(); j != inside_[i].rend(); ++j) {
        inner[*j] = true;
        if (deeper[*j]) continue;
        Subtract(patches[*j], patches[i]);
        for (const size_t k : inside_[*j]) deeper[k] = true;
      }
    }
    for (size_t i = 0; i < outlines_.size(); ++i) {
      counts_.holes += inner[i];
      if (inner[i]) continue;
      const Patch& patch = patches[i];
      for (int y = 0; y < patch.rows; ++y)
        for (int x = 0; x < patch.columns; ++x)
          plane[static_cast<size_t>(patch.top + y) * static_cast<size_t>(columns_) +
                static_cast<size_t>(patch.left + x)] |=
              patch.inside[static_cast<size_t>(y) * static_cast<size_t>(patch.columns) +
                           static_cast<size_t>(x)];
    }
    return counts_;
  }

 private:
  // Which contours lie inside which, and which overlap.
  void Relate() {
    DropDuplicates();
    inside_.resize(outlines_.size());
    std::vector<bool> overlaps(outlines_.size());
    for (size_t i = 0; i < outlines_.size(); ++i) {
      for (size_t j = 0; j < i; ++j) {
        if (!BoxesMeet(outlines_[i], outlines_[j])) continue;
        if (IsInside(outlines_[j], outlines_[i])) {
          inside_[i].push_back(j);
        } else if (EntersInto(outlines_[j], outlines_[i]) ||
                   EntersInto(outlines_[i], outlines_[j])) {
          overlaps[i] = overlaps[j] = true;
        }
      }
    }
    counts_.overlaps += static_cast<int>(std::count(overlaps.begin(), overlaps.end(), true));
  }

  // Of contours that coincide the first in the file counts.
  void DropDuplicates() {
    std::vector<bool> dropped(outlines_.size());
    for (size_t i = 0; i < outlines_.size(); ++i) {
      for (size_t j = 0; j < i && !dropped[i]; ++j) {
        if (dropped[j] || !Coincide(outlines_[j], outlines_[i])) continue;
        dropped[outlines_[j].order() < outlines_[i].order() ? i : j] = true;
        ++counts_.duplicates;
      }
    }
    std::vector<Outline> kept;
    for (size_t i = 0; i < outlines_.size(); ++i)
      if (!dropped[i]) kept.push_back(std::move(outlines_[i]));
    outlines_ = std::move(kept);
  }

  int rows_;
  int columns_;
  std::vector<Outline> outlines_;
  std::vector<std::vector<size_t>> inside_;  // for each contour those inside it, smallest first
  RegionCounts counts_;
};

}  // namespace

RegionCounts FillRegion(const std::vector<PlaneContour>& contours, int rows, int columns,
                        std::vector<uint8_t>& plane) {
  std::vector<uint8_t> exclusive;
  for (const PlaneContour& contour : contours) {
    if (!contour.exclusive_or) continue;
    if (exclusive.empty()) exclusive.resize(plane.size());
    FlipInside(contour.polygon, rows, columns, exclusive);
  }
  for (size_t p = 0; p < exclusive.size(); ++p) plane[p] |= exclusive[p];
  return Region(contours, rows, columns).FillInto(plane);
}

}  // namespace avocet::io
