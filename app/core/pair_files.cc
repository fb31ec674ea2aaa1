// SPDX-License-Identifier: Apache-2.0
#include "app/core/pair_files.h"

#include <map>
#include <sstream>

#include "app/base/error.h"
#include "io/file_util.h"
#include "io/volume_io.h"

namespace avocet::core {
namespace fs = std::filesystem;
namespace {

std::string Trimmed(const std::string& text) {
  const char* blanks = " \t\r\n";
  const size_t first = text.find_first_not_of(blanks);
  if (first == std::string::npos) return "";
  return text.substr(first, text.find_last_not_of(blanks) + 1 - first);
}

void RequireFolder(const fs::path& folder) {
  std::error_code error;
  if (!fs::is_directory(folder, error)) {
    throw IoError("'" + folder.string() + "' is not a folder; pairs lie in two folders of images");
  }
}

}  // namespace

std::vector<PairFile> ReadPairList(const fs::path& list, const fs::path& source_folder,
                                   const fs::path& target_folder) {
  RequireFolder(source_folder);
  RequireFolder(target_folder);
  std::istringstream in(io::ReadTextFile(list));
  std::vector<PairFile> pairs;
  int number = 0;
  for (std::string line; std::getline(in, line);) {
    ++number;
    const std::string text = Trimmed(line);
    if (text.empty() || text[0] == '#') continue;
    const std::string where = "'" + list.string() + "', line " + std::to_string(number);
    const size_t comma = text.find(',');
    if (comma == std::string::npos || text.find(',', comma + 1) != std::string::npos) {
      throw IoError(where + ": '" + text + "' is not 'SOURCE_NAME,TARGET_NAME' with one comma");
    }
    const std::string source = Trimmed(text.substr(0, comma));
    const std::string target = Trimmed(text.substr(comma + 1));
    if (source.empty() || target.empty()) {
      throw IoError(where + ": a name is empty; write 'SOURCE_NAME,TARGET_NAME'");
    }
    PairFile pair{io::StemOf(source), source_folder / source, target_folder / target};
    for (const fs::path& path : {pair.source, pair.target}) {
      std::error_code error;
      if (!fs::exists(path, error)) throw IoError(where + ": '" + path.string() + "' is not there");
    }
    pairs.push_back(std::move(pair));
  }
  if (pairs.empty()) throw IoError("'" + list.string() + "' lists no pair");
  return pairs;
}

std::vector<PairFile> FindNamesakes(const fs::path& source_folder, const fs::path& target_folder) {
  RequireFolder(source_folder);
  RequireFolder(target_folder);
  std::map<std::string, fs::path> targets;
  for (const fs::path& path : io::ListVolumes(target_folder)) targets[io::StemOf(path)] = path;
  std::vector<PairFile> pairs;
  for (const fs::path& path : io::ListVolumes(source_folder)) {
    const std::string name = io::StemOf(path);
    const auto found = targets.find(name);
    if (found == targets.end()) {
      throw IoError("'" + path.string() + "' has no namesake in '" + target_folder.string() +
                    "'; pairs have the same name in both folders");
    }
    pairs.push_back({name, path, found->second});
    targets.erase(found);
  }
  if (!targets.empty()) {
    throw IoError("'" + targets.begin()->second.string() + "' has no namesake in '" +
                  source_folder.string() + "'; pairs have the same name in both folders");
  }
  if (pairs.empty()) throw IoError("'" + source_folder.string() + "' holds no images");
  return pairs;
}

}  // namespace avocet::core
