// SPDX-License-Identifier: Apache-2.0
#include "app/core/segment.h"

#include <cstdio>
#include <memory>

#include "app/cli/command.h"
#include "app/core/engine.h"
#include "io/format.h"
#include "io/format_list.h"

namespace avocet::cli {
namespace {

constexpr size_t kVolume = 0, kDicomSeg = 1;  // what the masks are written as

// A folder gets DICOM where its files are to end so; other names are one file.
bool WritesDicom(const core::SegmentOptions& options) {
  std::error_code error;
  const bool folder =
      !options.format.empty() || std::filesystem::is_directory(options.output, error);
  const std::filesystem::path name = folder ? "mask." + options.format : options.output.string();
  return io::FormatByName(name) == &io::DicomFormat();
}

void Print(const core::SegmentCase& item) {
  if (!item.error.empty()) {
    std::fprintf(stderr, "avocet: error: %s\n", item.error.c_str());
    return;
  }
  std::printf("%s", item.output.string().c_str());
  for (const auto& [name, millilitres] : item.volumes_ml) {
    std::printf("  %s %.3f ml", name.c_str(), millilitres);
  }
  std::printf("  (%.1f s)\n", item.seconds);
}

}  // namespace

void AddSegment(CLI::App& app, Action& action, ModeTable& modes) {
  auto options = std::make_shared<core::SegmentOptions>();
  CLI::App* command = app.add_subcommand("segment", "Segment images with a trained model");
  OptionModes& kind = modes.Add(*command, {"masks that are not DICOM", "DICOM SEG (.dcm)"},
                                [options] { return WritesDicom(*options) ? kDicomSeg : kVolume; });
  command
      ->add_option("inputs", options->inputs,
                   "Images, folders of images, DICOM series (a folder, its files, a DICOMDIR)")
      ->required();
  command->add_option("-m,--model", options->model, "Model file, or the name of a shipped model")
      ->required();
  command
      ->add_option("-o,--output", options->output,
                   "Mask for one image, .nii.gz, .nrrd, ..., or .dcm for a DICOM SEG of a DICOM "
                   "series; a folder for several")
      ->required();
  command->add_option("--format", options->format,
                      "Ending of the masks in a folder: nrrd, dcm, ... (default: as the image, or "
                      "nii.gz)");
  AddSeriesOptions(*command, options->series, options->regularise);
  kind.Only(kDicomSeg,
            command->add_flag("--keep-patient", options->keep_patient,
                              "DICOM SEG with the patient's name, ID and birth date, left out "
                              "otherwise"));
  command->add_flag("--probabilities", options->probabilities,
                    "Also write NAME_prob_LABEL.nii.gz (float32) for each label");
  command
      ->add_option(
          "--tta", options->tta,
          "Average over mirrored (flip) and turned (flip-rot) slices: none, flip, flip-rot")
      ->capture_default_str();
  command->add_option("--batch", options->batch, "Slices computed at once")->capture_default_str();
  command
      ->add_option("--precision", options->precision,
                   "Matrix products in float32, bfloat16 (CPUs with AMX: twice as fast; some "
                   "voxels in 100,000 "
                   "differ) or, on GPUs, tf32 or bfloat16")
      ->capture_default_str();
  command->add_option("--wkv", options->wkv,
                      "Arithmetic of the Bi-WKV operator: exact, official (default: the model's)");
  command->add_flag("--force", options->force,
                    "Run although the image does not fit the model's card; the manifest says so");
  command->add_option("--device", options->device.text, "auto, cpu, cuda or cuda:N")
      ->capture_default_str();
  command->add_flag("--cuda-graph", options->device.graph,
                    "On a GPU: record the network once and launch it as one graph");
  command->add_option("--threads", options->device.threads, "CPU threads, 0 = all cores")
      ->capture_default_str();
  command->callback([options, &action] {
    action = [options](Progress& progress) {
      const core::SegmentResult result = core::LoadEngine().segment(*options, progress);
      for (const core::SegmentCase& item : result.cases) Print(item);
      if (result.failed == 0) return ExitCode::kOk;
      std::fprintf(stderr, "avocet: error: %d of %zu images could not be segmented\n",
                   result.failed, result.cases.size());
      return ExitCode::kSomeFailed;
    };
  });
}

}  // namespace avocet::cli
