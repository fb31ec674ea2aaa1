// SPDX-License-Identifier: Apache-2.0
// What hospitals send: one SeriesInstanceUID over several volumes, private b-values, scales that
// are not the rescale slope, slices without their place, trees of several patients.
#include <gtest/gtest.h>

#include <clocale>
#include <cstring>

#include "io/dicom.h"
#include "io/dicom_seg.h"
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

bool HasNote(const std::vector<std::string>& notes, const std::string& part) {
  for (const auto& note : notes) {
    if (note.find(part) != std::string::npos) return true;
  }
  return false;
}

fs::path Folder(const std::string& name) {
  const fs::path folder = test::TemporaryFolder() / name;
  fs::create_directories(folder);
  return folder;
}

std::string Float(float value) {
  return std::string(reinterpret_cast<const char*>(&value), sizeof value);
}
std::string Doubles(const std::vector<double>& values) {
  return std::string(reinterpret_cast<const char*>(values.data()), values.size() * 8);
}

TEST(DicomTrouble, ThreePlanesOfOneSeriesAreThreeVolumes) {
  const fs::path folder = Folder("planes");
  const char* orientations[] = {"1\\0\\0\\0\\1\\0", "0\\1\\0\\0\\0\\-1", "1\\0\\0\\0\\0\\-1"};
  for (int plane = 0; plane < 3; ++plane) {
    for (int k = 0; k < 3; ++k) {
      std::array<double, 3> position{0, 0, 0};
      position[plane == 0 ? 2 : plane == 1 ? 0 : 1] = 10.0 * k;
      DicomBuilder slice(4, 3, position, static_cast<int16_t>(10 * plane + k));
      slice.Text(0x00200037, "DS", orientations[plane]);
      slice.Write(folder / (std::to_string(k) + std::to_string(plane)));
    }
  }
  const DicomTree tree = Scan(folder);
  ASSERT_EQ(tree.AllSeries().size(), 3U);
  const char* names[] = {"axial", "sagittal", "coronal"};
  const char* letters[] = {"LPS", "PIR", "LIA"};
  SilentProgress progress;
  for (size_t i = 0; i < 3; ++i) {
    const DicomSeries& series = *tree.AllSeries()[i];
    EXPECT_EQ(series.problem, "");
    EXPECT_EQ(series.files, 3);
    const Volume volume = ReadDicomSeries(series, {}, progress);
    const auto at = std::find(std::begin(names), std::end(names), series.split);
    ASSERT_NE(at, std::end(names)) << series.split;
    EXPECT_EQ(volume.geometry.OrientationLetters().substr(0, 2),
              std::string(letters[at - names]).substr(0, 2));
    EXPECT_EQ(volume.As<int16_t>()[0] / 10, at - names);
  }
  ExpectError([&] { ReadVolume(folder); }, {"3 series", "--series", "sagittal"});
}

TEST(DicomTrouble, PlacesInTwoFramesOfReferenceAreNotComparable) {
  const fs::path folder = Folder("frames");
  for (int k = 0; k < 4; ++k) {
    DicomBuilder slice(4, 3, {0, 0, 2.0 * (k % 2) + (k < 2 ? 0 : 1.5)});
    slice.Text(0x00200052, "UI", k < 2 ? "1.2.3.77" : "1.2.3.78");
    slice.Write(folder / std::to_string(k));
  }
  const DicomTree tree = Scan(folder);
  ASSERT_EQ(tree.AllSeries().size(), 2U);
  EXPECT_EQ(tree.AllSeries()[0]->split, "frame of reference 1");
  EXPECT_EQ(tree.AllSeries()[1]->files, 2);
}

// b-values where Siemens, GE and Philips keep them, and where the standard does.
TEST(DicomTrouble, DiffusionVolumesAreToldApart) {
  const double b_values[] = {0, 500, 500, 1000};
  const double directions[][3] = {{0, 0, 0}, {1, 0, 0}, {0, 1, 0}, {1, 0, 0}};
  const char* expected[] = {"b-value 0", "b-value 500 along 0, 1, 0", "b-value 500 along 1, 0, 0",
                            "b-value 1000 along 1, 0, 0"};
  for (const std::string maker : {"standard", "siemens", "ge", "philips"}) {
    SCOPED_TRACE(maker);
    const fs::path folder = Folder(maker);
    for (int v = 0; v < 4; ++v) {
      for (int k = 0; k < 3; ++k) {
        DicomBuilder slice(4, 3, {0, 0, 2.0 * k}, static_cast<int16_t>(v));
        const std::string b = std::to_string(static_cast<int>(b_values[v]));
        const std::vector<double> g(directions[v], directions[v] + 3);
        if (maker == "standard") {
          slice.Raw(0x00189087, "FD", Doubles({b_values[v]}));
          slice.Raw(0x00189089, "FD", Doubles(g));
        } else if (maker == "siemens") {
          slice.Text(0x00190010, "LO", "SIEMENS MR HEADER");
          slice.Text(0x0019100c, "IS", b);
          if (v > 0) slice.Raw(0x0019100e, "FD", Doubles(g));
        } else if (maker == "ge") {
          slice.Text(0x00430010, "LO", "GEMS_PARM_01");
          slice.Text(0x00431039, "IS", "100000" + std::string(4 - b.size(), '0') + b + "\\8\\0\\0");
          slice.Text(0x00190011, "LO", "GEMS_ACQU_01");
          for (uint32_t i = 0; i < 3; ++i) {
            slice.Text(0x001911bb + i, "DS", std::to_string(g[i]));
          }
        } else {
          slice.Text(0x20010010, "LO", "Philips Imaging DD 001");
          slice.Raw(0x20011003, "FL", Float(static_cast<float>(b_values[v])));
          slice.Text(0x20050010, "LO", "Philips MR Imaging DD 001");
          for (uint32_t i = 0; i < 3; ++i) {
            slice.Raw(0x200510b0 + i, "FL", Float(static_cast<float>(g[i])));
          }
        }
        slice.Write(folder / (std::to_string(v) + std::to_string(k)));
      }
    }
    const DicomTree tree = Scan(folder);
    ASSERT_EQ(tree.AllSeries().size(), 4U);
    for (size_t v = 0; v < 4; ++v) EXPECT_EQ(tree.AllSeries()[v]->split, expected[v]);
  }
}

TEST(DicomTrouble, ScalesThatAreNotAppliedAreNamed) {
  const fs::path folder = Folder("scales");
  DicomBuilder philips(4, 3, {0, 0, 0});
  philips.Text(0x20050010, "LO", "Philips MR Imaging DD 001");
  philips.Raw(0x2005100e, "FL", Float(0.25F));
  philips.Write(folder / "philips");
  EXPECT_TRUE(HasNote(ReadVolume(folder / "philips").notes, "private scale slope of 0.25"));
  DicomBuilder mapped(4, 3, {0, 0, 0});
  mapped.Raw(0x00409096, "SQ",
             DicomBuilder::Item(DicomBuilder::Element(0x00409224, {"FD", Doubles({0})}) +
                                DicomBuilder::Element(0x00409225, {"FD", Doubles({0.01})})));
  mapped.Write(folder / "mapped");
  EXPECT_TRUE(HasNote(ReadVolume(folder / "mapped").notes, "mapping is given (slope 0.01"));
  DicomBuilder lut(4, 3, {0, 0, 0});
  lut.Raw(0x00283000, "SQ", DicomBuilder::Item(""));
  lut.Write(folder / "lut");
  EXPECT_TRUE(HasNote(ReadVolume(folder / "lut").notes, "Modality LUT"));
}

TEST(DicomTrouble, WhatIsStatedAndNoNumberIsRefused) {
  const std::pair<uint32_t, const char*> stated[] = {{0x00281052, "-1,024"},
                                                     {0x00281053, "1.0x"},
                                                     {0x00280030, "1,5\\0,75"},
                                                     {0x00200032, "1\\two\\3"},
                                                     {0x00200037, "1\\0\\0\\0\\1\\nan"}};
  for (const auto& [tag, text] : stated) {
    SCOPED_TRACE(text);
    const fs::path folder = Folder(std::to_string(tag));
    for (int k = 0; k < 3; ++k) {
      DicomBuilder slice(4, 3, {0, 0, 2.0 * k}, static_cast<int16_t>(k));
      slice.Text(tag, "DS", text);
      slice.Write(folder / std::to_string(k));
    }
    const DicomTree tree = Scan(folder);
    ASSERT_EQ(tree.AllSeries().size(), 1U);
    EXPECT_NE(tree.AllSeries()[0]->problem.find(text), std::string::npos);
    ExpectError([&] { ReadVolume(folder); }, {text, "not a number"});
  }
  // Numbers that make no sense are named; the picture can still be looked at.
  const fs::path file = Folder("odd") / "1";
  DicomBuilder slice(4, 3, {0, 0, 0}, 5);
  slice.Text(0x00200037, "DS", "0\\0\\0\\0\\0\\0");
  slice.Text(0x00281053, "DS", "0");
  slice.Write(file);
  const Volume volume = ReadVolume(file);
  EXPECT_TRUE(HasNote(volume.notes, "ImageOrientationPatient is not two directions"));
  EXPECT_TRUE(HasNote(volume.notes, "RescaleSlope is 0"));
}

TEST(DicomTrouble, ADecimalCommaInTheLocaleChangesNothing) {
  const fs::path folder = Folder("comma");
  for (int k = 0; k < 3; ++k) {
    DicomBuilder slice(4, 3, {-7.25, 3.5, 2.5 * k}, static_cast<int16_t>(k));
    slice.Text(0x00281053, "DS", "1.5");
    slice.Write(folder / std::to_string(k));
  }
  const Volume plain = ReadVolume(folder);
  const char* old = std::setlocale(LC_NUMERIC, nullptr);
  const std::string before = old ? old : "C";
  bool comma = false;
  for (const char* name : {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "nl_NL.UTF-8"}) {
    comma = comma || std::setlocale(LC_NUMERIC, name) != nullptr;
  }
  if (!comma) GTEST_SKIP() << "no locale with a decimal comma is installed";
  const Volume volume = ReadVolume(folder);
  std::setlocale(LC_NUMERIC, before.c_str());
  EXPECT_EQ(volume.geometry.origin, plain.geometry.origin);
  EXPECT_EQ(volume.geometry.spacing, plain.geometry.spacing);
  EXPECT_EQ(volume.scaling.slope, 1.5);
}

TEST(DicomTrouble, ASliceWithoutItsPlaceIsNamed) {
  const fs::path folder = Folder("lost");
  for (int k = 0; k < 5; ++k) {
    DicomBuilder slice(4, 3, {0, 0, 2.0 * k});
    if (k == 4) slice.Erase(0x00200032);
    slice.Write(folder / ("f" + std::to_string(k)));
  }
  const DicomTree tree = Scan(folder);
  ASSERT_EQ(tree.AllSeries().size(), 2U);
  EXPECT_TRUE(HasNote(tree.AllSeries()[0]->notes, "'f4' has the same series"));
  ExpectError([&] { ReadVolume(folder); }, {"2 series"});
  EXPECT_EQ(ReadVolume(folder, {"1", false, nullptr}).geometry.size[2], 4);
}

// Data sets as some archives keep them, without preamble and meta header: implicit, explicit and
// big endian are told apart by content.
TEST(DicomTrouble, FilesWithoutMetaHeaderAreRead) {
  const fs::path folder = Folder("bare");
  for (const char* name : {"MR_small_implicit.dcm", "MR_small_bigendian.dcm"}) {
    SCOPED_TRACE(name);
    const std::string bytes = test::Slurp(test::TestData(std::string("dicom/") + name));
    uint32_t length = 0;  // (0002,0000), the first element: of all that follow it in group 0002
    std::memcpy(&length, bytes.data() + 140, 4);
    test::Spill(folder / name, bytes.substr(144 + length));
    const Volume bare = ReadVolume(folder / name);
    const Volume whole = ReadVolume(test::TestData(std::string("dicom/") + name));
    EXPECT_EQ(bare.data, whole.data);
    EXPECT_EQ(MaxCornerDistance(bare.geometry, whole.geometry), 0);
    EXPECT_TRUE(HasNote(bare.notes, "does not state its transfer syntax"));
    EXPECT_TRUE(IsDicomFile(folder / name));
    EXPECT_EQ(SopClassOf(folder / name), "1.2.840.10008.5.1.4.1.1.4");
    // Also as the source of a mask.
    SilentProgress progress;
    const SourceSeries source = ReadSourceSeries(folder / name, "", progress);
    Volume mask = Volume::Zeros(source.geometry, VoxelType::kUInt8);
    mask.As<uint8_t>()[100] = 1;
    WriteDicomSeg(mask, source, folder / "seg", {});
    EXPECT_EQ(ReadDicomSeg(folder / "seg", &source).volumes[0].data, mask.data);
    fs::remove(folder / "seg");
  }
  DicomBuilder slice(4, 3, {1, 2, 3}, 9);
  const std::string bytes = slice.File();
  const std::string begin = std::string("\x08\0\x08\0CS", 6);
  test::Spill(folder / "explicit", bytes.substr(bytes.find(begin)));
  EXPECT_EQ(ReadVolume(folder / "explicit").As<int16_t>()[5], 9);
  // A byte before it: nothing says where the data set begins.
  test::Spill(folder / "stray.dcm", " " + bytes.substr(bytes.find(begin)));
  ExpectError([&] { ReadVolume(folder / "stray.dcm"); }, {"stray.dcm", "name says DICOM"});
}

// The same image in three transfer syntaxes is one image; with other pixels it is not.
TEST(DicomTrouble, AnImageExportedTwiceIsRecognised) {
  const fs::path folder = Folder("twice");
  for (const char* name : {"MR_small_implicit.dcm", "MR_small_RLE.dcm", "MR_small_jp2klossless.dcm",
                           "MR_small_bigendian.dcm"}) {
    fs::copy_file(test::TestData(std::string("dicom/") + name), folder / name);
  }
  const Volume volume = ReadVolume(folder);
  EXPECT_EQ(volume.geometry.size, (std::array<int64_t, 3>{64, 64, 1}));
  EXPECT_TRUE(HasNote(volume.notes, "is a copy of"));
  EXPECT_TRUE(HasNote(volume.notes, "2 further files"));
  std::string bytes = test::Slurp(folder / "MR_small_bigendian.dcm");
  bytes[bytes.size() - 200] ^= 1;
  test::Spill(folder / "MR_small_bigendian.dcm", bytes);
  EXPECT_EQ(Scan(folder).AllSeries().size(), 2U);
}

TEST(DicomTrouble, AFileThatIsCutShortIsMissed) {
  const fs::path folder = Folder("cut");
  for (int k = 0; k < 5; ++k) {
    DicomBuilder slice(4, 3, {0, 0, 2.0 * k});
    slice.Write(folder / ("f" + std::to_string(k)));
  }
  fs::resize_file(folder / "f4", fs::file_size(folder / "f4") - 6);
  EXPECT_TRUE(HasNote(ReadVolume(folder).notes, "'f4' of the same series cannot be read"));
  fs::resize_file(folder / "f4", 300);
  EXPECT_TRUE(HasNote(ReadVolume(folder, {"1", false, nullptr}).notes,
                      "1 DICOM files beside it could not be read"));
}

TEST(DicomTrouble, ADicomdirFindsFilesWhateverTheirCase) {
  const fs::path disk = Folder("disk");
  fs::create_directories(disk / "im");
  DicomBuilder(4, 3, {0, 0, 0}).Write(disk / "im/f1");
  DicomBuilder(4, 3, {0, 0, 2}).Write(disk / "im/F2;1");
  std::string records;
  for (const char* name : {"IM\\F1 ", "IM\\F2 "}) {
    records += DicomBuilder::Item(DicomBuilder::Element(0x00041500, {"CS", name}));
  }
  test::Spill(
      disk / "dicomdir",
      std::string(128, '\0') + "DICM" +
          DicomBuilder::Element(0x00020002, {"UI", "1.2.840.10008.1.3.10"}) +
          DicomBuilder::Element(0x00020010, {"UI", std::string("1.2.840.10008.1.2.1\0", 20)}) +
          DicomBuilder::Element(0x00041220, {"SQ", records}));
  EXPECT_EQ(ReadVolume(disk / "dicomdir").geometry.size[2], 2);
}

TEST(DicomTrouble, UidsAloneSayWhatBelongsTogether) {
  const fs::path folder = Folder("numbers");
  for (int k = 0; k < 5; ++k) {
    DicomBuilder slice(4, 3, {0, 0, 2.0 * k});
    if (k != 2) {
      slice.Text(0x00200011, "IS", "7");
      slice.Text(0x00080020, "DA", k == 3 ? "20200102" : "20200101");  // past midnight
    }
    slice.Write(folder / std::to_string(k));
  }
  const DicomTree tree = Scan(folder);
  ASSERT_EQ(tree.AllSeries().size(), 1U);
  EXPECT_EQ(tree.AllSeries()[0]->size[2], 5);
  EXPECT_EQ(tree.AllSeries()[0]->number, 7);
  EXPECT_EQ(tree.patients[0].studies[0].date, "20200101");
}

TEST(DicomTrouble, PaddingThatDiffersIsStated) {
  const fs::path folder = Folder("padding");
  for (int k = 0; k < 2; ++k) {
    DicomBuilder slice(4, 3, {0, 0, 2.0 * k});
    const int16_t padding = k == 0 ? -2000 : -2048;
    slice.Raw(0x00280120, "SS", std::string(reinterpret_cast<const char*>(&padding), 2));
    slice.Write(folder / std::to_string(k));
  }
  EXPECT_TRUE(HasNote(ReadVolume(folder).notes, "PixelPaddingValue -2000, in other slices -2048"));
}

TEST(DicomTrouble, AMixedTreeKeepsPatientsAndStudiesApart) {
  const fs::path folder = Folder("tree");
  for (int patient = 0; patient < 2; ++patient) {
    for (int study = 0; study < 2; ++study) {
      for (int k = 0; k < 3; ++k) {
        DicomBuilder slice(4, 3, {0, 0, 2.0 * k});
        slice.Text(0x00100020, "LO", "P" + std::to_string(patient));
        slice.Text(0x0020000d, "UI", "1.2.3.50" + std::to_string(study));
        // The series' UID was copied from one study to the other.
        slice.Write(folder / (std::to_string(patient) + std::to_string(study) + std::to_string(k)));
      }
    }
  }
  test::Spill(folder / "README.txt", "no DICOM");
  const DicomTree tree = Scan(folder);
  ASSERT_EQ(tree.patients.size(), 2U);
  EXPECT_EQ(tree.patients[1].studies.size(), 2U);
  ASSERT_EQ(tree.AllSeries().size(), 4U);
  EXPECT_EQ(tree.AllSeries()[3]->size[2], 3);
  EXPECT_EQ(tree.other_files, 1);
  ExpectError([&] { ReadVolume(folder, {"1.2.3.9", false, nullptr}); }, {"4 volumes", "number"});
}

TEST(DicomTrouble, TheHeaderIsStatedWithoutThePatient) {
  const fs::path folder = Folder("header");
  DicomBuilder slice(4, 3, {1, 2, 3});
  slice.Text(0x00180060, "DS", "120");
  slice.Text(0x00080080, "LO", "Secret Hospital");
  slice.Text(0x00100030, "DA", "19440606");
  slice.Write(folder / "x");
  const Volume volume = ReadVolume(folder / "x");
  const auto fields = volume.source->Fields();
  const auto value = [&](const std::string& name) {
    for (const auto& field : fields) {
      if (field.first == name) return field.second;
    }
    return std::string("?");
  };
  EXPECT_EQ(value("TransferSyntaxUID"), "1.2.840.10008.1.2.1 (explicit VR little endian)");
  EXPECT_EQ(value("KVP"), "120");
  EXPECT_EQ(value("Rows"), "3");
  EXPECT_EQ(value("PixelSpacing"), "0.75\\0.5");
  EXPECT_EQ(value("ImagePositionPatient"), "1\\2\\3");
  for (const auto& field : fields) {
    for (const char* secret : {"ecret", "SECRET", "19440606"}) {
      EXPECT_EQ(field.second.find(secret), std::string::npos) << field.first;
    }
  }
}

class CancelAt final : public Progress {
 public:
  explicit CancelAt(int calls) : left_(calls) {}
  bool Update(double, std::string_view) override {
    ++calls;
    return --left_ > 0;
  }
  void Warn(std::string_view) override {}
  int calls = 0;

 private:
  int left_;
};

TEST(DicomTrouble, ScanningIsCancelledAndPolledOften) {
  const fs::path folder = Folder("many");
  DicomBuilder(4, 3, {0, 0, 0}).Write(folder / "0");
  for (int i = 1; i < 2000; ++i) fs::create_hard_link(folder / "0", folder / std::to_string(i));
  for (const int call : {1, 3, 20}) {  // while files are looked for, and while they are read
    CancelAt progress(call);
    EXPECT_THROW(ScanDicom(folder, progress), Cancelled);
    EXPECT_EQ(progress.calls, call);
  }
  CancelAt never(1 << 30);
  const DicomTree tree = ScanDicom(folder, never);
  EXPECT_EQ(tree.AllSeries().size(), 1U);
  EXPECT_TRUE(HasNote(tree.AllSeries()[0]->notes, "1998 further files"));
  EXPECT_GT(never.calls, 200);
}

}  // namespace
}  // namespace avocet::io
