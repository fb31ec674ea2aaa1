// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "models/training/optimizer.h"
#include "models/training/training_engine.h"

namespace avocet::models {

// Where a training stands, apart from tensors.
struct TrainingState {
  int64_t epoch = 0;          // 0-based epoch in progress
  int64_t step_in_epoch = 0;  // steps done in it
  int64_t kept_epoch = 0;     // 1-based epoch of model.safetensors, 0 = not written yet
  double loss_sum = 0, epoch_seconds = 0;
  std::vector<double> part_sums;
  struct Best {
    double value = 0;
    int64_t epoch = 0;
  };
  std::vector<Best> best;  // by selector, empty before the first validation
  std::vector<EpochRecord> epochs;
};

// last.ckpt: weights ("model/"), averaged weights ("ema/"), moments, and the state as JSON.
// `average` may be null. Written atomically.
void SaveTraining(const std::filesystem::path& path, const std::string& fingerprint,
                  const TrainingState& state, const ParameterStore& parameters,
                  const WeightAverage* average, const AdamW& optimizer);

// Fills all arguments in place. Throws ModelError when the file belongs to another training, naming
// the first option that differs.
void LoadTraining(const std::filesystem::path& path, const std::string& fingerprint,
                  TrainingState& state, ParameterStore& parameters, WeightAverage* average,
                  AdamW& optimizer);

// The text of log.csv: epoch, learning rate, loss, its parts, scores, seconds.
std::string LogCsv(const std::vector<EpochRecord>& epochs, const std::vector<std::string>& parts,
                   const std::vector<std::string>& scores);

}  // namespace avocet::models
