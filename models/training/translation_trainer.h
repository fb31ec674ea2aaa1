// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "app/base/progress.h"
#include "models/fs_rwkv/fs_rwkv.h"
#include "models/model_card.h"
#include "models/training/pair_dataset.h"
#include "models/training/training_engine.h"
#include "models/training/translation_loss.h"

namespace avocet::models {

struct TranslationTrainerOptions : EngineOptions {
  PairDataset::Options data;
  TranslationLossOptions loss;
  // Slices of each validation case that are scored, evenly spaced among those with content; 0 =
  // all.
  int64_t validation_slices = 0;
};
inline auto FieldsOf(const TranslationTrainerOptions& o) {
  return std::make_tuple(Decides("", static_cast<const EngineOptions&>(o)), Decides("", o.data),
                         Decides("", o.loss), Decides("validation_slices", o.validation_slices));
}

// Means over validation slices.
struct TranslationScore {
  double loss = 0;        // as in training
  double psnr = 0;        // dB, range 1, output clamped to [0, 1]
  double ssim = 0;        // full map, output clamped
  double input_psnr = 0;  // of the source itself
  double input_ssim = 0;
  int64_t slices = 0;
};
struct TranslationCaseScore {
  std::string name;
  TranslationScore score;
};

struct TranslationTrainerResult {
  EngineResult engine;
  int64_t slices = 0;
};

// Trains FS-RWKV on pairs as RunTraining does. Loss parts: smooth_l1, ssim (1 - SSIM), edge. Scores
// of an epoch: val_loss, psnr, ssim, input_psnr, input_ssim. The best SSIM makes model.safetensors,
// the best PSNR best_psnr.safetensors, the least loss best_loss.safetensors.
TranslationTrainerResult TrainTranslation(FsRwkv& network, ModelCard card,
                                          std::vector<PairStack> training,
                                          const std::vector<PairStack>& validation,
                                          const TranslationTrainerOptions& options,
                                          const std::filesystem::path& output, Progress& progress);

// Whole slices, one at a time, in evaluation mode.
std::vector<TranslationCaseScore> ValidateTranslation(const FsRwkv& network,
                                                      const std::vector<PairStack>& cases,
                                                      const TranslationTrainerOptions& options,
                                                      const std::function<void()>& poll);

}  // namespace avocet::models
