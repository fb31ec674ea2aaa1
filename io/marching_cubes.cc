// SPDX-License-Identifier: Apache-2.0
#include "io/marching_cubes.h"

#include <cstddef>
#include <utility>

namespace avocet::io {
namespace {

// Of a face, its four corners in anticlockwise order seen from outside the cube.
std::array<int, 4> FaceCorners(int axis, int side) {
  const int u = 1 << (axis + 1) % 3;
  const int v = 1 << (axis + 2) % 3;
  const int base = side << axis;
  std::array<int, 4> corners{base, base + u, base + u + v, base + v};
  if (side == 0) std::swap(corners[1], corners[3]);
  return corners;
}

int EdgeOf(int a, int b) {
  const int axis = (a ^ b) == 1 ? 0 : (a ^ b) == 2 ? 1 : 2;
  const int low = a & b;
  const int u = (axis + 1) % 3;
  const int v = (axis + 2) % 3;
  return 4 * axis + (low >> u & 1) + 2 * (low >> v & 1);
}

// Whether both edges lie on one face of the cube.
bool ShareFace(const std::array<uint8_t, 2>& a, const std::array<uint8_t, 2>& b) {
  const int all = a[0] & a[1] & b[0] & b[1];
  const int any = a[0] | a[1] | b[0] | b[1];
  return all != 0 || any != 7;
}

// Cuts a loop into triangles by ears whose third side runs through the cube, not along a face:
// there the neighbouring cube might draw the same line, and four triangles would meet at it. False
// when that cannot be.
bool Triangulate(const std::vector<uint8_t>& loop,
                 const std::array<std::array<uint8_t, 2>, 12>& corners,
                 std::vector<std::array<uint8_t, 3>>& triangles) {
  const size_t n = loop.size();
  if (n == 3) {
    triangles.push_back({loop[0], loop[1], loop[2]});
    return true;
  }
  for (size_t i = 0; i < n; ++i) {
    const uint8_t before = loop[(i + n - 1) % n];
    const uint8_t after = loop[(i + 1) % n];
    if (ShareFace(corners[before], corners[after])) continue;
    std::vector<uint8_t> rest = loop;
    rest.erase(rest.begin() + static_cast<long>(i));
    const size_t mark = triangles.size();
    triangles.push_back({before, loop[i], after});
    if (Triangulate(rest, corners, triangles)) return true;
    triangles.resize(mark);
  }
  return false;
}

CubeTable Build() {
  CubeTable table;
  for (int a = 0; a < 8; ++a)
    for (int axis = 0; axis < 3; ++axis)
      if (!(a >> axis & 1)) {
        const int b = a | 1 << axis;
        table.corners_of_edge[static_cast<size_t>(EdgeOf(a, b))] = {static_cast<uint8_t>(a),
                                                                    static_cast<uint8_t>(b)};
      }
  for (int inside = 0; inside < 256; ++inside) {
    // Where the surface crosses a face it leaves a directed segment from edge to edge; at each cut
    // edge one segment arrives and one leaves, so that they close to loops.
    std::array<int, 12> next;
    next.fill(-1);
    const auto in = [&](int corner) { return (inside >> corner & 1) != 0; };
    for (int axis = 0; axis < 3; ++axis)
      for (int side = 0; side < 2; ++side) {
        const auto corners = FaceCorners(axis, side);
        // Going round, each run of inside corners is cut off: from the edge behind it to the edge
        // before it. Two diagonal runs are cut off separately.
        for (int i = 0; i < 4; ++i) {
          if (!in(corners[i]) || in(corners[(i + 3) % 4])) continue;
          int last = i;
          while (in(corners[(last + 1) % 4])) last = (last + 1) % 4;
          const int entering = EdgeOf(corners[(i + 3) % 4], corners[i]);
          const int leaving = EdgeOf(corners[last], corners[(last + 1) % 4]);
          next[static_cast<size_t>(entering)] = leaving;
        }
      }
    std::array<bool, 12> used{};
    for (int start = 0; start < 12; ++start) {
      if (next[static_cast<size_t>(start)] < 0 || used[static_cast<size_t>(start)]) continue;
      std::vector<uint8_t> loop;
      for (int edge = start; !used[static_cast<size_t>(edge)];
           edge = next[static_cast<size_t>(edge)]) {
        used[static_cast<size_t>(edge)] = true;
        loop.push_back(static_cast<uint8_t>(edge));
      }
      Triangulate(loop, table.corners_of_edge, table.triangles[static_cast<size_t>(inside)]);
    }
  }
  return table;
}

}  // namespace

const CubeTable& MarchingCubes() {
  static const CubeTable* table = new CubeTable(Build());
  return *table;
}

}  // namespace avocet::io
