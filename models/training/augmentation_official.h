// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "models/training/augmentation.h"

namespace avocet::models {

// The single steps of the published training scripts (shared/spec/rwkv_unet.md 15.5). Image and
// label are sampled by nearest neighbour.
void RotateQuarterTurns(Slice& slice, int turns);  // counter-clockwise
void FlipRows(Slice& slice);                       // reverses the order of the rows
void FlipCols(Slice& slice);
void RotateNearest(Slice& slice, double degrees);  // about the centre, zero outside
// image * (1 + b), then contrast about the new mean; clipped to [0, 1] when the result's maximum is
// at most 1, otherwise to [0, 255].
void ChangeBrightness(Slice& slice, double brightness, double contrast);
// The window of crop_rows x crop_cols at (top, left), enlarged to the slice's size.
void CropAndEnlarge(Slice& slice, int64_t top, int64_t left, int64_t crop_rows, int64_t crop_cols);

bool HasOfficialSteps(const AugmentationRecipe& recipe);
void ApplyOfficialSteps(Slice& slice, const AugmentationRecipe& recipe, CounterRng& rng);

}  // namespace avocet::models
