// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>
#include <zlib.h>

#include <array>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "app/base/error.h"
#include "io/volume.h"

namespace avocet::test {

// Thousands of small files, each flushed to the disk by the writer: in memory that takes a second,
// on a busy disk minutes. TemporaryFolder() follows TMPDIR.
inline const bool kTemporaryInMemory = [] {
  return !std::getenv("TMPDIR") && access("/dev/shm", W_OK) == 0 &&
         setenv("TMPDIR", "/dev/shm", 0) == 0;
}();

// Rows R, A, S as nibabel prints them; Geometry is LPS.
using RasAffine = std::array<std::array<double, 4>, 3>;

inline RasAffine AffineOf(const io::Geometry& geometry) {
  RasAffine affine{};
  for (int row = 0; row < 3; ++row) {
    const double sign = row < 2 ? -1 : 1;
    for (int column = 0; column < 3; ++column) {
      affine[row][column] = sign * geometry.direction[row * 3 + column] * geometry.spacing[column];
    }
    affine[row][3] = sign * geometry.origin[row];
  }
  return affine;
}

inline double MaxDifference(const RasAffine& a, const RasAffine& b) {
  double largest = 0;
  for (int row = 0; row < 3; ++row) {
    for (int column = 0; column < 4; ++column) {
      const double difference = std::abs(a[row][column] - b[row][column]);
      if (!(difference <= largest)) largest = difference;  // NaN counts
    }
  }
  return largest;
}

// Runs `f`, which must throw an avocet::Error whose message is one line with each of `parts`.
template <typename F>
std::string ExpectError(F&& f, const std::vector<std::string>& parts) {
  try {
    f();
  } catch (const Error& error) {
    const std::string message = error.what();
    for (const auto& part : parts) {
      EXPECT_NE(message.find(part), std::string::npos) << "'" << part << "' not in: " << message;
    }
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
    EXPECT_LT(message.size(), 500U) << message;
    return message;
  }
  ADD_FAILURE() << "no error was thrown";
  return "";
}

inline std::string Slurp(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

inline void Spill(const std::filesystem::path& path, const std::string& content) {
  std::ofstream out(path, std::ios::binary);
  out << content;
}

// One gzip member.
inline std::string Gzip(const std::string& content) {
  z_stream stream = {};
  deflateInit2(&stream, 1, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
  std::string packed(deflateBound(&stream, content.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(content.data()));
  stream.avail_in = static_cast<uInt>(content.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  deflate(&stream, Z_FINISH);
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  return packed;
}

// Names in a folder, hidden ones too: nothing may be left behind.
inline size_t CountEntries(const std::filesystem::path& folder) {
  size_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    (void)entry;
    ++count;
  }
  return count;
}

}  // namespace avocet::test
