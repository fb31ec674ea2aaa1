// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <string>

namespace avocet::io {

struct CodedConcept {
  std::string value;
  std::string scheme;  // "SCT", "DCM"
  std::string meaning;
  bool empty() const { return value.empty(); }
};

// What a segment is, in codes, and how to show it.
struct SegmentMeaning {
  CodedConcept category;
  CodedConcept type;
  CodedConcept laterality;  // empty, or left / right / both
  std::array<uint8_t, 3> rgb{};
  bool known = false;  // false: the name is not in resources/segment_codes.tsv
};

// Looks a label's name up ("left kidney", "kidney_left", "Liver"), upper or lower case, with or
// without a side. An unknown name becomes tissue (85756007) with a colour chosen by `label`.
SegmentMeaning MeaningOfLabel(const std::string& name, int label);

// sRGB to the encoded CIELab of Recommended Display CIELab Value (PS3.3 C.10.7.1.1: L* 0..100 and
// a*, b* -128..127 over 0..65535, profile connection space D50) and back.
std::array<uint16_t, 3> CielabFromRgb(const std::array<uint8_t, 3>& rgb);
std::array<uint8_t, 3> RgbFromCielab(const std::array<uint16_t, 3>& cielab);

}  // namespace avocet::io
