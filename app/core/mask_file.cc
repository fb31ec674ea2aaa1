// SPDX-License-Identifier: Apache-2.0
#include "app/core/mask_file.h"

#include <algorithm>

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
  moved.frame_of_reference_uid = mask.frame_of_reference_uid;
  mask = std::move(moved);
  return true;
}

MaskFile ReadSeg(const fs::path& path, const MaskGrid& grid) {
  MaskFile mask;
  io::SegReadResult read = io::ReadDicomSeg(path, grid.series);
  mask.volumes = std::move(read.volumes);
  mask.notes = std::move(read.notes);
  for (const io::Segment& segment : read.segments) {
    mask.segments[segment.number] = segment;
    mask.names[segment.number] = segment.label;
  }
  if (!grid.series && grid.geometry) {
    for (io::Volume& volume : mask.volumes) CarryTo(*grid.geometry, volume, path.string());
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
  const io::RtStruct structures = io::ReadRtStruct(path);
  io::RtMask filled = grid.series ? io::RasterizeRois(structures, *grid.series)
                                  : io::RasterizeRois(structures, *grid.geometry);
  mask.volumes = std::move(filled.volumes);
  mask.notes = structures.notes;
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
    std::string named;
    if (io::IsDicomSeg(mask)) named = io::SeriesNamedBySeg(mask);
    if (io::IsRtStruct(mask)) named = io::ReadRtStruct(mask).referenced_series_uid;
    for (const io::DicomSeries* series : tree.AllSeries()) {
      if (!named.empty() && series->uid == named) chosen = named;
    }
  }
  return io::ChooseSource(tree, chosen, images.string());
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
