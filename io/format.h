// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "io/volume.h"
#include "io/volume_io.h"

namespace avocet::io {

// One file format. A format is one file (io/nifti_format.cc, io/nrrd_format.cc, ...) and one line
// in io/format_registry.cc; everything else (reading, writing, names, folders, `avocet info` and
// `convert`) goes through the registry. Formats have no state. Headers of third-party libraries
// stay in the format's own file, and their errors are translated there into IoError (one sentence
// that names the file).
class Format {
 public:
  // How a folder's files of this format count in ListVolumes.
  enum class Listing {
    kAlways,
    kAlone,  // only when nothing else in the folder is a volume (pictures beside real volumes)
    kNever,  // a file is no volume of its own (a slice of a series)
  };

  virtual ~Format() = default;

  virtual const char* Name() const = 0;  // "NRRD"

  // Lower case, with the dot, compressed ones too (".nii.gz"); the first is the default for
  // writing.
  virtual std::vector<std::string> Extensions() const = 0;

  // By content: `head` is the first KiB of the file, unpacked when the file is gzip; empty when
  // `path` is a folder. The name decides only where the content cannot (a raw .img).
  virtual bool Recognises(const std::filesystem::path& path, std::string_view head) const = 0;

  // Sizes are checked against the file before memory is taken. Throws IoError.
  virtual Volume Read(const std::filesystem::path& path) const = 0;
  // The same with options; the default refuses all but default ones. Throws IoError, Cancelled.
  virtual Volume Read(const std::filesystem::path& path, const ReadOptions& options) const;

  // What Read gives, without voxels (Volume::data is empty) where the header alone can tell; notes
  // about the voxels are missing then. The default reads the whole file. Throws IoError.
  virtual Volume ReadInformation(const std::filesystem::path& path) const { return Read(path); }

  virtual bool CanWrite() const { return false; }
  // Atomically (io::AtomicFile). Throws IoError; the default says that the format is not written.
  virtual void Write(const Volume& volume, const std::filesystem::path& path) const;

  virtual Listing InFolders() const { return Listing::kAlways; }
};

// All formats, in the order in which they are asked. They live as long as the process.
const std::vector<const Format*>& Formats();

// The format whose content or, failing that, name this is; null when there is none. Throws IoError
// when the file cannot be opened.
const Format* FindFormat(const std::filesystem::path& path);

// The format with the longest extension that `path` ends in; null when there is none.
const Format* FormatByName(const std::filesystem::path& path);

// The extension of some format at the end of the name, in lower case; "" when there is none or when
// nothing stands before it.
std::string VolumeExtension(const std::filesystem::path& path);

// ".nii.gz, .nii, .nrrd": what can be written.
std::string WritableExtensions();

}  // namespace avocet::io
