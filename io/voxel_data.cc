// SPDX-License-Identifier: Apache-2.0
#include "io/voxel_data.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>
#include <optional>
#include <type_traits>

#include "app/base/error.h"
#include "io/deflate.h"

namespace avocet::io {
namespace {

// How far past the voxels a packed stream is unpacked to reach its checksum.
constexpr size_t kTrailingMargin = size_t{64} << 10;
// The longest beginning that "byte skip: -1" may leave out of a packed file.
constexpr uint64_t kLongestSkip = uint64_t{64} << 20;
// Fewer bytes are unpacked as fast piece by piece.
constexpr uint64_t kWorthwhile = uint64_t{64} << 10;

// Calls f with a value of the C++ type of `type`.
template <typename F>
auto WithType(VoxelType type, F&& f) {
  switch (type) {
    case VoxelType::kUInt8:
      return f(uint8_t{});
    case VoxelType::kInt8:
      return f(int8_t{});
    case VoxelType::kUInt16:
      return f(uint16_t{});
    case VoxelType::kInt16:
      return f(int16_t{});
    case VoxelType::kUInt32:
      return f(uint32_t{});
    case VoxelType::kInt32:
      return f(int32_t{});
    case VoxelType::kUInt64:
      return f(uint64_t{});
    case VoxelType::kInt64:
      return f(int64_t{});
    case VoxelType::kFloat32:
      return f(float{});
    case VoxelType::kFloat64:
      break;
  }
  return f(double{});
}

}  // namespace

void SwapValues(std::vector<std::byte>& data, size_t width) {
  const auto swap_all = [&](auto tag, auto swap) {
    using T = decltype(tag);
    for (size_t at = 0; at + sizeof(T) <= data.size(); at += sizeof(T)) {
      T value;
      std::memcpy(&value, data.data() + at, sizeof value);
      value = swap(value);
      std::memcpy(data.data() + at, &value, sizeof value);
    }
  };
  if (width == 2) swap_all(uint16_t{}, [](uint16_t v) { return __builtin_bswap16(v); });
  if (width == 4) swap_all(uint32_t{}, [](uint32_t v) { return __builtin_bswap32(v); });
  if (width == 8) swap_all(uint64_t{}, [](uint64_t v) { return __builtin_bswap64(v); });
}

void NoteNonFinite(Volume& volume) {
  int64_t nan = 0;
  int64_t infinite = 0;
  const auto count_in = [&](const auto* values) {
    for (int64_t i = 0, count = volume.ValueCount(); i < count; ++i) {
      nan += std::isnan(values[i]);
      infinite += std::isinf(values[i]);
    }
  };
  if (volume.type == VoxelType::kFloat32) count_in(volume.As<float>());
  if (volume.type == VoxelType::kFloat64) count_in(volume.As<double>());
  const auto add = [&](int64_t count, const char* what) {
    if (count == 0) return;
    volume.notes.push_back(std::to_string(count) + (count == 1 ? " value is " : " values are ") +
                           what);
  };
  add(nan, "not a number (NaN)");
  add(infinite, "infinite");
}

void ThrowTooShort(const std::string& name, uint64_t held, uint64_t needed, bool claimed) {
  throw IoError("cannot read '" + name + "': its header asks for " + std::to_string(needed) +
                " bytes, but the file " + (claimed ? "can hold at most " : "holds ") +
                std::to_string(held) + "; it is cut off or its header is damaged");
}

uint64_t CheckedByteCount(const std::vector<int64_t>& sizes, uint64_t width,
                          const std::string& name) {
  auto bytes = static_cast<int64_t>(width);
  for (size_t axis = 0; axis < sizes.size(); ++axis) {
    if (sizes[axis] < 1) {
      throw IoError("cannot read '" + name + "': its header gives a size of " +
                    std::to_string(sizes[axis]) + " along axis " + std::to_string(axis + 1) +
                    "; the header is damaged");
    }
    if (__builtin_mul_overflow(bytes, sizes[axis], &bytes)) {
      throw IoError("cannot read '" + name +
                    "': its header claims more voxels than any file can hold; it is damaged");
    }
  }
  return static_cast<uint64_t>(bytes);
}

std::array<double, 3> NormalAxis(const std::array<double, 3>& a, const std::array<double, 3>& b,
                                 double length) {
  std::array<double, 3> normal{};
  for (int i = 0; i < 3; ++i) {
    const int j = (i + 1) % 3;
    const int k = (i + 2) % 3;
    normal[i] = a[j] * b[k] - a[k] * b[j];
  }
  const double norm = std::hypot(normal[0], normal[1], normal[2]);
  for (double& x : normal) x *= length / norm;
  return normal;
}

Geometry GeometryFromAxes(const std::array<int64_t, 3>& size,
                          const std::array<std::array<double, 3>, 3>& axes,
                          const std::array<double, 3>& origin, const std::string& name,
                          std::vector<std::string>* notes) {
  Geometry geometry;
  geometry.size = size;
  for (int axis = 0; axis < 3; ++axis) {
    const double norm = std::hypot(axes[axis][0], axes[axis][1], axes[axis][2]);
    if (!(norm > 1e-9 && norm < 1e9)) {
      throw IoError("cannot read '" + name + "': the direction of its axis " +
                    std::to_string(axis + 1) + " is not a valid vector; the header is damaged");
    }
    geometry.spacing[axis] = norm;
    for (int row = 0; row < 3; ++row) {
      geometry.direction[row * 3 + axis] = axes[axis][row] / norm + 0.0;  // no "-0"
    }
  }
  for (int row = 0; row < 3; ++row) {
    if (!(std::abs(origin[row]) < 1e12)) {
      throw IoError("cannot read '" + name +
                    "': the position of its first voxel is not a valid point; the header is "
                    "damaged");
    }
    geometry.origin[row] = origin[row] + 0.0;
  }
  const auto& d = geometry.direction;
  const double det = d[0] * (d[4] * d[8] - d[5] * d[7]) - d[1] * (d[3] * d[8] - d[5] * d[6]) +
                     d[2] * (d[3] * d[7] - d[4] * d[6]);
  if (!(std::abs(det) > 1e-4)) {
    throw IoError("cannot read '" + name +
                  "': the directions of its axes lie in one plane; the header is damaged");
  }
  if (!geometry.IsOrthonormal() && notes) {
    double largest = 0;
    for (int a = 0; a < 3; ++a) {
      for (int b = a + 1; b < 3; ++b) {
        double dot = 0;
        for (int row = 0; row < 3; ++row) dot += d[row * 3 + a] * d[row * 3 + b];
        largest = std::max(largest, std::abs(std::asin(std::clamp(dot, -1.0, 1.0))));
      }
    }
    char text[32];
    std::snprintf(text, sizeof text, "%.3g", largest * 180 / M_PI);
    notes->push_back(std::string("the axes are sheared by up to ") + text +
                     " degrees; the affine is kept as it is");
  }
  return geometry;
}

std::vector<std::byte> PermuteAxes(const std::vector<std::byte>& data,
                                   const std::vector<int64_t>& sizes, const std::vector<int>& order,
                                   size_t width) {
  const size_t n = sizes.size();
  std::vector<size_t> old_stride(n);
  size_t stride = width;
  for (size_t a = 0; a < n; ++a) {
    old_stride[a] = stride;
    stride *= static_cast<size_t>(sizes[a]);
  }
  std::vector<std::byte> turned(data.size());
  std::vector<int64_t> index(n, 0);
  size_t from = 0;
  for (size_t to = 0; to + width <= turned.size(); to += width) {
    std::memcpy(turned.data() + to, data.data() + from, width);
    for (size_t a = 0; a < n; ++a) {  // the next index, first new axis fastest
      const auto old_axis = static_cast<size_t>(order[a]);
      from += old_stride[old_axis];
      if (++index[a] < sizes[old_axis]) break;
      from -= old_stride[old_axis] * static_cast<size_t>(sizes[old_axis]);
      index[a] = 0;
    }
  }
  return turned;
}

namespace {

// One file's part of the voxels, appended to `data`.
void ReadPart(FileStream& file, const VoxelFiles& where, uint64_t bytes, bool to_file_end,
              std::vector<std::byte>& data, std::vector<std::string>* notes) {
  const std::string name = file.name();
  std::string line;
  for (int64_t i = 0; i < where.line_skip; ++i) {
    if (!file.ReadLine(line, size_t{1} << 20)) {
      throw IoError("cannot read '" + name + "': it has fewer lines than its header skips");
    }
  }
  std::vector<std::byte> packed;
  std::optional<MemoryStream> rest;
  Stream* stream = &file;
  if (where.packing == Packing::kDeflate && where.byte_skip == 0 && !file.compressed() &&
      bytes >= kWorthwhile && WorthInflatingAtOnce(file.Capacity(), bytes)) {
    AppendFrom(file, packed, file.Capacity(), name);
    const size_t start = data.size();
    data.resize(start + bytes);
    const bool gzip = !packed.empty() && packed[0] == std::byte{0x1f};
    const Inflated all =
        InflateAtOnce(packed.data(), packed.size(), gzip ? Deflate::kGzip : Deflate::kZlib,
                      data.data() + start, bytes);
    const bool whole = all.ok && all.produced == bytes;
    // Another gzip member may follow; otherwise that was all.
    if (whole && (!gzip || all.used == packed.size() || packed[all.used] != std::byte{0x1f})) {
      return;
    }
    data.resize(start);
    rest.emplace(packed.data(), packed.size());
    stream = &*rest;
  }
  std::unique_ptr<Stream> unpacker;
  if (where.packing != Packing::kNone) {
    unpacker = Unpack(*stream, where.packing, name);
    stream = unpacker.get();
  }
  const bool claimed = unpacker || file.compressed();
  const uint64_t skip = where.byte_skip > 0 ? static_cast<uint64_t>(where.byte_skip) : 0;
  uint64_t end = 0;
  if (__builtin_add_overflow(skip, bytes, &end) || end > stream->Capacity()) {
    ThrowTooShort(name, stream->Capacity(), end, claimed);
  }
  const size_t start = data.size();
  if (where.byte_skip == -1 && claimed) {
    // The length of what is packed is known only at its end.
    const uint64_t got = AppendFrom(*stream, data, bytes + kLongestSkip, name);
    if (got < bytes) ThrowTooShort(name, got, bytes);
    if (SkipIn(*stream, 1) > 0) {
      throw IoError(
          "cannot read '" + name +
          "': more than 64 MB stand before its voxels; state the number with 'byte skip'");
    }
    data.erase(data.begin() + static_cast<ptrdiff_t>(start),
               data.begin() + static_cast<ptrdiff_t>(start + (got - bytes)));
    return;
  }
  const uint64_t before = where.byte_skip == -1 ? stream->Capacity() - bytes : skip;
  const uint64_t skipped = SkipIn(*stream, before);
  if (skipped < before) ThrowTooShort(name, skipped, before + bytes);
  const uint64_t got = AppendFrom(*stream, data, bytes, name);
  if (got < bytes) ThrowTooShort(name, before + got, before + bytes);
  if (!to_file_end) return;
  // Reaching the end checks the sums of a packed stream.
  if (SkipIn(*stream, kTrailingMargin) > 0) {
    const std::string note = "the file is longer than its header says; the rest is ignored";
    if (notes && std::find(notes->begin(), notes->end(), note) == notes->end()) {
      notes->push_back(note);
    }
  }
}

}  // namespace

std::vector<std::byte> ReadVoxelFiles(const VoxelFiles& where, FileStream& attached,
                                      const std::string& name, std::vector<std::string>* notes) {
  std::vector<std::byte> data;
  if (where.files.empty()) {
    ReadPart(attached, where, where.bytes, true, data, notes);
    return data;
  }
  if (where.bytes % where.files.size() != 0) {
    throw IoError("cannot read '" + name + "': its voxels do not divide evenly among its " +
                  std::to_string(where.files.size()) + " voxel files; the header is damaged");
  }
  for (const auto& path : where.files) {
    FileStream file(path, false);
    ReadPart(file, where, where.bytes / where.files.size(), true, data, notes);
  }
  return data;
}

std::vector<std::byte> ReadTextVoxels(Stream& text, VoxelType type, uint64_t count,
                                      const std::string& name) {
  // A number and its separator are two characters at least.
  if (count > text.Capacity() / 2 + 1) {
    throw IoError("cannot read '" + name + "': its header asks for " + std::to_string(count) +
                  " numbers, more than its text can hold; it is cut off or its header is damaged");
  }
  return WithType(type, [&](auto tag) {
    using T = decltype(tag);
    std::vector<std::byte> data;
    std::vector<char> block(size_t{1} << 16);
    std::string word;
    uint64_t done = 0;
    const auto refuse_word = [&] {
      for (char& c : word) {
        if (static_cast<unsigned char>(c) < 32 || static_cast<unsigned char>(c) > 126) c = '?';
      }
      throw IoError("cannot read '" + name + "': '" + word + "', value " +
                    std::to_string(done + 1) + " of its text, is not a number of type " +
                    NameOf(type));
    };
    const auto finish_word = [&] {
      if (word.empty()) return;
      const size_t sign = word[0] == '+' ? 1 : 0;
      T value{};
      const auto result = std::from_chars(word.data() + sign, word.data() + word.size(), value);
      if (result.ec != std::errc() || result.ptr != word.data() + word.size()) refuse_word();
      word.clear();
      const size_t at = data.size();
      data.resize(at + sizeof value);
      std::memcpy(data.data() + at, &value, sizeof value);
      ++done;
    };
    while (done < count) {
      const size_t got = text.Read(block.data(), block.size());
      if (got == 0) break;
      for (size_t i = 0; i < got && done < count; ++i) {
        const char c = block[i];
        if (c == ' ' || c == '\n' || c == '\t' || c == '\r' || c == ',' || c == '\0') {
          finish_word();
        } else {
          word.push_back(c);
          if (word.size() > 60) refuse_word();
        }
      }
    }
    if (done < count) finish_word();
    if (done < count) {
      throw IoError("cannot read '" + name + "': its header asks for " + std::to_string(count) +
                    " numbers, but its text holds " + std::to_string(done) +
                    "; it is cut off or its header is damaged");
    }
    return data;
  });
}

std::vector<std::byte> ReadHexVoxels(Stream& text, uint64_t bytes, const std::string& name) {
  if (bytes > text.Capacity() / 2) ThrowTooShort(name, text.Capacity() / 2, bytes, true);
  std::vector<std::byte> data;
  std::vector<char> block(size_t{1} << 16);
  int high = -1;
  while (data.size() < bytes) {
    const size_t got = text.Read(block.data(), block.size());
    if (got == 0) ThrowTooShort(name, data.size(), bytes);
    for (size_t i = 0; i < got && data.size() < bytes; ++i) {
      const char c = block[i];
      if (c == ' ' || c == '\n' || c == '\t' || c == '\r') continue;
      int digit = -1;
      if (c >= '0' && c <= '9') digit = c - '0';
      if (c >= 'a' && c <= 'f') digit = c - 'a' + 10;
      if (c >= 'A' && c <= 'F') digit = c - 'A' + 10;
      if (digit < 0) {
        throw IoError("cannot read '" + name +
                      "': its voxels hold something that is no hexadecimal digit");
      }
      if (high < 0) {
        high = digit;
      } else {
        data.push_back(static_cast<std::byte>(high << 4 | digit));
        high = -1;
      }
    }
  }
  return data;
}

Volume WithRealValues(const Volume& volume) {
  Volume real;
  real.geometry = volume.geometry;
  real.components = volume.components;
  real.frames = volume.frames;
  real.modality = volume.modality;
  const double slope = volume.scaling.slope;
  const double inter = volume.scaling.inter;
  const auto count = static_cast<size_t>(volume.ValueCount());
  WithType(volume.type, [&](auto tag) {
    using From = decltype(tag);
    const From* from = volume.As<From>();
    const auto fill = [&](auto target) {
      using To = decltype(target);
      real.data.resize(count * sizeof(To));
      To* to = real.As<To>();
      for (size_t i = 0; i < count; ++i) {
        to[i] = static_cast<To>(static_cast<double>(from[i]) * slope + inter);
      }
      return 0;
    };
    if (std::is_integral_v<From> && slope == std::floor(slope) && inter == std::floor(inter)) {
      double low = std::numeric_limits<double>::infinity();
      double high = -low;
      for (size_t i = 0; i < count; ++i) {
        const double value = static_cast<double>(from[i]) * slope + inter;
        low = std::min(low, value);
        high = std::max(high, value);
      }
      for (const VoxelType type : {VoxelType::kUInt8, VoxelType::kInt16, VoxelType::kUInt16,
                                   VoxelType::kInt32, VoxelType::kUInt32}) {
        const bool fits = WithType(type, [&](auto target) {
          using To = decltype(target);
          return low >= static_cast<double>(std::numeric_limits<To>::lowest()) &&
                 high <= static_cast<double>(std::numeric_limits<To>::max());
        });
        if (!fits) continue;
        real.type = type;
        return WithType(type, fill);
      }
    }
    real.type = sizeof(From) >= 4 && !std::is_same_v<From, float> ? VoxelType::kFloat64
                                                                  : VoxelType::kFloat32;
    return WithType(real.type, fill);
  });
  return real;
}

}  // namespace avocet::io
