// SPDX-License-Identifier: Apache-2.0
#include "app/core/degrade.h"

#include <cstdio>

#include "app/base/error.h"
#include "app/core/batch.h"
#include "app/core/image_checks.h"
#include "app/core/manifest.h"
#include "app/core/output_files.h"
#include "app/core/output_plan.h"
#include "app/core/version.h"
#include "io/file_util.h"
#include "io/volume_io.h"

namespace avocet::core {
namespace fs = std::filesystem;
namespace {

// FNV-1a: each image of a folder has noise of its own, whatever else is in the folder.
uint64_t SeedFor(const std::string& name, uint64_t seed) {
  uint64_t hash = 14695981039346656037u ^ seed;
  for (const char c : name) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211u;
  }
  return hash;
}

const char* NameOf(preprocess::Reconstruction reconstruction) {
  switch (reconstruction) {
    case preprocess::Reconstruction::kZeroFill:
      return "zero-fill";
    case preprocess::Reconstruction::kLinear:
      return "linear";
    case preprocess::Reconstruction::kBicubic:
      return "bicubic";
    case preprocess::Reconstruction::kLanczos:
      return "lanczos";
    case preprocess::Reconstruction::kAcquired:
      break;
  }
  return "acquired";
}

std::string Text(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.6g", value);
  return text;
}

void RunCase(const DegradeJobOptions& options, const JobInput& input, DegradeCase& item,
             Progress& progress) {
  const io::Volume image = ReadInput(input, options.regularise, progress);
  RequireGreyVolume(image, item.input.string(), "degrade");
  preprocess::DegradeOptions degrade = options.degrade;
  degrade.seed = SeedFor(input.name, options.degrade.seed);
  // A single slice is not truncated across itself.
  for (int a = 0; a < 3; ++a) {
    if (image.geometry.size[a] == 1) degrade.coarser[a] = 1;
  }
  const preprocess::Degraded result =
      preprocess::Degrade(image.ToFloat(), image.geometry.size, degrade);
  item.matrix = result.matrix;
  item.signal = result.signal;
  item.noise = result.noise;
  io::Volume out;
  if (result.size == image.geometry.size) {
    out = io::ZerosLike(image, io::VoxelType::kFloat32);
  } else {
    io::Geometry geometry = image.geometry;
    for (int a = 0; a < 3; ++a) {
      geometry.spacing[a] *= static_cast<double>(geometry.size[a]) / result.size[a];
      geometry.size[a] = result.size[a];
    }
    out = io::Volume::Zeros(geometry, io::VoxelType::kFloat32);
    out.assumed = image.assumed;
    out.resampled = image.resampled;
    out.frame_of_reference_uid = image.frame_of_reference_uid;
    out.series_instance_uid = image.series_instance_uid;
  }
  std::copy(result.values.begin(), result.values.end(), out.As<float>());
  out.description = std::string("simulated, not acquired: avocet degrade ") + Version();
  OutputSet outputs;
  io::WriteVolume(out, outputs.Begin(item.output));
  Manifest manifest;
  manifest.job = "degrade";
  manifest.input = item.input;
  const std::vector<fs::path> files = FilesOf(input, image);
  manifest.input_sha256 = io::Sha256OfFiles(files);
  manifest.input_files = files.size();
  manifest.output = item.output;
  manifest.output_sha256 = io::Sha256OfFile(item.output);
  const auto& d = options.degrade;
  manifest.options = {
      {"coarser", Text(d.coarser[0]) + " " + Text(d.coarser[1]) + " " + Text(d.coarser[2])},
      {"blur_acquired_voxels", Text(d.blur)},
      {"snr", Text(d.snr)},
      {"field_ratio", Text(d.field_ratio)},
      {"bias", Text(d.bias)},
      {"empty_air", d.empty_air ? "true" : "false"},
      {"seed", std::to_string(d.seed)},
      {"reconstruction", NameOf(d.reconstruction)}};
  manifest.figures = {{"matrix_i", static_cast<double>(result.matrix[0])},
                      {"matrix_j", static_cast<double>(result.matrix[1])},
                      {"matrix_k", static_cast<double>(result.matrix[2])},
                      {"signal_in_head", result.signal},
                      {"noise_before_truncation", result.noise}};
  manifest.warnings = image.notes;
  io::WriteFileAtomically(outputs.Begin(Beside(item.output, ".manifest.json")), ToJson(manifest));
  outputs.Complete();
}

}  // namespace

std::string DegradeJobOptions::Check() const {
  if (inputs.empty()) return "no input is given; name an image or a folder of images";
  if (output.empty()) return "no output is given; name a file or folder with --output";
  if (std::string wrong = Names().Check(); !wrong.empty()) return wrong;
  return degrade.Check();
}

OutputNames DegradeJobOptions::Names() const {
  OutputNames names;
  names.output = output;
  names.format = format;
  return names;
}

DegradeResult RunDegrade(const DegradeJobOptions& options, Progress& progress) {
  if (const std::string wrong = options.Check(); !wrong.empty()) throw OptionError(wrong);
  DegradeResult result;
  const OutputNames names = options.Names();
  PartOf looking(progress, 0, 0.02);
  const std::vector<JobInput> inputs = ExpandInputs(
      options.inputs, options.series, options.regularise, !NamesOneFile(names), looking);
  const OutputPlan plan = PlanOutputs(names, options.inputs, inputs);
  CheckOutput(plan, options.output);
  for (const PlannedOutput& file : plan.files) {
    DegradeCase item;
    item.input = file.input;
    item.output = file.output;
    item.error = file.error;
    result.cases.push_back(std::move(item));
  }
  if (plan.to_folder) MakeWritableFolder(options.output);
  const double share = 0.98 / static_cast<double>(inputs.size());
  result.failed = RunBatch(plan.to_folder, result.cases, [&](size_t i) {
    const double begin = 0.02 + static_cast<double>(i) * share;
    UpdateOrThrow(progress, begin, inputs[i].name);
    PartOf part(progress, begin, begin + share);
    RunCase(options, inputs[i], result.cases[i], part);
  });
  progress.Update(1, "done");
  return result;
}

}  // namespace avocet::core
