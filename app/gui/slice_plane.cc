// SPDX-License-Identifier: Apache-2.0
#include "app/gui/slice_plane.h"

#include <algorithm>
#include <cstdio>
#include <limits>

namespace avocet::gui {
namespace {

constexpr double kTwoLetterCosine = 0.93969262;  // 20 degrees

Vec3 Column(const io::Geometry& g, int axis) {
  return {g.direction[axis], g.direction[3 + axis], g.direction[6 + axis]};
}

// For each patient axis (x, y, z of LPS) the index axis that stands for it: each a different one,
// with the largest sum of cosines.
std::array<int, 3> IndexAxes(const io::Geometry& g) {
  std::array<int, 3> order{0, 1, 2};
  std::array<int, 3> best = order;
  double best_sum = -1;
  do {
    double sum = 0;
    for (int patient = 0; patient < 3; ++patient) {
      sum += std::abs(g.direction[patient * 3 + order[patient]]);
    }
    if (sum > best_sum + 1e-12) {
      best_sum = sum;
      best = order;
    }
  } while (std::next_permutation(order.begin(), order.end()));
  return best;
}

// Wanted screen directions in patient space: right, down, and where slices go up.
struct ScreenAxes {
  Vec3 right, down, up_stack;
};
ScreenAxes AxesOf(Orientation orientation, Convention convention) {
  const double side = convention == Convention::kRadiological ? 1 : -1;  // +x is left
  switch (orientation) {
    case Orientation::kAxial:
      return {{side, 0, 0}, {0, 1, 0}, {0, 0, 1}};
    case Orientation::kCoronal:
      return {{side, 0, 0}, {0, 0, -1}, {0, -1, 0}};
    case Orientation::kSagittal:
      break;
  }
  return {{0, 1, 0}, {0, 0, -1}, {1, 0, 0}};
}

int LargestComponent(const Vec3& v) {
  int best = 0;
  for (int a = 1; a < 3; ++a) {
    if (std::abs(v[a]) > std::abs(v[best])) best = a;
  }
  return best;
}

char Letter(int patient_axis, bool positive) {
  static constexpr const char* kSides[] = {"RL", "AP", "IS"};
  return kSides[patient_axis][positive ? 1 : 0];
}

// Half the extent of the whole volume, outer voxel edges, along a unit vector.
double HalfExtent(const io::Geometry& g, const Vec3& along) {
  double half = 0;
  for (int axis = 0; axis < 3; ++axis) {
    half += std::abs(Dot(Column(g, axis), along)) * g.spacing[axis] * g.size[axis] / 2;
  }
  return half;
}

Vec3 MiddleOf(const io::Geometry& g) {
  return g.PhysicalFromIndex({(g.size[0] - 1) / 2.0, (g.size[1] - 1) / 2.0, (g.size[2] - 1) / 2.0});
}

}  // namespace

const char* NameOf(Orientation orientation) {
  static constexpr const char* kNames[] = {"Axial", "Coronal", "Sagittal"};
  return kNames[static_cast<int>(orientation)];
}

int PatientAxis(Orientation orientation) {
  static constexpr int kNormals[] = {2, 1, 0};
  return kNormals[static_cast<int>(orientation)];
}

std::string SideLetters(const Vec3& direction) {
  const Vec3 d = Unit(direction);
  const int first = LargestComponent(d);
  std::string letters(1, Letter(first, d[first] > 0));
  if (std::abs(d[first]) < kTwoLetterCosine) {
    Vec3 rest = d;
    rest[first] = 0;
    const int second = LargestComponent(rest);
    letters += Letter(second, d[second] > 0);
  }
  return letters;
}

std::string AxisPosition(const Vec3& x_in_lps, int patient_axis) {
  const double value = x_in_lps[patient_axis];
  char text[48];
  std::snprintf(text, sizeof text, "%c %.1f mm", Letter(patient_axis, value >= 0), std::abs(value));
  return text;
}

double SlicePlane::SliceAt(const Vec3& x_in_lps) const {
  const Vec3 normal = Cross(right, down);
  return Dot(Subtract(x_in_lps, first), normal) / Dot(step, normal);
}

int64_t SlicePlane::NearestSlice(const Vec3& x_in_lps) const {
  const double slice = std::floor(SliceAt(x_in_lps) + 0.5);
  if (!(slice > 0)) return 0;
  return std::min(static_cast<int64_t>(std::min(slice, 1e15)), count - 1);
}

Vec3 SlicePlane::MovedToSlice(const Vec3& x_in_lps, int64_t number) const {
  return Add(x_in_lps, Scale(step, static_cast<double>(number) - SliceAt(x_in_lps)));
}

std::array<std::string, 4> SlicePlane::Letters(bool assumed) const {
  const char* mark = assumed ? "?" : "";
  return {SideLetters(Scale(right, -1)) + mark, SideLetters(right) + mark,
          SideLetters(Scale(down, -1)) + mark, SideLetters(down) + mark};
}

SlicePlane OwnAxesPlane(const io::Geometry& g, Orientation orientation, Convention convention) {
  const std::array<int, 3> index_axis = IndexAxes(g);
  const ScreenAxes wanted = AxesOf(orientation, convention);
  const auto along = [&](const Vec3& direction) {
    const Vec3 column = Column(g, index_axis[LargestComponent(direction)]);
    return Dot(column, direction) < 0 ? Scale(column, -1) : column;
  };
  SlicePlane plane;
  plane.orientation = orientation;
  plane.axis = index_axis[LargestComponent(wanted.up_stack)];
  plane.right = Unit(along(wanted.right));
  // A sheared source's axes are not perpendicular; the screen's are.
  const Vec3 down = along(wanted.down);
  plane.down = Unit(Subtract(down, Scale(plane.right, Dot(down, plane.right))));
  plane.step = Scale(Column(g, plane.axis), g.spacing[plane.axis]);
  plane.count = g.size[plane.axis];
  plane.grows_up = Dot(plane.step, wanted.up_stack) > 0;
  std::array<double, 3> middle{(g.size[0] - 1) / 2.0, (g.size[1] - 1) / 2.0, (g.size[2] - 1) / 2.0};
  middle[plane.axis] = 0;
  plane.first = g.PhysicalFromIndex(middle);
  // Of one slice, not of the stack: in a sheared source slices slide past each other.
  io::Geometry flat = g;
  flat.size[plane.axis] = 0;
  plane.width_mm = 2 * HalfExtent(flat, plane.right);
  plane.height_mm = 2 * HalfExtent(flat, plane.down);
  return plane;
}

SlicePlane AnatomicalPlane(const io::Geometry& g, Orientation orientation, Convention convention) {
  const ScreenAxes wanted = AxesOf(orientation, convention);
  SlicePlane plane;
  plane.orientation = orientation;
  plane.right = wanted.right;
  plane.down = wanted.down;
  const double spacing = *std::min_element(g.spacing.begin(), g.spacing.end());
  plane.step = Scale(wanted.up_stack, spacing);
  const double half = HalfExtent(g, wanted.up_stack);
  plane.count = std::max<int64_t>(1, static_cast<int64_t>(std::floor(2 * half / spacing)));
  plane.first = Subtract(MiddleOf(g), Scale(plane.step, (plane.count - 1) / 2.0));
  plane.width_mm = 2 * HalfExtent(g, plane.right);
  plane.height_mm = 2 * HalfExtent(g, plane.down);
  return plane;
}

bool IsAlignedWithPatient(const io::Geometry& g, double degrees) {
  const double cosine = std::cos(degrees * 3.14159265358979323846 / 180);
  const std::array<int, 3> index_axis = IndexAxes(g);
  for (int patient = 0; patient < 3; ++patient) {
    if (std::abs(g.direction[patient * 3 + index_axis[patient]]) < cosine) return false;
  }
  return true;
}

Vec3 ViewFrame::LpsFromPixel(double x, double y) const {
  return Add(centre, Add(Scale(right, (x - width / 2.0) * mm_per_pixel),
                         Scale(down, (y - height / 2.0) * mm_per_pixel)));
}

std::array<double, 2> ViewFrame::PixelFromLps(const Vec3& x_in_lps) const {
  const Vec3 offset = Subtract(x_in_lps, centre);
  return {Dot(offset, right) / mm_per_pixel + width / 2.0,
          Dot(offset, down) / mm_per_pixel + height / 2.0};
}

}  // namespace avocet::gui
