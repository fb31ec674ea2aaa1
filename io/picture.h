// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "io/volume.h"

namespace avocet::io {

// A PNG, JPEG or TIFF as one slice (a TIFF of several pages: as many). Rows run from the top, so j
// increases downwards. Pictures have no orientation; a note says what is assumed.
struct Picture {
  std::string format;  // "PNG"
  int64_t width = 0;
  int64_t height = 0;
  int64_t pages = 1;
  int channels = 1;
  VoxelType type = VoxelType::kUInt8;
  std::vector<std::byte> data;  // channels fastest, then width, height, pages
  // Pixels a millimetre along x and y of the resolution tag, if there is one with a unit.
  std::optional<std::array<double, 2>> per_mm;
  bool measured = false;  // the tag was written by a program that measures (ImageJ with a unit)
  std::vector<std::string> notes;
};

// The whole file, unpacked when it is gzip; refuses more than 1 GB.
std::vector<std::byte> ReadPictureFile(const std::filesystem::path& path);

// Throws IoError when a picture of these sizes cannot come from a file of `file_bytes` (no picture
// format packs real images more than 4096 : 1; 16 MB are always allowed) or is larger than 2 GB.
// Returns its bytes.
size_t CheckedPictureBytes(int64_t width, int64_t height, int64_t pages, int channels,
                           VoxelType type, size_t file_bytes, const std::string& name);

// Equal colour channels become one, an opaque alpha is dropped. The pixel size is taken from the
// resolution tag when it was measured, or is none of the customary dots per inch of screens,
// printers and scanners and gives pixels of 1 micrometre to 10 mm; otherwise it is 1 mm. Either is
// noted.
Volume VolumeFromPicture(Picture picture, const std::string& name);

}  // namespace avocet::io
