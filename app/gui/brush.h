// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <vector>

#include "app/gui/slice_plane.h"
#include "io/volume.h"

namespace avocet::gui {

// Indices of the voxels of `grid` that a round brush of `diameter_mm` covers on its way from `from`
// to `to` (LPS mm, both in one slice of `plane`): those whose centres lie in that slice and within
// the radius, and in any case the voxel under the brush's middle. Each may occur more than once.
std::vector<size_t> BrushVoxels(const io::Geometry& grid, const SlicePlane& plane, const Vec3& from,
                                const Vec3& to, double diameter_mm);

}  // namespace avocet::gui
