// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

namespace avocet::models {

// Learning rates as a function of the step alone, so that resuming needs no state.
//
// "cosine": linear warm-up, then base * floor..1 * half cosine down to `floor * base` at the last
//   step. "poly": warm-up, then base * (1 - k/N)^0.9. "constant": warm-up, then base.
// "cosine-epoch": base * (1 + cos(pi e / E)) / 2 in epoch e (the Synapse release after its fix).
// "synapse-official": the rate that results from the two schedulers which overwrite each other in
//   the published training script (shared/spec/rwkv_unet.md 15.3).
// "acdc-official": cosine of period floor(3 E / 4) stepped every iteration, floor 1e-6 (15.4).
// "acdc-release": the same with period E and floor 0.
// "fs-rwkv": half cosine over epochs down to 1e-6 (shared/spec/fs_rwkv.md 11).
struct ScheduleOptions {
  std::string name = "cosine";
  double base = 1e-3;
  int64_t epochs = 30;
  int64_t steps_per_epoch = 1;
  int64_t warmup_steps = 0;  // for "cosine", "poly", "constant"
  double floor = 0.01;       // of base, for "cosine"

  int64_t TotalSteps() const { return epochs * steps_per_epoch; }
  std::string Check() const;
  static bool IsKnown(const std::string& name);
};

// Rate used at optimiser step `step` (0-based, over the whole training).
double LearningRate(const ScheduleOptions& options, int64_t step);

}  // namespace avocet::models
