// SPDX-License-Identifier: Apache-2.0
// ReadVolume and WriteVolume of io/volume_io.h: through ITK's image factory.
#include <itkImageIOFactory.h>

#include <algorithm>
#include <optional>
#include <string_view>
#include <vector>

#include "app/base/error.h"
#include "io/array_volume.h"
#include "io/byte_source.h"
#include "io/format_list.h"
#include "io/itk/register_image_io.h"
#include "io/itk/volume_image_io.h"
#include "io/volume_io.h"

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
  constexpr const char* kPicture = "pictures have no voxel size; give a NIfTI volume (.nii.gz)";
  if (begins("BM") && text.size() > 14 && text.substr(6, 4) == std::string_view("\0\0\0\0", 4)) {
    return Foreign{"a BMP picture", kPicture};
  }
  if (begins("CDF\1") || begins("CDF\2"))
    return Foreign{"a MINC 1 (NetCDF) file", "convert it to MINC 2 with mincconvert -2"};
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

// Throws IoError: why no format reads the file.
[[noreturn]] void RefuseUnknown(const fs::path& path) {
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

}  // namespace

Volume ReadVolume(const fs::path& path) { return ReadVolume(path, ReadOptions()); }

Volume ReadVolume(const fs::path& path, const ReadOptions& options) {
  RegisterImageIo();
  const itk::ImageIOBase::Pointer image =
      itk::ImageIOFactory::CreateImageIO(path.c_str(), itk::IOFileModeEnum::ReadMode);
  if (!image) RefuseUnknown(path);
  image->SetFileName(path.string());
  if (auto* ours = dynamic_cast<VolumeImageIO*>(image.GetPointer())) {
    return ours->TakeVolume(options);
  }
  // A reader that the program itself registered.
  if (!options.AreDefault()) {
    // A wrong option, not a wrong file; in the words of the jobs that take many inputs.
    throw OptionError("--series and --regularise choose among DICOM series, and '" + path.string() +
                      "' is not DICOM; leave them out");
  }
  return VolumeFromImageIo(*image);
}

void WriteVolume(const Volume& volume, const fs::path& path) {
  RegisterImageIo();
  const itk::ImageIOBase::Pointer image =
      itk::ImageIOFactory::CreateImageIO(path.c_str(), itk::IOFileModeEnum::WriteMode);
  const auto* ours = dynamic_cast<const VolumeImageIO*>(image.GetPointer());
  if (ours) {
    image->SetFileName(path.string());
    return ours->PutVolume(volume);
  }
  const Format* format = FormatByName(path);  // one that is read only says so itself
  if (format) return format->Write(volume, path);
  throw IoError("cannot write '" + path.string() + "': the name must end in " +
                WritableExtensions());
}

}  // namespace avocet::io
