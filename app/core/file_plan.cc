// SPDX-License-Identifier: Apache-2.0
#include "app/core/file_plan.h"

#include <map>
#include <string>

#include "app/base/error.h"
#include "io/format.h"
#include "io/volume_io.h"

namespace avocet::core {
namespace fs = std::filesystem;

namespace {

bool IsFolder(const fs::path& path) {
  std::error_code error;
  return fs::is_directory(path, error);
}

bool IsWritableVolumeName(const fs::path& path) {
  const io::Format* format = io::FormatByName(path);
  return format != nullptr && format->CanWrite();
}

fs::path NameInFolder(const fs::path& input, const std::string& suffix) {
  const std::string stem = io::StemOf(input) + suffix;
  return stem + (IsWritableVolumeName(input) ? io::VolumeExtension(input) : ".nii.gz");
}

bool SameFile(const fs::path& a, const fs::path& b) {
  std::error_code error;
  if (fs::equivalent(a, b, error) && !error) return true;
  return fs::weakly_canonical(a, error) == fs::weakly_canonical(b, error) && !error;
}

}  // namespace

bool GoesToFolder(const std::vector<fs::path>& inputs, const fs::path& output) {
  return inputs.size() != 1 || IsFolder(inputs[0]) || IsFolder(output);
}

std::vector<PlannedFile> PlanFiles(const std::vector<fs::path>& inputs, const fs::path& output,
                                   const std::string& suffix) {
  const bool to_folder = GoesToFolder(inputs, output);
  std::error_code error;
  if (to_folder && fs::exists(output, error) && !IsFolder(output)) {
    throw OptionError("--output '" + output.string() +
                      "' is a file; with several inputs or a folder it must be a folder");
  }
  if (inputs.size() == 1 && !fs::exists(inputs[0], error)) {
    throw IoError("'" + inputs[0].string() + "' is not there; check the name");
  }
  if (!to_folder && !IsWritableVolumeName(output)) {
    throw OptionError("--output '" + output.string() +
                      "' has an ending that cannot be written; use one of " +
                      io::WritableExtensions());
  }
  std::vector<PlannedFile> files;
  const auto add = [&](const fs::path& input) {
    files.push_back({input, to_folder ? output / NameInFolder(input, suffix) : output});
  };
  for (const fs::path& input : inputs) {
    if (!IsFolder(input)) {
      add(input);
      continue;
    }
    const auto found = io::ListVolumes(input);
    if (found.empty()) throw IoError("folder '" + input.string() + "' holds no images");
    for (const fs::path& file : found) add(file);
  }
  std::map<fs::path, fs::path> input_of;
  for (const PlannedFile& file : files) {
    if (SameFile(file.input, file.output)) {
      throw OptionError("--output would overwrite the input '" + file.input.string() +
                        "'; choose another file or folder");
    }
    const auto [other, fresh] = input_of.emplace(file.output, file.input);
    if (!fresh) {
      throw OptionError("'" + other->second.string() + "' and '" + file.input.string() +
                        "' would both be written to '" + file.output.string() +
                        "'; put them into two folders");
    }
  }
  return files;
}

}  // namespace avocet::core
