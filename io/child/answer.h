// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace avocet::io {

// What the program avocet-reader writes into the shared memory that its parent gave it as file
// descriptor kAnswerFd. Layout: int64 length and the bytes of the header (numbers and texts in the
// order in which they were added, host byte order), and from kVoxelsAt on the voxels.
constexpr int kAnswerFd = 3;
constexpr size_t kVoxelsAt = size_t{16} << 20;

enum ReaderExit : int {
  kReaderDone = 0,
  kReaderRefused = 2,   // the header is one text: the message of an IoError
  kReaderNoMemory = 4,  // memory was short, or the file asked for more than it may
};

class AnswerWriter {
 public:
  void Number(int64_t value) {
    header_.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  void Real(double value) { header_.append(reinterpret_cast<const char*>(&value), sizeof value); }
  void Text(const std::string& text) {
    Number(static_cast<int64_t>(text.size()));
    header_ += text;
  }
  // Shared memory for the voxels, zeros; to be called once. Throws std::bad_alloc.
  void* ReserveVoxels(uint64_t bytes);
  // Writes the header. Throws std::bad_alloc.
  void Finish() const;

 private:
  std::string header_;
};

// From now on the process may compute for `seconds` and take `bytes` more of memory. A damaged file
// can send a library round in circles, or have it ask for anything.
void LimitWork(double seconds, uint64_t bytes);

}  // namespace avocet::io
