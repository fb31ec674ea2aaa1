// SPDX-License-Identifier: Apache-2.0
#include "app/core/segment.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <memory>
#include <set>

#include "app/core/batch.h"
#include "app/core/engine_jobs.h"
#include "app/core/image_checks.h"
#include "app/core/intensity_fit.h"
#include "app/core/manifest.h"
#include "app/core/mask_file.h"
#include "app/core/output_files.h"
#include "app/core/output_plan.h"
#include "app/core/select_device.h"
#include "app/core/shipped.h"
#include "app/core/torch_errors.h"
#include "io/dicom_seg.h"
#include "io/file_util.h"
#include "io/format.h"
#include "io/format_list.h"
#include "io/volume_io.h"
#include "models/load_network.h"
#include "models/predict/graphed.h"
#include "models/predict/predictor.h"

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
  std::unique_ptr<models::RwkvUnet> network;
  at::Device device{at::kCPU};
};

models::ModelCard SegmentationCard(const models::TensorFile& file, const fs::path& path) {
  const std::string name = "model '" + path.string() + "'";
  models::ModelCard card = models::CardOf(file);
  if (card.empty()) {
    throw ModelError(name +
                     " has no model card, so its classes and preprocessing are unknown; add "
                     "them with 'avocet model convert " +
                     path.filename().string() +
                     " OUT.safetensors --labels ...' or '--preset synapse'");
  }
  if (card.task != "segmentation") {
    throw ModelError(name + " is made for " + (card.task.empty() ? "an unnamed task" : card.task) +
                     ", not for segmentation; give a segmentation model");
  }
  if (card.architecture != "rwkv-unet") {
    throw ModelError(name + " has the architecture '" + card.architecture +
                     "'; segmentation runs rwkv-unet");
  }
  if (card.labels.size() < 2) {
    throw ModelError(name + " names no structures; add them with 'avocet model convert --labels'");
  }
  if (card.input_channels == 3 && card.preprocessing.context == 0) {
    throw ModelError(name + " wants pictures of three channels, not volumes");
  }
  return card;
}

Model LoadModel(const SegmentOptions& options, const at::Device& device) {
  Model model;
  model.path = FindModel(options.model);
  model.device = device;
  const models::TensorFile file = models::ReadTensorFile(model.path);
  model.card = SegmentationCard(file, model.path);
  // Mirrored or turned slices that a network never saw only blur its answer.
  const auto rank = [](const std::string& tta) {
    return tta == "flip-rot" ? 2 : tta == "flip" ? 1 : 0;
  };
  if (!model.card.tta.empty() && rank(options.tta) > rank(model.card.tta) && !options.force) {
    throw OptionError("--tta " + options.tta + " does not suit model '" + model.path.string() +
                      "', whose training saw no slices " +
                      (rank(model.card.tta) == 0 ? "mirrored" : "turned") +
                      " in this way: it would lower the accuracy; leave --tta out, or add --force");
  }
  const std::string wkv = options.wkv.empty() ? model.card.wkv : options.wkv;
  model.card.wkv = wkv;
  models::LoadOptions load;
  load.wkv = models::WkvModeFromName(wkv);
  load.classes = static_cast<int>(model.card.labels.size());
  model.network = models::LoadRwkvUnet(file, model.path.string(), load);
  const models::Precision precision = models::PrecisionFromName(options.precision, device.type());
  if (device.is_cpu()) {
    model.network->Freeze(precision);
  } else {
    model.network->set_precision(precision);
  }
  model.network->parameters().To(device);
  model.sha256 = io::Sha256OfFile(model.path);
  return model;
}

double VoxelMillilitres(const io::Geometry& geometry) {
  const auto& d = geometry.direction;
  const double determinant = d[0] * (d[4] * d[8] - d[5] * d[7]) -
                             d[1] * (d[3] * d[8] - d[5] * d[6]) +
                             d[2] * (d[3] * d[7] - d[4] * d[6]);
  return geometry.spacing[0] * geometry.spacing[1] * geometry.spacing[2] * std::abs(determinant) /
         1000;
}

// A label's name as part of a file name.
std::string FileNamePart(const models::LabelInfo& label) {
  std::string part = label.name;
  for (char& c : part) {
    if (!std::isalnum(static_cast<unsigned char>(c)) && c != '-') c = '_';
  }
  return part.empty() ? std::to_string(label.value) : part;
}

class Segmenter {
 public:
  Segmenter(const SegmentOptions& options, Model model)
      : options_(options), model_(std::move(model)) {
    for (const models::LabelInfo& label : model_.card.labels) {
      highest_label_ = std::max(highest_label_, label.value);
    }
    if (options_.device.graph) {
      graphed_ = std::make_unique<models::GraphedNetwork>(
          [this](const at::Tensor& input) { return model_.network->Forward(input); });
    }
  }

  // "" unless a graph was asked for and is not to be had.
  std::string GraphProblem() const { return graphed_ ? graphed_->Problem() : ""; }

  void Run(SegmentCase& item, const JobInput& input, Progress& progress) {
    const auto start = Clock::now();
    const std::string name = input.series ? input.name : item.input.filename().string();
    UpdateOrThrow(progress, 0, name + ": reading");
    PartOf reading(progress, 0, 0.05);
    io::Volume image = ReadInput(input, options_.regularise, reading);
    options_.known.AddTo(image);
    const bool to_seg = io::FormatByName(item.output) == &io::DicomFormat();
    io::SourceSeries series;
    if (to_seg) {  // what it cannot be written on is said before minutes of computing
      const auto* source = dynamic_cast<const io::DicomSource*>(image.source.get());
      if (!source) throw IoError("'" + item.input.string() + "' is not read from DICOM");
      series = io::SourceOf(*source);
    }
    RequireGreyVolume(image, item.input.string(), "segment");
    CheckMemory(image, item.input.string());
    std::vector<std::string> warnings = image.notes;
    const std::vector<float> values = image.ToFloat();
    const ImageCheck check = CheckImage(image, values, model_.card);
    if (!check.refusal.empty()) {
      if (!options_.force) {
        throw IoError("'" + item.input.string() + "' is not segmented: " + check.refusal + "; " +
                      options_.how_to_force);
      }
      warnings.push_back("segmented as the user wished, although " + check.refusal);
    }
    warnings.insert(warnings.end(), check.warnings.begin(), check.warnings.end());
    for (const std::string& warning : warnings) progress.Warn(name + ": " + warning);
    std::vector<std::byte>().swap(image.data);  // only geometry and header are needed from here on

    const models::ModelCard card = CardFor(model_.card, check.as_stored);
    const models::Prediction prediction =
        Predict(card, image.geometry, values, [&](int64_t done, int64_t total) {
          UpdateOrThrow(progress, 0.05 + 0.9 * done / total,
                        name + ": slice " + std::to_string(done) + " of " + std::to_string(total));
        });
    MeasureVolumes(image, prediction.labels, item);
    const size_t told = warnings.size();
    item.implausible = FindImplausible(image, item.volumes_ml, model_.card);
    for (const ImplausibleVolume& each : item.implausible) warnings.push_back(each.Sentence());
    UpdateOrThrow(progress, 0.96, name + ": writing");
    Write(image, prediction, item, check, to_seg ? &series : nullptr, start, warnings,
          FilesOf(input, image));
    for (size_t w = told; w < warnings.size(); ++w) progress.Warn(name + ": " + warnings[w]);
    item.seconds = SecondsSince(start);
  }

 private:
  models::Prediction Predict(const models::ModelCard& card, const io::Geometry& geometry,
                             const std::vector<float>& values,
                             const models::SliceProgress& progress) {
    models::VolumeView view;
    view.values = values.data();
    view.size = geometry.size;
    view.spacing = geometry.spacing;
    view.direction = geometry.direction;
    models::PredictOptions options;
    options.batch = options_.batch;
    options.tta = options_.tta;
    options.probabilities = options_.probabilities;
    const auto logits = [this](const at::Tensor& slices) {
      const at::Tensor input = slices.to(model_.device);
      return graphed_ ? graphed_->Forward(input) : model_.network->Forward(input);
    };
    return models::PredictVolume(logits, card, view, options, progress);
  }

  void CheckMemory(const io::Volume& image, const std::string& name) const {
    const double per_voxel =
        4 + 4 + 1 + (options_.probabilities ? 8.0 * model_.card.labels.size() : 0.0);
    if (options_.force) return;
    RequireMemory(per_voxel * image.geometry.VoxelCount(), name,
                  options_.probabilities ? "leave out --probabilities" : "");
  }

  // Nothing where the size of a voxel is not known: voxels are no millilitres.
  void MeasureVolumes(const io::Volume& image, const std::vector<uint16_t>& labels,
                      SegmentCase& item) const {
    if (image.assumed.in_plane_size || image.assumed.slice_distance) return;
    const io::Geometry& geometry = image.geometry;
    std::vector<int64_t> count(highest_label_ + 1, 0);
    for (const uint16_t value : labels) ++count[value];
    const double millilitres = VoxelMillilitres(geometry);
    for (size_t c = 1; c < model_.card.labels.size(); ++c) {
      const models::LabelInfo& label = model_.card.labels[c];
      item.volumes_ml.emplace_back(label.name, count[label.value] * millilitres);
    }
  }

  void Write(const io::Volume& image, const models::Prediction& prediction, const SegmentCase& item,
             const ImageCheck& check, const io::SourceSeries* series, Clock::time_point start,
             std::vector<std::string>& warnings, const std::vector<fs::path>& files) const {
    OutputSet outputs;
    io::Volume mask = io::ZerosLike(
        image, highest_label_ <= 255 ? io::VoxelType::kUInt8 : io::VoxelType::kUInt16);
    if (highest_label_ <= 255) {
      std::transform(prediction.labels.begin(), prediction.labels.end(), mask.As<uint8_t>(),
                     [](uint16_t value) { return static_cast<uint8_t>(value); });
    } else {
      std::copy(prediction.labels.begin(), prediction.labels.end(), mask.As<uint16_t>());
    }
    if (series) {
      const io::SegWriteResult written =
          io::WriteDicomSeg(mask, *series, outputs.Begin(item.output), SegOptions());
      warnings.insert(warnings.end(), written.notes.begin(), written.notes.end());
      if (written.patient_left_out) warnings.emplace_back(kPatientLeftOut);
    } else {
      io::WriteVolume(mask, outputs.Begin(item.output));
    }
    WriteProbabilities(image, prediction, item, outputs);
    const auto& labels = model_.card.labels;
    io::WriteFileAtomically(outputs.Begin(Beside(item.output, ".labels.json")), LabelsJson(labels));
    io::WriteFileAtomically(outputs.Begin(Beside(item.output, ".labels.txt")),
                            LabelsItkSnap(labels));
    Manifest manifest = ManifestFor(item, check, files);
    manifest.seconds = SecondsSince(start);
    manifest.warnings = warnings;
    io::WriteFileAtomically(outputs.Begin(Beside(item.output, ".manifest.json")), ToJson(manifest));
    outputs.Complete();
  }

  void WriteProbabilities(const io::Volume& image, const models::Prediction& prediction,
                          const SegmentCase& item, OutputSet& outputs) const {
    std::set<std::string> used;
    for (size_t c = 1; c < prediction.probabilities.size(); ++c) {
      const models::LabelInfo& label = model_.card.labels[c];
      std::string part = FileNamePart(label);
      if (!used.insert(part).second) part += "_" + std::to_string(label.value);
      io::Volume map = io::ZerosLike(image, io::VoxelType::kFloat32);
      std::copy(prediction.probabilities[c].begin(), prediction.probabilities[c].end(),
                map.As<float>());
      io::WriteVolume(map, outputs.Begin(Beside(item.output, "_prob_" + part + ".nii.gz")));
    }
  }

  io::SegWriteOptions SegOptions() const {
    io::SegWriteOptions write;
    write.series_description = "Avocet segmentation";
    write.keep_patient = options_.keep_patient;
    write.algorithm_name = model_.card.name.empty() ? "Avocet" : "Avocet " + model_.card.name;
    for (size_t c = 1; c < model_.card.labels.size(); ++c) {
      const models::LabelInfo& label = model_.card.labels[c];
      io::SegmentToWrite entry;
      entry.value = label.value;
      entry.segment.label = label.name;
      entry.segment.has_rgb = true;
      entry.segment.rgb = label.colour;
      write.segments.push_back(std::move(entry));
    }
    return write;
  }

  Manifest ManifestFor(const SegmentCase& item, const ImageCheck& check,
                       const std::vector<fs::path>& files) const {
    Manifest manifest;
    manifest.job = "segment";
    manifest.input = item.input;
    manifest.input_sha256 = io::Sha256OfFiles(files);
    manifest.input_files = files.size();
    manifest.model = model_.path;
    manifest.model_sha256 = model_.sha256;
    manifest.model_name = model_.card.name;
    manifest.output = item.output;
    manifest.output_sha256 = io::Sha256OfFile(item.output);
    manifest.options = {{"tta", options_.tta},
                        {"batch", std::to_string(options_.batch)},
                        {"precision", options_.precision},
                        {"probabilities", options_.probabilities ? "true" : "false"},
                        {"force", options_.force ? "true" : "false"},
                        {"regularise", options_.regularise ? "true" : "false"},
                        {"device", options_.device.text}};
    const models::Preprocessing& steps = model_.card.preprocessing;
    char resampling[96] = "";
    if (steps.resample == "spacing") {
      std::snprintf(resampling, sizeof resampling, " %g mm", steps.pixel_mm);
    } else if (steps.resample == "transunet") {
      std::snprintf(resampling, sizeof resampling, " %lld x %lld",
                    static_cast<long long>(steps.size[0]), static_cast<long long>(steps.size[1]));
    }
    manifest.protocol = {{"architecture", model_.card.architecture + " " + model_.card.variant},
                         {"wkv", model_.card.wkv},
                         {"plane", steps.resample == "transunet" ? "as stored" : model_.card.plane},
                         {"intensity", check.as_stored ? kScaledAlready : RuleText(steps)},
                         {"resample", steps.resample + resampling},
                         {"context_slices", std::to_string(steps.context)}};
    if (check.as_stored) manifest.protocol.emplace_back("intensity_not_applied", RuleText(steps));
    manifest.overridden = check.refusal;
    manifest.device = DescribeDevice(model_.device);
    manifest.volumes_ml = item.volumes_ml;
    manifest.implausible = item.implausible;
    return manifest;
  }

  const SegmentOptions& options_;
  Model model_;
  std::unique_ptr<models::GraphedNetwork> graphed_;  // where the options ask for it
  int highest_label_ = 0;
};

SegmentResult Segment(const SegmentOptions& options, Progress& progress) {
  if (const std::string wrong = options.Check(); !wrong.empty()) throw OptionError(wrong);
  SegmentResult result;
  const OutputNames names = options.Names();
  PartOf looking(progress, 0, 0.02);
  const std::vector<JobInput> inputs = ExpandInputs(
      options.inputs, options.series, options.regularise, !NamesOneFile(names), looking);
  const OutputPlan plan = PlanOutputs(names, options.inputs, inputs);
  CheckOutput(plan, options.output);
  for (const PlannedOutput& file : plan.files) {
    SegmentCase item;
    item.input = file.input;
    item.output = file.output;
    item.error = file.error;
    result.cases.push_back(std::move(item));
  }
  const at::Device device = SelectDevice(options.device, progress);
  UpdateOrThrow(progress, 0.02, "loading the model");
  Segmenter segmenter(options, LoadModel(options, device));
  if (plan.to_folder) MakeWritableFolder(options.output);
  const double share = 0.98 / static_cast<double>(result.cases.size());
  result.failed = RunBatch(plan.to_folder, result.cases, [&](size_t i) {
    const double begin = 0.02 + static_cast<double>(i) * share;
    PartOf part(progress, begin, begin + share);
    WithTorchErrors([&] { segmenter.Run(result.cases[i], inputs[i], part); });
  });
  if (const std::string problem = segmenter.GraphProblem(); !problem.empty()) {
    progress.Warn("--cuda-graph had no effect: " + problem);
  }
  progress.Update(1, "done");
  return result;
}

}  // namespace

SegmentResult RunSegment(const SegmentOptions& options, Progress& progress) {
  return WithTorchErrors([&] { return Segment(options, progress); });
}

}  // namespace avocet::core
