// SPDX-License-Identifier: Apache-2.0
#include "app/core/evaluate.h"

#include <algorithm>
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

constexpr size_t kSegmentation = 0, kTranslation = 1;  // modes of --task
constexpr size_t kOneSet = 0, kTwoSets = 1;            // modes of --compare
constexpr size_t kOtherFiles = 0, kDicomMasks = 1;     // what the masks are

std::optional<size_t> Task(const core::EvaluateOptions& options) {
  if (options.task == "segmentation") return kSegmentation;
  if (options.task == "translation" || options.task == "image-quality") return kTranslation;
  return std::nullopt;
}

bool HoldsDicomMask(const std::filesystem::path& path) {
  std::error_code error;
  if (!std::filesystem::is_directory(path, error)) return core::IsDicomMask(path);
  const auto files = core::ListMasks(path);
  return std::any_of(files.begin(), files.end(), core::IsDicomMask);
}

// Looked up only where an option asks for it: it reads the beginnings of files.
std::optional<size_t> MaskKind(const core::EvaluateOptions& options) {
  const bool asked = !options.source_series.empty() || options.force;
  if (!asked || Task(options) != kSegmentation) return std::nullopt;
  for (const auto& path : {options.prediction, options.reference, options.compare}) {
    std::error_code error;
    if (path.empty()) continue;
    if (!std::filesystem::exists(path, error)) return std::nullopt;
    if (HoldsDicomMask(path)) return kDicomMasks;
  }
  return kOtherFiles;
}

void AddSegmentationOptions(CLI::App* command, core::EvaluateOptions& o, OptionModes& task,
                            OptionModes& masks) {
  const auto only = [&](CLI::Option* option) {
    return task.Only(kSegmentation, option->group("Segmentation (--task segmentation)"));
  };
  only(command->add_option("--labels,--label-names", o.label_names,
                           "JSON with label names (dataset.json, or what 'segment' writes beside a "
                           "mask)"))
      ->check(CLI::ExistingFile);
  only(command->add_option("--classes", o.labels, "Only these label values, with commas"))
      ->delimiter(',');
  only(command->add_option("--nsd-tolerance", o.nsd_tolerance_mm, "Surface Dice tolerance, mm"))
      ->capture_default_str();
  only(command->add_option("--worst-case", o.worst_case_mm,
                           "Distance in mm for a class that only one mask has (0 = image "
                           "diagonal)"))
      ->capture_default_str();
  masks.Only(kDicomMasks, only(command->add_flag(
                              "--force", o.force,
                              "Compare DICOM masks of different frames of reference or series "
                              "all the same; such cases are marked")));
  masks.Only(kDicomMasks,
             only(command->add_option("--source-series", o.source_series,
                                      "Folder of the DICOM images of masks that are DICOM SEG or "
                                      "RTSTRUCT (default: they lie on the grid of the other "
                                      "file)")));
}

void AddTranslationOptions(CLI::App* command, core::EvaluateOptions& o, OptionModes& task) {
  const auto only = [&](CLI::Option* option) {
    return task.Only(kTranslation, option->group("Translation (--task translation)"));
  };
  only(command->add_option("--data-range", o.data_range,
                           "Range of values for PSNR and SSIM (0 = 255 for 8-bit pictures, else "
                           "that of the reference)"))
      ->capture_default_str();
  only(command->add_option("--mask", o.mask,
                           "Measure inside a mask too: a file, a folder of namesakes, or 'head' "
                           "(found in the reference)"));
  only(command->add_option("--plane", o.plane,
                           "Of slices: axial, coronal, sagittal, or auto (as acquired)"))
      ->capture_default_str();
  only(command->add_option("--image-size", o.image_size,
                           "Side to which protocol fs-rwkv resizes pictures, as published; 0 = "
                           "not"))
      ->capture_default_str();
  only(command->add_option("--lpips", o.lpips,
                           "Measure LPIPS (VGG-16) with these weights of yours, with a comma: "
                           "torchvision's vgg16 and the calibration vgg.pth of the lpips package; "
                           "nothing is downloaded"))
      ->delimiter(',')
      ->check(CLI::ExistingFile);
  only(command->add_option("--subjects", o.subjects,
                           "Regular expression whose first group in a case's name is its subject"))
      ->default_str("^(sub-[A-Za-z0-9]+)");
  only(command->add_option("--slices-csv", o.slices_csv, "Write a CSV file, a row for each slice"));
  only(command->add_flag("--regularise,--regularize", o.regularise,
                         "Resample DICOM images with tilt, missing or uneven slices onto an even "
                         "grid"));
}

}  // namespace

void AddEvaluate(CLI::App& app, Action& action, ModeTable& modes) {
  auto options = std::make_shared<core::EvaluateOptions>();
  auto rows = std::make_shared<int>(60);
  CLI::App* command = app.add_subcommand("evaluate", "Score masks or images against references");
  OptionModes& task = modes.Add(*command, {"--task segmentation", "--task translation"},
                                [options] { return Task(*options); });
  OptionModes& sets = modes.Add(*command, {"one set of predictions", "--compare"}, [options] {
    return options->compare.empty() ? kOneSet : kTwoSets;
  });
  OptionModes& masks =
      modes.Add(*command, {"masks that are not DICOM", "masks that are DICOM SEG or RTSTRUCT"},
                [options] { return MaskKind(*options); });
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
      ->add_option("--dims", options->dims,
                   "2 or 3: dimensionality of borders and windows (default: 2 for images of one "
                   "slice)")
      ->default_str("auto");
  command
      ->add_option("--geometry-tolerance", options->geometry_tolerance,
                   "How far grids may differ, in voxels")
      ->capture_default_str();
  command->add_option("--series", options->series,
                      "Which series of --source-series; of a translation, which of the DICOM "
                      "images");
  command->add_option("--compare", options->compare,
                      "Second set of predictions: paired Wilcoxon tests and bootstrap intervals");
  sets.Only(kTwoSets, command->add_option("--resamples", options->resamples, "Bootstrap resamples")
                          ->capture_default_str());
  sets.Only(kTwoSets,
            command->add_option("--seed", options->seed, "Bootstrap seed")->capture_default_str());
  command->add_option("--csv", options->csv, "Write a CSV file, a row for each case and class");
  command->add_option("--json", options->json, "Write everything as JSON");
  command->add_option("--rows", *rows, "Print single cases up to this many rows")
      ->capture_default_str();
  command->add_option("--threads", options->threads, "CPU threads, 0 = all cores")
      ->capture_default_str();
  AddSegmentationOptions(command, *options, task, masks);
  AddTranslationOptions(command, *options, task);
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
