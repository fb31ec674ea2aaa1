// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <optional>

#include "app/base/error.h"
#include "io/byte_source.h"
#include "io/nifti.h"
#include "io/nifti_layout.h"
#include "io/voxel_data.h"

namespace avocet::io {
namespace fs = std::filesystem;
namespace {

using Version = NiftiSource::Version;

// How far past the voxels a gzip stream is unpacked to reach its checksum.
constexpr size_t kTrailingMargin = size_t{64} << 10;

struct VoxelLayout {
  VoxelType type;
  int components;
  bool is_complex = false;  // pairs of real and imaginary part, of which the magnitude is taken
};

VoxelLayout LayoutOf(int datatype, const std::string& name) {
  switch (datatype) {
    case NIFTI_TYPE_UINT8:
      return {VoxelType::kUInt8, 1};
    case NIFTI_TYPE_INT8:
      return {VoxelType::kInt8, 1};
    case NIFTI_TYPE_UINT16:
      return {VoxelType::kUInt16, 1};
    case NIFTI_TYPE_INT16:
      return {VoxelType::kInt16, 1};
    case NIFTI_TYPE_UINT32:
      return {VoxelType::kUInt32, 1};
    case NIFTI_TYPE_INT32:
      return {VoxelType::kInt32, 1};
    case NIFTI_TYPE_UINT64:
      return {VoxelType::kUInt64, 1};
    case NIFTI_TYPE_INT64:
      return {VoxelType::kInt64, 1};
    case NIFTI_TYPE_FLOAT32:
      return {VoxelType::kFloat32, 1};
    case NIFTI_TYPE_FLOAT64:
      return {VoxelType::kFloat64, 1};
    case NIFTI_TYPE_RGB24:
      return {VoxelType::kUInt8, 3};
    case NIFTI_TYPE_RGBA32:
      return {VoxelType::kUInt8, 4};
    case NIFTI_TYPE_COMPLEX64:
      return {VoxelType::kFloat32, 1, true};
    case NIFTI_TYPE_COMPLEX128:
      return {VoxelType::kFloat64, 1, true};
    case NIFTI_TYPE_COMPLEX256:
      throw IoError("cannot read '" + name +
                    "': its voxels are complex numbers of 256 bits; save the magnitude as float32 "
                    "first");
    case 1:
      throw IoError("cannot read '" + name +
                    "': its voxels are single bits; convert it to uint8 first");
    case NIFTI_TYPE_FLOAT128:
      throw IoError("cannot read '" + name +
                    "': its voxels are 128-bit floats; convert it to float64 first");
    default:
      throw IoError("cannot read '" + name + "': its header names the unknown data type " +
                    std::to_string(datatype) + "; convert it to a standard type such as int16");
  }
}

// What follows the header: four bytes that say whether extensions exist, then each with its size
// (a multiple of 16) and code.
std::vector<NiftiSource::Extension> ParseExtensions(const std::vector<std::byte>& area, bool swap,
                                                    std::vector<std::string>& notes) {
  std::vector<NiftiSource::Extension> extensions;
  if (area.size() < 12 || area[0] == std::byte{0}) return extensions;
  size_t at = 4;
  while (at + 8 <= area.size()) {
    int32_t head[2];
    std::memcpy(head, area.data() + at, 8);
    if (swap) {
      for (int32_t& value : head) value = static_cast<int32_t>(__builtin_bswap32(value));
    }
    if (head[0] == 0) break;  // padding
    if (head[0] < 8 || static_cast<size_t>(head[0]) > area.size() - at) {
      notes.push_back("a header extension is damaged; it and those after it are ignored");
      break;
    }
    const auto* content = reinterpret_cast<const char*>(area.data() + at + 8);
    extensions.push_back({head[1], std::string(content, static_cast<size_t>(head[0]) - 8)});
    at += static_cast<size_t>(head[0]);
  }
  return extensions;
}

template <typename T>
void TakeMagnitude(std::vector<std::byte>& data) {
  const size_t count = data.size() / (2 * sizeof(T));
  auto* values = reinterpret_cast<T*>(data.data());
  for (size_t i = 0; i < count; ++i) values[i] = std::hypot(values[2 * i], values[2 * i + 1]);
  data.resize(count * sizeof(T));
}

std::string LowerExtension(const fs::path& path) {
  std::string extension = path.extension().string();
  std::transform(extension.begin(), extension.end(), extension.begin(),
                 [](unsigned char c) { return std::tolower(c); });
  return extension;
}

// "x.hdr.gz" -> ".hdr".
std::string InnerExtension(const fs::path& path) {
  return LowerExtension(LowerExtension(path) == ".gz" ? path.stem() : path);
}

// The other half of a .hdr/.img pair: same name in either letter case; compressed like the given
// half when both kinds are there.
std::optional<fs::path> FindPartner(const fs::path& path, const std::string& wanted) {
  const bool gzip = LowerExtension(path) == ".gz";
  const fs::path inner = gzip ? fs::path(path).replace_extension() : path;
  std::string upper = wanted;
  std::transform(upper.begin(), upper.end(), upper.begin(),
                 [](unsigned char c) { return std::toupper(c); });
  for (const bool packed : {gzip, !gzip}) {
    for (const std::string& extension : {wanted, upper}) {
      for (const char* suffix : packed ? std::array{".gz", ".GZ"} : std::array{"", ""}) {
        fs::path candidate = inner;
        candidate.replace_extension(extension + suffix);
        std::error_code error;
        if (fs::is_regular_file(candidate, error)) return candidate;
      }
    }
  }
  return std::nullopt;
}

// dim[4..7] as one axis.
int64_t CountFrames(const nifti_2_header& h, const std::string& name,
                    std::vector<std::string>& notes) {
  int64_t frames = 1;
  bool several = false;
  for (int i = 4; i <= h.dim[0]; ++i) {
    const int64_t extent = std::max<int64_t>(h.dim[i], h.dim[i] == 0 ? 1 : h.dim[i]);
    if (extent < 0 || __builtin_mul_overflow(frames, extent, &frames)) {
      throw IoError("cannot read '" + name + "': its header gives a size of " +
                    std::to_string(h.dim[i]) + " along axis " + std::to_string(i) +
                    "; the header is damaged");
    }
    several = several || (i > 4 && extent > 1);
  }
  if (several) {
    notes.push_back(
        "the image has more than four dimensions; those from the fourth on are read as " +
        std::to_string(frames) + " frames");
  }
  return frames;
}

ValueScaling ReadScaling(const nifti_2_header& h, Version version,
                         std::vector<std::string>& notes) {
  ValueScaling scaling;
  // Writers say "no scaling" as 0 or NaN.
  if (std::isinf(h.scl_slope)) notes.push_back("scl_slope is infinite; values are not scaled");
  if (!std::isfinite(h.scl_slope) || h.scl_slope == 0) return scaling;
  scaling.slope = h.scl_slope;
  if (version == Version::kAnalyze) return scaling;  // SPM's scale factor; there is no offset
  if (std::isfinite(h.scl_inter)) {
    scaling.inter = h.scl_inter;
  } else {
    notes.push_back("scl_inter is not a number; 0 is used");
  }
  return scaling;
}

}  // namespace

Volume ReadNifti(const fs::path& path, bool voxels) {
  const std::string extension = InnerExtension(path);
  fs::path header_path = path;
  if (extension == ".img") {
    const auto partner = FindPartner(path, ".hdr");
    if (!partner) {
      throw IoError("cannot read '" + path.string() +
                    "': its header file (.hdr) is not beside it; copy both files together");
    }
    header_path = *partner;
  }
  const std::string name = header_path.string();
  auto stream = std::make_unique<ByteSource>(header_path);
  std::vector<std::byte> bytes;
  stream->Append(bytes, 348);
  int32_t first = 0;
  if (bytes.size() >= 4) std::memcpy(&first, bytes.data(), 4);
  const bool wide = first == 540 || __builtin_bswap32(static_cast<uint32_t>(first)) == 540;
  if (wide) stream->Append(bytes, 540 - 348);
  const bool pair_name = InnerExtension(header_path) == ".hdr";
  const std::shared_ptr<NiftiSource> source = ParseNiftiHeader(bytes, name, pair_name);
  if (!source) {
    throw IoError("cannot read '" + name + "': it is not a NIfTI" +
                  (pair_name ? " or ANALYZE" : "") + " file, whatever its name says");
  }

  const nifti_2_header& h = source->header();
  Volume volume;
  volume.geometry = source->ReadGeometry(name, &volume.notes, &volume.assumed);
  volume.frames = CountFrames(h, name, volume.notes);
  const VoxelLayout layout = LayoutOf(h.datatype, name);
  volume.type = layout.type;
  volume.components = layout.components;
  if (layout.is_complex) {
    volume.notes.push_back(
        "its voxels are complex numbers; their magnitude is read, the phase and a scaling are not");
  } else if (layout.components == 1) {
    volume.scaling = ReadScaling(h, source->version(), volume.notes);
  }

  const auto width = static_cast<int64_t>(SizeOf(layout.type));
  const int64_t voxel_bytes = width * layout.components * (layout.is_complex ? 2 : 1);
  int64_t needed = voxel_bytes;
  for (const int64_t extent :
       {volume.geometry.size[0], volume.geometry.size[1], volume.geometry.size[2], volume.frames}) {
    if (__builtin_mul_overflow(needed, extent, &needed)) {
      throw IoError("cannot read '" + name +
                    "': its header claims more voxels than any file can hold; it is damaged");
    }
  }
  if (h.bitpix != 8 * voxel_bytes) {
    volume.notes.push_back("the header says " + std::to_string(h.bitpix) +
                           " bits a voxel, which does not fit its data type; the type is used");
  }

  const bool single = source->version() != Version::kAnalyze && h.magic[1] == '+';
  const int64_t header_end = wide ? 540 : 348;
  int64_t offset = h.vox_offset;
  if (single && offset == 0) {
    offset = header_end + 4;
    volume.notes.push_back(
        "the header does not say where the voxels begin; they are read from "
        "directly behind it");
  }
  if (offset < (single ? header_end : 0)) {
    throw IoError("cannot read '" + name + "': its header says that the voxels begin at byte " +
                  std::to_string(offset) + ", inside the header; it is damaged");
  }

  // Extensions: up to the voxels in a single file, up to the end of a .hdr.
  std::vector<std::byte> area;
  if (single) {
    int64_t end = 0;
    if (__builtin_add_overflow(offset, needed, &end) ||
        static_cast<uint64_t>(end) > stream->capacity()) {
      ThrowTooShort(name, stream->capacity(), static_cast<uint64_t>(offset) + needed,
                    stream->compressed());
    }
    const auto area_size = static_cast<uint64_t>(offset - header_end);
    if (stream->Append(area, area_size) != area_size) {
      ThrowTooShort(name, stream->position(), static_cast<uint64_t>(end));
    }
  } else {
    if (source->version() != Version::kAnalyze) stream->Append(area, size_t{16} << 20);
    stream->Finish(kTrailingMargin);
    const auto partner = FindPartner(header_path, ".img");
    if (!partner) {
      throw IoError("cannot read '" + name +
                    "': its voxel file (.img) is not beside it; copy both files together");
    }
    stream = std::make_unique<ByteSource>(extension == ".img" ? path : *partner);
    const std::string image_name = stream->path().string();
    int64_t end = 0;
    if (__builtin_add_overflow(offset, needed, &end) ||
        static_cast<uint64_t>(end) > stream->capacity()) {
      ThrowTooShort(image_name, stream->capacity(), static_cast<uint64_t>(offset) + needed,
                    stream->compressed());
    }
    std::vector<std::byte> skipped;
    if (stream->Append(skipped, static_cast<uint64_t>(offset)) != static_cast<uint64_t>(offset)) {
      ThrowTooShort(image_name, stream->position(), static_cast<uint64_t>(end));
    }
  }
  source->set_extensions(ParseExtensions(area, source->big_endian(), volume.notes));

  if (voxels) {
    const uint64_t got = stream->Append(volume.data, static_cast<uint64_t>(needed));
    if (got != static_cast<uint64_t>(needed)) {
      ThrowTooShort(stream->path().string(), stream->position(),
                    static_cast<uint64_t>(offset) + needed);
    }
    if (stream->Finish(kTrailingMargin)) {
      volume.notes.push_back("the file is longer than its header says; the rest is ignored");
    }
  }
  NoteIfComputed(std::string_view(h.descrip, strnlen(h.descrip, sizeof h.descrip)), volume);
  if (voxels) {
    if (source->big_endian()) SwapValues(volume.data, static_cast<size_t>(width));
    if (layout.is_complex && layout.type == VoxelType::kFloat32) TakeMagnitude<float>(volume.data);
    if (layout.is_complex && layout.type == VoxelType::kFloat64) TakeMagnitude<double>(volume.data);
    NoteNonFinite(volume);
  }
  volume.source = source;
  return volume;
}

}  // namespace avocet::io
