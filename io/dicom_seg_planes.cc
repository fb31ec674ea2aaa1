// SPDX-License-Identifier: Apache-2.0
#include "io/dicom_seg_planes.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <numeric>

#include "app/base/error.h"
#include "io/dcmtk_util.h"
#include "io/dicom_planes.h"

namespace avocet::io::seg {
namespace fs = std::filesystem;
using dcm::Dot;
using dcm::Vec3;

namespace {

constexpr int64_t kMaxVoxels = int64_t{1} << 31;
// Empty planes cost a file nothing, but memory: this many voxels in any case, then by its length.
constexpr int64_t kSomeVoxels = int64_t{1} << 27;
constexpr int64_t kMostVoxelsAByte = 4096;
// Frames of one segment may lie far apart with nothing between; more planes than this are a damaged
// header.
constexpr int64_t kMaxPlanes = 20000;
// Frames at depths less than this many mm apart lie on one plane.
constexpr double kSamePlane = 1e-3;

[[noreturn]] void Fail(const fs::path& path, const std::string& what) {
  throw IoError(path.string() + " " + what);
}

std::string Mm(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.4g mm", value);
  return text;
}

// Depths of the frames along the normal, sorted, and the gaps between different planes.
struct Depths {
  std::vector<size_t> order;  // of the frames
  std::vector<double> gaps;
};

Depths DepthsOf(const FrameStack& stack) {
  Depths depths;
  depths.order.resize(stack.frames.size());
  std::iota(depths.order.begin(), depths.order.end(), size_t{0});
  const auto depth = [&](size_t i) { return Dot(stack.frames[i].position, stack.normal); };
  std::stable_sort(depths.order.begin(), depths.order.end(),
                   [&](size_t a, size_t b) { return depth(a) < depth(b); });
  for (size_t i = 1; i < depths.order.size(); ++i) {
    const double gap = depth(depths.order[i]) - depth(depths.order[i - 1]);
    if (gap > kSamePlane) depths.gaps.push_back(gap);
  }
  return depths;
}

// True when all gaps are multiples of `distance`; `steps` is then the number of steps in all.
// Header digits are rounded, and over many slices the error of `distance` adds up.
bool Divides(const std::vector<double>& gaps, double distance, int64_t& steps) {
  steps = 0;
  if (!(distance > kSamePlane)) return false;
  for (const double gap : gaps) {
    const double count = std::round(gap / distance);
    const double tolerance = std::min(0.25 * distance, 0.05 * distance + 0.002 * gap);
    if (count < 1 || count > static_cast<double>(kMaxPlanes) ||
        std::abs(gap - count * distance) > tolerance)
      return false;
    steps += static_cast<int64_t>(count);
    if (steps > kMaxPlanes) return false;
  }
  return true;
}

// The distance of the slices of the images when every frame lies on one of them, else 0. `slices`
// becomes the number of slices.
double DistanceOfImages(const FrameStack& stack, const SegReadOptions& options) {
  const Geometry* grid = options.grid;
  if (options.source) grid = options.source->regular ? &options.source->geometry : nullptr;
  if (!grid || grid->VoxelCount() <= 0) return 0;
  for (int axis = 0; axis < 3; ++axis) {
    const Vec3 along{grid->direction[axis], grid->direction[3 + axis], grid->direction[6 + axis]};
    if (std::abs(Dot(along, stack.normal)) < 1 - 1e-5) continue;
    for (const Frame& frame : stack.frames) {
      const double index = grid->IndexFromPhysical(frame.position)[static_cast<size_t>(axis)];
      if (std::abs(index - std::round(index)) > 0.05) return 0;
      // An image of one slice has no distance of slices.
      if (grid->size[axis] == 1 && std::abs(index) > 0.05) return 0;
    }
    return grid->spacing[axis];
  }
  return 0;
}

// What the planes' distance is, and why. Throws IoError when nothing fits the frames.
double ChooseDistance(const FrameStack& stack, const std::vector<double>& gaps,
                      const SegReadOptions& options, const fs::path& path, Placement& placement) {
  int64_t steps = 0;
  std::string unstated = "the file states no distance between slices";
  if (stack.stated_distance > 0) {
    if (Divides(gaps, stack.stated_distance, steps)) {
      placement.from = SliceDistanceFrom::kStated;
      return stack.stated_distance;
    }
    unstated = "the file states a distance of " + Mm(stack.stated_distance) +
               " between slices, but its frames do not lie on multiples of it";
  }
  if (const double distance = DistanceOfImages(stack, options); distance > 0) {
    placement.from = SliceDistanceFrom::kImage;
    placement.notes.push_back(unstated + "; that of the image, " + Mm(distance) + ", is used");
    return distance;
  }
  double smallest = 0;
  if (!gaps.empty()) {
    smallest = *std::min_element(gaps.begin(), gaps.end());
    if (!Divides(gaps, smallest, steps)) smallest = 0;
  }
  // Slices lie at most about their thickness apart. Where it divides the distances of the frames,
  // slices without a frame lie between them: larger steps would make the structures too thick.
  const double thickness = stack.thickness;
  if (thickness > 0 && (smallest == 0 || thickness < 0.98 * smallest) &&
      Divides(gaps, thickness, steps)) {
    placement.from = SliceDistanceFrom::kThickness;
    placement.assumed = true;
    placement.notes.push_back(unstated + "; the slice thickness, " + Mm(thickness) +
                              ", is taken for it");
    return thickness;
  }
  if (smallest > 0) {
    placement.from = SliceDistanceFrom::kPositions;
    // Slices that are hardly thinner than the frames are apart leave no room for others between.
    placement.assumed = !(thickness > 0) || smallest > 1.5 * thickness;
    if (placement.assumed || stack.stated_distance > 0) {
      placement.notes.push_back(
          unstated + "; the smallest distance of its frames, " + Mm(smallest) + ", is used" +
          (placement.assumed ? std::string(", and volumes are too large if slices without a frame "
                                           "lie between; the image series settles it")
                             : std::string()));
    }
    return smallest;
  }
  if (!gaps.empty())
    Fail(path,
         "has frames at uneven distances; give the image series that it belongs to, so that they "
         "can be placed on its slices");
  placement.from = SliceDistanceFrom::kAssumed;
  placement.assumed = true;
  placement.notes.push_back(unstated + " and no slice thickness; 1 mm is assumed");
  return 1;
}

void CheckSize(const FrameStack& stack, int64_t planes, const fs::path& path) {
  std::error_code ignored;
  const auto bytes = static_cast<int64_t>(fs::file_size(path, ignored));
  const int64_t pixels = stack.rows * stack.columns;
  if (pixels > kMaxVoxels / planes ||
      (pixels > kSomeVoxels / planes && pixels / kMostVoxelsAByte > bytes / planes))
    Fail(path, "spans " + std::to_string(planes) + " slices for " +
                   std::to_string(stack.frames.size()) + " frames, which is too large");
}

}  // namespace

Placement DeriveGrid(const FrameStack& stack, const SegReadOptions& options, const fs::path& path) {
  Placement placement;
  const Depths depths = DepthsOf(stack);
  const double distance = ChooseDistance(stack, depths.gaps, options, path, placement);
  const Vec3 first = stack.frames[depths.order.front()].position;
  Vec3 step = stack.normal;
  int64_t planes = 1;
  if (depths.gaps.empty()) {
    for (double& x : step) x *= distance;
  } else {
    int64_t steps = 0;
    Divides(depths.gaps, distance, steps);
    planes = steps + 1;
    // The positions are exact where the stated distance is rounded.
    const Vec3 span = dcm::Minus(stack.frames[depths.order.back()].position, first);
    for (size_t a = 0; a < 3; ++a) step[a] = span[a] / static_cast<double>(steps);
  }
  placement.geometry = GeometryOfPlanes(first, stack.row, stack.column, stack.spacing, step);
  placement.geometry.size = {stack.columns, stack.rows, planes};
  placement.plane_of_frame.resize(stack.frames.size());
  std::vector<bool> filled(static_cast<size_t>(planes));
  for (size_t i = 0; i < stack.frames.size(); ++i) {
    const auto index = placement.geometry.IndexFromPhysical(stack.frames[i].position);
    const double nearest = std::round(index[2]);
    if (std::abs(index[0]) > 0.1 || std::abs(index[1]) > 0.1 ||
        std::abs(index[2] - nearest) > 0.1 || nearest < 0 || nearest >= static_cast<double>(planes))
      Fail(path, "has frames that are not one straight stack (frame " + std::to_string(i + 1) +
                     "); give the image series that it belongs to");
    placement.plane_of_frame[i] = static_cast<int64_t>(nearest);
    filled[static_cast<size_t>(nearest)] = true;
  }
  const auto missing = std::count(filled.begin(), filled.end(), false);
  if (missing > 0)
    placement.notes.push_back(std::to_string(missing) + " of " + std::to_string(planes) +
                              " slices have no frame and are taken as empty");
  CheckSize(stack, planes, path);
  return placement;
}

bool PlaceOnSeries(const FrameStack& stack, const SourceSeries& source, const fs::path& path,
                   Placement& placement) {
  if (stack.rows != source.rows || stack.columns != source.columns || source.slices.empty())
    return false;
  if (Dot(stack.row, source.row_direction) < 1 - 1e-5 ||
      Dot(stack.column, source.column_direction) < 1 - 1e-5 ||
      std::abs(stack.spacing[0] - source.spacing[0]) > 1e-3 * stack.spacing[0] ||
      std::abs(stack.spacing[1] - source.spacing[1]) > 1e-3 * stack.spacing[1])
    return false;
  std::vector<double> depths;
  double gap = 0;
  for (const SourceSlice& slice : source.slices) {
    depths.push_back(Dot(slice.position, source.normal));
    if (depths.size() < 2) continue;
    const double next = depths.back() - depths[depths.size() - 2];
    gap = gap > 0 ? std::min(gap, next) : next;
  }
  if (!(gap > 0)) gap = stack.stated_distance > 0 ? stack.stated_distance : 1;
  placement.plane_of_frame.resize(stack.frames.size());
  for (size_t i = 0; i < stack.frames.size(); ++i) {
    const double depth = Dot(stack.frames[i].position, source.normal);
    const auto above = std::lower_bound(depths.begin(), depths.end(), depth);
    size_t k = static_cast<size_t>(above - depths.begin());
    if (k == depths.size() || (k > 0 && depth - depths[k - 1] < depths[k] - depth)) --k;
    const Vec3 off = dcm::Minus(stack.frames[i].position, source.slices[k].position);
    if (std::abs(Dot(off, source.normal)) > 0.05 * gap ||
        std::abs(Dot(off, source.row_direction)) > 0.05 * stack.spacing[1] ||
        std::abs(Dot(off, source.column_direction)) > 0.05 * stack.spacing[0])
      return false;
    placement.plane_of_frame[i] = static_cast<int64_t>(k);
  }
  const auto planes = static_cast<int64_t>(source.slices.size());
  if (stack.rows * stack.columns > kMaxVoxels / planes)
    Fail(path, "has a source series that is too large");
  placement.from = SliceDistanceFrom::kImage;
  if (source.regular) {
    placement.geometry = source.geometry;
  } else {  // a stack of slices, which are put where they are later
    placement.geometry = GeometryOfPlanes(source.slices[0].position, stack.row, stack.column,
                                          stack.spacing, stack.normal);
    placement.geometry.size = {stack.columns, stack.rows, planes};
  }
  return true;
}

}  // namespace avocet::io::seg
