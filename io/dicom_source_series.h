// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <filesystem>
#include <string>
#include <vector>

#include "io/volume.h"

namespace avocet::io {

// One plane of an image series, in patient coordinates.
struct SourceSlice {
  std::filesystem::path path;
  std::string sop_class;
  std::string sop_instance;
  int frame = 0;                     // 1-based in a multi-frame file, 0 in a file of one image
  std::array<double, 3> position{};  // LPS mm of the first pixel
  std::string position_text;         // as in the file (VR DS)

  bool CanBeReferenced() const { return !sop_class.empty() && !sop_instance.empty(); }
};

// The planes on which a mask of this series lies: what a SEG or RTSTRUCT refers to.
struct SourceSeries {
  std::vector<SourceSlice> slices;  // by position along `normal`
  int rows = 0;
  int columns = 0;
  std::array<double, 3> row_direction{};     // along a row: direction of growing column index
  std::array<double, 3> column_direction{};  // down a column
  std::array<double, 3> normal{};            // row x column
  std::array<double, 2> spacing{};           // between rows, between columns (PixelSpacing), mm
  double thickness = 0;                      // 0 when unknown
  std::string orientation_text;              // as in the file
  std::string spacing_text;
  std::string study_uid;
  std::string series_uid;
  std::string frame_of_reference_uid;  // "" when the files have none
  std::string modality;
  bool regular = false;  // evenly spaced along a straight line: `geometry` holds
  Geometry geometry;     // i along a row, j down a column, k along `normal`
  std::vector<std::string> notes;

  bool CanBeReferenced() const {  // every image has its UIDs
    for (const SourceSlice& slice : slices)
      if (!slice.CanBeReferenced()) return false;
    return true;
  }
};

// Reads the headers of a series. `files` may hold other DICOM objects (SEG, RTSTRUCT), which are
// left out. Throws IoError when no image is left, when images of several series, sizes or
// orientations are mixed, or when two images lie at one position; each names a file.
SourceSeries ReadSourceSeries(const std::vector<std::filesystem::path>& files);

// True when the file begins like DICOM ("DICM" at byte 128).
bool HasDicomPreamble(const std::filesystem::path& path);

// The DICOM files directly in a folder, or the file itself; sorted by name.
std::vector<std::filesystem::path> ListDicomFiles(const std::filesystem::path& folder_or_file);

}  // namespace avocet::io
