// SPDX-License-Identifier: Apache-2.0
// NumPy's .npy and .npz (numpy.lib.format, versions 1 to 3; zip by PKWARE's APPNOTE with zip64).
// Nothing is executed: arrays of Python objects (pickles) are refused.
#include <zlib.h>

#include <algorithm>
#include <cstring>
#include <optional>

#include "app/base/error.h"
#include "io/array_volume.h"
#include "io/byte_source.h"
#include "io/deflate.h"
#include "io/format_list.h"
#include "io/header_text.h"
#include "io/voxel_data.h"

namespace avocet::io {
namespace fs = std::filesystem;
namespace {

constexpr size_t kLongestNpyHeader = size_t{1} << 16;

// The value behind 'key': in the header's dictionary, up to `end`.
std::string_view DictValue(std::string_view dict, const char* key, std::string_view end) {
  const size_t at = dict.find(std::string("'") + key + "'");
  if (at == dict.npos) return {};
  const size_t colon = dict.find(':', at);
  if (colon == dict.npos) return {};
  const size_t stop = dict.find_first_of(end, colon + 1);
  return Trim(dict.substr(colon + 1, stop == dict.npos ? dict.npos : stop - colon - 1));
}

struct NpyHeader {
  ArrayInfo info;
  bool fortran = false;
  bool swap = false;
  bool half = false;  // float16, widened to float32
  size_t stored_width = 0;
  size_t data_offset = 0;
};

// Of the first bytes of a .npy; `info.unusable` says what is wrong.
NpyHeader ParseNpy(const std::vector<std::byte>& head, const std::string& name) {
  NpyHeader header;
  header.info.name = name;
  const auto wrong = [&](const std::string& why) {
    header.info.unusable = why;
    return header;
  };
  const std::string_view text(reinterpret_cast<const char*>(head.data()), head.size());
  if (text.size() < 12 || text.substr(0, 6) != "\x93NUMPY") return wrong("is no NumPy array");
  const bool wide = text[6] != 1;
  uint32_t length = 0;
  std::memcpy(&length, text.data() + 8, wide ? 4 : 2);
  header.data_offset = (wide ? 12 : 10) + static_cast<size_t>(length);
  if (text[6] < 1 || text[6] > 3) return wrong("has an unknown version of NumPy's format");
  if (length > kLongestNpyHeader) return wrong("has a damaged header (it is too long)");
  if (header.data_offset > text.size()) return wrong("is cut off inside its header");
  const std::string_view dict = text.substr(wide ? 12 : 10, length);

  std::string_view descr = DictValue(dict, "descr", ",}");
  if (descr.size() < 4 || (descr[0] != '\'' && descr[0] != '"')) {
    return wrong("is a table of several types, which is no image");
  }
  descr = descr.substr(1, descr.size() - 2);
  const char order = descr[0];
  const std::string kind(descr.substr(1));
  if (kind[0] == 'O') {
    return wrong("holds pickled Python objects, which are never loaded; save plain numbers");
  }
  struct Kind {
    const char* text;
    VoxelType type;
    size_t width;
  };
  static constexpr Kind kKinds[] = {{"b1", VoxelType::kUInt8, 1},   {"u1", VoxelType::kUInt8, 1},
                                    {"i1", VoxelType::kInt8, 1},    {"u2", VoxelType::kUInt16, 2},
                                    {"i2", VoxelType::kInt16, 2},   {"u4", VoxelType::kUInt32, 4},
                                    {"i4", VoxelType::kInt32, 4},   {"u8", VoxelType::kUInt64, 8},
                                    {"i8", VoxelType::kInt64, 8},   {"f2", VoxelType::kFloat32, 2},
                                    {"f4", VoxelType::kFloat32, 4}, {"f8", VoxelType::kFloat64, 8}};
  const auto* known = std::find_if(std::begin(kKinds), std::end(kKinds),
                                   [&](const Kind& candidate) { return kind == candidate.text; });
  if (known == std::end(kKinds) || std::string_view("<>|=").find(order) == std::string_view::npos) {
    return wrong("is of a type that is no image's");
  }
  header.info.type = known->type;
  header.stored_width = known->width;
  header.half = kind == "f2";
  header.swap = order == '>';
  const std::string_view fortran = DictValue(dict, "fortran_order", ",}");
  if (fortran != "True" && fortran != "False") return wrong("has a damaged header (order)");
  header.fortran = fortran == "True";
  std::string_view shape = DictValue(dict, "shape", ")");
  if (shape.empty() || shape[0] != '(') return wrong("has a damaged header (shape)");
  shape.remove_prefix(1);
  while (!Trim(shape).empty()) {
    const size_t comma = shape.find(',');
    std::string_view number = Trim(shape.substr(0, comma));
    if (!number.empty() && number.back() == 'L') number.remove_suffix(1);  // Python 2
    const auto size = ParseInteger(number);
    if (!size || *size < 0) return wrong("has a damaged header (shape)");
    header.info.shape.push_back(*size);
    shape = comma == shape.npos ? std::string_view() : shape.substr(comma + 1);
  }
  if (header.info.shape.size() < 2 || header.info.shape.size() > 4) {
    return wrong("has " + std::to_string(header.info.shape.size()) +
                 " dimensions; an image has two to four");
  }
  return header;
}

// The values behind the header, in C order and in our types.
Volume FinishNpy(NpyHeader header, std::vector<std::byte> data, const std::string& file,
                 std::vector<std::string> notes, bool npz, bool voxels) {
  if (header.swap) SwapValues(data, header.stored_width);
  if (header.half && voxels) {
    std::vector<std::byte> widened(data.size() * 2);
    for (size_t i = 0; 2 * i + 1 < data.size(); ++i) {
      uint16_t half = 0;
      std::memcpy(&half, data.data() + 2 * i, 2);
      const float value = FloatFromHalf(half);
      std::memcpy(widened.data() + 4 * i, &value, 4);
    }
    data = std::move(widened);
    notes.push_back("its 16-bit floats are widened to 32 bits");
  }
  if (header.fortran && voxels) {
    const auto n = static_cast<int>(header.info.shape.size());
    std::vector<int> order;
    for (int i = n - 1; i >= 0; --i) order.push_back(i);
    data = PermuteAxes(data, header.info.shape, order, SizeOf(header.info.type));
  }
  auto shown = std::make_shared<FieldsHeader>(npz ? "NumPy npz" : "NumPy npy", header.swap);
  shown->Add("array", header.info.name);
  std::string shape;
  for (const int64_t size : header.info.shape)
    shape += (shape.empty() ? "" : " ") + std::to_string(size);
  shown->Add("shape", shape);
  shown->Add("fortran_order", header.fortran ? "True" : "False");
  Volume volume = VolumeFromArray(header.info, std::move(data), file, std::move(notes), voxels);
  volume.source = shown;
  return volume;
}

uint64_t StoredBytes(const NpyHeader& header, const std::string& file) {
  return CheckedByteCount(header.info.shape, header.stored_width, file);
}

class Npy final : public Format {
 public:
  const char* Name() const override { return "NumPy npy"; }
  std::vector<std::string> Extensions() const override { return {".npy"}; }
  bool Recognises(const fs::path&, std::string_view head) const override {
    return head.substr(0, 6) == "\x93NUMPY";
  }
  Volume Read(const fs::path& path) const override { return ReadPart(path, true); }
  Volume ReadInformation(const fs::path& path) const override { return ReadPart(path, false); }

 private:
  static Volume ReadPart(const fs::path& path, bool voxels) {
    const MemberPath where = SplitMember(path);
    const std::string name = path.string();
    ByteSource source(where.file);
    std::vector<std::byte> head;
    source.Append(head, 12 + kLongestNpyHeader);
    NpyHeader header = ParseNpy(head, "array");
    if (!header.info.unusable.empty()) {
      throw IoError("cannot read '" + name + "': it " + header.info.unusable);
    }
    const uint64_t bytes = StoredBytes(header, name);
    if (bytes > source.capacity())
      ThrowTooShort(name, source.capacity(), bytes, source.compressed());
    if (!voxels) return FinishNpy(std::move(header), {}, name, {}, false, false);
    std::vector<std::byte> data(head.begin() + static_cast<ptrdiff_t>(header.data_offset),
                                head.end());
    std::vector<std::string> notes;
    if (data.size() < bytes) source.Append(data, bytes - data.size());
    if (data.size() < bytes) ThrowTooShort(name, data.size(), bytes);
    if (data.size() > bytes || source.Finish(size_t{64} << 10)) {
      notes.push_back("the file is longer than its header says; the rest is ignored");
    }
    data.resize(bytes);
    return FinishNpy(std::move(header), std::move(data), name, std::move(notes), false, true);
  }
};

struct ZipEntry {
  std::string name;
  int method = 0;
  bool encrypted = false;
  uint64_t packed = 0;
  uint64_t size = 0;
  uint32_t crc = 0;
  uint64_t local = 0;  // offset of the local header
};

// An archive in memory. Offsets and lengths are checked against it before use.
class Zip {
 public:
  Zip(const std::vector<std::byte>& bytes, const std::string& name) : bytes_(bytes), name_(name) {
    ReadDirectory();
  }
  const std::vector<ZipEntry>& entries() const { return entries_; }

  // The first `limit` bytes of an entry, or all of it with its checksum compared.
  std::vector<std::byte> Unpacked(const ZipEntry& entry, uint64_t limit) const {
    if (entry.encrypted) Refuse("it is encrypted");
    if (entry.method != 0 && entry.method != 8) {
      Refuse("its arrays are packed by a method that is not read; use numpy.savez_compressed");
    }
    if (entry.size > entry.packed * 1032 || (entry.method == 0 && entry.size != entry.packed)) {
      Refuse("it claims more than it can hold; it is damaged");
    }
    if (At(entry.local, 30, 4) != 0x04034b50) Refuse("its directory is damaged");
    const uint64_t start =
        entry.local + 30 + At(entry.local + 26, 4, 2) + At(entry.local + 28, 2, 2);
    if (start > bytes_.size() || entry.packed > bytes_.size() - start) {
      Refuse("it is cut off; copy or download it again");
    }
    MemoryStream stored(bytes_.data() + start, entry.packed);
    std::unique_ptr<Stream> unpacker;
    if (entry.method == 8) unpacker = Unpack(stored, Packing::kRawDeflate, name_);
    Stream& stream = unpacker ? *unpacker : stored;
    std::vector<std::byte> data;
    const uint64_t wanted = std::min(limit, entry.size);
    if (unpacker && wanted == entry.size && WorthInflatingAtOnce(entry.packed, wanted)) {
      data.resize(wanted);
      const Inflated all = InflateAtOnce(bytes_.data() + start, entry.packed, Deflate::kRaw,
                                         data.data(), data.size());
      if (all.ok && all.produced == wanted) {
        CheckSum(entry, data);
        return data;
      }
      data.clear();
    }
    const uint64_t got = AppendFrom(stream, data, wanted, name_);
    if (got < wanted) Refuse("one of its arrays is cut off; copy or download it again");
    if (wanted == entry.size) {
      if (SkipIn(stream, 1) > 0) Refuse("one of its arrays is longer than it says; it is damaged");
      CheckSum(entry, data);
    }
    return data;
  }

 private:
  void CheckSum(const ZipEntry& entry, const std::vector<std::byte>& data) const {
    uLong crc = crc32_z(0, nullptr, 0);
    crc = crc32_z(crc, reinterpret_cast<const Bytef*>(data.data()), data.size());
    if (crc != entry.crc) {
      Refuse("the checksum of one of its arrays is wrong; copy or download it again");
    }
  }
  [[noreturn]] void Refuse(const std::string& why) const {
    throw IoError("cannot read '" + name_ + "': " + why);
  }
  // A little-endian number of `width` bytes, of a record of `record` bytes at `offset`.
  uint64_t At(uint64_t offset, uint64_t record, size_t width) const {
    if (offset > bytes_.size() || std::max<uint64_t>(record, width) > bytes_.size() - offset) {
      Refuse("its directory is cut off; copy or download it again");
    }
    uint64_t value = 0;
    std::memcpy(&value, bytes_.data() + offset, width);
    return value;
  }

  void ReadDirectory() {
    const uint64_t total = bytes_.size();
    uint64_t end = total;  // of the "end of central directory" record
    for (uint64_t back = 22; back <= std::min<uint64_t>(total, 22 + 65535); ++back) {
      if (At(total - back, 22, 4) == 0x06054b50) {
        end = total - back;
        break;
      }
    }
    if (end == total) Refuse("it is cut off (the directory at its end is missing)");
    uint64_t count = At(end + 10, 2, 2);
    uint64_t at = At(end + 16, 4, 4);
    if (end >= 20 && At(end - 20, 20, 4) == 0x07064b50) {
      const uint64_t wide = At(end - 12, 8, 8);
      if (At(wide, 56, 4) != 0x06064b50) Refuse("its directory is damaged");
      count = At(wide + 32, 8, 8);
      at = At(wide + 48, 8, 8);
    }
    if (count > 10000) Refuse("it holds more than 10000 arrays");
    for (uint64_t i = 0; i < count; ++i) {
      if (At(at, 46, 4) != 0x02014b50) Refuse("its directory is damaged");
      ZipEntry entry;
      entry.encrypted = (At(at + 8, 2, 2) & 1) != 0;
      entry.method = static_cast<int>(At(at + 10, 2, 2));
      entry.crc = static_cast<uint32_t>(At(at + 16, 4, 4));
      entry.packed = At(at + 20, 4, 4);
      entry.size = At(at + 24, 4, 4);
      const uint64_t name_length = At(at + 28, 2, 2);
      const uint64_t extra_length = At(at + 30, 2, 2);
      const uint64_t comment_length = At(at + 32, 2, 2);
      entry.local = At(at + 42, 4, 4);
      At(at + 46, name_length + extra_length + comment_length, 0);
      entry.name.assign(reinterpret_cast<const char*>(bytes_.data()) + at + 46, name_length);
      uint64_t extra = at + 46 + name_length;
      const uint64_t extra_end = extra + extra_length;
      while (extra + 4 <= extra_end) {
        const uint64_t id = At(extra, 4, 2);
        const uint64_t length = At(extra + 2, 2, 2);
        if (length > extra_end - extra - 4) break;
        uint64_t field = extra + 4;
        const uint64_t field_end = field + length;
        const auto widen = [&](uint64_t& value) {
          if (value != 0xffffffff || field + 8 > field_end) return;
          value = At(field, 8, 8);
          field += 8;
        };
        if (id == 1) {
          widen(entry.size);
          widen(entry.packed);
          widen(entry.local);
        }
        extra = field_end;
      }
      // Keeps the products and sums above in range.
      constexpr uint64_t kLimit = uint64_t{1} << 50;
      if (entry.packed > kLimit || entry.size > kLimit || entry.local > kLimit) {
        Refuse("its directory is damaged");
      }
      entries_.push_back(entry);
      at += 46 + name_length + extra_length + comment_length;
    }
  }

  const std::vector<std::byte>& bytes_;
  std::string name_;
  std::vector<ZipEntry> entries_;
};

class Npz final : public Format {
 public:
  const char* Name() const override { return "NumPy npz"; }
  std::vector<std::string> Extensions() const override { return {".npz"}; }
  // Other zip archives (.zip, .pth) begin alike; npz holds .npy files only.
  bool Recognises(const fs::path& path, std::string_view head) const override {
    if (head.substr(0, 4) != std::string_view("PK\3\4", 4) || head.size() < 34) return false;
    const size_t length = static_cast<unsigned char>(head[26]) +
                          256 * static_cast<size_t>(static_cast<unsigned char>(head[27]));
    const std::string_view first = head.substr(30, length);
    return (first.size() > 4 && first.substr(first.size() - 4) == ".npy") ||
           VolumeExtension(path) == ".npz";
  }
  Volume Read(const fs::path& path) const override { return ReadPart(path, true); }
  Volume ReadInformation(const fs::path& path) const override { return ReadPart(path, false); }

 private:
  static Volume ReadPart(const fs::path& path, bool voxels) {
    const MemberPath where = SplitMember(path);
    const std::string name = where.file.string();
    std::vector<std::byte> bytes;
    ByteSource source(where.file);
    // An archive in gzip is packed twice and shrinks no further.
    const uint64_t most =
        source.compressed() ? (uint64_t{32} << 20) + source.capacity() / 16 : uint64_t{8} << 30;
    if (source.Append(bytes, most + 1) > most) {
      throw IoError("cannot read '" + name + "': it is larger than " + std::to_string(most >> 20) +
                    " MB" + (source.compressed() ? "; unpack it with gunzip first" : ""));
    }
    const Zip zip(bytes, name);
    std::vector<ArrayInfo> arrays;
    std::vector<NpyHeader> headers;
    std::vector<const ZipEntry*> entries;
    for (const ZipEntry& entry : zip.entries()) {
      std::string array = entry.name;
      // Nothing is unpacked to disk here, but other programs do, and no honest writer does this.
      if (array.empty() || array[0] == '/' || array.find("..") != array.npos ||
          array.find('\\') != array.npos) {
        throw IoError("cannot read '" + name + "': its entry '" + array.substr(0, 60) +
                      "' has a path that leaves the archive; such a file is not to be trusted");
      }
      if (array.size() > 4 && array.substr(array.size() - 4) == ".npy") {
        array.resize(array.size() - 4);
      }
      if (arrays.size() >= 1000) break;
      headers.push_back(ParseNpy(zip.Unpacked(entry, 12 + kLongestNpyHeader), array));
      arrays.push_back(headers.back().info);
      entries.push_back(&entry);
    }
    std::vector<std::string> notes;
    const size_t chosen = ChooseArray(arrays, where.member, name, &notes);
    NpyHeader& header = headers[chosen];
    const uint64_t needed = StoredBytes(header, name) + header.data_offset;
    if (needed != entries[chosen]->size) ThrowTooShort(name, entries[chosen]->size, needed);
    if (!voxels) return FinishNpy(header, {}, name, std::move(notes), true, false);
    std::vector<std::byte> data = zip.Unpacked(*entries[chosen], UINT64_MAX);
    bytes = {};
    data.erase(data.begin(), data.begin() + static_cast<ptrdiff_t>(header.data_offset));
    return FinishNpy(header, std::move(data), name, std::move(notes), true, true);
  }
};

}  // namespace

const Format& NpyFormat() {
  static const Npy format;
  return format;
}

const Format& NpzFormat() {
  static const Npz format;
  return format;
}

}  // namespace avocet::io
