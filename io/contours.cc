// SPDX-License-Identifier: Apache-2.0
#include "io/contours.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

namespace avocet::io {
namespace {

// A corner of pixels: (x, y) is the corner above and to the left of pixel (x, y).
struct Corner {
  int x = 0;
  int y = 0;
  bool operator==(const Corner& other) const { return x == other.x && y == other.y; }
};

// Directions: 0 right, 1 down, 2 left, 3 up. The inside lies on the right hand.
constexpr int kStepX[] = {1, 0, -1, 0};
constexpr int kStepY[] = {0, 1, 0, -1};

class Tracer {
 public:
  Tracer(const std::vector<uint8_t>& inside, int rows, int columns)
      : inside_(inside), rows_(rows), columns_(columns) {
    used_.resize(static_cast<size_t>(rows_) * columns_);
  }

  // One loop for each outer outline (clockwise on the screen) and each hole (the other way round).
  std::vector<std::vector<Corner>> Loops() {
    std::vector<std::vector<Corner>> loops;
    for (int y = 0; y < rows_; ++y)
      for (int x = 0; x < columns_; ++x)
        // The upper edges of pixels: every loop has one.
        if (At(x, y) && !At(x, y - 1) && !used_[Index(x, y)]) loops.push_back(Trace(x, y));
    // Holes have upper edges too (the lower side of the hole), so that nothing is missed.
    return loops;
  }

 private:
  bool At(int x, int y) const {
    return x >= 0 && y >= 0 && x < columns_ && y < rows_ && inside_[Index(x, y)] != 0;
  }
  size_t Index(int x, int y) const { return static_cast<size_t>(y) * columns_ + x; }

  // Whether the pixels to the right and left of the edge that leaves `c` in `direction` are inside.
  bool RightOf(const Corner& c, int direction) const {
    static constexpr int kX[] = {0, -1, -1, 0};
    static constexpr int kY[] = {0, 0, -1, -1};
    return At(c.x + kX[direction], c.y + kY[direction]);
  }
  bool LeftOf(const Corner& c, int direction) const {
    static constexpr int kX[] = {0, 0, -1, -1};
    static constexpr int kY[] = {-1, 0, 0, -1};
    return At(c.x + kX[direction], c.y + kY[direction]);
  }

  std::vector<Corner> Trace(int x, int y) {
    const Corner start{x, y};
    Corner at = start;
    int direction = 0;
    std::vector<Corner> loop;
    do {
      if (direction == 0) used_[Index(at.x, at.y)] = true;
      at.x += kStepX[direction];
      at.y += kStepY[direction];
      // Sharpest turn to the inside first: pixels that touch at a corner stay apart.
      int next = direction;
      for (const int turn : {1, 0, 3}) {
        next = (direction + turn) % 4;
        if (RightOf(at, next) && !LeftOf(at, next)) break;
      }
      if (next != direction) loop.push_back(at);
      direction = next;
    } while (!(at == start && direction == 0));
    return loop;
  }

  const std::vector<uint8_t>& inside_;
  int rows_;
  int columns_;
  std::vector<bool> used_;
};

// Twice the signed area; positive for outlines traced clockwise on the screen (y down).
int64_t SignedArea(const std::vector<Corner>& loop) {
  int64_t sum = 0;
  for (size_t i = 0; i < loop.size(); ++i) {
    const Corner& a = loop[i];
    const Corner& b = loop[(i + 1) % loop.size()];
    sum += static_cast<int64_t>(a.x) * b.y - static_cast<int64_t>(b.x) * a.y;
  }
  return sum;
}

Polygon ToPolygon(const std::vector<Corner>& loop) {
  Polygon polygon;
  for (const Corner& corner : loop) polygon.push_back({corner.x - 0.5, corner.y - 0.5});
  return polygon;
}

// A vertical edge of a polygon, found by a ray to the left.
struct Hit {
  size_t polygon = 0;
  size_t edge = 0;  // from this vertex to the next one
  double x = 0;
};

// The nearest edge of `polygons` to the left of (x, y).
bool CastLeft(const std::vector<Polygon>& polygons, double x, double y, Hit& hit) {
  bool found = false;
  for (size_t p = 0; p < polygons.size(); ++p) {
    const Polygon& polygon = polygons[p];
    for (size_t i = 0; i < polygon.size(); ++i) {
      const auto& a = polygon[i];
      const auto& b = polygon[(i + 1) % polygon.size()];
      if (a[0] != b[0] || a[0] >= x || (a[1] > y) == (b[1] > y)) continue;
      if (!found || a[0] > hit.x) hit = {p, i, a[0]};
      found = true;
    }
  }
  return found;
}

}  // namespace

std::vector<Polygon> OutlinePolygons(const std::vector<uint8_t>& inside, int rows, int columns) {
  std::vector<Polygon> outlines;
  std::vector<std::vector<Corner>> holes;
  for (auto& loop : Tracer(inside, rows, columns).Loops()) {
    if (SignedArea(loop) > 0) {
      outlines.push_back(ToPolygon(loop));
    } else {
      holes.push_back(std::move(loop));
    }
  }
  // From left to right: what lies to the left of a hole is then already part of an outline.
  const auto left = [](const std::vector<Corner>& loop) {
    return std::min_element(loop.begin(), loop.end(),
                            [](const Corner& a, const Corner& b) { return a.x < b.x; })
        ->x;
  };
  std::stable_sort(holes.begin(), holes.end(),
                   [&](const auto& a, const auto& b) { return left(a) < left(b); });
  for (const auto& hole : holes) {
    const Polygon loop = ToPolygon(hole);
    // The middle part of the hole's leftmost edge; a quarter keeps off the pixels' centres.
    size_t edge = 0;
    for (size_t i = 0; i < loop.size(); ++i)
      if (loop[i][0] == loop[(i + 1) % loop.size()][0] &&
          (loop[edge][0] != loop[(edge + 1) % loop.size()][0] || loop[i][0] < loop[edge][0]))
        edge = i;
    const double x = loop[edge][0];
    const double y = std::min(loop[edge][1], loop[(edge + 1) % loop.size()][1]) + 0.25;
    Hit hit;
    if (!CastLeft(outlines, x, y, hit)) {  // cannot be: a hole is surrounded
      outlines.push_back(loop);
      continue;
    }
    Polygon channel{{hit.x, y}, {x, y}};
    for (size_t i = 1; i <= loop.size(); ++i) channel.push_back(loop[(edge + i) % loop.size()]);
    channel.push_back({x, y});
    channel.push_back({hit.x, y});
    Polygon& outline = outlines[hit.polygon];
    outline.insert(outline.begin() + static_cast<long>(hit.edge) + 1, channel.begin(),
                   channel.end());
  }
  return outlines;
}

void FlipInside(const Polygon& polygon, int rows, int columns, std::vector<uint8_t>& plane) {
  if (polygon.size() < 3) return;
  double low = polygon[0][1];
  double high = low;
  for (const auto& point : polygon) {
    low = std::min(low, point[1]);
    high = std::max(high, point[1]);
  }
  if (!(high >= 0 && low <= rows - 1)) return;
  const int first = static_cast<int>(std::max(0.0, std::ceil(low)));
  const int last = static_cast<int>(std::min(rows - 1.0, std::floor(high)));
  // Edges by the rows that they cross, so that long contours cost no more than their length.
  std::vector<std::vector<double>> crossings(static_cast<size_t>(std::max(0, last - first + 1)));
  for (size_t i = 0; i < polygon.size(); ++i) {
    auto a = polygon[i];
    auto b = polygon[(i + 1) % polygon.size()];
    if (a[1] > b[1]) std::swap(a, b);
    // Rows y with a.y <= y < b.y: a vertex counts once.
    const int from = static_cast<int>(std::max<double>(first, std::ceil(a[1])));
    const int to = static_cast<int>(std::min<double>(last, std::ceil(b[1]) - 1));
    for (int y = from; y <= to; ++y)
      crossings[static_cast<size_t>(y - first)].push_back(a[0] + (y - a[1]) / (b[1] - a[1]) *
                                                                     (b[0] - a[0]));
  }
  for (int y = first; y <= last; ++y) {
    auto& xs = crossings[static_cast<size_t>(y - first)];
    std::sort(xs.begin(), xs.end());
    for (size_t i = 0; i + 1 < xs.size(); i += 2) {
      const double from = std::max(0.0, std::ceil(xs[i]));
      const double to = std::min(static_cast<double>(columns), std::ceil(xs[i + 1]));
      for (double x = from; x < to; ++x)
        plane[static_cast<size_t>(y) * columns + static_cast<size_t>(x)] ^= 1;
    }
  }
}

}  // namespace avocet::io
