// SPDX-License-Identifier: Apache-2.0
#include "io/header_text.h"

#include <algorithm>
#include <cctype>
#include <charconv>

#include "app/base/error.h"

namespace avocet::io {
namespace fs = std::filesystem;

std::string_view Trim(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n\v\f";
  const size_t begin = text.find_first_not_of(kSpace);
  if (begin == text.npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
}

std::string Lower(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return std::tolower(c); });
  return lower;
}

std::vector<std::string> SplitWords(std::string_view text) {
  std::vector<std::string> words;
  size_t at = 0;
  while (at < text.size()) {
    const auto is_space = [&](size_t i) {
      return std::isspace(static_cast<unsigned char>(text[i])) != 0;
    };
    while (at < text.size() && is_space(at)) ++at;
    const size_t begin = at;
    while (at < text.size() && !is_space(at)) ++at;
    if (at > begin) words.emplace_back(text.substr(begin, at - begin));
  }
  return words;
}

namespace {

template <typename T>
std::optional<T> Parse(std::string_view text) {
  text = Trim(text);
  if (text.size() > 1 && text[0] == '+' && text[1] != '-') text.remove_prefix(1);
  T value{};
  const auto result = std::from_chars(text.data(), text.data() + text.size(), value);
  if (result.ec != std::errc() || result.ptr != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

std::optional<int64_t> ParseInteger(std::string_view text) { return Parse<int64_t>(text); }
std::optional<double> ParseNumber(std::string_view text) { return Parse<double>(text); }

std::optional<double> UnitInMm(std::string_view unit) {
  struct Unit {
    std::string_view word;
    double mm;
  };
  static constexpr Unit kUnits[] = {{"mm", 1},        {"millimeter", 1},    {"millimetre", 1},
                                    {"cm", 10},       {"centimeter", 10},   {"centimetre", 10},
                                    {"dm", 100},      {"decimeter", 100},   {"decimetre", 100},
                                    {"m", 1000},      {"meter", 1000},      {"metre", 1000},
                                    {"um", 1e-3},     {"\xc2\xb5m", 1e-3},  {"\xce\xbcm", 1e-3},
                                    {"micron", 1e-3}, {"micrometer", 1e-3}, {"micrometre", 1e-3},
                                    {"nm", 1e-6},     {"nanometer", 1e-6},  {"nanometre", 1e-6},
                                    {"in", 25.4},     {"inch", 25.4}};
  std::string word = Lower(Trim(unit));
  for (int plural = 0; plural < 2; ++plural) {
    for (const Unit& known : kUnits) {
      if (word == known.word) return known.mm;
    }
    if (word == "inches") return 25.4;
    if (word.size() < 5 || word.back() != 's') break;
    word.pop_back();
  }
  return std::nullopt;
}

std::string NumberText(double value) {
  char text[40];
  const auto result = std::to_chars(text, text + sizeof text, value + 0.0);  // no "-0"
  return std::string(text, result.ptr);
}

std::vector<std::string> ExpandPattern(const std::string& pattern, int64_t first, int64_t last,
                                       int64_t step) {
  const size_t percent = pattern.find('%');
  if (percent == pattern.npos || step == 0) return {};
  size_t at = percent + 1;
  const bool zeros = at < pattern.size() && pattern[at] == '0';
  size_t width = 0;
  while (at < pattern.size() && std::isdigit(static_cast<unsigned char>(pattern[at]))) {
    width = width * 10 + static_cast<size_t>(pattern[at++] - '0');
    if (width > 20) return {};
  }
  if (at >= pattern.size() || pattern[at] != 'd') return {};
  const std::string head = pattern.substr(0, percent);
  const std::string tail = pattern.substr(at + 1);
  if (tail.find('%') != tail.npos) return {};
  std::vector<std::string> names;
  // The limits are small, so that the sums below cannot overflow.
  constexpr int64_t kLimit = int64_t{1} << 40;
  if (std::abs(first) > kLimit || std::abs(last) > kLimit || std::abs(step) > kLimit) return {};
  for (int64_t i = first; step > 0 ? i <= last : i >= last; i += step) {
    if (names.size() >= 100000) return {};
    std::string number = std::to_string(i);
    if (number.size() < width) number.insert(0, width - number.size(), zeros ? '0' : ' ');
    names.push_back(head + number + tail);
  }
  return names;
}

fs::path ResolveBeside(const fs::path& header, const std::string& name) {
  const auto refuse = [&](const std::string& why) {
    throw IoError("cannot read '" + header.string() + "': its voxels are said to be in '" +
                  name.substr(0, 200) + "', " + why +
                  "; put the voxel file beside the header and write its bare name there");
  };
  const fs::path relative(name);
  if (name.empty() || name.find('\0') != name.npos) refuse("which is no file name");
  if (relative.is_absolute() || name[0] == '~' || name.find(":\\") != name.npos) {
    refuse("an absolute path, which is not followed");
  }
  for (const fs::path& part : relative) {
    if (part == "..") refuse("which climbs out of the header's folder and is not followed");
  }
  const fs::path folder = header.has_parent_path() ? header.parent_path() : fs::path(".");
  std::error_code error;
  const fs::path real_folder = fs::canonical(folder, error);
  if (error) refuse("whose folder cannot be opened");
  const fs::path real_file = fs::canonical(folder / relative, error);
  if (error) refuse("which is not there");
  const auto inside =
      std::mismatch(real_folder.begin(), real_folder.end(), real_file.begin(), real_file.end());
  if (inside.first != real_folder.end()) {
    refuse("a link that leads out of the header's folder and is not followed");
  }
  if (fs::equivalent(real_file, header, error)) refuse("the header itself");
  return folder / relative;
}

void FieldsHeader::Add(std::string_view name, std::string_view value) {
  if (fields_.size() >= 200) return;
  const auto printable = [](std::string_view text, size_t limit) {
    std::string clean(text.substr(0, limit));
    for (char& c : clean) {
      if (static_cast<unsigned char>(c) < 32 || c == 127) c = '?';
    }
    return clean + (text.size() > limit ? "..." : "");
  };
  fields_.emplace_back(printable(name, 100), printable(value, 300));
}

}  // namespace avocet::io
