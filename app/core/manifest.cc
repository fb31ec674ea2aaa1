// SPDX-License-Identifier: Apache-2.0
#include "app/core/manifest.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <nlohmann/json.hpp>

#include "app/core/version.h"
#include "io/volume_io.h"

namespace avocet::core {
namespace {

using nlohmann::ordered_json;

std::string UtcNow() {
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  gmtime_r(&now, &utc);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc);
  return text;
}

template <typename Value>
ordered_json Object(const std::vector<std::pair<std::string, Value>>& pairs) {
  ordered_json object = ordered_json::object();
  for (const auto& [key, value] : pairs) object[key] = value;
  return object;
}

std::string Dump(const ordered_json& json) {
  // File names need not be UTF-8; a replacement character is better than no manifest.
  return json.dump(2, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace

std::string ToJson(const Manifest& manifest) {
  ordered_json json;
  json["avocet"] = Version();
  json["job"] = manifest.job;
  json["finished"] = UtcNow();
  json["input"] = {{"file", manifest.input.filename().string()}, {"sha256", manifest.input_sha256}};
  if (manifest.input_files > 1) json["input"]["files"] = manifest.input_files;
  if (!manifest.model.empty())
    json["model"] = {{"file", manifest.model.filename().string()},
                     {"name", manifest.model_name},
                     {"sha256", manifest.model_sha256}};
  json["output"] = {{"file", manifest.output.filename().string()},
                    {"sha256", manifest.output_sha256}};
  json["options"] = Object(manifest.options);
  json["protocol"] = Object(manifest.protocol);
  json["device"] = manifest.device;
  json["seconds"] = std::round(manifest.seconds * 1000) / 1000;
  if (!manifest.figures.empty()) json["figures"] = Object(manifest.figures);
  if (manifest.job == "segment") json["volumes_ml"] = ordered_json::object();
  for (const auto& [label, millilitres] : manifest.volumes_ml) {
    json["volumes_ml"][label] = std::round(millilitres * 1e4) / 1e4;
  }
  if (!manifest.implausible.empty()) json["implausible"] = ordered_json::array();
  for (const ImplausibleVolume& each : manifest.implausible) {
    const auto end = [](double ml) {
      return std::isfinite(ml) ? ordered_json(ml) : ordered_json(nullptr);
    };
    json["implausible"].push_back(
        {{"label", each.label},
         {"value", each.value},
         {"volume_ml", std::round(each.ml * 1e4) / 1e4},
         {"expected_ml", {end(each.range.lowest), end(each.range.highest)}}});
  }
  if (!manifest.overridden.empty()) json["refusal_overridden"] = manifest.overridden;
  json["warnings"] = manifest.warnings;
  json["notice"] = "Research use, not for diagnosis";
  return Dump(json);
}

ManifestDoubts DoubtsOf(const std::string& manifest_json) {
  ManifestDoubts doubts;
  const auto json = nlohmann::json::parse(manifest_json, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return doubts;
  const auto text = [](const nlohmann::json& object, const char* key) {
    const auto found = object.find(key);
    return found != object.end() && found->is_string() ? found->get<std::string>() : "";
  };
  doubts.overridden = text(json, "refusal_overridden");
  const auto list = json.find("implausible");
  if (list == json.end() || !list->is_array()) return doubts;
  for (const auto& each : *list) {
    if (!each.is_object()) continue;
    const auto ml = each.find("volume_ml");
    const auto range = each.find("expected_ml");
    if (ml == each.end() || !ml->is_number()) continue;
    models::Interval expected;
    if (range != each.end() && range->is_array() && range->size() == 2) {
      if ((*range)[0].is_number()) expected.lowest = (*range)[0];
      if ((*range)[1].is_number()) expected.highest = (*range)[1];
    }
    char volume[32];
    std::snprintf(volume, sizeof volume, "%.4g", ml->get<double>());
    doubts.implausible.push_back(text(each, "label") + ": " + volume + " ml, expected " +
                                 IntervalText(expected) + " ml");
  }
  return doubts;
}

std::string LabelsJson(const std::vector<models::LabelInfo>& labels) {
  ordered_json json;
  json["labels"] = ordered_json::array();
  for (const models::LabelInfo& label : labels) {
    json["labels"].push_back(
        {{"value", label.value}, {"name", label.name}, {"colour", label.colour}});
  }
  return Dump(json);
}

std::string LabelsItkSnap(const std::vector<models::LabelInfo>& labels) {
  std::string text = "# IDX   -R-  -G-  -B-  -A--  VIS MSH  LABEL\n";
  for (const models::LabelInfo& label : labels) {
    std::string name = label.name;
    std::replace(name.begin(), name.end(), '"', '\'');
    const int shown = label.value != 0;  // ITK-SNAP's label 0 is the clear label
    char line[96];
    std::snprintf(line, sizeof line, "%5d  %4d %4d %4d  %4d  %3d %3d  \"", label.value,
                  label.colour[0], label.colour[1], label.colour[2], shown, shown, shown);
    text += line + (shown ? name : "Clear Label") + "\"\n";
  }
  return text;
}

std::filesystem::path Beside(const std::filesystem::path& volume, const std::string& ending) {
  return volume.parent_path() / (io::StemOf(volume) + ending);
}

}  // namespace avocet::core
