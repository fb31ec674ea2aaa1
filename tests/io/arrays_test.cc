// SPDX-License-Identifier: Apache-2.0
// HDF5, npz and npy of research sets: values and axes against what NumPy wrote (array (3,4,5) of
// 0, 1, 2, ...), and what is refused.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <numeric>

#include "io/array_volume.h"
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

std::vector<float> Numbers(size_t count, float factor = 1) {
  std::vector<float> values(count);
  for (size_t i = 0; i < count; ++i) values[i] = factor * static_cast<float>(i);
  return values;
}

struct Case {
  const char* file;
  const char* member;
  VoxelType type;
  std::array<int64_t, 3> size;
  float factor;  // value = factor * index, or index % 4 when 0
  const char* note;
};

TEST(ReadArrays, ValuesAndAxes) {
  const Case cases[] = {
      {"case.npy.h5", "", VoxelType::kFloat32, {5, 4, 3}, 1, "#label"},
      {"case.npy.h5", "image", VoxelType::kFloat32, {5, 4, 3}, 1, "(D,H,W)"},
      {"case.npy.h5", "label", VoxelType::kUInt8, {5, 4, 3}, 0, "label"},
      {"slice.h5", "", VoxelType::kInt16, {5, 4, 1}, 1, "(H,W)"},
      {"cycle.h5", "g/image", VoxelType::kUInt8, {5, 4, 3}, 1, "(D,H,W)"},
      {"cycle.h5", "", VoxelType::kUInt8, {5, 4, 3}, 1, "1 mm"},
      {"soft_link.h5", "data0", VoxelType::kUInt8, {5, 4, 3}, 1, "1 mm"},
      {"several.h5", "b", VoxelType::kUInt8, {5, 4, 3}, 0, "array 'a'"},
      {"slice.npz", "", VoxelType::kFloat32, {5, 4, 1}, 1, "#label"},
      {"stored.npz", "", VoxelType::kInt16, {5, 4, 3}, 1, "(D,H,W)"},
      {"stored.npz", "label", VoxelType::kUInt8, {5, 4, 3}, 0, "(D,H,W)"},  // Fortran order
      {"half.npz", "", VoxelType::kFloat32, {5, 4, 3}, 0.125F, "16-bit"},
      {"plain.npy", "", VoxelType::kInt32, {5, 4, 3}, 1, "left and right may be swapped"},
  };
  for (const Case& expected : cases) {
    SCOPED_TRACE(std::string(expected.file) + "#" + expected.member);
    fs::path path = File(expected.file);
    if (expected.member[0] != '\0') path += std::string("#") + expected.member;
    Volume volume;
    ASSERT_NO_THROW(volume = ReadVolume(path));
    EXPECT_EQ(volume.type, expected.type);
    EXPECT_EQ(volume.geometry.size, expected.size);
    EXPECT_EQ(volume.geometry.spacing, (std::array<double, 3>{1, 1, 1}));
    std::vector<float> values = Numbers(static_cast<size_t>(volume.ValueCount()),
                                        expected.factor == 0 ? 1 : expected.factor);
    if (expected.factor == 0) {
      for (float& value : values) value = static_cast<float>(static_cast<int>(value) % 4);
    }
    EXPECT_EQ(volume.ToFloat(), values);
    EXPECT_TRUE(HasNote(volume, expected.note));
    EXPECT_FALSE(volume.source->Fields().empty());
  }
  // (6, 6, 2): two equal sizes are the plane, so the slices come last.
  const Volume last = ReadVolume(File("last.h5"));
  EXPECT_EQ(last.geometry.size, (std::array<int64_t, 3>{6, 6, 2}));
  EXPECT_TRUE(HasNote(last, "(H,W,D)"));
  EXPECT_EQ(last.ToFloat()[1], 2.F);
  EXPECT_EQ(last.ToFloat()[36], 1.F);
  // Booleans as h5py writes them.
  fs::path mask = File("slice.h5");
  mask += "#label";
  const std::vector<float> bits = ReadVolume(mask).ToFloat();
  EXPECT_EQ(std::accumulate(bits.begin(), bits.end(), 0.F), 10.F);
  // gzip'd as a whole.
  for (const char* name : {"case.npy.h5", "stored.npz", "plain.npy"}) {
    Spill(TemporaryFolder() / name, test::Gzip(Slurp(File(name))));
    EXPECT_EQ(ReadVolume(TemporaryFolder() / name).ToFloat(), Numbers(60)) << name;
  }
}

TEST(ReadArrays, Refuses) {
  const auto refused = [](const std::string& name, std::vector<std::string> parts) {
    SCOPED_TRACE(name);
    fs::path path = File(name.substr(0, name.find('#')));
    if (name.find('#') != name.npos) path += name.substr(name.find('#'));
    parts.push_back(name.substr(0, name.find('.')));
    ExpectError([&] { ReadVolume(path); }, parts);
  };
  refused("external_link.h5", {"another file", "not followed"});
  refused("external_storage.h5", {"external storage", "not followed"});
  refused("virtual.h5", {"virtual data set"});
  refused("soft_link.h5", {"symbolic link"});
  refused("lzf.h5", {"filter 32000", "gzip"});
  refused("huge.h5", {"asks for"});
  refused("several.h5", {"a, b", "FILE#NAME"});
  refused("case.npy.h5#none", {"no array 'none'", "image, label"});
  refused("pickled.npz", {"pickled Python objects"});
  refused("pickled.npy", {"pickled Python objects"});
  const fs::path folder = TemporaryFolder();
  const auto cut = [&](const char* name, size_t length) {
    Spill(folder / name, Slurp(File(name)).substr(0, length));
    ExpectError([&] { ReadVolume(folder / name); }, {name});
  };
  cut("case.npy.h5", 5000);
  cut("stored.npz", 500);
  cut("plain.npy", 300);
  // An entry that would be unpacked elsewhere.
  std::string slip = Slurp(File("stored.npz"));
  for (size_t at = 0; (at = slip.find("image.npy", at)) != slip.npos; at += 9) {
    slip.replace(at, 9, "../ge.npy");
  }
  Spill(folder / "slip.npz", slip);
  ExpectError([&] { ReadVolume(folder / "slip.npz"); }, {"slip.npz", "../ge.npy", "leaves"});
  std::string bad = Slurp(File("slice.npz"));
  bad[80] = static_cast<char>(bad[80] ^ 1);  // in the packed image
  Spill(folder / "bad.npz", bad);
  ExpectError([&] { ReadVolume(folder / "bad.npz"); }, {"bad.npz"});
  ExpectError([&] { WriteVolume(ReadVolume(File("plain.npy")), folder / "x.h5"); },
              {"x.h5", "does not write", ".nii.gz"});
}

// A head-to-foot tube and a thick blob; rings and their cavities.
Volume Labels(const std::array<int64_t, 3>& size) {
  Geometry geometry;
  geometry.size = size;
  return Volume::Zeros(geometry, VoxelType::kUInt8);
}

void Disc(Volume& volume, int64_t k, double x, double y, double radius, uint8_t value) {
  const auto& size = volume.geometry.size;
  for (int64_t j = 0; j < size[1]; ++j) {
    for (int64_t i = 0; i < size[0]; ++i) {
      if (std::hypot(i - x, j - y) <= radius) {
        volume.As<uint8_t>()[(k * size[1] + j) * size[0] + i] = value;
      }
    }
  }
}

TEST(LabelOrder, SynapseAndItsOtherOrder) {
  for (const bool other : {false, true}) {
    Volume volume = Labels({64, 64, 20});
    const uint8_t aorta = other ? 7 : 1;
    const uint8_t spleen = other ? 1 : 7;
    for (int64_t k = 0; k < 20; ++k) {
      Disc(volume, k, 32, 40, 3, aorta);
      if (k > 8) Disc(volume, k, 52, 40, 8, spleen);
      Disc(volume, k, 15, 30, 11, 5);
    }
    const auto notes = LabelOrderNotes(volume);
    ASSERT_EQ(notes.size(), 1U);
    EXPECT_NE(notes[0].find(other ? "SAMed" : "1 aorta"), std::string::npos) << notes[0];
    EXPECT_EQ(notes[0].find("cannot be told"), std::string::npos);
  }
  Volume unclear = Labels({16, 16, 12});
  for (int64_t k = 0; k < 12; ++k) Disc(unclear, k, 8, 8, 3, 5);
  EXPECT_NE(LabelOrderNotes(unclear).at(0).find("cannot be told"), std::string::npos);
}

TEST(LabelOrder, AcdcAndItsOtherOrder) {
  for (const bool other : {false, true}) {
    Volume volume = Labels({64, 64, 4});
    for (int64_t k = 0; k < 4; ++k) {
      Disc(volume, k, 20, 32, 10, other ? 3 : 1);  // the right ventricle, beside
      Disc(volume, k, 40, 32, 12, 2);
      Disc(volume, k, 40, 32, 7, other ? 1 : 3);
    }
    const auto notes = LabelOrderNotes(volume);
    ASSERT_EQ(notes.size(), 1U);
    EXPECT_NE(notes[0].find(other ? "unlike ACDC" : "as in ACDC"), std::string::npos) << notes[0];
  }
  Volume binary = Labels({8, 8, 2});
  Disc(binary, 0, 4, 4, 2, 1);
  EXPECT_TRUE(LabelOrderNotes(binary).empty());
}

TEST(FloatFromHalf, KnownValues) {
  EXPECT_EQ(FloatFromHalf(0x3c00), 1.F);
  EXPECT_EQ(FloatFromHalf(0xc000), -2.F);
  EXPECT_EQ(FloatFromHalf(0x7bff), 65504.F);
  EXPECT_EQ(FloatFromHalf(0x0001), std::ldexp(1.F, -24));
  EXPECT_EQ(FloatFromHalf(0x8000), 0.F);
  EXPECT_TRUE(std::isinf(FloatFromHalf(0x7c00)));
  EXPECT_TRUE(std::isnan(FloatFromHalf(0x7e00)));
}

// The reading program is found where the environment says; without it the error says what to do.
TEST(Hdf5, MissingReaderProgramIsSaid) {
  setenv("AVOCET_READER", "/nonexistent/avocet-reader", 1);
  ExpectError([] { ReadVolume(File("case.npy.h5")); },
              {"case.npy.h5", "/nonexistent/avocet-reader", "cannot be started"});
  unsetenv("AVOCET_READER");
  EXPECT_EQ(ReadVolume(File("case.npy.h5")).geometry.size[0], 5);
}

// A program that dies, one that answers nothing, and one that hands over a damaged answer.
TEST(Hdf5, BrokenReaderProgramIsAnError) {
  const fs::path folder = TemporaryFolder();
  struct Case {
    const char* script;
    const char* said;
  };
  for (const Case& c :
       {Case{"kill -SEGV $$", "crashes"}, Case{"exit 0", "ended early"},
        Case{"printf '\\377\\377\\377\\377\\377\\377\\377\\377' >&3", "ended early"},
        Case{"exit 4", "more memory"}, Case{"exit 1", "crashes"}}) {
    SCOPED_TRACE(c.script);
    const fs::path program = folder / "reader";
    Spill(program, std::string("#!/bin/sh\n") + c.script + "\n");
    fs::permissions(program, fs::perms::owner_all);
    setenv("AVOCET_READER", program.c_str(), 1);
    ExpectError([] { ReadVolume(File("case.npy.h5")); }, {"case.npy.h5", c.said});
  }
  unsetenv("AVOCET_READER");
}

}  // namespace
}  // namespace avocet::io
