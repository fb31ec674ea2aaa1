// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "io/byte_source.h"
#include "io/format_list.h"
#include "io/nifti.h"

namespace avocet::io {
namespace fs = std::filesystem;
namespace {

Volume ReadPart(const fs::path& path, bool voxels) {
  Volume volume = ReadNifti(path, voxels);
  const bool compressed = ByteSource(path).compressed();
  const std::string extension = VolumeExtension(path);
  const bool says_gzip = extension.size() > 3 && extension.substr(extension.size() - 3) == ".gz";
  if (!extension.empty() && compressed != says_gzip) {
    volume.notes.push_back(compressed ? "the file is gzip, though its name does not end in .gz"
                                      : "the file is not gzip, though its name ends in .gz");
  }
  return volume;
}

class Nifti final : public Format {
 public:
  const char* Name() const override { return "NIfTI"; }

  std::vector<std::string> Extensions() const override {
    return {".nii.gz", ".nii", ".hdr", ".img", ".hdr.gz", ".img.gz"};
  }

  bool Recognises(const fs::path& path, std::string_view head) const override {
    if (head.empty()) return false;
    // A raw .img has no signature of its own; its header, beside it, decides.
    const std::string extension = VolumeExtension(path);
    if (extension == ".img" || extension == ".img.gz") return true;
    const auto* bytes = reinterpret_cast<const std::byte*>(head.data());
    return LooksLikeNifti(std::vector<std::byte>(bytes, bytes + std::min<size_t>(head.size(), 4)));
  }

  Volume Read(const fs::path& path) const override { return ReadPart(path, true); }
  Volume ReadInformation(const fs::path& path) const override { return ReadPart(path, false); }

  bool CanWrite() const override { return true; }
  void Write(const Volume& volume, const fs::path& path) const override {
    WriteNifti(volume, path);
  }
};

}  // namespace

const Format& NiftiFormat() {
  static const Nifti format;
  return format;
}

}  // namespace avocet::io
