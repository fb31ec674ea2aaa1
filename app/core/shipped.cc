// SPDX-License-Identifier: Apache-2.0
#include "app/core/shipped.h"

#include <limits.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <sstream>
#include <string>

#include "app/base/error.h"

namespace avocet::core {
namespace fs = std::filesystem;
namespace {

fs::path ProgramFolder() {
  char self[PATH_MAX];
  const ssize_t length = readlink("/proc/self/exe", self, sizeof self);
  if (length <= 0 || length >= PATH_MAX) return {};
  return fs::path(std::string(self, length)).parent_path();
}

void AddFolder(std::vector<fs::path>& folders, const fs::path& folder) {
  std::error_code error;
  if (!fs::is_directory(folder, error)) return;
  const fs::path plain = fs::canonical(folder, error);
  if (!error && std::find(folders.begin(), folders.end(), plain) == folders.end()) {
    folders.push_back(plain);
  }
}

}  // namespace

std::vector<fs::path> DataFolders() {
  std::vector<fs::path> folders;
  const fs::path program = ProgramFolder();
  if (!program.empty()) {
    AddFolder(folders, program / "../../../data");
    AddFolder(folders, program / "../share/avocet");
  }
  return folders;
}

std::vector<fs::path> ModelFolders() {
  std::vector<fs::path> folders;
  if (const char* list = std::getenv("AVOCET_MODELS")) {
    std::istringstream parts(list);
    for (std::string part; std::getline(parts, part, ':');) {
      if (!part.empty()) AddFolder(folders, part);
    }
  }
  for (const fs::path& data : DataFolders()) AddFolder(folders, data / "models");
  return folders;
}

fs::path FindModel(const fs::path& name) {
  std::error_code error;
  if (fs::is_regular_file(name, error)) return name;
  if (fs::is_directory(name, error)) {
    throw IoError("model '" + name.string() + "' is a folder; name a file in it");
  }
  std::string searched;
  if (!name.has_parent_path()) {
    for (const fs::path& folder : ModelFolders()) {
      for (const fs::path& candidate : {folder / name, folder / (name.string() + ".safetensors")}) {
        if (fs::is_regular_file(candidate, error)) return candidate;
      }
      searched += (searched.empty() ? " or in " : ", ") + folder.string();
    }
  }
  throw IoError("model '" + name.string() + "' is not there" + searched +
                "; 'avocet doctor' lists the models that are");
}

}  // namespace avocet::core
