// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
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
  double weight_decay = 1e-3;
  double ce_weight = 0.5;           // loss = ce_weight * CE + (1 - ce_weight) * Dice
  std::string schedule = "cosine";  // "cosine", "poly", "synapse-official", ...
  std::string plane = "axial";
  double pixel_mm = 0;  // 0 = native pixels
  int context = 0;      // 1: neighbours as channels (2.5-D)
  std::string intensity = "percentile";
  std::vector<std::string> validation;  // case names; empty = every `validation_every`-th case
  double validation_fraction = 0.1;
  uint64_t seed = 1234;
  bool resume = false;                // continue from output/last.ckpt
  double max_minutes = 0;             // > 0: stop cleanly, resumable
  std::string precision = "float32";  // "float32" or "bfloat16" (autocast)
  double ema = 0;                     // > 0: exponential moving average of weights is validated
  DeviceRequest device;

  std::string Check() const;
};

struct TrainResult {
  int epochs_done = 0;
  double best_dice = 0;  // mean over validation cases and foreground classes
  std::filesystem::path model;
  bool finished = false;  // false when stopped by max_minutes
};

}  // namespace avocet::core
