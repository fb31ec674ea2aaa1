// SPDX-License-Identifier: Apache-2.0
#include "app/core/export.h"

#include <algorithm>
#include <cctype>
#include <map>
#include <set>

#include "app/base/error.h"
#include "app/core/label_names.h"
#include "app/core/manifest.h"
#include "app/core/mask_file.h"
#include "app/core/output_files.h"
#include "io/dicom_seg.h"
#include "io/file_util.h"
#include "io/rtstruct.h"
#include "io/segment_codes.h"
#include "io/surface.h"
#include "io/volume_io.h"

namespace avocet::core {
namespace fs = std::filesystem;
namespace {

// Series description of DICOM objects that were laid on images of another frame of reference.
constexpr const char* kForcedDescription = "FORCED onto images of another frame of reference";

bool IsDicomName(const fs::path& path) {
  std::string extension = path.extension().string();
  for (char& c : extension) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return extension == ".dcm";
}

// The mask file, and the series of images that it belongs to where one is given.
struct Masks : MaskFile {
  io::SourceSeries series;
};

Masks ReadMasks(const ExportOptions& options, Progress& progress) {
  Masks masks;
  MaskGrid grid;
  grid.force = options.force;
  if (!options.source_series.empty()) {
    PartOf scanning(progress, 0, 0.3);
    masks.series = SeriesOfMask(options.mask, options.source_series, options.series, scanning);
    grid.series = &masks.series;
  }
  static_cast<MaskFile&>(masks) = ReadMaskFile(options.mask, grid);
  if (options.space.Known() && grid.series && !IsDicomMask(options.mask))
    CheckSpace(options.space, grid, options.mask, masks);
  if (!options.labels.empty())
    for (const auto& [value, name] : ReadLabelNames(options.labels)) masks.names[value] = name;
  return masks;
}

std::set<int> ValuesOf(const std::vector<uint16_t>& labels) {
  std::vector<bool> seen(65536);
  for (const uint16_t label : labels) seen[label] = true;
  std::set<int> values;
  for (int value = 1; value < 65536; ++value)
    if (seen[static_cast<size_t>(value)]) values.insert(value);
  return values;
}

// Keeps `options.values` only; returns the values that are left.
std::set<int> Choose(io::Volume& mask, const ExportOptions& options, const std::string& name) {
  std::vector<uint16_t> labels = mask.ToLabels(name);
  if (options.values.empty()) return ValuesOf(labels);
  const std::set<int> wanted(options.values.begin(), options.values.end());
  io::Volume chosen = io::ZerosLike(mask, io::VoxelType::kUInt16);
  for (size_t i = 0; i < labels.size(); ++i)
    chosen.As<uint16_t>()[i] = wanted.count(labels[i]) ? labels[i] : uint16_t{0};
  labels.assign(chosen.As<uint16_t>(), chosen.As<uint16_t>() + labels.size());
  mask = std::move(chosen);
  return ValuesOf(labels);
}

// OUT, OUT_2, OUT_3: label volumes that could not share one file.
fs::path Numbered(const fs::path& path, size_t number) {
  if (number == 0) return path;
  const std::string name = path.filename().string();
  const std::string stem = io::HasVolumeExtension(path) ? io::StemOf(path) : path.stem().string();
  return path.parent_path() / (stem + "_" + std::to_string(number + 1) + name.substr(stem.size()));
}

std::string NameOf(const Masks& masks, int value) {
  const auto found = masks.names.find(value);
  return found == masks.names.end() || found->second.empty() ? "Label " + std::to_string(value)
                                                             : found->second;
}

void ExportDicom(Masks& masks, const ExportOptions& options, ExportResult& result,
                 Progress& progress) {
  bool left_out = false;
  for (size_t i = 0; i < masks.volumes.size(); ++i) {
    const std::set<int> values = Choose(masks.volumes[i], options, options.mask.string());
    const fs::path path = Numbered(options.output, i);
    GuardOriginals(path, {options.mask});
    UpdateOrThrow(progress,
                  0.3 + 0.7 * static_cast<double>(i) / static_cast<double>(masks.volumes.size()),
                  path.string());
    if (options.rtstruct) {
      io::RtWriteOptions write;
      write.keep_patient = options.keep_patient;
      write.series_description = options.description;
      write.algorithm_type = options.algorithm_type;
      for (const int value : values) {
        write.names[value] = NameOf(masks, value);
        const auto segment = masks.segments.find(value);
        if (segment != masks.segments.end() && segment->second.has_rgb)
          write.colours[value] = segment->second.rgb;
      }
      const auto written = io::WriteRtStruct(masks.volumes[i], masks.series, path, write);
      result.notes.insert(result.notes.end(), written.notes.begin(), written.notes.end());
      left_out = left_out || written.patient_left_out;
      result.summary = "RTSTRUCT, " + std::to_string(written.rois) + " ROIs, " +
                       std::to_string(written.contours) + " contours";
    } else {
      io::SegWriteOptions write;
      write.keep_patient = options.keep_patient;
      write.series_description = options.description;
      write.algorithm_type = options.algorithm_type;
      write.algorithm_name = options.algorithm_name;
      write.omit_empty_frames = options.omit_empty_frames;
      for (const int value : values) {
        io::SegmentToWrite entry;
        entry.value = value;
        const auto known = masks.segments.find(value);
        if (known != masks.segments.end()) entry.segment = known->second;
        entry.segment.label = NameOf(masks, value);
        write.segments.push_back(entry);
      }
      const auto written = io::WriteDicomSeg(masks.volumes[i], masks.series, path, write);
      result.notes.insert(result.notes.end(), written.notes.begin(), written.notes.end());
      left_out = left_out || written.patient_left_out;
      result.summary = "DICOM SEG, " + std::to_string(values.size()) + " segments, " +
                       std::to_string(written.frames) + " frames";
    }
    result.files.push_back(path);
  }
  if (left_out) result.notes.push_back(kPatientLeftOut);
}

void ExportSurfaces(Masks& masks, const ExportOptions& options, ExportResult& result,
                    Progress& progress) {
  std::vector<io::Surface> surfaces;
  size_t triangles = 0;
  for (io::Volume& volume : masks.volumes) {
    const std::set<int> values = Choose(volume, options, options.mask.string());
    double done = 0;
    for (const int value : values) {
      const std::string name = NameOf(masks, value);
      UpdateOrThrow(progress, 0.3 + 0.7 * done++ / static_cast<double>(values.size()),
                    "surface of " + name);
      io::SurfaceOptions surface_options;
      surface_options.smoothing = options.smoothing;
      io::Surface surface = io::SurfaceOfLabel(volume, value, surface_options);
      surface.name = name;
      const auto segment = masks.segments.find(value);
      surface.rgb = segment != masks.segments.end() && segment->second.has_rgb
                        ? segment->second.rgb
                        : io::MeaningOfLabel(name, value).rgb;
      triangles += surface.triangles.size();
      surfaces.push_back(std::move(surface));
    }
  }
  io::WriteSurfaces(surfaces, options.output);
  result.files.push_back(options.output);
  result.summary = std::to_string(surfaces.size()) + " surfaces, " + std::to_string(triangles) +
                   " triangles, LPS mm";
}

void ExportVolumes(Masks& masks, const ExportOptions& options, ExportResult& result) {
  for (size_t i = 0; i < masks.volumes.size(); ++i) {
    Choose(masks.volumes[i], options, options.mask.string());
    const fs::path path = Numbered(options.output, i);
    GuardOriginals(path, {options.mask});
    io::WriteVolume(masks.volumes[i], path);
    result.files.push_back(path);
  }
  result.summary =
      std::to_string(result.files.size()) + " label volume" + (result.files.size() == 1 ? "" : "s");
}

// What was laid on images of another space must not pass for a mask of them later.
void WriteForcedManifests(const ExportOptions& options, const ExportResult& result) {
  for (const fs::path& file : result.files) {
    Manifest manifest;
    manifest.job = "export";
    manifest.input = options.mask;
    manifest.input_sha256 = io::Sha256OfFile(options.mask);
    manifest.output = file;
    manifest.output_sha256 = io::Sha256OfFile(file);
    manifest.options = {{"force", "yes"}};
    manifest.warnings = result.notes;
    io::WriteFileAtomically(Beside(file, ".manifest.json"), ToJson(manifest));
  }
}

}  // namespace

std::string ExportOptions::Check() const {
  if (mask.empty() || output.empty()) return "a mask and an output file (-o) are needed";
  const bool dicom = IsDicomName(output);
  if (!dicom && !io::HasSurfaceExtension(output) && !io::HasVolumeExtension(output))
    return "'" + output.string() +
           "' has none of the endings that can be written: .dcm, .stl, .obj, .ply, or a volume's";
  if (dicom && source_series.empty())
    return "a DICOM SEG or RTSTRUCT belongs to an image series; give its folder with "
           "--source-series";
  if (rtstruct && !dicom) return "--rtstruct needs an output that ends in .dcm";
  if (algorithm_type != "AUTOMATIC" && algorithm_type != "SEMIAUTOMATIC" &&
      algorithm_type != "MANUAL")
    return "--algorithm-type is '" + algorithm_type +
           "'; it must be AUTOMATIC, SEMIAUTOMATIC or MANUAL";
  if (smoothing < 0 || smoothing > 1000) return "--smooth must lie between 0 and 1000";
  for (const int value : values)
    if (value < 1 || value > 65535) return "--values must lie between 1 and 65535";
  return "";
}

ExportResult RunExport(const ExportOptions& given, Progress& progress) {
  const std::string wrong = given.Check();
  if (!wrong.empty()) throw OptionError(wrong);
  ExportOptions options = given;
  ExportResult result;
  GuardOriginals(options.output, {options.mask});
  UpdateOrThrow(progress, Progress::kUnknown, "reading " + options.mask.string());
  Masks masks = ReadMasks(options, progress);
  result.notes = masks.notes;
  result.forced = masks.forced;
  if (masks.forced) options.description = kForcedDescription;
  if (IsDicomName(options.output)) {
    ExportDicom(masks, options, result, progress);
  } else if (io::HasSurfaceExtension(options.output)) {
    ExportSurfaces(masks, options, result, progress);
  } else {
    ExportVolumes(masks, options, result);
  }
  if (masks.forced) WriteForcedManifests(options, result);
  return result;
}

}  // namespace avocet::core
