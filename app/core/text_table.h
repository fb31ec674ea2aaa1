// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace avocet::core {

// Columns padded to equal width (in UTF-8 characters); the first `left` columns are flush left.
class TextTable {
 public:
  explicit TextTable(size_t left) : left_(left) {}
  void Add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  std::string Text() const;

 private:
  size_t left_;
  std::vector<std::vector<std::string>> rows_;
};

// A value with as many decimals as people need of its unit: four for ratios and dB, three for ml,
// two for lengths, none for counts; "-" for NaN.
std::string TextOfValue(double value, const std::string& unit);

}  // namespace avocet::core
