// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "app/core/value_facts.h"
#include "io/volume.h"
#include "models/model_card.h"

namespace avocet::core {

// Why the image is none of those that the card's "expects" describes: "" or a clause. Lengths that
// the image does not state (Volume::assumed) are not compared. `plane` is that of the slices that
// the network will see; with the "transunet" resampling these are the array's own.
std::string ExpectationRefusal(const io::Volume& image, const std::vector<float>& values,
                               const ValueFacts& facts, const models::ModelCard& card,
                               const std::string& plane);

// A volume of a result outside of what the card holds for plausible.
struct ImplausibleVolume {
  int value = 0;
  std::string label;
  double ml = 0;
  models::Interval range;  // of the card

  std::string Sentence() const;  // "liver: 13.7 ml, expected 600 to 3500 ml; ..."
};

// `volumes_ml`: by label name, as measured. Empty when the image does not state its voxel size,
// which a volume in millilitres needs.
std::vector<ImplausibleVolume> FindImplausible(
    const io::Volume& image, const std::vector<std::pair<std::string, double>>& volumes_ml,
    const models::ModelCard& card);

// "200 to 600", "at most 600", "at least 200".
std::string IntervalText(const models::Interval& interval);

}  // namespace avocet::core
