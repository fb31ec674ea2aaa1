// SPDX-License-Identifier: Apache-2.0
#include "io/nrrd_header.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>

#include "app/base/error.h"

namespace avocet::io {
namespace fs = std::filesystem;
namespace {

constexpr size_t kLongestLine = size_t{1} << 20;
constexpr size_t kLongestHeader = size_t{16} << 20;

std::string Squeeze(std::string_view name) {
  std::string key = Lower(Trim(name));
  key.erase(std::remove(key.begin(), key.end(), ' '), key.end());
  return key;
}

}  // namespace

void NrrdHeader::Refuse(const std::string& why) const {
  throw IoError("cannot read '" + name_ + "': " + why);
}

const std::string* NrrdHeader::Find(std::initializer_list<const char*> names) const {
  for (const char* name : names) {
    const auto found = fields_.find(name);
    if (found != fields_.end()) return &found->second;
  }
  return nullptr;
}

const std::string& NrrdHeader::Need(const char* name) const {
  const std::string* value = Find({name});
  if (!value) {
    Refuse("its header lacks the field '" + std::string(name) + "'; the header is damaged");
  }
  return *value;
}

int64_t NrrdHeader::Integer(std::initializer_list<const char*> names, int64_t missing) const {
  const std::string* text = Find(names);
  if (!text) return missing;
  const auto value = ParseInteger(*text);
  if (!value) Refuse(std::string("its field '") + *names.begin() + "' is not a number");
  return *value;
}

std::vector<std::optional<double>> NrrdHeader::Numbers(std::initializer_list<const char*> names,
                                                       size_t count) const {
  const std::string* text = Find(names);
  if (!text) return {};
  std::vector<std::optional<double>> numbers;
  for (const std::string& word : SplitWords(*text)) {
    auto value = ParseNumber(word);
    if (!value && word != "none" && word != "???") {
      Refuse(std::string("its field '") + *names.begin() + "' holds something that is no number");
    }
    if (value && !std::isfinite(*value)) value.reset();
    numbers.push_back(value);
  }
  if (numbers.size() != count) {
    Refuse(std::string("its field '") + *names.begin() + "' has " + std::to_string(numbers.size()) +
           " entries for " + std::to_string(count) + " axes; the header is damaged");
  }
  return numbers;
}

std::vector<std::optional<std::vector<double>>> NrrdHeader::Vectors(const std::string& text) const {
  std::vector<std::optional<std::vector<double>>> vectors;
  size_t at = 0;
  while ((at = text.find_first_not_of(" \t", at)) != text.npos) {
    if (text[at] != '(') {
      size_t end = text.find_first_of(" \t(", at);
      if (end == text.npos) end = text.size();
      if (Lower(text.substr(at, end - at)) != "none") {
        Refuse("its header holds '" + text.substr(at, std::min<size_t>(end - at, 40)) +
               "' where a vector such as (1,0,0) belongs");
      }
      vectors.emplace_back();
      at = end;
      continue;
    }
    const size_t end = text.find(')', at);
    if (end == text.npos) Refuse("a vector in its header has no closing bracket");
    std::vector<double> vector;
    size_t nans = 0;
    size_t begin = at + 1;
    while (begin <= end) {
      size_t comma = text.find(',', begin);
      if (comma == text.npos || comma > end) comma = end;
      const auto value = ParseNumber(std::string_view(text).substr(begin, comma - begin));
      if (!value) Refuse("a vector in its header holds something that is no number");
      nans += std::isnan(*value) ? 1 : 0;
      vector.push_back(*value);
      begin = comma + 1;
    }
    if (nans != 0 && nans != vector.size()) {
      Refuse(
          "a vector in its header is a number in one direction and none in another; the header is "
          "damaged");
    }
    if (nans != 0) {  // the same as "none"
      vectors.emplace_back();
    } else {
      vectors.emplace_back(vector);
    }
    at = end + 1;
  }
  return vectors;
}

void NrrdHeader::NameDataFiles(const std::string& value) {
  const std::vector<std::string> words = SplitWords(value);
  if (!words.empty() && words[0] == "LIST") {
    std::string line;
    while (file_.ReadLine(line, kLongestLine)) {
      const std::string_view name = Trim(line);
      if (!name.empty()) data_files_.emplace_back(name);
      if (data_files_.size() > 100000) Refuse("it lists more than 100000 voxel files");
    }
    if (data_files_.empty()) Refuse("its list of voxel files is empty");
    return;
  }
  // "slice%03d.raw 1 30 1 [2]"
  if (value.find('%') != value.npos && words.size() >= 4) {
    std::array<std::optional<int64_t>, 3> range;
    for (size_t i = 0; i < 3; ++i) range[i] = ParseInteger(words[i + 1]);
    if (range[0] && range[1] && range[2]) {
      data_files_ = ExpandPattern(words[0], *range[0], *range[1], *range[2]);
      if (data_files_.empty()) Refuse("the pattern of its voxel files is not understood");
      return;
    }
  }
  data_files_ = {value};
}

NrrdHeader::NrrdHeader(const fs::path& path) : name_(path.string()), file_(path, true) {
  std::string line;
  file_.ReadLine(line, kLongestLine);
  if (line.size() < 8 || line.compare(0, 4, "NRRD") != 0) Refuse("it is not an NRRD file");
  const auto version = ParseInteger(line.substr(4));
  if (!version || *version < 1 || *version > 6) {
    Refuse("its version '" + line.substr(0, 20) + "' is not one of NRRD0001 to NRRD0006");
  }
  shown_ = std::make_shared<FieldsHeader>("NRRD");
  shown_->Add("version", line.substr(0, 8));
  std::string keys;
  size_t total = 0;
  while (file_.ReadLine(line, kLongestLine)) {
    total += line.size();
    if (total > kLongestHeader) Refuse("its header is longer than 16 MB; it is damaged");
    if (line.empty()) break;
    if (line[0] == '#') continue;
    // "key:=value" is free text, "field: value" is the header's own.
    const size_t colon = line.find(':');
    const size_t assign = line.find(":=");
    if (colon == line.npos) Refuse("a line of its header has no colon; the header is damaged");
    if (assign == colon) {
      const std::string key(Trim(std::string_view(line).substr(0, colon)));
      // Values may name a patient; only the modality is used.
      if (key == "DICOM_0008_0060_Modality" || Lower(key) == "modality") {
        const std::string value(Trim(std::string_view(line).substr(colon + 2)));
        const bool plain = !value.empty() && value.size() <= 16 &&
                           std::all_of(value.begin(), value.end(),
                                       [](unsigned char c) { return std::isupper(c) != 0; });
        if (plain) modality_ = value;
      }
      if (key == kNrrdAssumedKey) {
        assumed_ = AssumptionsFromNames(Trim(std::string_view(line).substr(colon + 2)));
      }
      keys += (keys.empty() ? "" : ", ") + key;
      continue;
    }
    const std::string field = Squeeze(std::string_view(line).substr(0, colon));
    const std::string value(Trim(std::string_view(line).substr(colon + 1)));
    if (!fields_.emplace(field, value).second) {
      Refuse("its header has the field '" + field.substr(0, 40) + "' twice; it is damaged");
    }
    if (field != "content") {
      shown_->Add(Trim(std::string_view(line).substr(0, colon)), value);
    }
    if (field == "datafile") {
      NameDataFiles(value);
      if (SplitWords(value)[0] == "LIST") break;  // the list runs to the end
    }
  }
  if (!keys.empty()) shown_->Add("key/value pairs (values left out)", keys);
}

VoxelType NrrdHeader::ReadType() const {
  static const std::map<std::string, VoxelType> kTypes = {
      {"signed char", VoxelType::kInt8},
      {"int8", VoxelType::kInt8},
      {"int8_t", VoxelType::kInt8},
      {"uchar", VoxelType::kUInt8},
      {"unsigned char", VoxelType::kUInt8},
      {"uint8", VoxelType::kUInt8},
      {"uint8_t", VoxelType::kUInt8},
      {"short", VoxelType::kInt16},
      {"short int", VoxelType::kInt16},
      {"signed short", VoxelType::kInt16},
      {"signed short int", VoxelType::kInt16},
      {"int16", VoxelType::kInt16},
      {"int16_t", VoxelType::kInt16},
      {"ushort", VoxelType::kUInt16},
      {"unsigned short", VoxelType::kUInt16},
      {"unsigned short int", VoxelType::kUInt16},
      {"uint16", VoxelType::kUInt16},
      {"uint16_t", VoxelType::kUInt16},
      {"int", VoxelType::kInt32},
      {"signed int", VoxelType::kInt32},
      {"int32", VoxelType::kInt32},
      {"int32_t", VoxelType::kInt32},
      {"uint", VoxelType::kUInt32},
      {"unsigned int", VoxelType::kUInt32},
      {"uint32", VoxelType::kUInt32},
      {"uint32_t", VoxelType::kUInt32},
      {"longlong", VoxelType::kInt64},
      {"long long", VoxelType::kInt64},
      {"long long int", VoxelType::kInt64},
      {"signed long long", VoxelType::kInt64},
      {"signed long long int", VoxelType::kInt64},
      {"int64", VoxelType::kInt64},
      {"int64_t", VoxelType::kInt64},
      {"ulonglong", VoxelType::kUInt64},
      {"unsigned long long", VoxelType::kUInt64},
      {"unsigned long long int", VoxelType::kUInt64},
      {"uint64", VoxelType::kUInt64},
      {"uint64_t", VoxelType::kUInt64},
      {"float", VoxelType::kFloat32},
      {"double", VoxelType::kFloat64}};
  std::string text;
  for (const std::string& word : SplitWords(Lower(Need("type")))) {
    text += (text.empty() ? "" : " ") + word;
  }
  const auto found = kTypes.find(text);
  if (found == kTypes.end()) {
    Refuse("its voxel type '" + text.substr(0, 40) +
           "' is not read; convert it to a standard type such as int16");
  }
  return found->second;
}

}  // namespace avocet::io
