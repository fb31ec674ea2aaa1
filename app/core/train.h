// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "app/core/device.h"

namespace avocet::core {

// Trains a segmentation network on a folder in the MSD layout: `avocet train`.
struct TrainOptions {
  std::filesystem::path data;    // holds dataset.json, imagesTr/, labelsTr/
  std::filesystem::path output;  // folder: model.safetensors, last.ckpt, log.csv, ...
  std::string variant = "T";
  int epochs = 30;
  int batch = 24;  // slices
  double learning_rate = 1e-3;
  double warmup_epochs = 1;  // linear; for cosine, poly and constant
  double weight_decay = 1e-3;
  bool decay_everything = false;         // norms, biases and vectors too (the published recipe)
  double clip = 1;                       // largest gradient norm, 0 = none
  double ce_weight = 0.5;                // loss = ce_weight * CE + (1 - ce_weight) * Dice
  std::string schedule = "cosine";       // models/training/schedule.h
  std::string augmentation = "default";  // models/training/augmentation.h
  std::string flips;                     // letters: r = rows, c = columns, s = slice order
  double background_share = 1;           // of the slices without foreground, per epoch
  std::string plane = "axial";
  double pixel_mm = 0;                   // 0 = native pixels
  int context = 0;                       // 1: neighbours as channels (2.5-D)
  std::string intensity = "percentile";  // "none", "percentile", "zscore", "window"
  std::vector<double> window;            // two numbers, for intensity "window"
  std::vector<int64_t> canvas;           // rows, columns of the training images; empty = largest
  double drop_path = -1;                 // < 0: the variant's own
  std::vector<std::string> validation;   // case names; empty = a seeded fraction
  double validation_fraction = 0.1;
  int validate_every = 1;  // epochs
  bool keep_last = false;  // keep the last state, not the best
  uint64_t seed = 1234;
  bool resume = false;     // continue from output/last.ckpt
  double max_minutes = 0;  // > 0: stop cleanly, resumable
  double checkpoint_minutes = 5;
  std::string precision = "float32";  // "float32" or "bfloat16" (autocast)
  double ema = 0;                     // > 0: exponential moving average of weights is validated
  std::string name;                   // of the model, for people; "" = the data set's
  DeviceRequest device;

  // "" when valid, otherwise one sentence saying what is wrong.
  std::string Check() const;
};

struct TrainResult {
  int epochs_done = 0;
  int best_epoch = 0;
  double best_dice = -1;  // mean over validation cases and foreground classes
  std::vector<std::pair<std::string, double>> best_class_dice;
  std::filesystem::path model;
  bool finished = false;  // false when stopped by max_minutes
  int training_cases = 0;
  int validation_cases = 0;
  int skipped_cases = 0;  // unreadable or inconsistent pairs
  int64_t slices = 0;
  double slices_per_second = 0;
  double seconds = 0;
};

}  // namespace avocet::core
