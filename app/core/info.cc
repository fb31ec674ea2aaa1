// SPDX-License-Identifier: Apache-2.0
#include "app/core/info.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <type_traits>

#include "app/base/error.h"
#include "io/array_volume.h"
#include "io/nifti.h"
#include "io/volume_io.h"

namespace avocet::core {
namespace {

template <typename T>
void MeasureRange(const io::Volume& volume, VolumeInfo& info) {
  const T* values = volume.As<T>();
  const int64_t count = volume.ValueCount();
  T low = std::numeric_limits<T>::max();
  T high = std::numeric_limits<T>::lowest();
  int64_t finite = 0;
  for (int64_t i = 0; i < count; ++i) {
    const T value = values[i];
    if constexpr (std::is_floating_point_v<T>) {
      if (std::isnan(value)) {
        ++info.nan_count;
        continue;
      }
      if (std::isinf(value)) {
        ++info.infinite_count;
        continue;
      }
    }
    ++finite;
    low = std::min(low, value);
    high = std::max(high, value);
  }
  info.has_range = finite > 0;
  if (!info.has_range) return;
  const auto real = [&](T value) {
    return static_cast<double>(value) * volume.scaling.slope + volume.scaling.inter;
  };
  info.min = std::min(real(low), real(high));  // a negative slope turns them round
  info.max = std::max(real(low), real(high));
}

void MeasureRange(const io::Volume& volume, VolumeInfo& info) {
  switch (volume.type) {
    case io::VoxelType::kUInt8:
      return MeasureRange<uint8_t>(volume, info);
    case io::VoxelType::kInt8:
      return MeasureRange<int8_t>(volume, info);
    case io::VoxelType::kUInt16:
      return MeasureRange<uint16_t>(volume, info);
    case io::VoxelType::kInt16:
      return MeasureRange<int16_t>(volume, info);
    case io::VoxelType::kUInt32:
      return MeasureRange<uint32_t>(volume, info);
    case io::VoxelType::kInt32:
      return MeasureRange<int32_t>(volume, info);
    case io::VoxelType::kUInt64:
      return MeasureRange<uint64_t>(volume, info);
    case io::VoxelType::kInt64:
      return MeasureRange<int64_t>(volume, info);
    case io::VoxelType::kFloat32:
      return MeasureRange<float>(volume, info);
    case io::VoxelType::kFloat64:
      return MeasureRange<double>(volume, info);
  }
}

VolumeInfo Describe(const io::Volume& volume) {
  VolumeInfo info;
  info.format = volume.source ? volume.source->FormatName() : "unknown";
  if (volume.source) {
    info.big_endian = volume.source->big_endian();
    info.header = volume.source->Fields();
  }
  if (const auto* nifti = dynamic_cast<const io::NiftiSource*>(volume.source.get())) {
    if (nifti->version() != io::NiftiSource::Version::kAnalyze) {
      info.qform_code = nifti->qform_code();
      info.sform_code = nifti->sform_code();
    }
  }
  info.geometry = volume.geometry;
  info.orientation = volume.geometry.OrientationLetters();
  info.type = io::NameOf(volume.type);
  info.components = volume.components;
  info.frames = volume.frames;
  info.scaling = volume.scaling;
  MeasureRange(volume, info);
  info.modality = volume.modality;
  info.assumed = volume.assumed;
  info.resampled = volume.resampled;
  info.frame_of_reference_uid = volume.frame_of_reference_uid;
  info.series_instance_uid = volume.series_instance_uid;
  info.notes = volume.notes;
  return info;
}

nlohmann::ordered_json TreeToJson(const io::DicomTree& tree, bool show_patient) {
  nlohmann::ordered_json json;
  json["dicom_files"] = tree.files;
  json["other_files"] = tree.other_files;
  json["skipped"] = tree.skipped;
  json["patients"] = nlohmann::ordered_json::array();
  int number = 0;
  for (const auto& patient : tree.patients) {
    nlohmann::ordered_json person;
    if (show_patient) {
      person["name"] = patient.name;
      person["id"] = patient.id;
    }
    person["studies"] = nlohmann::ordered_json::array();
    for (const auto& study : patient.studies) {
      nlohmann::ordered_json one;
      one["study_uid"] = study.uid;
      one["date"] = study.date;
      one["description"] = study.description;
      one["series"] = nlohmann::ordered_json::array();
      for (const auto& series : study.series) {
        nlohmann::ordered_json entry;
        entry["number"] = ++number;
        entry["series_uid"] = series.uid;
        entry["split"] = series.split;
        entry["modality"] = series.modality;
        entry["series_number"] = series.number;
        entry["description"] = series.description;
        entry["files"] = series.files;
        entry["bytes"] = series.bytes;
        entry["size"] = series.size;
        entry["problem"] = series.problem;
        entry["can_regularise"] = series.can_regularise;
        entry["notes"] = series.notes;
        one["series"].push_back(std::move(entry));
      }
      person["studies"].push_back(std::move(one));
    }
    json["patients"].push_back(std::move(person));
  }
  return json;
}

nlohmann::ordered_json ContoursToJson(const io::RtStruct& contours) {
  nlohmann::ordered_json json;
  json["label"] = contours.label;
  json["frame_of_reference_uid"] = contours.frame_of_reference_uid;
  json["referenced_series_uid"] = contours.referenced_series_uid;
  json["rois"] = nlohmann::ordered_json::array();
  for (const io::RtRoi& roi : contours.rois) {
    size_t points = 0;
    std::map<std::string, int> types;
    for (const io::RtContour& contour : roi.contours) {
      points += contour.points.size();
      ++types[contour.type];
    }
    json["rois"].push_back(
        {{"number", roi.number},
         {"name", roi.name},
         {"contours", types},
         {"points", points},
         {"colour", roi.has_rgb ? nlohmann::ordered_json(roi.rgb) : nlohmann::ordered_json()}});
  }
  json["notes"] = contours.notes;
  return json;
}

nlohmann::ordered_json ItemToJson(const InfoItem& item, const InfoOptions& options) {
  nlohmann::ordered_json json;
  json["file"] = item.path.string();
  if (!item.error.empty()) json["error"] = item.error;
  if (item.contours) json["rtstruct"] = ContoursToJson(*item.contours);
  if (item.dicom) json["dicom"] = TreeToJson(*item.dicom, options.show_patient);
  if (!item.has_info) return json;
  const VolumeInfo& info = item.info;
  json["format"] = info.format;
  json["byte_order"] = info.big_endian ? "big" : "little";
  json["size"] = info.geometry.size;
  json["frames"] = info.frames;
  json["components"] = info.components;
  json["spacing_mm"] = info.geometry.spacing;
  json["origin_lps_mm"] = info.geometry.origin;
  json["direction_lps"] = info.geometry.direction;
  json["orientation"] = info.orientation;
  json["type"] = info.type;
  json["scaling"] = {{"slope", info.scaling.slope}, {"inter", info.scaling.inter}};
  json["min"] = info.has_range ? nlohmann::ordered_json(info.min) : nlohmann::ordered_json();
  json["max"] = info.has_range ? nlohmann::ordered_json(info.max) : nlohmann::ordered_json();
  json["nan_values"] = info.nan_count;
  json["infinite_values"] = info.infinite_count;
  const auto code = [](int value) {
    return value < 0 ? nlohmann::ordered_json() : nlohmann::ordered_json(value);
  };
  json["qform_code"] = code(info.qform_code);
  json["sform_code"] = code(info.sform_code);
  json["modality"] = info.modality;
  json["assumed"] = {{"orientation", info.assumed.orientation},
                     {"in_plane_size", info.assumed.in_plane_size},
                     {"slice_distance", info.assumed.slice_distance}};
  json["resampled"] = info.resampled;
  json["frame_of_reference_uid"] = info.frame_of_reference_uid;
  json["series_instance_uid"] = info.series_instance_uid;
  json["notes"] = info.notes;
  auto& header = json["header"] = nlohmann::ordered_json::object();
  for (const auto& [name, value] : info.header) {
    // A name that comes twice keeps all its values.
    if (header.contains(name)) {
      auto& kept = header[name];
      if (!kept.is_array()) kept = nlohmann::ordered_json::array({kept});
      kept.push_back(value);
    } else {
      header[name] = value;
    }
  }
  return json;
}

}  // namespace

std::vector<InfoItem> DescribeVolumes(const std::vector<std::filesystem::path>& paths,
                                      Progress& progress) {
  return DescribeVolumes(paths, InfoOptions(), progress);
}

namespace {

void DescribeDicom(InfoItem& item, const InfoOptions& options, Progress& progress) {
  const auto tree = std::make_shared<const io::DicomTree>(io::ScanDicom(item.path, progress));
  item.dicom = tree;
  const auto all = tree->AllSeries();
  const auto readable = std::count_if(all.begin(), all.end(), [&](const io::DicomSeries* series) {
    return series->problem.empty() || (options.regularise && series->can_regularise);
  });
  // Several series, or none that is an image: the list says it all.
  std::error_code ignored;
  const bool folder = std::filesystem::is_directory(item.path, ignored);
  if (options.series.empty() && (readable > 1 || (readable == 0 && folder))) return;
  // ChooseSeries counts what could be resampled too; here only what can be read as asked.
  const io::DicomSeries* series = nullptr;
  if (options.series.empty() && readable == 1) {
    series = *std::find_if(all.begin(), all.end(), [&](const io::DicomSeries* one) {
      return one->problem.empty() || (options.regularise && one->can_regularise);
    });
  } else {
    series = &io::ChooseSeries(*tree, options.series, item.path.string());
  }
  item.info = Describe(io::ReadDicomSeries(*series, {options.regularise}, progress));
  item.has_info = true;
}

}  // namespace

std::vector<InfoItem> DescribeVolumes(const std::vector<std::filesystem::path>& paths,
                                      const InfoOptions& options, Progress& progress) {
  std::vector<InfoItem> items;
  const auto start = std::chrono::steady_clock::now();
  const auto is_dicom = [](const std::filesystem::path& path) {
    return io::IsDicom(path) && !io::IsRtStruct(path);
  };
  if ((!options.series.empty() || options.regularise) && !paths.empty() &&
      std::none_of(paths.begin(), paths.end(), is_dicom)) {
    for (const auto& path : paths) {
      std::error_code ignored;
      if (!std::filesystem::exists(io::SplitMember(path).file, ignored)) continue;
      throw OptionError("--series and --regularise choose among DICOM series, and '" +
                        path.string() + "' is no DICOM series; leave them out");
    }
  }
  for (const auto& path : paths) {
    // A few files are done before a person would look for progress.
    if (std::chrono::steady_clock::now() - start > std::chrono::seconds(1)) {
      UpdateOrThrow(progress, static_cast<double>(items.size()) / paths.size(), path.string());
    }
    InfoItem item;
    item.path = path;
    try {
      if (io::IsRtStruct(path)) {
        item.contours = std::make_shared<const io::RtStruct>(io::ReadRtStruct(path));
      } else if (io::IsDicom(path)) {
        DescribeDicom(item, options, progress);
      } else {
        io::ReadOptions read;
        read.series = options.series;
        read.regularise = options.regularise;
        item.info = Describe(io::ReadVolume(path, read));
        item.has_info = true;
      }
    } catch (const IoError& error) {
      item.error = error.what();
    } catch (const OptionError& error) {
      item.error = error.what();  // --series, of a file among others
    }
    items.push_back(std::move(item));
  }
  return items;
}

std::string ToJson(const std::vector<InfoItem>& items, const InfoOptions& options) {
  nlohmann::ordered_json json = nlohmann::ordered_json::array();
  for (const auto& item : items) json.push_back(ItemToJson(item, options));
  if (items.size() == 1) json = nlohmann::ordered_json(json[0]);
  // File names need not be UTF-8.
  return json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace avocet::core
