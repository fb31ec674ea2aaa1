// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "io/volume.h"
#include "models/model_card.h"

namespace avocet::core {

// What is wrong with an image before a network sees it.
struct ImageCheck {
  std::string refusal;                // "" or why the image should not be segmented (--force does)
  std::vector<std::string> warnings;  // sentences for the user
};

// Looks at the values (real, i fastest) of a one-component, one-frame volume. Refused: label maps
// (see LooksLikeLabelMap), volumes in which all voxels are equal. Warned about: values that are not
// finite, and a modality other than the model's (from the header or from what HU values look like).
ImageCheck CheckImage(const io::Volume& image, const std::vector<float>& values,
                      const models::ModelCard& card);

// Throws IoError unless the volume has voxels, one value in each and one frame. `verb` ends the
// advice: "segment".
void RequireGreyVolume(const io::Volume& image, const std::string& name, const std::string& verb);

// Throws IoError when `bytes` are more than is free. `advice`: "" or "leave out --x", what else
// would help.
void RequireMemory(double bytes, const std::string& name, const std::string& advice);

// True when the values are those of a label map: non-negative integers, at most 600 different ones,
// that form homogeneous regions. Images with few grey levels have noise, label maps have none.
bool LooksLikeLabelMap(const std::vector<float>& values, const std::array<int64_t, 3>& size);

}  // namespace avocet::core
