// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "app/gui/layers.h"
#include "app/gui/slice_plane.h"
#include "app/gui/vec3.h"

namespace avocet::gui {

enum class MeasurementKind : int { kRuler, kAngle, kRoi };

// What a person has drawn on a slice. Points are in the patient, LPS mm; kRuler has two, kAngle
// three (the second is the vertex), kRoi two opposite corners of the box around an ellipse.
struct Measurement {
  int id = 0;
  MeasurementKind kind = MeasurementKind::kRuler;
  std::vector<Vec3> points;
  Orientation orientation = Orientation::kAxial;  // of the view it was drawn in
  Vec3 right{}, down{};                           // of that view
  int layer = 0;                                  // the image under it
  std::string image;                              // its name

  // Results; `unit` belongs to `value`.
  double value = 0;  // mm, degrees, or the mean of the region
  std::string unit;
  double area_mm2 = 0;  // kRoi: of the drawn ellipse
  // The image's voxel size in this plane is not known: lengths and areas are in pixels.
  bool in_pixels = false;
  double deviation = 0, minimum = 0, maximum = 0;
  int64_t voxels = 0;

  std::string Name() const;     // "Ruler 2"
  std::string Summary() const;  // "34.2 mm"; "mean 41.3 HU, SD 9.8, 120 mm2"
};

// Length in space of one step between voxels along `direction`, a unit vector.
double PixelLength(const io::Geometry& geometry, const Vec3& direction);

// "5 cm", "20 mm", "50 px"; `length` in mm or pixels.
std::string ScaleBarText(double length, bool in_pixels);

// Fills the results, where all points are there. The region's statistics are over the voxels whose
// centres lie in the ellipse, in the slice nearest to it, with values from the file (rescaled);
// population SD.
void Evaluate(Measurement& measurement, const ImageLayer* image, const SlicePlane& plane);

// One row each, with units in the column names, points in LPS mm.
std::string MeasurementsCsv(const std::vector<Measurement>& measurements);

}  // namespace avocet::gui
