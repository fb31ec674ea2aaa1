// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace avocet::core {

struct PlannedFile {
  std::filesystem::path input;
  std::filesystem::path output;
};

// Which file becomes which, for jobs that make one volume of each. Folders are expanded. One input
// file and an output that is not an existing folder give exactly that file; everything else goes
// into the output folder as NAME + suffix (.nii.gz where the input's format is not written).
// Nothing is read or created. Throws OptionError (output equals input, two inputs with one output,
// an ending that cannot be written) or IoError (a single input that is missing, a folder without
// images).
std::vector<PlannedFile> PlanFiles(const std::vector<std::filesystem::path>& inputs,
                                   const std::filesystem::path& output, const std::string& suffix);

// True when the outputs go to a folder: several inputs, or a folder among them.
bool GoesToFolder(const std::vector<std::filesystem::path>& inputs,
                  const std::filesystem::path& output);

}  // namespace avocet::core
