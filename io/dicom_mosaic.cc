// SPDX-License-Identifier: Apache-2.0
// Siemens mosaics: the slices of a volume as tiles of one image. The layout of the CSA header is
// that of the public description in nibabel's documentation ("Siemens format DICOM with CSA
// header"); the correction of the position follows from the tiles being cut out of an image whose
// centre is the centre of each slice.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "io/dicom_instance.h"
#include "io/header_text.h"

namespace avocet::io::dicom {
namespace {

struct Csa {
  int64_t tiles = 0;
  std::vector<double> normal;
};

// Reads the two entries that matter; anything malformed ends the search.
Csa ReadCsa(const std::string& bytes) {
  Csa csa;
  const auto u32 = [&](size_t at) -> uint32_t {
    const auto* b = reinterpret_cast<const unsigned char*>(bytes.data()) + at;
    return b[0] | b[1] << 8 | b[2] << 16 | static_cast<uint32_t>(b[3]) << 24;
  };
  const bool csa2 = bytes.compare(0, 4, "SV10") == 0;
  size_t at = csa2 ? 8 : 0;
  if (bytes.size() < at + 8) return csa;
  const uint32_t tags = u32(at);
  at += 8;
  if (tags > 1024) return csa;
  uint32_t first_items = 0;
  for (uint32_t tag = 0; tag < tags && bytes.size() - at >= 84; ++tag) {
    const std::string name(bytes.data() + at, strnlen(bytes.data() + at, 64));
    const uint32_t items = u32(at + 76);
    if (tag == 0) first_items = items;
    at += 84;
    if (items > 4096) return csa;
    std::vector<double> numbers;
    for (uint32_t item = 0; item < items; ++item) {
      if (bytes.size() - at < 16) return csa;
      // CSA2 has the length in the second of four words, CSA1 in the first, plus an offset.
      uint64_t length = csa2 ? u32(at + 4) : u32(at);
      if (!csa2) length = length >= first_items ? length - first_items : 0;
      at += 16;
      if (length > bytes.size() - at) return csa;
      if (length > 0 && length < 64 &&
          (name == "NumberOfImagesInMosaic" || name == "SliceNormalVector")) {
        const std::string text(bytes.data() + at, strnlen(bytes.data() + at, length));
        const auto value = ParseNumber(Trim(text));
        if (value && std::isfinite(*value)) numbers.push_back(*value);
      }
      at += std::min<uint64_t>((length + 3) / 4 * 4, bytes.size() - at);
    }
    if (name == "NumberOfImagesInMosaic" && !numbers.empty() && numbers[0] >= 1 &&
        numbers[0] < 65536) {
      csa.tiles = static_cast<int64_t>(numbers[0]);
    } else if (name == "SliceNormalVector" && numbers.size() >= 3) {
      numbers.resize(3);
      csa.normal = numbers;
    }
  }
  return csa;
}

}  // namespace

void UnpackMosaic(const Dataset& data, Instance& instance) {
  FrameInfo base = instance.frames[0];
  Csa csa;
  if (const Element* element = data.FindPrivate(0x0029, "SIEMENS CSA HEADER", 0x10)) {
    csa = ReadCsa(element->bytes);
  }
  if (csa.tiles == 0) {
    if (const Element* element = data.FindPrivate(0x0019, "SIEMENS MR HEADER", 0x0a)) {
      const std::vector<double> numbers = data.NumbersOf(*element);
      if (!numbers.empty() && numbers[0] >= 1 && numbers[0] < 65536) {
        csa.tiles = static_cast<int64_t>(numbers[0]);
      }
    }
  }
  const auto refuse = [&](const char* what) {
    instance.problem = std::string("it is a Siemens mosaic, and ") + what;
  };
  if (csa.tiles == 0) return refuse("the number of its tiles is not given");
  if (!base.has_position || !base.has_orientation || !base.has_spacing) {
    return refuse("its position, orientation or pixel size is missing");
  }
  if (!(base.slice_spacing > 1e-6 && base.slice_spacing < 1e4)) {
    return refuse("the distance of its slices (SpacingBetweenSlices) is missing");
  }
  Mosaic& mosaic = instance.mosaic;
  mosaic.across = static_cast<int>(std::ceil(std::sqrt(static_cast<double>(csa.tiles)) - 1e-9));
  if (instance.format.rows % mosaic.across != 0 || instance.format.columns % mosaic.across != 0) {
    return refuse("its size does not divide into its tiles");
  }
  mosaic.tiles = static_cast<int>(csa.tiles);
  mosaic.rows = instance.format.rows / mosaic.across;
  mosaic.columns = instance.format.columns / mosaic.across;

  const auto& c = base.cosines;
  std::array<double, 3> normal{c[1] * c[5] - c[2] * c[4], c[2] * c[3] - c[0] * c[5],
                               c[0] * c[4] - c[1] * c[3]};
  // Tiles run along the scanner's slice normal, which may be opposite to row x column.
  if (csa.normal.size() == 3) {
    const double dot =
        normal[0] * csa.normal[0] + normal[1] * csa.normal[1] + normal[2] * csa.normal[2];
    if (dot < 0) {
      for (double& x : normal) x = -x;
    }
  } else {
    instance.order_assumed = true;
    instance.notes.push_back(
        "a Siemens mosaic without its slice normal: the slices are taken to run along row x "
        "column");
  }
  const double right = (instance.format.columns - mosaic.columns) / 2.0 * base.spacing[0];
  const double down = (instance.format.rows - mosaic.rows) / 2.0 * base.spacing[1];
  instance.frames.clear();
  for (int tile = 0; tile < mosaic.tiles; ++tile) {
    FrameInfo frame = base;
    frame.tile = tile;
    for (int a = 0; a < 3; ++a) {
      frame.position[a] += right * c[a] + down * c[3 + a] + tile * base.slice_spacing * normal[a];
    }
    instance.frames.push_back(std::move(frame));
  }
}

}  // namespace avocet::io::dicom
