// SPDX-License-Identifier: Apache-2.0
// PNG, JPEG and TIFF: values that Pillow wrote (6 rows of 7, value 5 * index), pixel sizes, kinds.
#include <gtest/gtest.h>

#include <algorithm>

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

fs::path File(const std::string& name) { return test::TestData("io/formats/" + name); }

bool HasNote(const Volume& volume, const std::string& part) {
  return std::any_of(volume.notes.begin(), volume.notes.end(),
                     [&](const std::string& note) { return note.find(part) != std::string::npos; });
}

std::vector<float> Ramp(float factor) {
  std::vector<float> values(42);
  for (size_t i = 0; i < 42; ++i) values[i] = factor * static_cast<float>(i);
  return values;
}

TEST(ReadPictures, GreyValues) {
  struct Case {
    const char* file;
    VoxelType type;
    float factor;
    const char* note;
  };
  const Case cases[] = {
      {"grey.png", VoxelType::kUInt8, 5, "no resolution tag"},
      {"dpi96.png", VoxelType::kUInt8, 5, "96.01 dpi"},
      {"equal.png", VoxelType::kUInt8, 5, "channels are equal"},
      {"grey16.png", VoxelType::kUInt16, 5 * 257, "no orientation"},
      {"grey16.tif", VoxelType::kUInt16, 5 * 257, "no orientation"},
      {"lzw.tif", VoxelType::kUInt8, 5, "no orientation"},
  };
  for (const Case& expected : cases) {
    SCOPED_TRACE(expected.file);
    Volume volume;
    ASSERT_NO_THROW(volume = ReadVolume(File(expected.file)));
    EXPECT_EQ(volume.geometry.size, (std::array<int64_t, 3>{7, 6, 1}));
    EXPECT_EQ(volume.type, expected.type);
    EXPECT_EQ(volume.components, 1);
    EXPECT_EQ(volume.ToFloat(), Ramp(expected.factor));
    EXPECT_EQ(volume.geometry.spacing, (std::array<double, 3>{1, 1, 1}));
    EXPECT_TRUE(HasNote(volume, expected.note)) << volume.notes[0];
  }
  const Volume spaced = ReadVolume(File("spacing.png"));
  EXPECT_NEAR(spaced.geometry.spacing[0], 0.35, 1e-4);
  EXPECT_NEAR(spaced.geometry.spacing[1], 0.7, 1e-3);
  EXPECT_TRUE(HasNote(spaced, "taken from its resolution tag"));
  const Volume real = ReadVolume(File("float.tif"));
  EXPECT_EQ(real.type, VoxelType::kFloat32);
  EXPECT_FLOAT_EQ(real.ToFloat()[6], 10.F);
  // Pages are slices.
  const Volume pages = ReadVolume(File("pages.tif"));
  EXPECT_EQ(pages.geometry.size, (std::array<int64_t, 3>{7, 6, 3}));
  EXPECT_EQ(pages.ToFloat()[42 + 1], 6.F);
  EXPECT_TRUE(HasNote(pages, "slices"));
}

TEST(ReadPictures, ColourPaletteAndBits) {
  for (const char* name : {"colour.png", "colour.tif", "alpha.png"}) {
    SCOPED_TRACE(name);
    const Volume volume = ReadVolume(File(name));
    ASSERT_EQ(volume.components, name[0] == 'a' ? 4 : 3);
    const uint8_t* pixel = volume.As<uint8_t>() + 10 * volume.components;
    EXPECT_EQ(pixel[0], 50);
    EXPECT_EQ(pixel[1], 205);
    EXPECT_EQ(pixel[2], 25);
  }
  const Volume palette = ReadVolume(File("palette.png"));
  EXPECT_EQ(palette.components, 1);
  EXPECT_EQ(palette.ToFloat()[1], 2.F);  // 5 % 3
  EXPECT_TRUE(HasNote(palette, "palette"));
  for (const char* name : {"bits.png", "bits.tif"}) {
    SCOPED_TRACE(name);
    const Volume bits = ReadVolume(File(name));
    EXPECT_EQ(bits.components, 1);
    EXPECT_EQ(bits.ToFloat()[20], 0.F);
    EXPECT_EQ(bits.ToFloat()[21], 255.F);
  }
}

TEST(ReadPictures, Jpeg) {
  const Volume grey = ReadVolume(File("grey.jpg"));
  EXPECT_EQ(grey.geometry.size, (std::array<int64_t, 3>{32, 24, 1}));
  EXPECT_EQ(grey.components, 1);
  for (int y = 0; y < 24; ++y) {
    for (int x = 0; x < 32; ++x) EXPECT_NEAR(grey.As<uint8_t>()[y * 32 + x], 4 * y + 3 * x, 6);
  }
  EXPECT_TRUE(HasNote(grey, "lossy"));
  const Volume colour = ReadVolume(File("colour.jpg"));
  EXPECT_EQ(colour.components, 3);
  EXPECT_TRUE(HasNote(colour, "orientation 6"));
  EXPECT_TRUE(HasNote(colour, "72 dpi"));
}

TEST(ReadPictures, RefusesWhatIsCutOffOrCannotBe) {
  const fs::path folder = TemporaryFolder();
  for (const char* name : {"grey.png", "grey16.png", "grey.jpg", "colour.jpg", "lzw.tif"}) {
    const std::string whole = Slurp(File(name));
    for (const size_t part : {2U, 3U}) {
      SCOPED_TRACE(name);
      Spill(folder / name, whole.substr(0, whole.size() * (part - 1) / part));
      ExpectError([&] { ReadVolume(folder / name); }, {name});
    }
  }
  // A header that claims 2^20 x 2^20 pixels.
  std::string huge = Slurp(File("grey.png"));
  huge.replace(16, 8, std::string("\0\x0f\0\0\0\x0f\0\0", 8));
  Spill(folder / "huge.png", huge);
  ExpectError([&] { ReadVolume(folder / "huge.png"); }, {"huge.png"});
}

TEST(ReadPictures, ListedOnlyAlone) {
  const fs::path folder = TemporaryFolder();
  Spill(folder / "a.png", "x");
  Spill(folder / "b.jpg", "x");
  EXPECT_EQ(ListVolumes(folder).size(), 2U);
  Spill(folder / "c.nii", "x");
  ASSERT_EQ(ListVolumes(folder).size(), 1U);
  EXPECT_EQ(ListVolumes(folder)[0].filename(), "c.nii");
}

TEST(SharedPictures, WholeSetsAreRead) {
  const fs::path folder = test::SharedData("data");
  if (folder.empty()) GTEST_SKIP() << "../shared/data is not there";
  int read = 0;
  for (const char* set : {"busi", "isic2017"}) {
    for (const auto& entry : fs::recursive_directory_iterator(folder / set)) {
      const std::string extension = entry.path().extension();
      if (extension != ".png" && extension != ".jpg") continue;
      SCOPED_TRACE(entry.path());
      Volume volume;
      ASSERT_NO_THROW(volume = ReadVolume(entry.path()));
      EXPECT_EQ(volume.geometry.size[2], 1);
      ++read;
    }
  }
  EXPECT_GT(read, 60);
}

}  // namespace
}  // namespace avocet::io
