// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <map>
#include <string>
#include <vector>

namespace avocet::models {

struct TensorFile;

struct LabelInfo {
  int value = 0;
  std::string name;
  std::array<uint8_t, 3> colour{255, 255, 255};  // sRGB
};

// How a volume becomes network input. Applied in this order: slices of `plane` are taken in the
// volume's own axes (the axis nearest to the plane's normal), intensities scaled, slices resampled
// in-plane, neighbours stacked into channels.
struct Preprocessing {
  // "none": values as stored. "percentile": clip to the [lower, upper] percentiles of the volume,
  // then scale to [0, 1]. "zscore": (x - mean) / std over the volume. "window": clip to [lower,
  // upper] in stored units (HU), scale to [0, 1].
  std::string intensity = "none";
  double lower = 0.5;
  double upper = 99.5;
  // "transunet": SciPy cubic zoom to `size`, labels restored with order 0 (the published protocol).
  // "spacing": resample in-plane to `pixel_mm` (linear), pad to a multiple of 16, logits resampled
  // back. "native": no resampling, pad to a multiple of 16.
  std::string resample = "native";
  std::array<int64_t, 2> size{224, 224};  // rows, columns for "transunet"
  double pixel_mm = 1.0;                  // for "spacing"
  int context = 0;                        // neighbouring slices each side as channels: 0 or 1
};

// From `lowest` to `highest`, both included; an infinite end is not stated.
struct Interval {
  double lowest = -std::numeric_limits<double>::infinity();
  double highest = std::numeric_limits<double>::infinity();

  bool Stated() const;
  bool Holds(double value) const { return value >= lowest && value <= highest; }
};

// One interval for each part of the slices that the network sees (SliceLayout): those of the card's
// plane, or of the array as stored for "transunet".
struct SliceIntervals {
  Interval slices, rows, columns;

  bool Stated() const { return slices.Stated() || rows.Stated() || columns.Stated(); }
};

// What the images that a model was made for have in common. An image outside of it is refused,
// unless the user insists; an implausible volume of the result is a warning. What is not stated is
// not checked, and lengths are not checked where the image does not state its own.
struct Expectations {
  SliceIntervals field_of_view_mm;  // extent: number of voxels times voxel size
  SliceIntervals voxel_mm;
  Interval slice_count;
  // Of the values before the intensity rule: where the 0.5th and 99.5th percentiles lie.
  Interval values;
  // Pearson correlation of voxels `distance_mm` apart along that axis on which it is largest (0:
  // of neighbours) is at least `lowest`; noise has 0. `lowest` 0 = not stated.
  struct {
    double distance_mm = 0;
    double lowest = 0;
  } correlation;
  std::map<int, Interval> volumes_ml;  // by label value; none is stated for the background

  bool empty() const;
};

// What a model file says about itself: the safetensors metadata, one JSON object under the key
// "avocet". Files without it (official checkpoints) get an empty one.
struct ModelCard {
  int format = 1;
  std::string architecture;       // "rwkv-unet", "fs-rwkv"
  std::string variant;            // "T", "S", "B"; FS-RWKV: "dim48-4.6.6.8-r4"
  std::string task;               // "segmentation", "translation"
  std::string name;               // for people
  std::vector<LabelInfo> labels;  // class c of the network is labels[c]; labels[0] is background
  int input_channels = 1;         // 1 (repeated to 3) or 3
  std::string modality;           // "MR", "CT", "" = any
  std::string plane = "axial";    // "axial", "coronal", "sagittal"
  std::string wkv = "exact";      // "exact", "official32", "official64"
  Preprocessing preprocessing;
  Expectations expects;
  // The most test-time averaging that the training prepared the model for: "none", "flip" (mirrored
  // columns), "flip-rot" (and quarter turns); "" = not known.
  std::string tta;
  std::string licence;
  std::map<std::string, std::string> provenance;  // data, recipe, seed, scores, version, date

  bool empty() const { return architecture.empty(); }
};

// JSON text of a card and back. Throws ModelError naming the key that is missing or wrong. Required
// in JSON: "format", "architecture", "task", and "labels" for segmentation; the others have the
// defaults above. Unknown keys are ignored. "expects" holds what is stated, an open end as null:
//   {"field_of_view_mm": {"rows": [200, 600], "columns": [200, 600]},   also "slices"
//    "voxel_mm": {"rows": [0.3, 4], "columns": [0.3, 4], "slices": [null, 10]},
//    "slices": [3, null], "values": [-1100, 4000],
//    "correlation": {"distance_mm": 4, "lowest": 0.3},
//    "volumes_ml": {"5": [600, 3500]}}
std::string ToJson(const ModelCard& card);
ModelCard ModelCardFromJson(const std::string& json);

// "" when every field is within its range, otherwise a clause that names the field.
std::string CheckModelCard(const ModelCard& card);

// The card in a file's metadata (key "avocet"); an empty one when there is none.
ModelCard CardOf(const TensorFile& file);
// Stores the card, and "format": "pt", by which other safetensors readers know whose tensor names
// these are.
void SetCard(TensorFile& file, const ModelCard& card);

}  // namespace avocet::models
