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
};
inline auto FieldsOf(const TrainerOptions& o) {
  return std::make_tuple(
      Decides("", static_cast<const EngineOptions&>(o)), Decides("batch", o.batch),
      Decides("ce_weight", o.ce_weight), Decides("dice_weight", o.dice_weight),
      Decides("augmentation", o.augmentation), Decides("background_share", o.background_share),
      Decides("keep_last_batch", o.keep_last_batch), Decides("canvas_rows", o.canvas_rows),
      Decides("canvas_cols", o.canvas_cols), Decides("bfloat16", o.bfloat16),
      Free("validation_batch", o.validation_batch));
}

struct TrainerResult {
  std::vector<EpochRecord> epochs;  // all, those before a resume included
  double best_dice = -1;            // mean over classes; -1 without validation
  int64_t best_epoch = 0;
  int64_t kept_epoch = 0;  // of model.safetensors; 0 = not written yet
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
