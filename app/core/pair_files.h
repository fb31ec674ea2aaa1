// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace avocet::core {

// A source image and the target that a network shall make of it.
struct PairFile {
  std::string name;  // stem of the source
  std::filesystem::path source, target;
};

// The published pairing files: a line "SOURCE_NAME,TARGET_NAME" each, relative to the two folders,
// in the order of the data set's indices. Unlike the published parser, blank lines and lines that
// begin with
// '#' are passed over, and spaces about the names are not part of them. Throws IoError naming the
// line (no comma, more than one, an empty name, a file that is missing).
std::vector<PairFile> ReadPairList(const std::filesystem::path& list,
                                   const std::filesystem::path& source_folder,
                                   const std::filesystem::path& target_folder);

// Namesakes in two folders, by name. Throws IoError when there are none, or when an image of one
// folder has no partner in the other.
std::vector<PairFile> FindNamesakes(const std::filesystem::path& source_folder,
                                    const std::filesystem::path& target_folder);

}  // namespace avocet::core
