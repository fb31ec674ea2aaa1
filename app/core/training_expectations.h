// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "app/base/progress.h"
#include "io/volume.h"
#include "models/model_card.h"

namespace avocet::core {

// Collects what the training images of a model have in common, for the card that the model gets.
class TrainingExpectations {
 public:
  explicit TrainingExpectations(const models::ModelCard& card) : card_(card) {}

  // Does the card's intensity rule suit the image? Returns true when the values are scaled already
  // and must be used as stored. Throws OptionError when it does not suit.
  bool CheckRule(const io::Volume& image, const std::vector<float>& values, const std::string& name,
                 Progress& progress) const;

  // `voxels[c]` counts the reference labels of class c of the card; empty: there are none.
  void Add(const io::Volume& image, const std::vector<float>& values,
           const std::vector<int64_t>& voxels);

  // Lengths in the slice between 0.7 and 1.4 times those of the training images, across slices up
  // to twice; voxels between half and twice; values, where the rule takes them as they are, a
  // quarter of their range beyond it; the correlation of neighbours down to half; volumes between
  // half and twice those of the references. Lengths only of images that state them.
  models::Expectations Result() const;

 private:
  struct Extreme {
    double lowest = 0, highest = 0;
    bool any = false;

    void Add(double value);
    models::Interval Widened(double down, double up) const;
  };
  const models::ModelCard card_;
  std::array<Extreme, 3> extent_, voxel_;  // slices, rows, columns
  Extreme values_low_, values_high_, correlation_;
  std::vector<Extreme> volume_ml_;  // by class
};

}  // namespace avocet::core
