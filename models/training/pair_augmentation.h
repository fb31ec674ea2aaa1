// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "app/base/field_table.h"
#include "models/training/counter_rng.h"

namespace avocet::models {

// Two pictures of the same place, [rows, cols] each, values in [0, 1].
struct PlanePair {
  int64_t rows = 0, cols = 0;
  std::vector<float> source, target;
  // Values are multiples of 1/255 and stay so: what interpolates rounds, as the published pipeline
  // does, which works on 8-bit pictures.
  bool eight_bit = false;
};

// Chances of the geometry steps, in this order, and of mixing. Both pictures of a pair always get
// the same geometry; intensities are never changed (shared/spec/fs_rwkv.md 9.3, 9.4).
struct PairRecipe {
  std::string name = "none";
  double flip_cols = 0;
  double flip_rows = 0;
  double quarter_turns = 0;  // 0 to 3 of them, counter-clockwise
  double rotation = 0;
  double rotation_degrees = 45;  // uniform in +-, about the centre, bilinear, border reflected
  double transpose = 0;
  // "none"; "official": items whose index is a multiple of 3 (not 0) are always mixed; "random":
  // each item with `mix_chance`.
  std::string mixing = "none";
  double mix_chance = 0;

  // "none"; "fs-rwkv/unc" and "fs-rwkv/bnu" (the published recipe is the same for both data sets);
  // "default": what anatomy allows (mirrored columns), random mixing off. Throws OptionError.
  static PairRecipe ByName(const std::string& name);
};
inline auto FieldsOf(const PairRecipe& r) {
  return std::make_tuple(
      Decides("name", r.name), Decides("flip_cols", r.flip_cols), Decides("flip_rows", r.flip_rows),
      Decides("quarter_turns", r.quarter_turns), Decides("rotation", r.rotation),
      Decides("rotation_degrees", r.rotation_degrees), Decides("transpose", r.transpose),
      Decides("mixing", r.mixing), Decides("mix_chance", r.mix_chance));
}

// Single steps.
void FlipColumns(PlanePair& pair);
void FlipRowsOf(PlanePair& pair);
void TurnQuarters(PlanePair& pair, int turns);  // counter-clockwise
void TransposePair(PlanePair& pair);
void RotatePair(PlanePair& pair, double degrees);  // counter-clockwise, reflect without edge repeat
// Bilinear, half-pixel centres, edges clamped, no antialiasing (OpenCV's INTER_LINEAR).
void ResizePair(PlanePair& pair, int64_t rows, int64_t cols);
// The window at (top, left); beyond the pictures 0.
PlanePair CropPair(const PlanePair& pair, int64_t top, int64_t left, int64_t rows, int64_t cols);

// All geometry steps of the recipe.
void AugmentPair(PlanePair& pair, const PairRecipe& recipe, CounterRng& rng);

// Beta(a, a) by Joehnk's method (1964), for small a.
double DrawBeta(double a, CounterRng& rng);

// lambda * pair + (1 - lambda) * other; sizes must agree.
void MixUp(PlanePair& pair, const PlanePair& other, double lambda);
// Replaces a box of share 1 - lambda about (centre_x, centre_y), clipped to the pictures.
void CutMix(PlanePair& pair, const PlanePair& other, double lambda, double centre_x,
            double centre_y);

}  // namespace avocet::models
