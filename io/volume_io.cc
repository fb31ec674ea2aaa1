// SPDX-License-Identifier: Apache-2.0
#include "io/volume_io.h"

#include <algorithm>
#include <optional>
#include <string_view>

#include "app/base/error.h"
#include "io/array_volume.h"
#include "io/byte_source.h"
#include "io/dicom.h"
#include "io/format.h"
#include "io/format_list.h"
#include "io/nifti.h"

namespace avocet::io {
namespace fs = std::filesystem;
namespace {

// A format that we know by sight and do not read. `advice` ends the sentence.
struct Foreign {
  const char* what;
  const char* advice;
};

std::optional<Foreign> RecogniseForeign(const std::vector<std::byte>& head) {
  const std::string_view text(reinterpret_cast<const char*>(head.data()), head.size());
  const auto begins = [&](std::string_view magic) { return text.substr(0, magic.size()) == magic; };
  constexpr const char* kConvert = "convert it to NIfTI (.nii.gz), for example with 3D Slicer";
  constexpr const char* kPicture = "pictures have no voxel size; give a NIfTI volume (.nii.gz)";
  // MGH: big-endian version 1, then four sizes and a type from 0 to 4.
  if (text.size() >= 284 && begins(std::string_view("\0\0\0\1", 4)) &&
      text.substr(20, 3) == std::string_view("\0\0\0", 3) && text[23] >= 0 && text[23] <= 4) {
    return Foreign{"a FreeSurfer MGH/MGZ file",
                   "convert it to NIfTI (.nii.gz), for example with mri_convert"};
  }
  if (begins("BM") && text.size() > 14 && text.substr(6, 4) == std::string_view("\0\0\0\0", 4)) {
    return Foreign{"a BMP picture", kPicture};
  }
  if (begins("CDF\1") || begins("CDF\2")) return Foreign{"a NetCDF (MINC) file", kConvert};
  if (begins("PK\3\4")) {
    return Foreign{"a zip archive (.zip, .npz, .pth)", "unpack it first, or give a NIfTI volume"};
  }
  if (begins("BZh")) return Foreign{"packed with bzip2", "unpack it first, or pack it with gzip"};
  if (begins("\xfd"
             "7zXZ"))
    return Foreign{"packed with xz", "unpack it first, or pack it with gzip"};
  if (begins("\x28\xb5\x2f\xfd")) {
    return Foreign{"packed with zstd", "unpack it first, or pack it with gzip"};
  }
  return std::nullopt;
}

bool LooksLikeText(const std::vector<std::byte>& head) {
  return !head.empty() && std::all_of(head.begin(), head.end(), [](std::byte b) {
    const auto c = static_cast<unsigned char>(b);
    return c >= 32 || c == '\n' || c == '\r' || c == '\t';
  });
}

}  // namespace

Volume ReadVolume(const fs::path& path) {
  if (const Format* format = FindFormat(path)) return format->Read(path);
  const std::string name = path.string();
  std::vector<std::byte> head;
  ByteSource(SplitMember(path).file).Append(head, 1024);  // refuses a folder
  if (const auto foreign = RecogniseForeign(head)) {
    throw IoError("cannot read '" + name + "': it is " + foreign->what +
                  ", which this version does not read; " + foreign->advice);
  }
  if (FormatByName(path) == &DicomFormat()) {
    throw IoError(
        "cannot read '" + name +
        "': its name says DICOM, but it begins neither with 'DICM' at byte 128 nor with a "
        "data set; export it again from where it came");
  }
  const std::string found =
      LooksLikeText(head) ? "it holds text, not an image" : "it is not an image of a known format";
  throw IoError("cannot read '" + name + "': " + found +
                "; give an image such as a NIfTI volume (.nii.gz)");
}

Volume ReadVolume(const fs::path& path, const ReadOptions& options) {
  if (IsDicom(path)) {
    SilentProgress silent;
    Progress& progress = options.progress ? *options.progress : silent;
    PartOf scanning(progress, 0, 0.4), reading(progress, 0.4, 1);
    const DicomTree tree = ScanDicom(path, scanning);
    const DicomSeries& series = ChooseSeries(tree, options.series, path.string());
    Volume volume = ReadDicomSeries(series, {options.regularise}, reading);
    if (!tree.skipped.empty()) {
      volume.notes.push_back(std::to_string(tree.skipped.size()) +
                             " DICOM files beside it could not be read, and slices may be "
                             "missing; 'avocet info' names them");
    }
    return volume;
  }
  if (!options.AreDefault()) {
    throw IoError("'" + path.string() + "' is not DICOM: --series and --regularise do not apply");
  }
  return ReadVolume(path);
}

void WriteVolume(const Volume& volume, const fs::path& path) {
  const Format* format = FormatByName(path);
  if (!format) {
    throw IoError("cannot write '" + path.string() + "': the name must end in " +
                  WritableExtensions());
  }
  format->Write(volume, path);
}

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
