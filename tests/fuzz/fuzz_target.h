// SPDX-License-Identifier: Apache-2.0
#pragma once

// What the fuzz targets share. A target is one LLVMFuzzerTestOneInput: libFuzzer drives it when
// AVOCET_FUZZ is on (clang, ./dev fuzz), replay_main.cc in the ordinary tests. Whatever the input,
// a reader must end in a result that hangs together or in an avocet::Error of one sentence that
// names the file; everything else aborts.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "app/base/error.h"
#include "io/volume.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace avocet::fuzz {

// How many readings ended in which way; a replay that never sees one of them tests nothing.
struct Tally {
  int64_t read = 0;
  int64_t refused = 0;
};
Tally& Outcomes();

// Says what does not hold and aborts.
[[noreturn]] void Abort(const std::string& what);

// A folder of this process in memory (/dev/shm where there is one), removed at the exit.
const std::filesystem::path& Folder();

// Writes `bytes` to Folder() / name and returns the path.
std::filesystem::path WriteInput(const std::string& name, std::string_view bytes);

// One line, printable, not endless, and it names something in `folder` (empty: need not).
void CheckMessage(const std::string& message, const std::filesystem::path& folder);

// Buffer as long as the size says, at most `most_bytes`; geometry and scaling finite; header fields
// and notes printable.
void CheckVolume(const io::Volume& volume, uint64_t most_bytes);

// Bytes that a file of `size` bytes may become: what deflate can do at most, and 64 MB that
// pictures and compressed DICOM may claim however short they are.
inline uint64_t MostBytes(size_t size) { return (uint64_t{64} << 20) + uint64_t{4200} * size; }

// Runs `read`, which must end well or in an Error about Folder(). Returns whether it ended well.
template <typename F>
bool Attempt(F&& read) {
  try {
    read();
  } catch (const Error& error) {
    ++Outcomes().refused;
    CheckMessage(error.what(), Folder());
    return false;
  }
  ++Outcomes().read;
  return true;
}

// Takes numbers from the input one after the other; zeros when it is used up.
class Feed {
 public:
  Feed(const uint8_t* data, size_t size) : next_(data), left_(size) {}
  bool empty() const { return left_ == 0; }
  unsigned Byte() {
    if (left_ == 0) return 0;
    --left_;
    return *next_++;
  }
  unsigned Below(unsigned count) { return Byte() % count; }
  unsigned Word() {
    const unsigned low = Byte();
    return low | Byte() << 8;
  }
  std::string Text(size_t most) {
    const size_t size = std::min<size_t>(Byte() % (most + 1), left_);
    std::string text(reinterpret_cast<const char*>(next_), size);
    next_ += size;
    left_ -= size;
    return text;
  }
  std::string_view Rest() const { return {reinterpret_cast<const char*>(next_), left_}; }

 private:
  const uint8_t* next_;
  size_t left_;
};

}  // namespace avocet::fuzz
