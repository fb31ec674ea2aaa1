// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "app/base/progress.h"
#include "models/architecture/layout.h"
#include "models/model_card.h"

namespace avocet::core {

// What `avocet model info` says about a model file.
struct ModelInfo {
  std::filesystem::path path;
  std::string format;  // container
  uint64_t file_bytes = 0;
  size_t tensors = 0;
  uint64_t tensor_bytes = 0;
  std::map<std::string, size_t> types;  // "F32" -> number of tensors
  std::vector<std::string> notes;       // of the reader
  std::vector<std::string> warnings;    // a card that disagrees with the tensors

  std::optional<models::LayoutReport> layout;   // empty: architecture unknown
  models::ModelCard card;                       // empty(): the file has none
  std::map<std::string, std::string> metadata;  // the rest of the metadata

  bool has_decay = false;  // range of all spatial_decay that are used
  double decay_min = 0;
  double decay_max = 0;
  std::vector<std::string> not_finite;  // "name: 3 NaN, 1 infinite", used tensors only

  // "" for a usable network: everything used is there, finite and of the right shape, nothing is
  // unknown, and the card fits. A whole encoder counts as usable (to begin training from).
  std::string problem;
};

// Throws IoError and ModelError as ReadTensorFile does; a model with holes is described, not
// thrown.
ModelInfo DescribeModel(const std::filesystem::path& path);
std::string ToJson(const ModelInfo& info);

// `avocet model convert`: any readable model file to safetensors with a model card.
struct ModelConvertOptions {
  std::filesystem::path input;
  std::filesystem::path output;  // .safetensors; never the input itself
  std::string dtype;             // "" keeps types; "float32", "float16", "bfloat16"
  bool keep_unused = false;      // keep tensors without influence on the result
  bool allow_missing = false;    // convert although tensors are missing or of the wrong shape

  // The card: of this JSON file, else of the input, else a plain one; then the fields below that
  // are set.
  std::filesystem::path card;
  std::string preset;  // "synapse", "acdc": labels and preprocessing as published
  std::string name;
  std::vector<std::string> labels;  // of each class "NAME" or "VALUE=NAME", background first
  std::string modality;
  std::string plane;
  std::string wkv;  // default for official checkpoints: "official32"
  std::string intensity;
  std::vector<double> range;  // {lower, upper} of the intensity rule
  std::string resample;
  std::vector<int64_t> size;  // {rows, columns}
  double pixel_mm = 0;        // 0 = not given
  int input_channels = 0;     // 0 = not given
  std::string tta;
  std::string licence;
  std::vector<std::string> provenance;  // "KEY=VALUE"
  // Of the card's "expects", two numbers each, lower and upper: the field of view and the voxels
  // within the slice in mm, and the values before the intensity rule.
  std::vector<double> expect_fov, expect_voxel, expect_values;
  std::vector<std::string> expect_volumes;  // "VALUE=LOWER:HIGHER" in ml, of a label

  // "" when valid, otherwise one sentence saying what is wrong.
  std::string Check() const;
};

struct ModelConvertResult {
  std::filesystem::path output;
  size_t written = 0;
  std::vector<std::string> dropped;  // names
  uint64_t bytes = 0;
  models::ModelCard card;  // empty() when none was written
};

// Throws ModelError when the network is incomplete (unless allowed), when a value would overflow
// the type asked for, or when the card does not fit the network; OptionError for wrong options.
ModelConvertResult ConvertModel(const ModelConvertOptions& options, Progress& progress);

}  // namespace avocet::core
