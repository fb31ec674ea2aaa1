// SPDX-License-Identifier: Apache-2.0
#include "io/surface.h"

#include <algorithm>
#include <cmath>
#include <unordered_map>

#include "app/base/error.h"
#include "io/marching_cubes.h"

namespace avocet::io {
namespace {

using Vec3 = std::array<double, 3>;

Vec3 Minus(const Vec3& a, const Vec3& b) { return {a[0] - b[0], a[1] - b[1], a[2] - b[2]}; }
Vec3 Cross(const Vec3& a, const Vec3& b) {
  return {a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]};
}
double Dot(const Vec3& a, const Vec3& b) { return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]; }

// Voxels of the label's bounding box, with one voxel of outside around.
struct Box {
  std::array<int64_t, 3> low;   // may be -1
  std::array<int64_t, 3> size;  // with the margin
};

bool FindBox(const std::vector<uint16_t>& labels, const std::array<int64_t, 3>& size, int label,
             Box& box, int64_t& count) {
  std::array<int64_t, 3> low = size;
  std::array<int64_t, 3> high{-1, -1, -1};
  count = 0;
  size_t n = 0;
  for (int64_t k = 0; k < size[2]; ++k)
    for (int64_t j = 0; j < size[1]; ++j)
      for (int64_t i = 0; i < size[0]; ++i, ++n) {
        if (labels[n] != label) continue;
        ++count;
        const std::array<int64_t, 3> at{i, j, k};
        for (int a = 0; a < 3; ++a) {
          low[a] = std::min(low[a], at[a]);
          high[a] = std::max(high[a], at[a]);
        }
      }
  if (count == 0) return false;
  for (int a = 0; a < 3; ++a) {
    box.low[a] = low[a] - 1;
    box.size[a] = high[a] - low[a] + 3;
  }
  return true;
}

// Vertices in index coordinates.
void March(const std::vector<uint16_t>& labels, const std::array<int64_t, 3>& size, int label,
           const Box& box, Surface& surface) {
  const CubeTable& table = MarchingCubes();
  const auto inside = [&](int64_t i, int64_t j, int64_t k) {
    return i >= 0 && j >= 0 && k >= 0 && i < size[0] && j < size[1] && k < size[2] &&
           labels[static_cast<size_t>((k * size[1] + j) * size[0] + i)] == label;
  };
  // A vertex is known by the low corner of its edge and the edge's axis.
  std::unordered_map<uint64_t, uint32_t> vertex_of_edge;
  for (int64_t k = 0; k + 1 < box.size[2]; ++k)
    for (int64_t j = 0; j + 1 < box.size[1]; ++j)
      for (int64_t i = 0; i + 1 < box.size[0]; ++i) {
        const std::array<int64_t, 3> at{box.low[0] + i, box.low[1] + j, box.low[2] + k};
        size_t cube = 0;
        for (int c = 0; c < 8; ++c)
          if (inside(at[0] + (c & 1), at[1] + (c >> 1 & 1), at[2] + (c >> 2 & 1)))
            cube |= size_t{1} << c;
        for (const auto& edges : table.triangles[cube]) {
          std::array<uint32_t, 3> triangle{};
          for (int corner = 0; corner < 3; ++corner) {
            const auto& ends = table.corners_of_edge[edges[corner]];
            const int axis = edges[corner] / 4;
            const std::array<int64_t, 3> from{i + (ends[0] & 1), j + (ends[0] >> 1 & 1),
                                              k + (ends[0] >> 2 & 1)};
            const auto key = static_cast<uint64_t>(
                ((from[2] * box.size[1] + from[1]) * box.size[0] + from[0]) * 3 + axis);
            const auto [found, added] =
                vertex_of_edge.emplace(key, static_cast<uint32_t>(surface.vertices.size()));
            if (added) {
              Vec3 vertex{};
              for (int a = 0; a < 3; ++a)
                vertex[a] = static_cast<double>(box.low[a] + from[a]) + (a == axis ? 0.5 : 0.0);
              surface.vertices.push_back(vertex);
            }
            triangle[corner] = found->second;
          }
          surface.triangles.push_back(triangle);
        }
      }
}

// Neighbours of each vertex, once each, in one list with offsets.
struct Neighbours {
  std::vector<uint32_t> list;
  std::vector<size_t> start;
};

Neighbours FindNeighbours(const Surface& surface) {
  std::vector<std::pair<uint32_t, uint32_t>> edges;
  edges.reserve(surface.triangles.size() * 3);
  // In a closed mesh each edge is walked once in each direction.
  for (const auto& t : surface.triangles)
    for (int c = 0; c < 3; ++c) edges.emplace_back(t[c], t[(c + 1) % 3]);
  std::sort(edges.begin(), edges.end());
  edges.erase(std::unique(edges.begin(), edges.end()), edges.end());
  Neighbours neighbours;
  neighbours.start.assign(surface.vertices.size() + 1, 0);
  for (const auto& edge : edges) ++neighbours.start[edge.first + 1];
  for (size_t i = 0; i < surface.vertices.size(); ++i)
    neighbours.start[i + 1] += neighbours.start[i];
  for (const auto& edge : edges) neighbours.list.push_back(edge.second);
  return neighbours;
}

// In index coordinates, so that half a voxel is 0.5 along each axis.
void Smooth(Surface& surface, int rounds) {
  const Neighbours neighbours = FindNeighbours(surface);
  const std::vector<Vec3> home = surface.vertices;
  std::vector<Vec3> moved(home.size());
  const double kShrink = 0.5;
  const double kGrow = -0.526;  // pass band 0.1
  for (int step = 0; step < 2 * rounds; ++step) {
    const double factor = step % 2 == 0 ? kShrink : kGrow;
    for (size_t v = 0; v < home.size(); ++v) {
      const size_t first = neighbours.start[v];
      const size_t last = neighbours.start[v + 1];
      Vec3 mean{};
      for (size_t n = first; n < last; ++n)
        for (int a = 0; a < 3; ++a) mean[a] += surface.vertices[neighbours.list[n]][a];
      for (int a = 0; a < 3; ++a) {
        const double here = surface.vertices[v][a];
        const double target = here + factor * (mean[a] / static_cast<double>(last - first) - here);
        moved[v][a] = std::clamp(target, home[v][a] - 0.5, home[v][a] + 0.5);
      }
    }
    surface.vertices.swap(moved);
  }
}

// Moves all vertices along their normals by the same distance, a few times, until the volume fits.
// No step is longer than `longest`: smoothing makes a part of one voxel tiny, and the first guess
// from its tiny area would shoot far beyond.
void FitVolume(Surface& surface, double volume, double longest) {
  for (int round = 0; round < 24; ++round) {
    const double missing = volume - surface.Volume();
    const double area = surface.Area();
    if (!(area > 0) || std::abs(missing) < 1e-5 * volume) return;
    const double distance = std::clamp(missing / area, -longest, longest);
    std::vector<Vec3> normals(surface.vertices.size());
    for (const auto& t : surface.triangles) {
      const Vec3 normal =
          Cross(Minus(surface.vertices[t[1]], surface.vertices[t[0]]),
                Minus(surface.vertices[t[2]], surface.vertices[t[0]]));  // weighted by area
      for (const uint32_t v : t)
        for (int a = 0; a < 3; ++a) normals[v][a] += normal[a];
    }
    for (size_t v = 0; v < normals.size(); ++v) {
      const double length = std::sqrt(Dot(normals[v], normals[v]));
      if (!(length > 0)) continue;
      for (int a = 0; a < 3; ++a) surface.vertices[v][a] += distance * normals[v][a] / length;
    }
  }
}

}  // namespace

double Surface::Volume() const {
  double sum = 0;
  if (vertices.empty()) return 0;
  const Vec3& origin = vertices[0];  // near the mesh: less is lost to rounding
  for (const auto& t : triangles)
    sum += Dot(Minus(vertices[t[0]], origin),
               Cross(Minus(vertices[t[1]], origin), Minus(vertices[t[2]], origin)));
  return sum / 6;
}

double Surface::Area() const {
  double sum = 0;
  for (const auto& t : triangles) {
    const Vec3 normal =
        Cross(Minus(vertices[t[1]], vertices[t[0]]), Minus(vertices[t[2]], vertices[t[0]]));
    sum += std::sqrt(Dot(normal, normal)) / 2;
  }
  return sum;
}

Surface SurfaceOfLabel(const io::Volume& labels, int label, const SurfaceOptions& options) {
  const std::vector<uint16_t> values = labels.ToLabels("the mask");
  const Geometry& g = labels.geometry;
  Surface surface;
  surface.label = label;
  surface.name = "label " + std::to_string(label);
  Box box{};
  int64_t count = 0;
  if (label <= 0 || !FindBox(values, g.size, label, box, count)) return surface;
  March(values, g.size, label, box, surface);
  if (options.smoothing > 0) Smooth(surface, options.smoothing);
  for (Vec3& vertex : surface.vertices) vertex = g.PhysicalFromIndex(vertex);
  const auto& d = g.direction;
  const double handedness = d[0] * (d[4] * d[8] - d[5] * d[7]) -
                            d[1] * (d[3] * d[8] - d[5] * d[6]) + d[2] * (d[3] * d[7] - d[4] * d[6]);
  if (handedness < 0)
    for (auto& t : surface.triangles) std::swap(t[1], t[2]);
  if (options.keep_volume)
    FitVolume(surface,
              static_cast<double>(count) * g.spacing[0] * g.spacing[1] * g.spacing[2] *
                  std::abs(handedness),
              0.25 * std::min({g.spacing[0], g.spacing[1], g.spacing[2]}));
  return surface;
}

}  // namespace avocet::io
