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
#include "models/training/training_engine.h"
#include "models/training/validation.h"

namespace avocet::models {

struct TrainerOptions : EngineOptions {
  int64_t batch = 24;
  double ce_weight = 0.5;
  double dice_weight = 0.5;
  AugmentationRecipe augmentation;
  double background_share = 1;
  bool keep_last_batch = false;
  int64_t canvas_rows = 0;  // 0 = largest slice rounded up to 16
  int64_t canvas_cols = 0;
  bool bfloat16 = false;          // autocast of the network; the loss stays float32
  int64_t validation_batch = 16;  // does not change the result

  // Everything that changes the result, one "name=value" a line: a resumed training must have the
  // same.
  std::string Fingerprint() const;
};

struct TrainerResult {
  std::vector<EpochRecord> epochs;  // all, those before a resume included
  double best_dice = -1;            // mean over classes; -1 without validation
  int64_t best_epoch = 0;
  bool finished = false;
  int64_t slices = 0;            // in the training cases
  double slices_per_second = 0;  // of training steps in this call
};

// Trains `network` on `training` as RunTraining (training_engine.h) does. The loss has the parts
// "ce" and "dice_loss"; scores of an epoch are the validation Dice of each class and their mean,
// which chooses the best state.
TrainerResult Train(RwkvUnet& network, ModelCard card, const std::vector<TrainingCase>& training,
                    const std::vector<TrainingCase>& validation, const TrainerOptions& options,
                    const std::filesystem::path& output, Progress& progress);

}  // namespace avocet::models
