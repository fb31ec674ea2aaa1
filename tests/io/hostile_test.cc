// SPDX-License-Identifier: Apache-2.0
// Files made to do harm, for all formats: claims, bombs, cycles, paths that climb, links. Tests of
// one format's own kinds of damage stand with that format; random damage is in tests/fuzz.
#include <gtest/gtest.h>

#include <cstring>
#include <functional>

#include "io/anonymize.h"
#include "io/deflate.h"
#include "io/dicom.h"
#include "io/dicom_instance.h"
#include "io/dicom_seg.h"
#include "io/rtstruct.h"
#include "io/volume_io.h"
#include "tests/io/dicom_builder.h"
#include "tests/io/io_test_util.h"
#include "tests/support/test_support.h"

namespace avocet::io {
namespace {

namespace fs = std::filesystem;
using test::DicomBuilder;
using test::ExpectError;
using test::Slurp;
using test::Spill;
using test::TemporaryFolder;
using test::TestData;

template <typename T>
std::string Bytes(T value) {
  return std::string(reinterpret_cast<const char*>(&value), sizeof value);
}

// Everything that opens DICOM; each must refuse `path` by its name.
void ExpectAllDicomReadersRefuse(const fs::path& path, const std::vector<std::string>& any_of) {
  const std::function<void()> readers[] = {[&] { ReadVolume(path); }, [&] { ReadDicomSeg(path); },
                                           [&] { ReadRtStruct(path); },
                                           [&] { Anonymizer().Load(path); }};
  for (const auto& read : readers) {
    const std::string message = ExpectError(read, {path.filename().string()});
    const bool said = std::any_of(any_of.begin(), any_of.end(), [&](const std::string& words) {
      return message.find(words) != message.npos;
    });
    EXPECT_TRUE(said) << message;
  }
}

std::string DicomHead(const std::string& syntax) {
  std::string uid = syntax;
  if (uid.size() % 2) uid += '\0';
  return std::string(128, '\0') + "DICM" + DicomBuilder::Element(0x00020010, {"UI", uid});
}

std::string Deflated(const std::string& content) {
  return DeflateBytes(content.data(), content.size(), Deflate::kRaw);
}

// A sequence in a sequence in a sequence: recursion would overflow the stack.
TEST(Hostile, DeepDicomIsRefusedInEveryEncoding) {
  constexpr int kDepth = 100000;
  const auto repeat = [](const std::string& text) {
    std::string all;
    for (int i = 0; i < kDepth; ++i) all += text;
    return all;
  };
  const std::string item("\xfe\xff\0\xe0\xff\xff\xff\xff", 8);
  const std::string item_big("\xff\xfe\xe0\0\xff\xff\xff\xff", 8);
  const std::string explicit_sq = std::string("\x08\0\x15\x11SQ\0\0\xff\xff\xff\xff", 12) + item;
  const std::string implicit_sq = std::string("\x08\0\x15\x11\xff\xff\xff\xff", 8) + item;
  const std::string kExplicit = "1.2.840.10008.1.2.1", kImplicit = "1.2.840.10008.1.2",
                    kBig = "1.2.840.10008.1.2.2", kDeflate = "1.2.840.10008.1.2.1.99";
  // Lengths given: from the inside out.
  std::string nested;
  {
    std::vector<std::string> heads;
    uint32_t length = 0;
    for (int i = 0; i < kDepth; ++i) {
      heads.push_back(std::string("\x08\0\x15\x11SQ\0\0", 8) + Bytes(length + 8) +
                      std::string("\xfe\xff\0\xe0", 4) + Bytes(length));
      length += 20;
    }
    for (auto head = heads.rbegin(); head != heads.rend(); ++head) nested += *head;
  }
  const std::string first = DicomBuilder::Element(0x00080005, {"CS", "ISO_IR 100"});
  const struct {
    const char* name;
    std::string bytes;
  } cases[] = {
      {"explicit.dcm", DicomHead(kExplicit) + first + repeat(explicit_sq)},
      {"lengths.dcm", DicomHead(kExplicit) + first + nested},
      {"implicit.dcm",
       DicomHead(kImplicit) + std::string("\x08\0\5\0\2\0\0\0XX", 10) + repeat(implicit_sq)},
      {"big.dcm", DicomHead(kBig) + std::string("\0\x08\0\5CS\0\2XX", 10) +
                      repeat(std::string("\0\x08\x11\x15SQ\0\0\xff\xff\xff\xff", 12) + item_big)},
      // Unknown VR: implicit little endian within, also in a big endian file.
      {"unknown.dcm", DicomHead(kExplicit) + first +
                          std::string("\x09\0\x15\x11UN\0\0\xff\xff\xff\xff", 12) + item +
                          repeat(implicit_sq)},
      {"unknown_big.dcm", DicomHead(kBig) + std::string("\0\x08\0\5CS\0\2XX", 10) +
                              std::string("\0\x09\x11\x15UN\0\0\xff\xff\xff\xff", 12) + item +
                              repeat(implicit_sq)},
      // A VR that does not exist, a sequence where pixels belong, no meta group.
      {"future.dcm", DicomHead(kExplicit) + first +
                         std::string("\x09\0\x10\x11ZZ\0\0\4\0\0\0abcd", 16) + repeat(explicit_sq)},
      {"pixels.dcm",
       DicomHead(kExplicit) + first + std::string("\xe0\x7f\0\x10SQ\0\0\xff\xff\xff\xff", 12) +
           std::string("\xfe\xff\0\xe0", 4) + Bytes(uint32_t(20 * kDepth)) + repeat(explicit_sq)},
      {"deflated.dcm", DicomHead(kDeflate) + Deflated(first + repeat(explicit_sq))},
  };
  const fs::path folder = TemporaryFolder();
  for (const auto& one : cases) {
    SCOPED_TRACE(one.name);
    Spill(folder / one.name, one.bytes);
    ExpectAllDicomReadersRefuse(folder / one.name, {"nest", "no pixel data", "is not an RT",
                                                    "holds no pixel", "damaged", "no valid value"});
  }
}

// An element of 1 GB in a file of some hundred bytes: the memory must not be asked for.
TEST(Hostile, DicomValuesAreNotLongerThanTheFile) {
  const fs::path path = TemporaryFolder() / "claim.dcm";
  for (const char* vr : {"OB", "UT", "UN", "ZZ"}) {
    Spill(path, DicomHead("1.2.840.10008.1.2.1") +
                    DicomBuilder::Element(0x00080005, {"CS", "ISO_IR 100"}) +
                    std::string("\x09\0\x10\x11", 4) + vr + std::string(2, '\0') +
                    Bytes(uint32_t{1} << 30) + "abcd");
    ExpectAllDicomReadersRefuse(path, {"claims 1073741824", "no valid value"});
  }
}

TEST(Hostile, BombsAreRefused) {
  const fs::path folder = TemporaryFolder();
  // Deflated DICOM: an intact header and 100 MB of zeros behind it.
  {
    const DicomBuilder b(4, 3, {0, 0, 0});
    const std::string plain = b.File();
    const std::string head = DicomHead("1.2.840.10008.1.2.1");
    const std::string data = plain.substr(head.size(), plain.size() - head.size() - 36);
    std::string packed =
        Deflated(data + std::string("\xe0\x7f\x10\0OW\0\0", 8) + Bytes(uint32_t{100} << 20) +
                 std::string(size_t{100} << 20, '\0'));
    Spill(folder / "deflated.dcm", DicomHead("1.2.840.10008.1.2.1.99") + packed);
    ExpectError([&] { ReadVolume(folder / "deflated.dcm"); }, {"deflated.dcm", "unpacks to over"});
    ExpectError([&] { ReadDicomSeg(folder / "deflated.dcm"); },
                {"deflated.dcm", "unpacks to over"});
  }
  // Pictures, archives and HDF5 in gzip.
  std::string zeros;
  const std::string block = test::Gzip(std::string(size_t{16} << 20, '\0'));
  for (int i = 0; i < 4; ++i) zeros += block;
  Spill(folder / "bomb.png", test::Gzip(Slurp(TestData("io/formats/grey.png"))) + zeros);
  ExpectError([&] { ReadVolume(folder / "bomb.png"); }, {"bomb.png", "gzip content is over"});
  Spill(folder / "bomb.npz", test::Gzip(Slurp(TestData("io/formats/stored.npz"))) + zeros);
  ExpectError([&] { ReadVolume(folder / "bomb.npz"); }, {"bomb.npz", "larger than"});
  Spill(folder / "bomb.h5", test::Gzip(Slurp(TestData("io/formats/slice.h5"))) + zeros);
  ExpectError([&] { ReadVolume(folder / "bomb.h5"); }, {"bomb.h5", "gzip content is over"});
}

// Headers and contents agree; there is only next to nothing in them.
TEST(Hostile, GigabytesOfNothingAreNotUnpacked) {
  const fs::path folder = TemporaryFolder();
  const std::string nothing(size_t{64} << 20, '\0');
  const std::string block = DeflateBytes(nothing.data(), nothing.size(), Deflate::kGzip);
  std::string zeros;
  for (int i = 0; i < 32; ++i) zeros += block;  // 2 GB
  const std::string sizes = "2048 1024 1024";
  Spill(folder / "x.nrrd",
        "NRRD0004\ntype: uchar\ndimension: 3\nsizes: " + sizes + "\nencoding: gzip\n\n" + zeros);
  Spill(folder / "x.mha", "ObjectType = Image\nNDims = 3\nDimSize = " + sizes +
                              "\nCompressedData = True\nElementType = MET_UCHAR\n"
                              "ElementDataFile = LOCAL\n" +
                              zeros);
  WriteVolume(ReadVolume(TestData("io/nifti2.nii.gz")), folder / "x.nii");
  std::string nifti = Slurp(folder / "x.nii").substr(0, 544);
  const int64_t dim[] = {3, 2048, 1024, 1024};
  const int16_t type[] = {2, 8};
  std::memcpy(nifti.data() + 16, dim, sizeof dim);
  std::memcpy(nifti.data() + 12, type, sizeof type);
  Spill(folder / "x.nii.gz", test::Gzip(nifti) + zeros);
  for (const char* name : {"x.nrrd", "x.mha", "x.nii.gz"}) {
    SCOPED_TRACE(name);
    ExpectError([&] { ReadVolume(folder / name); }, {name, "would unpack to 2048 MB"});
  }
}

// An honest file of a size that no machine has.
TEST(Hostile, VolumesBeyondTheMemoryAreRefused) {
  const fs::path folder = TemporaryFolder();
  std::string header =
      "NRRD0004\ntype: uchar\ndimension: 3\nsizes: 1000000 1000000 10\n"
      "encoding: raw\n";
  Spill(folder / "x.raw", "");
  fs::resize_file(folder / "x.raw", uintmax_t{10000000000000});  // sparse
  Spill(folder / "x.nhdr", header + "data file: x.raw\n");
  ExpectError([&] { ReadVolume(folder / "x.nhdr"); }, {"x.raw", "9536743 MB", "are free"});
  Volume volume = ReadVolume(TestData("io/nifti2.nii.gz"));
  WriteVolume(volume, folder / "x.nii");
  std::string nifti = Slurp(folder / "x.nii");
  const int64_t sizes[] = {3, 1000000, 1000000, 5};
  std::memcpy(nifti.data() + 16, sizes, sizeof sizes);
  Spill(folder / "x.nii", nifti);
  fs::resize_file(folder / "x.nii", uintmax_t{10000000001000});
  ExpectError([&] { ReadVolume(folder / "x.nii"); }, {"x.nii", "are free"});
}

// Files that name themselves.
TEST(Hostile, CyclesEnd) {
  const fs::path folder = TemporaryFolder();
  const std::string grid =
      "type: uchar\ndimension: 3\nsizes: 2 2 2\nspace: left-posterior-superior\n"
      "space directions: (1,0,0) (0,1,0) (0,0,1)\n";
  Spill(folder / "self.nhdr", "NRRD0004\n" + grid + "encoding: raw\ndata file: self.nhdr\n\n");
  ExpectError([&] { ReadVolume(folder / "self.nhdr"); }, {"self.nhdr", "the header itself"});
  Spill(folder / "list.nhdr", "NRRD0004\n" + grid + "encoding: raw\ndata file: LIST\nlist.nhdr\n");
  ExpectError([&] { ReadVolume(folder / "list.nhdr"); }, {"list.nhdr", "the header itself"});
  const std::string meta =
      "ObjectType = Image\nNDims = 3\nDimSize = 2 2 2\nElementType = MET_UCHAR\nElementDataFile = ";
  Spill(folder / "self.mhd", meta + "./self.mhd\n");
  ExpectError([&] { ReadVolume(folder / "self.mhd"); }, {"self.mhd", "the header itself"});
  Spill(folder / "other.mhd", meta + "link.raw\n");
  fs::create_symlink("other.mhd", folder / "link.raw");
  ExpectError([&] { ReadVolume(folder / "other.mhd"); }, {"other.mhd", "the header itself"});
  fs::create_symlink("loop.nii", folder / "loop.nii");
  ExpectError([&] { ReadVolume(folder / "loop.nii"); }, {"loop.nii"});

  // A TIFF whose second directory is followed by its first.
  std::string tiff = Slurp(TestData("io/formats/pages.tif"));
  ASSERT_EQ(tiff.substr(0, 4), std::string("II*\0", 4));
  const auto u32 = [&](size_t at) {
    uint32_t value = 0;
    std::memcpy(&value, tiff.data() + at, 4);
    return value;
  };
  const auto next_of = [&](uint32_t directory) {
    uint16_t entries = 0;
    std::memcpy(&entries, tiff.data() + directory, 2);
    return directory + 2 + 12 * entries;
  };
  const uint32_t first = u32(4);
  const uint32_t second = u32(next_of(first));
  std::memcpy(tiff.data() + next_of(second), &first, 4);
  Spill(folder / "cycle.tif", tiff);
  EXPECT_EQ(ReadVolume(folder / "cycle.tif").geometry.size[2], 2);

  // A folder that contains itself, and a DICOMDIR that names itself.
  const fs::path study = folder / "study";
  fs::create_directories(study);
  DicomBuilder(4, 3, {0, 0, 0}).Write(study / "IM");
  fs::create_directory_symlink(study, study / "again");
  fs::create_directory_symlink("..", study / "up");
  fs::create_symlink("circle", study / "circle");
  std::string records;
  for (const char* name : {"DICOMDIR", "IM", "again\\IM"}) {
    std::string padded = name;
    if (padded.size() % 2) padded += ' ';
    records += DicomBuilder::Item(DicomBuilder::Element(0x00041500, {"CS", padded}));
  }
  Spill(study / "DICOMDIR",
        std::string(128, '\0') + "DICM" +
            DicomBuilder::Element(0x00020002, {"UI", "1.2.840.10008.1.3.10"}) +
            DicomBuilder::Element(0x00020010, {"UI", std::string("1.2.840.10008.1.2.1\0", 20)}) +
            DicomBuilder::Element(0x00041220, {"SQ", records}));
  SilentProgress progress;
  const DicomTree below = ScanDicom(study, progress);
  ASSERT_EQ(below.AllSeries().size(), 1U);
  EXPECT_EQ(below.AllSeries()[0]->files, 1);
  const DicomTree named = ScanDicom(study / "DICOMDIR", progress);
  ASSERT_EQ(named.AllSeries().size(), 1U);
}

// A virtual data set whose damaged description the HDF5 library reads for ever (found by fuzzing).
TEST(Hostile, AnHdf5FileThatNeverEndsIsGivenUp) {
  ExpectError([] { ReadVolume(TestData("hostile/circles.h5")); },
              {"circles.h5", "longer than it should"});
}

// Names inside files are words, never places.
TEST(Hostile, NamesThatClimbWriteNothing) {
  const fs::path folder = TemporaryFolder() / "in";
  fs::create_directories(folder);
  // In an archive such a name is refused, and one with a line feed forges no line.
  const auto renamed = [&](const std::string& name) {
    std::string npz = Slurp(TestData("io/formats/stored.npz"));
    const std::string image = "image.npy";
    EXPECT_EQ(image.size(), name.size());
    for (size_t at = npz.find(image); at != npz.npos; at = npz.find(image, at + 1)) {
      npz.replace(at, image.size(), name);
    }
    Spill(folder / "x.npz", npz);
  };
  for (const char* evil : {"../xy.npy", "/etc/.npy", "a\\../.npy"}) {
    renamed(evil);
    ExpectError([&] { ReadVolume(folder / "x.npz"); }, {"x.npz", evil, "leaves the archive"});
  }
  renamed("im\nge.npy");
  fs::path member = folder / "x.npz";
  member += "#im\nge";
  const Volume volume = ReadVolume(member);
  for (const auto& [name, value] : volume.source->Fields()) {
    EXPECT_EQ((name + value).find('\n'), std::string::npos);
  }
  EXPECT_EQ(test::CountEntries(folder), 1U);
  EXPECT_EQ(test::CountEntries(folder.parent_path()), 1U);
  // A pattern of names climbs as well as one name does.
  Spill(folder.parent_path() / "s1.raw", std::string(4, '\0'));
  Spill(folder / "x.mhd",
        "ObjectType = Image\nNDims = 3\nDimSize = 2 2 1\nElementType = MET_UCHAR\n"
        "ElementDataFile = ../s%d.raw 1 1 1\n");
  ExpectError([&] { ReadVolume(folder / "x.mhd"); }, {"../s1.raw", "beside the header"});
  Spill(folder / "x.nhdr",
        "NRRD0004\ntype: uchar\ndimension: 2\nsizes: 2 2\nencoding: raw\n"
        "data file: ../s%d.raw 1 1 1\n\n");
  ExpectError([&] { ReadVolume(folder / "x.nhdr"); }, {"../s1.raw", "beside the header"});
}

// What a header says is quoted in messages: it must not reach a terminal as a command.
TEST(Hostile, MessagesHoldNoControlCharacters) {
  const fs::path folder = TemporaryFolder();
  Spill(folder / "x.nrrd", "NRRD0004\ntype: \x1b]0;owned\x07\ndimension: 3\nsizes: 1 1 1\n\n");
  ExpectError([&] { ReadVolume(folder / "x.nrrd"); }, {"'?]0;owned?'"});
  Spill(folder / "x.mha", "ObjectType = \x1b[2J\nNDims = 3\nElementDataFile = LOCAL\n");
  ExpectError([&] { ReadVolume(folder / "x.mha"); }, {"'?[2J'"});
}

TEST(Hostile, FramesOfNothingAreNotCounted) {
  const fs::path path = TemporaryFolder() / "frames.dcm";
  DicomBuilder b(1, 1, {0, 0, 0});
  b.Text(0x00280008, "IS", "1000000");
  b.UInt16(0x00280100, 1);
  b.UInt16(0x00280101, 1);
  b.UInt16(0x00280102, 0);
  b.UInt16(0x00280103, 0);
  b.Raw(0x7fe00010, "OW", std::string(125000, '\x55'));
  b.Write(path);
  ExpectError([&] { ReadVolume(path); }, {"frames.dcm", "claims 1000000 frames"});
}

// Three frames of a SEG, the last of them 20 m away: 20000 planes that nobody drew.
TEST(Hostile, EmptyPlanesOfASegAreBoundedByTheFile) {
  const auto element = [](uint32_t tag, const std::string& vr, std::string bytes) {
    if (bytes.size() % 2) bytes += vr == "UI" ? '\0' : ' ';
    return DicomBuilder::Element(tag, {vr, bytes});
  };
  const auto sequence = [&](uint32_t tag, const std::string& content) {
    return element(tag, "SQ", DicomBuilder::Item(content));
  };
  const auto seg = [&](const std::vector<int>& depths) {
    const std::string kClass = "1.2.840.10008.5.1.4.1.1.66.4";
    std::string frames;
    for (const int depth : depths) {
      frames += DicomBuilder::Item(
          sequence(0x00209113, element(0x00200032, "DS", "0\\0\\" + std::to_string(depth))) +
          sequence(0x0062000a, element(0x0062000b, "US", Bytes(uint16_t{1}))));
    }
    std::string file = DicomHead("1.2.840.10008.1.2.1") + element(0x00080016, "UI", kClass) +
                       element(0x00080060, "CS", "SEG");
    for (const auto& [tag, value] : std::vector<std::pair<uint32_t, int>>{{0x00280002, 1},
                                                                          {0x00280010, 100},
                                                                          {0x00280011, 100},
                                                                          {0x00280100, 1},
                                                                          {0x00280101, 1},
                                                                          {0x00280102, 0},
                                                                          {0x00280103, 0}}) {
      file += element(tag, "US", Bytes(static_cast<uint16_t>(value)));
      if (tag == 0x00280002) file += element(0x00280008, "IS", std::to_string(depths.size()));
    }
    file += element(0x00620001, "CS", "BINARY") +
            sequence(0x00620002, element(0x00620004, "US", Bytes(uint16_t{1})) +
                                     element(0x00620005, "LO", "Liver"));
    file +=
        sequence(0x52009229, sequence(0x00209116, element(0x00200037, "DS", "1\\0\\0\\0\\1\\0")) +
                                 sequence(0x00289110, element(0x00280030, "DS", "1\\1")));
    file += element(0x52009230, "SQ", frames);
    return file + element(0x7fe00010, "OB", std::string(1250 * depths.size(), '\x01'));
  };
  const fs::path path = TemporaryFolder() / "far.dcm";
  Spill(path, seg({0, 1, 12}));
  EXPECT_EQ(ReadDicomSeg(path).volumes[0].geometry.size[2], 13);
  Spill(path, seg({0, 1, 19990}));
  ExpectError([&] { ReadDicomSeg(path); }, {"far.dcm", "spans 19991 slices for 3 frames"});
}

// Codecs believe their own headers, so these are read first.
TEST(Hostile, CompressedPicturesThatClaimTooMuch) {
  dicom::Instance instance;
  instance.transfer_syntax = "1.2.840.10008.1.2.4.90";
  instance.format.rows = instance.format.columns = 65535;
  std::vector<std::byte> out;
  bool ybr = false;
  const auto big32 = [](uint32_t v) { return Bytes(__builtin_bswap32(v)); };
  const auto codestream = [&](uint32_t tile) {
    return std::string("\xff\x4f\xff\x51\0\x29\0\0", 8) + big32(65535) + big32(65535) + big32(0) +
           big32(0) + big32(tile) + big32(tile) + big32(0) + big32(0) +
           std::string("\0\1\x0f\1\1", 5) + std::string(100, '\0');
  };
  EXPECT_NE(
      dicom::DecodeCompressed(instance, codestream(65535), out, &ybr).find("pixels in 145 bytes"),
      std::string::npos);
  EXPECT_NE(dicom::DecodeCompressed(instance, codestream(16), out, &ybr).find("16777216 tiles"),
            std::string::npos);
  instance.transfer_syntax = "1.2.840.10008.1.2.4.70";
  const std::string jpeg("\xff\xd8\xff\xc3\0\x0b\x10\xff\xff\xff\xff\1\1\x11\0", 15);
  EXPECT_NE(dicom::DecodeCompressed(instance, jpeg, out, &ybr).find("pixels in 15 bytes"),
            std::string::npos);
  EXPECT_TRUE(out.empty());
}

}  // namespace
}  // namespace avocet::io
