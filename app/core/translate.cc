// SPDX-License-Identifier: Apache-2.0
#include "app/core/translate.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include <chrono>
#include <cmath>
#include <memory>

#include "app/core/comparison_strip.h"
#include "app/core/engine_jobs.h"
#include "app/core/file_plan.h"
#include "app/core/machine.h"
#include "app/core/manifest.h"
#include "app/core/output_files.h"
#include "app/core/select_device.h"
#include "app/core/shipped.h"
#include "app/core/torch_errors.h"
#include "app/core/translation_checks.h"
#include "io/file_util.h"
#include "io/volume_io.h"
#include "models/fs_rwkv/load_fs_rwkv.h"
#include "models/predict/translator.h"
#include "models/preprocess/head_mask.h"

namespace avocet::core {
namespace fs = std::filesystem;
namespace {

using Clock = std::chrono::steady_clock;

double SecondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// The loaded model, shared by all cases.
struct Model {
  fs::path path;
  std::string sha256;
  models::ModelCard card;
  std::unique_ptr<models::FsRwkv> network;
  at::Device device{at::kCPU};
};

// An official checkpoint says nothing of itself; what its program does to slices is known.
models::ModelCard OfficialCard() {
  models::ModelCard card;
  card.architecture = "fs-rwkv";
  card.task = "translation";
  card.name = "FS-RWKV checkpoint without a model card";
  card.modality = "MR";
  card.wkv = "official64";
  card.preprocessing.intensity = "percentile";
  card.preprocessing.lower = 0;
  card.preprocessing.upper = 99.5;
  return card;
}

models::ModelCard TranslationCard(const models::TensorFile& file, const fs::path& path,
                                  Progress& progress) {
  const std::string name = "model '" + path.string() + "'";
  models::ModelCard card = models::CardOf(file);
  if (card.empty()) {
    card = OfficialCard();
    progress.Warn(name +
                  " has no model card; intensities are scaled from the lowest value and the 99.5th "
                  "percentile, slices are axial where voxels are isotropic");
    return card;
  }
  if (card.task != "translation") {
    throw ModelError(name + " is made for " + (card.task.empty() ? "an unnamed task" : card.task) +
                     ", not for translation; give a translation model");
  }
  if (card.architecture != "fs-rwkv") {
    throw ModelError(name + " has the architecture '" + card.architecture +
                     "'; translation runs fs-rwkv");
  }
  if (card.preprocessing.resample != "native" || card.preprocessing.context != 0) {
    throw ModelError(name +
                     " asks for resampled or stacked slices, which translation does not know");
  }
  if (card.preprocessing.intensity == "zscore") {
    throw ModelError(name + " asks for z-scored intensities; translation scales to [0, 1]");
  }
  return card;
}

Model LoadModel(const TranslateOptions& options, const at::Device& device, Progress& progress) {
  Model model;
  model.path = FindModel(options.model);
  model.device = device;
  const models::TensorFile file = models::ReadTensorFile(model.path);
  model.card = TranslationCard(file, model.path, progress);
  if (!options.wkv.empty()) {
    model.card.wkv =
        models::NameOf(models::WkvModeFromName(options.wkv, models::WkvMode::kOfficial64));
  }
  models::FsLoadOptions load;
  load.wkv = models::WkvModeFromName(model.card.wkv, models::WkvMode::kOfficial64);
  model.network = models::LoadFsRwkv(file, model.path.string(), load);
  model.network->parameters().To(device);
  model.sha256 = io::Sha256OfFile(model.path);
  return model;
}

void CheckShape(const io::Volume& image, const std::string& name) {
  if (image.components != 1) {
    throw IoError("'" + name + "' has " + std::to_string(image.components) +
                  " values per voxel (a colour picture?); the model needs one grey value");
  }
  if (image.frames != 1) {
    throw IoError("'" + name + "' holds " + std::to_string(image.frames) +
                  " volumes (4D); extract the one to translate");
  }
  if (image.geometry.VoxelCount() == 0) throw IoError("'" + name + "' has no voxels");
}

class Translator {
 public:
  Translator(const TranslateOptions& options, Model model)
      : options_(options), model_(std::move(model)) {}

  // `begin` and `share`: the part of the whole progress that belongs to this case.
  void Run(TranslateCase& item, double begin, double share, Progress& progress) {
    const auto start = Clock::now();
    const std::string name = item.input.filename().string();
    UpdateOrThrow(progress, begin, name + ": reading");
    io::Volume image = io::ReadVolume(item.input);
    CheckShape(image, item.input.string());
    CheckMemory(image, item.input.string());
    std::vector<std::string> warnings = image.notes;
    const std::vector<float> values = image.ToFloat();
    std::vector<std::byte>().swap(image.data);  // only geometry and header are needed from here on
    const ImageCheck check = CheckTranslationInput(image, values, model_.card);
    if (!check.refusal.empty()) {
      if (!options_.force) {
        throw IoError("'" + item.input.string() + "' is not translated: " + check.refusal +
                      "; use --force if you know better");
      }
      warnings.push_back("translated by --force although " + check.refusal);
    }
    warnings.insert(warnings.end(), check.warnings.begin(), check.warnings.end());
    for (const std::string& warning : warnings) progress.Warn(name + ": " + warning);

    const models::VolumeView view{values.data(), image.geometry.size, image.geometry.spacing,
                                  image.geometry.direction};
    models::TranslateVolumeOptions translate;
    translate.batch = Batch();
    translate.plane =
        options_.plane == "auto" ? models::ChoosePlane(view, model_.card.plane) : options_.plane;
    translate.preprocessing = model_.card.preprocessing;
    std::vector<uint8_t> head;
    if (options_.head_only) {
      head = preprocess::HeadMask(values.data(), image.geometry.size);
      translate.head = head.data();
    }
    const models::Translation translation = models::TranslateVolume(
        [this](const at::Tensor& slices) {
          return model_.network->Forward(slices.to(model_.device));
        },
        view, translate,
        [&](int64_t done, int64_t total) {
          UpdateOrThrow(progress, begin + share * 0.95 * done / total,
                        name + ": " + translate.plane + " slice " + std::to_string(done) + " of " +
                            std::to_string(total));
        });
    item.plane = translate.plane;
    item.mean_change = translation.mean_change;
    item.slice_difference_input = translation.consistency.input;
    item.slice_difference_output = translation.consistency.output;
    item.slice_difference_change = translation.consistency.change;
    UpdateOrThrow(progress, begin + share * 0.95, name + ": writing");
    Write(image, values, translation, item, start, warnings);
    item.seconds = SecondsSince(start);
  }

 private:
  int Batch() const { return options_.batch > 0 ? options_.batch : model_.device.is_cpu() ? 1 : 8; }

  void CheckMemory(const io::Volume& image, const std::string& name) const {
    // Input, output, the written copy, masks and statistics; a slice in the network is extra.
    const double needed = 17.0 * image.geometry.VoxelCount();
    const auto available = static_cast<double>(AvailableMemoryBytes());
    if (available > 0 && needed > available && !options_.force) {
      throw IoError("'" + name + "' would need about " + std::to_string(std::lround(needed / 1e6)) +
                    " MB of memory, and " + std::to_string(std::lround(available / 1e6)) +
                    " MB are free; close other programs, or try with --force");
    }
  }

  void Write(const io::Volume& image, const std::vector<float>& values,
             const models::Translation& translation, const TranslateCase& item,
             Clock::time_point start, const std::vector<std::string>& warnings) const {
    OutputSet outputs;
    io::Volume result = io::ZerosLike(image, io::VoxelType::kFloat32);
    std::copy(translation.values.begin(), translation.values.end(), result.As<float>());
    result.description = TranslateDescription();
    io::WriteVolume(result, outputs.Begin(item.output));
    if (options_.picture) {
      WriteComparisonStrip(image.geometry,
                           {{"input", &values}, {"output (synthetic)", &translation.values}},
                           "Research use, not for diagnosis. Model: " + model_.card.name,
                           outputs.Begin(Beside(item.output, ".png")));
    }
    Manifest manifest = ManifestFor(item, translation);
    manifest.seconds = SecondsSince(start);
    manifest.warnings = warnings;
    manifest.warnings.insert(manifest.warnings.begin(), kTranslateNotice);
    io::WriteFileAtomically(outputs.Begin(Beside(item.output, ".manifest.json")), ToJson(manifest));
    outputs.Complete();
  }

  Manifest ManifestFor(const TranslateCase& item, const models::Translation& translation) const {
    Manifest manifest;
    manifest.job = "translate";
    manifest.input = item.input;
    manifest.input_sha256 = io::Sha256OfFile(item.input);
    manifest.model = model_.path;
    manifest.model_sha256 = model_.sha256;
    manifest.model_name = model_.card.name;
    manifest.output = item.output;
    manifest.output_sha256 = io::Sha256OfFile(item.output);
    manifest.options = {{"plane", options_.plane},
                        {"batch", std::to_string(Batch())},
                        {"head_only", options_.head_only ? "true" : "false"},
                        {"force", options_.force ? "true" : "false"},
                        {"device", options_.device.text}};
    const models::Preprocessing& steps = model_.card.preprocessing;
    char bounds[64] = "";
    if (steps.intensity != "none") {
      std::snprintf(bounds, sizeof bounds, " [%g, %g]", steps.lower, steps.upper);
    }
    manifest.protocol = {
        {"architecture", model_.card.architecture + " " + model_.card.variant},
        {"wkv", model_.card.wkv},
        {"plane", translation.slices == 1 ? item.plane + " (one slice)" : item.plane},
        {"intensity", steps.intensity + bounds + " to [0, 1], inverted on output"},
        {"slice_difference",
         "mean absolute difference of neighbouring slices, as a share of the intensity range"}};
    if (std::isfinite(translation.scale.lower)) {
      manifest.figures = {{"intensity_lower", translation.scale.lower},
                          {"intensity_upper", translation.scale.upper}};
    }
    manifest.figures.insert(manifest.figures.end(),
                            {{"slices", static_cast<double>(translation.slices)},
                             {"empty_slices_kept", static_cast<double>(translation.empty_slices)},
                             {"mean_change_of_range", translation.mean_change},
                             {"slice_difference_input", translation.consistency.input},
                             {"slice_difference_output", translation.consistency.output},
                             {"slice_difference_of_change", translation.consistency.change}});
    manifest.device = DescribeDevice(model_.device);
    return manifest;
  }

  const TranslateOptions& options_;
  Model model_;
};

TranslateResult Translate(const TranslateOptions& options, Progress& progress) {
  if (const std::string wrong = options.Check(); !wrong.empty()) throw OptionError(wrong);
  TranslateResult result;
  for (const PlannedFile& file :
       PlanFiles(options.inputs, options.output, options.plain_name ? "" : "_synthetic")) {
    result.cases.emplace_back();
    result.cases.back().input = file.input;
    result.cases.back().output = file.output;
  }
  const bool several = GoesToFolder(options.inputs, options.output);
  if (!several) {
    const fs::path parent = options.output.parent_path();
    CheckFolderWritable(parent.empty() ? fs::path(".") : parent);
  }
  const at::Device device = SelectDevice(options.device, progress);
  UpdateOrThrow(progress, 0, "loading the model");
  Translator translator(options, LoadModel(options, device, progress));
  if (several) MakeWritableFolder(options.output);
  progress.Warn(kTranslateNotice);
  c10::InferenceMode inference;
  const double share = 1.0 / static_cast<double>(result.cases.size());
  for (size_t i = 0; i < result.cases.size(); ++i) {
    TranslateCase& item = result.cases[i];
    if (!several) {
      translator.Run(item, 0, 1, progress);
      continue;
    }
    // One bad file does not stop the rest; what is wrong with the run itself does.
    try {
      translator.Run(item, static_cast<double>(i) * share, share, progress);
    } catch (const IoError& error) {
      item.error = error.what();
    } catch (const std::bad_alloc&) {
      item.error = "'" + item.input.string() + "' needs more memory than there is";
    }
    if (!item.error.empty()) ++result.failed;
  }
  progress.Update(1, "done");
  return result;
}

}  // namespace

TranslateResult RunTranslate(const TranslateOptions& options, Progress& progress) {
  return WithTorchErrors([&] { return Translate(options, progress); });
}

}  // namespace avocet::core
