// SPDX-License-Identifier: Apache-2.0
#include "app/core/convert.h"

#include <map>
#include <new>
#include <utility>

#include "app/base/error.h"
#include "app/core/inputs.h"
#include "io/format.h"
#include "io/format_list.h"
#include "io/nifti.h"
#include "io/volume_io.h"

namespace avocet::core {
namespace fs = std::filesystem;

std::string ConvertOptions::Check() const {
  if (input.empty()) return "no input file is given";
  if (output.empty()) return "no output file is given";
  const io::Format* format = io::FormatByName(output);
  if (!format) {
    return "'" + output.string() + "' names no format; the name must end in " +
           io::WritableExtensions();
  }
  if (!format->CanWrite()) {
    if (format == &io::DicomFormat()) {
      return "'" + output.string() +
             "' would be DICOM: an image is not written as such, and a mask " +
             "becomes a DICOM SEG with 'avocet export'; other names end in " +
             io::WritableExtensions();
    }
    return std::string("Avocet reads ") + format->Name() + " files but does not write them; '" +
           output.string() + "' must end in " + io::WritableExtensions();
  }
  std::error_code error;
  if (fs::equivalent(input, output, error)) {
    return "'" + output.string() + "' is the input itself; choose another name";
  }
  return "";
}

std::string ConvertBatchOptions::Check() const {
  if (inputs.empty()) return "no input is given";
  if (output.empty()) return "no output folder is given";
  const io::Format* known = io::FormatByName("x." + format);
  if (!known || !known->CanWrite()) {
    return "--format is '" + format + "'; it must be one of " + io::WritableExtensions() +
           ", without the dot";
  }
  return "";
}

namespace {

ConvertResult WriteAs(io::Volume volume, const fs::path& output, bool keep_text) {
  ConvertResult result;
  result.input_format = volume.source ? volume.source->FormatName() : "unknown";
  result.output_format = io::FormatByName(output)->Name();
  result.geometry = volume.geometry;
  result.orientation = volume.geometry.OrientationLetters();
  result.type = volume.type;
  result.components = volume.components;
  result.frames = volume.frames;
  result.notes = volume.notes;
  const auto nifti = std::dynamic_pointer_cast<const io::NiftiSource>(volume.source);
  if (nifti && !keep_text) volume.source = nifti->GridOnly();
  io::WriteVolume(volume, output);
  return result;
}

}  // namespace

ConvertResult Convert(const ConvertOptions& options, Progress& progress) {
  if (const std::string wrong = options.Check(); !wrong.empty()) throw OptionError(wrong);
  UpdateOrThrow(progress, 0, "reading " + options.input.filename().string());
  PartOf reading(progress, 0, 0.8);
  io::ReadOptions read;
  read.series = options.series;
  read.regularise = options.regularise;
  read.progress = &reading;
  io::Volume volume = io::ReadVolume(options.input, read);
  UpdateOrThrow(progress, 0.8, "writing " + options.output.filename().string());
  return WriteAs(std::move(volume), options.output, options.keep_text);
}

ConvertBatchResult ConvertToFolder(const ConvertBatchOptions& options, Progress& progress) {
  if (const std::string wrong = options.Check(); !wrong.empty()) throw OptionError(wrong);
  std::error_code error;
  if (fs::exists(options.output, error) && !fs::is_directory(options.output, error)) {
    throw OptionError("'" + options.output.string() +
                      "' is a file; several images are written to a folder");
  }
  PartOf looking(progress, 0, 0.1);
  const std::vector<JobInput> inputs =
      ExpandInputs(options.inputs, options.series, options.regularise, true, looking);
  ConvertBatchResult batch;
  std::map<fs::path, fs::path> input_of;
  for (const JobInput& input : inputs) {
    ConvertCase item;
    item.input = input.path;
    item.output = options.output / (input.name + "." + options.format);
    item.error = input.error;
    if (fs::equivalent(item.input, item.output, error)) {
      throw OptionError("'" + item.output.string() + "' is an input itself; choose another folder");
    }
    const auto [other, fresh] = input_of.emplace(item.output, item.input);
    if (!fresh) {
      throw OptionError("'" + other->second.string() + "' and '" + item.input.string() +
                        "' would both be written to '" + item.output.string() +
                        "'; convert them into two folders");
    }
    batch.cases.push_back(std::move(item));
  }
  fs::create_directories(options.output, error);
  if (error) {
    throw IoError("the folder '" + options.output.string() +
                  "' cannot be made: " + error.message());
  }
  const double share = 0.9 / static_cast<double>(inputs.size());
  for (size_t i = 0; i < inputs.size(); ++i) {
    ConvertCase& item = batch.cases[i];
    const double begin = 0.1 + static_cast<double>(i) * share;
    UpdateOrThrow(progress, begin, "converting " + inputs[i].name);
    try {
      PartOf reading(progress, begin, begin + share * 0.8);
      item.result = WriteAs(ReadInput(inputs[i], options.regularise, reading), item.output,
                            options.keep_text);
    } catch (const IoError& failure) {
      item.error = failure.what();
    } catch (const std::bad_alloc&) {
      item.error = "'" + item.input.string() + "' needs more memory than there is";
    }
    if (!item.error.empty()) ++batch.failed;
  }
  return batch;
}

}  // namespace avocet::core
