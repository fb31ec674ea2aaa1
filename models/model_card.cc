// SPDX-License-Identifier: Apache-2.0
#include "models/model_card.h"

#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <set>

#include "app/base/error.h"
#include "models/checkpoint/tensor_file.h"

namespace avocet::models {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kFormat = 1;
constexpr const char* kCardKey = "avocet";

std::string OneOf(const char* key, const std::string& value,
                  std::initializer_list<const char*> allowed) {
  std::string list;
  for (const char* each : allowed) {
    if (value == each) return "";
    list += (list.empty() ? "'" : ", '") + std::string(each) + "'";
  }
  return std::string("'") + key + "' is '" + value + "', it must be one of " + list;
}

std::string CheckLabels(const ModelCard& card) {
  if (card.labels.empty()) {
    return card.task == "segmentation" ? "'labels' is empty, a segmentation model needs its classes"
                                       : "";
  }
  std::set<int> values;
  std::set<std::string> names;
  for (const LabelInfo& label : card.labels) {
    if (label.value < 0 || label.value > 65535) {
      return "label '" + label.name + "' has the value " + std::to_string(label.value) +
             ", it must be in 0 to 65535";
    }
    if (label.name.empty()) return "a label has no name";
    if (!values.insert(label.value).second) {
      return "the label value " + std::to_string(label.value) + " is there twice";
    }
    if (!names.insert(label.name).second) return "the label '" + label.name + "' is there twice";
  }
  return "";
}

std::string CheckPreprocessing(const Preprocessing& p) {
  std::string intensity =
      OneOf("preprocessing.intensity", p.intensity, {"none", "percentile", "zscore", "window"});
  if (!intensity.empty()) return intensity;
  std::string resample =
      OneOf("preprocessing.resample", p.resample, {"transunet", "spacing", "native"});
  if (!resample.empty()) return resample;
  if (!std::isfinite(p.lower) || !std::isfinite(p.upper)) {
    return "'preprocessing.lower' and 'upper' must be finite";
  }
  if (p.intensity == "percentile" && !(p.lower >= 0 && p.lower < p.upper && p.upper <= 100)) {
    return "'preprocessing.lower' and 'upper' must satisfy 0 <= lower < upper <= 100";
  }
  if (p.intensity == "window" && !(p.lower < p.upper)) {
    return "'preprocessing.lower' must be below 'preprocessing.upper'";
  }
  for (const int64_t extent : p.size) {
    if (extent < 1 || extent > 16384) return "'preprocessing.size' must be within 1 to 16384";
  }
  if (!(p.pixel_mm > 0 && p.pixel_mm <= 1000)) {
    return "'preprocessing.pixel_mm' must be above 0 and at most 1000";
  }
  if (p.context != 0 && p.context != 1) return "'preprocessing.context' must be 0 or 1";
  return "";
}

template <typename T>
void ReadOptional(const Json& object, const char* key, T& value) {
  const auto found = object.find(key);
  if (found == object.end()) return;
  try {
    // The library converts numbers silently (1.7 to 1, 300 to 44 as uint8); kinds are checked
    // first.
    if constexpr (std::is_same_v<T, int> || std::is_same_v<T, int64_t>) {
      if (!found->is_number_integer()) throw ModelError("");
      const auto wide = found->template get<int64_t>();
      value = static_cast<T>(wide);
      if (value != wide) throw ModelError("");
    } else {
      value = found->template get<T>();
    }
  } catch (const std::exception&) {
    throw ModelError(std::string("the model card's '") + key + "' has the wrong type");
  }
}

template <typename T>
void ReadRequired(const Json& object, const char* key, T& value) {
  if (!object.contains(key)) throw ModelError(std::string("the model card lacks '") + key + "'");
  ReadOptional(object, key, value);
}

LabelInfo ReadLabel(const Json& json) {
  if (!json.is_object())
    throw ModelError("the model card's 'labels' has an entry that is no object");
  LabelInfo label;
  ReadRequired(json, "value", label.value);
  ReadRequired(json, "name", label.name);
  if (!json.contains("colour")) return label;
  const Json& colour = json["colour"];
  if (!colour.is_array() || colour.size() != 3) {
    throw ModelError("the model card's 'colour' must be three numbers");
  }
  for (size_t i = 0; i < 3; ++i) {
    const int64_t channel = colour[i].is_number_integer() ? colour[i].get<int64_t>() : -1;
    if (channel < 0 || channel > 255) {
      throw ModelError("the model card's 'colour' must be three integers in 0 to 255");
    }
    label.colour[i] = static_cast<uint8_t>(channel);
  }
  return label;
}

Preprocessing ReadPreprocessing(const Json& json) {
  if (!json.is_object()) throw ModelError("the model card's 'preprocessing' is no object");
  Preprocessing p;
  ReadOptional(json, "intensity", p.intensity);
  ReadOptional(json, "lower", p.lower);
  ReadOptional(json, "upper", p.upper);
  ReadOptional(json, "resample", p.resample);
  std::vector<int64_t> size(p.size.begin(), p.size.end());
  ReadOptional(json, "size", size);
  if (size.size() != 2) throw ModelError("the model card's 'size' must be [rows, columns]");
  std::copy(size.begin(), size.end(), p.size.begin());
  ReadOptional(json, "pixel_mm", p.pixel_mm);
  ReadOptional(json, "context", p.context);
  return p;
}

}  // namespace

std::string CheckModelCard(const ModelCard& card) {
  if (card.format != kFormat) return "'format' must be 1";
  if (card.architecture.empty()) return "'architecture' is empty";
  std::string wrong = OneOf("task", card.task, {"segmentation", "translation"});
  if (wrong.empty()) wrong = CheckLabels(card);
  if (wrong.empty() && card.input_channels != 1 && card.input_channels != 3) {
    wrong = "'input_channels' must be 1 or 3";
  }
  if (wrong.empty()) wrong = OneOf("modality", card.modality, {"", "MR", "CT", "US", "OT"});
  if (wrong.empty()) wrong = OneOf("plane", card.plane, {"axial", "coronal", "sagittal"});
  if (wrong.empty()) wrong = OneOf("wkv", card.wkv, {"exact", "official32", "official64"});
  if (wrong.empty()) wrong = OneOf("tta", card.tta, {"", "none", "flip", "flip-rot"});
  if (wrong.empty()) wrong = CheckPreprocessing(card.preprocessing);
  if (wrong.empty() && card.preprocessing.context == 1 && card.input_channels != 3) {
    wrong = "'preprocessing.context' 1 needs 'input_channels' 3";
  }
  return wrong;
}

std::string ToJson(const ModelCard& card) {
  const std::string wrong = CheckModelCard(card);
  if (!wrong.empty()) throw ModelError("the model card cannot be written: " + wrong);
  Json labels = Json::array();
  for (const LabelInfo& label : card.labels) {
    labels.push_back({{"value", label.value}, {"name", label.name}, {"colour", label.colour}});
  }
  const Preprocessing& p = card.preprocessing;
  const Json json = {
      {"format", card.format},
      {"architecture", card.architecture},
      {"variant", card.variant},
      {"task", card.task},
      {"name", card.name},
      {"labels", labels},
      {"input_channels", card.input_channels},
      {"modality", card.modality},
      {"plane", card.plane},
      {"wkv", card.wkv},
      {"preprocessing",
       {{"intensity", p.intensity},
        {"lower", p.lower},
        {"upper", p.upper},
        {"resample", p.resample},
        {"size", p.size},
        {"pixel_mm", p.pixel_mm},
        {"context", p.context}}},
      {"tta", card.tta},
      {"licence", card.licence},
      {"provenance", card.provenance},
  };
  try {
    return json.dump();
  } catch (const Json::exception&) {
    throw ModelError("the model card cannot be written: a text in it is not UTF-8");
  }
}

ModelCard ModelCardFromJson(const std::string& text) {
  const Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) throw ModelError("the model card is not a JSON object");
  ModelCard card;
  ReadRequired(json, "format", card.format);
  if (card.format != kFormat) {
    throw ModelError("the model card has the format " + std::to_string(card.format) +
                     ", this version of Avocet knows 1; use a newer one");
  }
  ReadRequired(json, "architecture", card.architecture);
  ReadOptional(json, "variant", card.variant);
  ReadRequired(json, "task", card.task);
  ReadOptional(json, "name", card.name);
  if (json.contains("labels")) {
    if (!json["labels"].is_array()) throw ModelError("the model card's 'labels' is no list");
    for (const Json& label : json["labels"]) card.labels.push_back(ReadLabel(label));
  }
  ReadOptional(json, "input_channels", card.input_channels);
  ReadOptional(json, "modality", card.modality);
  ReadOptional(json, "plane", card.plane);
  ReadOptional(json, "wkv", card.wkv);
  if (json.contains("preprocessing")) card.preprocessing = ReadPreprocessing(json["preprocessing"]);
  ReadOptional(json, "tta", card.tta);
  ReadOptional(json, "licence", card.licence);
  ReadOptional(json, "provenance", card.provenance);
  const std::string wrong = CheckModelCard(card);
  if (!wrong.empty()) throw ModelError("the model card is wrong: " + wrong);
  return card;
}

ModelCard CardOf(const TensorFile& file) {
  const auto found = file.metadata.find(kCardKey);
  return found == file.metadata.end() ? ModelCard{} : ModelCardFromJson(found->second);
}

void SetCard(TensorFile& file, const ModelCard& card) {
  file.metadata[kCardKey] = ToJson(card);
  file.metadata["format"] = "pt";
}

}  // namespace avocet::models
