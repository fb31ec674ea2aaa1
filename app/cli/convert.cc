// SPDX-License-Identifier: Apache-2.0
#include "app/core/convert.h"

#include <cstdio>
#include <memory>

#include "app/cli/command.h"
#include "io/format.h"

namespace avocet::cli {

namespace {

struct Options {
  std::vector<std::filesystem::path> paths;
  std::filesystem::path output;
  std::string format;
  bool keep_text = false;
  std::string series;
  bool regularise = false;
};

// `whose`: what the notes are about.
void Report(const std::filesystem::path& whose, const std::filesystem::path& output,
            const core::ConvertResult& result, Progress& progress) {
  for (const auto& note : result.notes) progress.Warn(whose.string() + ": " + note);
  const auto& size = result.geometry.size;
  std::printf("%s: %s from %s, %lld x %lld x %lld %s, %s\n", output.c_str(),
              result.output_format.c_str(), result.input_format.c_str(),
              static_cast<long long>(size[0]), static_cast<long long>(size[1]),
              static_cast<long long>(size[2]), io::NameOf(result.type), result.orientation.c_str());
}

ExitCode ConvertOne(const Options& options, Progress& progress) {
  core::ConvertOptions one;
  one.input = options.paths[0];
  one.output = options.output;
  one.keep_text = options.keep_text;
  one.series = options.series;
  one.regularise = options.regularise;
  Report(one.input, one.output, core::Convert(one, progress), progress);
  return ExitCode::kOk;
}

ExitCode ConvertMany(const Options& options, Progress& progress) {
  core::ConvertBatchOptions batch;
  batch.inputs = options.paths;
  batch.output = options.output;
  if (!options.format.empty()) batch.format = options.format;
  batch.keep_text = options.keep_text;
  batch.series = options.series;
  batch.regularise = options.regularise;
  const core::ConvertBatchResult result = core::ConvertToFolder(batch, progress);
  for (const core::ConvertCase& item : result.cases) {
    if (item.error.empty()) {
      Report(item.output.filename(), item.output, item.result, progress);
    } else {
      std::fprintf(stderr, "avocet: error: %s\n", item.error.c_str());
    }
  }
  if (result.failed == 0) return ExitCode::kOk;
  std::fprintf(stderr, "avocet: error: %d of %zu images could not be converted\n", result.failed,
               result.cases.size());
  return ExitCode::kSomeFailed;
}

}  // namespace

void AddConvert(CLI::App& app, Action& action) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand(
      "convert",
      "Images in another file format, voxels and geometry exactly: convert IN OUT, or "
      "convert IN... -o FOLDER");
  command
      ->add_option("inputs", options->paths,
                   "IN OUT: an image, or a folder or DICOMDIR with DICOM (FILE#NAME names an array "
                   "of an .h5 or .npz file), and the file to write, which ends in " +
                       io::WritableExtensions() + "; with -o: all of them are inputs")
      ->required();
  command->add_option("-o,--output", options->output,
                      "Folder for all images and DICOM series of the inputs");
  command->add_option("--format", options->format,
                      "Ending of the files in the folder: nii.gz (default), nrrd, mha, ...");
  command->add_flag(
      "--keep-text", options->keep_text,
      "Keep free text of a NIfTI header, which may name the patient, in a NIfTI file");
  AddSeriesOptions(*command, options->series, options->regularise);
  command->callback([options, &action] {
    action = [options](Progress& progress) {
      std::error_code ignored;
      if (options->output.empty()) {
        if (options->paths.size() < 2) {
          throw OptionError(
              "an input and an output are needed: convert IN OUT, or "
              "convert IN... -o FOLDER");
        }
        options->output = options->paths.back();
        options->paths.pop_back();
        if (options->paths.size() > 1 && !std::filesystem::is_directory(options->output, ignored)) {
          throw OptionError("'" + options->output.string() +
                            "' is not a folder; several images need one: convert IN... -o FOLDER");
        }
        if (options->paths.size() == 1 && options->format.empty() &&
            !std::filesystem::is_directory(options->output, ignored)) {
          return ConvertOne(*options, progress);
        }
      } else if (options->paths.size() == 1 && options->format.empty() &&
                 io::FormatByName(options->output) != nullptr &&
                 !std::filesystem::is_directory(options->output, ignored)) {
        return ConvertOne(*options, progress);  // -o FILE
      }
      return ConvertMany(*options, progress);
    };
  });
}

}  // namespace avocet::cli
