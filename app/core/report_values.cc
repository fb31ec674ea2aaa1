// SPDX-License-Identifier: Apache-2.0
#include "app/core/report_values.h"

#include <charconv>
#include <cmath>

namespace avocet::core {

using nlohmann::ordered_json;

ordered_json NumberJson(double value) {
  if (std::isnan(value)) return nullptr;
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  return value;
}

ordered_json SummaryJson(const metrics::ClassSummary& s) {
  return {{"n", s.n},
          {"n_undefined", s.n_undefined},
          {"n_substituted", s.n_substituted},
          {"mean", NumberJson(s.summary.mean)},
          {"std_ddof1", NumberJson(s.summary.std)},
          {"median", NumberJson(s.summary.median)},
          {"quartile1", NumberJson(s.summary.quartile1)},
          {"quartile3", NumberJson(s.summary.quartile3)},
          {"min", NumberJson(s.summary.minimum)},
          {"max", NumberJson(s.summary.maximum)}};
}

std::string CsvField(const std::string& text) {
  if (text.find_first_of(",\"\n\r") == std::string::npos) return text;
  std::string out = "\"";
  for (const char c : text) out += c == '"' ? std::string("\"\"") : std::string(1, c);
  return out + "\"";
}

std::string CsvNumber(double value) {
  if (std::isnan(value)) return "";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  char text[40];
  return {text, std::to_chars(text, text + sizeof text, value).ptr};  // shortest that reads back
}

}  // namespace avocet::core
