// SPDX-License-Identifier: Apache-2.0
#include "app/core/convert.h"

#include "app/base/error.h"
#include "io/format.h"
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
    return std::string("Avocet reads ") + format->Name() + " files but does not write them; '" +
           output.string() + "' must end in " + io::WritableExtensions();
  }
  std::error_code error;
  if (fs::equivalent(input, output, error)) {
    return "'" + output.string() + "' is the input itself; choose another name";
  }
  return "";
}

ConvertResult Convert(const ConvertOptions& options, Progress& progress) {
  if (const std::string wrong = options.Check(); !wrong.empty()) throw OptionError(wrong);
  UpdateOrThrow(progress, 0, "reading " + options.input.filename().string());
  io::Volume volume = io::ReadVolume(options.input);
  ConvertResult result;
  result.input_format = volume.source ? volume.source->FormatName() : "unknown";
  result.output_format = io::FormatByName(options.output)->Name();
  result.geometry = volume.geometry;
  result.orientation = volume.geometry.OrientationLetters();
  result.type = volume.type;
  result.components = volume.components;
  result.frames = volume.frames;
  result.notes = volume.notes;
  const auto nifti = std::dynamic_pointer_cast<const io::NiftiSource>(volume.source);
  if (nifti && !options.keep_text) volume.source = nifti->GridOnly();
  UpdateOrThrow(progress, 0.5, "writing " + options.output.filename().string());
  io::WriteVolume(volume, options.output);
  return result;
}

}  // namespace avocet::core
