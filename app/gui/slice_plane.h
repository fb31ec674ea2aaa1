// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "app/gui/vec3.h"
#include "io/volume.h"

namespace avocet::gui {

enum class Orientation : int { kAxial, kCoronal, kSagittal };
constexpr std::array<Orientation, 3> kOrientations{Orientation::kAxial, Orientation::kCoronal,
                                                   Orientation::kSagittal};
const char* NameOf(Orientation orientation);  // "Axial"

// Which side of the patient is on the left of the screen in axial and coronal slices: the right one
// (radiological, as if seen from the feet or the front) or the left one (neurological).
enum class Convention : int { kRadiological, kNeurological };

// The stack of parallel slices through a volume in one orientation, and how they lie on the screen.
// In axial slices anterior is up, in coronal and sagittal ones superior, in sagittal ones anterior
// is on the left.
struct SlicePlane {
  Orientation orientation = Orientation::kAxial;
  int axis = -1;      // index axis along which slices are counted; -1: resampled patient planes
  Vec3 right{};       // unit vectors in LPS, perpendicular to each other: screen right,
  Vec3 down{};        // screen down
  Vec3 first{};       // the middle of slice 0
  Vec3 step{};        // from one slice to the next (not perpendicular where the source is sheared)
  int64_t count = 0;  // slices
  double width_mm = 0;  // extent of the volume, outer edges of the outermost voxels
  double height_mm = 0;
  // True when slice numbers grow towards superior, anterior or left.
  bool grows_up = true;

  double StepMm() const { return Norm(step); }
  // Slice through `x_in_lps`, as a real number: its whole part may lie outside [0, count).
  double SliceAt(const Vec3& x_in_lps) const;
  int64_t NearestSlice(const Vec3& x_in_lps) const;  // clamped to [0, count)
  // The point moved along the stack into slice `number`.
  Vec3 MovedToSlice(const Vec3& x_in_lps, int64_t number) const;
  // Letters of the patient's sides at the left, right, top and bottom of the screen; "R?" where the
  // orientation was `assumed`.
  std::array<std::string, 4> Letters(bool assumed = false) const;
};

// Slices along the volume's own axes: the index axis nearest to the plane's normal is the stack.
SlicePlane OwnAxesPlane(const io::Geometry& geometry, Orientation orientation,
                        Convention convention);
// Slices along the patient's axes, at the finest spacing of the volume, through all of it.
SlicePlane AnatomicalPlane(const io::Geometry& geometry, Orientation orientation,
                           Convention convention);
// True when no own axis is more than `degrees` off the patient axis that it stands for.
bool IsAlignedWithPatient(const io::Geometry& geometry, double degrees = 1);

// The patient's side that `direction` (LPS) points to; two letters ("RA") when it is more than 20
// degrees off the nearest axis.
std::string SideLetters(const Vec3& direction);
// "S 12.3 mm": a position along one patient axis (0: R/L, 1: A/P, 2: I/S).
std::string AxisPosition(const Vec3& x_in_lps, int patient_axis);
// The patient axis (0, 1, 2) that is normal to the orientation.
int PatientAxis(Orientation orientation);

// What a window of the screen shows: a part of a slice at one scale.
struct ViewFrame {
  Vec3 centre{};  // LPS mm in the middle of the window
  Vec3 right{};   // unit vectors, as in SlicePlane
  Vec3 down{};
  double mm_per_pixel = 1;
  int width = 1;  // pixels
  int height = 1;

  // Continuous pixel coordinates: (0, 0) is the upper left corner of the first pixel.
  Vec3 LpsFromPixel(double x, double y) const;
  std::array<double, 2> PixelFromLps(const Vec3& x_in_lps) const;
};

}  // namespace avocet::gui
