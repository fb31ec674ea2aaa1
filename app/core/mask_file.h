// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "app/base/error.h"
#include "app/base/progress.h"
#include "io/dicom_seg.h"
#include "io/dicom_source_series.h"
#include "io/frame_of_reference.h"
#include "io/volume.h"

namespace avocet::core {

// Said when a DICOM object is written without the identity that its images have.
constexpr const char* kPatientLeftOut =
    "the patient's name, ID and birth date were left out of the DICOM object; --keep-patient "
    "copies them from the images, as a PACS wants them";

// A mask whose positions cannot be compared with those of the images that it would be laid on: the
// frames of reference differ, or the series do and no frame of reference is shared. It may be
// another patient's.
class OtherSpaceError : public IoError {
 public:
  using IoError::IoError;
};

// What a mask file holds: label volumes (more than one where segments overlap) and what is known of
// each value. Values of a DICOM SEG are its segment numbers, those of an RTSTRUCT the positions of
// its ROIs, from 1.
struct MaskFile {
  std::vector<io::Volume> volumes;
  std::map<int, std::string> names;
  std::map<int, io::Segment> segments;
  io::SpaceMatch match = io::SpaceMatch::kUnknown;  // of DICOM masks, with what they were laid on
  // Laid on images whose positions are not comparable, because the caller insisted.
  bool forced = false;
  std::vector<std::string> notes;
};

// Where masks lie that do not say so themselves, or not completely.
struct MaskGrid {
  const io::SourceSeries* series = nullptr;  // the images that it was made on, or
  const io::Geometry* geometry = nullptr;    // the voxels of another volume
  io::SpaceIdentity space;  // what that volume states of its space; a series states its own
  bool force = false;       // lay a mask of another space on it all the same
};

// Compares the space of a mask with that of the images it is laid on: fills `match` and `forced` of
// the result and notes what was found. Throws OtherSpaceError where positions are not comparable,
// unless forced.
void CheckSpace(const io::SpaceIdentity& space, const MaskGrid& grid,
                const std::filesystem::path& path, MaskFile& mask);

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

// Brings two masks read from DICOM SEG to one grid when both are boxes of it, so that each keeps
// its voxels: what lies outside a box has no frame and is empty. A volume that is no SEG keeps its
// grid. False, and nothing is changed, when they are not.
bool ToCommonBox(io::Volume& a, io::Volume& b);

// io::ListVolumes, and the DICOM SEG and RTSTRUCT files directly in the folder.
std::vector<std::filesystem::path> ListMasks(const std::filesystem::path& folder);

}  // namespace avocet::core
