// SPDX-License-Identifier: Apache-2.0
// Damaged files of every format but NIfTI (io/mutation): whatever the bytes, reading ends in a
// Volume whose data fit its size, or in an avocet::Error. Seeded.
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

void ReadDamaged(const fs::path& path, Tally& tally) {
  try {
    const Volume volume = ReadVolume(path);
    ++tally.read;
    ASSERT_EQ(volume.data.size(), static_cast<size_t>(volume.ValueCount()) * SizeOf(volume.type));
    // 16 MB is what a picture of any length may claim.
    ASSERT_LE(volume.data.size(), size_t{32} << 20);
    for (int axis = 0; axis < 3; ++axis) {
      ASSERT_GE(volume.geometry.size[axis], 1);
      ASSERT_TRUE(std::isfinite(volume.geometry.spacing[axis]) &&
                  volume.geometry.spacing[axis] > 0);
      ASSERT_TRUE(std::isfinite(volume.geometry.origin[axis]));
    }
    for (const double cosine : volume.geometry.direction) {
      ASSERT_TRUE(std::abs(cosine) <= 1.0000001);
    }
    ASSERT_TRUE(std::isfinite(volume.scaling.slope) && volume.scaling.slope != 0);
    ASSERT_TRUE(std::isfinite(volume.scaling.inter));
    for (const auto& [name, value] : volume.source->Fields()) {
      ASSERT_EQ((name + value).find_first_of("\n\x1b"), std::string::npos);
    }
  } catch (const Error& error) {
    ++tally.refused;
    ASSERT_EQ(std::string(error.what()).find('\n'), std::string::npos);
  }
}

struct Seed {
  const char* name;
  const char* file;  // of tests/data/io; one that Avocet writes when it ends so
  int rounds;
};

class FormatMutation : public testing::TestWithParam<Seed> {};

TEST_P(FormatMutation, EndsInAVolumeOrAnError) {
  const Seed& seed = GetParam();
  const fs::path folder = test::TemporaryFolder();
  const std::string file = seed.file;
  const std::string extension = fs::path(file).extension();
  const fs::path path = folder / ("x" + extension);
  std::string bytes;
  if (extension == ".nrrd" || extension == ".mha") {
    WriteVolume(ReadVolume(test::TestData("io/oblique.nii.gz")), path);
    bytes = Slurp(path);
  } else {
    bytes = Slurp(test::TestData("io/" + file));
  }
  // In development: AVOCET_MUTATION_FACTOR=50 for longer runs (each with its own seed).
  const char* factor_text = std::getenv("AVOCET_MUTATION_FACTOR");
  const int factor = factor_text ? std::max(1, std::atoi(factor_text)) : 1;
  std::mt19937 random(2025 + factor);
  const auto below = [&](size_t n) { return static_cast<size_t>(random() % n); };
  static constexpr const char* kWords[] = {"-1",          "0", "nan", "1e308",
                                           "99999999999", "(", "\n",  "="};
  static constexpr uint32_t kNumbers[] = {0,          1,          0x7fffffff, 0x80000000,
                                          0xffffffff, 0x7f800000, 0x7fc00000, 65536};
  Tally tally;
  for (int round = 0; round < seed.rounds * factor; ++round) {
    std::string damaged = bytes;
    for (size_t edit = below(3) + 1; edit > 0; --edit) {
      // Headers are hit oftener than voxels.
      const size_t at =
          below(below(2) == 0 ? std::min<size_t>(damaged.size(), 400) : damaged.size());
      switch (below(5)) {
        case 0:
          damaged[at] = static_cast<char>(damaged[at] ^ 1 << below(8));
          break;
        case 1:
          damaged[at] = static_cast<char>(below(256));
          break;
        case 2: {
          const uint32_t number = kNumbers[below(std::size(kNumbers))];
          const size_t start = std::min(at, damaged.size() - 4);
          std::memcpy(damaged.data() + start, &number, 4);
          break;
        }
        case 3:
          damaged.insert(at, kWords[below(std::size(kWords))]);
          break;
        default:
          damaged.erase(at, 1 + below(4));
      }
    }
    if (below(6) == 0) damaged.resize(below(damaged.size()) + 1);
    Spill(path, damaged);
    ReadDamaged(path, tally);
    if (HasFatalFailure()) FAIL() << seed.name << ", round " << round;
  }
  EXPECT_GT(tally.refused, 20);
  // Nothing is left beside the file.
  EXPECT_EQ(test::CountEntries(folder), 1U);
}

INSTANTIATE_TEST_SUITE_P(
    Files, FormatMutation,
    testing::Values(
        Seed{"nrrd", "written.nrrd", 1500}, Seed{"mha", "written.mha", 1500},
        Seed{"npz", "formats/slice.npz", 600}, Seed{"npzStored", "formats/stored.npz", 600},
        Seed{"npy", "formats/plain.npy", 600}, Seed{"hdf5", "formats/case.npy.h5", 250},
        Seed{"hdf5Slice", "formats/slice.h5", 250}, Seed{"png", "formats/colour.png", 400},
        Seed{"png16", "formats/grey16.png", 400}, Seed{"palette", "formats/palette.png", 400},
        Seed{"jpeg", "formats/colour.jpg", 400}, Seed{"tiff", "formats/pages.tif", 600},
        Seed{"tiffLzw", "formats/lzw.tif", 400}),
    [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace avocet::io
