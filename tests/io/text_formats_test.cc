// SPDX-License-Identifier: Apache-2.0
// NRRD and MetaImage: every kind of header, what is refused, and what is written.
#include <gtest/gtest.h>

#include <numeric>

#include "io/volume_io.h"
#include "tests/io/io_test_util.h"
#include "tests/support/test_support.h"

namespace avocet::io {
namespace {

namespace fs = std::filesystem;
using test::AffineOf;
using test::CountEntries;
using test::ExpectError;
using test::Gzip;
using test::MaxDifference;
using test::RasAffine;
using test::Slurp;
using test::Spill;
using test::TemporaryFolder;

// "fields" and voxels 0, 1, 2, ... of 2 x 3 x 4 shorts.
std::string Shorts(size_t count, bool big = false) {
  std::string bytes;
  for (size_t i = 0; i < count; ++i) {
    const char low = static_cast<char>(i & 255);
    const char high = static_cast<char>(i >> 8);
    bytes += big ? std::string{high, low} : std::string{low, high};
  }
  return bytes;
}

std::string Nrrd(const std::string& fields, const std::string& data) {
  return "NRRD0004\n# a comment\n" + fields + "\n" + data;
}

const std::string kGrid =
    "type: short\ndimension: 3\nspace: left-posterior-superior\nsizes: 2 3 4\n"
    "space directions: (2,0,0) (0,3,0) (0,0,4)\nspace origin: (10,20,30)\n";
const std::string kRaw = "encoding: raw\nendian: little\n";
constexpr RasAffine kAffine{{{-2, 0, 0, -10}, {0, -3, 0, -20}, {0, 0, 4, 30}}};

void ExpectNumbered(const Volume& volume) {
  ASSERT_EQ(volume.ValueCount(), 24);
  std::vector<float> expected(24);
  std::iota(expected.begin(), expected.end(), 0.F);
  EXPECT_EQ(volume.ToFloat(), expected);
  EXPECT_LT(MaxDifference(AffineOf(volume.geometry), kAffine), 1e-12);
}

TEST(ReadNrrd, Encodings) {
  const fs::path file = TemporaryFolder() / "x.nrrd";
  const std::string raw = Shorts(24);
  std::string text;
  for (int i = 0; i < 24; ++i) text += std::to_string(i) + (i % 5 == 0 ? "\n" : " ");
  std::string hex;
  for (const char c : raw) {
    char digits[4];
    std::snprintf(digits, sizeof digits, "%02x", static_cast<unsigned char>(c));
    hex += digits;
  }
  const std::string cases[] = {
      Nrrd(kGrid + kRaw, raw),
      Nrrd(kGrid + "encoding: raw\nendian: big\n", Shorts(24, true)),
      Nrrd(kGrid + "encoding: gzip\nendian: little\n", Gzip(raw)),
      Nrrd(kGrid + "encoding: gz\nendian: little\n",
           Gzip(raw.substr(0, 10)) + Gzip(raw.substr(10))),
      Nrrd(kGrid + "encoding: ascii\n", text),
      Nrrd(kGrid + "encoding: hex\nendian: little\n", hex),
      Nrrd(kGrid + kRaw + "byte skip: -1\n", "whatever stands here" + raw),
      Nrrd(kGrid + kRaw + "line skip: 2\nbyte skip: 3\n", "one\ntwo\nxyz" + raw),
      Nrrd(kGrid + "encoding: gzip\nendian: little\nbyte skip: -1\n", Gzip("front matter" + raw)),
      Nrrd(kGrid + "encoding: gzip\nendian: little\nbyte skip: 5\n", Gzip("front" + raw)),
      Gzip(Nrrd(kGrid + kRaw, raw)),  // the whole file
      Gzip(Nrrd(kGrid + kRaw + "byte skip: -1\n", "front" + raw)),
  };
  for (size_t i = 0; i < std::size(cases); ++i) {
    SCOPED_TRACE(i);
    Spill(file, cases[i]);
    Volume volume;
    ASSERT_NO_THROW(volume = ReadVolume(file));
    ExpectNumbered(volume);
    EXPECT_TRUE(volume.notes.empty()) << volume.notes[0];
  }
  // What every header says is shown; free text is not.
  Spill(file, Nrrd(kGrid + kRaw +
                       "content: John Doe\nDICOM_0010_0010_PatientName:=Doe^John\n"
                       "DICOM_0008_0060_Modality:=CT\n",
                   raw));
  const Volume volume = ReadVolume(file);
  EXPECT_EQ(volume.modality, "CT");
  bool sizes = false;
  for (const auto& [name, value] : volume.source->Fields()) {
    EXPECT_EQ(value.find("Doe"), std::string::npos) << name;
    sizes = sizes || (name == "sizes" && value == "2 3 4");
  }
  EXPECT_TRUE(sizes);
}

// Lengths in words, symbols, plural, per world axis and per array axis.
TEST(ReadNrrd, UnitsOfLength) {
  const fs::path path = TemporaryFolder() / "units.nrrd";
  const auto spacing = [&](const std::string& fields) {
    Spill(path, Nrrd("type: uint8\ndimension: 3\nsizes: 2 1 1\nencoding: raw\n" + fields, "ab"));
    return ReadVolume(path);
  };
  const std::string world =
      "space: left-posterior-superior\nspace directions: (4,0,0) (0,4,0) (0,0,4)\nspace units: ";
  const std::pair<const char*, double> units[] = {{"microns", 4e-3},
                                                  {"micron", 4e-3},
                                                  {"micrometer", 4e-3},
                                                  {"micrometers", 4e-3},
                                                  {"micrometres", 4e-3},
                                                  {"um", 4e-3},
                                                  {"\xc2\xb5m", 4e-3},
                                                  {"nm", 4e-6},
                                                  {"meters", 4000},
                                                  {"m", 4000},
                                                  {"cm", 40},
                                                  {"Centimeters", 40},
                                                  {"MM", 4},
                                                  {"millimetres", 4},
                                                  {"inches", 101.6}};
  for (const auto& [unit, mm] : units) {
    SCOPED_TRACE(unit);
    const std::string quoted = "\"" + std::string(unit) + "\" ";
    const Volume volume = spacing(world + quoted + quoted + quoted + "\n");
    for (const double found : volume.geometry.spacing) EXPECT_NEAR(found, mm, 1e-9 * mm);
    EXPECT_FALSE(volume.assumed.in_plane_size);
    const Volume array = spacing("spacings: 4 4 4\nunits: " + quoted + quoted + quoted + "\n");
    for (const double found : array.geometry.spacing) EXPECT_NEAR(found, mm, 1e-9 * mm);
  }
  const Volume unknown = spacing(world + "\"parsec\" \"parsec\" \"parsec\"\n");
  EXPECT_EQ(unknown.geometry.spacing[0], 4);
  EXPECT_TRUE(unknown.assumed.in_plane_size && unknown.assumed.slice_distance);
  ExpectError([&] { spacing(world + "\"mm\" \"mm\" \"cm\"\n"); }, {"units of its axes differ"});
  // The same unit in two words is one unit.
  EXPECT_EQ(spacing(world + "\"mm\" \"millimeters\" \"mm\"\n").geometry.spacing[1], 4);
}

TEST(ReadNrrd, Detached) {
  const fs::path folder = TemporaryFolder();
  const std::string raw = Shorts(24);
  fs::create_directory(folder / "sub");
  Spill(folder / "x.raw", raw);
  Spill(folder / "sub/x.raw", raw);
  Spill(folder / "x.raw.gz", Gzip(raw));
  for (int i = 1; i <= 4; ++i) {
    Spill(folder / ("slice" + std::to_string(i) + ".raw"), raw.substr((i - 1) * 12, 12));
    Spill(folder / ("p00" + std::to_string(i) + ".raw"), raw.substr((i - 1) * 12, 12));
  }
  const std::string cases[] = {
      kGrid + kRaw + "data file: x.raw\n",
      kGrid + kRaw + "datafile: ./sub/x.raw\n",
      kGrid + "endian: little\nencoding: gzip\ndata file: x.raw.gz\n",
      kGrid + kRaw + "data file: p%03d.raw 1 4 1\n",
      kGrid + kRaw + "data file: LIST\nslice1.raw\nslice2.raw\nslice3.raw\nslice4.raw\n",
  };
  for (const std::string& fields : cases) {
    SCOPED_TRACE(fields);
    Spill(folder / "x.nhdr", "NRRD0005\n" + fields);
    ExpectNumbered(ReadVolume(folder / "x.nhdr"));
  }
  EXPECT_EQ(ListVolumes(folder).size(), 1U);
}

TEST(ReadNrrd, AxesFindTheirPlaces) {
  const fs::path file = TemporaryFolder() / "x.nrrd";
  const std::string directions = "space: RAS\nspace origin: (0,0,0)\n";
  // Colour first.
  Spill(file,
        Nrrd("type: uchar\ndimension: 4\nsizes: 3 2 2 2\nkinds: RGB-color space space space\n" +
                 directions +
                 "space directions: none (1,0,0) (0,1,0) (0,0,1)\n"
                 "encoding: raw\n",
             std::string(24, 'x')));
  Volume volume = ReadVolume(file);
  EXPECT_EQ(volume.components, 3);
  EXPECT_EQ(volume.frames, 1);
  EXPECT_EQ(volume.geometry.OrientationLetters(), "RAS");
  // Frames last, and a list that runs fastest and is turned round.
  const std::string shorts = Shorts(24);
  Spill(file, Nrrd("type: short\ndimension: 4\nsizes: 2 2 2 3\n" + directions +
                       "space directions: (1,0,0) (0,1,0) (0,0,1) none\n" + kRaw,
                   shorts));
  volume = ReadVolume(file);
  EXPECT_EQ(volume.frames, 3);
  EXPECT_EQ(volume.ToFloat(1)[0], 8.F);
  Spill(file, Nrrd("type: short\ndimension: 4\nsizes: 3 2 2 2\nkinds: list domain domain domain\n" +
                       directions + "space directions: none (1,0,0) (0,1,0) (0,0,1)\n" + kRaw,
                   shorts));
  volume = ReadVolume(file);
  EXPECT_EQ(volume.frames, 3);
  EXPECT_EQ(volume.ToFloat(1), (std::vector<float>{1, 4, 7, 10, 13, 16, 19, 22}));
  ASSERT_EQ(volume.notes.size(), 1U);
  EXPECT_NE(volume.notes[0].find("reordered"), std::string::npos);
  // Space and time.
  Spill(file,
        Nrrd("type: short\ndimension: 4\nsizes: 2 2 2 3\nspace: right-anterior-superior-time\n"
             "space origin: (1,2,3,0)\n"
             "space directions: (1,0,0,0) (0,1,0,0) (0,0,1,0) (0,0,0,1)\n" +
                 kRaw,
             shorts));
  volume = ReadVolume(file);
  EXPECT_EQ(volume.frames, 3);
  EXPECT_EQ(volume.geometry.origin, (std::array<double, 3>{-1, -2, 3}));
  // One slice, no orientation, sizes by minimum and maximum.
  Spill(file, Nrrd("type: short\ndimension: 2\nsizes: 4 6\naxis mins: 0 0\naxis maxs: 2 10\n"
                   "centers: cell node\n" +
                       kRaw,
                   shorts));
  volume = ReadVolume(file);
  EXPECT_EQ(volume.geometry.size, (std::array<int64_t, 3>{4, 6, 1}));
  EXPECT_EQ(volume.geometry.spacing, (std::array<double, 3>{0.5, 2, 1}));
  EXPECT_EQ(volume.geometry.origin, (std::array<double, 3>{0.25, 0, 0}));  // cell, node
  EXPECT_NE(volume.notes.at(0).find("axis mins"), std::string::npos);
  EXPECT_NE(volume.notes.at(1).find("no orientation"), std::string::npos);
  // A negative voxel size: what ITK makes of it, and it is said.
  Spill(file, Nrrd("type: short\ndimension: 3\nsizes: 2 3 4\nspacings: -2 3 4\n" + kRaw, shorts));
  volume = ReadVolume(file);
  EXPECT_EQ(volume.geometry.OrientationLetters(), "RPS");
  EXPECT_EQ(volume.geometry.spacing[0], 2);
  EXPECT_NE(volume.notes.at(0).find("negative voxel size"), std::string::npos);
  // A space without anatomy is stated.
  Spill(file, Nrrd("type: short\ndimension: 3\nsizes: 2 3 4\nspace: 3D-right-handed\n"
                   "space origin: (10,20,30)\nspace directions: (2,0,0) (0,3,0) (0,0,4)\n" +
                       kRaw,
                   shorts));
  volume = ReadVolume(file);
  ExpectNumbered(volume);
  EXPECT_NE(volume.notes.at(0).find("no anatomical meaning"), std::string::npos);
}

TEST(ReadNrrd, Refuses) {
  const fs::path folder = TemporaryFolder();
  const fs::path file = folder / "x.nrrd";
  const std::string raw = Shorts(24);
  const auto refused = [&](const std::string& content, const char* reason) {
    SCOPED_TRACE(reason);
    Spill(file, content);
    ExpectError([&] { ReadVolume(file); }, {file.string(), reason});
  };
  refused(Nrrd("type: short\ndimension: 3\nspace: left-posterior-superior\nsizes: 2 3 4\n"
               "space directions: (nan,0,0) (0,3,0) (0,0,4)\n" +
                   kRaw,
               raw),
          "none in another");
  refused("NRRD0009\n" + kGrid + kRaw + "\n" + raw, "version");
  refused(Nrrd(kGrid + kRaw, raw.substr(0, 40)), "holds 40");
  refused(Nrrd(kGrid + kRaw + kRaw, raw), "twice");
  refused(Nrrd(kGrid + "encoding: raw\n", raw), "byte order");
  refused(Nrrd(kGrid + "encoding: lzma\nendian: little\n", raw), "encoding 'lzma'");
  refused(Nrrd(kGrid + kRaw + "byte skip: -2\n", raw), "byte skip is -2");
  refused(Nrrd(kGrid + kRaw + "line skip: -1\n", raw), "line skip is -1");
  refused(Nrrd(kGrid + kRaw + "line skip: 99999999\n", raw), "fewer lines");
  refused(Nrrd(kGrid + kRaw + "byte skip: 9223372036854775807\n", raw), "asks for");
  refused(Nrrd(kGrid + "encoding: gzip\nendian: little\n", Gzip(raw).substr(0, 30)), "cut off");
  std::string crc = Gzip(raw);
  crc[crc.size() - 6] ^= 1;
  refused(Nrrd(kGrid + "encoding: gzip\nendian: little\n", crc), "damaged");
  refused(Nrrd(kGrid + "encoding: bzip2\nendian: little\n", "BZh9nonsense that is no block"),
          "damaged");
  refused(Nrrd(kGrid + "encoding: ascii\n", "1 2 3"), "more than its text can hold");
  refused(
      Nrrd(kGrid + "encoding: ascii\n", "1 2 3 4 5 6 7 8 nine 10 11 12 13 14 15 16 17 18 19 20"),
      "'nine'");
  refused(
      Nrrd(kGrid + "encoding: ascii\n", "70000 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20"),
      "int16");
  const auto with = [&](std::string from, const std::string& to) {
    std::string fields = kGrid + kRaw;
    fields.replace(fields.find(from), from.size(), to);
    return Nrrd(fields, raw);
  };
  refused(with("sizes: 2 3 4", "sizes: 2 -3 4"), "size of -3 along axis 2");
  refused(with("sizes: 2 3 4", "sizes: 2 3"), "2 sizes for 3");
  refused(with("sizes: 2 3 4", "sizes: 4000000000 4000000000 4000000000"), "any file can hold");
  refused(with("sizes: 2 3 4", "sizes: 20000 30000 40000"), "holds");
  refused(with("dimension: 3", "dimension: 99"), "99 dimensions");
  refused(with("type: short", "type: block"), "type 'block'");
  refused(with("(0,0,4)", "(0,0,0)"), "not a valid vector");
  refused(with("(0,0,4)", "(2,3,0)"), "one plane");
  refused(with("(0,0,4)", "(0,0)"), "2 numbers for 3");
  refused(with("(0,0,4)", "(0,0,x)"), "no number");
  refused(with("left-posterior-superior", "left-or-right"), "space 'left-or-right'");
  refused(with("endian: little", "endian: middle"), "'middle'");
}

// Voxel files are looked for beside the header and nowhere else.
TEST(ReadNrrd, PathsThatClimbAreRefused) {
  const fs::path outer = TemporaryFolder();
  const fs::path folder = outer / "in";
  fs::create_directory(folder);
  Spill(outer / "secret.raw", Shorts(24));
  fs::create_symlink(outer / "secret.raw", folder / "link.raw");
  fs::create_directory_symlink(outer, folder / "up");
  const std::string names[] = {"../secret.raw",
                               (outer / "secret.raw").string(),
                               "link.raw",
                               "up/secret.raw",
                               "sub/../../secret.raw",
                               "none.raw",
                               "../../../../../etc/passwd"};
  for (const std::string& name : names) {
    SCOPED_TRACE(name);
    Spill(folder / "x.nhdr", "NRRD0004\n" + kGrid + kRaw + "data file: " + name + "\n");
    ExpectError([&] { ReadVolume(folder / "x.nhdr"); }, {"x.nhdr", name, "beside the header"});
    Spill(folder / "x.nhdr", "NRRD0004\n" + kGrid + kRaw + "data file: LIST\n" + name + "\n");
    ExpectError([&] { ReadVolume(folder / "x.nhdr"); }, {"x.nhdr", name});
    Spill(folder / "x.mhd",
          "ObjectType = Image\nNDims = 3\nDimSize = 2 3 4\nElementType = MET_SHORT\n"
          "ElementDataFile = " +
              name + "\n");
    ExpectError([&] { ReadVolume(folder / "x.mhd"); }, {"x.mhd", name, "beside the header"});
  }
}

const std::string kMeta =
    "ObjectType = Image\nNDims = 3\nDimSize = 2 3 4\nElementSpacing = 2 3 4\nOffset = 10 20 30\n"
    "TransformMatrix = 1 0 0 0 1 0 0 0 1\n";
const std::string kShort = "ElementType = MET_SHORT\n";

TEST(ReadMetaImage, Forms) {
  const fs::path folder = TemporaryFolder();
  const std::string raw = Shorts(24);
  // A negative voxel size: the axis runs backwards, as ITK has it.
  std::string backwards = kMeta;
  backwards.replace(backwards.find("= 2 3 4\nO"), 7, "= -2 3 4");
  Spill(folder / "back.mha", backwards + kShort + "ElementDataFile = LOCAL\n" + raw);
  const Volume back = ReadVolume(folder / "back.mha");
  EXPECT_EQ(back.geometry.OrientationLetters(), "RPS");
  EXPECT_EQ(back.geometry.spacing, (std::array<double, 3>{2, 3, 4}));
  EXPECT_EQ(back.geometry.origin, (std::array<double, 3>{10, 20, 30}));
  ASSERT_EQ(back.notes.size(), 1U);
  EXPECT_NE(back.notes[0].find("negative"), std::string::npos);
  std::string text;
  for (int i = 0; i < 24; ++i) text += std::to_string(i) + " ";
  Spill(folder / "x.raw", raw);
  Spill(folder / "h.raw", "some header" + raw);
  for (int i = 1; i <= 4; ++i) {
    Spill(folder / ("s" + std::to_string(i) + ".raw"), raw.substr((i - 1) * 12, 12));
  }
  // zlib as MetaIO writes it: deflate's own header and sum.
  uLongf length = compressBound(raw.size());
  std::string zlib(length, '\0');
  compress(reinterpret_cast<Bytef*>(zlib.data()), &length,
           reinterpret_cast<const Bytef*>(raw.data()), raw.size());
  zlib.resize(length);
  const std::string cases[] = {
      kMeta + kShort + "ElementDataFile = LOCAL\n" + raw,
      kMeta + kShort + "BinaryDataByteOrderMSB = True\nElementDataFile = LOCAL\n" +
          Shorts(24, true),
      kMeta + kShort + "CompressedData = True\nElementDataFile = LOCAL\n" + zlib,
      kMeta + kShort + "CompressedData = True\nElementDataFile = LOCAL\n" + Gzip(raw),
      kMeta + kShort + "BinaryData = False\nElementDataFile = LOCAL\n" + text,
      kMeta + kShort + "ElementDataFile = x.raw\n",
      kMeta + kShort + "HeaderSize = -1\nElementDataFile = h.raw\n",
      kMeta + kShort + "HeaderSize = 11\nElementDataFile = h.raw\n",
      kMeta + kShort + "ElementDataFile = s%d.raw 1 4 1\n",
      kMeta + kShort + "ElementDataFile = LIST\ns1.raw\ns2.raw\ns3.raw\ns4.raw\n",
      Gzip(kMeta + kShort + "ElementDataFile = LOCAL\n" + raw),
  };
  for (size_t i = 0; i < std::size(cases); ++i) {
    SCOPED_TRACE(i);
    Spill(folder / "x.mha", cases[i]);
    Volume volume;
    ASSERT_NO_THROW(volume = ReadVolume(folder / "x.mha"));
    ExpectNumbered(volume);
    EXPECT_TRUE(volume.notes.empty()) << volume.notes[0];
  }
  // The matrix lists axis after axis: the first runs to P, the second to L.
  std::string turned = kMeta;
  turned.replace(turned.find("1 0 0 0 1 0"), 11, "0 1 0 1 0 0");
  Spill(folder / "x.mha", turned + kShort + "Modality = MET_MOD_CT\n" +
                              "ElementToIntensityFunctionSlope = 2\n"
                              "ElementToIntensityFunctionOffset = -1\nElementDataFile = LOCAL\n" +
                              raw);
  const Volume volume = ReadVolume(folder / "x.mha");
  EXPECT_EQ(volume.geometry.OrientationLetters(), "PLS");
  EXPECT_EQ(volume.modality, "CT");
  EXPECT_EQ(volume.ToFloat()[3], 5.F);
  // Four dimensions.
  Spill(folder / "x.mha",
        "ObjectType = Image\nNDims = 4\nDimSize = 2 3 2 2\nElementSpacing = 1 2 3 1\n"
        "Offset = 0 0 0 0\nTransformMatrix = 1 0 0 0 0 1 0 0 0 0 1 0 0 0 0 1\n" +
            kShort + "ElementDataFile = LOCAL\n" + raw);
  EXPECT_EQ(ReadVolume(folder / "x.mha").frames, 2);
  EXPECT_EQ(ReadVolume(folder / "x.mha").ToFloat(1)[0], 12.F);
}

TEST(ReadMetaImage, Refuses) {
  const fs::path file = TemporaryFolder() / "x.mha";
  const std::string raw = Shorts(24);
  const auto refused = [&](const std::string& content, const char* reason) {
    SCOPED_TRACE(reason);
    Spill(file, content);
    ExpectError([&] { ReadVolume(file); }, {file.string(), reason});
  };
  const std::string local = "ElementDataFile = LOCAL\n";
  refused(kMeta + kShort + local + raw.substr(2), "holds 46");
  refused(kMeta + kShort + "\n", "cut off");
  refused(kMeta + "ElementType = MET_OTHER\n" + local + raw, "'MET_OTHER'");
  refused(kMeta + kShort + "CompressedData = maybe\n" + local + raw, "CompressedData");
  refused(kMeta + kShort + "ElementNumberOfChannels = 0\n" + local + raw, "channels");
  refused(kMeta + kShort + "ElementDataFile =\n" + raw, "empty");
  std::string fields = kMeta;
  fields.replace(fields.find("DimSize = 2 3 4"), 15, "DimSize = 2 3 9000000000000000000");
  refused(fields + kShort + local + raw, "any file can hold");
  fields = kMeta;
  fields.replace(fields.find("ElementSpacing = 2"), 18, "ElementSpacing = 0");
  refused(fields + kShort + local + raw, "voxel size along axis 1");
  fields = kMeta;
  fields.replace(fields.find("0 0 1\n"), 6, "0 1 0\n");
  refused(fields + kShort + local + raw, "one plane");
  fields = kMeta;
  fields.replace(fields.find("= Image"), 7, "= Mesh ");
  refused(fields + kShort + local + raw, "'Mesh'");
}

TEST(WriteTextFormats, ScalingFramesColourAndPairs) {
  const fs::path folder = TemporaryFolder();
  Geometry geometry;
  geometry.size = {2, 3, 4};
  Volume volume = Volume::Zeros(geometry, VoxelType::kInt16);
  std::iota(volume.As<int16_t>(), volume.As<int16_t>() + 24, static_cast<int16_t>(0));
  volume.scaling = {1, -1024};
  for (const char* name : {"x.nrrd", "x.mha"}) {
    WriteVolume(volume, folder / name);
    const Volume again = ReadVolume(folder / name);
    EXPECT_EQ(again.type, VoxelType::kInt16);  // whole numbers stay whole
    EXPECT_EQ(again.ToFloat(), volume.ToFloat());
  }
  volume.scaling = {0.5, 0};
  WriteVolume(volume, folder / "x.nrrd");
  EXPECT_EQ(ReadVolume(folder / "x.nrrd").type, VoxelType::kFloat32);
  EXPECT_EQ(ReadVolume(folder / "x.nrrd").ToFloat(), volume.ToFloat());

  Volume several = ReadVolume(test::TestData("io/two_frames.nii.gz"));
  Volume colour = ReadVolume(test::TestData("io/rgb24.nii.gz"));
  for (const char* name : {"y.nrrd", "y.nhdr", "y.mha", "y.mhd"}) {
    SCOPED_TRACE(name);
    WriteVolume(several, folder / name);
    Volume again = ReadVolume(folder / name);
    EXPECT_EQ(again.frames, several.frames);
    EXPECT_EQ(again.data, several.data);
    WriteVolume(colour, folder / name);
    again = ReadVolume(folder / name);
    EXPECT_EQ(again.components, 3);
    EXPECT_EQ(again.data, colour.data);
    // Equal volumes, equal files.
    const std::string before = Slurp(folder / name);
    WriteVolume(colour, folder / name);
    EXPECT_EQ(Slurp(folder / name), before);
  }
  // x.nrrd, x.mha, y.nrrd, y.nhdr + y.raw.gz, y.mha, y.mhd + y.zraw and nothing else.
  EXPECT_EQ(CountEntries(folder), 8U);
  EXPECT_EQ(StemOf("a/y.nhdr"), "y");
  ExpectError([&] { WriteVolume(colour, folder / "none/x.nrrd"); }, {"none/x.nrrd"});
  ExpectError([&] { WriteVolume(colour, folder / "none/x.mhd"); }, {"none/x"});
}

TEST(SharedNrrd, LabelledPairsAreReadRight) {
  const fs::path folder = test::SharedData("data/nrrd_labelled");
  if (folder.empty()) GTEST_SKIP() << "../shared/data is not there";
  // pynrrd's reading: sum of the values, one voxel at (s0/3, s1/2, 2 s2/3), affine in RAS.
  struct Case {
    const char* file;
    std::array<int64_t, 3> size;
    const char* letters;
    RasAffine affine;
    double sum;
    float voxel;
  };
  const RasAffine brain{
      {{-0.78125, 0, 0, 99.609375}, {0, 0.78125, 0, -99.609375}, {0, 0, 6.5, -78}}};
  const RasAffine breast{
      {{-0.664062, 0, 0, 116.54304}, {0, -0.664062, 0, 48.144654}, {0, 0, 2.1, 9.45}}};
  const Case cases[] = {
      {"brain1_image.nrrd", {256, 256, 25}, "LAS", brain, 631859459, 539},
      {"brain1_label.nrrd", {256, 256, 25}, "LAS", brain, 4137, 0},
      {"breast1_image.nrrd", {45, 120, 21}, "LPS", breast, 7187342, 60},
      {"breast1_label.nrrd", {45, 120, 21}, "LPS", breast, 143, 0},
  };
  for (const Case& expected : cases) {
    SCOPED_TRACE(expected.file);
    const Volume volume = ReadVolume(folder / expected.file);
    EXPECT_EQ(volume.geometry.size, expected.size);
    EXPECT_EQ(volume.geometry.OrientationLetters(), expected.letters);
    EXPECT_LT(MaxDifference(AffineOf(volume.geometry), expected.affine), 1e-5);
    EXPECT_TRUE(volume.notes.empty());
    const std::vector<float> values = volume.ToFloat();
    EXPECT_EQ(std::accumulate(values.begin(), values.end(), 0.0), expected.sum);
    const auto& s = expected.size;
    EXPECT_EQ(values[s[0] / 3 + s[0] * (s[1] / 2 + s[1] * (2 * s[2] / 3))], expected.voxel);
  }
}

}  // namespace
}  // namespace avocet::io
