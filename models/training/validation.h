// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "models/predict/predictor.h"
#include "models/training/dataset.h"

namespace avocet::models {

// Dice of whole volumes at their own grid, 2|A n B| / (|A| + |B|) per foreground class; a class
// that is in neither counts as 1 (the "standard rule" of shared/spec/rwkv_unet.md 19, row 13).
struct ValidationScore {
  std::vector<std::string> cases;
  std::vector<std::vector<double>> dice;  // [case][class - 1]
  std::vector<double> class_mean;         // over cases
  double mean = 0;                        // over classes of class_mean
};

// Predicts each case by PredictVolume, the path that `avocet segment` takes. `poll` is called after
// each batch and may throw to cancel.
ValidationScore Validate(const LogitsFunction& network, const ModelCard& card,
                         const std::vector<TrainingCase>& cases, int64_t batch,
                         const std::function<void()>& poll);

// Dice per foreground class of two maps of class indices.
std::vector<double> DicePerClass(const std::vector<uint8_t>& predicted,
                                 const std::vector<uint8_t>& reference, int64_t classes);

}  // namespace avocet::models
