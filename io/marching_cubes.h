// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <vector>

namespace avocet::io {

// Triangles of the 256 cases of a cube whose corners lie inside or outside.
//
// Corner c lies at (c & 1, c >> 1 & 1, c >> 2 & 1). Edge 4 * axis + n joins two corners that
// differ in `axis`; n counts the four of them by their other coordinates. Triangles name edges, in
// anticlockwise order seen from outside (in a right-handed frame). On a face whose inside corners
// lie diagonally, they are kept apart; both cubes at the face see it alike, so that there is no
// crack.
struct CubeTable {
  std::array<std::vector<std::array<uint8_t, 3>>, 256> triangles;
  std::array<std::array<uint8_t, 2>, 12> corners_of_edge;
};
const CubeTable& MarchingCubes();

}  // namespace avocet::io
