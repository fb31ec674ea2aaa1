// SPDX-License-Identifier: Apache-2.0
#include "app/core/text_table.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace avocet::core {
namespace {

std::string Format(const char* format, double value) {
  char text[48];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

// Display width of UTF-8: code points.
size_t Width(const std::string& text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

}  // namespace

std::string TextTable::Text() const {
  std::vector<size_t> width;
  for (const auto& row : rows_) {
    width.resize(std::max(width.size(), row.size()));
    for (size_t c = 0; c < row.size(); ++c) width[c] = std::max(width[c], Width(row[c]));
  }
  std::string text;
  for (const auto& row : rows_) {
    std::string line = "  ";
    for (size_t c = 0; c < row.size(); ++c) {
      const std::string pad(width[c] - Width(row[c]), ' ');
      line += (c ? "  " : "") + (c < left_ ? row[c] + pad : pad + row[c]);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  }
  return text;
}

std::string TextOfValue(double value, const std::string& unit) {
  if (std::isnan(value)) return "-";
  if (std::isinf(value)) return "inf";
  if (std::abs(value) >= 1e7) return Format("%.3g", value);
  if (unit == "1" || unit == "dB") return Format("%.4f", value);
  if (unit == "count") return Format("%.0f", value);
  if (unit == "image" || unit == "image^2") return Format("%.5g", value);
  if (unit == "ml") return Format("%.3f", value);
  return Format("%.2f", value);
}

}  // namespace avocet::core
