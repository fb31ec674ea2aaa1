// SPDX-License-Identifier: Apache-2.0
#include "io/segment_codes.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <map>
#include <sstream>
#include <vector>

#include "io/resources.h"

namespace avocet::io {
namespace {

using Words = std::vector<std::string>;

std::vector<std::string> Split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::istringstream in(text);
  for (std::string part; std::getline(in, part, separator);) parts.push_back(part);
  return parts;
}

CodedConcept Category(const std::string& letter) {
  if (letter == "M") return {"49755003", "SCT", "Morphologically Abnormal Structure"};
  if (letter == "T") return {"85756007", "SCT", "Tissue"};
  if (letter == "S") return {"91720002", "SCT", "Body Substance"};
  if (letter == "O") return {"260787004", "SCT", "Physical object"};
  return {"123037004", "SCT", "Anatomical Structure"};
}

const std::map<std::string, SegmentMeaning>& Table() {
  static const auto* table = [] {
    auto* made = new std::map<std::string, SegmentMeaning>;
    std::istringstream in(resources::SegmentCodes());
    for (std::string line; std::getline(in, line);) {
      if (line.empty() || line[0] == '#') continue;
      const auto fields = Split(line, '\t');
      if (fields.size() < 7) continue;
      SegmentMeaning meaning;
      meaning.category = Category(fields[1]);
      meaning.type = {fields[2], "SCT", fields[3]};
      for (int c = 0; c < 3; ++c) meaning.rgb[c] = static_cast<uint8_t>(std::stoi(fields[4 + c]));
      meaning.known = true;
      for (const auto& name : Split(fields[0], '|')) made->emplace(name, meaning);
    }
    return made;
  }();
  return *table;
}

// Lower-case words; everything but letters and digits separates.
Words WordsOf(const std::string& name) {
  Words words(1);
  for (const char c : name) {
    if (std::isalnum(static_cast<unsigned char>(c))) {
      words.back() += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    } else if (!words.back().empty()) {
      words.emplace_back();
    }
  }
  if (words.back().empty()) words.pop_back();
  return words;
}

std::string Join(const Words& words) {
  std::string text;
  for (const auto& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

// Fallback colours: hues a golden angle apart, so that neighbouring labels differ.
std::array<uint8_t, 3> ColourOf(int label) {
  const double hue = std::fmod(label * 137.508, 360.0) / 60;
  std::array<uint8_t, 3> rgb{};
  for (int c = 0; c < 3; ++c) {
    const double k = std::fmod(5 - 2 * c + hue + 6, 6);
    rgb[c] = static_cast<uint8_t>(
        std::lround(255 * (0.9 - 0.9 * 0.65 * std::clamp(std::min(k, 4 - k), 0.0, 1.0))));
  }
  return rgb;
}

// sRGB primaries adapted to D50 (Bradford), and the white point of D50.
constexpr double kXyzFromRgb[3][3] = {{0.4360747, 0.3850649, 0.1430804},
                                      {0.2225045, 0.7168786, 0.0606169},
                                      {0.0139322, 0.0971045, 0.7141733}};
constexpr double kRgbFromXyz[3][3] = {{3.1338561, -1.6168667, -0.4906146},
                                      {-0.9787684, 1.9161415, 0.0334540},
                                      {0.0719453, -0.2289914, 1.4052427}};
constexpr double kWhite[3] = {0.96422, 1.0, 0.82521};

uint16_t Encode(double value) {
  return static_cast<uint16_t>(std::clamp(std::lround(value * 65535), 0L, 65535L));
}

}  // namespace

SegmentMeaning MeaningOfLabel(const std::string& name, int label) {
  Words words = WordsOf(name);
  CodedConcept side;
  const auto find = [&]() -> const SegmentMeaning* {
    const auto found = Table().find(Join(words));
    return found == Table().end() ? nullptr : &found->second;
  };
  const SegmentMeaning* meaning = find();  // "left ventricle" is a name of its own
  if (!meaning) {
    Words rest;
    for (const auto& word : words) {
      if (word == "left" || word == "l") {
        side = {"7771000", "SCT", "Left"};
      } else if (word == "right" || word == "r") {
        side = {"24028007", "SCT", "Right"};
      } else {
        rest.push_back(word);
      }
    }
    words = rest;
    meaning = find();
  }
  if (!meaning && words.size() > 1) {
    // "vertebrae L1", "rib 7", "liver segment 3": the organ is the first word.
    const bool numbered = std::any_of(words.begin() + 1, words.end(), [](const std::string& word) {
      return std::any_of(word.begin(), word.end(),
                         [](char c) { return std::isdigit(static_cast<unsigned char>(c)); });
    });
    if (numbered) {
      words.resize(1);
      meaning = find();
    }
  }
  if (meaning) {
    SegmentMeaning result = *meaning;
    result.laterality = side;
    return result;
  }
  SegmentMeaning tissue;
  tissue.category = Category("T");
  tissue.type = {"85756007", "SCT", "Tissue"};
  tissue.rgb = ColourOf(label);
  return tissue;
}

std::array<uint16_t, 3> CielabFromRgb(const std::array<uint8_t, 3>& rgb) {
  double linear[3];
  for (int c = 0; c < 3; ++c) {
    const double v = rgb[c] / 255.0;
    linear[c] = v <= 0.04045 ? v / 12.92 : std::pow((v + 0.055) / 1.055, 2.4);
  }
  double f[3];
  for (int a = 0; a < 3; ++a) {
    double t = 0;
    for (int c = 0; c < 3; ++c) t += kXyzFromRgb[a][c] * linear[c];
    t /= kWhite[a];
    f[a] = t > 216.0 / 24389 ? std::cbrt(t) : (24389.0 / 27 * t + 16) / 116;
  }
  return {Encode((116 * f[1] - 16) / 100), Encode((500 * (f[0] - f[1]) + 128) / 255),
          Encode((200 * (f[1] - f[2]) + 128) / 255)};
}

std::array<uint8_t, 3> RgbFromCielab(const std::array<uint16_t, 3>& cielab) {
  const double lightness = cielab[0] / 65535.0 * 100;
  const double fy = (lightness + 16) / 116;
  const double f[3] = {fy + (cielab[1] / 65535.0 * 255 - 128) / 500, fy,
                       fy - (cielab[2] / 65535.0 * 255 - 128) / 200};
  double xyz[3];
  for (int a = 0; a < 3; ++a) {
    const double cube = f[a] * f[a] * f[a];
    xyz[a] = kWhite[a] * (cube > 216.0 / 24389 ? cube : (116 * f[a] - 16) * 27 / 24389);
  }
  std::array<uint8_t, 3> rgb{};
  for (int c = 0; c < 3; ++c) {
    double v = 0;
    for (int a = 0; a < 3; ++a) v += kRgbFromXyz[c][a] * xyz[a];
    v = std::clamp(v, 0.0, 1.0);
    v = v <= 0.0031308 ? 12.92 * v : 1.055 * std::pow(v, 1 / 2.4) - 0.055;
    rgb[c] = static_cast<uint8_t>(std::clamp(std::lround(255 * v), 0L, 255L));
  }
  return rgb;
}

}  // namespace avocet::io
