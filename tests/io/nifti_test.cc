// SPDX-License-Identifier: Apache-2.0
// NIfTI and ANALYZE over the small committed files; affines are nibabel's reading of them.
#include "io/nifti.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstring>
#include <sstream>

#include "io/byte_source.h"
#include "io/file_util.h"
#include "io/volume_io.h"
#include "tests/io/io_test_util.h"
#include "tests/support/test_support.h"

namespace avocet::io {
namespace {

namespace fs = std::filesystem;
using test::AffineOf;
using test::CountEntries;
using test::ExpectError;
using test::MaxDifference;
using test::RasAffine;
using test::Slurp;
using test::Spill;
using test::TemporaryFolder;
using test::TestData;

constexpr RasAffine kOblique{
    {{0.8803328275680542, -0.2149103879928589, -0.16355296969413757, -31.5},
     {0.18712052702903748, 1.0110739469528198, 0.7694562077522278, 42.25},
     {0.0, -0.376222163438797, 2.1612930297851562, -7.75}}};
constexpr RasAffine kLeftHanded{
    {{-0.8803327511598642, -0.21491000145071668, -0.16355754913390294, -31.5},
     {-0.18712082812115274, 1.011073910361542, 0.7694557224494836, 42.25},
     {-1.7930077279111461e-06, -0.37622239634923593, 2.161292807549677, -7.75}}};
constexpr RasAffine kCentred{{{-0.8999999761581421, 0.0, 0.0, 1.7999999523162842},
                              {0.0, 1.100000023841858, 0.0, -2.7500000596046448},
                              {0.0, 0.0, 2.299999952316284, -6.8999998569488525}}};
constexpr RasAffine kSheared{
    {{0.5, 0.0, 0.0, -10.0}, {0.0, 0.5, 0.8122992515563965, 20.0}, {0.0, 0.0, 2.5, 30.0}}};
constexpr RasAffine kAnalyze{{{-0.89999998, 0, 0, 0.89999998},
                              {0, 1.10000002, 0, -2.20000005},
                              {0, 0, 2.29999995, -6.89999962}}};

struct Case {
  const char* file;
  RasAffine affine;
  const char* letters;
  const char* format;
  VoxelType type;
  int qform_code;
  int sform_code;
  double factor;  // real value = factor * (i + 10 j + 100 k) + offset
  double offset;
  std::vector<std::string> notes;  // a part of each note, in order
};

class ReadNiftiFile : public testing::TestWithParam<Case> {};

TEST_P(ReadNiftiFile, IsRight) {
  const Case& expected = GetParam();
  const Volume volume = ReadVolume(TestData(std::string("io/") + expected.file));
  EXPECT_EQ(volume.geometry.size, (std::array<int64_t, 3>{5, 6, 7}));
  EXPECT_LT(MaxDifference(AffineOf(volume.geometry), expected.affine), 1e-6);
  EXPECT_EQ(volume.geometry.OrientationLetters(), expected.letters);
  ASSERT_TRUE(volume.source);
  EXPECT_EQ(volume.source->FormatName(), expected.format);
  EXPECT_EQ(volume.type, expected.type);
  const auto& source = dynamic_cast<const NiftiSource&>(*volume.source);
  EXPECT_EQ(source.qform_code(), expected.qform_code);
  EXPECT_EQ(source.sform_code(), expected.sform_code);
  ASSERT_EQ(volume.notes.size(), expected.notes.size());
  for (size_t i = 0; i < volume.notes.size(); ++i) {
    EXPECT_NE(volume.notes[i].find(expected.notes[i]), std::string::npos) << volume.notes[i];
  }
  const std::vector<float> values = volume.ToFloat();
  size_t at = 0;
  for (int k = 0; k < 7; ++k) {
    for (int j = 0; j < 6; ++j) {
      for (int i = 0; i < 5; ++i, ++at) {
        ASSERT_EQ(values[at],
                  static_cast<float>(expected.factor * (i + 10 * j + 100 * k) + expected.offset));
      }
    }
  }
}

const VoxelType kShort = VoxelType::kInt16;
INSTANTIATE_TEST_SUITE_P(
    Files, ReadNiftiFile,
    testing::Values(
        Case{"oblique.nii.gz", kOblique, "RAS", "NIfTI-1", kShort, 1, 1, 1, 0, {}},
        Case{"qform_only.nii.gz", kOblique, "RAS", "NIfTI-1", kShort, 1, 0, 1, 0, {}},
        Case{"sform_only.nii.gz", kOblique, "RAS", "NIfTI-1", kShort, 0, 2, 1, 0, {}},
        Case{"left_handed.nii.gz", kLeftHanded, "LAS", "NIfTI-1", kShort, 1, 0, 1, 0, {}},
        Case{"no_orientation.nii.gz",
             kCentred,
             "LAS",
             "NIfTI-1",
             kShort,
             0,
             0,
             1,
             0,
             {"no orientation"}},
        Case{"sheared.nii.gz",
             kSheared,
             "RAS",
             "NIfTI-1",
             VoxelType::kFloat32,
             0,
             1,
             1,
             0,
             {"axis 3 is 2.5 mm", "sheared by up to 18 degrees"}},
        Case{"big_endian.nii.gz", kOblique, "RAS", "NIfTI-1", kShort, 1, 1, 1, 0, {}},
        Case{"nifti2.nii.gz", kOblique, "RAS", "NIfTI-2", kShort, 1, 1, 1, 0, {}},
        Case{"int64.nii.gz", kOblique, "RAS", "NIfTI-1", VoxelType::kInt64, 1, 1, 1e12, 0, {}},
        Case{"scaled.nii.gz", kOblique, "RAS", "NIfTI-1", kShort, 1, 1, 0.25, -10, {}},
        Case{"two_frames.nii.gz", kOblique, "RAS", "NIfTI-1", kShort, 1, 1, 1, 0, {}},
        Case{"pair.hdr", kOblique, "RAS", "NIfTI-1", kShort, 0, 2, 1, 0, {}},
        Case{"pair.img", kOblique, "RAS", "NIfTI-1", kShort, 0, 2, 1, 0, {}},
        Case{"analyze.hdr", kAnalyze, "LAS", "ANALYZE 7.5", kShort, 0, 0, 1, 0, {"ANALYZE 7.5"}},
        Case{"analyze.img", kAnalyze, "LAS", "ANALYZE 7.5", kShort, 0, 0, 1, 0, {"ANALYZE 7.5"}},
        Case{"gzip_named.nii",
             kOblique,
             "RAS",
             "NIfTI-1",
             kShort,
             1,
             1,
             1,
             0,
             {"name does not end in .gz"}},
        Case{"plain_named.nii.gz",
             kOblique,
             "RAS",
             "NIfTI-1",
             kShort,
             1,
             1,
             1,
             0,
             {"name ends in .gz"}}),
    [](const auto& info) {
      std::string name = info.param.file;
      std::replace_if(
          name.begin(), name.end(), [](char c) { return !std::isalnum(c); }, '_');
      return name;
    });

TEST(ReadNifti, FramesAndColour) {
  const Volume frames = ReadVolume(TestData("io/two_frames.nii.gz"));
  EXPECT_EQ(frames.frames, 2);
  EXPECT_EQ(frames.ToFloat(1)[1 + 5 * (2 + 6 * 3)], 1321.F);
  const Volume colour = ReadVolume(TestData("io/rgb24.nii.gz"));
  EXPECT_EQ(colour.components, 3);
  EXPECT_EQ(colour.type, VoxelType::kUInt8);
  const uint8_t* voxel = colour.As<uint8_t>() + 3 * (1 + 5 * (2 + 6 * 3));
  EXPECT_EQ(voxel[0], 10);
  EXPECT_EQ(voxel[1], 20);
  EXPECT_EQ(voxel[2], 30);
}

TEST(ReadNifti, CountsValuesThatAreNotFinite) {
  const Volume volume = ReadVolume(TestData("io/nan.nii.gz"));
  ASSERT_EQ(volume.notes.size(), 2U);
  EXPECT_EQ(volume.notes[0], "2 values are not a number (NaN)");
  EXPECT_EQ(volume.notes[1], "1 value is infinite");
  EXPECT_TRUE(std::isnan(volume.ToFloat()[0]));
}

// MR phase images come as complex numbers; what a viewer or network can use is the magnitude.
TEST(ReadNifti, ComplexGivesMagnitude) {
  const Volume volume = ReadVolume(TestData("io/complex64.nii.gz"));
  EXPECT_EQ(volume.type, VoxelType::kFloat32);
  EXPECT_EQ(volume.components, 1);
  EXPECT_EQ(volume.ToFloat()[1 + 5 * (2 + 6 * 3)], 321);
  ASSERT_EQ(volume.notes.size(), 1U);
  EXPECT_NE(volume.notes[0].find("magnitude"), std::string::npos);
  // An imaginary part counts: 3 + 4i has the magnitude 5, in single and double precision.
  for (const bool wide : {false, true}) {
    std::string bytes(352, '\0');
    ByteSource(TestData("io/complex64.nii.gz")).Read(bytes.data(), bytes.size());
    const int16_t type = wide ? 1792 : 32, bits = wide ? 128 : 64;
    std::string voxels;
    for (int i = 0; i < 5 * 6 * 7; ++i) {
      const double pair[] = {3.0 * i, 4.0 * i};
      const float narrow[] = {3.0F * static_cast<float>(i), 4.0F * static_cast<float>(i)};
      voxels += wide ? std::string(reinterpret_cast<const char*>(pair), sizeof pair)
                     : std::string(reinterpret_cast<const char*>(narrow), sizeof narrow);
    }
    bytes += voxels;
    std::memcpy(bytes.data() + 70, &type, 2);
    std::memcpy(bytes.data() + 72, &bits, 2);
    const fs::path path = TemporaryFolder() / "complex.nii";
    Spill(path, bytes);
    const Volume magnitude = ReadVolume(path);
    EXPECT_EQ(magnitude.type, wide ? VoxelType::kFloat64 : VoxelType::kFloat32);
    for (int i = 0; i < 5 * 6 * 7; ++i) EXPECT_EQ(magnitude.ToFloat()[i], 5.0F * i);
    Spill(path, bytes.substr(0, bytes.size() - 8));
    ExpectError([&] { ReadVolume(path); }, {"complex.nii"});
  }
}

TEST(ReadNifti, Refuses) {
  const auto refused = [](const char* file, const char* reason) {
    const fs::path path = TestData(std::string("io/") + file);
    ExpectError([&] { ReadVolume(path); }, {path.string(), reason});
  };
  refused("truncated.nii.gz", "cut off");
  refused("bad_crc.nii.gz", "damaged");
  refused("huge_dim.nii", "asks for 2147484000 bytes, but the file holds 772");
  refused("huge_dim.nii.gz", "asks for 2147484000 bytes, but the file can hold at most");
  refused("negative_dim.nii.gz", "-5 along axis 1");
  refused("text.nii", "text");
  refused("missing.nii.gz", "No such file");
  ExpectError([] { ReadVolume(TestData("io")); }, {"holds no DICOM file"});
  ExpectError([] { ReadVolume("/dev/zero"); }, {"/dev/zero", "ordinary"});
}

Volume Noise(const std::array<int64_t, 3>& size) {
  Geometry geometry;
  geometry.size = size;
  Volume volume = Volume::Zeros(geometry, VoxelType::kUInt8);
  uint32_t state = 7;
  for (auto& byte : volume.data) {
    state = state * 1664525 + 1013904223;
    byte = static_cast<std::byte>(state >> 24);
  }
  return volume;
}

// Bytes of address space that this process has taken at most since its start.
int64_t PeakMemory() {
  std::istringstream status(Slurp("/proc/self/status"));
  for (std::string line; std::getline(status, line);) {
    if (line.rfind("VmPeak:", 0) == 0) return std::stoll(line.substr(7)) * 1024;
  }
  return 0;
}

TEST(ReadNifti, GzipInSeveralMembers) {
  const fs::path folder = TemporaryFolder();
  const Volume volume = Noise({20, 30, 40});
  WriteVolume(volume, folder / "x.nii");
  const std::string plain = Slurp(folder / "x.nii");
  // As bgzip and pigz write it, with zero padding behind.
  std::string packed;
  for (size_t at = 0; at < plain.size(); at += 10000) {
    packed += test::Gzip(plain.substr(at, 10000));
  }
  Spill(folder / "x.nii.gz", packed + std::string(512, '\0'));
  const Volume again = ReadVolume(folder / "x.nii.gz");
  EXPECT_EQ(again.data, volume.data);
  EXPECT_TRUE(again.notes.empty());
  Spill(folder / "x.nii.gz", packed.substr(0, packed.size() - 1));  // the last checksum
  ExpectError([&] { ReadVolume(folder / "x.nii.gz"); }, {"cut off"});
}

TEST(ReadNifti, EveryWayToCutAFileShortIsNoticed) {
  for (const char* name : {"oblique.nii.gz", "nifti2.nii.gz", "two_frames.nii.gz"}) {
    const fs::path path = TemporaryFolder() / name;
    const std::string whole = Slurp(TestData(std::string("io/") + name));
    for (size_t length = 1; length < whole.size(); ++length) {
      Spill(path, whole.substr(0, length));
      EXPECT_THROW(ReadVolume(path), IoError) << name << " cut to " << length << " bytes";
    }
  }
}

// The header claims 2 GB and the file is large enough that deflate could hold them: memory must
// follow what is there.
TEST(ReadNifti, AFalseClaimTakesNoMemory) {
  const fs::path path = TemporaryFolder() / "x.nii.gz";
  const Volume volume = Noise({1 << 20, 5, 1});
  const std::string noise(reinterpret_cast<const char*>(volume.data.data()), volume.data.size());
  Spill(path, test::Gzip(Slurp(TestData("io/huge_dim.nii")) + noise));
  const int64_t before = PeakMemory();
  ExpectError([&] { ReadVolume(path); }, {"asks for 2147484000", "holds 5243652"});
  EXPECT_LT(PeakMemory() - before, int64_t{64} << 20);
}

TEST(ReadNifti, WhatFollowsTheVoxelsIsNotUnpacked) {
  const fs::path path = TemporaryFolder() / "bomb.nii.gz";
  const std::string packed = test::Gzip(std::string(size_t{64} << 20, '\0'));
  std::string bomb = Slurp(TestData("io/oblique.nii.gz"));
  for (int i = 0; i < 200; ++i) bomb += packed;  // 12.5 GB
  Spill(path, bomb);
  const Volume volume = ReadVolume(path);
  EXPECT_EQ(volume.ToFloat().back(), 654.F);
  ASSERT_EQ(volume.notes.size(), 1U);
  EXPECT_NE(volume.notes[0].find("longer than its header says"), std::string::npos);
}

TEST(ReadNifti, NamedPipeDoesNotHang) {
  const fs::path path = TemporaryFolder() / "pipe.nii";
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  ExpectError([&] { ReadVolume(path); }, {"ordinary"});
}

TEST(ReadNifti, HalfAPairIsRefused) {
  const fs::path folder = TemporaryFolder();
  fs::copy_file(TestData("io/pair.hdr"), folder / "a.hdr");
  fs::copy_file(TestData("io/pair.img"), folder / "b.img");
  ExpectError([&] { ReadVolume(folder / "a.hdr"); }, {"a.hdr", ".img"});
  ExpectError([&] { ReadVolume(folder / "b.img"); }, {"b.img", ".hdr"});
  Spill(folder / "b.hdr", "this is text, but long enough to be a header" + std::string(400, ' '));
  ExpectError([&] { ReadVolume(folder / "b.img"); }, {"b.hdr", "not a NIfTI"});
}

TEST(ReadNifti, ThePartnerIsCompressedAlike) {
  const fs::path folder = TemporaryFolder();
  Volume volume = ReadVolume(TestData("io/pair.hdr"));
  WriteVolume(volume, folder / "x.hdr.gz");
  volume.As<int16_t>()[0] = 77;
  WriteVolume(volume, folder / "x.hdr");
  EXPECT_EQ(ReadVolume(folder / "x.img").ToFloat()[0], 77.F);
  EXPECT_EQ(ReadVolume(folder / "x.hdr").ToFloat()[0], 77.F);
  EXPECT_EQ(ReadVolume(folder / "x.img.gz").ToFloat()[0], 0.F);
  EXPECT_EQ(ReadVolume(folder / "x.hdr.gz").ToFloat()[0], 0.F);
}

TEST(ReadNifti, FormatsToComeAreNamed) {
  const fs::path folder = TemporaryFolder();
  const auto refused = [&](const char* name, const std::string& content, const char* reason) {
    Spill(folder / name, content);
    ExpectError([&] { ReadVolume(folder / name); }, {name, reason, "NIfTI"});
  };
  const std::string pad(600, '\0');
  refused("a.zip", "PK\3\4" + pad, "zip");
}

// Bytes of the fields that a derived file must share with its source.
std::string GridFields(const fs::path& path) {
  const Volume volume = ReadVolume(path);
  const auto& source = dynamic_cast<const NiftiSource&>(*volume.source);
  const std::string all = SerializeNiftiHeader(source.GridOnly()->header(), source.version());
  return source.FormatName() + all;
}

class RoundTrip : public testing::TestWithParam<const char*> {};

TEST_P(RoundTrip, CopyAndMaskKeepTheGridBitForBit) {
  const fs::path input = TestData(std::string("io/") + GetParam());
  const Volume volume = ReadVolume(input);
  const fs::path folder = TemporaryFolder();
  for (const char* name : {"x.nii", "x.nii.gz", "x.hdr", "y.img", "z.hdr.gz"}) {
    const fs::path copy = folder / (std::string("copy_") + name);
    WriteVolume(volume, copy);
    const Volume again = ReadVolume(copy);
    EXPECT_EQ(GridFields(input), GridFields(copy)) << name;
    EXPECT_EQ(again.data, volume.data) << name;
    EXPECT_EQ(again.frames, volume.frames);
    EXPECT_EQ(again.components, volume.components);
    EXPECT_EQ(again.scaling.slope, volume.scaling.slope);
    EXPECT_EQ(again.scaling.inter, volume.scaling.inter);
    EXPECT_EQ(MaxCornerDistance(again.geometry, volume.geometry), 0);

    const fs::path mask = folder / (std::string("mask_") + name);
    WriteVolume(ZerosLike(volume, VoxelType::kUInt8), mask);
    const Volume zeros = ReadVolume(mask);
    EXPECT_EQ(GridFields(input), GridFields(mask)) << name;
    EXPECT_EQ(MaxCornerDistance(zeros.geometry, volume.geometry), 0);
    EXPECT_EQ(zeros.type, VoxelType::kUInt8);
    EXPECT_EQ(zeros.components, 1);
    EXPECT_EQ(zeros.frames, 1);
    EXPECT_TRUE(zeros.scaling.IsIdentity());
  }
}

INSTANTIATE_TEST_SUITE_P(Files, RoundTrip,
                         testing::Values("oblique.nii.gz", "qform_only.nii.gz", "sform_only.nii.gz",
                                         "left_handed.nii.gz", "no_orientation.nii.gz",
                                         "sheared.nii.gz", "big_endian.nii.gz", "nifti2.nii.gz",
                                         "int64.nii.gz", "rgb24.nii.gz", "two_frames.nii.gz",
                                         "nan.nii.gz", "scaled.nii.gz", "pair.hdr"),
                         [](const auto& info) {
                           std::string name = info.param;
                           return name.substr(0, name.find('.'));
                         });

TEST(WriteNifti, CopyKeepsTheTextAndDerivedFilesDoNot) {
  const Volume volume = ReadVolume(TestData("io/scaled.nii.gz"));
  const fs::path folder = TemporaryFolder();
  WriteVolume(volume, folder / "copy.nii");
  const std::string copy = Slurp(folder / "copy.nii");
  EXPECT_NE(copy.find("PATIENT^NAME 1950"), std::string::npos);
  EXPECT_NE(copy.find("PATIENT^NAME in an extension"), std::string::npos);
  EXPECT_NE(copy.find("secret.txt"), std::string::npos);

  // Not through ZerosLike: a volume that was changed and kept its source.
  Volume changed = volume;
  changed.type = VoxelType::kFloat32;
  changed.scaling = {};
  changed.data.assign(static_cast<size_t>(changed.ValueCount()) * 4, std::byte{0});
  WriteVolume(changed, folder / "changed.nii");
  WriteVolume(ZerosLike(volume, VoxelType::kInt16), folder / "mask.nii");
  for (const char* name : {"changed.nii", "mask.nii"}) {
    const std::string bytes = Slurp(folder / name);
    EXPECT_EQ(bytes.find("PATIENT"), std::string::npos) << name;
    EXPECT_EQ(bytes.find("secret"), std::string::npos) << name;
    const Volume read = ReadVolume(folder / name);
    const auto& header = dynamic_cast<const NiftiSource&>(*read.source);
    EXPECT_TRUE(read.scaling.IsIdentity());
    EXPECT_TRUE(header.extensions().empty());
    EXPECT_EQ(GridFields(folder / name), GridFields(TestData("io/scaled.nii.gz")));
  }
}

TEST(WriteNifti, ExtensionsSurvive) {
  const Volume volume = ReadVolume(TestData("io/scaled.nii.gz"));
  const auto& before = dynamic_cast<const NiftiSource&>(*volume.source).extensions();
  ASSERT_EQ(before.size(), 1U);
  EXPECT_EQ(before[0].code, 6);
  for (const char* name : {"x.nii.gz", "x.hdr"}) {
    WriteVolume(volume, TemporaryFolder() / name);
    const Volume again = ReadVolume(TemporaryFolder() / name);
    const auto& after = dynamic_cast<const NiftiSource&>(*again.source).extensions();
    ASSERT_EQ(after.size(), 1U);
    EXPECT_EQ(after[0].code, 6);
    EXPECT_EQ(after[0].content, before[0].content);
  }
}

TEST(WriteNifti, AChangedGridIsWrittenAnew) {
  Volume volume = ReadVolume(TestData("io/oblique.nii.gz"));
  volume.geometry.origin[0] += 5;
  const fs::path path = TemporaryFolder() / "x.nii.gz";
  WriteVolume(volume, path);
  const Volume again = ReadVolume(path);
  EXPECT_LT(MaxCornerDistance(again.geometry, volume.geometry), 1e-5);
  EXPECT_TRUE(again.notes.empty());  // qform and sform agree
  const auto& source = dynamic_cast<const NiftiSource&>(*again.source);
  EXPECT_EQ(source.qform_code(), 1);
  EXPECT_EQ(source.sform_code(), 1);
}

TEST(WriteNifti, ShearHasNoQform) {
  Volume volume = ReadVolume(TestData("io/sheared.nii.gz"));
  volume.source = nullptr;
  const fs::path path = TemporaryFolder() / "x.nii";
  WriteVolume(volume, path);
  const Volume again = ReadVolume(path);
  EXPECT_LT(MaxCornerDistance(again.geometry, volume.geometry), 1e-5);
  EXPECT_EQ(dynamic_cast<const NiftiSource&>(*again.source).qform_code(), 0);
}

TEST(WriteNifti, AnalyzeBecomesNiftiWithTheAssumedAxes) {
  const Volume volume = ReadVolume(TestData("io/analyze.hdr"));
  const fs::path path = TemporaryFolder() / "x.nii.gz";
  WriteVolume(ZerosLike(volume, VoxelType::kUInt8), path);
  const Volume again = ReadVolume(path);
  EXPECT_EQ(again.source->FormatName(), "NIfTI-1");
  EXPECT_LT(MaxCornerDistance(again.geometry, volume.geometry), 1e-5);
}

TEST(WriteNifti, LongAxesBecomeNifti2) {
  Geometry geometry;
  geometry.size = {40000, 1, 1};
  const fs::path path = TemporaryFolder() / "x.nii";
  WriteVolume(Volume::Zeros(geometry, VoxelType::kUInt8), path);
  const Volume again = ReadVolume(path);
  EXPECT_EQ(again.source->FormatName(), "NIfTI-2");
  EXPECT_EQ(again.geometry.size[0], 40000);
}

TEST(WriteNifti, EqualVolumesGiveEqualFiles) {
  const Volume volume = ReadVolume(TestData("io/oblique.nii.gz"));
  WriteVolume(volume, TemporaryFolder() / "a.nii.gz");
  WriteVolume(volume, TemporaryFolder() / "b.nii.gz");
  EXPECT_EQ(Slurp(TemporaryFolder() / "a.nii.gz"), Slurp(TemporaryFolder() / "b.nii.gz"));
}

TEST(WriteNifti, RefusesUnknownNames) {
  const Volume volume = ReadVolume(TestData("io/oblique.nii.gz"));
  for (const char* name : {"x", "x.txt", "x.nii.zip", "x.gz", ".nii.gz"}) {
    const fs::path path = TemporaryFolder() / name;
    ExpectError([&] { WriteVolume(volume, path); }, {path.string(), ".nii.gz"});
  }
  ExpectError([&] { WriteVolume(volume, "/nowhere/x.nii.gz"); }, {"/nowhere/x.nii.gz"});
  EXPECT_EQ(CountEntries(TemporaryFolder()), 0U);
}

TEST(VolumeNames, StemsAndExtensions) {
  EXPECT_EQ(StemOf("/a/case_01.nii.gz"), "case_01");
  EXPECT_EQ(StemOf("case.v2.NII"), "case.v2");
  EXPECT_EQ(StemOf("x.hdr.gz"), "x");
  EXPECT_EQ(StemOf("model.safetensors"), "model");
  EXPECT_TRUE(HasVolumeExtension("a.nii.gz"));
  EXPECT_TRUE(HasVolumeExtension("A.IMG"));
  EXPECT_FALSE(HasVolumeExtension("a.gz"));
  EXPECT_FALSE(HasVolumeExtension("a.txt"));
  EXPECT_FALSE(HasVolumeExtension(".nii"));
}

TEST(VolumeNames, ListIsSortedAndOnlyVolumes) {
  const fs::path folder = TemporaryFolder();
  for (const char* name : {"b.nii.gz", "a.nii", "._a.nii", "pair.hdr", "pair.img", "x.txt"}) {
    Spill(folder / name, "x");
  }
  fs::create_directory(folder / "folder.nii");
  std::vector<std::string> names;
  for (const auto& path : ListVolumes(folder)) names.push_back(path.filename());
  EXPECT_EQ(names, (std::vector<std::string>{"a.nii", "b.nii.gz", "pair.hdr"}));
  ExpectError([&] { ListVolumes(folder / "none"); }, {"none"});
}

}  // namespace
}  // namespace avocet::io
