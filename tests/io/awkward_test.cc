// SPDX-License-Identifier: Apache-2.0
// Walks ../shared/data/awkward: every file there is in the table below and is read as it says, or
// refused in one sentence. Sizes, affines and values are nibabel's reading of the same files.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "io/volume_io.h"
#include "tests/io/awkward_table.h"
#include "tests/io/io_test_util.h"
#include "tests/support/test_support.h"

namespace avocet::io {
namespace {

namespace fs = std::filesystem;
using test::AwkwardCase;

// Real values of one frame, components interleaved.
std::vector<float> RealValues(Volume& volume, int64_t frame) {
  const Geometry kept = volume.geometry;
  const int components = volume.components;
  volume.geometry.size = {kept.VoxelCount() * components, 1, 1};  // one row of scalars
  volume.components = 1;
  std::vector<float> values = volume.ToFloat(frame);
  volume.geometry = kept;
  volume.components = components;
  return values;
}

TEST(Awkward, EveryFileIsReadRightOrRefused) {
  const fs::path folder = test::SharedData("data/awkward");
  if (folder.empty()) GTEST_SKIP() << "../shared/data is not there";
  std::set<std::string> present;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file()) present.insert(fs::relative(entry.path(), folder).string());
  }
  std::set<std::string> listed;
  for (const AwkwardCase& expected : test::kAwkwardCases) {
    SCOPED_TRACE(expected.file);
    EXPECT_TRUE(listed.insert(expected.file).second);
    const fs::path path = folder / expected.file;
    if (expected.refused) {
      const std::string got =
          test::ExpectError([&] { ReadVolume(path); },
                            {fs::path(expected.file).stem().stem().string(), expected.refused});
      std::printf("%-52s expected refusal '%s', got: %s\n", expected.file, expected.refused,
                  got.substr(got.rfind('/') + 1).c_str());
      continue;
    }
    Volume volume;
    ASSERT_NO_THROW(volume = ReadVolume(path));
    EXPECT_EQ(volume.geometry.size, expected.size);
    EXPECT_EQ(volume.frames, expected.frames);
    EXPECT_EQ(volume.components, expected.components);
    EXPECT_STREQ(NameOf(volume.type), expected.type);
    EXPECT_EQ(volume.geometry.OrientationLetters(), expected.letters);
    EXPECT_LT(test::MaxDifference(test::AffineOf(volume.geometry), expected.affine), 1e-5);
    EXPECT_EQ(volume.notes.size(), static_cast<size_t>(expected.notes));
    double low = INFINITY, high = -INFINITY, sum = 0, magnitude = 0, voxel = 0;
    int64_t not_finite = 0;
    // One voxel off the middle, so that a wrong order of the axes shows.
    const auto& s = volume.geometry.size;
    const int64_t at = s[0] / 3 + s[0] * (s[1] / 2 + s[1] * (2 * s[2] / 3));
    for (int64_t frame = 0; frame < volume.frames; ++frame) {
      const std::vector<float> values = RealValues(volume, frame);
      if (frame == 0) voxel = values[static_cast<size_t>(at * volume.components)];
      for (const double value : values) {
        if (!std::isfinite(value)) {
          ++not_finite;
          continue;
        }
        low = std::min(low, value);
        high = std::max(high, value);
        sum += value;
        magnitude += std::abs(value);
      }
    }
    const auto near = [](double a, double b) {
      return std::abs(a - b) <= 1e-6 * std::abs(b) + 1e-6;
    };
    std::printf("%-52s expected %lld x %lld x %lld %s %s [%g, %g], got [%g, %g]\n", expected.file,
                static_cast<long long>(expected.size[0]), static_cast<long long>(expected.size[1]),
                static_cast<long long>(expected.size[2]), expected.type, expected.letters,
                expected.min, expected.max, low, high);
    EXPECT_TRUE(near(low, expected.min)) << low;
    EXPECT_TRUE(near(high, expected.max)) << high;
    EXPECT_LE(std::abs(sum - expected.sum), 1e-6 * magnitude + 1e-6) << sum;
    EXPECT_EQ(not_finite, expected.not_finite);
    if (std::isfinite(expected.voxel)) {
      EXPECT_TRUE(near(voxel, expected.voxel)) << voxel;
    }
  }
  EXPECT_EQ(present, listed);
}

// What the table cannot say in a line.
TEST(Awkward, NotesSayWhatIsOdd) {
  const fs::path folder = test::SharedData("data/awkward");
  if (folder.empty()) GTEST_SKIP() << "../shared/data is not there";
  const auto has_note = [&](const char* file, const std::string& part) {
    const Volume volume = ReadVolume(folder / file);
    return std::any_of(volume.notes.begin(), volume.notes.end(), [&](const std::string& note) {
      return note.find(part) != std::string::npos;
    });
  };
  EXPECT_TRUE(has_note("sheared/shear.nii.gz", "sheared by up to 18.5 degrees"));
  EXPECT_TRUE(
      has_note("derived/qform_and_sform_disagree_q1s4.nii.gz", "disagree by up to 53.3 mm"));
  EXPECT_TRUE(has_note("derived/no_orientation_q0s0.nii.gz", "left and right may be swapped"));
  EXPECT_TRUE(has_note("derived/nan_inf_float32.nii.gz", "27 values are not a number"));
  EXPECT_TRUE(has_note("nifti_reader_js/5D_small.nii", "3 frames"));
}

}  // namespace
}  // namespace avocet::io
