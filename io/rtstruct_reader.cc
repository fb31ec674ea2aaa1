// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <charconv>
#include <cmath>
#include <functional>
#include <set>
#include <utility>

#include "app/base/error.h"
#include "io/contours.h"
#include "io/dcmtk_util.h"
#include "io/rtstruct.h"

namespace avocet::io {
namespace fs = std::filesystem;
using dcm::Item;

namespace {

constexpr int64_t kMaxVoxels = int64_t{1} << 31;
// Each overlap is looked for in all layers before.
constexpr size_t kMaxLayers = 256;

[[noreturn]] void Fail(const fs::path& path, const std::string& what) {
  throw IoError(path.string() + " " + what);
}

// "x\y\z\x\y\z..." in one pass: DCMTK's access by position starts anew for each number.
std::vector<std::array<double, 3>> ParsePoints(const std::string& text, const fs::path& path) {
  std::vector<double> numbers;
  const char* at = text.c_str();
  const char* last = at + text.size();
  while (*at != '\0') {
    while (*at == ' ') ++at;
    if (*at == '+') ++at;
    double value = 0;  // whatever the locale, which strtod would follow
    const auto [end, error] = std::from_chars(at, last, value);
    if (error != std::errc() || !std::isfinite(value) || std::abs(value) > 1e6)
      Fail(path, "has contour data that are not numbers within a kilometre");
    numbers.push_back(value);
    at = end;
    while (*at == ' ') ++at;
    if (*at == '\\') {
      ++at;
    } else if (*at != '\0') {
      Fail(path, "has contour data that are not numbers within a kilometre");
    }
  }
  if (numbers.empty() || numbers.size() % 3 != 0)
    Fail(path, "has a contour with " + std::to_string(numbers.size()) +
                   " numbers, which are not points of three");
  std::vector<std::array<double, 3>> points(numbers.size() / 3);
  for (size_t i = 0; i < points.size(); ++i)
    points[i] = {numbers[3 * i], numbers[3 * i + 1], numbers[3 * i + 2]};
  return points;
}

void ReadContours(DcmItem& data, RtStruct& result, const fs::path& path) {
  std::map<long, RtRoi*> roi_of_number;
  for (RtRoi& roi : result.rois) roi_of_number[roi.number] = &roi;
  for (DcmItem* item : dcm::Items(data, DCM_ROIContourSequence)) {
    const long number = dcm::Integer(*item, DCM_ReferencedROINumber, -1);
    const auto found = roi_of_number.find(number);
    if (found == roi_of_number.end())
      Fail(path, "has contours of ROI " + std::to_string(number) + ", which it does not describe");
    RtRoi* const roi = found->second;
    double colour[3];
    if (dcm::Numbers(*item, DCM_ROIDisplayColor, 3, colour)) {
      roi->has_rgb = true;
      for (int c = 0; c < 3; ++c)
        roi->rgb[c] = static_cast<uint8_t>(std::clamp(colour[c], 0.0, 255.0));
    }
    // A sequence's items are a list: walk it, do not index it.
    DcmSequenceOfItems* contours = nullptr;
    if (item->findAndGetSequence(DCM_ContourSequence, contours).bad() || !contours) continue;
    DcmObject* next = nullptr;
    while ((next = contours->nextInContainer(next)) != nullptr) {
      auto* contour_item = dynamic_cast<DcmItem*>(next);
      if (!contour_item) continue;
      RtContour contour;
      contour.type = dcm::Text(*contour_item, DCM_ContourGeometricType);
      const std::string numbers = dcm::Text(*contour_item, DCM_ContourData);
      if (numbers.empty()) continue;
      contour.points = ParsePoints(numbers, path);
      const long declared = dcm::Integer(*contour_item, DCM_NumberOfContourPoints, -1);
      if (declared >= 0 && declared != static_cast<long>(contour.points.size()))
        result.notes.push_back("a contour of ROI " + std::to_string(number) + " declares " +
                               std::to_string(declared) + " points and has " +
                               std::to_string(contour.points.size()));
      roi->contours.push_back(std::move(contour));
    }
  }
}

bool IsClosed(const RtContour& contour) {
  return contour.type == "CLOSED_PLANAR" || contour.type == "CLOSEDPLANAR_XOR" ||
         contour.type == "CLOSED_PLANAR_XOR";
}

// A contour in voxel coordinates of the grid.
struct Loop {
  double depth = 0;  // along the axis across the planes
  Polygon polygon;
};

// The contours of one ROI, and what was odd about them.
struct RoiLoops {
  std::vector<Loop> loops;
  int other_types = 0;
  int outside = 0;
};

// Where a point lies in voxels.
using IndexMap = std::function<std::array<double, 3>(const std::array<double, 3>&)>;

class Rasterizer {
 public:
  Rasterizer(const RtStruct& structures, const Geometry& grid, IndexMap index_of)
      : structures_(structures), grid_(grid), index_of_(std::move(index_of)) {}
  RtMask Run();

 private:
  void FindAxis();
  RoiLoops LoopsOf(const RtRoi& roi);
  // Voxels of the ROI, slice by slice (slice -> plane).
  std::map<int64_t, std::vector<uint8_t>> Fill(const RtRoi& roi);
  size_t Offset(int64_t slice, int64_t row, int64_t column) const;

  const RtStruct& structures_;
  const Geometry& grid_;
  IndexMap index_of_;
  int axis_ = 2;    // across the contours' planes
  int across_ = 0;  // column index of a plane
  int down_ = 1;    // row index
  RtMask result_;
};

void Rasterizer::FindAxis() {
  std::array<double, 3> spread{};
  for (const RtRoi& roi : structures_.rois) {
    for (const RtContour& contour : roi.contours) {
      if (!IsClosed(contour) || contour.points.size() < 3) continue;
      std::array<double, 3> low{1e300, 1e300, 1e300};
      std::array<double, 3> high{-1e300, -1e300, -1e300};
      for (const auto& point : contour.points) {
        const auto index = index_of_(point);
        for (int a = 0; a < 3; ++a) {
          low[a] = std::min(low[a], index[a]);
          high[a] = std::max(high[a], index[a]);
        }
      }
      for (int a = 0; a < 3; ++a) spread[a] = std::max(spread[a], high[a] - low[a]);
    }
  }
  // The last axis is favoured: contours of a few points may be flat along two.
  axis_ = 2;
  for (const int a : {1, 0})
    if (spread[a] < spread[axis_] - 1e-3) axis_ = a;
  across_ = axis_ == 0 ? 1 : 0;
  down_ = axis_ == 2 ? 1 : 2;
  if (spread[axis_] > 1.0)
    throw IoError(
        "the contours are not parallel to any voxel plane of the image; give the image series that "
        "they were drawn on");
}

RoiLoops Rasterizer::LoopsOf(const RtRoi& roi) {
  RoiLoops result;
  for (const RtContour& contour : roi.contours) {
    if (!IsClosed(contour) || contour.points.size() < 3) {
      ++result.other_types;
      continue;
    }
    Loop loop;
    for (const auto& point : contour.points) {
      const auto index = index_of_(point);
      loop.depth += index[axis_] / static_cast<double>(contour.points.size());
      loop.polygon.push_back({index[across_], index[down_]});
    }
    const double slice = std::round(loop.depth);
    if (!(slice >= 0 && slice < static_cast<double>(grid_.size[axis_]))) {
      ++result.outside;
      continue;
    }
    result.loops.push_back(std::move(loop));
  }
  std::stable_sort(result.loops.begin(), result.loops.end(),
                   [](const Loop& a, const Loop& b) { return a.depth < b.depth; });
  return result;
}

std::map<int64_t, std::vector<uint8_t>> Rasterizer::Fill(const RtRoi& roi) {
  const RoiLoops found = LoopsOf(roi);
  const std::string name = "ROI " + std::to_string(roi.number);
  if (found.other_types > 0)
    result_.notes.push_back(name + " has " + std::to_string(found.other_types) +
                            " points, lines or open contours, which enclose nothing");
  if (found.outside > 0)
    result_.notes.push_back(std::to_string(found.outside) + " contours of " + name +
                            " lie outside the image");
  const auto rows = static_cast<int>(grid_.size[down_]);
  const auto columns = static_cast<int>(grid_.size[across_]);
  std::map<int64_t, std::vector<uint8_t>> slices;
  std::set<int64_t> planes;
  bool two_planes = false;
  for (size_t i = 0; i < found.loops.size();) {
    // One plane: even-odd. A thousandth of a voxel is rounding.
    std::vector<uint8_t> plane(static_cast<size_t>(rows) * columns);
    const double depth = found.loops[i].depth;
    for (; i < found.loops.size() && found.loops[i].depth - depth < 0.05; ++i)
      FlipInside(found.loops[i].polygon, rows, columns, plane);
    const auto slice = static_cast<int64_t>(std::round(depth));
    auto& target = slices[slice];
    if (target.empty()) {
      target = std::move(plane);
    } else {
      two_planes = true;
      for (size_t p = 0; p < plane.size(); ++p) target[p] |= plane[p];
    }
    planes.insert(slice);
  }
  if (two_planes)
    result_.notes.push_back(name +
                            " has contours closer together than the slices; those that share a "
                            "slice were united");
  if (!planes.empty()) {
    const int64_t empty =
        *planes.rbegin() - *planes.begin() + 1 - static_cast<int64_t>(planes.size());
    if (empty > 0)
      result_.notes.push_back(std::to_string(empty) + " slices between contours of " + name +
                              " have none and stay empty");
  }
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
    result_.volumes.push_back(std::move(volume));
  }
  if (layers.size() > 1)
    result_.notes.push_back("ROIs overlap: they are read into " + std::to_string(layers.size()) +
                            " label volumes");
  return std::move(result_);
}

}  // namespace

RtStruct ReadRtStruct(const fs::path& path) {
  const auto file = dcm::Load(path);
  DcmItem& data = *file->getDataset();
  if (dcm::Text(data, DCM_SOPClassUID) != UID_RTStructureSetStorage)
    Fail(path, "is not an RT structure set");
  RtStruct result;
  result.label = dcm::Text(data, DCM_StructureSetLabel);
  if (DcmItem* frame = Item(data, DCM_ReferencedFrameOfReferenceSequence)) {
    result.frame_of_reference_uid = dcm::Text(*frame, DCM_FrameOfReferenceUID);
    if (DcmItem* study = Item(*frame, DCM_RTReferencedStudySequence))
      if (DcmItem* series = Item(*study, DCM_RTReferencedSeriesSequence))
        result.referenced_series_uid = dcm::Text(*series, DCM_SeriesInstanceUID);
  }
  std::set<int> numbers;
  for (DcmItem* item : dcm::Items(data, DCM_StructureSetROISequence)) {
    RtRoi roi;
    roi.number = static_cast<int>(dcm::Integer(*item, DCM_ROINumber, -1));
    roi.name = dcm::Text(*item, DCM_ROIName);
    if (!numbers.insert(roi.number).second)
      Fail(path, "describes ROI " + std::to_string(roi.number) + " twice");
    result.rois.push_back(std::move(roi));
  }
  if (result.rois.empty()) Fail(path, "describes no region of interest");
  ReadContours(data, result, path);
  return result;
}

bool IsRtStruct(const fs::path& path) { return SopClassOf(path) == UID_RTStructureSetStorage; }

RtMask RasterizeRois(const RtStruct& structures, const Geometry& grid) {
  if (grid.VoxelCount() <= 0 || grid.VoxelCount() > kMaxVoxels)
    throw IoError("the image that the contours are to be filled on is empty or too large");
  return Rasterizer(structures, grid, [&](const auto& x) { return grid.IndexFromPhysical(x); })
      .Run();
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
  RtMask result = Rasterizer(structures, stack, index_of).Run();
  const size_t plane = static_cast<size_t>(source.rows) * source.columns;
  for (Volume& volume : result.volumes) {
    const std::vector<uint16_t> labels = volume.ToLabels("the mask");
    std::vector<std::vector<uint16_t>> planes;
    for (size_t k = 0; k < source.slices.size(); ++k)
      planes.emplace_back(labels.begin() + static_cast<ptrdiff_t>(k * plane),
                          labels.begin() + static_cast<ptrdiff_t>((k + 1) * plane));
    volume = VolumeOfPlanes(planes, source, volume.type);
  }
  result.notes.push_back(
      "the slices are unevenly spaced or tilted: each voxel of the regular grid has the label of "
      "the nearest slice");
  return result;
}

}  // namespace avocet::io
