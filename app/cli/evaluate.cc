// SPDX-License-Identifier: Apache-2.0
#include "app/core/evaluate.h"

#include <cstdio>
#include <memory>

#include "app/cli/command.h"
#include "app/core/evaluate_report.h"
#include "app/core/mask_file.h"

namespace avocet::cli {
namespace {

constexpr const char* kForceHint = "; --force compares them all the same and marks the case";

int PrintErrors(const core::EvaluatedSet& set) {
  for (const core::EvaluatedCase& item : set.cases)
    if (!item.error.empty())
      std::fprintf(stderr, "avocet: error: %s: %s%s\n", item.name.c_str(), item.error.c_str(),
                   item.other_space ? kForceHint : "");
  return set.failed;
}

}  // namespace

void AddEvaluate(CLI::App& app, Action& action) {
  auto options = std::make_shared<core::EvaluateOptions>();
  auto rows = std::make_shared<int>(60);
  CLI::App* command = app.add_subcommand("evaluate", "Score masks or images against references");
  command->add_option("prediction", options->prediction, "Predicted file, or a folder of them")
      ->required();
  command
      ->add_option("reference", options->reference,
                   "Reference file, or a folder whose files have the same names")
      ->required();
  command->add_option("--task", options->task, "segmentation, or translation (image against image)")
      ->capture_default_str();
  std::string known;
  for (const std::string& name : metrics::ProtocolNames())
    known += (known.empty() ? "" : ", ") + name;
  command
      ->add_option("--protocol", options->protocols,
                   "Definitions to follow, several with commas: " + known +
                       "; for translations default, fs-rwkv (as published), scikit-image, monai, "
                       "lpips (with --lpips)")
      ->delimiter(',')
      ->capture_default_str();
  command
      ->add_option("--labels,--label-names", options->label_names,
                   "JSON with label names (dataset.json, or what 'segment' writes beside a mask)")
      ->check(CLI::ExistingFile);
  command->add_option("--classes", options->labels, "Only these label values, with commas")
      ->delimiter(',');
  command->add_option("--nsd-tolerance", options->nsd_tolerance_mm, "Surface Dice tolerance, mm")
      ->capture_default_str();
  command
      ->add_option("--worst-case", options->worst_case_mm,
                   "Distance in mm for a class that only one mask has (0 = image diagonal)")
      ->capture_default_str();
  command
      ->add_option("--dims", options->dims,
                   "2 or 3: dimensionality of borders (default: 2 for images of one slice)")
      ->default_str("auto");
  const std::string translation = "Translation";
  command
      ->add_option(
          "--data-range", options->data_range,
          "Range of values for PSNR and SSIM (0 = 255 for 8-bit pictures, else that of the "
          "reference)")
      ->capture_default_str()
      ->group(translation);
  command
      ->add_option("--mask", options->mask,
                   "Measure inside a mask too: a file, a folder of namesakes, or 'head' (found in "
                   "the reference)")
      ->group(translation);
  command
      ->add_option("--plane", options->plane,
                   "Of slices: axial, coronal, sagittal, or auto (as acquired)")
      ->capture_default_str()
      ->group(translation);
  command
      ->add_option("--image-size", options->image_size,
                   "Side to which protocol fs-rwkv resizes pictures, as published; 0 = not")
      ->capture_default_str()
      ->group(translation);
  command
      ->add_option(
          "--lpips", options->lpips,
          "Measure LPIPS (VGG-16) with these weights of yours, with a comma: torchvision's "
          "vgg16 and the calibration vgg.pth of the lpips package; nothing is downloaded")
      ->delimiter(',')
      ->check(CLI::ExistingFile)
      ->group(translation);
  command
      ->add_option("--subjects", options->subjects,
                   "Regular expression whose first group in a case's name is its subject")
      ->default_str("^(sub-[A-Za-z0-9]+)")
      ->group(translation);
  command->add_option("--slices-csv", options->slices_csv, "Write a CSV file, a row for each slice")
      ->group(translation);
  command
      ->add_option("--geometry-tolerance", options->geometry_tolerance,
                   "How far grids may differ, in voxels")
      ->capture_default_str();
  command->add_option("--compare", options->compare,
                      "Second set of predictions: paired Wilcoxon tests and bootstrap intervals");
  command->add_option("--resamples", options->resamples, "Bootstrap resamples")
      ->capture_default_str();
  command->add_option("--seed", options->seed, "Bootstrap seed")->capture_default_str();
  command->add_option(
      "--source-series", options->source_series,
      "Folder of the DICOM images of masks that are DICOM SEG or RTSTRUCT (default: "
      "they lie on the grid of the other file)");
  command->add_option("--series", options->series,
                      "Which series of that folder; of a translation, which of the DICOM images");
  command
      ->add_flag("--regularise", options->regularise,
                 "Resample DICOM images with tilt, missing or uneven slices onto an even grid")
      ->group(translation);
  command->add_flag("--force", options->force,
                    "Compare DICOM masks of different frames of reference or series all the same; "
                    "such cases are marked");
  command->add_option("--csv", options->csv, "Write a CSV file, a row for each case and class");
  command->add_option("--json", options->json, "Write everything as JSON");
  command->add_option("--rows", *rows, "Print single cases up to this many rows")
      ->capture_default_str();
  command->add_option("--threads", options->threads, "CPU threads, 0 = all cores")
      ->capture_default_str();
  command->callback([options, rows, &action] {
    action = [options, rows](Progress& progress) {
      core::EvaluateResult result;
      try {
        result = core::RunEvaluate(*options, progress);
      } catch (const core::OtherSpaceError& error) {
        throw IoError(std::string(error.what()) + kForceHint);
      }
      std::fputs(core::EvaluateTable(result, *rows).c_str(), stdout);
      std::fflush(stdout);
      const int failed = PrintErrors(result.set) + PrintErrors(result.compared);
      return failed == 0 ? ExitCode::kOk : ExitCode::kSomeFailed;
    };
  });
}

}  // namespace avocet::cli
