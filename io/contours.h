// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <vector>

namespace avocet::io {

// A closed polygon in pixel coordinates (x along a row, y down; pixel centres at whole numbers, so
// that outlines run along halves).
using Polygon = std::vector<std::array<double, 2>>;

// The outlines of the pixels for which `inside` is set, holes joined to the outline that surrounds
// them by a channel of no width. Regions are joined across edges, not across corners. `inside` has
// rows x columns entries.
std::vector<Polygon> OutlinePolygons(const std::vector<uint8_t>& inside, int rows, int columns);

// Flips (0 <-> 1) the pixels of a rows x columns plane whose centre lies inside the polygon, by
// the even-odd rule. Doing so for several polygons combines them by that rule.
void FlipInside(const Polygon& polygon, int rows, int columns, std::vector<uint8_t>& plane);

}  // namespace avocet::io
