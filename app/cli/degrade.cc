// SPDX-License-Identifier: Apache-2.0
#include "app/core/degrade.h"

#include <cstdio>
#include <memory>

#include "app/cli/command.h"

namespace avocet::cli {
namespace {

constexpr size_t kNoise = 0, kNoNoise = 1;  // whether anything is drawn

void Print(const core::DegradeCase& item) {
  if (!item.error.empty()) {
    std::fprintf(stderr, "avocet: error: %s\n", item.error.c_str());
    return;
  }
  std::printf("%s  matrix %lld x %lld x %lld, signal %.4g, noise %.4g before truncation\n",
              item.output.c_str(), static_cast<long long>(item.matrix[0]),
              static_cast<long long>(item.matrix[1]), static_cast<long long>(item.matrix[2]),
              item.signal, item.noise);
}

}  // namespace

void AddDegrade(CLI::App& app, Action& action, ModeTable& modes) {
  auto options = std::make_shared<core::DegradeJobOptions>();
  auto coarser = std::make_shared<std::vector<double>>();
  auto reconstruction = std::make_shared<std::string>("zero-fill");
  core::DegradeJobOptions& o = *options;
  CLI::App* command = app.add_subcommand(
      "degrade", "Simulate a weaker scanner on MR volumes: k-space truncation, noise, blur, bias");
  OptionModes& noise = modes.Add(*command, {"noise", "--snr 0"}, [options] {
    return options->degrade.snr == 0 ? kNoNoise : kNoise;
  });
  OptionModes& chance =
      modes.Add(*command, {"noise or --bias", "--snr 0 and no --bias"}, [options] {
        return options->degrade.snr == 0 && options->degrade.bias == 0 ? kNoNoise : kNoise;
      });
  command
      ->add_option("inputs", o.inputs,
                   "Images, folders of images, DICOM series (a folder, its files, a DICOMDIR)")
      ->required();
  command->add_option("-o,--output", o.output, "Volume for one image; a folder for several")
      ->required();
  command->add_option("--format", o.format,
                      "Ending of outputs in a folder: nrrd, mha, ... (default: as the image, or "
                      "nii.gz)");
  AddSeriesOptions(*command, o.series, o.regularise);
  command
      ->add_option("--coarser", *coarser,
                   "Acquired voxel side over the original one: one number, or three for i, j, k")
      ->expected(1, 3)
      ->default_str("1.6");
  command->add_option("--snr", o.degrade.snr, "SNR of the input to assume; 0 = add no noise")
      ->capture_default_str();
  noise.Only(kNoise, command
                         ->add_option("--field-ratio", o.degrade.field_ratio,
                                      "SNR of the input over that to simulate (7T over 3T)")
                         ->capture_default_str());
  command
      ->add_option("--blur", o.degrade.blur, "Gaussian blur, standard deviation in acquired voxels")
      ->capture_default_str();
  command->add_option("--bias", o.degrade.bias, "Largest |log| of a smooth bias field")
      ->capture_default_str();
  command->add_flag("--empty-air", o.degrade.empty_air,
                    "0 outside of the head, as many scanners and archives leave it");
  command
      ->add_option("--reconstruction", *reconstruction,
                   "zero-fill, linear, bicubic, lanczos (onto the input's grid), or acquired (the "
                   "small image)")
      ->capture_default_str();
  chance.Only(kNoise, command
                          ->add_option("--seed", o.degrade.seed,
                                       "Of noise and bias field; combined with file names")
                          ->capture_default_str());
  command->add_option("--threads", o.degrade.threads, "CPU threads, 0 = all cores")
      ->capture_default_str();
  command->callback([options, coarser, reconstruction, &action] {
    action = [options, coarser, reconstruction](Progress& progress) {
      if (coarser->size() == 2) throw OptionError("--coarser takes one number or three");
      for (int a = 0; a < 3 && !coarser->empty(); ++a) {
        options->degrade.coarser[a] = (*coarser)[coarser->size() == 1 ? 0 : a];
      }
      options->degrade.reconstruction = preprocess::ReconstructionFromName(*reconstruction);
      const core::DegradeResult result = core::RunDegrade(*options, progress);
      for (const core::DegradeCase& item : result.cases) Print(item);
      return result.failed == 0 ? ExitCode::kOk : ExitCode::kSomeFailed;
    };
  });
}

}  // namespace avocet::cli
