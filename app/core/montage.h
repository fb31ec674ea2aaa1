// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "io/volume.h"
#include "models/model_card.h"

namespace avocet::core {

// One row of the picture.
struct MontageCase {
  std::string name;
  io::Geometry geometry;
  std::vector<float> image;          // real values, i fastest
  std::vector<uint16_t> prediction;  // label values, same order
  std::vector<uint16_t> reference;   // the same, or empty when there is none
  // Lines beside the row, each with the label value whose colour it takes (0 = grey):
  // {1, "Anterior  Dice 0.912"}.
  std::vector<std::pair<int, std::string>> captions;
};

struct MontageOptions {
  std::string title;
  std::string subtitle;
  std::string footer;
  std::vector<models::LabelInfo> labels;  // with background, as in the model card
  int row_height = 260;                   // pixels of the tallest panel
};

// Draws each case as a row of two sagittal, two coronal and one axial slice through the labels, in
// radiological orientation with letters, pixels square in millimetres, all panels of the picture at
// one scale, cropped around the labels. The prediction is filled, the reference outlined.
// Writes PNG atomically. Throws IoError.
void WriteMontage(const std::vector<MontageCase>& cases, const MontageOptions& options,
                  const std::filesystem::path& path);

}  // namespace avocet::core
