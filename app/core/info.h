// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "app/base/progress.h"
#include "io/dicom.h"
#include "io/rtstruct.h"
#include "io/volume.h"

namespace avocet::core {

// What `avocet info` tells of one file. It holds no free text from the header, which may name a
// patient.
struct VolumeInfo {
  std::string format;  // "NIfTI-1"
  bool big_endian = false;
  io::Geometry geometry;
  std::string orientation;  // "RAS": where i, j and k point
  std::string type;         // as stored: "int16"
  int components = 1;
  int64_t frames = 1;
  io::ValueScaling scaling;
  bool has_range = false;  // false when no value is finite
  double min = 0;          // real values, scaling applied, over all frames
  double max = 0;
  int64_t nan_count = 0;
  int64_t infinite_count = 0;
  int qform_code = -1;  // -1: the format has none
  int sform_code = -1;
  std::string modality;
  io::Assumptions assumed;  // of the geometry: what the file does not state
  bool resampled = false;   // the voxels are interpolated, not those of the file
  std::string frame_of_reference_uid, series_instance_uid;  // DICOM; "" when there is none
  // The header's own fields in its own words, free text left out.
  std::vector<std::pair<std::string, std::string>> header;
  std::vector<std::string> notes;  // what is odd about the file
};

struct InfoItem {
  std::filesystem::path path;
  std::string error;  // "" when it was read
  bool has_info = false;
  VolumeInfo info;
  std::shared_ptr<const io::RtStruct> contours;  // of an RTSTRUCT, which has no voxels
  // Of DICOM: what was found there. A folder with several series has this and no `info`.
  std::shared_ptr<const io::DicomTree> dicom;
};

struct InfoOptions {
  std::string series;         // which DICOM series to describe: as in io::ChooseSeries
  bool regularise = false;    // as in io::DicomReadOptions
  bool show_patient = false;  // names and numbers of patients in the JSON
};

// Reads each file, or DICOM folder; one that cannot be read gets its error and the rest go on.
// Throws Cancelled.
std::vector<InfoItem> DescribeVolumes(const std::vector<std::filesystem::path>& paths,
                                      const InfoOptions& options, Progress& progress);
std::vector<InfoItem> DescribeVolumes(const std::vector<std::filesystem::path>& paths,
                                      Progress& progress);

// The same as JSON: an object for one file, an array for several.
std::string ToJson(const std::vector<InfoItem>& items, const InfoOptions& options = {});

}  // namespace avocet::core
