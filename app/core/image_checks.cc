// SPDX-License-Identifier: Apache-2.0
#include "app/core/image_checks.h"

#include <algorithm>
#include <cmath>

#include "app/base/error.h"
#include "app/core/expectation_checks.h"
#include "app/core/intensity_fit.h"
#include "app/core/machine.h"
#include "app/core/translation_checks.h"
#include "app/core/value_facts.h"
#include "models/predict/slice_layout.h"

namespace avocet::core {

void RequireGreyVolume(const io::Volume& image, const std::string& name, const std::string& verb) {
  if (image.components != 1) {
    throw IoError("'" + name + "' has " + std::to_string(image.components) +
                  " values per voxel (a colour picture?); give an image of one grey value to " +
                  verb);
  }
  if (image.frames != 1) {
    throw IoError("'" + name + "' holds " + std::to_string(image.frames) +
                  " volumes (4D); extract the one to " + verb);
  }
  if (image.geometry.VoxelCount() == 0) throw IoError("'" + name + "' has no voxels");
}

void RequireMemory(double bytes, const std::string& name, const std::string& advice) {
  const auto available = static_cast<double>(AvailableMemoryBytes());
  if (available <= 0 || bytes <= available) return;
  throw IoError("'" + name + "' would need about " + std::to_string(std::lround(bytes / 1e6)) +
                " MB of memory, and " + std::to_string(std::lround(available / 1e6)) +
                " MB are free; close other programs" + (advice.empty() ? "" : " or " + advice) +
                ", or try with --force");
}

bool LooksLikeLabelMap(const std::vector<float>& values, const std::array<int64_t, 3>& size) {
  constexpr size_t kMostLabels = 600;
  std::vector<int64_t> voxels(65536);  // of each value
  size_t found = 0;
  for (const float value : values) {
    if (!(value >= 0 && value <= 65535) || value != std::floor(value)) return false;
    if (voxels[static_cast<size_t>(value)]++ == 0 && ++found > kMostLabels) return false;
  }
  // Besides 0, the value of padding or of slices that were not filled says nothing.
  const auto padding =
      static_cast<float>(std::max_element(voxels.begin() + 1, voxels.end()) - voxels.begin());
  // Of the neighbours along i of which one at least is foreground, how many are equal? Measured:
  // label maps of 2 to 200 structures 0.7 to 0.97, 8-bit images below 0.4.
  int64_t pairs = 0;
  int64_t equal = 0;
  const int64_t rows = size[1] * size[2];
  for (int64_t row = 0; row < rows; ++row) {
    const float* line = values.data() + row * size[0];
    for (int64_t i = 1; i < size[0]; ++i) {
      if ((line[i] == 0 || line[i] == padding) && (line[i - 1] == 0 || line[i - 1] == padding)) {
        continue;
      }
      ++pairs;
      equal += line[i] == line[i - 1];
    }
  }
  return found <= 4 || (pairs > 0 && equal > 0.55 * pairs);
}

void KnownOfImage::AddTo(io::Volume& image) const {
  if (image.modality.empty()) image.modality = modality;
  image.assumed.orientation |= assumed.orientation;
  image.assumed.in_plane_size |= assumed.in_plane_size;
  image.assumed.slice_distance |= assumed.slice_distance;
}

models::ModelCard CardFor(const models::ModelCard& card, bool as_stored) {
  models::ModelCard used = card;
  if (as_stored) used.preprocessing.intensity = "none";
  return used;
}

namespace {

// "" or why the modality is another one than the card's.
std::string ModalityRefusal(const io::Volume& image, const ValueFacts& facts,
                            const models::ModelCard& card) {
  if (card.modality.empty() || card.modality == "OT") return "";
  if (!image.modality.empty() && image.modality != "OT") {
    if (image.modality == card.modality) return "";
    return "its header says " + image.modality + ", and the model was made for " + card.modality;
  }
  if (card.modality == "CT") return "";  // whether the values are CT's is the intensity rule's part
  // Of resampled MR some voxels undershoot, but few, and little compared with the bright ones.
  const bool hounsfield = facts.lowest <= -200 && facts.percentile_1 <= -100 &&
                          facts.percentile_1 < -0.1 * facts.percentile_99_5;
  const bool padded = facts.padded && facts.padding <= -900 && facts.percentile_1 < -20;
  if (hounsfield || padded) {
    return "its values run from " + RangeText(facts.lowest, facts.highest) +
           ", which is CT (Hounsfield units) or a phase image, and the model was made for " +
           card.modality;
  }
  if (LooksLikeShiftedCt(facts)) {
    return "its values run from " + RangeText(facts.lowest, facts.highest) +
           " with soft tissue near 1024, which is CT stored with 1024 added, and the model was "
           "made for " +
           card.modality;
  }
  return "";
}

}  // namespace

ImageCheck CheckImage(const io::Volume& image, const std::vector<float>& values,
                      const models::ModelCard& card) {
  ImageCheck check;
  const bool translates = card.task == "translation";
  const ValueFacts facts = MeasureValues(values);
  if (facts.not_finite > 0) {
    check.warnings.push_back(std::to_string(facts.not_finite) +
                             " voxels are not finite numbers; they were taken as " +
                             (translates ? "the darkest value" : "0"));
  }
  if (!(facts.highest > facts.lowest)) {
    check.refusal = std::string("all its voxels have the same value, so there is nothing to ") +
                    (translates ? "translate" : "segment");
    return check;
  }
  const IntensityFit fit = FitIntensity(image, facts, card);
  check.as_stored = fit.as_stored;
  if (!fit.note.empty()) check.warnings.push_back(fit.note);
  const std::string plane =
      translates ? models::ChoosePlane({values.data(), image.geometry.size, image.geometry.spacing,
                                        image.geometry.direction},
                                       card.plane)
                 : card.plane;
  const auto next = [&](const auto& reason) {
    if (check.refusal.empty()) check.refusal = reason();
  };
  next([&]() -> std::string {
    if (!LooksLikeLabelMap(values, image.geometry.size)) return "";
    return "it looks like a label map (few whole numbers in homogeneous regions), not like an "
           "image; give the image";
  });
  if (translates) {
    next([&] { return TranslationRefusal(image, values, card, check.warnings); });
  }
  next([&] { return ModalityRefusal(image, facts, card); });
  next([&] { return fit.refusal; });
  next([&] { return ExpectationRefusal(image, values, facts, card, plane); });
  return check;
}

}  // namespace avocet::core
