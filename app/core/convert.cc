// SPDX-License-Identifier: Apache-2.0
#include "app/core/convert.h"

#include <utility>

#include "app/base/error.h"
#include "app/core/batch.h"
#include "app/core/inputs.h"
#include "app/core/output_files.h"
#include "app/core/output_plan.h"
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
  return Names().Check();
}

OutputNames ConvertBatchOptions::Names() const {
  OutputNames names;
  names.output = output;
  names.format = format;
  names.only_folder = true;
  return names;
}

namespace {

// The header text of a NIfTI file goes to NIfTI files only.
bool CanKeepText(const io::Volume& volume, const fs::path& output) {
  return std::dynamic_pointer_cast<const io::NiftiSource>(volume.source) != nullptr &&
         io::FormatByName(output) == &io::NiftiFormat();
}

ConvertResult WriteAs(io::Volume volume, const fs::path& output, bool keep_text) {
  ConvertResult result;
  result.input_format = volume.source ? volume.source->FormatName() : "unknown";
  result.output_format = io::FormatByName(output)->Name();
  result.geometry = volume.geometry;
  result.orientation =
      volume.geometry.OrientationLetters() + (volume.assumed.orientation ? "?" : "");
  result.type = volume.type;
  result.components = volume.components;
  result.frames = volume.frames;
  result.notes = volume.notes;
  const auto nifti = std::dynamic_pointer_cast<const io::NiftiSource>(volume.source);
  if (nifti && keep_text) {
    volume.description.clear();  // the header's own text is kept whole
  } else if (nifti) {
    volume.source = nifti->GridOnly();
  }
  io::WriteVolume(volume, output);
  return result;
}

}  // namespace

ConvertResult Convert(const ConvertOptions& options, Progress& progress) {
  if (const std::string wrong = options.Check(); !wrong.empty()) throw OptionError(wrong);
  GuardOriginals(options.output, {options.input});
  UpdateOrThrow(progress, 0, "reading " + options.input.filename().string());
  PartOf reading(progress, 0, 0.8);
  io::ReadOptions read;
  read.series = options.series;
  read.regularise = options.regularise;
  read.progress = &reading;
  io::Volume volume = io::ReadVolume(options.input, read);
  if (options.keep_text && !CanKeepText(volume, options.output)) {
    throw OptionError("--keep-text has no effect on '" + options.output.string() +
                      "': the text of a header is kept from NIfTI to NIfTI; leave it out");
  }
  UpdateOrThrow(progress, 0.8, "writing " + options.output.filename().string());
  return WriteAs(std::move(volume), options.output, options.keep_text);
}

ConvertBatchResult ConvertToFolder(const ConvertBatchOptions& options, Progress& progress) {
  if (const std::string wrong = options.Check(); !wrong.empty()) throw OptionError(wrong);
  PartOf looking(progress, 0, 0.1);
  const std::vector<JobInput> inputs =
      ExpandInputs(options.inputs, options.series, options.regularise, true, looking);
  const OutputPlan plan = PlanOutputs(options.Names(), options.inputs, inputs);
  ConvertBatchResult batch;
  for (const PlannedOutput& file : plan.files) {
    ConvertCase item;
    item.input = file.input;
    item.output = file.output;
    item.error = file.error;
    batch.cases.push_back(std::move(item));
  }
  MakeWritableFolder(options.output);
  const double share = 0.9 / static_cast<double>(inputs.size());
  batch.failed = RunBatch(true, batch.cases, [&](size_t i) {
    const double begin = 0.1 + static_cast<double>(i) * share;
    UpdateOrThrow(progress, begin, "converting " + inputs[i].name);
    PartOf reading(progress, begin, begin + share * 0.8);
    io::Volume volume = ReadInput(inputs[i], options.regularise, reading);
    const bool keep = options.keep_text && CanKeepText(volume, batch.cases[i].output);
    if (options.keep_text && !keep) {
      progress.Warn(batch.cases[i].output.filename().string() +
                    ": its header text is not kept, which is done from NIfTI to NIfTI only");
    }
    batch.cases[i].result = WriteAs(std::move(volume), batch.cases[i].output, keep);
  });
  return batch;
}

}  // namespace avocet::core
