// SPDX-License-Identifier: Apache-2.0
#include "io/dicom_planes.h"

#include <cmath>

#include "app/base/error.h"
#include "io/dcmtk_util.h"

namespace avocet::io {
namespace fs = std::filesystem;
using dcm::Dot;
using dcm::Vec3;

void PlaneAxes(const Vec3& row, const Vec3& column, const fs::path& path, Vec3& row_out,
               Vec3& column_out, Vec3& normal_out) {
  const double row_length = std::sqrt(Dot(row, row));
  const double column_length = std::sqrt(Dot(column, column));
  if (!(std::abs(row_length - 1) < 0.01) || !(std::abs(column_length - 1) < 0.01) ||
      !(std::abs(Dot(row, column)) < 0.01))
    throw IoError(path.string() +
                  " has an image orientation whose cosines are not two perpendicular unit vectors");
  row_out = row;
  for (double& x : row_out) x /= row_length;
  // Header digits leave the axes a little off perpendicular; the row is kept.
  const double along = Dot(column, row_out);
  column_out = column;
  for (int a = 0; a < 3; ++a) column_out[a] -= along * row_out[a];
  const double length = std::sqrt(Dot(column_out, column_out));
  for (double& x : column_out) x /= length;
  normal_out = dcm::Cross(row_out, column_out);
}

Geometry GeometryOfPlanes(const Vec3& origin, const Vec3& row, const Vec3& column,
                          const std::array<double, 2>& spacing, const Vec3& step) {
  Geometry geometry;
  const double length = std::sqrt(Dot(step, step));
  geometry.spacing = {spacing[1], spacing[0], length};
  geometry.origin = origin;
  for (int a = 0; a < 3; ++a) {
    geometry.direction[3 * a] = row[a];
    geometry.direction[3 * a + 1] = column[a];
    geometry.direction[3 * a + 2] = step[a] / length;
  }
  return geometry;
}

}  // namespace avocet::io
