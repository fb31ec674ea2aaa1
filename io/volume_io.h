// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "app/base/progress.h"
#include "io/volume.h"

namespace avocet::io {

// Reads any supported volume (io/format.h: one class a format); the format is found by content
// first, extension second. Sizes are
// checked against the file before memory is taken. What was odd about the header is in
// Volume::notes. Throws IoError (missing, unreadable, truncated, unsupported; names the file).
Volume ReadVolume(const std::filesystem::path& path);

// What only some formats need.
struct ReadOptions {
  std::string series;       // of DICOM: as in ChooseSeries (io/dicom.h)
  bool regularise = false;  // of DICOM: DicomReadOptions::regularise
  Progress* progress = nullptr;

  bool AreDefault() const { return series.empty() && !regularise; }
};

// The same with options; a DICOM file, DICOMDIR or folder gives the series chosen. Throws IoError
// also when options are given that the format has no use for; Cancelled.
Volume ReadVolume(const std::filesystem::path& path, const ReadOptions& options);

// Writes `volume` by the extension of `path` (.nii, .nii.gz, .hdr/.img, .nrrd, .mha, ...). The file
// is written beside the target under a temporary name, flushed, and renamed; on any error nothing
// is left behind and an existing target is untouched. If volume.source is a NIfTI header of a
// volume with the same geometry, its sform, qform, codes, pixdim and units are carried bit for bit.
void WriteVolume(const Volume& volume, const std::filesystem::path& path);

// A volume of `type` with the geometry and source header of `like`, and zero voxels.
Volume ZerosLike(const Volume& like, VoxelType type);

// True when the name ends in an extension that ReadVolume may open.
bool HasVolumeExtension(const std::filesystem::path& path);

// "case_01.nii.gz" -> "case_01" (all volume extensions, compressed ones included).
std::string StemOf(const std::filesystem::path& path);

// The volumes directly in `folder`, sorted by name; hidden files ("._x.nii.gz") are left out, and
// pictures are unless the folder holds nothing else (Format::Listing).
std::vector<std::filesystem::path> ListVolumes(const std::filesystem::path& folder);

}  // namespace avocet::io
