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
  // "" or a clause saying why the image should not be given to the model, and what to do. The user
  // may insist; each front end says how.
  std::string refusal;
  std::vector<std::string> warnings;  // sentences for the user
  // The values are scaled already: the card's intensity rule must be left out (CardFor).
  bool as_stored = false;
};

// What is known of an image beside the file that a job reads: a copy in another format does not say
// all that its original said.
struct KnownOfImage {
  std::string modality;  // "" when nothing is
  io::Assumptions assumed;

  void AddTo(io::Volume& image) const;
};

// Does a model, by its card, suit an image? Looks at the values (real, i fastest) of a
// one-component, one-frame volume. The same for segmentation and translation, for the command line
// and the window. Refused: volumes in which all voxels are equal; label maps (LooksLikeLabelMap);
// another modality than the card's, by the header or by what CT values look like; values that the
// intensity rule is not made for (FitIntensity); what is not as the card expects
// (ExpectationRefusal); for translation also what is no head (TranslationRefusal). Warned about:
// values that are not finite, values that are scaled already.
ImageCheck CheckImage(const io::Volume& image, const std::vector<float>& values,
                      const models::ModelCard& card);

// The card as it applies to an image with this result of CheckImage.
models::ModelCard CardFor(const models::ModelCard& card, bool as_stored);

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
