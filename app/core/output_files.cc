// SPDX-License-Identifier: Apache-2.0
#include "app/core/output_files.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "app/base/error.h"
#include "io/array_volume.h"
#include "io/dicom.h"
#include "io/dicom_seg.h"
#include "io/rtstruct.h"

namespace avocet::core {
namespace fs = std::filesystem;

OutputSet::~OutputSet() {
  std::error_code ignored;
  if (complete_) return;
  for (const fs::path& path : fresh_) fs::remove(path, ignored);
}

const fs::path& OutputSet::Begin(const fs::path& path) {
  std::error_code error;
  if (!fs::exists(path, error)) fresh_.push_back(path);
  return path;
}

void GuardOriginals(const fs::path& output, const std::vector<fs::path>& inputs) {
  std::error_code error;
  for (const fs::path& input : inputs) {
    if (!fs::equivalent(io::SplitMember(input).file, output, error)) continue;
    throw OptionError("--output would overwrite the input '" + output.string() +
                      "'; choose another file or folder");
  }
  // A SEG or RTSTRUCT may be what an earlier run wrote.
  if (fs::is_regular_file(output, error) && io::IsDicomFile(output) && !io::IsDicomSeg(output) &&
      !io::IsRtStruct(output)) {
    throw OptionError("--output would overwrite the DICOM image '" + output.string() +
                      "'; choose another file or folder");
  }
}

void CheckFolderWritable(const fs::path& folder) {
  std::error_code error;
  const std::string name = "output folder '" + folder.string() + "'";
  if (!fs::exists(folder, error)) throw IoError(name + " does not exist; make it first");
  if (!fs::is_directory(folder, error)) throw IoError(name + " is a file; choose a folder");
  if (access(folder.c_str(), W_OK | X_OK) != 0) {
    throw IoError(name + " cannot be written: " + std::strerror(errno) + "; choose another one");
  }
}

void MakeWritableFolder(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) {
    throw IoError("output folder '" + folder.string() + "' cannot be made: " + error.message());
  }
  CheckFolderWritable(folder);
}

}  // namespace avocet::core
