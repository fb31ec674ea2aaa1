// SPDX-License-Identifier: Apache-2.0
#include "app/core/export.h"

#include <cstdio>
#include <memory>

#include "app/cli/command.h"
#include "app/core/mask_file.h"
#include "io/format.h"
#include "io/format_list.h"
#include "io/surface.h"
#include "io/volume_io.h"

namespace avocet::cli {
namespace {

constexpr const char* kForceHint = "; --force does it all the same and marks the output";

}  // namespace

namespace {

constexpr size_t kSeg = 0, kContours = 1, kSurface = 2, kVolume = 3;  // what is written
constexpr size_t kNoSeries = 0, kWithSeries = 1;                      // modes of --source-series
constexpr size_t kOther = 0, kDicom = 1;                              // mask or output

std::optional<size_t> Kind(const core::ExportOptions& options) {
  if (options.rtstruct) return kContours;
  if (io::FormatByName(options.output) == &io::DicomFormat()) return kSeg;
  if (io::HasSurfaceExtension(options.output)) return kSurface;
  if (io::HasVolumeExtension(options.output)) return kVolume;
  return std::nullopt;
}

// The images of a series say where DICOM lies; other masks and outputs have their own grid.
std::optional<size_t> UseOfSeries(const core::ExportOptions& options) {
  const std::optional<size_t> kind = Kind(options);
  std::error_code error;
  if (!kind || !std::filesystem::exists(options.mask, error)) return std::nullopt;
  const bool dicom = *kind == kSeg || *kind == kContours || core::IsDicomMask(options.mask);
  return dicom ? kDicom : kOther;
}

}  // namespace

void AddExport(CLI::App& app, Action& action, ModeTable& modes) {
  auto options = std::make_shared<core::ExportOptions>();
  CLI::App* command = app.add_subcommand(
      "export", "Write a mask as DICOM SEG, RTSTRUCT, STL, OBJ, PLY or a volume");
  OptionModes& kind = modes.Add(
      *command, {"a DICOM SEG", "--rtstruct", "a surface (.stl, .obj, .ply)", "a label volume"},
      [options] { return Kind(*options); });
  OptionModes& series = modes.Add(*command, {"no --source-series", "--source-series"}, [options] {
    return options->source_series.empty() ? kNoSeries : kWithSeries;
  });
  OptionModes& use =
      modes.Add(*command, {"a mask and an output that are not DICOM", "a DICOM mask or output"},
                [options] { return UseOfSeries(*options); });
  command->add_option("mask", options->mask, "Mask file; DICOM SEG and RTSTRUCT too")->required();
  command
      ->add_option("-o,--output", options->output,
                   "Output file: .dcm, .stl, .obj, .ply, or a volume's ending")
      ->required();
  use.Only(kDicom,
           command->add_option("--source-series", options->source_series,
                               "Folder of the DICOM images that the mask belongs to: for .dcm, "
                               "and for masks that are DICOM"));
  series.Only(kWithSeries,
              command->add_option("--series", options->series,
                                  "Which series of that folder: its number in 'avocet info', UID, "
                                  "or UID:N (default: the one that a SEG or RTSTRUCT names, or the "
                                  "only one)"));
  command
      ->add_option("--labels,--label-names", options->labels,
                   "JSON with label names (dataset.json, or what 'segment' writes beside a mask)")
      ->check(CLI::ExistingFile);
  command->add_option("--values", options->values, "Only these label values, with commas")
      ->delimiter(',');
  command->add_flag("--rtstruct", options->rtstruct, "Contours (RTSTRUCT) instead of DICOM SEG")
      ->group("DICOM (.dcm)");
  const std::string dicom = "DICOM (.dcm)";
  kind.Only(kSeg, command
                      ->add_flag("--omit-empty-frames", options->omit_empty_frames,
                                 "DICOM SEG without the frames that hold no voxel")
                      ->group(dicom));
  kind.Only({kSeg, kContours},
            command
                ->add_flag("--keep-patient", options->keep_patient,
                           "With the patient's name, ID and birth date, left out otherwise")
                ->group(dicom));
  kind.Only({kSeg, kContours},
            command
                ->add_option("--algorithm-type", options->algorithm_type,
                             "How the mask was made: AUTOMATIC, SEMIAUTOMATIC or MANUAL")
                ->capture_default_str()
                ->group(dicom));
  kind.Only(kSeg,
            command->add_option("--algorithm-name", options->algorithm_name, "What made it (SEG)")
                ->capture_default_str()
                ->group(dicom));
  kind.Only({kSeg, kContours},
            command->add_option("--description", options->description, "Series description")
                ->capture_default_str()
                ->group(dicom));
  kind.Only(
      kSurface,
      command->add_option("--smooth", options->smoothing, "Smoothing rounds of surfaces, 0 = none")
          ->capture_default_str()
          ->group("Surfaces"));
  series.Only(kWithSeries,
              command->add_flag("--force", options->force,
                                "Lay a SEG or RTSTRUCT on images of another frame of reference or "
                                "series all the same; the output is marked"));
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
