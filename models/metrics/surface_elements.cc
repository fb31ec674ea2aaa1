// SPDX-License-Identifier: Apache-2.0
#include "models/metrics/surface_elements.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "models/metrics/parallel.h"

namespace avocet::metrics {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

using Vector3 = std::array<double, 3>;

// A cell configuration up to rotation, reflection and exchange of inside and outside: the marching
// cubes cases. `normals` are the absolute area vectors of its triangles for unit spacing, with
// triangles of the same direction added up. Which diagonal splits a bent polygon is a free choice
// of a triangulation; these are the choices of the published tables.
struct CubeCase {
  int code;  // bit di + 2 dj + 4 dk
  std::vector<Vector3> normals;
};

constexpr int Corner(int di, int dj, int dk) { return 1 << (di + 2 * dj + 4 * dk); }

const std::vector<CubeCase>& CubeCases() {
  static const std::vector<CubeCase> cases = {
      // One corner, and two or more corners that share no edge: a triangle for each.
      {Corner(1, 1, 1), {{0.125, 0.125, 0.125}}},
      {Corner(1, 1, 0) | Corner(1, 0, 1), {{0.25, 0.25, 0.25}}},
      {Corner(0, 1, 1) | Corner(1, 0, 0), {{0.25, 0.25, 0.25}}},
      {Corner(0, 1, 1) | Corner(1, 0, 1) | Corner(1, 1, 0), {{0.375, 0.375, 0.375}}},
      {Corner(0, 0, 1) | Corner(0, 1, 0) | Corner(1, 0, 0) | Corner(1, 1, 1), {{0.5, 0.5, 0.5}}},
      // An edge: a rectangle across it. Two opposite edges: two rectangles.
      {Corner(1, 1, 0) | Corner(1, 1, 1), {{0.5, 0.5, 0}}},
      {Corner(0, 1, 0) | Corner(0, 1, 1) | Corner(1, 0, 0) | Corner(1, 0, 1), {{1, 1, 0}}},
      // A face: a square.
      {Corner(1, 0, 0) | Corner(1, 0, 1) | Corner(1, 1, 0) | Corner(1, 1, 1), {{1, 0, 0}}},
      // Three corners of a face, without and with the corner opposite to the middle one.
      {Corner(1, 0, 1) | Corner(1, 1, 0) | Corner(1, 1, 1), {{0.5, 0, 0}, {0.375, 0.375, 0.375}}},
      {Corner(0, 1, 1) | Corner(1, 0, 0) | Corner(1, 0, 1) | Corner(1, 1, 0),
       {{0.5, 0, 0}, {0.5, 0.5, 0.5}}},
      // A corner and its three neighbours: a hexagon.
      {Corner(0, 1, 1) | Corner(1, 0, 1) | Corner(1, 1, 0) | Corner(1, 1, 1), {{0.75, 0.75, 0.75}}},
      // An edge and a corner away from it.
      {Corner(0, 1, 1) | Corner(1, 1, 1) | Corner(1, 0, 0), {{0, 0.5, 0.5}, {0.125, 0.125, 0.125}}},
      // A chain of three edges that leaves the plane.
      {Corner(0, 1, 1) | Corner(1, 1, 1) | Corner(1, 1, 0) | Corner(1, 0, 0),
       {{0, 0.25, 0.25}, {0.25, 0, 0.25}, {0.5, 0.5, 0.5}}},
  };
  return cases;
}

double Area(const std::vector<Vector3>& normals, const Spacing3& s) {
  double sum = 0;
  for (const Vector3& n : normals) {
    const double x = n[0] * s[1] * s[2], y = n[1] * s[0] * s[2], z = n[2] * s[0] * s[1];
    sum += std::sqrt(x * x + y * y + z * z);
  }
  return sum;
}

constexpr int kAxisOrders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                   {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};

// The code after the cell's axes are permuted (new axis a is old axis order[a]) and mirrored.
int Transformed(int code, const int order[3], int mirror) {
  int out = 0;
  for (int bit = 0; bit < 8; ++bit) {
    if (!(code >> bit & 1)) continue;
    const int d[3] = {bit & 1, bit >> 1 & 1, bit >> 2 & 1};
    int target = 0;
    for (int a = 0; a < 3; ++a) target |= (d[order[a]] ^ (mirror >> a & 1)) << a;
    out |= 1 << target;
  }
  return out;
}

// Neighbour codes of all corners of the padded mask's voxels; the corner grid is one smaller than
// the padded grid along each padded axis.
std::vector<uint8_t> CornerCodes(const std::vector<uint8_t>& mask, const Size3& size, int dims,
                                 const Size3& corners, int threads) {
  std::vector<uint8_t> codes(static_cast<size_t>(VoxelCount(corners)));
  const int64_t nx = size[0], area = size[0] * size[1];
  ParallelFor(corners[2], threads, [&](int64_t k) {
    for (int64_t j = 0; j < corners[1]; ++j) {
      const uint8_t* m = mask.data() + k * area + j * nx;
      uint8_t* out = codes.data() + (k * corners[1] + j) * corners[0];
      for (int64_t i = 0; i < corners[0]; ++i) {
        unsigned code = m[i] | m[i + 1] << 1 | m[i + nx] << 2 | m[i + nx + 1] << 3;
        if (dims == 3) {
          const uint8_t* up = m + area;
          code |=
              static_cast<unsigned>(up[i] | up[i + 1] << 1 | up[i + nx] << 2 | up[i + nx + 1] << 3)
              << 4;
        }
        out[i] = static_cast<uint8_t>(code);
      }
    }
  });
  return codes;
}

// 1 where the corner is a surface element.
std::vector<uint8_t> SurfaceOf(const std::vector<uint8_t>& codes, uint8_t full) {
  std::vector<uint8_t> surface(codes.size());
  for (size_t n = 0; n < codes.size(); ++n) surface[n] = codes[n] != 0 && codes[n] != full;
  return surface;
}

}  // namespace

std::array<double, 256> SurfaceAreaTable(const Spacing3& spacing) {
  std::array<double, 256> table{};
  for (const CubeCase& cube : CubeCases()) {
    for (const auto& order : kAxisOrders) {
      std::vector<Vector3> normals;
      for (const Vector3& n : cube.normals)
        normals.push_back({n[order[0]], n[order[1]], n[order[2]]});
      const double area = Area(normals, spacing);
      for (int mirror = 0; mirror < 8; ++mirror) {
        const int code = Transformed(cube.code, order, mirror);
        table[code] = area;
        table[255 - code] = area;
      }
    }
  }
  return table;
}

std::array<double, 16> ContourLengthTable(const Spacing3& spacing) {
  const double slant = 0.5 * std::hypot(spacing[0], spacing[1]);
  std::array<double, 16> table{};
  for (int code = 1; code < 15; ++code) {
    const int inside = (code & 1) + (code >> 1 & 1) + (code >> 2 & 1) + (code >> 3 & 1);
    if (inside != 2) {
      table[code] = slant;
    } else if (code == 0b0011 || code == 0b1100) {
      table[code] = spacing[0];  // the two neighbours along i: the contour runs along i
    } else if (code == 0b0101 || code == 0b1010) {
      table[code] = spacing[1];
    } else {
      table[code] = 2 * slant;
    }
  }
  return table;
}

SurfaceElements FindSurfaceElements(const MaskPair& masks, const Spacing3& spacing,
                                    DistanceQuery& query, int threads) {
  threads = ResolveThreads(threads);
  const Size3 corners = {masks.size[0] - 1, masks.size[1] - 1,
                         masks.dims == 3 ? masks.size[2] - 1 : masks.size[2]};
  const uint8_t full = masks.dims == 3 ? 0xFF : 0x0F;
  std::vector<double> area(256, 0.0);
  if (masks.dims == 3) {
    const auto table = SurfaceAreaTable(spacing);
    std::copy(table.begin(), table.end(), area.begin());
  } else {
    const auto table = ContourLengthTable(spacing);
    std::copy(table.begin(), table.end(), area.begin());
  }
  const auto p_codes = CornerCodes(masks.prediction, masks.size, masks.dims, corners, threads);
  const auto r_codes = CornerCodes(masks.reference, masks.size, masks.dims, corners, threads);
  const auto p_surface = SurfaceOf(p_codes, full);
  const auto r_surface = SurfaceOf(r_codes, full);

  SurfaceElements out;
  const auto measure = [&](const std::vector<uint8_t>& other, const std::vector<uint8_t>& own,
                           const std::vector<uint8_t>& codes, std::vector<SurfaceElement>& list) {
    const std::vector<int64_t> where = IndicesOf(own);
    query.Build(other.data(), corners, spacing);
    const std::vector<double> distance = query.DistancesAt(where);
    list.resize(where.size());
    for (size_t n = 0; n < where.size(); ++n) list[n] = {distance[n], area[codes[where[n]]]};
    std::sort(list.begin(), list.end(), [](const SurfaceElement& a, const SurfaceElement& b) {
      return a.distance != b.distance ? a.distance < b.distance : a.area < b.area;
    });
  };
  measure(r_surface, p_surface, p_codes, out.prediction);
  measure(p_surface, r_surface, r_codes, out.reference);
  return out;
}

double TotalArea(const std::vector<SurfaceElement>& elements) {
  double sum = 0;
  for (const SurfaceElement& e : elements) sum += e.area;
  return sum;
}

double RobustHausdorff(const SurfaceElements& s, double percent) {
  const auto directed = [&](const std::vector<SurfaceElement>& elements) {
    if (elements.empty()) return kInfinity;
    const double total = TotalArea(elements);
    double sum = 0;
    for (const SurfaceElement& e : elements) {
      sum += e.area;
      if (sum / total >= percent / 100.0) return e.distance;
    }
    return elements.back().distance;
  };
  return std::max(directed(s.prediction), directed(s.reference));
}

double AverageDistance(const std::vector<SurfaceElement>& elements) {
  if (elements.empty()) return kNan;
  double sum = 0;
  for (const SurfaceElement& e : elements) sum += e.distance * e.area;
  return sum / TotalArea(elements);
}

namespace {
double AreaWithin(const std::vector<SurfaceElement>& elements, double tolerance) {
  double sum = 0;
  for (const SurfaceElement& e : elements)
    if (e.distance <= tolerance) sum += e.area;
  return sum;
}
}  // namespace

double SurfaceDiceByArea(const SurfaceElements& s, double tolerance) {
  if (s.prediction.empty() && s.reference.empty()) return kNan;
  return (AreaWithin(s.prediction, tolerance) + AreaWithin(s.reference, tolerance)) /
         (TotalArea(s.prediction) + TotalArea(s.reference));
}

double SurfaceOverlap(const std::vector<SurfaceElement>& elements, double tolerance) {
  if (elements.empty()) return kNan;
  return AreaWithin(elements, tolerance) / TotalArea(elements);
}

}  // namespace avocet::metrics
