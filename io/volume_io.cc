// SPDX-License-Identifier: Apache-2.0
#include "io/volume_io.h"

#include <algorithm>

#include "app/base/error.h"
#include "io/format.h"
#include "io/nifti.h"

namespace avocet::io {
namespace fs = std::filesystem;
Volume ZerosLike(const Volume& like, VoxelType type) {
  Volume volume = Volume::Zeros(like.geometry, type);
  const auto nifti = std::dynamic_pointer_cast<const NiftiSource>(like.source);
  if (nifti) {
    volume.source = nifti->GridOnly();
  } else {
    volume.source = like.source;
  }
  volume.assumed = like.assumed;
  volume.resampled = like.resampled;
  volume.frame_of_reference_uid = like.frame_of_reference_uid;
  volume.series_instance_uid = like.series_instance_uid;
  return volume;
}

bool HasVolumeExtension(const fs::path& path) { return !VolumeExtension(path).empty(); }

std::string StemOf(const fs::path& path) {
  const std::string name = path.filename().string();
  const std::string extension = VolumeExtension(path);
  if (!extension.empty()) return name.substr(0, name.size() - extension.size());
  return path.stem().string();
}

std::vector<fs::path> ListVolumes(const fs::path& folder) {
  std::vector<fs::path> files;
  std::vector<fs::path> alone;
  std::error_code error;
  fs::directory_iterator it(folder, error);
  if (error) {
    throw IoError("cannot list the folder '" + folder.string() + "': " + error.message());
  }
  for (const fs::directory_iterator end; it != end; it.increment(error)) {
    const fs::path& path = it->path();
    const Format* format = FormatByName(path);
    std::error_code ignored;
    if (path.filename().string().front() == '.' || !format || !it->is_regular_file(ignored)) {
      continue;
    }
    const Format::Listing listing = format->InFolders();
    if (listing == Format::Listing::kNever) continue;
    // One entry a pair: its header.
    const std::string extension = VolumeExtension(path);
    if (extension == ".img" || extension == ".img.gz") {
      const std::string stem = StemOf(path);
      const auto header_exists = [&](const char* suffix) {
        return fs::exists(folder / (stem + suffix), ignored);
      };
      if (header_exists(".hdr") || header_exists(".hdr.gz") || header_exists(".HDR")) continue;
    }
    (listing == Format::Listing::kAlone ? alone : files).push_back(path);
  }
  if (error) {
    throw IoError("cannot list the folder '" + folder.string() + "': " + error.message());
  }
  if (files.empty()) files = std::move(alone);
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace avocet::io
