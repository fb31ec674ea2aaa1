// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "app/base/error.h"

namespace avocet::io::dicom {

// A file that is not DICOM at all, as opposed to one that is damaged.
class NotDicom : public IoError {
 public:
  using IoError::IoError;
};

using Tag = uint32_t;  // group << 16 | element

// The bytes of a DICOM file: on disk, or unpacked in memory for the deflated transfer syntax.
// Reading is safe from several threads.
class ByteStore {
 public:
  // Throws IoError for anything that is not a regular file that can be opened.
  explicit ByteStore(const std::filesystem::path& path);
  ByteStore(std::string content, const std::filesystem::path& path);
  ~ByteStore();
  ByteStore(const ByteStore&) = delete;
  ByteStore& operator=(const ByteStore&) = delete;

  uint64_t size() const { return size_; }
  const std::filesystem::path& path() const { return path_; }
  // Throws IoError when the bytes are not there.
  void Read(uint64_t offset, void* bytes, size_t count) const;

 private:
  std::filesystem::path path_;
  std::string content_;
  int fd_ = -1;
  uint64_t size_ = 0;
};

class Dataset;

struct Element {
  Tag tag = 0;
  char vr[2] = {'U', 'N'};
  uint64_t offset = 0;         // of the value
  uint64_t length = 0;         // of the value
  std::string bytes;           // the value when it is short enough to be kept (1 MiB)
  std::vector<Dataset> items;  // of a sequence
};

// A data set or sequence item. Accessors give empty results for what is missing or malformed.
class Dataset {
 public:
  const Element* Find(Tag tag) const;
  bool Has(Tag tag) const { return Find(tag) != nullptr; }
  // Text without padding and without control characters.
  std::string Text(Tag tag) const;
  std::vector<std::string> Texts(Tag tag) const;  // split at backslashes
  // Numbers of DS, IS and the binary types; empty unless every one is finite.
  std::vector<double> Numbers(Tag tag) const;
  double Number(Tag tag, double otherwise) const;
  int64_t Integer(Tag tag, int64_t otherwise) const;
  // First item of a sequence, or null.
  const Dataset* Item(Tag tag) const;
  const std::vector<Dataset>& Items(Tag tag) const;
  // The element (group, 00xx) under the private block of `creator`; null when absent.
  const Element* FindPrivate(uint16_t group, std::string_view creator, uint8_t element) const;
  std::vector<double> NumbersOf(const Element& element) const;

  std::vector<Element> elements;  // in file order
  bool big_endian = false;
};

struct PixelLocation {
  enum class Kind { kNone, kInteger, kFloat, kDouble };
  Kind kind = Kind::kNone;
  bool encapsulated = false;
  bool words = false;    // VR OW: in big endian, 8-bit samples are swapped in pairs
  uint64_t offset = 0;   // native: of the first sample
  uint64_t length = 0;   // native: bytes that are really there
  uint64_t claimed = 0;  // native: bytes that the header claims
  std::vector<std::pair<uint64_t, uint64_t>> fragments;  // encapsulated: offset, length
  std::vector<uint64_t> frame_offsets;  // basic or extended offset table, from the first item
  bool cut = false;                     // the file ends before the pixel data do
};

struct ParsedFile {
  Dataset meta;  // group 0002
  Dataset data;
  std::string transfer_syntax;
  bool big_endian = false;
  PixelLocation pixels;
  std::vector<std::string> notes;
  std::shared_ptr<const ByteStore> store;  // what offsets refer to
};

// Reads the header; the pixel data stay on disk. Throws IoError (one sentence that names the file)
// when it is no DICOM file or its header is damaged.
ParsedFile ParseFile(const std::filesystem::path& path);

// Bytes that a deflated data set of `packed` bytes may unpack to before it is refused: what is kept
// in memory whole must be worth it. Deflate reaches 1 : 1032, with zeros alone.
inline uint64_t MostInflated(uint64_t packed) {
  constexpr uint64_t kMost = uint64_t{2} << 30, kAlways = uint64_t{32} << 20;
  return packed > kMost / 600 ? kMost : std::min(kMost, kAlways + 600 * packed);
}

// Opens the bytes that PixelLocation's offsets refer to, again.
std::shared_ptr<const ByteStore> OpenStore(const std::filesystem::path& path,
                                           const std::string& transfer_syntax);

}  // namespace avocet::io::dicom
