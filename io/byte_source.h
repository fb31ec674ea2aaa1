// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <vector>

namespace avocet::io {

// A file read once from front to back, unpacked on the way when its content is gzip (RFC 1952,
// several members allowed). Nothing is unpacked beyond what is asked for. Every function throws
// IoError naming the file: a folder or device in place of a file, a broken or truncated gzip stream
// (CRC and length of each member are checked when its end is reached). Large reads from the front
// of a gzip file go through libdeflate, all others through zlib.
class ByteSource {
 public:
  // `gunzip` false hands the bytes out as they are.
  explicit ByteSource(const std::filesystem::path& path, bool gunzip = true);
  ~ByteSource();
  ByteSource(const ByteSource&) = delete;
  ByteSource& operator=(const ByteSource&) = delete;

  bool compressed() const;
  const std::filesystem::path& path() const { return path_; }

  // Bytes that the file can hold at most, unpacked: its length, or for gzip the largest expansion
  // that deflate allows (1032 : 1). A claim above this is false without reading further.
  uint64_t capacity() const;

  // Bytes handed out so far.
  uint64_t position() const { return position_; }

  // Up to `size` bytes; fewer only at the end.
  size_t Read(void* bytes, size_t size);

  // Appends up to `size` bytes to `bytes` and returns how many came. Memory grows with what is
  // really there, so that a false claim costs at most 64 MB, 64 times the file, or eight times the
  // true content, whichever is most.
  uint64_t Append(std::vector<std::byte>& bytes, uint64_t size);

  // Unpacks up to `margin` further bytes to reach the end and with it the last CRC. Returns whether
  // bytes were left over.
  bool Finish(size_t margin);

 private:
  struct State;
  void Fill();
  size_t ReadGzip(unsigned char* bytes, size_t size);
  bool AppendAtOnce(std::vector<std::byte>& bytes, uint64_t size);

  std::filesystem::path path_;
  std::unique_ptr<State> state_;
  uint64_t position_ = 0;
};

}  // namespace avocet::io
