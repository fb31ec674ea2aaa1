// SPDX-License-Identifier: Apache-2.0
// Free of LibTorch, so that the command line is checked before the engine is loaded.
#include "app/core/train_translation.h"

namespace avocet::core {

TrainRunOptions TrainTranslationOptions::PublishedRun() {
  TrainRunOptions run;
  run.epochs = 200;
  run.batch = 4;
  run.learning_rate = 2e-4;
  run.warmup_epochs = 0;
  run.weight_decay = 1e-2;
  run.decay_everything = true;
  run.clip = 0;
  run.schedule = "fs-rwkv";
  run.augmentation = "fs-rwkv/unc";
  run.seed = 3407;
  return run;
}

std::string TrainTranslationOptions::Check() const {
  if (std::string wrong = run.Check(); !wrong.empty()) return wrong;
  if (dim < 8 || dim % 8 != 0) {
    return "--dim is " + std::to_string(dim) + "; it must be a multiple of 8";
  }
  if (blocks.size() != 4) return "--blocks takes four numbers";
  for (const int count : blocks) {
    if (count < 1 || count > 64) return "--blocks must be between 1 and 64";
  }
  if (refinement < 1 || refinement > 64) return "--refinement must be between 1 and 64";
  if (image_size < 16 || image_size > 2048 || image_size % 8 != 0) {
    return "--image-size is " + std::to_string(image_size) +
           "; it must be a multiple of 8 from 16 to 2048";
  }
  if (slices_per_epoch < 0) return "--slices-per-epoch must be 0 (all) or more";
  if (validation_slices < 0) return "--validation-slices must be 0 (all) or more";
  if (!(ssim_weight >= 0) || !(edge_weight >= 0)) return "weights of losses must be 0 or more";
  if (ssim_border != "full" && ssim_border != "crop") {
    return "--ssim-border is '" + ssim_border + "'; it must be full or crop";
  }
  if (percentiles.size() != 2 ||
      !(percentiles[0] >= 0 && percentiles[0] < percentiles[1] && percentiles[1] <= 100)) {
    return "--percentiles takes two numbers from 0 to 100, the first smaller";
  }
  if (!validation_pairs.empty() && pairs.empty()) return "--validation-pairs needs --pairs";
  return "";
}

}  // namespace avocet::core
