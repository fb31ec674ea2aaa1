// SPDX-License-Identifier: Apache-2.0
#include "app/core/output_plan.h"

#include <map>
#include <set>

#include "app/base/error.h"
#include "app/core/output_files.h"
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

bool IsOutputName(const OutputNames& names, const fs::path& path) {
  const io::Format* format = io::FormatByName(path);
  return format != nullptr && (format->CanWrite() || (names.dicom_seg && IsDicomName(path)));
}

fs::path NameInFolder(const OutputNames& names, const JobInput& input) {
  const std::string stem = input.name + names.suffix;
  if (!names.format.empty()) return stem + "." + names.format;
  const io::Format* own = io::FormatByName(input.path);
  if (!input.series && own != nullptr && own->CanWrite()) {
    // The ending as it is written, upper case and all.
    const std::string name = input.path.filename().string();
    return stem + name.substr(name.size() - io::VolumeExtension(input.path).size());
  }
  return stem + ".nii.gz";
}

// One name for one file, whatever links and dots lead to it.
fs::path Real(const fs::path& path) {
  std::error_code error;
  const fs::path real = fs::weakly_canonical(path, error);
  return error ? path : real;
}

void GuardInputs(const OutputPlan& plan) {
  std::set<fs::path> inputs;
  for (const PlannedOutput& file : plan.files) {
    inputs.insert(Real(io::SplitMember(file.input).file));
  }
  std::map<fs::path, fs::path> input_of;
  for (const PlannedOutput& file : plan.files) {
    if (inputs.count(Real(file.output)) != 0) {
      throw OptionError("--output would overwrite the input '" + file.output.string() +
                        "'; choose another file or folder");
    }
    GuardOriginals(file.output, {file.input});
    const auto [other, fresh] = input_of.emplace(file.output, file.input);
    if (!fresh) {
      throw OptionError("'" + other->second.string() + "' and '" + file.input.string() +
                        "' would both be written to '" + file.output.string() +
                        "'; put the results into two folders");
    }
  }
}

}  // namespace

std::string OutputNames::Check() const {
  if (format.empty() || IsOutputName(*this, "x." + format)) return "";
  return "--format is '" + format + "'; it must be " + (dicom_seg ? "dcm or " : "") +
         "an ending of " + io::WritableExtensions() + ", without the dot";
}

bool NamesOneFile(const OutputNames& names) {
  return !names.only_folder && !IsFolder(names.output) && IsOutputName(names, names.output);
}

OutputPlan PlanOutputs(const OutputNames& names, const std::vector<fs::path>& given,
                       const std::vector<JobInput>& inputs) {
  OutputPlan plan;
  const bool one_name = IsOutputName(names, names.output);
  plan.to_folder = names.only_folder || inputs.size() != 1 || IsFolder(names.output) ||
                   (!one_name && !given.empty() && IsFolder(given[0]));
  std::error_code error;
  if (plan.to_folder && !IsFolder(names.output) &&
      (fs::exists(names.output, error) || (one_name && !names.only_folder))) {
    throw OptionError("--output '" + names.output.string() + "' is a file; " +
                      (inputs.size() == 1 ? "this" : std::to_string(inputs.size()) + " images") +
                      " needs a folder");
  }
  if (inputs.size() == 1 && !inputs[0].series &&
      !fs::exists(io::SplitMember(inputs[0].path).file, error)) {
    throw IoError("'" + inputs[0].path.string() + "' is not there; check the name");
  }
  if (!plan.to_folder && !names.format.empty()) {
    throw OptionError("--format has no effect with --output '" + names.output.string() +
                      "', which is one file: it is for the files in a folder; leave it out");
  }
  if (!plan.to_folder && !one_name) {
    throw OptionError(
        "--output '" + names.output.string() + "' has an ending that cannot be written; use " +
        (names.dicom_seg ? ".dcm (DICOM SEG) or " : "") + "one of " + io::WritableExtensions());
  }
  for (const JobInput& input : inputs) {
    PlannedOutput file;
    file.input = input.path;
    file.output = plan.to_folder ? names.output / NameInFolder(names, input) : names.output;
    file.error = input.error;
    if (file.error.empty() && !input.series && IsDicomName(file.output)) {
      const std::string what = "'" + input.path.string() +
                               "' is not a DICOM series, and a DICOM SEG belongs to one; write "
                               "another format, such as .nii.gz";
      if (inputs.size() == 1) throw OptionError(what);
      file.error = what;
    }
    plan.files.push_back(std::move(file));
  }
  GuardInputs(plan);
  return plan;
}

void CheckOutput(const OutputPlan& plan, const fs::path& output) {
  if (plan.to_folder) {
    if (IsFolder(output)) CheckFolderWritable(output);
    return;
  }
  const fs::path parent = output.parent_path();
  CheckFolderWritable(parent.empty() ? fs::path(".") : parent);
}

}  // namespace avocet::core
