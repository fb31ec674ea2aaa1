// SPDX-License-Identifier: Apache-2.0
#include "models/checkpoint/zip_archive.h"

#include <zlib.h>

#include <algorithm>
#include <optional>
#include <string>

#include "app/base/error.h"
#include "models/checkpoint/readers.h"

namespace avocet::models {
namespace {

constexpr uint32_t kLocalHeader = 0x04034b50;
constexpr uint32_t kCentralHeader = 0x02014b50;
constexpr uint32_t kEndRecord = 0x06054b50;
constexpr uint32_t kEndRecord64 = 0x06064b50;
constexpr uint32_t kEndLocator64 = 0x07064b50;
constexpr size_t kEndRecordSize = 22;

[[noreturn]] void Damaged(const std::string& what) {
  throw ModelError("its zip container is damaged (" + what + "); copy or download it again");
}

struct Directory {
  uint64_t entries = 0;
  uint64_t offset = 0;
  uint64_t size = 0;
};

// The end record is the last thing in the file but for a comment of up to 64 kB.
size_t FindEndRecord(std::string_view bytes) {
  if (bytes.size() < kEndRecordSize) Damaged("too short");
  const size_t last = bytes.size() - kEndRecordSize;
  const size_t first = last > 0xffff ? last - 0xffff : 0;
  for (size_t at = last + 1; at-- > first;) {
    if (LoadLittle<uint32_t>(bytes, at) == kEndRecord &&
        LoadLittle<uint16_t>(bytes, at + 20) == last - at) {
      return at;
    }
  }
  Damaged("no central directory at the end: the file is truncated");
}

Directory FindDirectory(std::string_view bytes) {
  const size_t end = FindEndRecord(bytes);
  Directory directory;
  directory.entries = LoadLittle<uint16_t>(bytes, end + 10);
  directory.size = LoadLittle<uint32_t>(bytes, end + 12);
  directory.offset = LoadLittle<uint32_t>(bytes, end + 16);
  uint64_t limit = end;
  if (end >= 20 && LoadLittle<uint32_t>(bytes, end - 20) == kEndLocator64) {
    const auto at = LoadLittle<uint64_t>(bytes, end - 20 + 8);
    if (at > end - 20 || end - 20 - at < 56 || LoadLittle<uint32_t>(bytes, at) != kEndRecord64) {
      Damaged("bad zip64 record");
    }
    directory.entries = LoadLittle<uint64_t>(bytes, at + 32);
    directory.size = LoadLittle<uint64_t>(bytes, at + 40);
    directory.offset = LoadLittle<uint64_t>(bytes, at + 48);
    limit = at;
  }
  if (directory.offset > limit || directory.size > limit - directory.offset) {
    Damaged("central directory beyond the end of the file");
  }
  return directory;
}

// Fields of 0xffffffff in a header stand for 64-bit ones in the extra field 0x0001, in this order.
void ReadZip64Extra(std::string_view extra, uint64_t* size, uint64_t* packed, uint64_t* offset) {
  while (extra.size() >= 4) {
    const auto id = LoadLittle<uint16_t>(extra, 0);
    const size_t length = LoadLittle<uint16_t>(extra, 2);
    if (length > extra.size() - 4) Damaged("bad extra field");
    if (id == 1) {
      std::string_view field = extra.substr(4, length);
      for (uint64_t* value : {size, packed, offset}) {
        if (*value != 0xffffffffu) continue;
        if (field.size() < 8) Damaged("bad zip64 field");
        *value = LoadLittle<uint64_t>(field, 0);
        field.remove_prefix(8);
      }
      return;
    }
    extra.remove_prefix(4 + length);
  }
}

uint32_t Crc32(std::string_view data) {
  return static_cast<uint32_t>(
      crc32_z(0, reinterpret_cast<const Bytef*>(data.data()), data.size()));
}

}  // namespace

bool LooksLikeZip(std::string_view bytes) {
  return bytes.size() >= 4 && LoadLittle<uint32_t>(bytes, 0) == kLocalHeader;
}

ZipArchive::ZipArchive(std::string_view bytes) {
  const Directory directory = FindDirectory(bytes);
  std::string_view rest = bytes.substr(directory.offset, directory.size);
  uint64_t total = 0;
  for (uint64_t i = 0; i < directory.entries; ++i) {
    if (rest.size() < 46 || LoadLittle<uint32_t>(rest, 0) != kCentralHeader) {
      Damaged("central directory cut off");
    }
    const auto flags = LoadLittle<uint16_t>(rest, 8);
    const auto method = LoadLittle<uint16_t>(rest, 10);
    Entry entry;
    entry.crc = LoadLittle<uint32_t>(rest, 16);
    uint64_t packed = LoadLittle<uint32_t>(rest, 20);
    uint64_t size = LoadLittle<uint32_t>(rest, 24);
    const size_t name_size = LoadLittle<uint16_t>(rest, 28);
    const size_t extra_size = LoadLittle<uint16_t>(rest, 30);
    const size_t comment_size = LoadLittle<uint16_t>(rest, 32);
    uint64_t offset = LoadLittle<uint32_t>(rest, 42);
    if (rest.size() - 46 < name_size + extra_size + comment_size) {
      Damaged("central directory cut off");
    }
    const std::string_view name = rest.substr(46, name_size);
    ReadZip64Extra(rest.substr(46 + name_size, extra_size), &size, &packed, &offset);
    rest.remove_prefix(46 + name_size + extra_size + comment_size);

    if (flags & 1) {
      throw ModelError("its zip entry '" + Printable(name) + "' is encrypted; give a plain file");
    }
    if (method != 0) {
      throw ModelError("its zip entry '" + Printable(name) +
                       "' is compressed, which torch.save never does; unpack the archive and give "
                       "the model file inside it, or save the model again with torch.save");
    }
    if (size != packed) Damaged("two sizes for '" + Printable(name) + "'");
    if (offset > directory.offset || directory.offset - offset < 30 ||
        LoadLittle<uint32_t>(bytes, offset) != kLocalHeader) {
      Damaged("no local header for '" + Printable(name) + "'");
    }
    const size_t local_name = LoadLittle<uint16_t>(bytes, offset + 26);
    const size_t local_extra = LoadLittle<uint16_t>(bytes, offset + 28);
    const uint64_t room = directory.offset - offset - 30;
    if (room < local_name + local_extra || room - local_name - local_extra < size) {
      Damaged("'" + Printable(name) + "' is cut off");
    }
    if (bytes.substr(offset + 30, local_name) != name) {
      Damaged("two names for '" + Printable(name) + "'");
    }
    // Entries that share bytes could make a small file cost much time.
    total += size;
    if (total > bytes.size()) Damaged("entries overlap");
    entry.data = bytes.substr(offset + 30 + local_name + local_extra, size);
    if (!entries_.emplace(name, entry).second) {
      Damaged("'" + Printable(name) + "' is there twice");
    }
  }
}

std::vector<std::string_view> ZipArchive::Names() const {
  std::vector<std::string_view> names;
  names.reserve(entries_.size());
  for (const auto& entry : entries_) names.push_back(entry.first);
  std::sort(names.begin(), names.end());
  return names;
}

std::string_view ZipArchive::Read(std::string_view name) {
  const auto found = entries_.find(name);
  if (found == entries_.end()) Damaged("'" + Printable(name) + "' is missing");
  Entry& entry = found->second;
  if (!entry.checked) {
    if (Crc32(entry.data) != entry.crc) Damaged("checksum of '" + Printable(name) + "' is wrong");
    entry.checked = true;
  }
  return entry.data;
}

}  // namespace avocet::models
