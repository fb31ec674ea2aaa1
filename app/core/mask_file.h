// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "app/base/progress.h"
#include "io/dicom_seg.h"
#include "io/dicom_source_series.h"
#include "io/volume.h"

namespace avocet::core {

// Said when a DICOM object is written without the identity that its images have.
constexpr const char* kPatientLeftOut =
    "the patient's name, ID and birth date were left out of the DICOM object; --keep-patient "
    "copies them from the images, as a PACS wants them";

// What a mask file holds: label volumes (more than one where segments overlap) and what is known of
// each value. Values of a DICOM SEG are its segment numbers, those of an RTSTRUCT the positions of
// its ROIs, from 1.
struct MaskFile {
  std::vector<io::Volume> volumes;
  std::map<int, std::string> names;
  std::map<int, io::Segment> segments;
  std::vector<std::string> notes;
};

// Where masks lie that do not say so themselves, or not completely.
struct MaskGrid {
  const io::SourceSeries* series = nullptr;  // the images that it was made on, or
  const io::Geometry* geometry = nullptr;    // the voxels of another volume
};

// True for a DICOM SEG or RTSTRUCT.
bool IsDicomMask(const std::filesystem::path& path);

// Any volume, DICOM SEG or RTSTRUCT. An RTSTRUCT, which has no voxels, is filled on the series or
// geometry; a SEG comes out on the series' grid, or on the geometry when every voxel of it is one
// of the geometry's (in whatever order of the axes), else on its own grid. Throws IoError;
// OptionError for an RTSTRUCT without series and geometry.
MaskFile ReadMaskFile(const std::filesystem::path& path, const MaskGrid& grid);

// The one label volume of a mask file. Throws IoError where segments overlap, which one volume
// cannot show.
io::Volume OnlyVolume(MaskFile mask, const std::filesystem::path& path);

// The image series of a mask among those below `images`: the one that `selector` chooses (see
// io::ChooseSeries), else the one that the DICOM mask names, else the only one. Throws IoError,
// Cancelled.
io::SourceSeries SeriesOfMask(const std::filesystem::path& mask,
                              const std::filesystem::path& images, const std::string& selector,
                              Progress& progress);

// io::ListVolumes, and the DICOM SEG and RTSTRUCT files directly in the folder.
std::vector<std::filesystem::path> ListMasks(const std::filesystem::path& folder);

}  // namespace avocet::core
