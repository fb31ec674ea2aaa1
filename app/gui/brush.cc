// SPDX-License-Identifier: Apache-2.0
#include "app/gui/brush.h"

#include <algorithm>
#include <cmath>

namespace avocet::gui {
namespace {

void Stamp(const io::Geometry& g, const SlicePlane& plane, const Vec3& centre, double radius,
           std::vector<size_t>& voxels) {
  const Vec3 normal = Cross(plane.right, plane.down);
  // A voxel belongs to the slice when its centre is nearer to it than to its neighbour.
  const double half_step = std::abs(Dot(plane.step, normal)) / 2 + 1e-6;
  const auto middle = g.IndexFromPhysical(centre);
  std::array<int64_t, 3> low{}, high{};
  for (int a = 0; a < 3; ++a) {
    const double reach = radius / g.spacing[a] + 1;
    low[a] = std::max<int64_t>(0, static_cast<int64_t>(std::floor(middle[a] - reach)));
    high[a] = std::min<int64_t>(g.size[a] - 1, static_cast<int64_t>(std::ceil(middle[a] + reach)));
  }
  for (int64_t k = low[2]; k <= high[2]; ++k) {
    for (int64_t j = low[1]; j <= high[1]; ++j) {
      for (int64_t i = low[0]; i <= high[0]; ++i) {
        const Vec3 x = g.PhysicalFromIndex(
            {static_cast<double>(i), static_cast<double>(j), static_cast<double>(k)});
        const Vec3 offset = Subtract(x, centre);
        if (std::abs(Dot(offset, normal)) >= half_step) continue;
        const double u = Dot(offset, plane.right);
        const double v = Dot(offset, plane.down);
        const bool here = i == std::llround(middle[0]) && j == std::llround(middle[1]) &&
                          k == std::llround(middle[2]);
        if (u * u + v * v > radius * radius && !here) continue;
        voxels.push_back(static_cast<size_t>((k * g.size[1] + j) * g.size[0] + i));
      }
    }
  }
}

}  // namespace

std::vector<size_t> BrushVoxels(const io::Geometry& grid, const SlicePlane& plane, const Vec3& from,
                                const Vec3& to, double diameter_mm) {
  std::vector<size_t> voxels;
  const double radius = diameter_mm / 2;
  const Vec3 way = Subtract(to, from);
  // Half a radius apart: no gaps, and an edge that looks straight.
  const int steps = std::max(1, static_cast<int>(std::ceil(Norm(way) / std::max(radius / 2, 0.1))));
  for (int s = 0; s <= steps; ++s) {
    Stamp(grid, plane, Add(from, Scale(way, static_cast<double>(s) / steps)), radius, voxels);
  }
  return voxels;
}

}  // namespace avocet::gui
