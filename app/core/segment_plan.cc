// SPDX-License-Identifier: Apache-2.0
#include "app/core/segment_plan.h"

#include <map>
#include <string>

#include "app/base/error.h"
#include "io/array_volume.h"
#include "io/format.h"
#include "io/format_list.h"
#include "io/volume_io.h"

namespace avocet::core {
namespace fs = std::filesystem;
namespace {

bool IsFolder(const fs::path& path) {
  std::error_code error;
  return fs::is_directory(path, error);
}

bool IsDicomName(const fs::path& path) { return io::FormatByName(path) == &io::DicomFormat(); }

bool IsMaskName(const fs::path& path) {
  const io::Format* format = io::FormatByName(path);
  return format != nullptr && (format->CanWrite() || IsDicomName(path));
}

fs::path NameInFolder(const JobInput& input, const std::string& format) {
  if (!format.empty()) return input.name + "." + format;
  const io::Format* own = io::FormatByName(input.path);
  if (!input.series && own != nullptr && own->CanWrite()) return input.path.filename();
  return input.name + ".nii.gz";
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
  if (precision != "float32" && precision != "bfloat16") {
    return "--precision is '" + precision + "'; it must be float32 or bfloat16";
  }
  if (!format.empty() && !IsMaskName("mask." + format)) {
    return "--format is '" + format + "'; it must be dcm or an ending of " +
           io::WritableExtensions() + ", without the dot";
  }
  return device.Check();
}

bool NamesOneMask(const SegmentOptions& options) {
  return !IsFolder(options.output) && IsMaskName(options.output);
}

bool WritesToFolder(const SegmentOptions& options, size_t images) {
  if (images != 1 || IsFolder(options.output)) return true;
  return IsFolder(options.inputs.at(0)) && !IsMaskName(options.output);
}

std::vector<SegmentCase> PlanSegment(const SegmentOptions& options,
                                     const std::vector<JobInput>& inputs) {
  const bool to_folder = WritesToFolder(options, inputs.size());
  std::error_code error;
  if (to_folder && !IsFolder(options.output) &&
      (fs::exists(options.output, error) || IsMaskName(options.output))) {
    throw OptionError("--output '" + options.output.string() + "' is a file; " +
                      std::to_string(inputs.size()) + " images need a folder");
  }
  if (inputs.size() == 1 && !inputs[0].series &&
      !fs::exists(io::SplitMember(inputs[0].path).file, error)) {
    throw IoError("'" + inputs[0].path.string() + "' is not there; check the name");
  }
  if (!to_folder && !IsMaskName(options.output)) {
    throw OptionError("--output '" + options.output.string() +
                      "' has an ending that cannot be written; use .dcm (DICOM SEG) or one of " +
                      io::WritableExtensions());
  }
  std::vector<SegmentCase> cases;
  for (const JobInput& input : inputs) {
    SegmentCase item;
    item.input = input.path;
    item.output = to_folder ? options.output / NameInFolder(input, options.format) : options.output;
    item.error = input.error;
    if (item.error.empty() && !input.series && IsDicomName(item.output)) {
      const std::string what = "'" + input.path.string() +
                               "' is not a DICOM series, and a DICOM SEG belongs to one; write "
                               "another format, such as .nii.gz";
      if (inputs.size() == 1) throw OptionError(what);
      item.error = what;
    }
    cases.push_back(std::move(item));
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
