// SPDX-License-Identifier: Apache-2.0
// gzip in one go: read as zlib reads it, damage found as zlib finds it. fuzz/gzip compares the two
// ways on inputs of any kind.
#include "io/deflate.h"

#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "io/byte_source.h"
#include "io/volume_io.h"
#include "tests/io/io_test_util.h"
#include "tests/support/test_support.h"

namespace avocet::io {
namespace {

namespace fs = std::filesystem;
using test::ExpectError;
using test::Slurp;
using test::Spill;
using test::TemporaryFolder;

// Large enough to go through libdeflate, and packs as images do.
Volume Image() {
  Geometry geometry;
  geometry.size = {60, 50, 40};
  Volume volume = Volume::Zeros(geometry, VoxelType::kInt16);
  std::mt19937 random(5);
  for (int64_t i = 0; i < volume.ValueCount(); ++i) {
    volume.As<int16_t>()[i] = static_cast<int16_t>(i % 60 * 10 + random() % 8);
  }
  return volume;
}

// By zlib, the whole of it.
std::string Gunzip(const std::string& packed, size_t room) {
  std::string out(room, '\0');
  z_stream stream = {};
  inflateInit2(&stream, 16 + MAX_WBITS);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));
  stream.avail_in = static_cast<uInt>(packed.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(inflate(&stream, Z_FINISH), Z_STREAM_END);
  EXPECT_EQ(stream.avail_in, 0U);
  out.resize(stream.total_out);
  inflateEnd(&stream);
  return out;
}

TEST(Deflate, WhatIsWrittenIsPlainGzip) {
  const fs::path folder = TemporaryFolder();
  const Volume volume = Image();
  WriteVolume(volume, folder / "x.nii");
  WriteVolume(volume, folder / "x.nii.gz");
  const std::string plain = Slurp(folder / "x.nii"), packed = Slurp(folder / "x.nii.gz");
  EXPECT_EQ(Gunzip(packed, plain.size() + 1), plain);
  EXPECT_EQ(packed.substr(4, 4), std::string(4, '\0'));  // no time
  EXPECT_LT(packed.size(), plain.size() / 2);
  std::printf("%zu bytes packed to %zu; zlib level 1: %zu\n", plain.size(), packed.size(),
              test::Gzip(plain).size());
}

TEST(Deflate, MembersPaddingAndDamage) {
  const fs::path folder = TemporaryFolder();
  const Volume volume = Image();
  WriteVolume(volume, folder / "plain.nii");
  const std::string plain = Slurp(folder / "plain.nii");
  const fs::path path = folder / "x.nii.gz";
  const auto in_members = [&](size_t first, size_t other) {
    std::string packed = test::Gzip(plain.substr(0, first));
    for (size_t at = first; at < plain.size(); at += other) {
      packed += test::Gzip(plain.substr(at, other));
    }
    return packed;
  };
  const std::string one = test::Gzip(plain);
  const std::string intact[] = {one,
                                in_members(100, 1 << 20),  // the header in two members
                                in_members(352, 1 << 20),
                                in_members(70000, 30000),
                                one + std::string(700, '\0'),
                                one + "padding",
                                one + test::Gzip("")};
  for (const std::string& packed : intact) {
    Spill(path, packed);
    const Volume again = ReadVolume(path);
    EXPECT_EQ(again.data, volume.data);
    EXPECT_TRUE(again.notes.empty());
  }
  // The length at the end is not believed, neither way; what follows the voxels is noted.
  Spill(path, one + test::Gzip("more"));
  EXPECT_EQ(ReadVolume(path).notes.size(), 1U);
  Spill(path, test::Gzip(plain + "more"));
  EXPECT_EQ(ReadVolume(path).notes.size(), 1U);
  for (const size_t back : {1U, 6U}) {  // length, checksum
    std::string bad = one;
    bad[bad.size() - back] = static_cast<char>(bad[bad.size() - back] ^ 0x40);
    Spill(path, bad);
    ExpectError([&] { ReadVolume(path); }, {"x.nii.gz", "damaged"});
  }
  std::string bad = one;
  bad[bad.size() / 2] = static_cast<char>(bad[bad.size() / 2] ^ 1);
  Spill(path, bad);
  ExpectError([&] { ReadVolume(path); }, {"x.nii.gz", "damaged"});
  for (const size_t length : {one.size() - 1, one.size() - 8, one.size() / 2}) {
    Spill(path, one.substr(0, length));
    ExpectError([&] { ReadVolume(path); }, {"x.nii.gz", "cut off"});
  }
  Spill(path, test::Gzip(plain.substr(0, plain.size() - 5)));
  ExpectError([&] { ReadVolume(path); }, {"x.nii.gz", "holds"});
}

TEST(Deflate, TextHeadersReadWhatTheyWrite) {
  const fs::path folder = TemporaryFolder();
  const Volume volume = Image();
  for (const char* name : {"x.nrrd", "x.nhdr", "x.mha", "x.mhd"}) {
    SCOPED_TRACE(name);
    const fs::path path = folder / name;
    WriteVolume(volume, path);
    EXPECT_EQ(ReadVolume(path).data, volume.data);
    const fs::path voxels = path.extension() == ".nhdr"  ? folder / "x.raw.gz"
                            : path.extension() == ".mhd" ? folder / "x.zraw"
                                                         : path;
    const std::string whole = Slurp(voxels);
    Spill(voxels, whole.substr(0, whole.size() - 1));
    ExpectError([&] { ReadVolume(path); }, {"cut off"});
    std::string bad = whole;
    bad[bad.size() - 1000] = static_cast<char>(bad[bad.size() - 1000] ^ 1);
    Spill(voxels, bad);
    ExpectError([&] { ReadVolume(path); }, {"damaged"});
    if (voxels.extension() != ".gz" && voxels.extension() != ".nrrd") continue;
    Spill(voxels, whole + test::Gzip("more"));
    EXPECT_EQ(ReadVolume(path).notes.size(), 1U);
    Spill(voxels, whole + "padding");
    EXPECT_TRUE(ReadVolume(path).notes.empty());
  }
}

// Reading on after the large part goes on where the file does.
TEST(Deflate, ReadingGoesOnBehindTheLargePart) {
  const fs::path path = TemporaryFolder() / "x.gz";
  std::string content(300000, '\0');
  std::mt19937 random(6);
  for (char& c : content) c = static_cast<char>(random() % 16);
  Spill(path, test::Gzip(content.substr(0, 200000)) + test::Gzip(content.substr(200000)));
  ByteSource source(path);
  std::vector<std::byte> bytes;
  EXPECT_EQ(source.Append(bytes, 1000), 1000U);
  EXPECT_EQ(source.Append(bytes, 199000), 199000U);  // to the end of a member
  EXPECT_EQ(source.position(), 200000U);
  EXPECT_EQ(source.Append(bytes, 1000000), 100000U);
  EXPECT_EQ(std::memcmp(bytes.data(), content.data(), content.size()), 0);
  EXPECT_FALSE(source.Finish(10));
}

}  // namespace
}  // namespace avocet::io
