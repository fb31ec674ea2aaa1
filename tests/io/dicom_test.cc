// SPDX-License-Identifier: Apache-2.0
// Series that the tests write themselves: order, geometry, splits, faults, values.
#include "io/dicom.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <functional>

#include "io/dicom_source_series.h"
#include "io/volume_io.h"
#include "tests/io/dicom_builder.h"
#include "tests/io/io_test_util.h"
#include "tests/support/test_support.h"

namespace avocet::io {
namespace {

namespace fs = std::filesystem;
using test::DicomBuilder;
using test::ExpectError;

DicomTree Scan(const fs::path& path) {
  SilentProgress progress;
  return ScanDicom(path, progress);
}

Volume ReadOnly(const fs::path& path, bool regularise = false) {
  ReadOptions options;
  options.regularise = regularise;
  return ReadVolume(path, options);
}

bool HasNote(const std::vector<std::string>& notes, const std::string& part) {
  for (const auto& note : notes) {
    if (note.find(part) != std::string::npos) return true;
  }
  return false;
}

// Slices at these depths; the names and instance numbers run against the order, values are the
// depth in tenths of a millimetre.
void WriteSlices(const fs::path& folder, const std::vector<double>& depths,
                 const std::function<void(DicomBuilder&, size_t)>& change = {}) {
  for (size_t i = 0; i < depths.size(); ++i) {
    DicomBuilder slice(4, 3, {10, 20, depths[i]}, static_cast<int16_t>(depths[i] * 10));
    slice.Text(0x00200013, "IS", std::to_string(depths.size() - i));
    if (change) change(slice, i);
    slice.Write(folder / ("f" + std::to_string(900 - i)));
  }
}

TEST(Dicom, SlicesAreOrderedByPositionAlone) {
  const fs::path folder = test::TemporaryFolder();
  WriteSlices(folder, {5, 0, 7.5, 2.5, -2.5});
  const Volume volume = ReadVolume(folder);
  EXPECT_EQ(volume.geometry.size, (std::array<int64_t, 3>{4, 3, 5}));
  EXPECT_EQ(volume.geometry.spacing, (std::array<double, 3>{0.5, 0.75, 2.5}));
  EXPECT_EQ(volume.geometry.origin, (std::array<double, 3>{10, 20, -2.5}));
  EXPECT_EQ(volume.geometry.OrientationLetters(), "LPS");
  EXPECT_EQ(volume.modality, "CT");
  for (int k = 0; k < 5; ++k) EXPECT_EQ(volume.As<int16_t>()[k * 12], -25 + 25 * k);
  const auto source = std::dynamic_pointer_cast<const DicomSource>(volume.source);
  ASSERT_TRUE(source);
  ASSERT_EQ(source->files.size(), 5U);
  EXPECT_EQ(source->files[0].filename(), "f896");
  EXPECT_EQ(SourceOf(*source).slices[4].position, (std::array<double, 3>{10, 20, 7.5}));
  EXPECT_EQ(source->series_uid, "1.2.3.9");
}

// All 48 ways to lay the axes, in row and column cosines of both signs, and oblique: the centroid
// of an asymmetric blob lies where the positions say.
TEST(Dicom, CosinesOfAllSignsPlaceVoxelsExactly) {
  for (int axes = 0; axes < 6; ++axes) {
    for (int signs = 0; signs < 8; ++signs) {
      const fs::path folder = test::TemporaryFolder() / std::to_string(axes * 8 + signs);
      fs::create_directories(folder);
      static constexpr int kAxes[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                          {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
      // A rotation about (1, 2, 3) by 0.2, applied to signed axes.
      const double n = std::sqrt(14.0), c = std::cos(0.2), s = std::sin(0.2);
      const double u[3] = {1 / n, 2 / n, 3 / n};
      double rotation[3][3];
      for (int i = 0; i < 3; ++i) {
        for (int j = 0; j < 3; ++j) rotation[i][j] = u[i] * u[j] * (1 - c) + (i == j ? c : 0);
      }
      rotation[0][1] -= u[2] * s, rotation[1][0] += u[2] * s;
      rotation[0][2] += u[1] * s, rotation[2][0] -= u[1] * s;
      rotation[1][2] -= u[0] * s, rotation[2][1] += u[0] * s;
      std::array<double, 3> direction[3];
      for (int axis = 0; axis < 3; ++axis) {
        for (int i = 0; i < 3; ++i) {
          direction[axis][i] = rotation[i][kAxes[axes][axis]] * (signs >> axis & 1 ? -1 : 1);
        }
      }
      for (int k = 0; k < 3; ++k) {
        DicomBuilder slice(4, 3, {0, 0, 0});
        std::array<double, 3> position{-7, 11, 13};
        for (int i = 0; i < 3; ++i) position[i] += 2.0 * k * direction[2][i];
        slice.Position(position);
        char text[160];
        std::snprintf(text, sizeof text, "%.12f\\%.12f\\%.12f\\%.12f\\%.12f\\%.12f",
                      direction[0][0], direction[0][1], direction[0][2], direction[1][0],
                      direction[1][1], direction[1][2]);
        slice.Text(0x00200037, "DS", text);
        std::vector<int16_t> values(12, 0);
        if (k == 2) values[1 * 4 + 3] = 100;  // voxel (3, 1, 2)
        slice.Pixels(values);
        slice.Write(folder / std::to_string(k));
      }
      const Volume volume = ReadVolume(folder);
      const int16_t* values = volume.As<int16_t>();
      std::array<double, 3> found{-1, -1, -1};
      for (int at = 0; at < 36; ++at) {
        if (values[at]) {
          found = {double(at % 4), double(at / 4 % 3), double(at / 12)};
        }
      }
      const auto x = volume.geometry.PhysicalFromIndex(found);
      const double expected[3] = {-7, 11, 13};
      for (int i = 0; i < 3; ++i) {
        EXPECT_NEAR(
            x[i],
            expected[i] + 3 * 0.5 * direction[0][i] + 0.75 * direction[1][i] + 4 * direction[2][i],
            1e-5)
            << axes << " " << signs;
      }
      EXPECT_TRUE(volume.geometry.IsOrthonormal());
    }
  }
}

TEST(Dicom, MissingSliceIsNamedRefusedAndResampledOnRequest) {
  const fs::path folder = test::TemporaryFolder();
  WriteSlices(folder, {0, 2, 4, 8, 10});
  ExpectError([&] { ReadVolume(folder); }, {"1 slice seems to be missing", "'f898'", "'f897'",
                                            "4 mm and not 2 mm", "--regularise"});
  const Volume volume = ReadOnly(folder, true);
  EXPECT_EQ(volume.geometry.size[2], 6);
  EXPECT_DOUBLE_EQ(volume.geometry.spacing[2], 2);
  for (int k = 0; k < 6; ++k) EXPECT_EQ(volume.As<int16_t>()[k * 12 + 5], 20 * k);
  EXPECT_TRUE(HasNote(volume.notes, "resampled linearly from 5 slices"));
}

TEST(Dicom, UnevenSlicesAreRefusedAndResampledOnRequest) {
  const fs::path folder = test::TemporaryFolder();
  WriteSlices(folder, {0, 2, 4, 7, 10});
  ExpectError([&] { ReadVolume(folder); }, {"unevenly spaced", "2 mm to 3 mm", "--regularise"});
  const Volume volume = ReadOnly(folder, true);
  EXPECT_EQ(volume.geometry.size[2], 6);
  for (int k = 0; k < 6; ++k) EXPECT_EQ(volume.As<int16_t>()[k * 12], 20 * k);
}

TEST(Dicom, RoundedPositionsAreEven) {
  const fs::path folder = test::TemporaryFolder();
  WriteSlices(folder, {0, 1.67, 3.33, 5.0, 6.67});  // 5 / 3 mm, two decimals
  EXPECT_NEAR(ReadVolume(folder).geometry.spacing[2], 6.67 / 4, 1e-12);
}

TEST(Dicom, TiltIsRefusedAndResampledOnRequest) {
  const fs::path folder = test::TemporaryFolder();
  // Each slice is a column further along x for each slice up; the content stands still.
  for (int k = 0; k < 4; ++k) {
    DicomBuilder slice(6, 3, {0.5 * k, 0, 2.0 * k});
    std::vector<int16_t> values(18);
    for (int i = 0; i < 18; ++i) values[i] = static_cast<int16_t>(10 * (i % 6 + k) + k);
    slice.Pixels(values);
    slice.Write(folder / std::to_string(k));
  }
  ExpectError([&] { ReadVolume(folder); }, {"tilted", "'3'", "1.5 mm", "14.0 degrees"});
  const Volume volume = ReadOnly(folder, true);
  EXPECT_EQ(volume.geometry.size, (std::array<int64_t, 3>{9, 3, 4}));
  EXPECT_TRUE(volume.geometry.IsOrthonormal());
  for (int k = 0; k < 4; ++k) {
    for (int i = 0; i < 9; ++i) {
      const bool covered = i >= k && i < k + 6;
      EXPECT_EQ(volume.As<int16_t>()[k * 27 + i], covered ? 10 * i + k : 0) << i << " " << k;
    }
  }
}

TEST(Dicom, DuplicatesAreCopiesRepeatsOrRefused) {
  const fs::path base = test::TemporaryFolder();
  const fs::path copies = base / "copies";
  fs::create_directories(copies);
  WriteSlices(copies, {0, 2, 4});
  fs::copy_file(copies / "f899", copies / "again");
  const Volume volume = ReadVolume(copies);
  EXPECT_EQ(volume.geometry.size[2], 3);
  EXPECT_TRUE(HasNote(volume.notes, "is a copy of"));

  const fs::path one = base / "one";
  fs::create_directories(one);
  WriteSlices(one, {0, 2, 4});
  DicomBuilder(4, 3, {10, 20, 2}, 77).Write(one / "other");
  ExpectError([&] { ReadVolume(one); }, {"several slices lie at one place", "other", "f899"});
  ExpectError([&] { ReadOnly(one, true); }, {"several slices lie at one place"});

  const fs::path repeats = base / "repeats";
  fs::create_directories(repeats);
  WriteSlices(repeats, {0, 2, 4});
  for (int k = 0; k < 3; ++k) {
    DicomBuilder slice(4, 3, {10, 20, 2.0 * k}, static_cast<int16_t>(500 + k));
    slice.Text(0x00200013, "IS", std::to_string(50 + k));
    slice.Write(repeats / ("z" + std::to_string(k)));
  }
  const DicomTree tree = Scan(repeats);
  ASSERT_EQ(tree.AllSeries().size(), 2U);
  EXPECT_EQ(tree.AllSeries()[0]->split, "repeat 1 of 2");
  EXPECT_EQ(tree.AllSeries()[1]->files, 3);
  ExpectError([&] { ReadVolume(repeats); }, {"2 series", "--series", "repeat 1 of 2"});
  ReadOptions options;
  options.series = "2";
  EXPECT_EQ(ReadVolume(repeats, options).As<int16_t>()[12], 501);
  options.series = "1.2.3.9:1";
  EXPECT_EQ(ReadVolume(repeats, options).As<int16_t>()[12], 20);
  options.series = "1.2.3.9";
  ExpectError([&] { ReadVolume(repeats, options); }, {"2 volumes of that series"});
  options.series = "7";
  ExpectError([&] { ReadVolume(repeats, options); }, {"has no series 7"});
}

// Everything that tells volumes at one place apart makes series of its own, and nothing else does.
TEST(Dicom, SplitsByWhatTellsVolumesApart) {
  struct Case {
    uint32_t tag;
    const char* vr;
    std::vector<std::string> values;
    const char* split;
  };
  const std::vector<Case> cases = {
      {0x00180086, "IS", {"1", "2"}, "echo 2"},
      {0x00180081, "DS", {"2.5", "10.5"}, "echo time 10.5 ms"},
      {0x00200100, "IS", {"1", "2", "10"}, "time point 10"},
      {0x00200012, "IS", {"1", "2"}, "acquisition 2"},
      {0x00080008, "CS", {"ORIGINAL\\PRIMARY\\M", "ORIGINAL\\PRIMARY\\P"}, "image type"},
      {0x00181060, "DS", {"0", "40", "120"}, "trigger time 120"},
  };
  for (const Case& one : cases) {
    SCOPED_TRACE(one.split);
    const fs::path folder = test::TemporaryFolder() / std::to_string(one.tag);
    fs::create_directories(folder);
    for (size_t v = 0; v < one.values.size(); ++v) {
      for (int k = 0; k < 4; ++k) {
        DicomBuilder slice(4, 3, {10, 20, 2.0 * k}, static_cast<int16_t>(100 * v + k));
        slice.Text(one.tag, one.vr, one.values[v]);
        slice.Write(folder / (std::to_string(k) + "_" + std::to_string(v)));
      }
    }
    const DicomTree tree = Scan(folder);
    const auto all = tree.AllSeries();
    ASSERT_EQ(all.size(), one.values.size());
    EXPECT_NE(all.back()->split.find(one.split), std::string::npos) << all.back()->split;
    SilentProgress progress;
    for (size_t v = 0; v < all.size(); ++v) {
      const Volume volume = ReadDicomSeries(*all[v], {}, progress);
      for (int k = 0; k < 4; ++k) {
        EXPECT_EQ(volume.As<int16_t>()[k * 12], static_cast<int16_t>(100 * v + k));
      }
    }
    // The same key that differs from slice to slice of one volume splits nothing.
    const fs::path whole = folder / "whole";
    fs::create_directories(whole);
    for (int k = 0; k < 4; ++k) {
      DicomBuilder slice(4, 3, {10, 20, 2.0 * k});
      slice.Text(one.tag, one.vr, one.values[static_cast<size_t>(k) % one.values.size()]);
      slice.Write(whole / std::to_string(k));
    }
    EXPECT_EQ(Scan(whole).AllSeries().size(), 1U);
  }
}

TEST(Dicom, MixedSlicesAreNamedAndRefused) {
  struct Case {
    std::function<void(DicomBuilder&)> change;
    const char* what;
  };
  const std::vector<Case> cases = {
      {[](DicomBuilder& b) {
         b = DicomBuilder(5, 3, {10, 20, 4});
       },
       "differ in size"},
      {[](DicomBuilder& b) { b.Text(0x00280030, "DS", "0.75\\0.6"); }, "differ in pixel size"},
      {[](DicomBuilder& b) { b.Text(0x00200037, "DS", "0.995\\0.0999\\0\\-0.0999\\0.995\\0"); },
       "differ in orientation"},
      {[](DicomBuilder& b) { b.UInt16(0x00280103, 0); }, "type of their values"},
  };
  for (const Case& one : cases) {
    const fs::path folder = test::TemporaryFolder() / one.what;
    fs::create_directories(folder);
    WriteSlices(folder, {0, 2, 4, 6}, [&](DicomBuilder& slice, size_t i) {
      if (i == 2) one.change(slice);
    });
    ExpectError([&] { ReadVolume(folder); }, {one.what, "'f898'"});
    ExpectError([&] { ReadOnly(folder, true); }, {one.what});
  }
}

TEST(Dicom, ALocaliserIsASeriesOfItsOwn) {
  const fs::path folder = test::TemporaryFolder();
  WriteSlices(folder, {0, 2, 4});
  DicomBuilder scout(8, 8, {0, 0, 0});
  scout.Text(0x00080008, "CS", "ORIGINAL\\PRIMARY\\LOCALIZER");
  scout.Text(0x00200037, "DS", "1\\0\\0\\0\\0\\-1");
  scout.Write(folder / "scout");
  const DicomTree tree = Scan(folder);
  ASSERT_EQ(tree.AllSeries().size(), 2U);
  EXPECT_EQ(tree.AllSeries()[0]->size[2], 3);
  EXPECT_EQ(tree.AllSeries()[1]->split, "localiser");
}

TEST(Dicom, ValuesAreThoseStored) {
  const fs::path folder = test::TemporaryFolder();
  const auto read = [&](DicomBuilder& b) {
    b.Write(folder / "x");
    return ReadVolume(folder / "x");
  };
  {  // 12 bits, signed, dirt above
    DicomBuilder b(2, 2, {0, 0, 0});
    b.UInt16(0x00280101, 12);
    b.UInt16(0x00280102, 11);
    b.Pixels({0x0801, 0x7001, static_cast<int16_t>(0xf801), 5});
    const Volume v = read(b);
    EXPECT_EQ(v.As<int16_t>()[0], -2047);
    EXPECT_EQ(v.As<int16_t>()[1], 1);
    EXPECT_EQ(v.As<int16_t>()[2], -2047);
    EXPECT_EQ(v.As<int16_t>()[3], 5);
    EXPECT_TRUE(HasNote(v.notes, "BitsStored"));
  }
  {  // stored high in the word, unsigned
    DicomBuilder b(2, 1, {0, 0, 0});
    b.UInt16(0x00280101, 12);
    b.UInt16(0x00280102, 15);
    b.UInt16(0x00280103, 0);
    b.Pixels({0x1230, static_cast<int16_t>(0xfff5)});
    const Volume v = read(b);
    EXPECT_EQ(v.As<uint16_t>()[0], 0x123);
    EXPECT_EQ(v.As<uint16_t>()[1], 0xfff);
  }
  {  // rescale, padding, MONOCHROME1
    DicomBuilder b(2, 1, {0, 0, 0});
    b.Text(0x00281052, "DS", "-1024");
    b.Text(0x00281053, "DS", "2");
    b.Text(0x00280004, "CS", "MONOCHROME1");
    b.Raw(0x00280120, "US", std::string("\x30\xf8", 2));  // -2000, said to be unsigned
    b.Pixels({-2000, 100});
    const Volume v = read(b);
    EXPECT_EQ(v.As<int16_t>()[0], -2000);
    EXPECT_EQ(v.ToFloat()[1], -824);
    EXPECT_TRUE(HasNote(v.notes, "MONOCHROME1"));
    EXPECT_TRUE(HasNote(v.notes, "PixelPaddingValue -2000"));
  }
  {  // no place in the patient
    DicomBuilder b(2, 1, {0, 0, 0});
    b.Erase(0x00200032);
    EXPECT_TRUE(HasNote(read(b).notes, "no complete position"));
  }
  {  // planes of colour
    DicomBuilder b(2, 1, {0, 0, 0});
    b.UInt16(0x00280002, 3);
    b.UInt16(0x00280006, 1);
    b.UInt16(0x00280100, 8);
    b.UInt16(0x00280101, 8);
    b.UInt16(0x00280102, 7);
    b.UInt16(0x00280103, 0);
    b.Text(0x00280004, "CS", "RGB");
    b.Raw(0x7fe00010, "OB", std::string("\1\2\3\4\5\6", 6));
    const Volume v = read(b);
    EXPECT_EQ(v.components, 3);
    EXPECT_EQ(std::memcmp(v.data.data(), "\1\3\5\2\4\6", 6), 0);
    b.Text(0x00280004, "CS", "YBR_FULL");
    b.UInt16(0x00280006, 0);
    b.Raw(0x7fe00010, "OB", std::string("\x4c\x55\xff\xff\x80\x80", 6));  // red, white
    const Volume w = read(b);
    EXPECT_GT(w.As<uint8_t>()[0], 250);
    EXPECT_LT(w.As<uint8_t>()[1], 5);
    EXPECT_LT(w.As<uint8_t>()[2], 5);
    EXPECT_EQ(w.As<uint8_t>()[4], 255);
  }
  {  // a palette of two entries from 10 on, 16 bits wide
    DicomBuilder b(3, 1, {0, 0, 0});
    b.Text(0x00280004, "CS", "PALETTE COLOR");
    b.UInt16(0x00280103, 0);
    b.Raw(0x00281101, "US", std::string("\2\0\12\0\20\0", 6));
    for (uint32_t c = 0; c < 3; ++c) {
      const char low = static_cast<char>(10 + c), high = static_cast<char>(100 + c);
      b.Raw(0x00281201 + c, "OW", std::string{0, low, 0, high});
    }
    b.Pixels({10, 11, 300});
    const Volume v = read(b);
    EXPECT_EQ(std::memcmp(v.data.data(), "\12\13\14\144\145\146\144\145\146", 9), 0);
  }
}

TEST(Dicom, SlopesThatDifferAreApplied) {
  const fs::path folder = test::TemporaryFolder();
  WriteSlices(folder, {0, 2, 4}, [](DicomBuilder& slice, size_t i) {
    slice.Text(0x00281053, "DS", std::to_string(i + 1));
    slice.Text(0x00281052, "DS", "0.5");
  });
  const Volume volume = ReadVolume(folder);
  EXPECT_EQ(volume.type, VoxelType::kFloat32);
  EXPECT_TRUE(volume.scaling.IsIdentity());
  for (int k = 0; k < 3; ++k) EXPECT_EQ(volume.As<float>()[k * 12], 20 * k * (k + 1) + 0.5);
  EXPECT_TRUE(HasNote(volume.notes, "differs between slices"));
}

// A Siemens mosaic of 5 tiles of 2 x 2 in a 6 x 6 picture; the scanner's slice normal points down.
TEST(Dicom, MosaicTilesLieWhereTheScannerPutThem) {
  for (const bool down : {false, true}) {
    DicomBuilder b(6, 6, {0, 0, 0});
    b.Text(0x00080008, "CS", "ORIGINAL\\PRIMARY\\M\\ND\\MOSAIC");
    b.Text(0x00180088, "DS", "3");
    std::vector<int16_t> values(36);
    for (int at = 0; at < 36; ++at) {
      const int tile = at / 6 / 2 * 3 + at % 6 / 2;
      values[static_cast<size_t>(at)] = static_cast<int16_t>(10 * tile + 2 * (at / 6 % 2) + at % 2);
    }
    b.Pixels(values);
    b.Text(0x00290010, "LO", "SIEMENS CSA HEADER");
    const auto u32 = [](uint32_t v) { return std::string(reinterpret_cast<char*>(&v), 4); };
    const auto entry = [&](const std::string& name, const std::vector<std::string>& items) {
      std::string out = name + std::string(64 - name.size(), '\0') + u32(1) +
                        std::string("FD\0\0", 4) + u32(0) +
                        u32(static_cast<uint32_t>(items.size())) + u32(77);
      for (const std::string& item : items) {
        const uint32_t length = static_cast<uint32_t>(item.size() + 1);
        out += u32(length) + u32(length) + u32(77) + u32(length) + item;
        out += std::string((length + 3) / 4 * 4 - item.size(), '\0');
      }
      return out;
    };
    b.Raw(0x00291010, "OB",
          std::string("SV10\4\3\2\1", 8) + u32(2) + u32(77) +
              entry("NumberOfImagesInMosaic", {"5"}) +
              entry("SliceNormalVector", {"0.0", "0.0", down ? "-1.0" : "1.0"}));
    const fs::path path = test::TemporaryFolder() / "mosaic";
    b.Write(path);
    const Volume volume = ReadVolume(path);
    EXPECT_EQ(volume.geometry.size, (std::array<int64_t, 3>{2, 2, 5}));
    EXPECT_EQ(volume.geometry.spacing[2], 3);
    // The tile's corner: half of what the picture is larger, 2 columns of 0.5 and 2 rows of 0.75.
    EXPECT_EQ(volume.geometry.origin, (std::array<double, 3>{1, 1.5, down ? -12.0 : 0.0}));
    for (int k = 0; k < 5; ++k) {
      for (int i = 0; i < 4; ++i) {
        EXPECT_EQ(volume.As<int16_t>()[k * 4 + i], 10 * (down ? 4 - k : k) + i);
      }
    }
  }
}

TEST(Dicom, ExplicitStacksAndTimesOfAMultiFrameFile) {
  // Two time points of three slices, frames in no order.
  const int order[6] = {3, 0, 5, 1, 4, 2};
  DicomBuilder b(2, 1, {0, 0, 0});
  b.Erase(0x00200032);
  b.Erase(0x00200037);
  b.Text(0x00280008, "IS", "6");
  const auto sequence = [](uint32_t tag, const std::string& items) {
    return DicomBuilder::Element(tag, {"SQ", items});
  };
  const std::string orientation = DicomBuilder::Element(0x00200037, {"DS", "0\\1\\0\\0\\0\\-1 "});
  std::string frames;
  std::vector<int16_t> values;
  for (const int at : order) {
    const int time = at / 3, k = at % 3;
    const std::string position = std::to_string(5 * k) + "\\1\\2";
    std::string padded = position.size() % 2 ? position + " " : position;
    std::string index(4, '\0');
    index[0] = static_cast<char>(time + 1);
    frames += DicomBuilder::Item(
        sequence(0x00209111, DicomBuilder::Item(DicomBuilder::Element(0x00209128, {"UL", index}))) +
        sequence(0x00209113,
                 DicomBuilder::Item(DicomBuilder::Element(0x00200032, {"DS", padded}))));
    values.push_back(static_cast<int16_t>(at));
    values.push_back(static_cast<int16_t>(-at));
  }
  b.Raw(0x52009229, "SQ",
        DicomBuilder::Item(sequence(0x00209116, DicomBuilder::Item(orientation))));
  b.Raw(0x52009230, "SQ", frames);
  b.Pixels(values);
  const fs::path path = test::TemporaryFolder() / "multi";
  b.Write(path);
  const DicomTree tree = Scan(path);
  ASSERT_EQ(tree.AllSeries().size(), 2U);
  SilentProgress progress;
  for (int time = 0; time < 2; ++time) {
    const Volume volume =
        ReadDicomSeries(*tree.AllSeries()[static_cast<size_t>(time)], {}, progress);
    ASSERT_EQ(volume.geometry.size[2], 3);
    EXPECT_EQ(volume.geometry.spacing[2], 5);
    // Row along P, column along I: the normal is -L, so the slices run from 10 down to 0.
    EXPECT_EQ(volume.geometry.origin, (std::array<double, 3>{10, 1, 2}));
    EXPECT_EQ(volume.geometry.OrientationLetters(), "PIR");
    for (int k = 0; k < 3; ++k) EXPECT_EQ(volume.As<int16_t>()[2 * k], time * 3 + 2 - k);
  }
}

TEST(Dicom, PatientsAreNotNamed) {
  const fs::path folder = test::TemporaryFolder();
  WriteSlices(folder, {0, 2, 5},
              [](DicomBuilder& slice, size_t) { slice.Text(0x0008103e, "LO", "head of SECRET"); });
  const DicomTree tree = Scan(folder);
  EXPECT_EQ(tree.patients[0].name, "Secret^Patient");
  const DicomSeries& series = *tree.AllSeries()[0];
  EXPECT_EQ(series.description, "(hidden: it names the patient)");
  for (const auto& note : series.notes) EXPECT_EQ(note.find("ecret"), std::string::npos);
  const std::string message = ExpectError([&] { ReadVolume(folder); }, {"unevenly"});
  EXPECT_EQ(message.find("ecret"), std::string::npos);
}

TEST(Dicom, DicomdirNamesFilesOfItsFolderOnly) {
  const fs::path base = test::TemporaryFolder();
  const fs::path disk = base / "disk";
  fs::create_directories(disk / "IM");
  WriteSlices(disk / "IM", {0, 2});
  DicomBuilder(4, 3, {10, 20, 4}).Write(base / "OUTSIDE");
  fs::create_symlink(base / "OUTSIDE", disk / "LINK");
  std::string records;
  for (const char* name : {"IM\\f900", "IM\\f899", "..\\OUTSIDE", "LINK", "IM\\GONE"}) {
    std::string padded = name;
    if (padded.size() % 2) padded += ' ';
    records += DicomBuilder::Item(DicomBuilder::Element(0x00041500, {"CS", padded}));
  }
  std::string uid = "1.2.840.10008.1.3.10", syntax = std::string("1.2.840.10008.1.2.1\0", 20);
  test::Spill(disk / "DICOMDIR", std::string(128, '\0') + "DICM" +
                                     DicomBuilder::Element(0x00020002, {"UI", uid}) +
                                     DicomBuilder::Element(0x00020010, {"UI", syntax}) +
                                     DicomBuilder::Element(0x00041220, {"SQ", records}));
  const DicomTree tree = Scan(disk / "DICOMDIR");
  EXPECT_EQ(tree.AllSeries().size(), 1U);
  EXPECT_EQ(tree.AllSeries()[0]->files, 2);
  EXPECT_EQ(tree.skipped.size(), 3U);
  EXPECT_TRUE(HasNote(tree.skipped, "outside its folder"));
  EXPECT_TRUE(HasNote(tree.skipped, "is not there"));
  EXPECT_EQ(ReadVolume(disk / "DICOMDIR").geometry.size[2], 2);
}

TEST(Dicom, WhatIsNoImageSaysSo) {
  const fs::path folder = test::TemporaryFolder();
  DicomBuilder b(4, 3, {0, 0, 0});
  b.Erase(0x7fe00010);
  b.Write(folder / "none");
  ExpectError([&] { ReadVolume(folder / "none"); }, {"none", "no pixel data"});
  DicomBuilder cut(4, 3, {0, 0, 0});
  std::string bytes = cut.File();
  test::Spill(folder / "cut", bytes.substr(0, bytes.size() - 5));
  ExpectError([&] { ReadVolume(folder / "cut"); }, {"cut", "19 of 24 bytes"});
  test::Spill(folder / "head", bytes.substr(0, 300));
  ExpectError([&] { ReadVolume(folder / "head"); }, {"head", "bytes"});
  fs::create_directories(folder / "empty");
  ExpectError([&] { ReadVolume(folder / "empty"); }, {"holds no DICOM file"});
  ExpectError([&] { ReadVolume(folder / "gone"); }, {"gone"});
  ReadOptions options;
  options.series = "1";
  ExpectError([&] { ReadVolume(test::TestData("io/oblique.nii.gz"), options); }, {"not DICOM"});
}

class CancelAt final : public Progress {
 public:
  explicit CancelAt(int calls) : left_(calls) {}
  bool Update(double fraction, std::string_view) override {
    EXPECT_LE(fraction, 1);
    return --left_ > 0;
  }
  void Warn(std::string_view) override {}

 private:
  int left_;
};

TEST(Dicom, ReadingIsCancelled) {
  const fs::path folder = test::TemporaryFolder();
  std::vector<double> depths(60);
  for (size_t i = 0; i < depths.size(); ++i) depths[i] = 2.0 * static_cast<double>(i);
  WriteSlices(folder, depths);
  const DicomTree tree = Scan(folder);
  CancelAt now(1), soon(3);
  EXPECT_THROW(ReadDicomSeries(*tree.AllSeries()[0], {}, now), Cancelled);
  EXPECT_THROW(ReadDicomSeries(*tree.AllSeries()[0], {}, soon), Cancelled);
}

TEST(Dicom, FilesThatChangedAreNotRead) {
  const fs::path folder = test::TemporaryFolder();
  WriteSlices(folder, {0, 2, 4});
  const DicomTree tree = Scan(folder);
  fs::resize_file(folder / "f899", 400);
  SilentProgress progress;
  ExpectError([&] { ReadDicomSeries(*tree.AllSeries()[0], {}, progress); }, {"f899"});
}

TEST(Dicom, RealFilesInEveryEncoding) {
  const auto file = [](const char* name) {
    return ReadVolume(test::TestData(std::string("dicom/") + name));
  };
  const Volume plain = file("MR_small_implicit.dcm");
  EXPECT_EQ(plain.geometry.size, (std::array<int64_t, 3>{64, 64, 1}));
  for (const char* name : {"MR_small_RLE.dcm", "MR_small_jp2klossless.dcm",
                           "MR_small_jpeg_ls_lossless.dcm", "MR_small_bigendian.dcm"}) {
    const Volume other = file(name);
    EXPECT_EQ(other.data, plain.data) << name;
    EXPECT_EQ(MaxCornerDistance(other.geometry, plain.geometry), 0) << name;
  }
  const Volume rle = file("SC_rgb_rle.dcm"), jpeg = file("SC_rgb_jpeg_gdcm.dcm");
  EXPECT_EQ(rle.components, 3);
  EXPECT_EQ(rle.data, jpeg.data);
  EXPECT_EQ(file("image_dfl.dcm").geometry.size, (std::array<int64_t, 3>{512, 512, 1}));
  const Volume frames = file("multiframe.dcm");
  EXPECT_EQ(frames.geometry.size, (std::array<int64_t, 3>{23, 38, 3}));
  EXPECT_NEAR(frames.geometry.spacing[2], 2.5, 1e-9);
  const Volume ct = file("ct5n");
  EXPECT_EQ(ct.geometry.size, (std::array<int64_t, 3>{16, 16, 5}));
  EXPECT_NEAR(ct.geometry.spacing[2], 2.5, 1e-9);
  EXPECT_NEAR(ct.geometry.origin[2], -1.2375, 1e-9);
  EXPECT_EQ(ct.scaling.inter, -1024);
}

}  // namespace
}  // namespace avocet::io
