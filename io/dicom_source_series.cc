// SPDX-License-Identifier: Apache-2.0
#include "io/dicom_source_series.h"

#include <algorithm>
#include <cmath>

#include "app/base/error.h"
#include "io/dicom_plan.h"
#include "io/label_sampler.h"

namespace avocet::io {
namespace fs = std::filesystem;
namespace {

using Vec3 = std::array<double, 3>;

SourceSeries SourceOfPlan(const DicomPlan& plan) {
  const dicom::Instance& first = *plan.frames.at(0).instance;
  if (!plan.stack) {
    throw IoError("'" + first.path.string() + "' cannot be the source of a mask: " +
                  (!plan.problem.empty() ? plan.problem
                                         : std::string("it has no complete place in the patient")));
  }
  const dicom::FrameInfo& info = plan.frames[0].info();
  const bool mosaic = first.mosaic.tiles > 0;
  SourceSeries source;
  source.rows = mosaic ? first.mosaic.rows : first.format.rows;
  source.columns = mosaic ? first.mosaic.columns : first.format.columns;
  for (int a = 0; a < 3; ++a) {
    source.row_direction[a] = info.cosines[a];
    source.column_direction[a] = info.cosines[3 + a];
  }
  source.normal = dicom::NormalOf(info);
  source.cosines = info.stated_cosines;
  source.spacing = {info.spacing[1], info.spacing[0]};
  if (info.thickness > 1e-6 && info.thickness < 1e4) source.thickness = info.thickness;
  source.study_uid = first.study_uid;
  source.series_uid = first.series_uid;
  source.frame_of_reference_uid = first.frame_of_reference;
  source.modality = first.modality;
  source.regular = plan.problem.empty();
  if (source.regular) {
    source.geometry = plan.geometry;
  } else {
    source.notes.push_back("the source series is not evenly spaced: " + plan.problem);
    if (plan.can_regularise) source.geometry = dicom::RegularGridOf(plan);
  }
  for (const dicom::FrameRef& frame : plan.frames) {
    const dicom::Instance& instance = *frame.instance;
    SourceSlice slice;
    slice.path = instance.path;
    slice.sop_class = instance.sop_class;
    slice.sop_instance = instance.sop_uid;
    slice.frame = instance.multi_frame ? frame.info().frame + 1 : 0;
    slice.whole_image = frame.info().tile < 0;
    slice.position = frame.info().position;
    source.slices.push_back(std::move(slice));
  }
  return source;
}

}  // namespace

SourceSeries SourceOf(const DicomSeries& series) { return SourceOfPlan(*series.plan); }

SourceSeries SourceOf(const DicomSource& source) { return SourceOfPlan(*source.plan); }

SourceSeries ChooseSource(const DicomTree& tree, const std::string& selector,
                          const std::string& name) {
  std::vector<const DicomSeries*> stacks;
  for (const DicomSeries* series : tree.AllSeries()) {
    if (series->plan->stack) stacks.push_back(series);
  }
  if (selector.empty() && stacks.size() == 1) return SourceOf(*stacks[0]);
  return SourceOf(ChooseSeries(tree, selector, name));
}

SourceSeries ReadSourceSeries(const fs::path& path, const std::string& selector,
                              Progress& progress) {
  const DicomTree tree = ScanDicom(path, progress);
  return ChooseSource(tree, selector, path.string());
}

Volume VolumeOfPlanes(const std::vector<std::vector<uint16_t>>& planes, const SourceSeries& source,
                      VoxelType type) {
  const Geometry& grid = source.geometry;
  if (grid.VoxelCount() == 0) {
    throw IoError("'" + source.slices.at(0).path.string() +
                  "' belongs to a series with gaps too wide to be filled; a mask on it cannot be "
                  "one volume");
  }
  Volume volume = Volume::Zeros(grid, type);
  const auto store = [&](int64_t k, const std::vector<uint16_t>& plane) {
    const int64_t start = k * grid.size[0] * grid.size[1];
    if (type == VoxelType::kUInt8) {
      std::copy(plane.begin(), plane.end(), volume.As<uint8_t>() + start);
    } else {
      std::copy(plane.begin(), plane.end(), volume.As<uint16_t>() + start);
    }
  };
  if (source.regular) {
    for (size_t k = 0; k < planes.size(); ++k) store(static_cast<int64_t>(k), planes[k]);
    return volume;
  }
  const auto depth_of = [&](const Vec3& x) {
    double depth = 0;
    for (int a = 0; a < 3; ++a) depth += (x[a] - source.slices[0].position[a]) * source.normal[a];
    return depth;
  };
  Vec3 along_row{}, down_column{};
  for (int a = 0; a < 3; ++a) {
    along_row[a] = grid.direction[3 * a] * grid.spacing[0];
    down_column[a] = grid.direction[3 * a + 1] * grid.spacing[1];
  }
  std::vector<uint16_t> plane;
  for (int64_t k = 0; k < grid.size[2]; ++k) {
    const Vec3 corner = grid.PhysicalFromIndex({0, 0, static_cast<double>(k)});
    size_t nearest = 0;
    double best = INFINITY;
    for (size_t s = 0; s < source.slices.size(); ++s) {
      const double off = std::abs(depth_of(source.slices[s].position) - depth_of(corner));
      if (off < best) best = off, nearest = s;
    }
    // The slice as a volume so thick that every depth lies in it.
    Geometry slab = grid;
    slab.size = {source.columns, source.rows, 1};
    slab.origin = source.slices[nearest].position;
    slab.spacing[2] = 1e6;
    LabelSampler sampler(slab, planes[nearest]);
    sampler.Sample(corner, along_row, down_column, static_cast<int>(grid.size[1]),
                   static_cast<int>(grid.size[0]), plane);
    store(k, plane);
  }
  return volume;
}

}  // namespace avocet::io
