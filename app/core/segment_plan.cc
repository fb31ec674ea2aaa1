// SPDX-License-Identifier: Apache-2.0
#include "app/core/segment_plan.h"

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

fs::path NameInFolder(const fs::path& input) {
  if (IsWritableVolumeName(input)) return input.filename();
  return io::StemOf(input) + ".nii.gz";
}

bool SameFile(const fs::path& a, const fs::path& b) {
  std::error_code error;
  if (fs::equivalent(a, b, error) && !error) return true;
  return fs::weakly_canonical(a, error) == fs::weakly_canonical(b, error) && !error;
}

}  // namespace

std::string SegmentOptions::Check() const {
  if (inputs.empty()) return "no input is given; name an image or a folder of images";
  if (model.empty()) return "no model is given; name one with --model";
  if (output.empty()) return "no output is given; name a file or folder with --output";
  if (batch < 1) return "--batch is " + std::to_string(batch) + "; it must be at least 1";
  if (tta != "none" && tta != "flip" && tta != "flip-rot") {
    return "--tta is '" + tta + "'; it must be none, flip or flip-rot";
  }
  return device.Check();
}

bool WritesToFolder(const SegmentOptions& options) {
  return options.inputs.size() != 1 || IsFolder(options.inputs[0]) || IsFolder(options.output);
}

std::vector<SegmentCase> PlanSegment(const SegmentOptions& options) {
  const bool to_folder = WritesToFolder(options);
  std::error_code error;
  if (to_folder && fs::exists(options.output, error) && !IsFolder(options.output)) {
    throw OptionError("--output '" + options.output.string() +
                      "' is a file; with several inputs or a folder it must be a folder");
  }
  if (options.inputs.size() == 1 && !fs::exists(options.inputs[0], error)) {
    throw IoError("'" + options.inputs[0].string() + "' is not there; check the name");
  }
  if (!to_folder && !IsWritableVolumeName(options.output)) {
    throw OptionError("--output '" + options.output.string() +
                      "' has an ending that cannot be written; use one of " +
                      io::WritableExtensions());
  }
  std::vector<SegmentCase> cases;
  const auto add = [&](const fs::path& input) {
    SegmentCase item;
    item.input = input;
    item.output = to_folder ? options.output / NameInFolder(input) : options.output;
    cases.push_back(item);
  };
  for (const fs::path& input : options.inputs) {
    if (!IsFolder(input)) {
      add(input);
      continue;
    }
    const auto files = io::ListVolumes(input);
    if (files.empty()) {
      throw IoError("folder '" + input.string() + "' holds no images");
    }
    for (const fs::path& file : files) add(file);
  }
  std::map<fs::path, fs::path> input_of;
  for (const SegmentCase& item : cases) {
    if (SameFile(item.input, item.output)) {
      throw OptionError("--output would overwrite the input '" + item.input.string() +
                        "'; choose another file or folder");
    }
    const auto [other, fresh] = input_of.emplace(item.output, item.input);
    if (!fresh) {
      throw OptionError("'" + other->second.string() + "' and '" + item.input.string() +
                        "' would both be written to '" + item.output.string() +
                        "'; segment them into two folders");
    }
  }
  return cases;
}

}  // namespace avocet::core
