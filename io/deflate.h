// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace avocet::io {

// Deflate in one go through libdeflate, two to four times as fast as zlib. What is too large for
// memory, or damaged, goes through zlib piece by piece (ByteSource, Unpack), which also says what
// is wrong.

enum class Deflate { kGzip, kZlib, kRaw };  // RFC 1952, 1950 and 1951

// The bytes deflated; without time and name, so that equal volumes give equal files.
std::string DeflateBytes(const void* bytes, size_t size, Deflate wrapper);

struct Inflated {
  bool ok = false;
  size_t used = 0;      // of the packed bytes, up to the end of a member
  size_t produced = 0;  // at most `room`
};

// Unpacks what is at the beginning of `packed` into `out`, gzip with all members for which there is
// room. Not ok when it is damaged, cut off, or holds more than `room` within a member. Sums are
// checked.
Inflated InflateAtOnce(const void* packed, size_t size, Deflate wrapper, void* out, size_t room);

// Whether memory for `unpacked` bytes may be taken before one of them is seen: a false claim must
// not cost much more than the file.
inline bool WorthInflatingAtOnce(uint64_t packed, uint64_t unpacked) {
  constexpr uint64_t kAlways = uint64_t{64} << 20, kMostPacked = uint64_t{1} << 30;
  constexpr uint64_t kDeflateRatio = 1032;
  return packed <= kMostPacked && unpacked / kDeflateRatio <= packed &&
         (unpacked <= kAlways || unpacked / 64 <= packed);
}

}  // namespace avocet::io
