// SPDX-License-Identifier: Apache-2.0
#include "app/core/train.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <map>

#include "app/base/error.h"
#include "app/core/engine_jobs.h"
#include "app/core/msd_dataset.h"
#include "app/core/torch_errors.h"
#include "app/core/train_setup.h"
#include "app/core/training_expectations.h"
#include "io/file_util.h"
#include "io/volume_io.h"
#include "models/rwkv_unet/rwkv_unet.h"
#include "models/training/start.h"
#include "models/training/trainer.h"

namespace avocet::core {
namespace {

constexpr double kGeometryToleranceMm = 1e-2;

models::AugmentationRecipe RecipeOf(const TrainOptions& o) {
  auto recipe = models::AugmentationRecipe::ByName(o.augmentation);
  for (const char letter : o.flips) {
    if (letter == 'r') recipe.flip_rows_chance = 0.5;
    if (letter == 'c') recipe.flip_cols_chance = 0.5;
    if (letter == 's') recipe.flip_context_chance = 0.5;
  }
  return recipe;
}

// The pair as numbers; throws IoError saying what does not fit.
models::TrainingCase ReadCase(const MsdPair& pair,
                              const std::map<uint16_t, uint8_t>& class_of_value, bool held_out,
                              TrainingExpectations& expectations, Progress& progress) {
  const io::Volume image = io::ReadVolume(pair.image);
  const io::Volume label = io::ReadVolume(pair.label);
  if (image.components != 1 || image.frames != 1) {
    throw IoError("'" + pair.image.string() + "' is not a scalar volume of one frame");
  }
  if (image.geometry.size != label.geometry.size) {
    throw IoError("'" + pair.label.string() + "' has another size than its image");
  }
  if (const double distance = io::MaxCornerDistance(image.geometry, label.geometry);
      distance > kGeometryToleranceMm) {
    throw IoError("'" + pair.label.string() + "' lies " + std::to_string(distance) +
                  " mm away from its image");
  }
  models::TrainingCase one;
  one.name = pair.name;
  one.size = image.geometry.size;
  one.spacing = image.geometry.spacing;
  one.direction = image.geometry.direction;
  one.values = image.ToFloat();
  const std::vector<uint16_t> values = label.ToLabels(pair.label.string());
  one.classes.resize(values.size());
  for (size_t i = 0; i < values.size(); ++i) {
    const auto found = class_of_value.find(values[i]);
    if (found == class_of_value.end()) {
      throw IoError("'" + pair.label.string() + "' holds the value " + std::to_string(values[i]) +
                    ", which dataset.json does not name");
    }
    one.classes[i] = found->second;
  }
  one.as_stored = expectations.CheckRule(image, one.values, pair.image.string(), progress);
  if (!held_out) {
    std::vector<int64_t> voxels(class_of_value.size());
    for (const uint8_t c : one.classes) ++voxels[c];
    expectations.Add(image, one.values, voxels);
  }
  return one;
}

models::ModelCard CardOf(const TrainOptions& o, const MsdDataset& dataset) {
  models::ModelCard card;
  card.architecture = "rwkv-unet";
  card.variant = o.variant;
  card.task = "segmentation";
  card.name = o.name.empty() ? dataset.name : o.name;
  card.labels = dataset.labels;
  card.input_channels = o.context > 0 ? 3 : 1;
  card.modality = dataset.modality;
  card.plane = o.plane;
  card.wkv = "exact";
  card.licence = dataset.licence;
  card.preprocessing.intensity = o.intensity;
  if (o.intensity == "window") {
    card.preprocessing.lower = o.window[0];
    card.preprocessing.upper = o.window[1];
  }
  card.preprocessing.resample = o.pixel_mm > 0 ? "spacing" : "native";
  if (o.pixel_mm > 0) card.preprocessing.pixel_mm = o.pixel_mm;
  card.preprocessing.context = o.context;
  const models::AugmentationRecipe recipe = RecipeOf(o);
  if (recipe.official_rot_flip > 0) {
    card.tta = "flip-rot";
  } else {
    card.tta = recipe.flip_cols_chance > 0 ? "flip" : "none";
  }
  return card;
}

models::TrainerOptions TrainerOptionsOf(const TrainOptions& o) {
  models::TrainerOptions t;
  t.epochs = o.epochs;
  t.batch = o.batch;
  t.schedule = o.schedule;
  t.learning_rate = o.learning_rate;
  t.warmup_epochs = o.warmup_epochs;
  t.weight_decay = o.weight_decay;
  t.decay_everything = o.decay_everything;
  t.clip = o.clip;
  t.ce_weight = o.ce_weight;
  t.dice_weight = 1 - o.ce_weight;
  t.ema = o.ema;
  t.augmentation = RecipeOf(o);
  t.background_share = o.background_share;
  if (!o.canvas.empty()) {
    t.canvas_rows = o.canvas[0];
    t.canvas_cols = o.canvas[1];
  }
  t.bfloat16 = o.precision == "bfloat16";
  t.validate_every = o.validate_every;
  t.keep_last_model = o.keep_last;
  t.seed = o.seed;
  t.max_minutes = o.max_minutes;
  t.checkpoint_minutes = o.checkpoint_minutes;
  t.resume = o.resume;
  AppendDeciding(o, "", t.job);
  return t;
}

std::string Joined(const std::vector<models::TrainingCase>& cases) {
  std::string text;
  for (const auto& one : cases) text += (text.empty() ? "" : " ") + one.name;
  return text;
}

}  // namespace

namespace {

// Fills the network from the checkpoint, and says what that left as it was.
TrainStart Start(const StartFile& from, const models::ModelCard& card, models::RwkvUnet& network,
                 Progress& progress) {
  const std::string name = from.path.string();
  models::StartReport report = models::StartFrom(from.file, name, network);
  TrainStart start;
  start.path = from.path;
  start.sha256 = from.sha256;
  start.architecture = "rwkv-unet " + network.config().variant;
  start.encoder_only = report.encoder_only;
  start.classes = report.classes;
  start.loaded = report.loaded.size();
  start.fresh = std::move(report.fresh);
  start.unused = std::move(report.unused);
  start.unknown = std::move(report.unknown);
  const int classes = network.config().classes;
  if (start.encoder_only) {
    progress.Warn("'" + name + "' holds an encoder only; the decoder starts from new weights");
  } else if (start.classes == 0) {
    progress.Warn("'" + name + "' has no class layer; it starts from new weights");
  } else if (start.classes != classes) {
    progress.Warn("'" + name + "' has " + std::to_string(start.classes) +
                  " classes and the data have " + std::to_string(classes) +
                  "; the class layer starts from new weights");
  }
  if (!start.unknown.empty()) {
    progress.Warn("'" + name + "' holds tensors that are not of this network and are not used: " +
                  models::ListNames(start.unknown, 3));
  }
  for (const std::string& difference : DifferencesOfStart(models::CardOf(from.file), card)) {
    progress.Warn(difference);
  }
  return start;
}

TrainResult TrainOnFolder(const TrainOptions& given, Progress& progress) {
  const auto start = std::chrono::steady_clock::now();
  if (const std::string wrong = given.Check(); !wrong.empty()) throw OptionError(wrong);
  CheckRun(given, progress);
  // Checked before any data is read: a misspelt recipe should not cost a minute.
  RecipeOf(given);
  std::optional<StartFile> from = ReadStart(given);
  TrainOptions options = given;
  if (from) {
    const std::string variant = models::CheckStart(from->file, from->path.string()).variant;
    if (options.variant.empty()) options.variant = variant;
    if (options.variant != variant) {
      throw ModelError("'" + from->path.string() + "' holds RWKV-UNet " + variant +
                       ", and --variant is " + options.variant +
                       "; leave --variant out, or start from another model");
    }
  }
  if (options.variant.empty()) options.variant = "T";
  models::TrainerOptions trainer = TrainerOptionsOf(options);
  if (from) trainer.start = from->sha256;

  const MsdDataset dataset = ReadMsdDataset(options.data, progress);
  const std::vector<bool> held_out =
      SplitCases(dataset.pairs, options.validation, options.validation_fraction, options.seed);
  std::map<uint16_t, uint8_t> class_of_value;
  for (size_t c = 0; c < dataset.labels.size(); ++c) {
    class_of_value[static_cast<uint16_t>(dataset.labels[c].value)] = static_cast<uint8_t>(c);
  }
  models::ModelCard card = CardOf(options, dataset);
  TrainingExpectations expectations(card);
  TrainResult result;
  std::vector<models::TrainingCase> training, validation;
  for (size_t i = 0; i < dataset.pairs.size(); ++i) {
    UpdateOrThrow(
        progress, Progress::kUnknown,
        "reading case " + std::to_string(i + 1) + "/" + std::to_string(dataset.pairs.size()));
    try {
      (held_out[i] ? validation : training)
          .push_back(
              ReadCase(dataset.pairs[i], class_of_value, held_out[i], expectations, progress));
    } catch (const IoError& error) {
      progress.Warn(std::string(error.what()) + "; the case is left out");
      ++result.skipped_cases;
    }
  }
  if (training.empty()) {
    throw IoError("no case of '" + options.data.string() + "' is left to train on");
  }

  auto config =
      models::RwkvUnetConfig::ForVariant(options.variant, static_cast<int>(dataset.labels.size()));
  if (options.drop_path >= 0) config.drop_path = options.drop_path;
  models::RwkvUnet network(config);
  at::Generator generator = at::make_generator<at::CPUGeneratorImpl>(options.seed);
  network.Initialise(generator);

  if (from) {
    result.start = Start(*from, card, network, progress);
    card.provenance["started_from"] = from->sha256;
    card.provenance["start"] = DescribeStart(result.start);
    from.reset();  // the training needs the memory
  }
  card.expects = expectations.Result();
  card.provenance["data"] = dataset.name + ", " + std::to_string(training.size()) +
                            " training cases, " + std::to_string(validation.size()) +
                            " validation cases";
  card.provenance["training_cases"] = Joined(training);
  card.provenance["validation_cases"] = Joined(validation);
  card.provenance["seed"] = std::to_string(options.seed);
  const models::TrainerResult trained =
      models::Train(network, card, training, validation, trainer, options.output, progress);
  result.epochs_done = static_cast<int>(trained.epochs.size());
  result.best_epoch = static_cast<int>(trained.best_epoch);
  result.best_dice = trained.best_dice;
  if (trained.best_epoch > 0) {
    const auto& best = trained.epochs.at(trained.best_epoch - 1);
    for (size_t c = 0; c + 1 < best.scores.size(); ++c) {  // the last is the mean
      result.best_class_dice.emplace_back(dataset.labels[c + 1].name, best.scores[c]);
    }
  }
  if (trained.kept_epoch > 0) result.model = options.output / "model.safetensors";
  result.finished = trained.finished;
  result.training_cases = static_cast<int>(training.size());
  result.validation_cases = static_cast<int>(validation.size());
  result.slices = trained.slices;
  result.slices_per_second = trained.slices_per_second;
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return result;
}

}  // namespace

TrainResult RunTrain(const TrainOptions& options, Progress& progress) {
  return WithTorchErrors([&] { return TrainOnFolder(options, progress); });
}

}  // namespace avocet::core
