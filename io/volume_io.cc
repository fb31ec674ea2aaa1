// SPDX-License-Identifier: Apache-2.0
#include "io/volume_io.h"

#include <algorithm>
#include <cctype>
#include <cstring>
#include <optional>
#include <string_view>

#include "app/base/error.h"
#include "io/byte_source.h"
#include "io/nifti.h"

namespace avocet::io {
namespace fs = std::filesystem;
namespace {

// Longest first, because ".nii" is a part of ".nii.gz".
constexpr const char* kExtensions[] = {".nii.gz", ".hdr.gz", ".img.gz", ".nii", ".hdr", ".img"};

std::string Lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return std::tolower(c); });
  return text;
}

bool EndsWith(std::string_view text, std::string_view end) {
  return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}

// The volume extension at the end of the name, in lower case; "" when there is none.
std::string VolumeExtension(const fs::path& path) {
  const std::string name = Lower(path.filename().string());
  for (const char* extension : kExtensions) {
    if (EndsWith(name, extension) && name.size() > std::strlen(extension)) return extension;
  }
  return "";
}

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
  if (begins("NRRD0")) return Foreign{"an NRRD file", kConvert};
  if (text.substr(0, 512).find("ObjectType") != text.npos ||
      (begins("NDims") && text.find("ElementType") != text.npos)) {
    return Foreign{"a MetaImage (.mha or .mhd)", kConvert};
  }
  // DICOM, or old DICOM without a preamble: its first element is (0008,0005), (0008,0008) or so.
  const bool bare_dicom = text.size() > 12 && begins(std::string_view("\x08\0", 2)) &&
                          text[2] >= 0 && text[2] <= 0x18 && text[3] == 0;
  if ((text.size() >= 132 && text.substr(128, 4) == "DICM") || bare_dicom) {
    return Foreign{"a DICOM file",
                   "convert the series to NIfTI (.nii.gz), for example with dcm2niix"};
  }
  // MGH: big-endian version 1, then four sizes and a type from 0 to 4.
  if (text.size() >= 284 && begins(std::string_view("\0\0\0\1", 4)) &&
      text.substr(20, 3) == std::string_view("\0\0\0", 3) && text[23] >= 0 && text[23] <= 4) {
    return Foreign{"a FreeSurfer MGH/MGZ file",
                   "convert it to NIfTI (.nii.gz), for example with mri_convert"};
  }
  if (begins("\x89PNG")) return Foreign{"a PNG picture", kPicture};
  if (begins("\xff\xd8\xff")) return Foreign{"a JPEG picture", kPicture};
  if (begins("BM") && text.size() > 14 && text.substr(6, 4) == std::string_view("\0\0\0\0", 4)) {
    return Foreign{"a BMP picture", kPicture};
  }
  if (begins("II*") || begins(std::string_view("MM\0*", 4)))
    return Foreign{"a TIFF picture", kPicture};
  if (begins("\x89HDF")) return Foreign{"an HDF5 file", kConvert};
  if (begins("\x93NUMPY")) return Foreign{"a NumPy array", kConvert};
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
  const std::string name = path.string();
  const std::string extension = VolumeExtension(path);
  std::vector<std::byte> head;
  bool compressed = false;
  {
    ByteSource stream(path);
    compressed = stream.compressed();
    stream.Append(head, 1024);
  }
  // A raw .img has no signature of its own; its header, beside it, decides.
  const bool raw_half = extension == ".img" || extension == ".img.gz";
  if (!raw_half && !LooksLikeNifti(head)) {
    if (const auto foreign = RecogniseForeign(head)) {
      throw IoError("cannot read '" + name + "': it is " + foreign->what +
                    ", which this version does not read; " + foreign->advice);
    }
    const std::string found = LooksLikeText(head) ? "it holds text, not an image"
                                                  : "it is not an image of a known format";
    throw IoError("cannot read '" + name + "': " + found +
                  "; give a NIfTI volume (.nii, .nii.gz, .hdr/.img)");
  }
  Volume volume = ReadNifti(path);
  const bool says_gzip = EndsWith(extension, ".gz");
  if (!extension.empty() && compressed != says_gzip) {
    volume.notes.push_back(compressed ? "the file is gzip, though its name does not end in .gz"
                                      : "the file is not gzip, though its name ends in .gz");
  }
  return volume;
}

void WriteVolume(const Volume& volume, const fs::path& path) {
  if (VolumeExtension(path).empty()) {
    throw IoError("cannot write '" + path.string() +
                  "': the name must end in .nii.gz, .nii, .hdr or .img");
  }
  WriteNifti(volume, path);
}

Volume ZerosLike(const Volume& like, VoxelType type) {
  Volume volume = Volume::Zeros(like.geometry, type);
  const auto nifti = std::dynamic_pointer_cast<const NiftiSource>(like.source);
  if (nifti) {
    volume.source = nifti->GridOnly();
  } else {
    volume.source = like.source;
  }
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
  std::error_code error;
  fs::directory_iterator it(folder, error);
  if (error) {
    throw IoError("cannot list the folder '" + folder.string() + "': " + error.message());
  }
  for (const fs::directory_iterator end; it != end; it.increment(error)) {
    const fs::path& path = it->path();
    const std::string name = path.filename().string();
    std::error_code ignored;
    if (name.front() == '.' || !HasVolumeExtension(path) || !it->is_regular_file(ignored)) continue;
    // One entry a pair: its header.
    const std::string extension = VolumeExtension(path);
    if (extension == ".img" || extension == ".img.gz") {
      const std::string stem = StemOf(path);
      const auto header_exists = [&](const char* suffix) {
        return fs::exists(folder / (stem + suffix), ignored);
      };
      if (header_exists(".hdr") || header_exists(".hdr.gz") || header_exists(".HDR")) continue;
    }
    files.push_back(path);
  }
  if (error) {
    throw IoError("cannot list the folder '" + folder.string() + "': " + error.message());
  }
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace avocet::io
