// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "app/core/train.h"

namespace avocet::core {

// Trains a translation network on registered pairs: `avocet train --task translation`.
struct TrainTranslationOptions {
  // data, output, epochs, batch, learning rate and other settings of the run, plane, validation
  // names and fraction, seed, device; the published recipe's values unless asked otherwise. What
  // only segmentation has is not used.
  TrainOptions run;
  std::filesystem::path source_folder;  // "" = DATA/source
  std::filesystem::path target_folder;  // "" = DATA/target
  // Published pairing files; "" = namesakes in the two folders, split by run.validation.
  std::filesystem::path pairs, validation_pairs;
  // "" or a model whose weights the training starts from; its sizes are used then, not those below.
  std::filesystem::path init;
  int dim = 48;
  std::vector<int> blocks{4, 6, 6, 8};
  int refinement = 4;
  int image_size = 256;       // side of the training pictures
  bool crops = false;         // random windows of that size, not whole slices resized to it
  int slices_per_epoch = 0;   // drawn anew each epoch; 0 = all
  int validation_slices = 0;  // of each case; 0 = all
  double ssim_weight = 0.4;
  double edge_weight = 0.3;
  std::string ssim_border = "full";  // "full" or "crop"
  // Source and target have the same units (simulated pairs): scaled by the source's percentiles.
  bool shared_scale = false;
  std::vector<double> percentiles{0, 99.5};
  bool force = false;  // train on pairs that seem not registered

  // The published recipe (shared/spec/fs_rwkv.md 11).
  TrainTranslationOptions();

  std::string Check() const;
};

struct TrainTranslationResult {
  int epochs_done = 0;
  int best_epoch = 0;
  double psnr = 0, ssim = 0, input_psnr = 0, input_ssim = 0;  // of the kept state
  std::filesystem::path model;
  bool finished = false;
  int training_cases = 0;
  int validation_cases = 0;
  int64_t slices = 0;
  double slices_per_second = 0;
  double seconds = 0;
};

}  // namespace avocet::core
