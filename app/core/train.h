// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "app/base/field_table.h"
#include "app/core/device.h"

namespace avocet::core {

// What a training of any task has. The names in the field tables are those of the options of
// `avocet train`.
struct TrainRunOptions {
  std::filesystem::path data;    // segmentation: holds dataset.json, imagesTr/, labelsTr/
  std::filesystem::path output;  // folder: model.safetensors, last.ckpt, log.csv, ...
  // "", or a checkpoint whose weights the training starts from: a file or the name of a shipped
  // model. A resumed training must be given the same.
  std::filesystem::path init;
  std::string name;  // of the model, for people; "" = the data set's
  int epochs = 30;
  int batch = 24;  // slices
  double learning_rate = 1e-3;
  double warmup_epochs = 1;  // linear; for cosine, poly and constant
  double weight_decay = 1e-3;
  bool decay_everything = false;         // norms, biases and vectors too (the published recipe)
  double clip = 1;                       // largest gradient norm, 0 = none
  double ema = 0;                        // > 0: moving average of the weights, which is validated
  std::string schedule = "cosine";       // models/training/schedule.h
  std::string augmentation = "default";  // models/training/augmentation.h, pair_augmentation.h
  uint64_t seed = 1234;
  std::string plane = "axial";
  std::vector<std::string> validation;  // case names; empty = a seeded fraction
  double validation_fraction = 0.1;
  int validate_every = 1;  // epochs
  bool keep_last = false;  // keep the last state, not the best
  bool resume = false;     // continue from output/last.ckpt
  double max_minutes = 0;  // > 0: stop cleanly, resumable
  double checkpoint_minutes = 5;
  DeviceRequest device;

  // "" when valid, otherwise one sentence saying what is wrong.
  std::string Check() const;
};

// Trains a segmentation network on a folder in the MSD layout: `avocet train`.
struct TrainOptions : TrainRunOptions {
  std::string variant;                   // "T", "S", "B"; "" = that of `init`, else T
  double ce_weight = 0.5;                // loss = ce_weight * CE + (1 - ce_weight) * Dice
  double drop_path = -1;                 // < 0: the variant's own
  std::string flips;                     // letters: r = rows, c = columns, s = slice order
  double background_share = 1;           // of the slices without foreground, per epoch
  double pixel_mm = 0;                   // 0 = native pixels
  int context = 0;                       // 1: neighbours as channels (2.5-D)
  std::string intensity = "percentile";  // "none", "percentile", "zscore", "window"
  std::vector<double> window;            // two numbers, for intensity "window"
  std::vector<int64_t> canvas;           // rows, columns of the training images; empty = largest
  std::string precision = "float32";     // "float32" or "bfloat16" (autocast)

  std::string Check() const;
};

inline auto FieldsOf(const DeviceRequest& d) {
  return std::make_tuple(Free("device", d.text), Free("threads", d.threads),
                         Free("cuda-graph", d.graph));
}
inline auto FieldsOf(const TrainRunOptions& o) {
  return std::make_tuple(
      ByContent("data", o.data), Free("output", o.output), ByContent("init", o.init),
      Free("name", o.name), Decides("epochs", o.epochs), Decides("batch", o.batch),
      Decides("lr", o.learning_rate), Decides("warmup", o.warmup_epochs),
      Decides("weight-decay", o.weight_decay), Decides("decay-everything", o.decay_everything),
      Decides("clip", o.clip), Decides("ema", o.ema), Decides("schedule", o.schedule),
      Decides("augmentation", o.augmentation), Decides("seed", o.seed), Decides("plane", o.plane),
      Decides("validation", o.validation), Decides("validation-fraction", o.validation_fraction),
      Decides("validate-every", o.validate_every), Decides("keep-last", o.keep_last),
      Free("resume", o.resume), Free("max-minutes", o.max_minutes),
      Free("checkpoint-minutes", o.checkpoint_minutes), Free("", o.device));
}
inline auto FieldsOf(const TrainOptions& o) {
  return std::make_tuple(Decides("", static_cast<const TrainRunOptions&>(o)),
                         Decides("variant", o.variant), Decides("ce-weight", o.ce_weight),
                         Decides("drop-path", o.drop_path), Decides("flips", o.flips),
                         Decides("background-share", o.background_share),
                         Decides("pixel-mm", o.pixel_mm), Decides("context", o.context),
                         Decides("intensity", o.intensity), Decides("window", o.window),
                         Decides("canvas", o.canvas), Decides("precision", o.precision));
}

// What became of TrainRunOptions::init.
struct TrainStart {
  std::filesystem::path path;  // "" when the first weights were drawn
  std::string sha256;
  std::string architecture;  // with the variant: "rwkv-unet T"
  bool encoder_only = false;
  int classes = 0;                   // of the file; 0 when it has no class layer
  size_t loaded = 0;                 // tensors
  std::vector<std::string> fresh;    // tensors that are not in the file, or of other classes
  std::vector<std::string> unused;   // in the file, without influence on the result
  std::vector<std::string> unknown;  // in the file, not of this architecture
};

struct TrainResult {
  int epochs_done = 0;
  int best_epoch = 0;
  double best_dice = -1;  // mean over validation cases and foreground classes
  std::vector<std::pair<std::string, double>> best_class_dice;
  std::filesystem::path model;  // "" when none was written yet
  TrainStart start;
  bool finished = false;  // false when stopped by max_minutes
  int training_cases = 0;
  int validation_cases = 0;
  int skipped_cases = 0;  // unreadable or inconsistent pairs
  int64_t slices = 0;
  double slices_per_second = 0;
  double seconds = 0;
};

}  // namespace avocet::core
