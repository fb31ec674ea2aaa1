// SPDX-License-Identifier: Apache-2.0
#include "app/core/intensity_fit.h"

#include <cmath>
#include <cstdio>

namespace avocet::core {
namespace {

// Scaled to [0, 1], with the overshoot of cubic resampling.
constexpr double kScaledLowest = -0.5, kScaledHighest = 1.5;
// Fat is -100 HU: 199 of 200 voxels of a body part that holds any do not lie above this.
constexpr double kFattyHu = -30;
// Below air; resampling undershoots a little, phase images and inverted ones go far below.
constexpr double kBelowAir = -1200;
// Metal reaches some 30,000 HU, but never in one voxel of 200.
constexpr double kHighestHu = 4000;
// More of an image is never bone, dense bone or contrast medium; of an inverted CT, air is.
constexpr double kMostBright = 0.6, kDenseBone = 600, kMostDense = 0.35;
// The middle 99 % of the values must differ by more than this after scaling to [0, 1].
constexpr double kUniform = 0.02;

bool IsArray(const io::Volume& image) {
  if (!image.source) return false;
  const std::string format = image.source->FormatName();
  return format == "HDF5" || format == "NumPy npz" || format == "NumPy npy";
}

bool InUnitRange(const ValueFacts& facts) {
  return !facts.whole_numbers && facts.lowest >= kScaledLowest && facts.highest <= kScaledHighest &&
         facts.highest > facts.lowest;
}

// Scaling from minimum to maximum reaches both ends exactly, and in few voxels; clipping leaves
// many at one end at least.
bool ScaledMinToMax(const ValueFacts& facts, int64_t voxels) {
  const double few = std::max(3.0, 1e-4 * static_cast<double>(voxels));
  return facts.lowest == 0 && facts.highest == 1 && static_cast<double>(facts.at_highest) <= few &&
         static_cast<double>(facts.at_lowest) <= 0.01 * static_cast<double>(voxels);
}

std::string Text(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.4g", value);
  return text;
}

std::string Seen(const ValueFacts& facts) {
  return "its values run from " + RangeText(facts.lowest, facts.highest);
}

// A window that takes in fat is one in Hounsfield units.
bool WantsHounsfield(const models::ModelCard& card) {
  const models::Preprocessing& p = card.preprocessing;
  return p.intensity == "window" && card.modality != "MR" && card.modality != "US" &&
         p.lower <= kFattyHu && p.upper > kScaledHighest;
}

std::string NotHounsfield(const io::Volume& image, const ValueFacts& facts,
                          const models::ModelCard& card) {
  const std::string rule = RuleText(card.preprocessing) + " is in Hounsfield units";
  if (LooksLikeShiftedCt(facts)) {
    return Seen(facts) +
           " with soft tissue near 1024, as in CT stored with 1024 added, and the "
           "model's " +
           rule + "; subtract 1024 (the rescale intercept) first";
  }
  if (image.modality == "CT") return "";
  const bool padded_as_ct = facts.padded && facts.padding <= -900;
  if (facts.percentile_0_5 > kFattyHu && !padded_as_ct) {
    return Seen(facts) + " with next to none below " + Text(kFattyHu) + ", and the model's " +
           rule + " (air -1000, fat -100); give a CT in Hounsfield units";
  }
  const bool bright = !padded_as_ct && (facts.ShareAbove(card.preprocessing.upper) > kMostBright ||
                                        facts.ShareAbove(kDenseBone) > kMostDense);
  if (facts.percentile_99_5 > kHighestHu || facts.ShareBelow(kBelowAir) > 0.2 || bright) {
    return Seen(facts) + " with a median of " + Text(facts.median) + ", and the model's " + rule +
           " (air -1000, soft tissue 0 to 100); give a CT in Hounsfield units";
  }
  return "";
}

std::string Uniform(const ValueFacts& facts, const models::Preprocessing& p) {
  double lower = p.lower, upper = p.upper;
  if (p.intensity == "percentile") {
    lower = p.lower <= 0 ? facts.lowest : facts.Percentile(p.lower);
    upper = p.upper >= 100 ? facts.highest : facts.Percentile(p.upper);
    if (!(upper > lower)) {  // then the rule takes the whole range
      lower = facts.lowest;
      upper = facts.highest;
    }
  } else if (p.intensity != "window") {
    return "";
  }
  const auto scaled = [&](double v) {
    return (std::min(std::max(v, lower), upper) - lower) / (upper - lower);
  };
  const bool padding_shows = facts.padded && facts.padded_share > 0.005;
  const double from = scaled(padding_shows ? facts.padding : facts.percentile_0_5),
               to = scaled(facts.percentile_99_5);
  if (to - from >= kUniform) return "";
  return Seen(facts) + ", and the model's " + RuleText(p) +
         " would make nearly all voxels equal (" + Text(from) + " to " + Text(to) +
         " of a scale from 0 to 1); give the image in the units that the rule is made for";
}

}  // namespace

std::string RuleText(const models::Preprocessing& p) {
  std::string text = p.intensity == "percentile" ? "percentiles" : p.intensity;
  if (p.intensity == "percentile" || p.intensity == "window") {
    text += " [" + Text(p.lower) + ", " + Text(p.upper) + "]";
  }
  return text;
}

bool LooksLikeShiftedCt(const ValueFacts& facts) {
  if (facts.percentile_0_5 < -60) return false;  // resampling undershoots
  if (facts.highest < 1400 || facts.highest > 70000) return false;
  // Measured on CT of trunks and limbs, and on MR scaled so that its tissues come to lie at 1024:
  // in CT little lies between lung and fat, air is there, and so is some dense bone.
  const double air = facts.ShareBelow(200);
  const double valley = facts.ShareBelow(800) - facts.ShareBelow(450);
  const double soft = facts.ShareAbove(890) - facts.ShareAbove(1174);
  const double bright = facts.ShareAbove(1174);
  return soft > 0.6 * (soft + bright) && soft > 0.03 && air > 0.02 && valley < 0.25 * soft &&
         facts.ShareAbove(1300) > 5e-4;
}

IntensityFit FitIntensity(const io::Volume& image, const ValueFacts& facts,
                          const models::ModelCard& card) {
  IntensityFit fit;
  const models::Preprocessing& p = card.preprocessing;
  const bool window = p.intensity == "window" && p.lower < kScaledHighest &&
                      p.upper > kScaledHighest && p.upper - p.lower > 10;
  const bool min_to_max = p.intensity == "percentile" && p.lower <= 0 && p.upper >= 100;
  if ((window || min_to_max) && InUnitRange(facts)) {
    const bool array = IsArray(image);
    if (array || window) {
      fit.as_stored = true;
      fit.note = "the values (" + RangeText(facts.lowest, facts.highest) +
                 ") are scaled to [0, 1] already: they are used as stored, the model's " +
                 RuleText(p) + " is not applied";
    }
    if (window && array && ScaledMinToMax(facts, image.geometry.VoxelCount())) {
      fit.refusal = Seen(facts) +
                    " and reach both ends in single voxels: scaled from minimum to maximum, not "
                    "by the model's " +
                    RuleText(p) +
                    "; give what was scaled by it, or the "
                    "original values";
    } else if (window && !array) {
      fit.refusal = Seen(facts) +
                    ", so they are scaled already, and it is not known whether by "
                    "the model's " +
                    RuleText(p) + "; give the original values";
    }
    if (fit.as_stored) return fit;
  }
  if (WantsHounsfield(card)) fit.refusal = NotHounsfield(image, facts, card);
  if (fit.refusal.empty()) fit.refusal = Uniform(facts, p);
  return fit;
}

}  // namespace avocet::core
