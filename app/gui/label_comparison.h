// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>

#include "app/gui/layers.h"
#include "app/gui/slice_plane.h"

namespace avocet::gui {

// Label values of an error map.
constexpr uint16_t kTruePositive = 1;
constexpr uint16_t kFalsePositive = 2;  // only the prediction has the class
constexpr uint16_t kFalseNegative = 3;  // only the reference has it

// Where two label maps of one grid agree and differ about `label` (0: any label, and a voxel with
// two different labels is a false positive). Throws IoError when the grids differ.
std::unique_ptr<LabelLayer> ErrorMap(const LabelLayer& prediction, const LabelLayer& reference,
                                     int label);

// The slice of `plane` (a plane of the map's own grid) with the most wrong voxels, and the middle
// of these; false when nothing is wrong. With `value` != 0 voxels of that value are counted
// instead.
bool WorstSlice(const LabelLayer& map, const SlicePlane& plane, Vec3& x_in_lps, uint16_t value = 0);

}  // namespace avocet::gui
