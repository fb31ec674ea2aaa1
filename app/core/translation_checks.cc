// SPDX-License-Identifier: Apache-2.0
#include "app/core/translation_checks.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <set>

#include "models/predict/slice_layout.h"
#include "models/preprocess/head_mask.h"

namespace avocet::core {
namespace {

// How far quartiles may lie outside those of the training images.
constexpr double kQuartileMargin = 0.12;
// Measured: MR 0.05 to 0.39 (a T1 TSE).
constexpr double kCrowding = 0.5;
// Measured: heads 0.82 to 1, hippocampus crops 0.1, ultrasound pictures 0.05 to 0.45.
constexpr double kDarkRim = 0.2;
constexpr double kDarkRimOfPictures = 0.6;
constexpr size_t kFewestValues = 20;

double Percentile(std::vector<float>& values, double percent) {
  if (values.empty()) return 0;
  const auto at = static_cast<size_t>(percent / 100 * static_cast<double>(values.size() - 1));
  std::nth_element(values.begin(), values.begin() + at, values.end());
  return values[at];
}

void MeasureCrowding(std::vector<float> foreground, ImageStatistics& s) {
  if (foreground.size() < 100) return;
  std::sort(foreground.begin(), foreground.end());
  size_t best = 0, begin = 0;
  for (size_t end = 0; end < foreground.size(); ++end) {
    // A window from v / 1.03 to v * 1.03 about its centre.
    while (foreground[begin] * 1.03f * 1.03f < foreground[end]) ++begin;
    if (end + 1 - begin <= best) continue;
    best = end + 1 - begin;
    s.crowded_value = foreground[begin] * 1.03;
  }
  s.crowding = static_cast<double>(best) / static_cast<double>(foreground.size());
}

// Soft tissue at 1024, where CT that is stored from 0 has it.
bool LooksLikeShiftedCt(const ImageStatistics& s) {
  return s.crowding > 0.25 && s.crowded_value > 970 && s.crowded_value < 1110;
}

double DarkRim(const io::Volume& image, const std::vector<float>& values, double threshold) {
  models::VolumeView view{values.data(), image.geometry.size, image.geometry.spacing,
                          image.geometry.direction};
  const models::SliceLayout layout =
      models::FindSliceLayout(view, models::ChoosePlane(view, "axial"));
  const auto& size = image.geometry.size;
  const int row_axis = layout.axis[1], column_axis = layout.axis[2];
  int64_t dark = 0, count = 0;
  size_t x = 0;
  for (int64_t k = 0; k < size[2]; ++k) {
    for (int64_t j = 0; j < size[1]; ++j) {
      for (int64_t i = 0; i < size[0]; ++i, ++x) {
        const std::array<int64_t, 3> at{i, j, k};
        const bool rim = at[row_axis] == 0 || at[row_axis] == size[row_axis] - 1 ||
                         at[column_axis] == 0 || at[column_axis] == size[column_axis] - 1;
        if (!rim) continue;
        ++count;
        dark += !(values[x] > threshold);  // NaN is dark: it fills what was not measured
      }
    }
  }
  return count == 0 ? 1 : static_cast<double>(dark) / static_cast<double>(count);
}

// Counted up to kFewestValues.
size_t DistinctValues(const std::vector<float>& values) {
  std::set<float> found;
  for (const float v : values) {
    if (std::isfinite(v)) found.insert(v);
    if (found.size() >= kFewestValues) break;
  }
  return found.size();
}

bool IsPicture(const io::Volume& image) {
  if (!image.source) return false;
  const std::string format = image.source->FormatName();
  return format == "PNG" || format == "JPEG" || format == "TIFF";
}

std::string Rounded(double value) { return std::to_string(std::lround(value)); }

std::string Percent(double share) { return Rounded(100 * share) + " %"; }

// Does the card's entry fit? "" or why not.
std::string ContrastRefusal(const ImageStatistics& s, const models::ModelCard& card) {
  const auto entry = card.provenance.find("head_quartiles");
  if (entry == card.provenance.end()) return "";
  double low[3], high[3];
  if (std::sscanf(entry->second.c_str(), "%lf-%lf %lf-%lf %lf-%lf", &low[0], &high[0], &low[1],
                  &high[1], &low[2], &high[2]) != 6) {
    return "";
  }
  static constexpr const char* kNames[3] = {"lower quartile", "median", "upper quartile"};
  for (int q = 0; q < 3; ++q) {
    const double value = s.head_quartiles[q];
    if (value >= low[q] - kQuartileMargin && value <= high[q] + kQuartileMargin) continue;
    char text[240];
    std::snprintf(text, sizeof text,
                  "its contrast is not that of the model's training images (the %s inside the head "
                  "is at %.2f of the intensity range, in training it was %.2f to %.2f); it may be "
                  "another sequence",
                  kNames[q], value, low[q], high[q]);
    return text;
  }
  return "";
}

}  // namespace

ImageStatistics MeasureImage(const io::Volume& image, const std::vector<float>& values,
                             const models::ModelCard& card) {
  ImageStatistics s;
  std::vector<float> finite;
  finite.reserve(values.size());
  for (const float v : values) {
    if (std::isfinite(v)) finite.push_back(v);
  }
  if (finite.empty()) return s;
  const auto [low, high] = std::minmax_element(finite.begin(), finite.end());
  s.lowest = *low;
  s.highest = *high;
  s.constant = static_cast<double>(std::count(finite.begin(), finite.end(), *low)) /
               static_cast<double>(finite.size());
  s.percentile_1 = Percentile(finite, 1);
  s.percentile_99_5 = Percentile(finite, 99.5);
  double lower = s.lowest, upper = s.percentile_99_5;
  if (card.preprocessing.intensity == "percentile") {
    lower = Percentile(finite, card.preprocessing.lower);
    upper = Percentile(finite, card.preprocessing.upper);
  }
  const double otsu = preprocess::OtsuThreshold(values.data(), static_cast<int64_t>(values.size()));
  if (std::isnan(otsu)) return s;
  const double threshold = s.lowest + 0.5 * (otsu - s.lowest);
  finite.erase(std::remove_if(finite.begin(), finite.end(),
                              [&](float v) { return !(v > threshold && v > 0); }),
               finite.end());
  MeasureCrowding(std::move(finite), s);
  s.dark_rim = DarkRim(image, values, s.percentile_1 + 0.1 * (s.percentile_99_5 - s.percentile_1));
  const std::vector<uint8_t> head = preprocess::HeadMask(values.data(), image.geometry.size);
  std::vector<float> inside;
  for (size_t x = 0; x < values.size(); ++x) {
    if (head[x] && std::isfinite(values[x])) inside.push_back(values[x]);
  }
  for (int q = 0; q < 3; ++q) {
    const double v = Percentile(inside, 25.0 * (q + 1));
    s.head_quartiles[q] = upper > lower ? std::clamp((v - lower) / (upper - lower), 0.0, 1.0) : 0;
  }
  return s;
}

std::string TranslationRefusal(const io::Volume& image, const std::vector<float>& values,
                               const models::ModelCard& card, std::vector<std::string>& warnings) {
  const ImageStatistics s = MeasureImage(image, values, card);
  const auto trained = card.provenance.find("constant_share");
  if (trained != card.provenance.end() &&
      s.constant > std::strtod(trained->second.c_str(), nullptr) + 0.2) {
    warnings.push_back(
        Percent(s.constant) +
        " of its voxels have exactly the lowest value (a masked background?), unlike the model's "
        "training images; expect artefacts in the air and at the rim (--head-only keeps the "
        "input outside of the head)");
  }
  const std::string wanted = card.modality.empty() ? "MR" : card.modality;
  if (!image.modality.empty() && image.modality != wanted) {
    return "its header says " + image.modality + ", and the model was made for " + wanted;
  }
  if (wanted == "MR" && s.lowest <= -200 && s.percentile_1 <= -100) {
    return "its values reach down to " + Rounded(s.lowest) +
           ", which is CT (Hounsfield units) or a phase image, not magnitude MR";
  }
  if (wanted == "MR" && s.percentile_1 < -0.6 * s.percentile_99_5) {
    return "its values are as much below 0 as above, like those of a phase or difference image; "
           "magnitude MR is wanted";
  }
  if (DistinctValues(values) < kFewestValues) {
    return "it holds fewer than " + std::to_string(kFewestValues) +
           " different values, like a label map or a mask";
  }
  if (s.dark_rim < (IsPicture(image) ? kDarkRimOfPictures : kDarkRim)) {
    return "only " + Percent(s.dark_rim) +
           " of the rim of its slices is dark, so it is no head in air (a photo, a crop, or "
           "an inverted image?)";
  }
  if (wanted == "MR" && (s.crowding > kCrowding || LooksLikeShiftedCt(s))) {
    return Percent(s.crowding) +
           " of its foreground has nearly the same value, as in CT; MR tissues differ";
  }
  return ContrastRefusal(s, card);
}

std::vector<std::pair<std::string, std::string>> TrainingStatistics(
    const std::vector<ImageStatistics>& of_images) {
  std::string text;
  char part[40];
  double constant = 0;
  for (int q = 0; q < 3; ++q) {
    double low = 1, high = 0;
    for (const ImageStatistics& s : of_images) {
      low = std::min(low, s.head_quartiles[q]);
      high = std::max(high, s.head_quartiles[q]);
      constant = std::max(constant, s.constant);
    }
    std::snprintf(part, sizeof part, "%s%.3f-%.3f", q ? " " : "", low, high);
    text += part;
  }
  std::snprintf(part, sizeof part, "%.3f", constant);
  return {{"head_quartiles", text}, {"constant_share", part}};
}

}  // namespace avocet::core
