// SPDX-License-Identifier: Apache-2.0
// Damaged files: whatever the bytes, reading ends in a Volume whose data fit its size, or in an
// avocet::Error. The mutations are seeded, so that a failure can be repeated.
#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "io/volume_io.h"
#include "tests/io/io_test_util.h"
#include "tests/support/test_support.h"

namespace avocet::io {
namespace {

namespace fs = std::filesystem;
using test::Slurp;
using test::Spill;

struct Tally {
  int read = 0;
  int refused = 0;
};

// Reads `path` and checks that what came out hangs together.
void ReadDamaged(const fs::path& path, Tally& tally) {
  try {
    const Volume volume = ReadVolume(path);
    ++tally.read;
    ASSERT_EQ(volume.data.size(), static_cast<size_t>(volume.ValueCount()) * SizeOf(volume.type));
    // No file here holds more than a few kB; more would be an invention.
    ASSERT_LT(volume.data.size(), size_t{1} << 20);
    for (int axis = 0; axis < 3; ++axis) {
      ASSERT_GE(volume.geometry.size[axis], 1);
      ASSERT_TRUE(std::isfinite(volume.geometry.spacing[axis]) &&
                  volume.geometry.spacing[axis] > 0);
      ASSERT_TRUE(std::isfinite(volume.geometry.origin[axis]));
    }
    for (const double cosine : volume.geometry.direction)
      ASSERT_TRUE(std::abs(cosine) <= 1.0000001);
    ASSERT_EQ(volume.geometry.OrientationLetters().size(), 3U);
    ASSERT_TRUE(std::isfinite(volume.scaling.slope) && volume.scaling.slope != 0);
    ASSERT_TRUE(std::isfinite(volume.scaling.inter));
    if (volume.components == 1) volume.ToFloat();
    // What was read can be written, and read again.
    const fs::path copy = path.parent_path() / "copy.nii";
    WriteVolume(volume, copy);
    const Volume again = ReadVolume(copy);
    ASSERT_EQ(again.geometry.size, volume.geometry.size);
    ASSERT_EQ(again.data, volume.data);
  } catch (const Error& error) {
    ++tally.refused;
    ASSERT_NE(std::string(error.what()), "");
    ASSERT_EQ(std::string(error.what()).find('\n'), std::string::npos);
  }
}

class Mutation : public testing::TestWithParam<const char*> {};

TEST_P(Mutation, EndsInAVolumeOrAnError) {
  const std::string file = GetParam();
  Volume intact = ReadVolume(test::TestData("io/" + file));
  const fs::path folder = test::TemporaryFolder();
  // The file as it is, and plain, so that mutations reach the header and not only the gzip layer.
  const bool pair = file.find(".hdr") != std::string::npos;
  const fs::path plain = folder / (pair ? "plain.hdr" : "plain.nii");
  std::string bytes;
  if (pair) {
    fs::copy_file(test::TestData("io/" + file), plain);
    fs::path image = file;
    fs::copy_file(test::TestData("io/" + image.replace_extension(".img").string()),
                  folder / "plain.img");
    bytes = Slurp(plain);
  } else {
    WriteVolume(intact, plain);
    bytes = Slurp(plain);
  }
  const size_t header = std::min<size_t>(bytes.size(), 600);
  std::mt19937 random(2026);
  const auto below = [&](size_t n) { return static_cast<size_t>(random() % n); };
  static const int64_t kAwkward[] = {0,          -1,         1,          127,        255,
                                     32767,      -32768,     65535,      0x7fffffff, INT64_MIN,
                                     INT64_MAX,  0x7f800000, 0x7fc00000, 0xff800000, 0x00000001,
                                     0x7f7fffff, 0x3f800000, 0x5f000000};
  Tally tally;
  for (int round = 0; round < 500; ++round) {
    std::string damaged = bytes;
    const int edits = 1 + static_cast<int>(below(3));
    for (int edit = 0; edit < edits; ++edit) {
      const size_t at = below(header);
      switch (below(3)) {
        case 0:
          damaged[at] = static_cast<char>(damaged[at] ^ 1 << below(8));
          break;
        case 1:
          damaged[at] = static_cast<char>(below(256));
          break;
        default: {
          const int64_t value = kAwkward[below(std::size(kAwkward))];
          const size_t width = size_t{1} << below(4);
          const size_t start = std::min(at / width * width, damaged.size() - width);
          std::memcpy(damaged.data() + start, &value, width);
        }
      }
    }
    if (below(5) == 0) damaged.resize(below(damaged.size()) + 1);
    Spill(plain, damaged);
    ReadDamaged(plain, tally);
    if (HasFatalFailure()) FAIL() << file << ", round " << round;
  }
  // Both ends must have been seen, or the mutations test nothing.
  EXPECT_GT(tally.read, 20) << file;
  EXPECT_GT(tally.refused, 20) << file;

  const std::string packed = Slurp(test::TestData("io/" + file));
  const fs::path same = folder / ("same_" + file);
  for (int round = 0; round < 300 && !pair; ++round) {
    std::string damaged = packed;
    for (size_t edit = below(3) + 1; edit > 0; --edit) {
      damaged[below(damaged.size())] = static_cast<char>(below(256));
    }
    Spill(same, damaged);
    ReadDamaged(same, tally);
    if (HasFatalFailure()) FAIL() << file << ", packed round " << round;
  }
  // Every way to cut a gzip file short is noticed.
  for (size_t length = 1; length < packed.size() && !pair; length += 3) {
    Spill(same, packed.substr(0, length));
    Tally cut;
    ReadDamaged(same, cut);
    ASSERT_EQ(cut.read, 0) << file << " cut to " << length << " bytes";
  }
}

INSTANTIATE_TEST_SUITE_P(Files, Mutation,
                         testing::Values("oblique.nii.gz", "scaled.nii.gz", "nifti2.nii.gz",
                                         "big_endian.nii.gz", "sheared.nii.gz", "rgb24.nii.gz",
                                         "two_frames.nii.gz", "pair.hdr", "analyze.hdr"),
                         [](const auto& info) {
                           std::string name = info.param;
                           return name.substr(0, name.find('.'));
                         });

}  // namespace
}  // namespace avocet::io
