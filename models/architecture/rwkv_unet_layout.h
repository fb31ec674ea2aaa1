// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "models/architecture/layout.h"

namespace avocet::models {

// Sizes of one RWKV-UNet variant (spec/rwkv_unet.md 6).
struct RwkvUnetSizes {
  std::string variant;
  std::array<int, 4> depths;      // blocks in stages 1-4
  std::array<int64_t, 4> widths;  // channels of stages 1-4
  std::array<double, 4> ratios;   // expansion of stages 1-4
  static constexpr int64_t kStemWidth = 24;
};
// "T", "S" or "B"; throws ModelError otherwise.
const RwkvUnetSizes& RwkvUnetSizesOf(const std::string& variant);

// The three sets of tensors that a checkpoint may hold: those with influence on the result, the
// release revision (January 2025), and the current one (October 2025).
enum class RwkvUnetLayout { kUsed, kLean, kFull };

// Names and shapes in registration order (spec/rwkv_unet.md 10.2).
std::vector<TensorSpec> RwkvUnetTensors(const std::string& variant, int classes,
                                        RwkvUnetLayout layout);

// Compares a file with RWKV-UNet. Variant and class count are found from the file where they are
// not given; a given one that the file does not have shows as wrong shapes. Throws ModelError when
// the variant is not given and the file fits none.
LayoutReport MatchRwkvUnet(const TensorFile& file, std::optional<std::string> variant = {},
                           std::optional<int> classes = {});

// As above, but nothing when the file fits no variant.
std::optional<LayoutReport> DetectRwkvUnet(const TensorFile& file);

}  // namespace avocet::models
