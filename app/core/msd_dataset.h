// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "app/base/progress.h"
#include "models/model_card.h"

namespace avocet::core {

// One image and its label map, by file.
struct MsdPair {
  std::string name;  // file stem of the image, without the nnU-Net channel suffix "_0000"
  std::filesystem::path image;
  std::filesystem::path label;
};

// A folder in the layout of the Medical Segmentation Decathlon: dataset.json, imagesTr/, labelsTr/.
// nnU-Net's dataset.json ("channel_names", labels by name) is understood too.
struct MsdDataset {
  std::filesystem::path folder;
  std::string name;
  std::string licence;
  std::string modality;  // "MR", "CT", or what the file says; "" when absent
  int64_t channels = 1;
  std::vector<models::LabelInfo> labels;  // by rising value; the first is value 0
  std::vector<MsdPair> pairs;             // sorted by name
};

// Reads the description and finds the pairs: those that dataset.json lists, or, when it lists none,
// the files of imagesTr that have a namesake in labelsTr. A listed pair of which a file is missing
// is left out with a warning. Throws IoError when the folder or dataset.json is missing or wrong,
// or when no pair is left.
MsdDataset ReadMsdDataset(const std::filesystem::path& folder, Progress& progress);

// Splits names into training and validation: `wanted` names when given (unknown ones throw
// OptionError), otherwise round(fraction * count) cases, at least one when fraction > 0, drawn by
// `seed`. Returns one flag per pair: true = validation.
std::vector<bool> SplitCases(const std::vector<MsdPair>& pairs,
                             const std::vector<std::string>& wanted, double fraction,
                             uint64_t seed);

}  // namespace avocet::core
