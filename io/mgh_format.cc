// SPDX-License-Identifier: Apache-2.0
// FreeSurfer's MGH (.mgh, .mgz = gzip; FreeSurfer wiki "MghFormat"): a big-endian header of 284
// bytes, voxels of four types, then optional tags, which may name a patient and are not read.
//
// x_ras = Mdc * diag(spacing) * (index - size / 2) + c_ras. Without the good-RAS flag the format
// prescribes 1 mm, coronal slices (i to the left, j down, k to the front), centred on 0.
#include <array>
#include <cmath>
#include <cstring>

#include "app/base/error.h"
#include "io/byte_source.h"
#include "io/format_list.h"
#include "io/header_text.h"
#include "io/voxel_data.h"

namespace avocet::io {
namespace fs = std::filesystem;
namespace {

constexpr size_t kHeaderBytes = 284;

[[noreturn]] void Refuse(const std::string& name, const std::string& why) {
  throw IoError("cannot read '" + name + "': " + why);
}

class Header {
 public:
  explicit Header(std::string_view bytes) : bytes_(bytes) {}
  int32_t Int(size_t at) const { return static_cast<int32_t>(Bits(at)); }
  double Float(size_t at) const {
    const uint32_t bits = Bits(at);
    float value = 0;
    std::memcpy(&value, &bits, sizeof value);
    return value;
  }
  int16_t Short(size_t at) const {
    return static_cast<int16_t>(static_cast<uint16_t>(static_cast<unsigned char>(bytes_[at])) << 8 |
                                static_cast<unsigned char>(bytes_[at + 1]));
  }

 private:
  uint32_t Bits(size_t at) const {
    uint32_t value = 0;
    std::memcpy(&value, bytes_.data() + at, sizeof value);
    return __builtin_bswap32(value);
  }
  std::string_view bytes_;
};

bool LooksLikeMgh(std::string_view head) {
  if (head.size() < kHeaderBytes) return false;
  const Header header(head);
  if (header.Int(0) != 1) return false;
  for (const size_t at : {4, 8, 12, 16}) {
    if (header.Int(at) < 1 || header.Int(at) > 1 << 24) return false;
  }
  return header.Int(20) >= 0 && header.Int(20) <= 10 && header.Short(28) >= 0 &&
         header.Short(28) <= 1;
}

VoxelType TypeOf(int32_t code, const std::string& name) {
  switch (code) {
    case 0:
      return VoxelType::kUInt8;
    case 1:
      return VoxelType::kInt32;
    case 3:
      return VoxelType::kFloat32;
    case 4:
      return VoxelType::kInt16;
    case 10:
      return VoxelType::kUInt16;
    default:
      Refuse(name, "its voxels are of MGH type " + std::to_string(code) +
                       ", which is no image's; convert it with mri_convert");
  }
}

Geometry ReadGrid(const Header& header, const std::string& name, Volume& volume) {
  const std::array<int64_t, 3> size{header.Int(4), header.Int(8), header.Int(12)};
  const bool good = header.Short(28) == 1;
  std::array<double, 3> spacing{1, 1, 1};
  // Columns of Mdc: the directions of i, j, k in RAS.
  std::array<std::array<double, 3>, 3> columns = {{{-1, 0, 0}, {0, 0, -1}, {0, 1, 0}}};
  std::array<double, 3> centre{};
  if (good) {
    for (size_t axis = 0; axis < 3; ++axis) {
      spacing[axis] = header.Float(30 + 4 * axis);
      for (size_t row = 0; row < 3; ++row) {
        columns[axis][row] = header.Float(42 + 12 * axis + 4 * row);
      }
      centre[axis] = header.Float(78 + 4 * axis);
      if (!(spacing[axis] > 0) || !std::isfinite(spacing[axis]) || !std::isfinite(centre[axis])) {
        Refuse(name, "its voxel size or position is not a number above 0; the header is damaged");
      }
    }
  } else {
    volume.assumed = {true, true, true};
    volume.notes.push_back(
        "the header states no position (good-RAS flag 0); 1 mm and coronal slices are assumed, so "
        "left and right may be swapped");
  }
  std::array<std::array<double, 3>, 3> axes{};
  std::array<double, 3> origin{};
  for (size_t row = 0; row < 3; ++row) {
    const double lps_from_ras = row < 2 ? -1 : 1;
    double first = centre[row];
    for (size_t axis = 0; axis < 3; ++axis) {
      axes[axis][row] = lps_from_ras * columns[axis][row] * spacing[axis];
      first -= columns[axis][row] * spacing[axis] * static_cast<double>(size[axis]) / 2;
    }
    origin[row] = lps_from_ras * first;
  }
  return GeometryFromAxes(size, axes, origin, name, &volume.notes);
}

Volume ReadPart(const fs::path& path, bool voxels) {
  const std::string name = path.string();
  ByteSource source(path);
  std::vector<std::byte> head;
  source.Append(head, kHeaderBytes);
  const std::string_view text(reinterpret_cast<const char*>(head.data()), head.size());
  if (!LooksLikeMgh(text)) Refuse(name, "its header is cut off or not one of an MGH file");
  const Header header(text);
  Volume volume;
  volume.type = TypeOf(header.Int(20), name);
  volume.frames = header.Int(16);
  volume.geometry = ReadGrid(header, name, volume);
  const auto& size = volume.geometry.size;
  const uint64_t bytes =
      CheckedByteCount({size[0], size[1], size[2], volume.frames}, SizeOf(volume.type), name);
  if (source.capacity() < kHeaderBytes || source.capacity() - kHeaderBytes < bytes) {
    ThrowTooShort(name, source.capacity(), kHeaderBytes + bytes, source.compressed());
  }
  auto shown = std::make_shared<FieldsHeader>("MGH", true);
  shown->Add("type", std::to_string(header.Int(20)));
  shown->Add("good RAS", std::to_string(header.Short(28)));
  volume.source = shown;
  if (!voxels) return volume;
  if (source.Append(volume.data, bytes) != bytes) {
    ThrowTooShort(name, source.position(), kHeaderBytes + bytes);
  }
  source.Finish(size_t{1} << 20);  // tags, then the checksum
  SwapValues(volume.data, SizeOf(volume.type));
  NoteNonFinite(volume);
  return volume;
}

class Mgh final : public Format {
 public:
  const char* Name() const override { return "MGH"; }
  std::vector<std::string> Extensions() const override { return {".mgz", ".mgh", ".mgh.gz"}; }
  bool Recognises(const fs::path&, std::string_view head) const override {
    return LooksLikeMgh(head);
  }
  Volume Read(const fs::path& path) const override { return ReadPart(path, true); }
  Volume ReadInformation(const fs::path& path) const override { return ReadPart(path, false); }
};

}  // namespace

const Format& MghFormat() {
  static const Mgh format;
  return format;
}

}  // namespace avocet::io
