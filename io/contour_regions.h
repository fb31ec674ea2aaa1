// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "io/contours.h"

namespace avocet::io {

// A closed contour of a region of interest, in pixel coordinates of its plane.
struct PlaneContour {
  Polygon polygon;
  // CLOSEDPLANAR_XOR (PS3.3 C.8.8.6.3): such contours combine by exclusive or, whatever they touch.
  bool exclusive_or = false;
};

// What was done with the contours of one plane.
struct RegionCounts {
  int duplicates = 0;  // contours that coincide with another one and count once
  int overlaps = 0;    // contours that overlap another one and are united with it
  int holes = 0;       // contours wholly inside another one
};

// Sets the pixels of a rows x columns plane (which keeps what it holds) whose centre the contours
// of one region enclose:
//   - one contour encloses what the even-odd rule says, so that keyholes come out right;
//   - a contour wholly inside another is a hole in it, one inside that an island, and so on;
//   - contours that coincide (nowhere more than a quarter of a pixel apart: stored twice, reversed,
//     with other digits) count once;
//   - contours that overlap in part, or only touch, are united.
RegionCounts FillRegion(const std::vector<PlaneContour>& contours, int rows, int columns,
                        std::vector<uint8_t>& plane);

}  // namespace avocet::io
