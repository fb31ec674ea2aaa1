// SPDX-License-Identifier: Apache-2.0
#include "app/core/export.h"

#include <cstdio>
#include <memory>

#include "app/cli/command.h"
#include "app/core/mask_file.h"

namespace avocet::cli {
namespace {

constexpr const char* kForceHint = "; --force does it all the same and marks the output";

}  // namespace

void AddExport(CLI::App& app, Action& action) {
  auto options = std::make_shared<core::ExportOptions>();
  CLI::App* command = app.add_subcommand(
      "export", "Write a mask as DICOM SEG, RTSTRUCT, STL, OBJ, PLY or a volume");
  command->add_option("mask", options->mask, "Mask file; DICOM SEG and RTSTRUCT too")->required();
  command
      ->add_option("-o,--output", options->output,
                   "Output file: .dcm, .stl, .obj, .ply, or a volume's ending")
      ->required();
  command->add_option("--source-series", options->source_series,
                      "Folder of the DICOM images that the mask belongs to (for .dcm)");
  command->add_option("--series", options->series,
                      "Which series of that folder: its number in 'avocet info', UID, or UID:N "
                      "(default: the one that a SEG or RTSTRUCT names, or the only one)");
  command
      ->add_option("--labels,--label-names", options->labels,
                   "JSON with label names (dataset.json, or what 'segment' writes beside a mask)")
      ->check(CLI::ExistingFile);
  command->add_option("--values", options->values, "Only these label values, with commas")
      ->delimiter(',');
  command->add_flag("--rtstruct", options->rtstruct, "Contours (RTSTRUCT) instead of DICOM SEG");
  command->add_flag("--omit-empty-frames", options->omit_empty_frames,
                    "DICOM SEG without the frames that hold no voxel");
  command->add_flag("--keep-patient", options->keep_patient,
                    "DICOM with the patient's name, ID and birth date, left out otherwise");
  command
      ->add_option("--algorithm-type", options->algorithm_type,
                   "How the mask was made: AUTOMATIC, SEMIAUTOMATIC or MANUAL")
      ->capture_default_str();
  command->add_option("--algorithm-name", options->algorithm_name, "What made it")
      ->capture_default_str();
  command->add_option("--description", options->description, "Series description")
      ->capture_default_str();
  command->add_option("--smooth", options->smoothing, "Smoothing rounds of surfaces, 0 = none")
      ->capture_default_str();
  command->add_flag("--force", options->force,
                    "Lay a SEG or RTSTRUCT on images of another frame of reference or series all "
                    "the same; the output is marked");
  command->callback([options, &action] {
    action = [options](Progress& progress) {
      core::ExportResult result;
      try {
        result = core::RunExport(*options, progress);
      } catch (const core::OtherSpaceError& error) {
        throw IoError(std::string(error.what()) + kForceHint);
      }
      for (const auto& note : result.notes) progress.Warn(note);
      for (const auto& file : result.files) std::printf("%s\n", file.c_str());
      std::printf("  %s\n", result.summary.c_str());
      return ExitCode::kOk;
    };
  });
}

}  // namespace avocet::cli
