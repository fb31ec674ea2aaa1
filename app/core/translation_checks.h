// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <string>
#include <utility>
#include <vector>

#include "io/volume.h"
#include "models/model_card.h"

namespace avocet::core {

// Simple statistics of an image by which a network made for magnitude MR of heads recognises what
// it was not made for. Shares are of voxels; "dark" is below a tenth of the way from the lowest
// value to the 99.5th percentile.
struct ImageStatistics {
  double lowest = 0, highest = 0;
  double percentile_1 = 0, percentile_99_5 = 0;
  // Of the foreground (above half of Otsu's threshold): the largest share that lies within 3 % of
  // one value, and that value. Soft tissues of CT crowd at one value, tissues of MR rarely do.
  double crowding = 0;
  double crowded_value = 0;
  // Of the pixels at the rim of the slices of the acquisition plane that are dark: a head is
  // surrounded by air, a photo and a body part that fills the image are not.
  double dark_rim = 0;
  // Of all voxels that have exactly the lowest value: a masked (skull-stripped) image has many.
  double constant = 0;
  // 25th, 50th and 75th percentile inside the head mask, on the model's intensity scale [0, 1]:
  // which tissue is how bright is the contrast of the sequence.
  std::array<double, 3> head_quartiles{0, 0, 0};
};
ImageStatistics MeasureImage(const io::Volume& image, const std::vector<float>& values,
                             const models::ModelCard& card);

// The part of CheckImage that is translation's own: "" or why the image is no magnitude MR of a
// head. Refused: another modality in the header, CT (by its values), phase and other signed images,
// pictures and crops without dark surroundings, and, where the model's card says what its training
// images had ("head_quartiles" in its provenance), another contrast. Adds to `warnings`.
std::string TranslationRefusal(const io::Volume& image, const std::vector<float>& values,
                               const models::ModelCard& card, std::vector<std::string>& warnings);

// Provenance entries that TranslationRefusal understands, from the statistics of the training
// images: "head_quartiles", lowest and highest of each ("0.21-0.33 0.40-0.52 0.55-0.70"), and
// "constant_share", the largest share of voxels with exactly the lowest value. An image with a
// masked background gets a warning when those of the training had noise there.
std::vector<std::pair<std::string, std::string>> TrainingStatistics(
    const std::vector<ImageStatistics>& of_images);

}  // namespace avocet::core
