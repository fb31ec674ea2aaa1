// SPDX-License-Identifier: Apache-2.0
#include "io/dicom_structure.h"

#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dctk.h>
#include <zlib.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "app/base/error.h"
#include "io/dicom_dataset.h"

namespace avocet::io {
namespace fs = std::filesystem;
namespace {

constexpr size_t kMaxDepth = 64;
constexpr uint32_t kUndefined = 0xFFFFFFFF;

// One open sequence or item.
struct Level {
  uint64_t end;  // offset, UINT64_MAX when delimited by a tag
  bool implicit;
};

class Walker {
 public:
  Walker(std::istream& in, const fs::path& path) : in_(in), path_(path) {
    in_.seekg(0, std::ios::end);
    size_ = Position();
    in_.seekg(0);
  }

  void Walk();

 private:
  bool Get(void* bytes, size_t size) {
    return static_cast<bool>(in_.read(static_cast<char*>(bytes), static_cast<long>(size)));
  }
  uint64_t Position() { return static_cast<uint64_t>(in_.tellg()); }
  bool Skip(uint64_t size) {
    if (size > size_ - std::min(size_, Position())) return false;
    return static_cast<bool>(in_.seekg(static_cast<long>(size), std::ios::cur));
  }
  // PS3.5 6.2.2: content of unknown VR is little endian in every file.
  bool Big() const { return big_ && (levels_.empty() || !levels_.back().implicit); }
  uint16_t Number16(const unsigned char* b) const {
    return static_cast<uint16_t>(Big() ? b[0] << 8 | b[1] : b[1] << 8 | b[0]);
  }
  uint32_t Number32(const unsigned char* b) const {
    return Big() ? static_cast<uint32_t>(b[0]) << 24 | b[1] << 16 | b[2] << 8 | b[3]
                 : static_cast<uint32_t>(b[3]) << 24 | b[2] << 16 | b[1] << 8 | b[0];
  }
  void Push(uint32_t length, bool implicit) {
    levels_.push_back({length == kUndefined ? UINT64_MAX : Position() + length, implicit});
    if (levels_.size() > 2 * kMaxDepth)  // a sequence and its item are two levels
      throw IoError(path_.string() + " nests DICOM sequences deeper than " +
                    std::to_string(kMaxDepth) + " levels; no real file does, and it is not read");
  }
  [[noreturn]] void Fail(const std::string& what) const {
    throw IoError(path_.string() + " is cut off or damaged: " + what);
  }
  // DCMTK would take the memory first and look for the bytes then.
  [[noreturn]] void FailLength(uint32_t tag, uint32_t length) {
    char text[16];
    std::snprintf(text, sizeof text, "(%04X,%04X)", tag >> 16, tag & 0xffff);
    Fail(std::string("the value of ") + text + " claims " + std::to_string(length) +
         " bytes, and " + std::to_string(size_ - std::min(size_, Position())) + " are left");
  }
  std::string ReadMeta();
  void WalkDataSet(bool implicit);
  bool SkipFragments();

  std::istream& in_;
  const fs::path& path_;
  uint64_t size_ = 0;  // of the stream
  bool big_ = false;
  std::vector<Level> levels_;
};

// Whether a length of four bytes follows. DCMTK takes unknown letters for a VR to come, which PS3.5
// 7.1.2 gives the long form; anything else but letters has the short one.
bool IsLongForm(const char* vr) {
  const auto is_letter = [](char c) { return c >= 'A' && c <= 'Z'; };
  if (!is_letter(vr[0]) || !is_letter(vr[1])) return false;
  for (const char* form : {"AE", "AS", "AT", "CS", "DA", "DS", "DT", "FD", "FL", "IS", "LO",
                           "LT", "PN", "SH", "SL", "SS", "ST", "TM", "UI", "UL", "US"})
    if (std::memcmp(vr, form, 2) == 0) return false;
  return true;
}

bool IsSequence(uint16_t group, uint16_t element) {
  const DcmDictEntry* entry = dcmDataDict.rdlock().findEntry(DcmTagKey(group, element), nullptr);
  const bool sequence = entry && entry->getEVR() == EVR_SQ;
  dcmDataDict.rdunlock();
  return sequence;
}

// The fragments of encapsulated pixel data, up to and with their delimiter.
bool Walker::SkipFragments() {
  unsigned char b[8];
  while (Get(b, 8)) {
    if (Number16(b) != 0xFFFE) return false;
    if (Number16(b + 2) != 0xE000) return true;
    if (!Skip(Number32(b + 4))) return false;
  }
  return false;
}

void Walker::WalkDataSet(bool implicit) {
  levels_.clear();
  unsigned char b[12];
  while (true) {
    while (!levels_.empty() && Position() >= levels_.back().end) levels_.pop_back();
    const bool plain = levels_.empty() ? implicit : levels_.back().implicit;
    if (!Get(b, 8)) return;
    const uint16_t group = Number16(b);
    const uint16_t element = Number16(b + 2);
    if (group == 0xFFFE) {
      if (element == 0xE000) {
        Push(Number32(b + 4), plain);
      } else if (!levels_.empty()) {
        levels_.pop_back();
      }
      continue;
    }
    uint32_t length;
    bool sequence;
    bool inner = plain;
    if (plain) {
      length = Number32(b + 4);
      sequence = length == kUndefined || IsSequence(group, element);
    } else {
      const bool un = std::memcmp(b + 4, "UN", 2) == 0;
      sequence = std::memcmp(b + 4, "SQ", 2) == 0;
      if (IsLongForm(reinterpret_cast<const char*>(b + 4))) {
        if (!Get(b + 8, 4)) Fail("an element is cut off");
        length = Number32(b + 8);
      } else {
        length = Number16(b + 6);
      }
      if (length == kUndefined) {
        sequence = true;
        inner = un;  // PS3.5 6.2.2: such UN content is implicit VR
      }
    }
    // Only a value of bytes has fragments: what calls itself a sequence is walked, wherever it is.
    const bool bytes = group == 0x7FE0 && (plain ? !IsSequence(group, element) : b[4] == 'O');
    if (bytes && length == kUndefined) {
      if (!SkipFragments()) Fail("its compressed pixel data are cut off");
    } else if (sequence) {
      Push(length, inner);
    } else if (!Skip(length)) {
      FailLength(static_cast<uint32_t>(group) << 16 | element, length);
    }
  }
}

// Passes the meta header and returns the transfer syntax, "" when there is none. As DCMTK has it,
// the header ends where its first element says, whatever the groups; without that, with group 0002.
std::string Walker::ReadMeta() {
  char head[132] = {};
  if (!Get(head, sizeof head) || std::memcmp(head + 128, "DICM", 4) != 0) {
    in_.clear();
    in_.seekg(0);
    return "";
  }
  std::string syntax;
  unsigned char b[12];
  uint64_t end = 0;
  for (bool first = true; end == 0 || Position() < end; first = false) {
    const uint64_t start = Position();
    const bool there = Get(b, 8);
    if (end == 0 && (!there || Number16(b) != 2)) {
      in_.clear();
      in_.seekg(static_cast<long>(start));
      break;
    }
    if (!there) Fail("its meta header is cut off");
    uint32_t length = Number16(b + 6);
    if (IsLongForm(reinterpret_cast<const char*>(b + 4))) {
      if (!Get(b + 8, 4)) Fail("its meta header is cut off");
      length = Number32(b + 8);
    }
    const uint32_t tag = static_cast<uint32_t>(Number16(b)) << 16 | Number16(b + 2);
    if (first && tag == 0x00020000 && length == 4) {
      if (!Get(b, 4)) Fail("its meta header is cut off");
      end = Position() + Number32(b);
    } else if (tag == 0x00020010 && length <= 64) {
      syntax.resize(length);
      if (!Get(syntax.data(), length)) Fail("its meta header is cut off");
      while (!syntax.empty() && (syntax.back() == '\0' || syntax.back() == ' ')) syntax.pop_back();
    } else if (!Skip(length)) {
      FailLength(tag, length);
    }
  }
  return syntax;
}

// Raw deflate (PS3.5 A.5) of the rest of `in`.
std::string Inflate(std::istream& in, uint64_t most, const fs::path& path) {
  z_stream stream{};
  if (inflateInit2(&stream, -MAX_WBITS) != Z_OK) throw IoError("zlib could not be started");
  const std::unique_ptr<z_stream, int (*)(z_stream*)> guard(&stream, inflateEnd);
  std::string all;
  std::vector<char> packed(1 << 16);
  std::vector<char> block(1 << 18);
  int state = Z_OK;
  while (state == Z_OK && in) {
    in.read(packed.data(), static_cast<long>(packed.size()));
    stream.next_in = reinterpret_cast<Bytef*>(packed.data());
    stream.avail_in = static_cast<uInt>(in.gcount());
    if (stream.avail_in == 0) break;
    do {
      stream.next_out = reinterpret_cast<Bytef*>(block.data());
      stream.avail_out = static_cast<uInt>(block.size());
      state = inflate(&stream, Z_NO_FLUSH);
      all.append(block.data(), block.size() - stream.avail_out);
      if (all.size() > most)
        throw IoError(path.string() + " unpacks to over " + std::to_string(most >> 20) +
                      " MB, which no deflated DICOM file of its length does; it is not read");
    } while (state == Z_OK && stream.avail_out == 0);
    if (state == Z_BUF_ERROR) state = Z_OK;  // all is used up and the block was just full
  }
  if (state != Z_STREAM_END)
    throw IoError(path.string() + " is cut off or damaged: its deflated content has no end");
  return all;
}

void Walker::Walk() {
  const std::string syntax = ReadMeta();
  if (syntax == UID_DeflatedExplicitVRLittleEndianTransferSyntax) {
    std::istringstream unpacked(Inflate(in_, dicom::MostInflated(size_), path_));
    Walker(unpacked, path_).WalkDataSet(false);
    return;
  }
  if (syntax.empty()) {
    // Letters where an explicit VR would stand.
    unsigned char b[6] = {};
    const uint64_t start = Position();
    Get(b, sizeof b);
    in_.clear();
    in_.seekg(static_cast<long>(start));
    const bool letters = b[4] >= 'A' && b[4] <= 'Z' && b[5] >= 'A' && b[5] <= 'Z';
    // A data set begins with group 0008 (0002 without preamble); its bytes tell their order.
    big_ = letters && b[0] == 0 && (b[1] == 8 || b[1] == 2);
    WalkDataSet(!letters);
    return;
  }
  big_ = syntax == UID_BigEndianExplicitTransferSyntax;
  WalkDataSet(syntax == UID_LittleEndianImplicitTransferSyntax);
}

}  // namespace

void CheckDicomStructure(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) throw IoError(path.string() + " cannot be opened");
  Walker(in, path).Walk();
}

}  // namespace avocet::io
