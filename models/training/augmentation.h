// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "app/base/field_table.h"
#include "models/training/counter_rng.h"

namespace avocet::models {

// One training slice: channels (the slice and its neighbours, or one) over a common grid, and the
// class index of every pixel (kIgnoreLabel where there is no supervision).
struct Slice {
  int64_t channels = 1;
  int64_t rows = 0;
  int64_t cols = 0;
  std::vector<float> image;    // [channels, rows, cols]
  std::vector<uint8_t> label;  // [rows, cols]
};

// What is done to a slice before the network sees it. Geometry is one affine map (with an optional
// smooth displacement) through which image and label are sampled once; intensity changes are
// relative to the slice's own range or standard deviation, so they fit any intensity scaling.
struct AugmentationRecipe {
  std::string name = "default";

  // Our geometry. Angles in degrees, translation in pixels, all drawn uniformly from +-value
  // (scales log-uniformly from 1/(1+value) to 1+value).
  double rotation = 0;
  double scale = 0;       // common to both axes
  double anisotropy = 0;  // of the axes against each other
  double shear = 0;       // tangent
  double translation = 0;
  double elastic_chance = 0;
  double elastic_pixels = 0;    // standard deviation of the control points' displacement
  double flip_rows_chance = 0;  // anatomy has sides, so flips happen only when asked for
  double flip_cols_chance = 0;
  double flip_context_chance = 0;  // reverses the order of the channels (slice and neighbours)
  bool geometry = false;           // false: slices are placed at the canvas's top left, unchanged

  // Our intensities: chance of each change, and its extent.
  double gamma_chance = 0;
  double gamma = 0;  // exponent log-uniform in 1/(1+gamma) .. 1+gamma
  double contrast_chance = 0;
  double contrast = 0;    // factor about the mean, 1 +- contrast
  double brightness = 0;  // added, in standard deviations, +-; with contrast_chance
  double noise_chance = 0;
  double noise = 0;  // largest standard deviation, in standard deviations of the slice
  double blur_chance = 0;
  double blur_pixels = 0;  // largest sigma
  double low_resolution_chance = 0;
  double low_resolution = 1;  // largest factor

  // The gates of the published training scripts (shared/spec/rwkv_unet.md 15.5), in their order,
  // with nearest sampling and zeros outside; 0 switches a gate off.
  double official_rot_flip = 0;
  double official_rotation = 0;
  int official_rotation_degrees = 0;    // integer angle uniform in [-d, d - 1]
  bool official_rotation_else = false;  // only when the rot-flip gate did not fire (release)
  double official_brightness = 0;
  double official_crop = 0;

  // "none", "default", "default-strong" (small data sets), "synapse", "acdc" (current revision of
  // the scripts), "synapse-release" (= "acdc-release"). Throws OptionError for other names.
  // The published scripts augment before the resize to the network's size; here slices have
  // their final pixel size already.
  static AugmentationRecipe ByName(const std::string& name);
};
inline auto FieldsOf(const AugmentationRecipe& r) {
  return std::make_tuple(
      Decides("name", r.name), Decides("rotation", r.rotation), Decides("scale", r.scale),
      Decides("anisotropy", r.anisotropy), Decides("shear", r.shear),
      Decides("translation", r.translation), Decides("elastic_chance", r.elastic_chance),
      Decides("elastic_pixels", r.elastic_pixels), Decides("flip_rows_chance", r.flip_rows_chance),
      Decides("flip_cols_chance", r.flip_cols_chance),
      Decides("flip_context_chance", r.flip_context_chance), Decides("geometry", r.geometry),
      Decides("gamma_chance", r.gamma_chance), Decides("gamma", r.gamma),
      Decides("contrast_chance", r.contrast_chance), Decides("contrast", r.contrast),
      Decides("brightness", r.brightness), Decides("noise_chance", r.noise_chance),
      Decides("noise", r.noise), Decides("blur_chance", r.blur_chance),
      Decides("blur_pixels", r.blur_pixels),
      Decides("low_resolution_chance", r.low_resolution_chance),
      Decides("low_resolution", r.low_resolution),
      Decides("official_rot_flip", r.official_rot_flip),
      Decides("official_rotation", r.official_rotation),
      Decides("official_rotation_degrees", r.official_rotation_degrees),
      Decides("official_rotation_else", r.official_rotation_else),
      Decides("official_brightness", r.official_brightness),
      Decides("official_crop", r.official_crop));
}

// Augments `slice` and places it on a canvas: `image` [channels, rows, cols] and `label` [rows,
// cols] are overwritten. Beyond the slice the image repeats its edge and the label is kIgnoreLabel.
// With geometry the slice's centre falls on the canvas's centre; without, corners coincide and what
// does not fit is cut.
void AugmentSlice(const Slice& slice, const AugmentationRecipe& recipe, CounterRng& rng,
                  int64_t canvas_rows, int64_t canvas_cols, float* image, uint8_t* label);

}  // namespace avocet::models
