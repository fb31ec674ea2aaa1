// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "app/core/train.h"

namespace avocet::core {

// Trains a translation network on registered pairs: `avocet train --task translation`.
struct TrainTranslationOptions {
  TrainRunOptions run = PublishedRun();
  std::filesystem::path source_folder;  // "" = DATA/source
  std::filesystem::path target_folder;  // "" = DATA/target
  // Published pairing files; "" = namesakes in the two folders, split by run.validation.
  std::filesystem::path pairs, validation_pairs;
  // Sizes of the network; with run.init those of its model are used instead.
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
  static TrainRunOptions PublishedRun();

  std::string Check() const;
};
inline auto FieldsOf(const TrainTranslationOptions& o) {
  return std::make_tuple(
      Decides("", o.run), ByContent("source", o.source_folder),
      ByContent("target", o.target_folder), ByContent("pairs", o.pairs),
      ByContent("validation-pairs", o.validation_pairs), Decides("dim", o.dim),
      Decides("blocks", o.blocks), Decides("refinement", o.refinement),
      Decides("image-size", o.image_size), Decides("crops", o.crops),
      Decides("slices-per-epoch", o.slices_per_epoch),
      Decides("validation-slices", o.validation_slices), Decides("ssim-weight", o.ssim_weight),
      Decides("edge-weight", o.edge_weight), Decides("ssim-border", o.ssim_border),
      Decides("shared-scale", o.shared_scale), Decides("percentiles", o.percentiles),
      Free("force", o.force));
}

struct TrainTranslationResult {
  int epochs_done = 0;
  int best_epoch = 0;
  double psnr = 0, ssim = 0, input_psnr = 0, input_ssim = 0;  // of the kept state
  std::filesystem::path model;                                // "" when none was written yet
  TrainStart start;
  bool finished = false;
  int training_cases = 0;
  int validation_cases = 0;
  int64_t slices = 0;
  double slices_per_second = 0;
  double seconds = 0;
};

}  // namespace avocet::core
