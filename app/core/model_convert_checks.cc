// SPDX-License-Identifier: Apache-2.0
#include "app/core/model_convert_checks.h"

namespace avocet::core {

std::string CardOption(const ModelConvertOptions& o) {
  const std::pair<const char*, bool> given[] = {{"--card", !o.card.empty()},
                                                {"--preset", !o.preset.empty()},
                                                {"--name", !o.name.empty()},
                                                {"--labels", !o.labels.empty()},
                                                {"--modality", !o.modality.empty()},
                                                {"--plane", !o.plane.empty()},
                                                {"--wkv", !o.wkv.empty()},
                                                {"--intensity", !o.intensity.empty()},
                                                {"--range", !o.range.empty()},
                                                {"--resample", !o.resample.empty()},
                                                {"--size", !o.size.empty()},
                                                {"--pixel", o.pixel_mm > 0},
                                                {"--channels", o.input_channels > 0},
                                                {"--tta", !o.tta.empty()},
                                                {"--licence", !o.licence.empty()},
                                                {"--provenance", !o.provenance.empty()},
                                                {"--expect-fov", !o.expect_fov.empty()},
                                                {"--expect-voxel", !o.expect_voxel.empty()},
                                                {"--expect-values", !o.expect_values.empty()},
                                                {"--expect-volume", !o.expect_volumes.empty()}};
  for (const auto& [name, is_given] : given) {
    if (is_given) return name;
  }
  return "";
}

std::string OptionWithoutEffect(const ModelConvertOptions& o, const models::ModelCard& card) {
  const models::Preprocessing& p = card.preprocessing;
  const auto sentence = [](const char* option, const std::string& with, const char* needed) {
    return std::string(option) + " has no effect with " + with + ": it is for " + needed +
           "; leave it out";
  };
  const bool bounded = p.intensity == "percentile" || p.intensity == "window";
  if (!o.range.empty() && !bounded) {
    return sentence("--range", "--intensity " + p.intensity, "percentile and window");
  }
  const std::string translation = "a translation model";
  const char* segmentation = "segmentation models";
  if (card.task == "translation") {
    if (!o.resample.empty()) return sentence("--resample", translation, segmentation);
    if (!o.size.empty()) return sentence("--size", translation, segmentation);
    if (o.pixel_mm > 0) return sentence("--pixel", translation, segmentation);
    if (o.input_channels > 0) return sentence("--channels", translation, segmentation);
    if (!o.tta.empty()) return sentence("--tta", translation, segmentation);
    if (!o.expect_volumes.empty()) return sentence("--expect-volume", translation, segmentation);
  }
  const std::string resample = "--resample " + p.resample;
  if (!o.size.empty() && p.resample != "transunet") {
    return sentence("--size", resample, "--resample transunet");
  }
  if (o.pixel_mm > 0 && p.resample != "spacing") {
    return sentence("--pixel", resample, "--resample spacing");
  }
  return "";
}

}  // namespace avocet::core
