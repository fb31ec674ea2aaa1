// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "tests/io/io_test_util.h"

namespace avocet::test {

// Writes small DICOM files in explicit little endian, right or wrong on purpose. Elements are kept
// by tag, so that a test can replace or erase any of them.
class DicomBuilder {
 public:
  struct Value {
    std::string vr;
    std::string bytes;
  };

  // An axial CT slice of `columns` x `rows` int16 voxels, all `value`, 0.5 x 0.75 mm.
  DicomBuilder(int columns, int rows, std::array<double, 3> position, int16_t value = 0) {
    Text(0x00080008, "CS", "ORIGINAL\\PRIMARY\\AXIAL");
    Text(0x00080016, "UI", "1.2.840.10008.5.1.4.1.1.2");
    static int next = 0;
    Text(0x00080018, "UI", "1.2.3.4." + std::to_string(++next));
    Text(0x00080060, "CS", "CT");
    Text(0x00100010, "PN", "Secret^Patient");
    Text(0x00100020, "LO", "SECRETID");
    Text(0x0020000d, "UI", "1.2.3");
    Text(0x0020000e, "UI", "1.2.3.9");
    Text(0x00200013, "IS", "1");
    Position(position);
    Text(0x00200037, "DS", "1\\0\\0\\0\\1\\0");
    UInt16(0x00280002, 1);
    Text(0x00280004, "CS", "MONOCHROME2");
    UInt16(0x00280010, static_cast<uint16_t>(rows));
    UInt16(0x00280011, static_cast<uint16_t>(columns));
    Text(0x00280030, "DS", "0.75\\0.5");  // rows first
    UInt16(0x00280100, 16);
    UInt16(0x00280101, 16);
    UInt16(0x00280102, 15);
    UInt16(0x00280103, 1);
    Pixels(std::vector<int16_t>(static_cast<size_t>(columns) * rows, value));
  }

  void Text(uint32_t tag, const std::string& vr, std::string text) {
    if (text.size() % 2) text += vr == "UI" ? '\0' : ' ';
    elements_[tag] = {vr, text};
  }
  void UInt16(uint32_t tag, uint16_t value) { elements_[tag] = {"US", Bytes(value)}; }
  void Position(std::array<double, 3> p) {
    char text[80];
    std::snprintf(text, sizeof text, "%.9g\\%.9g\\%.9g", p[0], p[1], p[2]);
    Text(0x00200032, "DS", text);
  }
  void Pixels(const std::vector<int16_t>& values) {
    elements_[0x7fe00010] = {"OW", std::string(reinterpret_cast<const char*>(values.data()),
                                               values.size() * sizeof(int16_t))};
  }
  void Raw(uint32_t tag, const std::string& vr, const std::string& bytes) {
    elements_[tag] = {vr, bytes};
  }
  void Erase(uint32_t tag) { elements_.erase(tag); }

  static std::string Element(uint32_t tag, const Value& value) {
    std::string out = Bytes(static_cast<uint16_t>(tag >> 16)) +
                      Bytes(static_cast<uint16_t>(tag & 0xffff)) + value.vr;
    if (value.vr == "OW" || value.vr == "OB" || value.vr == "SQ" || value.vr == "UN") {
      return out + std::string(2, '\0') + Bytes(static_cast<uint32_t>(value.bytes.size())) +
             value.bytes;
    }
    return out + Bytes(static_cast<uint16_t>(value.bytes.size())) + value.bytes;
  }
  // A sequence item with these elements.
  static std::string Item(const std::string& elements) {
    return std::string("\xfe\xff\x00\xe0", 4) + Bytes(static_cast<uint32_t>(elements.size())) +
           elements;
  }

  std::string File(const std::string& syntax = "1.2.840.10008.1.2.1") const {
    std::string uid = syntax;
    if (uid.size() % 2) uid += '\0';
    std::string out = std::string(128, '\0') + "DICM" + Element(0x00020010, {"UI", uid});
    for (const auto& [tag, value] : elements_) out += Element(tag, value);
    return out;
  }
  void Write(const std::filesystem::path& path) const { Spill(path, File()); }

 private:
  template <typename T>
  static std::string Bytes(T value) {
    return std::string(reinterpret_cast<const char*>(&value), sizeof value);
  }

  std::map<uint32_t, Value> elements_;
};

}  // namespace avocet::test
