// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "io/byte_source.h"

namespace avocet::io {

// Bytes from front to back. Every function throws IoError naming the file.
class Stream {
 public:
  virtual ~Stream() = default;
  // Up to `size` bytes; fewer only at the end.
  virtual size_t Read(void* bytes, size_t size) = 0;
  // Bytes that can still come at most. A header that claims more is false.
  virtual uint64_t Capacity() const = 0;
};

// A file with lines at its beginning. `gunzip`: unpacked on the way when the whole file is gzip.
class FileStream final : public Stream {
 public:
  FileStream(const std::filesystem::path& path, bool gunzip) : source_(path, gunzip) {}

  // The next line without its end ("\n" or "\r\n"); false at the end of the file. Throws when the
  // line is longer than `limit`.
  bool ReadLine(std::string& line, size_t limit);
  size_t Read(void* bytes, size_t size) override;
  uint64_t Capacity() const override;

  std::string name() const { return source_.path().string(); }
  bool compressed() const { return source_.compressed(); }
  uint64_t position() const { return source_.position() - (end_ - begin_); }

 private:
  ByteSource source_;
  std::vector<char> buffer_;
  size_t begin_ = 0;
  size_t end_ = 0;
};

enum class Packing {
  kNone,
  kDeflate,  // gzip (several members) or zlib
  kBzip2,    // several streams
};

// What `packed` holds, unpacked; `packed` must outlive it. Checksums are checked where a packed
// stream ends. Its capacity is what deflate can do at most (1032 : 1); bzip2 knows no such bound,
// it is taken as 64 MB and 4096 : 1, which real images stay far below.
std::unique_ptr<Stream> Unpack(Stream& packed, Packing packing, const std::string& name);

// Appends up to `size` bytes and returns how many came. Memory grows with what is really there: a
// false claim costs at most eight times the true content.
uint64_t AppendFrom(Stream& stream, std::vector<std::byte>& bytes, uint64_t size,
                    const std::string& name);

// Reads past up to `size` bytes and returns how many there were.
uint64_t SkipIn(Stream& stream, uint64_t size);

}  // namespace avocet::io
