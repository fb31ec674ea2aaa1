// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <filesystem>

#include "io/volume.h"

namespace avocet::io {

// Unit vectors along a row, down a column and their cross product, from ImageOrientationPatient.
// Throws IoError naming the file when the cosines are not two perpendicular unit vectors (1 %).
void PlaneAxes(const std::array<double, 3>& row, const std::array<double, 3>& column,
               const std::filesystem::path& path, std::array<double, 3>& row_out,
               std::array<double, 3>& column_out, std::array<double, 3>& normal_out);

// i along a row, j down a column, k along `step` (mm from one plane to the next, not necessarily
// along the normal); `spacing` as PixelSpacing: between rows, between columns. The size is unset.
Geometry GeometryOfPlanes(const std::array<double, 3>& origin, const std::array<double, 3>& row,
                          const std::array<double, 3>& column, const std::array<double, 2>& spacing,
                          const std::array<double, 3>& step);

}  // namespace avocet::io
