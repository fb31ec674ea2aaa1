// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cctype>
#include <cstddef>

#include "app/base/error.h"
#include "io/array_volume.h"
#include "io/byte_source.h"
#include "io/format_list.h"

namespace avocet::io {
namespace fs = std::filesystem;

const std::vector<const Format*>& Formats() {
  static const std::vector<const Format*> formats = {
      &NiftiFormat(),     &DicomSegFormat(), &DicomFormat(), &NrrdFormat(),
      &MetaImageFormat(), &NpzFormat(),      &NpyFormat(),   &MincFormat(),
      &Hdf5Format(),      &PngFormat(),      &JpegFormat(),  &TiffFormat(),
      &MghFormat(),       &VtkFormat(),      &GiplFormat(),  &MrcFormat(),
  };
  return formats;
}

namespace {

std::string Lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return std::tolower(c); });
  return text;
}

struct NameMatch {
  const Format* format = nullptr;
  std::string extension;
};

// The longest extension counts, because ".nii" is a part of ".nii.gz".
NameMatch MatchName(const fs::path& path) {
  const std::string name = Lower(path.filename().string());
  NameMatch best;
  for (const Format* format : Formats()) {
    for (const std::string& extension : format->Extensions()) {
      if (name.size() > extension.size() && extension.size() > best.extension.size() &&
          name.compare(name.size() - extension.size(), extension.size(), extension) == 0) {
        best = {format, extension};
      }
    }
  }
  return best;
}

}  // namespace

void Format::Write(const Volume&, const fs::path& path) const {
  throw IoError("cannot write '" + path.string() + "': Avocet reads " + Name() +
                " files but does not write them; choose a name that ends in " +
                WritableExtensions());
}

Volume Format::Read(const fs::path& path, const ReadOptions& options) const {
  if (!options.AreDefault()) {
    // A wrong option, not a wrong file; in the words of the jobs that take many inputs.
    throw OptionError("--series and --regularise choose among DICOM series, and '" + path.string() +
                      "' is not DICOM; leave them out");
  }
  return Read(path);
}

const Format* FindFormat(const fs::path& path) {
  std::vector<std::byte> bytes;
  std::error_code ignored;
  if (!fs::is_directory(path, ignored)) ByteSource(SplitMember(path).file).Append(bytes, 1024);
  const std::string_view head(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  for (const Format* format : Formats()) {
    if (format->Recognises(path, head)) return format;
  }
  return nullptr;
}

const Format* FormatByName(const fs::path& path) { return MatchName(path).format; }

std::string VolumeExtension(const fs::path& path) { return MatchName(path).extension; }

std::string WritableExtensions() {
  std::string list;
  for (const Format* format : Formats()) {
    if (!format->CanWrite()) continue;
    for (const std::string& extension : format->Extensions()) {
      list += (list.empty() ? "" : ", ") + extension;
    }
  }
  return list;
}

}  // namespace avocet::io
