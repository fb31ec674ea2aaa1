// SPDX-License-Identifier: Apache-2.0
#include "app/core/translate.h"

#include <cstdio>
#include <memory>

#include "app/cli/command.h"
#include "app/core/engine.h"

namespace avocet::cli {
namespace {

void Print(const core::TranslateCase& item) {
  if (!item.error.empty()) {
    std::fprintf(stderr, "avocet: error: %s\n", item.error.c_str());
    return;
  }
  std::printf("%s  %s slices, mean change %.2f %% of the intensity range (%.1f s)\n",
              item.output.c_str(), item.plane.c_str(), 100 * item.mean_change, item.seconds);
  std::printf(
      "  neighbouring slices differ by %.2f %% (input %.2f %%, the change itself %.2f %%)\n",
      100 * item.slice_difference_output, 100 * item.slice_difference_input,
      100 * item.slice_difference_change);
}

}  // namespace

void AddTranslate(CLI::App& app, Action& action) {
  auto options = std::make_shared<core::TranslateOptions>();
  CLI::App* command = app.add_subcommand(
      "translate", "Translate MR volumes (3T to 7T-like); the output is synthetic");
  command
      ->add_option("inputs", options->inputs,
                   "Images, folders of images, DICOM series (a folder, its files, a DICOMDIR)")
      ->required();
  command->add_option("-m,--model", options->model, "Model file, or the name of a shipped model")
      ->required();
  command
      ->add_option("-o,--output", options->output,
                   "Volume for one image; a folder for several (NAME_synthetic in it)")
      ->required();
  command->add_option("--format", options->format,
                      "Ending of outputs in a folder: nrrd, mha, ... (default: as the image, or "
                      "nii.gz)");
  AddSeriesOptions(*command, options->series, options->regularise);
  command
      ->add_option("--plane", options->plane,
                   "Of the slices: axial, coronal, sagittal, or auto (as acquired, else the "
                   "model's)")
      ->capture_default_str();
  command->add_flag("--head-only", options->head_only,
                    "Keep the input outside of the head (found by threshold)");
  command->add_flag("--picture", options->picture,
                    "Also write NAME.png: middle slices of input, output and difference");
  command->add_flag("--plain-name", options->plain_name,
                    "Name outputs in a folder as the inputs, without _synthetic");
  command->add_option("--batch", options->batch, "Slices computed at once, 0 = 1 on a CPU")
      ->capture_default_str();
  command->add_option("--wkv", options->wkv,
                      "Arithmetic of the Bi-WKV operator: exact, official (default: the model's)");
  command->add_flag("--force", options->force,
                    "Run although the image does not look right for the model");
  command->add_option("--device", options->device.text, "auto, cpu, cuda or cuda:N")
      ->capture_default_str();
  command->add_flag("--cuda-graph", options->device.graph,
                    "On a GPU: record the network once and launch it as one graph");
  command->add_option("--threads", options->device.threads, "CPU threads, 0 = all cores")
      ->capture_default_str();
  command->callback([options, &action] {
    action = [options](Progress& progress) {
      const core::TranslateResult result = core::LoadEngine().translate(*options, progress);
      for (const core::TranslateCase& item : result.cases) Print(item);
      if (result.failed == 0) return ExitCode::kOk;
      std::fprintf(stderr, "avocet: error: %d of %zu images could not be translated\n",
                   result.failed, result.cases.size());
      return ExitCode::kSomeFailed;
    };
  });
}

}  // namespace avocet::cli
