// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "io/dicom_source_series.h"
#include "io/frame_of_reference.h"
#include "io/volume.h"

namespace avocet::io {

// RT Structure Set (PS3.3 A.19): regions of interest as planar contours in patient coordinates.

struct RtContour {
  std::string type;                           // "CLOSED_PLANAR", "CLOSEDPLANAR_XOR", "POINT", ...
  std::vector<std::array<double, 3>> points;  // LPS mm
};

struct RtRoi {
  int number = 0;
  std::string name;
  std::array<uint8_t, 3> rgb{};
  bool has_rgb = false;
  std::vector<RtContour> contours;
  int damaged_contours = 0;  // that could not be read and are left out
  // The frame of reference of its points, and the image series that the file names for it.
  SpaceIdentity space;
};

struct RtStruct {
  std::vector<RtRoi> rois;
  std::string label;
  std::string frame_of_reference_uid;  // the first, where the file names several
  std::string referenced_series_uid;
  std::vector<std::string> referenced_series_uids;
  std::vector<std::string> notes;
};

// An ROI without contours is kept. A contour that is damaged and contours of an ROI that the file
// does not describe are left out with a note. Throws IoError naming the file when it is no
// structure set or no contour of it can be read.
RtStruct ReadRtStruct(const std::filesystem::path& path);
bool IsRtStruct(const std::filesystem::path& path);

struct RtMask {
  std::vector<Volume> volumes;        // label volumes; values are positions in `rois`, from 1
  std::vector<size_t> volume_of_roi;  // ROIs that share voxels are in different volumes
  std::vector<int64_t> voxels;        // of each ROI on the slices that it was filled on
  std::vector<std::string> notes;
};

// Fills the closed contours on a grid: a voxel belongs to an ROI when its centre lies inside. How
// the contours of one plane combine stands at FillRegion: those that coincide or overlap are
// united, one wholly inside another is a hole. A contour belongs to the nearest slice (halfway
// between two: to the one at the smaller coordinate); contours of two planes that fall into one
// slice are united. The contours' planes must be parallel to voxel planes of the grid within half
// a voxel: IoError when none is, else those that are not are left out. What was left out, united
// or came out empty is noted.
RtMask RasterizeRois(const RtStruct& structures, const Geometry& grid);

// The same on the slices of an image series. Where they are unevenly spaced or tilted the contours
// are filled on the slices as they lie, and the volumes (on the series' regular grid) have the
// nearest slice's labels.
RtMask RasterizeRois(const RtStruct& structures, const SourceSeries& source);

// Closed contours around each label of `labels` in planes across voxel axis `axis` (0, 1, 2): the
// outlines of the voxels, collinear points merged, so that enclosed area is exactly that of the
// voxels. Holes are joined to their outline by a channel of no width (keyhole). Regions that
// touch only at a corner are separate contours. ROI k is `names` entry k in order of value.
RtStruct ContoursOfLabels(const Volume& labels, int axis, const std::map<int, std::string>& names);

struct RtWriteOptions {
  std::map<int, std::string> names;  // value -> ROI name; "ROI <value>" where there is none
  std::map<int, std::array<uint8_t, 3>> colours;
  std::string label = "AVOCET";
  std::string series_description = "Structure set";
  std::string algorithm_type = "AUTOMATIC";  // or SEMIAUTOMATIC, MANUAL
  // Name, ID, birth date and examination numbers of the source's patient. A PACS wants them to file
  // the object beside its images; without them only UIDs tie it to these.
  bool keep_patient = false;
  int series_number = 301;
};

struct RtWriteResult {
  std::string sop_instance_uid;
  bool patient_left_out = false;  // the source names a patient, and this object does not
  int rois = 0;
  int contours = 0;
  std::vector<std::string> notes;
};

// Writes the labels as a structure set on the slices of the source series (one contour plane an
// image, each contour naming its image). The mask is brought to those slices first, as in
// WriteDicomSeg. Throws IoError.
RtWriteResult WriteRtStruct(const Volume& labels, const SourceSeries& source,
                            const std::filesystem::path& path, const RtWriteOptions& options);

}  // namespace avocet::io
