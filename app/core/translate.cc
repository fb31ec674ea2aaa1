// SPDX-License-Identifier: Apache-2.0
#include "app/core/translate.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include <chrono>
#include <cmath>
#include <memory>

#include "app/core/batch.h"
#include "app/core/comparison_strip.h"
#include "app/core/engine_jobs.h"
#include "app/core/image_checks.h"
#include "app/core/intensity_fit.h"
#include "app/core/manifest.h"
#include "app/core/output_files.h"
#include "app/core/output_plan.h"
#include "app/core/select_device.h"
#include "app/core/shipped.h"
#include "app/core/torch_errors.h"
#include "app/core/translation_checks.h"
#include "io/file_util.h"
#include "io/volume_io.h"
#include "models/fs_rwkv/load_fs_rwkv.h"
#include "models/predict/graphed.h"
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

class Translator {
 public:
  Translator(const TranslateOptions& options, Model model)
      : options_(options), model_(std::move(model)) {
    if (options_.device.graph) {
      graphed_ = std::make_unique<models::GraphedNetwork>(
          [this](const at::Tensor& input) { return model_.network->Forward(input); });
    }
  }

  // "" unless a graph was asked for and is not to be had.
  std::string GraphProblem() const { return graphed_ ? graphed_->Problem() : ""; }

  void Run(TranslateCase& item, const JobInput& input, Progress& progress) {
    const auto start = Clock::now();
    const std::string name = input.series ? input.name : item.input.filename().string();
    UpdateOrThrow(progress, 0, name + ": reading");
    PartOf reading(progress, 0, 0.05);
    io::Volume image = ReadInput(input, options_.regularise, reading);
    options_.known.AddTo(image);
    RequireGreyVolume(image, item.input.string(), "translate");
    CheckMemory(image, item.input.string());
    std::vector<std::string> warnings = image.notes;
    const std::vector<float> values = image.ToFloat();
    std::vector<std::byte>().swap(image.data);  // only geometry and header are needed from here on
    const ImageCheck check = CheckImage(image, values, model_.card);
    if (!check.refusal.empty()) {
      if (!options_.force) {
        throw IoError("'" + item.input.string() + "' is not translated: " + check.refusal + "; " +
                      options_.how_to_force);
      }
      warnings.push_back("translated as the user wished, although " + check.refusal);
    }
    warnings.insert(warnings.end(), check.warnings.begin(), check.warnings.end());
    for (const std::string& warning : warnings) progress.Warn(name + ": " + warning);

    const models::VolumeView view{values.data(), image.geometry.size, image.geometry.spacing,
                                  image.geometry.direction};
    models::TranslateVolumeOptions translate;
    translate.batch = Batch();
    translate.plane =
        options_.plane == "auto" ? models::ChoosePlane(view, model_.card.plane) : options_.plane;
    translate.preprocessing = CardFor(model_.card, check.as_stored).preprocessing;
    std::vector<uint8_t> head;
    if (options_.head_only) {
      head = preprocess::HeadMask(values.data(), image.geometry.size);
      translate.head = head.data();
    }
    const models::Translation translation = models::TranslateVolume(
        [this](const at::Tensor& slices) {
          const at::Tensor input = slices.to(model_.device);
          return graphed_ ? graphed_->Forward(input) : model_.network->Forward(input);
        },
        view, translate,
        [&](int64_t done, int64_t total) {
          UpdateOrThrow(progress, 0.05 + 0.9 * done / total,
                        name + ": " + translate.plane + " slice " + std::to_string(done) + " of " +
                            std::to_string(total));
        });
    item.plane = translate.plane;
    item.mean_change = translation.mean_change;
    item.slice_difference_input = translation.consistency.input;
    item.slice_difference_output = translation.consistency.output;
    item.slice_difference_change = translation.consistency.change;
    UpdateOrThrow(progress, 0.96, name + ": writing");
    Write(image, values, translation, item, check, start, warnings, FilesOf(input, image));
    item.seconds = SecondsSince(start);
  }

 private:
  int Batch() const { return options_.batch > 0 ? options_.batch : model_.device.is_cpu() ? 1 : 8; }

  void CheckMemory(const io::Volume& image, const std::string& name) const {
    // Input, output, the written copy, masks and statistics; a slice in the network is extra.
    if (!options_.force) RequireMemory(17.0 * image.geometry.VoxelCount(), name, "");
  }

  void Write(const io::Volume& image, const std::vector<float>& values,
             const models::Translation& translation, const TranslateCase& item,
             const ImageCheck& check, Clock::time_point start,
             const std::vector<std::string>& warnings, const std::vector<fs::path>& files) const {
    OutputSet outputs;
    io::Volume result = io::ZerosLike(image, io::VoxelType::kFloat32);
    std::copy(translation.values.begin(), translation.values.end(), result.As<float>());
    result.description = TranslateDescription();
    io::WriteVolume(result, outputs.Begin(item.output));
    if (options_.picture) {
      WriteComparisonStrip(image.geometry,
                           {{"input", &values}, {"output (synthetic)", &translation.values}},
                           "Research use, not for diagnosis. Model: " + model_.card.name,
                           outputs.Begin(Beside(item.output, ".png")), image.assumed);
    }
    Manifest manifest = ManifestFor(item, translation, files);
    manifest.seconds = SecondsSince(start);
    manifest.overridden = check.refusal;
    if (check.as_stored) {
      for (auto& [key, text] : manifest.protocol) {
        if (key == "intensity") text = kScaledAlready;
      }
      manifest.protocol.emplace_back("intensity_not_applied", RuleText(model_.card.preprocessing));
    }
    manifest.warnings = warnings;
    manifest.warnings.insert(manifest.warnings.begin(), kTranslateNotice);
    io::WriteFileAtomically(outputs.Begin(Beside(item.output, ".manifest.json")), ToJson(manifest));
    outputs.Complete();
  }

  Manifest ManifestFor(const TranslateCase& item, const models::Translation& translation,
                       const std::vector<fs::path>& files) const {
    Manifest manifest;
    manifest.job = "translate";
    manifest.input = item.input;
    manifest.input_sha256 = io::Sha256OfFiles(files);
    manifest.input_files = files.size();
    manifest.model = model_.path;
    manifest.model_sha256 = model_.sha256;
    manifest.model_name = model_.card.name;
    manifest.output = item.output;
    manifest.output_sha256 = io::Sha256OfFile(item.output);
    manifest.options = {{"plane", options_.plane},
                        {"batch", std::to_string(Batch())},
                        {"head_only", options_.head_only ? "true" : "false"},
                        {"force", options_.force ? "true" : "false"},
                        {"regularise", options_.regularise ? "true" : "false"},
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
  std::unique_ptr<models::GraphedNetwork> graphed_;  // where the options ask for it
};

TranslateResult Translate(const TranslateOptions& options, Progress& progress) {
  if (const std::string wrong = options.Check(); !wrong.empty()) throw OptionError(wrong);
  TranslateResult result;
  const OutputNames names = options.Names();
  PartOf looking(progress, 0, 0.02);
  const std::vector<JobInput> inputs = ExpandInputs(
      options.inputs, options.series, options.regularise, !NamesOneFile(names), looking);
  const OutputPlan plan = PlanOutputs(names, options.inputs, inputs);
  if (!plan.to_folder && options.plain_name) {
    throw OptionError("--plain-name has no effect with --output '" + options.output.string() +
                      "', which is one file: it is for the files in a folder; leave it out");
  }
  CheckOutput(plan, options.output);
  for (const PlannedOutput& file : plan.files) {
    TranslateCase item;
    item.input = file.input;
    item.output = file.output;
    item.error = file.error;
    result.cases.push_back(std::move(item));
  }
  const at::Device device = SelectDevice(options.device, progress);
  UpdateOrThrow(progress, 0.02, "loading the model");
  Translator translator(options, LoadModel(options, device, progress));
  if (plan.to_folder) MakeWritableFolder(options.output);
  progress.Warn(kTranslateNotice);
  c10::InferenceMode inference;
  const double share = 0.98 / static_cast<double>(result.cases.size());
  result.failed = RunBatch(plan.to_folder, result.cases, [&](size_t i) {
    const double begin = 0.02 + static_cast<double>(i) * share;
    PartOf part(progress, begin, begin + share);
    WithTorchErrors([&] { translator.Run(result.cases[i], inputs[i], part); });
  });
  if (const std::string problem = translator.GraphProblem(); !problem.empty()) {
    progress.Warn("--cuda-graph had no effect: " + problem);
  }
  progress.Update(1, "done");
  return result;
}

}  // namespace

TranslateResult RunTranslate(const TranslateOptions& options, Progress& progress) {
  return WithTorchErrors([&] { return Translate(options, progress); });
}

}  // namespace avocet::core
