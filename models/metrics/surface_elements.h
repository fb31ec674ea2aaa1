// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <vector>

#include "models/metrics/label_pair.h"

// Area-weighted surface distances on the grid of voxel corners: S. Nikolov et al., "Deep learning
// to achieve clinically applicable segmentation of head and neck anatomy for radiotherapy" (2018),
// as DeepMind's surface-distance package computes them. A corner is a surface element when the
// 2x2x2 (2-D: 2x2) voxels around it are neither all inside nor all outside; its area is that of the
// marching-cubes triangles of this configuration.
namespace avocet::metrics {

// Area (mm^2) of the surface in a cell of 2x2x2 voxels, by the code sum of inside(di, dj, dk) <<
// (di + 2 dj + 4 dk).
std::array<double, 256> SurfaceAreaTable(const Spacing3& spacing);
// Length (mm) of the contour in a cell of 2x2 pixels, code sum of inside(di, dj) << (di + 2 dj).
std::array<double, 16> ContourLengthTable(const Spacing3& spacing);

struct SurfaceElement {
  double distance;  // to the nearest surface element of the other mask; infinity if it has none
  double area;
};

struct SurfaceElements {
  std::vector<SurfaceElement> prediction;  // sorted by distance, then area
  std::vector<SurfaceElement> reference;
};

// Both lists are empty when both masks are.
SurfaceElements FindSurfaceElements(const MaskPair& masks, const Spacing3& spacing,
                                    DistanceQuery& query, int threads);

double TotalArea(const std::vector<SurfaceElement>& elements);
// Smallest listed distance at which the accumulated share of area reaches percent/100 (no
// interpolation), the larger of both directions; a mask without elements counts as infinity.
double RobustHausdorff(const SurfaceElements& s, double percent);
// Area-weighted mean; NaN for an empty list.
double AverageDistance(const std::vector<SurfaceElement>& elements);
// Share of the area of both masks within the tolerance; NaN when there is none.
double SurfaceDiceByArea(const SurfaceElements& s, double tolerance);
// Share of one mask's area within the tolerance; NaN when there is none.
double SurfaceOverlap(const std::vector<SurfaceElement>& elements, double tolerance);

}  // namespace avocet::metrics
