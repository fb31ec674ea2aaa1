// SPDX-License-Identifier: Apache-2.0
#include "app/core/mask_file.h"

#include <algorithm>
#include <cmath>

#include "app/base/error.h"
#include "io/label_sampler.h"
#include "io/rtstruct.h"
#include "io/volume_io.h"

namespace avocet::core {
namespace fs = std::filesystem;
namespace {

// The labels on `grid`, when each voxel of `mask` is one of it.
bool CarryTo(const io::Geometry& grid, io::Volume& mask, const std::string& name) {
  const std::vector<uint16_t> labels = mask.ToLabels(name);
  io::Volume moved = io::Volume::Zeros(grid, mask.type);
  io::LabelSampler sampler(mask.geometry, labels);
  std::array<double, 3> along_row{}, down_column{};
  for (int a = 0; a < 3; ++a) {
    along_row[a] = grid.direction[3 * a] * grid.spacing[0];
    down_column[a] = grid.direction[3 * a + 1] * grid.spacing[1];
  }
  int64_t before = 0, after = 0;
  std::vector<uint16_t> plane;
  for (int64_t k = 0; k < grid.size[2]; ++k) {
    sampler.Sample(grid.PhysicalFromIndex({0, 0, static_cast<double>(k)}), along_row, down_column,
                   static_cast<int>(grid.size[1]), static_cast<int>(grid.size[0]), plane);
    const int64_t start = k * grid.size[0] * grid.size[1];
    for (size_t p = 0; p < plane.size(); ++p) {
      after += plane[p] != 0;
      if (mask.type == io::VoxelType::kUInt8) {
        moved.As<uint8_t>()[start + static_cast<int64_t>(p)] = static_cast<uint8_t>(plane[p]);
      } else {
        moved.As<uint16_t>()[start + static_cast<int64_t>(p)] = plane[p];
      }
    }
  }
  before = static_cast<int64_t>(labels.size()) - std::count(labels.begin(), labels.end(), 0);
  if (sampler.off_grid() > 0.01 || before != after) return false;
  moved.notes = mask.notes;
  moved.modality = mask.modality;
  moved.source = mask.source;
  moved.assumed = mask.assumed;
  moved.assumed.slice_distance = false;  // that of the grid
  moved.resampled = mask.resampled;
  moved.frame_of_reference_uid = mask.frame_of_reference_uid;
  moved.series_instance_uid = mask.series_instance_uid;
  mask = std::move(moved);
  return true;
}

// The ROIs whose positions are comparable with the images: all when none or all are, so that
// CheckSpace judges the file as a whole.
void KeepRoisOf(const MaskGrid& grid, io::RtStruct& structures) {
  if (grid.force) return;
  const io::SpaceIdentity images = grid.series ? io::SpaceOf(*grid.series) : grid.space;
  size_t good = 0;
  for (const io::RtRoi& roi : structures.rois)
    good += !roi.contours.empty() && io::IsComparable(io::CompareSpaces(roi.space, images));
  if (good == 0) return;
  for (io::RtRoi& roi : structures.rois) {
    if (roi.contours.empty() || io::IsComparable(io::CompareSpaces(roi.space, images))) continue;
    structures.notes.push_back("ROI " + std::to_string(roi.number) + " '" + roi.name +
                               "' is left out: " + io::DescribeMismatch(roi.space, images));
    roi.contours.clear();
  }
}

// The space of a structure set: that of its first ROI with contours.
io::SpaceIdentity SpaceOf(const io::RtStruct& structures) {
  for (const io::RtRoi& roi : structures.rois)
    if (!roi.contours.empty()) return roi.space;
  io::SpaceIdentity space;
  space.frame_of_reference_uid = structures.frame_of_reference_uid;
  space.series_uids = structures.referenced_series_uids;
  return space;
}

MaskFile ReadSeg(const fs::path& path, const MaskGrid& grid) {
  MaskFile mask;
  io::SegReadOptions options;
  options.source = grid.series;
  options.grid = grid.geometry;
  CheckSpace(io::SpaceOfSeg(path), grid, path, mask);
  io::SegReadResult read = io::ReadDicomSeg(path, options);
  mask.volumes = std::move(read.volumes);
  mask.notes.insert(mask.notes.end(), read.notes.begin(), read.notes.end());
  for (const io::Segment& segment : read.segments) {
    if (segment.value == 0) continue;  // the background
    mask.segments[segment.value] = segment;
    mask.names[segment.value] = segment.label;
  }
  if (!grid.series && grid.geometry) {
    bool expanded = false;
    for (io::Volume& volume : mask.volumes) {
      const bool other = volume.geometry.size != grid.geometry->size;
      expanded = (CarryTo(*grid.geometry, volume, path.string()) && other) || expanded;
    }
    if (expanded)
      mask.notes.push_back("'" + path.filename().string() +
                           "' covers a part of the grid that it is laid on; the rest is taken as "
                           "empty");
  }
  return mask;
}

MaskFile ReadContours(const fs::path& path, const MaskGrid& grid) {
  if (!grid.series && !grid.geometry) {
    throw OptionError("'" + path.string() +
                      "' is an RT structure set, which has no voxels of its own; give its images "
                      "with --source-series");
  }
  MaskFile mask;
  io::RtStruct structures = io::ReadRtStruct(path);
  KeepRoisOf(grid, structures);
  CheckSpace(SpaceOf(structures), grid, path, mask);
  io::RtMask filled = grid.series ? io::RasterizeRois(structures, *grid.series)
                                  : io::RasterizeRois(structures, *grid.geometry);
  mask.volumes = std::move(filled.volumes);
  mask.notes.insert(mask.notes.end(), structures.notes.begin(), structures.notes.end());
  mask.notes.insert(mask.notes.end(), filled.notes.begin(), filled.notes.end());
  for (size_t i = 0; i < structures.rois.size(); ++i) {
    const int value = static_cast<int>(i) + 1;
    mask.names[value] = structures.rois[i].name;
    if (structures.rois[i].has_rgb) {
      io::Segment& segment = mask.segments[value];
      segment.rgb = structures.rois[i].rgb;
      segment.has_rgb = true;
    }
  }
  return mask;
}

}  // namespace

void CheckSpace(const io::SpaceIdentity& space, const MaskGrid& grid, const fs::path& path,
                MaskFile& mask) {
  const io::SpaceIdentity images = grid.series ? io::SpaceOf(*grid.series) : grid.space;
  mask.match = io::CompareSpaces(space, images);
  const std::string name = "'" + path.filename().string() + "'";
  if (!io::IsComparable(mask.match)) {
    const std::string both = io::DescribeMismatch(space, images);
    if (!grid.force)
      throw OtherSpaceError("'" + path.string() + "' does not belong to these images: " + both +
                            "; positions of the two are not comparable: use the images that it was "
                            "made on, or the mask of these");
    mask.forced = true;
    mask.notes.push_back("FORCED: " + name + " does not belong to these images: " + both +
                         "; where it lies on them means nothing unless the two spaces are known "
                         "to be one");
  } else if (mask.match == io::SpaceMatch::kOtherSeries) {
    mask.notes.push_back(name +
                         " names another image series than these images; the frame of "
                         "reference is the same, so that positions are comparable");
  } else if (mask.match == io::SpaceMatch::kUnknown && images.Known()) {
    mask.notes.push_back("whether " + name +
                         " belongs to these images could not be checked: the frame of reference "
                         "and the series that it names are not stated by both");
  }
}

io::Volume OnlyVolume(MaskFile mask, const fs::path& path) {
  if (mask.volumes.size() != 1)
    throw IoError(path.string() + " holds structures that overlap, which one label volume cannot " +
                  "show; 'avocet export' writes them to several");
  return std::move(mask.volumes[0]);
}

bool IsDicomMask(const fs::path& path) { return io::IsDicomSeg(path) || io::IsRtStruct(path); }

MaskFile ReadMaskFile(const fs::path& path, const MaskGrid& grid) {
  if (io::IsDicomSeg(path)) return ReadSeg(path, grid);
  if (io::IsRtStruct(path)) return ReadContours(path, grid);
  MaskFile mask;
  mask.volumes.push_back(io::ReadVolume(path));
  mask.notes = mask.volumes[0].notes;
  return mask;
}

io::SourceSeries SeriesOfMask(const fs::path& mask, const fs::path& images,
                              const std::string& selector, Progress& progress) {
  const io::DicomTree tree = io::ScanDicom(images, progress);
  std::string chosen = selector;
  if (chosen.empty()) {
    std::vector<std::string> named;
    if (io::IsDicomSeg(mask)) named = io::SpaceOfSeg(mask).series_uids;
    if (io::IsRtStruct(mask)) named = io::ReadRtStruct(mask).referenced_series_uids;
    for (const std::string& uid : named) {
      for (const io::DicomSeries* series : tree.AllSeries()) {
        if (chosen.empty() && series->uid == uid) chosen = uid;
      }
    }
  }
  return io::ChooseSource(tree, chosen, images.string());
}

bool ToCommonBox(io::Volume& a, io::Volume& b) {
  const io::Geometry& g = a.geometry;
  const io::Geometry& h = b.geometry;
  for (size_t n = 0; n < 9; ++n)
    if (std::abs(g.direction[n] - h.direction[n]) > 1e-4) return false;
  const std::array<double, 3> offset = g.IndexFromPhysical(h.origin);
  io::Geometry box = g;
  std::array<double, 3> first{};
  for (size_t axis = 0; axis < 3; ++axis) {
    if (std::abs(g.spacing[axis] - h.spacing[axis]) > 1e-3 * g.spacing[axis]) return false;
    const double start = std::round(offset[axis]);
    if (std::abs(offset[axis] - start) > 0.01 || std::abs(start) > 1e6) return false;
    const auto from = std::min<int64_t>(0, static_cast<int64_t>(start));
    const auto to = std::max(g.size[axis], static_cast<int64_t>(start) + h.size[axis]);
    box.size[axis] = to - from;
    first[axis] = static_cast<double>(from);
  }
  if (box.size[0] > (int64_t{1} << 31) / std::max<int64_t>(1, box.size[1] * box.size[2]))
    return false;
  box.origin = g.PhysicalFromIndex(first);
  // A mask in another format says nothing about what lies outside.
  for (const io::Volume* volume : {&a, &b})
    if (volume->modality != "SEG" && volume->geometry.size != box.size) return false;
  io::Volume wide_a = a;
  io::Volume wide_b = b;
  if (!CarryTo(box, wide_a, "the first mask") || !CarryTo(box, wide_b, "the second mask"))
    return false;
  a = std::move(wide_a);
  b = std::move(wide_b);
  return true;
}

std::vector<fs::path> ListMasks(const fs::path& folder) {
  std::vector<fs::path> files = io::ListVolumes(folder);
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    if (std::find(files.begin(), files.end(), entry.path()) == files.end() &&
        IsDicomMask(entry.path())) {
      files.push_back(entry.path());
    }
  }
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace avocet::core
