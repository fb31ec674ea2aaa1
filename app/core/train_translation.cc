// SPDX-License-Identifier: Apache-2.0
#include "app/core/train_translation.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <memory>

#include "app/base/error.h"
#include "app/core/engine_jobs.h"
#include "app/core/msd_dataset.h"
#include "app/core/pair_files.h"
#include "app/core/torch_errors.h"
#include "app/core/train_setup.h"
#include "app/core/training_expectations.h"
#include "app/core/translation_checks.h"
#include "io/volume_io.h"
#include "models/fs_rwkv/load_fs_rwkv.h"
#include "models/metrics/registration.h"
#include "models/preprocess/pillow_resize.h"
#include "models/training/translation_trainer.h"

namespace avocet::core {
namespace fs = std::filesystem;
namespace {

// Two images of one head share at least this much (measured: unrelated heads below 1.03).
constexpr double kLeastInformation = 1.04;

bool IsPicture(const io::Volume& image) {
  if (!image.source) return false;
  const std::string format = image.source->FormatName();
  return format == "PNG" || format == "JPEG" || format == "TIFF";
}

std::string Text(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.4g", value);
  return text;
}

// Pillow's 8-bit grey values of a picture.
std::vector<uint8_t> GreyBytes(const io::Volume& picture, const fs::path& path) {
  if (picture.type != io::VoxelType::kUInt8 || picture.frames != 1) {
    throw IoError("'" + path.string() +
                  "' is no 8-bit picture; the published pipeline takes only those");
  }
  const int64_t count = picture.geometry.VoxelCount();
  const uint8_t* bytes = picture.As<uint8_t>();
  const int channels = picture.components;
  std::vector<uint8_t> grey(count);
  for (int64_t x = 0; x < count; ++x) {
    grey[x] = channels < 3 ? bytes[x * channels]
                           : preprocess::PillowGrey(bytes[x * channels], bytes[x * channels + 1],
                                                    bytes[x * channels + 2]);
  }
  return grey;
}

// Pictures of a training pair keep their size (they are augmented first); those of a validation
// pair are resized as in the published test.
models::PairCase PicturePair(const PairFile& file, const io::Volume& source,
                             const io::Volume& target, int64_t size) {
  models::PairCase one;
  one.name = file.name;
  one.picture = true;
  const auto load = [&](const io::Volume& picture, const fs::path& path) {
    std::vector<uint8_t> grey = GreyBytes(picture, path);
    int64_t cols = picture.geometry.size[0], rows = picture.geometry.size[1];
    if (size > 0) {
      grey = preprocess::PillowResizeBilinear(grey.data(), rows, cols, size, size);
      rows = cols = size;
    }
    if (one.size[0] != 0 && (one.size[0] != cols || one.size[1] != rows)) {
      throw IoError("'" + file.source.string() + "' and '" + file.target.string() +
                    "' have different sizes");
    }
    one.size = {cols, rows, 1};
    return std::vector<float>(grey.begin(), grey.end());
  };
  one.source = load(source, file.source);
  one.target = load(target, file.target);
  return one;
}

void RequireRegistered(const PairFile& file, const models::PairCase& one, bool force,
                       Progress& progress) {
  const metrics::RegistrationCheck check =
      metrics::CheckRegistration(one.source, one.target, one.size);
  const bool moved = check.best_shift != std::array<int64_t, 3>{0, 0, 0};
  if (!moved && check.information >= kLeastInformation) return;
  std::string text =
      "'" + file.source.string() + "' and '" + file.target.string() + "' are not registered: ";
  if (moved) {
    text += "they share more information (" + Text(check.best_information) + " against " +
            Text(check.information) + ") when the target is moved by " +
            std::to_string(check.best_shift[0]) + ", " + std::to_string(check.best_shift[1]) +
            ", " + std::to_string(check.best_shift[2]) + " voxels";
  } else {
    text += "their normalised mutual information is " + Text(check.information) +
            ", as of unrelated images";
  }
  if (!force) throw IoError(text + "; register them first, or use --force");
  progress.Warn(text + "; used because of --force");
}

models::PairCase ReadPair(const TrainTranslationOptions& o, const PairFile& file, bool validation,
                          Progress& progress) {
  const io::Volume source = io::ReadVolume(file.source), target = io::ReadVolume(file.target);
  if (IsPicture(source) && IsPicture(target)) {
    return PicturePair(file, source, target, validation && !o.crops ? o.image_size : 0);
  }
  for (const io::Volume* image : {&source, &target}) {
    if (image->components != 1 || image->frames != 1) {
      throw IoError("'" + (image == &source ? file.source : file.target).string() +
                    "' is not a scalar volume of one frame");
    }
  }
  const auto& spacing = source.geometry.spacing;
  const double distance = io::MaxCornerDistance(source.geometry, target.geometry);
  if (!(distance <= 0.01 * *std::min_element(spacing.begin(), spacing.end()))) {
    throw IoError("'" + file.source.string() + "' and '" + file.target.string() +
                  "' do not lie on the same grid" +
                  (std::isfinite(distance) ? " (voxels up to " + Text(distance) + " mm apart)"
                                           : std::string(" (their sizes differ)")) +
                  "; resample the target to the source after registering it");
  }
  models::PairCase one;
  one.name = file.name;
  one.size = source.geometry.size;
  one.spacing = spacing;
  one.direction = source.geometry.direction;
  one.source = source.ToFloat();
  one.target = target.ToFloat();
  RequireRegistered(file, one, o.force, progress);
  return one;
}

models::ModelCard CardOf(const TrainTranslationOptions& o, const models::FsRwkvSizes& sizes) {
  models::ModelCard card;
  card.architecture = "fs-rwkv";
  card.variant = sizes.Variant();
  card.task = "translation";
  card.name = o.run.name.empty() ? "FS-RWKV on " + o.run.data.filename().string() : o.run.name;
  card.modality = "MR";
  card.plane = o.run.plane;
  card.wkv = "exact";
  card.preprocessing.intensity = "percentile";
  card.preprocessing.lower = o.percentiles[0];
  card.preprocessing.upper = o.percentiles[1];
  return card;
}

models::TranslationTrainerOptions TrainerOptionsOf(const TrainTranslationOptions& o) {
  models::TranslationTrainerOptions t;
  t.epochs = o.run.epochs;
  t.schedule = o.run.schedule;
  t.learning_rate = o.run.learning_rate;
  t.warmup_epochs = o.run.warmup_epochs;
  t.weight_decay = o.run.weight_decay;
  t.decay_everything = o.run.decay_everything;
  t.clip = o.run.clip;
  t.ema = o.run.ema;
  t.validate_every = o.run.validate_every;
  t.keep_last_model = o.run.keep_last;
  t.seed = o.run.seed;
  t.max_minutes = o.run.max_minutes;
  t.checkpoint_minutes = o.run.checkpoint_minutes;
  t.resume = o.run.resume;
  AppendDeciding(o, "", t.job);
  t.data.augmentation = models::PairRecipe::ByName(o.run.augmentation);
  t.data.batch = o.run.batch;
  t.data.size = o.image_size;
  t.data.squeeze = !o.crops;
  t.data.slices_per_epoch = o.slices_per_epoch;
  t.validation_slices = o.validation_slices;
  t.loss.ssim_weight = o.ssim_weight;
  t.loss.edge_weight = o.edge_weight;
  t.loss.border = o.ssim_border == "crop" ? models::SsimBorder::kCrop : models::SsimBorder::kFull;
  return t;
}

struct Split {
  std::vector<PairFile> training, validation;
};

Split FindPairs(const TrainTranslationOptions& o) {
  const fs::path source = o.source_folder.empty() ? o.run.data / "source" : o.source_folder;
  const fs::path target = o.target_folder.empty() ? o.run.data / "target" : o.target_folder;
  Split split;
  if (!o.validation_pairs.empty()) {
    split.training = ReadPairList(o.pairs, source, target);
    split.validation = ReadPairList(o.validation_pairs, source, target);
    return split;
  }
  const std::vector<PairFile> all =
      o.pairs.empty() ? FindNamesakes(source, target) : ReadPairList(o.pairs, source, target);
  std::vector<MsdPair> names;
  for (const PairFile& file : all) names.push_back({file.name, file.source, file.target});
  const std::vector<bool> held_out =
      SplitCases(names, o.run.validation, o.run.validation_fraction, o.run.seed);
  for (size_t i = 0; i < all.size(); ++i) {
    (held_out[i] ? split.validation : split.training).push_back(all[i]);
  }
  if (split.training.empty())
    throw OptionError("every pair is held out; there is none to train on");
  return split;
}

std::string Joined(const std::vector<PairFile>& files) {
  std::string text;
  for (size_t i = 0; i < files.size() && i < 200; ++i) text += (i ? " " : "") + files[i].name;
  return text;
}

// Takes the weights, and the sizes, of a model.
std::unique_ptr<models::FsRwkv> LoadStart(const StartFile& from, TrainStart& start) {
  auto network = models::LoadFsRwkv(from.file, from.path.string());
  const models::LayoutReport layout = models::MatchFsRwkv(from.file);
  start.path = from.path;
  start.sha256 = from.sha256;
  start.architecture = layout.architecture + " " + layout.variant;
  start.loaded = layout.matched.size();
  start.unused = layout.unused;
  return network;
}

TrainTranslationResult TrainOnPairs(const TrainTranslationOptions& given, Progress& progress) {
  const auto start = std::chrono::steady_clock::now();
  if (const std::string wrong = given.Check(); !wrong.empty()) throw OptionError(wrong);
  CheckRun(given.run, progress);
  TrainTranslationOptions o = given;
  TrainTranslationResult result;
  std::unique_ptr<models::FsRwkv> begin;  // the weights to start from
  std::optional<StartFile> from = ReadStart(o.run);
  if (from) {
    begin = LoadStart(*from, result.start);
    const models::FsRwkvSizes& sizes = begin->config().sizes;
    o.dim = static_cast<int>(sizes.dim);
    o.blocks.assign(sizes.blocks.begin(), sizes.blocks.end());
    o.refinement = sizes.refinement;
  }
  models::FsRwkvConfig config;
  config.sizes.dim = o.dim;
  std::copy(o.blocks.begin(), o.blocks.end(), config.sizes.blocks.begin());
  config.sizes.refinement = o.refinement;
  models::TranslationTrainerOptions trainer = TrainerOptionsOf(o);
  if (from) trainer.start = from->sha256;

  const Split split = FindPairs(o);
  models::ModelCard card = CardOf(o, config.sizes);
  std::vector<models::PairStack> training, validation;
  std::vector<ImageStatistics> statistics;
  TrainingExpectations expectations(card);
  const size_t total = split.training.size() + split.validation.size();
  for (const bool held_out : {false, true}) {
    for (const PairFile& file : held_out ? split.validation : split.training) {
      UpdateOrThrow(progress, Progress::kUnknown,
                    "reading pair " + std::to_string(training.size() + validation.size() + 1) +
                        "/" + std::to_string(total));
      const models::PairCase one = ReadPair(o, file, held_out, progress);
      io::Volume image;  // geometry only, for the statistics
      image.geometry.size = one.size;
      image.geometry.spacing = one.spacing;
      image.geometry.direction = one.direction;
      if (!one.picture && !o.force) {
        expectations.CheckRule(image, one.source, file.source.string(), progress);
        expectations.CheckRule(image, one.target, file.target.string(), progress);
      }
      if (!one.picture && !held_out) {
        statistics.push_back(MeasureImage(image, one.source, card));
        expectations.Add(image, one.source, {});
      }
      (held_out ? validation : training).push_back(models::MakeStack(one, card, o.shared_scale));
    }
  }
  card.expects = expectations.Result();
  card.provenance["data"] = std::to_string(split.training.size()) + " training pairs, " +
                            std::to_string(split.validation.size()) + " validation pairs";
  card.provenance["training_cases"] = Joined(split.training);
  card.provenance["validation_cases"] = Joined(split.validation);
  card.provenance["seed"] = std::to_string(o.run.seed);
  if (!statistics.empty()) {
    for (const auto& [key, text] : TrainingStatistics(statistics)) card.provenance[key] = text;
  }

  models::FsRwkv network(config);
  if (begin) {
    for (const auto& entry : begin->parameters().entries()) {
      network.parameters().Set(entry.name, entry.value);
    }
    for (const std::string& difference : DifferencesOfStart(models::CardOf(from->file), card)) {
      progress.Warn(difference);
    }
    card.provenance["started_from"] = from->sha256;
    card.provenance["start"] = DescribeStart(result.start);
    from.reset();  // the training needs the memory
    begin.reset();
  } else {
    at::Generator generator = at::make_generator<at::CPUGeneratorImpl>(o.run.seed);
    network.Initialise(generator);
  }
  const models::TranslationTrainerResult trained = models::TrainTranslation(
      network, card, std::move(training), validation, trainer, o.run.output, progress);

  result.epochs_done = static_cast<int>(trained.engine.epochs.size());
  result.best_epoch = static_cast<int>(trained.engine.best_epoch);
  if (result.best_epoch > 0) {
    const std::vector<double>& scores = trained.engine.epochs.at(result.best_epoch - 1).scores;
    result.psnr = scores.at(1);
    result.ssim = scores.at(2);
    result.input_psnr = scores.at(3);
    result.input_ssim = scores.at(4);
  }
  if (trained.engine.kept_epoch > 0) result.model = o.run.output / "model.safetensors";
  result.finished = trained.engine.finished;
  result.training_cases = static_cast<int>(split.training.size());
  result.validation_cases = static_cast<int>(split.validation.size());
  result.slices = trained.slices;
  result.slices_per_second = trained.engine.slices_per_second;
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return result;
}

}  // namespace

TrainTranslationResult RunTrainTranslation(const TrainTranslationOptions& options,
                                           Progress& progress) {
  return WithTorchErrors([&] { return TrainOnPairs(options, progress); });
}

}  // namespace avocet::core
