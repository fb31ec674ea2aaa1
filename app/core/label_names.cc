// SPDX-License-Identifier: Apache-2.0
#include "app/core/label_names.h"

#include <nlohmann/json.hpp>

#include "app/base/error.h"
#include "io/file_util.h"

namespace avocet::core {
namespace {

int LabelValue(const nlohmann::json& value) {
  if (value.is_number_integer()) return value.get<int>();
  if (value.is_array() && !value.empty()) return LabelValue(value.back());
  size_t used = 0;
  const std::string text = value.get<std::string>();
  const int number = std::stoi(text, &used);
  if (used != text.size()) throw std::invalid_argument(text);
  return number;
}

}  // namespace

std::map<int, std::string> ReadLabelNames(const std::filesystem::path& path) {
  const std::string text = io::ReadTextFile(path);
  std::map<int, std::string> names;
  try {
    const auto labels = nlohmann::json::parse(text).at("labels");
    if (labels.is_array()) {
      for (const auto& label : labels) names[LabelValue(label.at("value"))] = label.at("name");
    } else {
      for (const auto& [key, value] : labels.items()) {
        // Decathlon: number -> name; nnU-Net: name -> number or numbers.
        const bool by_value = value.is_string() && !key.empty() &&
                              key.find_first_not_of("0123456789") == std::string::npos;
        if (by_value) {
          names[std::stoi(key)] = value.get<std::string>();
        } else {
          names[LabelValue(value)] = key;
        }
      }
    }
  } catch (const std::exception&) {
    throw IoError(
        path.string() +
        " does not hold label names; expected JSON with \"labels\": {\"1\": \"name\", ...}");
  }
  names.erase(0);
  for (const auto& [value, name] : names)
    if (value < 0 || value > 65535)
      throw IoError(path.string() + " names the label " + std::to_string(value) +
                    "; labels lie between 0 and 65535");
  return names;
}

}  // namespace avocet::core
