// SPDX-License-Identifier: Apache-2.0
#include "app/core/output_files.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "app/base/error.h"

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
