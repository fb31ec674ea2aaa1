// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "io/volume.h"

namespace avocet::io {

// Small tools for headers that are text (NRRD, MetaImage, NumPy). Numbers do not depend on the
// locale.

std::string_view Trim(std::string_view text);
std::string Lower(std::string_view text);
std::vector<std::string> SplitWords(std::string_view text);  // at white space
// The whole of `text` must be the number.
std::optional<int64_t> ParseInteger(std::string_view text);
std::optional<double> ParseNumber(std::string_view text);
// Shortest text that reads back to the same bits.
std::string NumberText(double value);

// Millimetres in a unit of length, by symbol or English word, singular or plural, in any letter
// case: "um", "microns", "Meters", "mm"; nothing for an unknown word.
std::optional<double> UnitInMm(std::string_view unit);

// "slice%03d.raw", 1, 3, 1 -> slice001.raw, slice002.raw, slice003.raw. Only %d with an optional
// zero and width is understood. Empty when the pattern is no such thing, the step is 0 or there
// would be more than 100000 names.
std::vector<std::string> ExpandPattern(const std::string& pattern, int64_t first, int64_t last,
                                       int64_t step);

// The file `name` that the header at `header` points to. It must lie in the header's folder or
// below it: absolute names, "..", and links that lead out are refused with an IoError.
std::filesystem::path ResolveBeside(const std::filesystem::path& header, const std::string& name);

// A header for `avocet info` of a format that needs nothing else of it.
class FieldsHeader final : public SourceHeader {
 public:
  explicit FieldsHeader(std::string format, bool big_endian = false)
      : format_(std::move(format)), big_endian_(big_endian) {}
  std::string FormatName() const override { return format_; }
  bool big_endian() const override { return big_endian_; }
  std::vector<std::pair<std::string, std::string>> Fields() const override { return fields_; }
  void set_big_endian(bool big_endian) { big_endian_ = big_endian; }
  // At most 200 fields of 300 characters; what cannot be printed becomes '?'.
  void Add(std::string_view name, std::string_view value);

 private:
  std::string format_;
  bool big_endian_;
  std::vector<std::pair<std::string, std::string>> fields_;
};

}  // namespace avocet::io
