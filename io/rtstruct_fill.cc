// SPDX-License-Identifier: Apache-2.0
// Contours of a structure set as label volumes.
#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <utility>

#include "app/base/error.h"
#include "io/contour_regions.h"
#include "io/dcmtk_util.h"
#include "io/rtstruct.h"

namespace avocet::io {

namespace {

constexpr int64_t kMaxVoxels = int64_t{1} << 31;
// Each overlap is looked for in all layers before.
constexpr size_t kMaxLayers = 256;
// Contours less than this many mm apart lie in one plane: digits of the header. Planes farther
// apart are two, and what is drawn in one cannot be a hole in the other.
constexpr double kSamePlaneMm = 0.05;
// Contours farther off their slice than this share of the distance of slices are counted.
constexpr double kOffSlice = 0.25;
// Rounding of the place of a contour halfway between two slices.
constexpr double kHalfway = 1e-4;

bool IsClosed(const RtContour& contour) {
  return contour.type == "CLOSED_PLANAR" || contour.type == "CLOSEDPLANAR_XOR" ||
         contour.type == "CLOSED_PLANAR_XOR";
}

std::string NameOf(const RtRoi& roi) {
  const std::string text = "ROI " + std::to_string(roi.number);
  return roi.name.empty() ? text : text + " '" + roi.name + "'";
}

// "1 contour of ROI 2 lies", "3 contours of ROI 2 lie".
std::string Contours(int count, const std::string& roi, const char* one, const char* many) {
  return std::to_string(count) + (count == 1 ? " contour of " : " contours of ") + roi + " " +
         (count == 1 ? one : many);
}

// A contour in voxel coordinates of the grid.
struct Loop {
  double depth = 0;  // along the axis across the planes
  PlaneContour contour;
};

// The contours of one ROI, and what was odd about them.
struct RoiLoops {
  std::vector<Loop> loops;
  int other_types = 0;
  int outside = 0;
  int tilted = 0;  // not parallel to the planes
  int beyond = 0;  // on a slice, but partly outside of it
};

// Where a point lies in voxels.
using IndexMap = std::function<std::array<double, 3>(const std::array<double, 3>&)>;

class Rasterizer {
 public:
  // `slice_mm`: distance of voxel planes across each axis.
  Rasterizer(const RtStruct& structures, const Geometry& grid, IndexMap index_of,
             const std::array<double, 3>& slice_mm)
      : structures_(structures), grid_(grid), index_of_(std::move(index_of)), slice_mm_(slice_mm) {}
  RtMask Run();

 private:
  void FindAxis();
  RoiLoops LoopsOf(const RtRoi& roi);
  // The slice nearest to a depth.
  double SliceAt(double depth) const;
  // Whether positions grow towards lower indices along the axis.
  bool Backwards() const;
  void Note(const RtRoi& roi, const RoiLoops& found, const RegionCounts& counts);
  // Voxels of the ROI, slice by slice (slice -> plane).
  std::map<int64_t, std::vector<uint8_t>> Fill(const RtRoi& roi);
  size_t Offset(int64_t slice, int64_t row, int64_t column) const;

  const RtStruct& structures_;
  const Geometry& grid_;
  IndexMap index_of_;
  std::array<double, 3> slice_mm_;
  bool backwards_ = false;
  int axis_ = 2;    // across the contours' planes
  int across_ = 0;  // column index of a plane
  int down_ = 1;    // row index
  RtMask result_;
};

// The axis across the planes of most contours.
void Rasterizer::FindAxis() {
  std::array<int, 3> flat{};
  std::array<double, 3> spread{};
  int contours = 0;
  for (const RtRoi& roi : structures_.rois) {
    for (const RtContour& contour : roi.contours) {
      if (!IsClosed(contour) || contour.points.size() < 3) continue;
      ++contours;
      std::array<double, 3> low{1e300, 1e300, 1e300};
      std::array<double, 3> high{-1e300, -1e300, -1e300};
      for (const auto& point : contour.points) {
        const auto index = index_of_(point);
        for (size_t a = 0; a < 3; ++a) {
          low[a] = std::min(low[a], index[a]);
          high[a] = std::max(high[a], index[a]);
        }
      }
      for (size_t a = 0; a < 3; ++a) {
        flat[a] += high[a] - low[a] <= 1.0;
        spread[a] += std::min(high[a] - low[a], 1e6);
      }
    }
  }
  // The last axis is favoured: contours of a few points may be flat along two.
  axis_ = 2;
  for (const size_t a : {size_t{1}, size_t{0}})
    if (flat[a] > flat[static_cast<size_t>(axis_)] ||
        (flat[a] == flat[static_cast<size_t>(axis_)] &&
         spread[a] < spread[static_cast<size_t>(axis_)] - 1e-3 * contours))
      axis_ = static_cast<int>(a);
  across_ = axis_ == 0 ? 1 : 0;
  down_ = axis_ == 2 ? 1 : 2;
  if (contours > 0 && flat[static_cast<size_t>(axis_)] == 0)
    throw IoError(
        "the contours are not parallel to any voxel plane of the image; give the image series that "
        "they were drawn on");
  backwards_ = Backwards();
}

bool Rasterizer::Backwards() const {
  size_t largest = 0;
  const auto along = [&](size_t row) {
    return grid_.direction[3 * row + static_cast<size_t>(axis_)];
  };
  for (size_t row = 1; row < 3; ++row)
    if (std::abs(along(row)) > std::abs(along(largest))) largest = row;
  return along(largest) < 0;
}

double Rasterizer::SliceAt(double depth) const {
  return backwards_ ? std::floor(depth + 0.5 + kHalfway) : std::ceil(depth - 0.5 - kHalfway);
}

RoiLoops Rasterizer::LoopsOf(const RtRoi& roi) {
  RoiLoops result;
  for (const RtContour& contour : roi.contours) {
    if (!IsClosed(contour) || contour.points.size() < 3) {
      ++result.other_types;
      continue;
    }
    Loop loop;
    loop.contour.exclusive_or = contour.type != "CLOSED_PLANAR";
    const auto axis = static_cast<size_t>(axis_);
    double low = 1e300;
    double high = -1e300;
    for (const auto& point : contour.points) {
      const auto index = index_of_(point);
      low = std::min(low, index[axis]);
      high = std::max(high, index[axis]);
      loop.depth += index[axis] / static_cast<double>(contour.points.size());
      loop.contour.polygon.push_back(
          {index[static_cast<size_t>(across_)], index[static_cast<size_t>(down_)]});
    }
    if (high - low > 1.0) {
      ++result.tilted;
      continue;
    }
    const double slice = SliceAt(loop.depth);
    if (!(slice >= 0 && slice < static_cast<double>(grid_.size[axis]))) {
      ++result.outside;
      continue;
    }
    const auto outside = [&](const std::array<double, 2>& point) {
      return point[0] < -0.55 || point[1] < -0.55 ||
             point[0] > static_cast<double>(grid_.size[static_cast<size_t>(across_)]) - 0.45 ||
             point[1] > static_cast<double>(grid_.size[static_cast<size_t>(down_)]) - 0.45;
    };
    const Polygon& polygon = loop.contour.polygon;
    result.beyond += std::any_of(polygon.begin(), polygon.end(), outside);
    result.loops.push_back(std::move(loop));
  }
  std::stable_sort(result.loops.begin(), result.loops.end(),
                   [](const Loop& a, const Loop& b) { return a.depth < b.depth; });
  return result;
}

void Rasterizer::Note(const RtRoi& roi, const RoiLoops& found, const RegionCounts& counts) {
  const std::string name = NameOf(roi);
  const auto note = [&](const std::string& text) { result_.notes.push_back(text); };
  if (found.other_types > 0)
    note(name + " has " + std::to_string(found.other_types) +
         " points, lines or open contours, which enclose nothing");
  if (found.tilted > 0)
    note(Contours(found.tilted, name, "is", "are") +
         " not parallel to the slices of the image and left out");
  if (found.outside > 0) note(Contours(found.outside, name, "lies", "lie") + " outside the image");
  if (found.beyond > 0)
    note(Contours(found.beyond, name, "reaches", "reach") +
         " beyond the edge of the image; what lies there is left out");
  if (counts.duplicates > 0)
    note(Contours(counts.duplicates, name, "coincides", "coincide") +
         " with another one of the same slice; such contours count once");
  if (counts.overlaps > 0)
    note(Contours(counts.overlaps, name, "overlaps", "overlap") +
         " others of the same slice in part; they are united");
  int off = 0;
  double farthest = 0;
  for (const Loop& loop : found.loops) {
    const double distance = std::abs(loop.depth - SliceAt(loop.depth));
    if (distance <= kOffSlice) continue;
    ++off;
    farthest = std::max(farthest, distance * slice_mm_[static_cast<size_t>(axis_)]);
  }
  if (off > 0) {
    char text[32];
    std::snprintf(text, sizeof text, "%.3g mm", farthest);
    note(Contours(off, name, "lies", "lie") + " between slices, up to " + text +
         " off; the nearest slice is used");
  }
}

std::map<int64_t, std::vector<uint8_t>> Rasterizer::Fill(const RtRoi& roi) {
  const RoiLoops found = LoopsOf(roi);
  const std::string name = NameOf(roi);
  const auto rows = static_cast<int>(grid_.size[static_cast<size_t>(down_)]);
  const auto columns = static_cast<int>(grid_.size[static_cast<size_t>(across_)]);
  const double same_plane = kSamePlaneMm / slice_mm_[static_cast<size_t>(axis_)];
  std::map<int64_t, std::vector<uint8_t>> slices;
  RegionCounts counts;
  bool two_planes = false;
  for (size_t i = 0; i < found.loops.size();) {
    const double depth = found.loops[i].depth;
    std::vector<PlaneContour> contours;
    for (; i < found.loops.size() && found.loops[i].depth - depth < same_plane; ++i)
      contours.push_back(found.loops[i].contour);
    std::vector<uint8_t>& target = slices[static_cast<int64_t>(SliceAt(depth))];
    two_planes = two_planes || !target.empty();
    target.resize(static_cast<size_t>(rows) * static_cast<size_t>(columns));
    const RegionCounts done = FillRegion(contours, rows, columns, target);
    counts.duplicates += done.duplicates;
    counts.overlaps += done.overlaps;
  }
  Note(roi, found, counts);
  if (two_planes)
    result_.notes.push_back(name +
                            " has contours closer together than the slices; those that share a "
                            "slice were united");
  if (!slices.empty()) {
    const int64_t empty =
        slices.rbegin()->first - slices.begin()->first + 1 - static_cast<int64_t>(slices.size());
    if (empty > 0)
      result_.notes.push_back(std::to_string(empty) + " slices between contours of " + name +
                              " have none and stay empty");
  }
  int64_t voxels = 0;
  for (const auto& [slice, plane] : slices)
    voxels += std::count(plane.begin(), plane.end(), uint8_t{1});
  result_.voxels.push_back(voxels);
  if (voxels == 0) result_.notes.push_back(name + " has no voxel");
  return slices;
}

size_t Rasterizer::Offset(int64_t slice, int64_t row, int64_t column) const {
  std::array<int64_t, 3> index{};
  index[axis_] = slice;
  index[across_] = column;
  index[down_] = row;
  return static_cast<size_t>((index[2] * grid_.size[1] + index[1]) * grid_.size[0] + index[0]);
}

RtMask Rasterizer::Run() {
  if (structures_.rois.size() > 65535) throw IoError("the structure set has too many ROIs");
  FindAxis();
  std::vector<std::vector<uint16_t>> layers;
  for (size_t r = 0; r < structures_.rois.size(); ++r) {
    const auto slices = Fill(structures_.rois[r]);
    size_t layer = 0;
    for (;; ++layer) {
      if (layer == layers.size()) {
        if (layers.size() == kMaxLayers ||
            grid_.VoxelCount() * static_cast<int64_t>(layers.size() + 1) > kMaxVoxels)
          throw IoError("the structure set has more overlapping ROIs than can be read");
        layers.emplace_back(static_cast<size_t>(grid_.VoxelCount()));
      }
      bool meets = false;
      for (const auto& [slice, plane] : slices) {
        for (size_t p = 0; p < plane.size() && !meets; ++p)
          if (plane[p])
            meets = layers[layer][Offset(slice, static_cast<int64_t>(p) / grid_.size[across_],
                                         static_cast<int64_t>(p) % grid_.size[across_])] != 0;
        if (meets) break;
      }
      if (!meets) break;
    }
    for (const auto& [slice, plane] : slices)
      for (size_t p = 0; p < plane.size(); ++p)
        if (plane[p])
          layers[layer][Offset(slice, static_cast<int64_t>(p) / grid_.size[across_],
                               static_cast<int64_t>(p) % grid_.size[across_])] =
              static_cast<uint16_t>(r + 1);
    result_.volume_of_roi.push_back(layer);
  }
  const bool small = structures_.rois.size() < 256;
  for (const auto& layer : layers) {
    Volume volume = Volume::Zeros(grid_, small ? VoxelType::kUInt8 : VoxelType::kUInt16);
    if (small) {
      std::copy(layer.begin(), layer.end(), volume.As<uint8_t>());
    } else {
      std::copy(layer.begin(), layer.end(), volume.As<uint16_t>());
    }
    volume.modality = "RTSTRUCT";
    volume.frame_of_reference_uid = structures_.frame_of_reference_uid;
    volume.series_instance_uid = structures_.referenced_series_uid;
    result_.volumes.push_back(std::move(volume));
  }
  if (layers.size() > 1)
    result_.notes.push_back("ROIs overlap: they are read into " + std::to_string(layers.size()) +
                            " label volumes");
  return std::move(result_);
}

}  // namespace

RtMask RasterizeRois(const RtStruct& structures, const Geometry& grid) {
  if (grid.VoxelCount() <= 0 || grid.VoxelCount() > kMaxVoxels)
    throw IoError("the image that the contours are to be filled on is empty or too large");
  const IndexMap index_of = [&](const std::array<double, 3>& x) {
    return grid.IndexFromPhysical(x);
  };
  return Rasterizer(structures, grid, index_of, grid.spacing).Run();
}

RtMask RasterizeRois(const RtStruct& structures, const SourceSeries& source) {
  if (source.regular) return RasterizeRois(structures, source.geometry);
  // Voxels of the stack of slices as they lie: between two slices depth and shift are interpolated.
  Geometry stack;
  stack.size = {source.columns, source.rows, static_cast<int64_t>(source.slices.size())};
  if (stack.VoxelCount() > kMaxVoxels)
    throw IoError("the image that the contours are to be filled on is too large");
  std::vector<double> depths;
  for (const SourceSlice& slice : source.slices)
    depths.push_back(dcm::Dot(slice.position, source.normal));
  const IndexMap index_of = [&](const std::array<double, 3>& x) {
    const double depth = dcm::Dot(x, source.normal);
    const auto above = std::upper_bound(depths.begin() + 1, depths.end() - 1, depth);
    const size_t k = static_cast<size_t>(above - depths.begin()) - 1;
    const double t = (depth - depths[k]) / (depths[k + 1] - depths[k]);
    std::array<double, 3> off{};
    for (int a = 0; a < 3; ++a)
      off[a] = x[a] - (1 - t) * source.slices[k].position[a] - t * source.slices[k + 1].position[a];
    return std::array<double, 3>{dcm::Dot(off, source.row_direction) / source.spacing[1],
                                 dcm::Dot(off, source.column_direction) / source.spacing[0],
                                 static_cast<double>(k) + t};
  };
  const double slice_mm = std::abs(depths.back() - depths.front()) /
                          std::max<double>(1, static_cast<double>(depths.size()) - 1);
  RtMask result =
      Rasterizer(structures, stack, index_of,
                 {source.spacing[1], source.spacing[0], std::max(slice_mm, kSamePlaneMm)})
          .Run();
  const size_t plane = static_cast<size_t>(source.rows) * source.columns;
  for (Volume& volume : result.volumes) {
    const std::vector<uint16_t> labels = volume.ToLabels("the mask");
    std::vector<std::vector<uint16_t>> planes;
    for (size_t k = 0; k < source.slices.size(); ++k)
      planes.emplace_back(labels.begin() + static_cast<ptrdiff_t>(k * plane),
                          labels.begin() + static_cast<ptrdiff_t>((k + 1) * plane));
    Volume moved = VolumeOfPlanes(planes, source, volume.type);
    moved.modality = volume.modality;
    moved.frame_of_reference_uid = volume.frame_of_reference_uid;
    moved.series_instance_uid = volume.series_instance_uid;
    moved.resampled = true;
    volume = std::move(moved);
  }
  for (size_t r = 0; r < result.voxels.size(); ++r) {
    const std::vector<uint16_t> labels =
        result.volumes[result.volume_of_roi[r]].ToLabels("the mask");
    if (result.voxels[r] > 0 &&
        std::find(labels.begin(), labels.end(), static_cast<uint16_t>(r + 1)) == labels.end())
      result.notes.push_back(NameOf(structures.rois[r]) +
                             " has no voxel on the regular grid of the slices");
  }
  result.notes.push_back(
      "the slices are unevenly spaced or tilted: each voxel of the regular grid has the label of "
      "the nearest slice");
  return result;
}

}  // namespace avocet::io
