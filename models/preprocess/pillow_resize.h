// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

namespace avocet::preprocess {

// Pillow's bilinear resize of an 8-bit grey picture (with antialiasing), to the last bit
// (shared/spec/fs_rwkv.md 9.2): a horizontal and then a vertical pass in fixed point, each rounding
// to 8 bits, each skipped when the size stays. Rows from the top, columns fastest. All sizes >= 1.
std::vector<uint8_t> PillowResizeBilinear(const uint8_t* image, int64_t rows, int64_t cols,
                                          int64_t new_rows, int64_t new_cols);

// Red, green, blue to Pillow's "L".
inline uint8_t PillowGrey(uint8_t red, uint8_t green, uint8_t blue) {
  return static_cast<uint8_t>((19595u * red + 38470u * green + 7471u * blue + 32768u) >> 16);
}

}  // namespace avocet::preprocess
