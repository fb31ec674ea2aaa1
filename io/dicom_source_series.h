// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "app/base/progress.h"
#include "io/dicom.h"
#include "io/volume.h"

namespace avocet::io {

// One plane of an image series, in patient coordinates.
struct SourceSlice {
  std::filesystem::path path;
  std::string sop_class;
  std::string sop_instance;
  int frame = 0;                     // 1-based in a multi-frame file, 0 in a file of one image
  bool whole_image = true;           // false: a tile of a mosaic, cut out of the image named here
  std::array<double, 3> position{};  // LPS mm of the first pixel

  bool CanBeReferenced() const { return !sop_class.empty() && !sop_instance.empty(); }
};

// The planes on which a mask of a series lies: what a SEG or RTSTRUCT refers to. They are those of
// the volume that ReadDicomSeries makes of the series, in the same order; a series that is tilted
// or unevenly spaced keeps the true places of its slices here.
struct SourceSeries {
  std::vector<SourceSlice> slices;  // by position along `normal`
  int rows = 0;
  int columns = 0;
  std::array<double, 3> row_direction{};     // along a row: direction of growing column index
  std::array<double, 3> column_direction{};  // down a column
  std::array<double, 3> normal{};            // row x column
  std::array<double, 6> cosines{};           // ImageOrientationPatient as stated
  std::array<double, 2> spacing{};           // between rows, between columns (PixelSpacing), mm
  double thickness = 0;                      // 0 when unknown
  std::string study_uid;
  std::string series_uid;
  std::string frame_of_reference_uid;  // "" when the files have none
  std::string modality;
  // The volume's grid: i along a row, j down a column, k along `normal`. Of a series that is not
  // `regular` it is the grid that DicomReadOptions::regularise resamples to, without voxels when
  // the gaps are too wide for that.
  Geometry geometry;
  bool regular = false;  // evenly spaced along a straight line: each slice is a plane of `geometry`
  std::vector<std::string> notes;

  bool CanBeReferenced() const {  // the series and every image have their UIDs
    if (series_uid.empty()) return false;
    for (const SourceSlice& slice : slices)
      if (!slice.CanBeReferenced()) return false;
    return true;
  }
};

// Throws IoError when the series has no planes in the patient or not one stack of them (slices of
// several sizes or orientations, two at one place).
SourceSeries SourceOf(const DicomSeries& series);

// The series that a volume was read from.
SourceSeries SourceOf(const DicomSource& source);

// The planes of the series that `selector` chooses as ChooseSeries does; "" also finds the only
// series with planes among others without, and one whose gaps are too wide to be read as a volume.
SourceSeries ChooseSource(const DicomTree& tree, const std::string& selector,
                          const std::string& name);

// Scans `path` (a file, DICOMDIR or folder) and chooses so. Throws as these do.
SourceSeries ReadSourceSeries(const std::filesystem::path& path, const std::string& selector,
                              Progress& progress);

// Label planes, one a slice (rows x columns), as a volume on `source.geometry`: exactly when it is
// regular, else each voxel has the label of the nearest pixel of the nearest slice. Throws IoError
// when the grid has no voxels.
Volume VolumeOfPlanes(const std::vector<std::vector<uint16_t>>& planes, const SourceSeries& source,
                      VoxelType type);

}  // namespace avocet::io
