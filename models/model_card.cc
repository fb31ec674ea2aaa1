// SPDX-License-Identifier: Apache-2.0
#include "models/model_card.h"

#include <algorithm>
#include <charconv>
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

std::string CheckInterval(const std::string& key, const Interval& interval, double least) {
  if (std::isnan(interval.lowest) || std::isnan(interval.highest)) {
    return "'expects." + key + "' has an end that is no number";
  }
  if (!(interval.lowest <= interval.highest)) {
    return "'expects." + key + "' must not end below where it begins";
  }
  if (interval.Stated() && interval.highest < least) {
    return "'expects." + key + "' lies below what is possible";
  }
  return "";
}

std::string CheckExpectations(const ModelCard& card) {
  const Expectations& e = card.expects;
  std::string wrong;
  const auto check = [&](const std::string& key, const Interval& interval, double least) {
    if (wrong.empty()) wrong = CheckInterval(key, interval, least);
  };
  for (const auto& [key, parts] :
       {std::pair("field_of_view_mm", e.field_of_view_mm), std::pair("voxel_mm", e.voxel_mm)}) {
    check(std::string(key) + ".slices", parts.slices, 0);
    check(std::string(key) + ".rows", parts.rows, 0);
    check(std::string(key) + ".columns", parts.columns, 0);
  }
  check("slices", e.slice_count, 1);
  check("values", e.values, -std::numeric_limits<double>::infinity());
  if (wrong.empty() && !(e.correlation.lowest >= 0 && e.correlation.lowest <= 1)) {
    wrong = "'expects.correlation.lowest' must be within 0 to 1";
  }
  if (wrong.empty() && !(e.correlation.distance_mm >= 0 && e.correlation.distance_mm <= 1000)) {
    wrong = "'expects.correlation.distance_mm' must be within 0 to 1000";
  }
  for (const auto& [value, interval] : e.volumes_ml) {
    const std::string key = "volumes_ml." + std::to_string(value);
    check(key, interval, 0);
    const bool known = std::any_of(card.labels.begin() + !card.labels.empty(), card.labels.end(),
                                   [v = value](const LabelInfo& l) { return l.value == v; });
    if (wrong.empty() && !known) wrong = "'expects." + key + "' is for no label of the model";
  }
  return wrong;
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

// [lowest, highest], null for an end that is not stated.
Interval ReadInterval(const Json& json, const std::string& key) {
  const auto wrong = [&] {
    return ModelError("the model card's 'expects." + key +
                      "' must be two numbers, null for one that is not stated");
  };
  if (!json.is_array() || json.size() != 2) throw wrong();
  for (const Json& end : json) {
    if (!end.is_null() && !end.is_number()) throw wrong();
  }
  Interval interval;
  if (!json[0].is_null()) interval.lowest = json[0].get<double>();
  if (!json[1].is_null()) interval.highest = json[1].get<double>();
  return interval;
}

const Json* Part(const Json& json, const std::string& name, const std::string& path) {
  const auto found = json.find(name);
  if (found == json.end()) return nullptr;
  if (!found->is_object()) throw ModelError("the model card's '" + path + name + "' is no object");
  return &*found;
}

SliceIntervals ReadSliceIntervals(const Json& json, const std::string& name) {
  SliceIntervals parts;
  const Json* found = Part(json, name, "expects.");
  if (found == nullptr) return parts;
  const auto read = [&](const char* key, Interval& into) {
    if (found->contains(key)) into = ReadInterval((*found)[key], name + "." + key);
  };
  read("slices", parts.slices);
  read("rows", parts.rows);
  read("columns", parts.columns);
  return parts;
}

Expectations ReadExpectations(const Json& json) {
  Expectations e;
  e.field_of_view_mm = ReadSliceIntervals(json, "field_of_view_mm");
  e.voxel_mm = ReadSliceIntervals(json, "voxel_mm");
  if (json.contains("slices")) e.slice_count = ReadInterval(json["slices"], "slices");
  if (json.contains("values")) e.values = ReadInterval(json["values"], "values");
  if (const Json* part = Part(json, "correlation", "expects.")) {
    ReadOptional(*part, "distance_mm", e.correlation.distance_mm);
    ReadOptional(*part, "lowest", e.correlation.lowest);
  }
  if (const Json* part = Part(json, "volumes_ml", "expects.")) {
    for (const auto& [key, interval] : part->items()) {
      int value = 0;
      const auto [stop, error] = std::from_chars(key.data(), key.data() + key.size(), value);
      if (error != std::errc() || stop != key.data() + key.size()) {
        throw ModelError("the model card's 'expects.volumes_ml' has the key '" + key +
                         "', it must be a label's value");
      }
      e.volumes_ml[value] = ReadInterval(interval, "volumes_ml." + key);
    }
  }
  return e;
}

Json IntervalJson(const Interval& interval) {
  const auto end = [](double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); };
  return Json::array({end(interval.lowest), end(interval.highest)});
}

void AddSliceIntervals(Json& json, const char* name, const SliceIntervals& parts) {
  if (!parts.Stated()) return;
  const auto add = [&](const char* key, const Interval& interval) {
    if (interval.Stated()) json[name][key] = IntervalJson(interval);
  };
  add("slices", parts.slices);
  add("rows", parts.rows);
  add("columns", parts.columns);
}

Json ExpectationsJson(const Expectations& e) {
  Json json = Json::object();
  AddSliceIntervals(json, "field_of_view_mm", e.field_of_view_mm);
  AddSliceIntervals(json, "voxel_mm", e.voxel_mm);
  if (e.slice_count.Stated()) json["slices"] = IntervalJson(e.slice_count);
  if (e.values.Stated()) json["values"] = IntervalJson(e.values);
  if (e.correlation.lowest > 0) {
    json["correlation"] = {{"distance_mm", e.correlation.distance_mm},
                           {"lowest", e.correlation.lowest}};
  }
  for (const auto& [value, interval] : e.volumes_ml) {
    if (interval.Stated()) json["volumes_ml"][std::to_string(value)] = IntervalJson(interval);
  }
  return json;
}

}  // namespace

bool Interval::Stated() const { return std::isfinite(lowest) || std::isfinite(highest); }

bool Expectations::empty() const {
  return !field_of_view_mm.Stated() && !voxel_mm.Stated() && !slice_count.Stated() &&
         !values.Stated() && !(correlation.lowest > 0) &&
         std::none_of(volumes_ml.begin(), volumes_ml.end(),
                      [](const auto& entry) { return entry.second.Stated(); });
}

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
  if (wrong.empty()) wrong = CheckExpectations(card);
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
  Json json = {
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
  if (!card.expects.empty()) json["expects"] = ExpectationsJson(card.expects);
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
  if (const Json* expects = Part(json, "expects", "")) card.expects = ReadExpectations(*expects);
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
