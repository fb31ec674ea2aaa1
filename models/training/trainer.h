// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "app/base/progress.h"
#include "models/model_card.h"
#include "models/rwkv_unet/rwkv_unet.h"
#include "models/training/augmentation.h"
#include "models/training/dataset.h"
#include "models/training/schedule.h"
#include "models/training/validation.h"

namespace avocet::models {

struct TrainerOptions {
  int64_t epochs = 30;
  int64_t batch = 24;
  std::string schedule = "cosine";
  double learning_rate = 1e-3;
  double warmup_epochs = 0;
  double weight_decay = 1e-3;
  bool decay_everything = false;  // the published recipe: one parameter group
  double clip = 0;                // > 0: largest L2 norm of all gradients together
  double ce_weight = 0.5;
  double dice_weight = 0.5;
  double ema = 0;  // > 0: decay of the averaged weights, which are validated and kept
  AugmentationRecipe augmentation;
  double background_share = 1;
  bool keep_last_batch = false;
  int64_t canvas_rows = 0;  // 0 = largest slice rounded up to 16
  int64_t canvas_cols = 0;
  bool bfloat16 = false;         // autocast of the network; the loss stays float32
  int64_t validate_every = 1;    // epochs; the last epoch is always validated
  bool keep_last_model = false;  // keep the last state instead of the best (no selection)
  uint64_t seed = 1234;

  // These do not change the result.
  int64_t validation_batch = 16;
  double max_minutes = 0;
  double checkpoint_minutes = 5;
  bool resume = false;

  // Everything above the line, one "name=value" a line: a resumed training must have the same.
  std::string Fingerprint() const;
};

struct EpochRecord {
  int64_t epoch = 0;  // 1-based
  double learning_rate = 0;
  double loss = 0, ce = 0, dice_loss = 0;  // means over the epoch's steps
  std::vector<double> class_dice;          // empty when the epoch was not validated
  double mean_dice = 0;
  double seconds = 0;
};

struct TrainerResult {
  std::vector<EpochRecord> epochs;  // all, those before a resume included
  double best_dice = -1;            // -1 without validation
  int64_t best_epoch = 0;
  bool finished = false;
  int64_t slices = 0;            // in the training cases
  double slices_per_second = 0;  // of training steps in this call
};

// Trains `network` on `training` and writes into `output`:
//   last.ckpt          everything needed to go on (safetensors), after each epoch and every
//                      checkpoint_minutes; the training then continues exactly, mid-epoch included
//   model.safetensors  the best state by mean validation Dice (the last one without validation)
//   log.csv            one line an epoch
//   validation.csv     Dice of each case for the kept model
// Every random decision is a function of (seed, epoch, step or slice). Throws Cancelled after
// writing last.ckpt when `progress` says so; ModelError when the loss is not finite or last.ckpt
// does not belong to these options.
TrainerResult Train(RwkvUnet& network, ModelCard card, const std::vector<TrainingCase>& training,
                    const std::vector<TrainingCase>& validation, const TrainerOptions& options,
                    const std::filesystem::path& output, Progress& progress);

}  // namespace avocet::models
