// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "app/core/value_facts.h"
#include "io/volume.h"
#include "models/model_card.h"

namespace avocet::core {

// Can a model's intensity rule be applied to these values?
struct IntensityFit {
  // The values are what the rule would have made of them: it must not be applied once more. Stated
  // in `note`. With a refusal: what to do when the user insists.
  bool as_stored = false;
  std::string note;     // "" or one sentence
  std::string refusal;  // "" or a clause: values seen, rule, what to do
};

// Already scaled are the arrays of research sets (HDF5, npz, npy) with values in about [0, 1] for
// the rules that published sets were prepared with: a window (Synapse; cubic resampling may have
// overshot to some -0.15 and 1.25) and minimum to maximum (ACDC, whose slices were scaled with
// their volume). Other files in that range give no hint at what scaled them.
//
// Refused: a window in Hounsfield units on values that cannot be such; a rule that would make
// nearly all voxels equal.
IntensityFit FitIntensity(const io::Volume& image, const ValueFacts& facts,
                          const models::ModelCard& card);

// What a manifest says of the rule when IntensityFit::as_stored.
constexpr const char* kScaledAlready = "as stored: already scaled";

// "window [-125, 275]", "percentiles [0.5, 99.5]".
std::string RuleText(const models::Preprocessing& steps);

// Soft tissue and air lie where CT has them that is stored with 1024 added.
bool LooksLikeShiftedCt(const ValueFacts& facts);

}  // namespace avocet::core
