// SPDX-License-Identifier: Apache-2.0
// Transfer syntaxes and palettes: what is read has the right values, what is not is refused by
// name; nothing is read in a byte order that was guessed.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "io/deflate.h"
#include "io/dicom_syntax.h"
#include "io/volume_io.h"
#include "tests/io/dicom_builder.h"
#include "tests/io/io_test_util.h"
#include "tests/support/test_support.h"

namespace avocet::io {
namespace {

namespace fs = std::filesystem;
using dicom::PixelStorage;
using dicom::TransferSyntaxOf;
using test::DicomBuilder;
using test::ExpectError;
using test::Slurp;
using test::Spill;

constexpr const char* kGe = "1.2.840.113619.5.2";
constexpr const char* kExplicit = "1.2.840.10008.1.2.1";

std::vector<int16_t> Ramp() {
  std::vector<int16_t> values(12);
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<int16_t>(37 * i - 300);
  return values;
}

std::string BytesOf(const std::vector<int16_t>& values, bool big_endian = false) {
  std::string bytes(reinterpret_cast<const char*>(values.data()), values.size() * 2);
  if (big_endian) {
    for (size_t i = 0; i + 1 < bytes.size(); i += 2) std::swap(bytes[i], bytes[i + 1]);
  }
  return bytes;
}

DicomBuilder Slice() {
  DicomBuilder slice(4, 3, {0, 0, 0});
  slice.Pixels(Ramp());
  return slice;
}

fs::path Write(const std::string& bytes) {
  const fs::path path = test::TemporaryFolder() / "slice.dcm";
  Spill(path, bytes);
  return path;
}

void ExpectRamp(const Volume& volume) {
  ASSERT_EQ(volume.type, VoxelType::kInt16);
  const std::vector<int16_t> expected = Ramp();
  ASSERT_EQ(volume.data.size(), expected.size() * 2);
  EXPECT_EQ(std::memcmp(volume.data.data(), expected.data(), volume.data.size()), 0);
}

// The data set of `file` in implicit VR, behind the meta group as it is.
std::string Implicit(const std::string& file) {
  const size_t meta_end = 132 + 8 + static_cast<unsigned char>(file[138]);
  std::string out = file.substr(0, meta_end);
  for (size_t at = meta_end; at < file.size();) {
    const std::string vr = file.substr(at + 4, 2);
    const bool wide = vr == "OW" || vr == "OB" || vr == "SQ" || vr == "UN";
    uint32_t length = 0;
    std::memcpy(&length, file.data() + at + (wide ? 8 : 6), wide ? 4 : 2);
    out += file.substr(at, 4) + std::string(reinterpret_cast<const char*>(&length), 4);
    at += wide ? 12 : 8;
    out += file.substr(at, length);
    at += length;
  }
  return out;
}

// The pixels as fragments, one each, behind an empty offset table.
void Encapsulate(DicomBuilder& slice, const std::vector<std::string>& fragments) {
  std::string items = DicomBuilder::Item("");
  for (std::string fragment : fragments) {
    if (fragment.size() % 2) fragment += '\0';
    items += DicomBuilder::Item(fragment);
  }
  items += std::string("\xfe\xff\xdd\xe0\0\0\0\0", 8);
  slice.Raw(0x7fe00010, "OB", items);
}

// A file whose pixel data have undefined length.
std::string Undefined(const DicomBuilder& slice, const std::string& syntax) {
  std::string file = slice.File(syntax);
  const size_t at = file.rfind(std::string("\xe0\x7f\x10\x00OB", 6));
  file.replace(at + 8, 4, std::string(4, '\xff'));
  return file;
}

TEST(DicomSyntax, GePrivateHasBigEndianPixels) {
  DicomBuilder slice = Slice();
  slice.Raw(0x7fe00010, "OW", BytesOf(Ramp(), true));
  ExpectRamp(ReadVolume(Write(slice.File(kGe))));            // header explicit, as some write it
  ExpectRamp(ReadVolume(Write(Implicit(slice.File(kGe)))));  // as GE does
}

TEST(DicomSyntax, UnknownNativeSyntaxIsRefused) {
  const std::string message =
      ExpectError([&] { ReadVolume(Write(Slice().File("1.2.3.4.5.6.7"))); },
                  {"1.2.3.4.5.6.7", "byte order", "explicit VR little endian"});
  EXPECT_EQ(message.find("Secret"), std::string::npos);
}

TEST(DicomSyntax, WhatIsNotReadIsRefusedByName) {
  const std::pair<const char*, const char*> cases[] = {
      {"1.2.840.10008.1.2.4.201", "high-throughput JPEG 2000"},
      {"1.2.840.10008.1.2.4.110", "JPEG XL"},
      {"1.2.840.10008.1.2.4.102", "MPEG-4"},
      {"1.2.840.10008.1.2.4.107", "HEVC"}};
  for (const auto& [uid, name] : cases) {
    SCOPED_TRACE(uid);
    DicomBuilder slice = Slice();
    Encapsulate(slice, {"whatever it is"});
    ExpectError([&] { ReadVolume(Write(Undefined(slice, uid))); }, {name, uid});
  }
  DicomBuilder slice = Slice();
  Encapsulate(slice, {"whatever it is"});
  ExpectError([&] { ReadVolume(Write(Undefined(slice, "1.2.3.4.5"))); },
              {"1.2.3.4.5", "the packing"});
}

TEST(DicomSyntax, EncapsulatedUncompressed) {
  DicomBuilder slice = Slice();
  Encapsulate(slice, {BytesOf(Ramp())});
  ExpectRamp(ReadVolume(Write(Undefined(slice, "1.2.840.10008.1.2.1.98"))));
  Encapsulate(slice, {BytesOf(Ramp()).substr(0, 20)});
  ExpectError([&] { ReadVolume(Write(Undefined(slice, "1.2.840.10008.1.2.1.98"))); },
              {"20 bytes", "24"});
}

TEST(DicomSyntax, DeflatedFrames) {
  DicomBuilder slice = Slice();
  const std::string bytes = BytesOf(Ramp());
  Encapsulate(slice, {DeflateBytes(bytes.data(), bytes.size(), Deflate::kRaw)});
  ExpectRamp(ReadVolume(Write(Undefined(slice, "1.2.840.10008.1.2.8.1"))));
  Encapsulate(slice, {DeflateBytes(bytes.data(), bytes.size() - 4, Deflate::kRaw)});
  ExpectError([&] { ReadVolume(Write(Undefined(slice, "1.2.840.10008.1.2.8.1"))); },
              {"deflated frame"});
}

TEST(DicomSyntax, NativePixelsCalledJpegAreNoted) {
  const Volume volume = ReadVolume(Write(Slice().File("1.2.840.10008.1.2.4.70")));
  ExpectRamp(volume);
  EXPECT_TRUE(std::any_of(volume.notes.begin(), volume.notes.end(), [](const std::string& note) {
    return note.find("not packed") != std::string::npos;
  }));
}

TEST(DicomSyntax, MetaGroupInImplicitVr) {
  const std::string file = Slice().File(kExplicit);
  const size_t meta_end = 132 + 8 + static_cast<unsigned char>(file[138]);
  const uint32_t length = static_cast<unsigned char>(file[138]);
  const std::string meta = file.substr(0, 136) +
                           std::string(reinterpret_cast<const char*>(&length), 4) +
                           file.substr(140, length);
  ExpectRamp(ReadVolume(Write(meta + file.substr(meta_end))));
}

TEST(DicomSyntax, EveryUidOnce) {
  EXPECT_EQ(TransferSyntaxOf(kExplicit).storage, PixelStorage::kNative);
  EXPECT_EQ(TransferSyntaxOf("1.2.840.10008.1.2.5").storage, PixelStorage::kRle);
  EXPECT_EQ(TransferSyntaxOf("").storage, PixelStorage::kUnknown);
}

// A picture of 16 x 16 indices and the tables in a given form.
struct Palette {
  int bits = 8;
  std::array<std::string, 3> tables;
  bool segmented = false;
  uint16_t entries = 256;
};

std::array<uint8_t, 3> Colour(int index) {
  return {static_cast<uint8_t>(index), static_cast<uint8_t>(255 - index),
          static_cast<uint8_t>(index * 7)};
}

Volume ReadPicture(const Palette& palette) {
  DicomBuilder slice(16, 16, {0, 0, 0});
  slice.Text(0x00280004, "CS", "PALETTE COLOR");
  slice.UInt16(0x00280100, 8);
  slice.UInt16(0x00280101, 8);
  slice.UInt16(0x00280102, 7);
  slice.UInt16(0x00280103, 0);
  std::string pixels;
  for (int i = 0; i < 256; ++i) pixels += static_cast<char>(i);
  slice.Raw(0x7fe00010, "OB", pixels);
  const uint16_t descriptor[] = {palette.entries, 0, static_cast<uint16_t>(palette.bits)};
  for (uint32_t c = 0; c < 3; ++c) {
    slice.Raw(0x00281101 + c, "US", std::string(reinterpret_cast<const char*>(descriptor), 6));
    slice.Raw((palette.segmented ? 0x00281221 : 0x00281201) + c, "OW", palette.tables[c]);
  }
  return ReadVolume(Write(slice.File()));
}

std::string Words(const std::vector<uint16_t>& words) {
  return std::string(reinterpret_cast<const char*>(words.data()), words.size() * 2);
}

void ExpectColours(const Volume& volume) {
  ASSERT_EQ(volume.components, 3);
  ASSERT_EQ(volume.data.size(), 768U);
  for (int i = 0; i < 256; ++i) {
    for (size_t c = 0; c < 3; ++c) {
      ASSERT_EQ(std::to_integer<int>(volume.data[3 * static_cast<size_t>(i) + c]), Colour(i)[c])
          << "entry " << i << ", channel " << c;
    }
  }
}

TEST(DicomPalette, TheSameColoursInEveryForm) {
  for (const char* form : {"8 bits packed", "8 bits in words", "16 bits", "16 bits, low byte"}) {
    SCOPED_TRACE(form);
    Palette palette;
    palette.bits = form[0] == '8' ? 8 : 16;
    for (size_t c = 0; c < 3; ++c) {
      for (int i = 0; i < 256; ++i) {
        const auto value = static_cast<char>(Colour(i)[c]);
        std::string entry(1, value);
        if (std::strcmp(form, "8 bits in words") == 0) entry += '\0';
        if (std::strcmp(form, "16 bits") == 0) entry += value;
        if (std::strcmp(form, "16 bits, low byte") == 0) entry += '\0';
        palette.tables[c] += entry;
      }
    }
    ExpectColours(ReadPicture(palette));
  }
}

// PS3.3 C.7.9.2: discrete, linear and indirect segments.
TEST(DicomPalette, Segmented) {
  Palette palette;
  palette.bits = 16;
  palette.segmented = true;
  palette.tables[0] = Words({0, 1, 0, 1, 255, 255 * 257});  // 0 to 255, times 257
  palette.tables[1] = Words({0, 1, 255 * 257, 1, 255, 0});  // and back
  std::vector<uint16_t> third;                              // 7 i modulo 256, discrete
  for (int i = 0; i < 256; i += 128) {
    third.insert(third.end(), {0, 128});
    for (int k = 0; k < 128; ++k) third.push_back(static_cast<uint16_t>(Colour(i + k)[2] * 257));
  }
  palette.tables[2] = Words(third);
  ExpectColours(ReadPicture(palette));
  // An indirect segment repeats one segment that begins at byte 0: 128 equal entries twice.
  Palette repeated = palette;
  std::vector<uint16_t> block{0, 128};
  block.insert(block.end(), 128, 0x0900);
  block.insert(block.end(), {2, 1, 0, 0});
  for (auto& table : repeated.tables) table = Words(block);
  const Volume volume = ReadPicture(repeated);
  EXPECT_EQ(std::to_integer<int>(volume.data[765]), 9);
}

TEST(DicomPalette, DamagedSegmentsAreRefused) {
  Palette palette;
  palette.bits = 16;
  palette.segmented = true;
  for (const std::vector<uint16_t>& segments :
       std::vector<std::vector<uint16_t>>{{1, 255, 5},           // linear first
                                          {0, 300, 1, 2},        // longer than there is
                                          {0, 1, 7, 1, 300, 9},  // too many entries
                                          {0, 1, 7, 1, 20, 9},   // too few
                                          {2, 1, 0, 0},          // indirect to itself
                                          {7, 1, 1, 1}}) {
    for (auto& table : palette.tables) table = Words(segments);
    ExpectError([&] { ReadPicture(palette); }, {"colour palette"});
  }
}

// The files of public reports, where they are there.
class Reported : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = test::SharedData("data/reported");
    if (folder_.empty()) GTEST_SKIP() << "shared data are not there";
  }
  // want.npy holds int16, indexed [i][j][k], in C or Fortran order.
  void ExpectValues(const std::string& name, const fs::path& want) const {
    SCOPED_TRACE(name);
    const Volume volume = ReadVolume(folder_ / name);
    const std::string file = Slurp(folder_ / want);
    const size_t header = 10 + static_cast<unsigned char>(file[8]) +
                          256 * static_cast<size_t>(static_cast<unsigned char>(file[9]));
    const bool fortran = file.find("'fortran_order': True") != std::string::npos;
    const auto& size = volume.geometry.size;
    ASSERT_EQ(file.size() - header, static_cast<size_t>(volume.geometry.VoxelCount()) * 2);
    const std::vector<float> values = volume.ToFloat();
    for (int64_t k = 0; k < size[2]; ++k) {
      for (int64_t j = 0; j < size[1]; ++j) {
        for (int64_t i = 0; i < size[0]; ++i) {
          int16_t expected;
          std::memcpy(&expected,
                      file.data() + header +
                          2 * static_cast<size_t>(fortran ? (k * size[1] + j) * size[0] + i
                                                          : (i * size[1] + j) * size[2] + k),
                      2);
          ASSERT_EQ(values[static_cast<size_t>((k * size[1] + j) * size[0] + i)], expected);
        }
      }
    }
  }
  fs::path folder_;
};

TEST_F(Reported, TransferSyntaxes) {
  ExpectValues("01_ge_private_syntax/data", "01_ge_private_syntax/want.npy");
  const std::string syntaxes = "41_unknown_transfer_syntax/";
  for (const char* name :
       {"b_ge_big_pixels_explicit_header", "d_deflated_frames", "h_says_jpeg_is_native"}) {
    ExpectValues(syntaxes + name, syntaxes + "want.npy");
  }
  for (const char* name : {"a_private_native", "e_htj2k", "g_mpeg4"}) {
    ExpectError([&] { ReadVolume(folder_ / (syntaxes + name)); }, {"transfer syntax"});
  }
}

TEST_F(Reported, Palettes) {
  const std::string want = Slurp(folder_ / "03_palette_forms/want.npy");
  const std::string colours = want.substr(want.size() - 768);
  for (const char* name : {"a_16bit", "b_8bit_packed", "d_16bit_low_byte_only"}) {
    const Volume volume = ReadVolume(folder_ / "03_palette_forms" / name);
    ASSERT_EQ(volume.data.size(), 768U);
    EXPECT_EQ(std::memcmp(volume.data.data(), colours.data(), 768), 0) << name;
  }
}

}  // namespace
}  // namespace avocet::io
