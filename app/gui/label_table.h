// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace avocet::gui {

struct LabelEntry {
  std::string name;
  std::array<uint8_t, 3> colour{255, 255, 255};  // sRGB
  bool visible = true;
  double surface_opacity = 1;  // in the 3D view
  int64_t voxels = 0;
  double volume_ml = 0;
};

// Label values other than 0 and what they mean, by rising value.
using LabelTable = std::map<int, LabelEntry>;

// A fixed, colour-blind-safe sequence for the first 12 labels, then hues from a hash.
std::array<uint8_t, 3> DefaultLabelColour(int value);

// Counts voxels and computes volumes; values that occur and have no entry get one ("Label 7").
// Entries that do not occur stay, with volume 0. `voxel_ml` is one voxel's volume.
void CountLabels(const std::vector<uint16_t>& labels, double voxel_ml, LabelTable& table);

// Colours by label value for drawing, 0xffRRGGBB; 0 for hidden and missing values. Its size is the
// highest value + 1.
std::vector<uint32_t> DrawingColours(const LabelTable& table);

}  // namespace avocet::gui
