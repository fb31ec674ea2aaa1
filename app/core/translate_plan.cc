// SPDX-License-Identifier: Apache-2.0
#include "app/core/translate_plan.h"

#include <map>
#include <string>

#include "app/base/error.h"
#include "io/format.h"
#include "io/volume_io.h"

namespace avocet::core {
namespace fs = std::filesystem;

const char* const kTranslateNotice =
    "the output is synthetic: a network's estimate, which can lose or invent structures; research "
    "use "
    "only, not for diagnosis";

namespace {

bool IsFolder(const fs::path& path) {
  std::error_code error;
  return fs::is_directory(path, error);
}

bool IsWritableVolumeName(const fs::path& path) {
  const io::Format* format = io::FormatByName(path);
  return format != nullptr && format->CanWrite();
}

fs::path NameInFolder(const fs::path& input, bool plain) {
  const std::string stem = io::StemOf(input) + (plain ? "" : "_synthetic");
  return stem + (IsWritableVolumeName(input) ? io::VolumeExtension(input) : ".nii.gz");
}

bool SameFile(const fs::path& a, const fs::path& b) {
  std::error_code error;
  if (fs::equivalent(a, b, error) && !error) return true;
  return fs::weakly_canonical(a, error) == fs::weakly_canonical(b, error) && !error;
}

}  // namespace

std::string TranslateOptions::Check() const {
  if (inputs.empty()) return "no input is given; name an image or a folder of images";
  if (model.empty()) return "no model is given; name one with --model";
  if (output.empty()) return "no output is given; name a file or folder with --output";
  if (batch < 0) return "--batch is " + std::to_string(batch) + "; it must be 0 (auto) or more";
  if (plane != "auto" && plane != "axial" && plane != "coronal" && plane != "sagittal") {
    return "--plane is '" + plane + "'; it must be auto, axial, coronal or sagittal";
  }
  return device.Check();
}

bool WritesToFolder(const TranslateOptions& options) {
  return options.inputs.size() != 1 || IsFolder(options.inputs[0]) || IsFolder(options.output);
}

std::vector<TranslateCase> PlanTranslate(const TranslateOptions& options) {
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
  std::vector<TranslateCase> cases;
  const auto add = [&](const fs::path& input) {
    TranslateCase item;
    item.input = input;
    item.output =
        to_folder ? options.output / NameInFolder(input, options.plain_name) : options.output;
    cases.push_back(item);
  };
  for (const fs::path& input : options.inputs) {
    if (!IsFolder(input)) {
      add(input);
      continue;
    }
    const auto files = io::ListVolumes(input);
    if (files.empty()) throw IoError("folder '" + input.string() + "' holds no images");
    for (const fs::path& file : files) add(file);
  }
  std::map<fs::path, fs::path> input_of;
  for (const TranslateCase& item : cases) {
    if (SameFile(item.input, item.output)) {
      throw OptionError("--output would overwrite the input '" + item.input.string() +
                        "'; choose another file or folder");
    }
    const auto [other, fresh] = input_of.emplace(item.output, item.input);
    if (!fresh) {
      throw OptionError("'" + other->second.string() + "' and '" + item.input.string() +
                        "' would both be written to '" + item.output.string() +
                        "'; translate them into two folders");
    }
  }
  return cases;
}

}  // namespace avocet::core
