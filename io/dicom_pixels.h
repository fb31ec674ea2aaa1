// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <vector>

class DcmFileFormat;

namespace avocet::io {

// The pixels of a single-channel image of 1, 8 or 16 bits, unpacked from their transfer syntax.
struct PixelFrames {
  size_t frame_count = 0;
  size_t pixels_per_frame = 0;
  int bits = 1;                // a pixel in `bytes`: 1, 8 or 16 (low byte first)
  bool padded = false;         // each frame begins at a whole byte
  std::vector<uint8_t> bytes;  // 1 bit: first pixel in the lowest bit (PS3.5 8.2)
  bool may_be_lossy = false;   // the transfer syntax allows a compression that changes values

  unsigned Value(size_t frame, size_t pixel) const {
    if (bits == 8) return bytes[frame * pixels_per_frame + pixel];
    if (bits == 16) {
      const size_t at = 2 * (frame * pixels_per_frame + pixel);
      return bytes[at] | static_cast<unsigned>(bytes[at + 1]) << 8;
    }
    const size_t start =
        padded ? frame * ((pixels_per_frame + 7) / 8) * 8 : frame * pixels_per_frame;
    const size_t at = start + pixel;
    return bytes[at / 8] >> (at % 8) & 1U;
  }
};

// Native, deflated, RLE, JPEG 2000, JPEG-LS and lossless JPEG pixel data. Throws IoError naming
// `path`: another compression (by its name), a size that does not fit the header, damaged frames.
PixelFrames ReadPixelFrames(DcmFileFormat& file, const std::filesystem::path& path);

}  // namespace avocet::io
