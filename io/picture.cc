// SPDX-License-Identifier: Apache-2.0
#include "io/picture.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "app/base/error.h"
#include "io/byte_source.h"
#include "io/header_text.h"
#include "io/voxel_data.h"

namespace avocet::io {
namespace {

std::string Short(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.4g", value);
  return text;
}

// Keeps the first `kept` channels of each pixel.
void KeepChannels(Picture& picture, int kept) {
  const size_t width = SizeOf(picture.type);
  const size_t from = width * static_cast<size_t>(picture.channels);
  const size_t to = width * static_cast<size_t>(kept);
  const size_t pixels = picture.data.size() / from;
  for (size_t i = 0; i < pixels; ++i) {
    std::memmove(picture.data.data() + i * to, picture.data.data() + i * from, to);
  }
  picture.data.resize(pixels * to);
  picture.channels = kept;
}

// Whether test(pixel) holds for every pixel.
template <typename F>
bool EveryPixel(const Picture& picture, F&& test) {
  const size_t step = SizeOf(picture.type) * static_cast<size_t>(picture.channels);
  for (size_t at = 0; at + step <= picture.data.size(); at += step) {
    if (!test(picture.data.data() + at)) return false;
  }
  return true;
}

void SimplifyChannels(Picture& picture) {
  const size_t width = SizeOf(picture.type);
  if (picture.channels == 2 || picture.channels == 4) {
    const size_t alpha = width * static_cast<size_t>(picture.channels - 1);
    const bool opaque = EveryPixel(picture, [&](const std::byte* pixel) {
      return std::all_of(pixel + alpha, pixel + alpha + width,
                         [](std::byte b) { return b == std::byte{255}; });
    });
    if (opaque || picture.channels == 2) {
      KeepChannels(picture, picture.channels - 1);
      if (!opaque) picture.notes.push_back("its transparency is ignored");
    }
  }
  if (picture.channels == 3) {
    const bool grey = EveryPixel(picture, [&](const std::byte* pixel) {
      return std::memcmp(pixel, pixel + width, width) == 0 &&
             std::memcmp(pixel, pixel + 2 * width, width) == 0;
    });
    if (grey) {
      KeepChannels(picture, 1);
      picture.notes.push_back("its three colour channels are equal; it is read as grey values");
    }
  }
}

// Dots per inch that cameras, screens, printers and scanners write whatever they show.
bool IsCustomary(double dots_per_inch) {
  static constexpr double kCustomary[] = {1,   28.35, 36,  50,     70,  72,  75,  90,   92,   95,
                                          96,  100,   110, 118.11, 120, 127, 144, 150,  160,  180,
                                          192, 200,   220, 240,    250, 254, 266, 300,  350,  360,
                                          400, 500,   508, 600,    720, 800, 900, 1000, 1200, 2400};
  return std::any_of(std::begin(kCustomary), std::end(kCustomary), [&](double value) {
    return std::abs(dots_per_inch - value) < 0.005 * value + 0.02;
  });
}

}  // namespace

std::vector<std::byte> ReadPictureFile(const std::filesystem::path& path) {
  constexpr uint64_t kLargest = uint64_t{1} << 30;
  ByteSource source(path);
  std::vector<std::byte> bytes;
  if (source.compressed()) {
    // A picture in gzip is an odd thing and packed already, as a rule.
    const uint64_t most = std::min((uint64_t{32} << 20) + source.capacity() / 16, kLargest);
    if (source.Append(bytes, most + 1) > most) {
      throw IoError("cannot read '" + path.string() + "': its gzip content is over " +
                    std::to_string(most >> 20) + " MB; unpack it first");
    }
  } else if (source.capacity() <= kLargest) {
    source.Append(bytes, kLargest + 1);
  }
  if (bytes.empty() || bytes.size() > kLargest) {
    throw IoError("cannot read '" + path.string() +
                  "': it is larger than the 1 GB that a picture "
                  "may have");
  }
  return bytes;
}

size_t CheckedPictureBytes(int64_t width, int64_t height, int64_t pages, int channels,
                           VoxelType type, size_t file_bytes, const std::string& name) {
  const uint64_t bytes = CheckedByteCount({width, height, pages, channels}, SizeOf(type), name);
  const uint64_t possible = (uint64_t{16} << 20) + uint64_t{4096} * file_bytes;
  if (bytes > possible || bytes > (uint64_t{2} << 30)) {
    throw IoError("cannot read '" + name + "': it claims " + std::to_string(width) + " x " +
                  std::to_string(height) + " pixels (" + std::to_string(bytes >> 20) +
                  " MB), more than a picture of its length can hold");
  }
  return bytes;
}

Volume VolumeFromPicture(Picture picture, const std::string& name) {
  if (picture.data.size() !=
      CheckedByteCount({picture.width, picture.height, picture.pages, picture.channels},
                       SizeOf(picture.type), name)) {
    throw IoError("cannot read '" + name + "': it is cut off or damaged");
  }
  const int stored_channels = picture.channels;
  SimplifyChannels(picture);
  Volume volume;
  volume.type = picture.type;
  volume.components = picture.channels;
  volume.geometry.size = {picture.width, picture.height, picture.pages};
  volume.notes = std::move(picture.notes);
  // One picture is no volume, and pages do not say how far apart they lie.
  volume.assumed = {true, true, true};
  std::string size_note = "the picture has no resolution tag; pixels of 1 mm are assumed";
  if (picture.per_mm) {
    const auto [x, y] = *picture.per_mm;
    const auto plausible = [](double per_mm) { return per_mm > 0.1 && per_mm < 1000; };
    const std::string tag = Short(x * 25.4) + " dpi";
    if (!plausible(x) || !plausible(y)) {
      size_note = "its resolution tag (" + tag + ") is not plausible; pixels of 1 mm are assumed";
    } else if (!picture.measured && (IsCustomary(x * 25.4) || IsCustomary(y * 25.4))) {
      size_note = "its resolution tag (" + tag +
                  ") is one of screens and printers and not trusted; pixels of 1 mm are assumed";
    } else {
      volume.geometry.spacing = {1 / x, 1 / y, 1};
      volume.assumed.in_plane_size = false;
      size_note = "its pixel size, " + Short(1 / x) + " x " + Short(1 / y) +
                  " mm, is taken from its resolution tag";
    }
  }
  volume.notes.push_back(size_note);
  volume.notes.push_back(
      "pictures have no orientation; axes to the left, back and top are assumed, "
      "so left and right may be swapped");
  auto shown = std::make_shared<FieldsHeader>(picture.format);
  shown->Add("width", std::to_string(picture.width));
  shown->Add("height", std::to_string(picture.height));
  shown->Add("pages", std::to_string(picture.pages));
  shown->Add("channels", std::to_string(stored_channels));
  if (picture.per_mm) {
    shown->Add("pixels per mm", Short((*picture.per_mm)[0]) + " " + Short((*picture.per_mm)[1]));
  }
  volume.source = shown;
  volume.data = std::move(picture.data);
  NoteNonFinite(volume);
  return volume;
}

}  // namespace avocet::io
