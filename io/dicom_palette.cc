// SPDX-License-Identifier: Apache-2.0
// Palette colour lookup tables: PS3.3 C.7.6.3.1.5 and C.7.6.3.1.6, segmented ones C.7.9.2.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <optional>

#include "io/dicom_instance.h"

namespace avocet::io::dicom {
namespace {

using Values = std::vector<uint16_t>;

constexpr std::array<Tag, 3> kDescriptors{0x00281101, 0x00281102, 0x00281103};
constexpr std::array<Tag, 3> kTables{0x00281201, 0x00281202, 0x00281203};
constexpr std::array<Tag, 3> kSegmented{0x00281221, 0x00281222, 0x00281223};

Values Words(const Element& table, bool big_endian) {
  Values words(table.bytes.size() / 2);
  for (size_t i = 0; i < words.size(); ++i) {
    const auto a = static_cast<unsigned char>(table.bytes[2 * i]);
    const auto b = static_cast<unsigned char>(table.bytes[2 * i + 1]);
    words[i] = static_cast<uint16_t>(big_endian ? a << 8 | b : b << 8 | a);
  }
  return words;
}

Values Bytes(const Element& table) {
  Values bytes(table.bytes.size());
  std::transform(table.bytes.begin(), table.bytes.end(), bytes.begin(),
                 [](char c) { return static_cast<unsigned char>(c); });
  return bytes;
}

// Discrete (0), linear (1) and indirect (2) segments. Nothing when they are damaged or do not give
// `entries` values. An indirect segment repeats segments that stand before it, once.
class Expander {
 public:
  Expander(const Values& segments, size_t entries, bool wide)
      : segments_(segments), entries_(entries), wide_(wide) {}

  std::optional<Values> Run() {
    if (!Segments(0, segments_.size(), SIZE_MAX, true)) return std::nullopt;
    if (values_.size() != entries_) return std::nullopt;
    return values_;
  }

 private:
  // At most `count` segments from `at`, below `end`.
  bool Segments(size_t at, size_t end, size_t count, bool indirect_allowed) {
    for (size_t n = 0; n < count && at < end; ++n) {
      if (end - at < 2) return at + 1 == end && segments_[at] == 0;  // padding
      const uint16_t kind = segments_[at];
      const size_t length = segments_[at + 1];
      at += 2;
      if (kind == 0) {
        if (length > end - at) return false;
        values_.insert(values_.end(), segments_.begin() + static_cast<ptrdiff_t>(at),
                       segments_.begin() + static_cast<ptrdiff_t>(at + length));
        at += length;
      } else if (kind == 1) {
        if (at >= end || values_.empty() || length == 0) return false;
        const double from = values_.back();
        const double to = segments_[at++];
        for (size_t i = 1; i <= length; ++i) {
          const double value =
              from + (to - from) * static_cast<double>(i) / static_cast<double>(length);
          values_.push_back(static_cast<uint16_t>(std::lround(value)));
        }
      } else if (kind == 2 && indirect_allowed) {
        // The offset, in bytes, is two words, the less significant first.
        const size_t words = wide_ ? 2 : 4;
        if (end - at < words) return false;
        size_t offset = 0;
        for (size_t i = 0; i < words; ++i) {
          offset |= static_cast<size_t>(segments_[at + i]) << (wide_ ? 16 : 8) * i;
        }
        if (wide_) offset /= 2;
        if (offset >= at || !Segments(offset, at, length, false)) return false;
        at += words;
      } else {
        return false;
      }
      if (values_.size() > entries_) return false;
    }
    return true;
  }

  const Values& segments_;
  size_t entries_;
  bool wide_;
  Values values_;
};

std::optional<Values> ReadTable(const Dataset& data, size_t colour, size_t entries, bool wide) {
  if (const Element* table = data.Find(kTables[colour])) {
    // Entries of 8 bits are packed, or, by some writers, one in each 16-bit word.
    const bool words = wide || table->bytes.size() >= 2 * entries;
    Values values = words ? Words(*table, data.big_endian) : Bytes(*table);
    if (values.size() < entries) return std::nullopt;
    values.resize(entries);
    return values;
  }
  if (const Element* table = data.Find(kSegmented[colour])) {
    const Values segments = wide ? Words(*table, data.big_endian) : Bytes(*table);
    return Expander(segments, entries, wide).Run();
  }
  return std::nullopt;
}

}  // namespace

void ReadPalette(const Dataset& data, PixelFormat& format, std::string& problem) {
  problem = "its colour palette is missing or damaged";
  const std::vector<double> descriptor = data.Numbers(kDescriptors[0]);
  if (descriptor.size() != 3) return;
  for (const double number : descriptor) {
    if (!(std::abs(number) <= 65536)) return;
  }
  if (descriptor[0] < 0) return;
  const size_t entries = descriptor[0] == 0 ? 65536 : static_cast<size_t>(descriptor[0]);
  const bool wide = descriptor[2] == 16;
  std::array<Values, 3> tables;
  uint16_t highest = 0;
  for (size_t colour = 0; colour < 3; ++colour) {
    const std::optional<Values> table = ReadTable(data, colour, entries, wide);
    if (!table) return;
    tables[colour] = *table;
    highest = std::max(highest, *std::max_element(table->begin(), table->end()));
  }
  problem.clear();
  format.palette_first = static_cast<int>(descriptor[1]);
  if (format.is_signed && format.palette_first > 32767) format.palette_first -= 65536;
  format.palette.resize(entries);
  // Entries of 16 bits use the whole range; where none passes 255 they are 8-bit values.
  const int down = highest > 255 ? 8 : 0;
  for (size_t i = 0; i < entries; ++i) {
    for (size_t colour = 0; colour < 3; ++colour) {
      format.palette[i][colour] = static_cast<uint8_t>(tables[colour][i] >> down);
    }
  }
}

}  // namespace avocet::io::dicom
