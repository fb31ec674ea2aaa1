// SPDX-License-Identifier: Apache-2.0
#include "io/dicom_seg.h"

#include <cstdlib>

#include "io/rtstruct.h"
#include "io/volume_io.h"
#include "tests/io/dicom_test_util.h"
#include "tests/io/io_test_util.h"
#include "tests/support/test_support.h"

namespace avocet::io {
namespace {

namespace fs = std::filesystem;
using test::CentroidOf;
using test::Distance;
using test::ExpectError;
using test::GridOf;
using test::LopsidedLabels;
using test::SeriesSpec;
using test::TemporaryFolder;
using test::WriteSeries;

std::vector<SegmentToWrite> Named() {
  std::vector<SegmentToWrite> segments(3);
  segments[0].value = 1;
  segments[0].segment.label = "Liver";
  segments[1].value = 2;
  segments[1].segment.label = "left kidney";
  segments[2].value = 5;
  segments[2].segment.label = "something else";
  return segments;
}

int64_t CountOf(const Volume& volume, int label) {
  const auto values = volume.ToLabels("test");
  return std::count(values.begin(), values.end(), label);
}

TEST(DicomSeg, RoundTripInAllOrientations) {
  int number = 0;
  for (const double turn : {0.0, 0.3}) {
    for (const SeriesSpec& spec : test::AllOrientations(turn)) {
      const fs::path folder = TemporaryFolder() / std::to_string(number++);
      const auto files = WriteSeries(folder / "series", spec);
      const Volume mask = LopsidedLabels(GridOf(spec));
      WriteDicomSeg(mask, test::SourceOfFiles(files), folder / "seg.dcm", {});
      const SegReadResult read = ReadDicomSeg(folder / "seg.dcm");
      ASSERT_EQ(read.volumes.size(), 1U);
      const Volume& back = read.volumes[0];
      ASSERT_EQ(back.geometry.VoxelCount(), mask.geometry.VoxelCount());
      const int labels[] = {1, 2, 5};
      for (int segment = 1; segment <= 3; ++segment) {
        ASSERT_EQ(CountOf(back, segment), CountOf(mask, labels[segment - 1]));
        ASSERT_LT(Distance(CentroidOf(back, segment), CentroidOf(mask, labels[segment - 1])), 1e-5)
            << "orientation " << number << " segment " << segment;
      }
      // Also against the series' own grid: voxel for voxel.
      const SourceSeries source = test::SourceOfFiles(files);
      const SegReadResult placed = ReadDicomSeg(folder / "seg.dcm", &source);
      EXPECT_LT(MaxCornerDistance(placed.volumes[0].geometry, back.geometry), 1e-6);
      EXPECT_EQ(placed.volumes[0].data, back.data);
      EXPECT_TRUE(placed.notes.empty()) << placed.notes[0];
      fs::remove_all(folder);
    }
  }
}

TEST(DicomSeg, MaskInAnotherVoxelOrderIsCarriedOverExactly) {
  const fs::path folder = TemporaryFolder();
  const SeriesSpec spec = test::AllOrientations(0.4)[13];
  const auto files = WriteSeries(folder / "series", spec);
  const Volume mask = LopsidedLabels(GridOf(spec));
  // The same anatomy with axes k, i, j, the first one backwards.
  Volume turned;
  turned.geometry = mask.geometry;
  const Geometry& g = mask.geometry;
  const int from[3] = {2, 0, 1};
  for (int a = 0; a < 3; ++a) {
    turned.geometry.size[a] = g.size[from[a]];
    turned.geometry.spacing[a] = g.spacing[from[a]];
    for (int row = 0; row < 3; ++row)
      turned.geometry.direction[3 * row + a] = g.direction[3 * row + from[a]] * (a == 0 ? -1 : 1);
  }
  turned.geometry.origin = g.PhysicalFromIndex({0, 0, static_cast<double>(g.size[2] - 1)});
  const Geometry t = turned.geometry;
  turned = Volume::Zeros(t, VoxelType::kUInt8);
  for (int64_t k = 0; k < g.size[2]; ++k)
    for (int64_t j = 0; j < g.size[1]; ++j)
      for (int64_t i = 0; i < g.size[0]; ++i)
        turned.As<uint8_t>()[(j * t.size[1] + i) * t.size[0] + (g.size[2] - 1 - k)] =
            mask.As<uint8_t>()[(k * g.size[1] + j) * g.size[0] + i];
  const auto a = WriteDicomSeg(mask, test::SourceOfFiles(files), folder / "a.dcm", {});
  const auto b = WriteDicomSeg(turned, test::SourceOfFiles(files), folder / "b.dcm", {});
  EXPECT_TRUE(b.notes.empty()) << b.notes[0];
  EXPECT_EQ(ReadDicomSeg(folder / "a.dcm").volumes[0].data,
            ReadDicomSeg(folder / "b.dcm").volumes[0].data);
}

TEST(DicomSeg, KeepsAllFramesByDefaultAndOmitsOnRequest) {
  const fs::path folder = TemporaryFolder();
  const SeriesSpec spec;
  const auto files = WriteSeries(folder / "series", spec);
  const Volume mask = LopsidedLabels(GridOf(spec));
  SegWriteOptions options;
  options.segments = Named();
  EXPECT_EQ(WriteDicomSeg(mask, test::SourceOfFiles(files), folder / "all.dcm", options).frames,
            21);
  options.omit_empty_frames = true;
  EXPECT_EQ(WriteDicomSeg(mask, test::SourceOfFiles(files), folder / "few.dcm", options).frames,
            3 + 1 + 2);
  const SegReadResult all = ReadDicomSeg(folder / "all.dcm");
  const SegReadResult few = ReadDicomSeg(folder / "few.dcm");
  EXPECT_EQ(all.volumes[0].geometry.size[2], 7);
  EXPECT_EQ(few.volumes[0].geometry.size[2], 6);  // slices 1 to 6; slice 0 cannot be known
  ASSERT_EQ(few.notes.size(), 1U);
  EXPECT_NE(few.notes[0].find("1 of 6 slices have no frame"), std::string::npos) << few.notes[0];
  for (int s = 1; s <= 3; ++s) {
    EXPECT_EQ(CountOf(all.volumes[0], s), CountOf(few.volumes[0], s));
    EXPECT_LT(Distance(CentroidOf(all.volumes[0], s), CentroidOf(few.volumes[0], s)), 1e-6);
  }
  // On the source's grid both are the same.
  const SourceSeries source = test::SourceOfFiles(files);
  EXPECT_EQ(ReadDicomSeg(folder / "few.dcm", &source).volumes[0].data, all.volumes[0].data);
}

TEST(DicomSeg, CodesColoursAndReferences) {
  const fs::path folder = TemporaryFolder();
  const SeriesSpec spec;
  const auto files = WriteSeries(folder / "series", spec);
  SegWriteOptions options;
  options.segments = Named();
  options.keep_patient = true;
  WriteDicomSeg(LopsidedLabels(GridOf(spec)), test::SourceOfFiles(files), folder / "seg.dcm",
                options);
  EXPECT_TRUE(IsDicomSeg(folder / "seg.dcm"));
  EXPECT_FALSE(IsDicomSeg(files[0]));
  const SegReadResult read = ReadDicomSeg(folder / "seg.dcm");
  ASSERT_EQ(read.segments.size(), 3U);
  EXPECT_EQ(read.segments[0].label, "Liver");
  EXPECT_EQ(read.segments[0].type.value, "10200004");
  EXPECT_EQ(read.segments[0].category.value, "123037004");
  EXPECT_EQ(read.segments[1].type.value, "64033007");
  EXPECT_EQ(read.segments[1].type_modifier.value, "7771000");
  EXPECT_EQ(read.segments[2].type.value, "85756007");
  const auto rgb = MeaningOfLabel("liver", 1).rgb;
  for (int c = 0; c < 3; ++c) EXPECT_NEAR(read.segments[0].rgb[c], rgb[c], 1);
  EXPECT_EQ(read.referenced_series_uid, "1.2.826.0.1.3680043.9.9999.3");
  EXPECT_EQ(read.frame_of_reference_uid, "1.2.826.0.1.3680043.9.9999.4");
  DcmFileFormat file;
  ASSERT_TRUE(file.loadFile((folder / "seg.dcm").c_str()).good());
  OFString text;
  file.getDataset()->findAndGetOFString(DCM_PatientID, text);
  EXPECT_EQ(text, "ID-4711");
  file.getDataset()->findAndGetOFString(DCM_StudyInstanceUID, text);
  EXPECT_EQ(text, "1.2.826.0.1.3680043.9.9999.2");
  // Each frame names the image at its own position.
  DcmSequenceOfItems* frames = nullptr;
  file.getDataset()->findAndGetSequence(DCM_PerFrameFunctionalGroupsSequence, frames);
  ASSERT_EQ(frames->card(), 21U);
  for (unsigned long i = 0; i < frames->card(); ++i) {
    OFString instance;
    Float64 z = 0;
    frames->getItem(i)->findAndGetOFString(DCM_ReferencedSOPInstanceUID, instance, 0, OFTrue);
    frames->getItem(i)->findAndGetFloat64(DCM_ImagePositionPatient, z, 2, OFTrue);
    EXPECT_EQ(
        instance,
        ("1.2.826.0.1.3680043.9.9999.1." + std::to_string(std::lround((z + 7) / 2.5) + 1)).c_str());
  }
}

// dciodvfy (Debian package dicom3tools) knows the standard better than we do.
TEST(DicomSeg, PassesDciodvfy) {
  if (std::system("command -v dciodvfy >/dev/null 2>&1") != 0) GTEST_SKIP() << "no dciodvfy";
  const fs::path folder = TemporaryFolder();
  SeriesSpec spec = test::AllOrientations(0.3)[9];
  const auto files = WriteSeries(folder / "series", spec);
  SegWriteOptions options;
  options.segments = Named();
  const Volume mask = LopsidedLabels(GridOf(spec));
  WriteDicomSeg(mask, test::SourceOfFiles(files), folder / "seg.dcm", options);
  WriteRtStruct(mask, test::SourceOfFiles(files), folder / "rs.dcm", {});
  for (const char* name : {"seg.dcm", "rs.dcm"}) {
    const fs::path log = folder / "log.txt";
    const std::string command =
        "dciodvfy '" + (folder / name).string() + "' >'" + log.string() + "' 2>&1";
    [[maybe_unused]] const int ignored = std::system(command.c_str());
    const std::string text = test::Slurp(log);
    EXPECT_NE(text.find(name[0] == 's' ? "Segmentation" : "RTStructureSet"), std::string::npos);
    EXPECT_EQ(text.find("Error"), std::string::npos) << text;
  }
}

TEST(DicomSeg, NotesAndRefusals) {
  const fs::path folder = TemporaryFolder();
  const SeriesSpec spec;
  auto files = WriteSeries(folder / "series", spec);
  Volume mask = LopsidedLabels(GridOf(spec));
  SegWriteOptions options;
  options.segments = Named();
  options.segments.pop_back();
  auto result = WriteDicomSeg(mask, test::SourceOfFiles(files), folder / "seg.dcm", options);
  ASSERT_EQ(result.notes.size(), 1U);
  EXPECT_NE(result.notes[0].find("label 5"), std::string::npos);
  mask.geometry.origin[0] += 0.3;  // not the grid of the series any more
  result = WriteDicomSeg(mask, test::SourceOfFiles(files), folder / "seg.dcm", {});
  ASSERT_EQ(result.notes.size(), 1U);
  EXPECT_NE(result.notes[0].find("resampled"), std::string::npos);
  mask.geometry.origin[0] += 1000;
  ExpectError([&] { WriteDicomSeg(mask, test::SourceOfFiles(files), folder / "no.dcm", {}); },
              {"does not overlap"});
  EXPECT_FALSE(fs::exists(folder / "no.dcm"));
  ExpectError([&] { ReadDicomSeg(files[0]); }, {files[0].string(), "not a DICOM segmentation"});
  ExpectError([&] { ReadDicomSeg(folder / "none.dcm"); }, {"none.dcm", "does not exist"});
  SeriesSpec other = spec;
  other.slices = 2;
  other.rows = 12;
  for (const auto& file : WriteSeries(folder / "other", other)) files.push_back(file);
  ExpectError([&] { test::SourceOfFiles(files); }, {"differ in size"});
  fs::remove_all(folder / "other");
  files.resize(7);
  files.push_back(files[0]);
  EXPECT_EQ(test::SourceOfFiles(files).slices.size(), 7U);  // a file named twice is one image
}

TEST(DicomSeg, LabelsInUtf8BesideAPatientInLatin1) {
  const fs::path folder = TemporaryFolder();
  SeriesSpec spec;
  spec.patient = "M\xFCller^Anna";  // ISO_IR 100
  const auto files = WriteSeries(folder / "series", spec);
  for (const auto& path : files) {
    DcmFileFormat file;
    ASSERT_TRUE(file.loadFile(path.c_str()).good());
    file.loadAllDataIntoMemory();
    file.getDataset()->putAndInsertString(DCM_SpecificCharacterSet, "ISO_IR 100");
    ASSERT_TRUE(file.saveFile(path.c_str(), EXS_LittleEndianExplicit).good());
  }
  SegWriteOptions options;
  options.segments = Named();
  options.segments[2].segment.label = "Lebergef\xC3\xA4\xC3\x9F";
  options.keep_patient = true;
  WriteDicomSeg(LopsidedLabels(GridOf(spec)), test::SourceOfFiles(files), folder / "seg.dcm",
                options);
  EXPECT_EQ(ReadDicomSeg(folder / "seg.dcm").segments[2].label, "Lebergef\xC3\xA4\xC3\x9F");
  DcmFileFormat file;
  ASSERT_TRUE(file.loadFile((folder / "seg.dcm").c_str()).good());
  OFString text;
  file.getDataset()->findAndGetOFString(DCM_PatientName, text);
  EXPECT_EQ(text, "M\xC3\xBCller^Anna");
  file.getDataset()->findAndGetOFString(DCM_SpecificCharacterSet, text);
  EXPECT_EQ(text, "ISO_IR 192");
}

TEST(DicomSeg, ImagesWithoutIdentifiersAreNotNamed) {
  const fs::path folder = TemporaryFolder();
  const SeriesSpec spec;
  const auto files = WriteSeries(folder / "series", spec);
  for (const auto& path : files) {
    DcmFileFormat file;
    ASSERT_TRUE(file.loadFile(path.c_str()).good());
    file.loadAllDataIntoMemory();
    for (const DcmTagKey& tag : {DCM_SOPInstanceUID, DCM_SeriesInstanceUID, DCM_StudyInstanceUID})
      file.getDataset()->putAndInsertString(tag, "");
    ASSERT_TRUE(file.saveFile(path.c_str(), EXS_LittleEndianExplicit).good());
  }
  const auto result = WriteDicomSeg(LopsidedLabels(GridOf(spec)), test::SourceOfFiles(files),
                                    folder / "seg.dcm", {});
  ASSERT_EQ(result.notes.size(), 1U);
  EXPECT_NE(result.notes[0].find("unique identifiers"), std::string::npos);
  EXPECT_EQ(ReadDicomSeg(folder / "seg.dcm").referenced_series_uid, "");
}

TEST(DicomSeg, OverlapsComeBackAsSeparateVolumes) {
  const fs::path shared = test::SharedData("data/dicom/seg");
  if (shared.empty()) GTEST_SKIP();
  // Five segments: judged by what dcmqi wrote the file from.
  const SegReadResult read = ReadDicomSeg(shared / "dcmqi/partial_overlaps.dcm");
  EXPECT_EQ(read.segments.size(), 5U);
  EXPECT_TRUE(read.overlapping);
  EXPECT_GT(read.volumes.size(), 1U);
  const int64_t counts[] = {9602, 11888, 10743, 6693, 4713};  // partial_overlaps-1, -2, -3.nrrd
  for (size_t s = 0; s < 5; ++s)
    EXPECT_EQ(CountOf(read.volumes[read.volume_of_segment[s]], read.segments[s].number), counts[s]);
  EXPECT_LT(Distance(CentroidOf(read.volumes[read.volume_of_segment[2]], 3),
                     {-27.3963, -28.0944, -126.7227}),
            1e-3);
  EXPECT_EQ(read.volumes[0].geometry.size, (std::array<int64_t, 3>{512, 512, 3}));
}

// Judged by the label volume that dcmqi made the file from.
TEST(DicomSeg, FrameSizeThatIsNoMultipleOfEight) {
  const SegReadResult read = ReadDicomSeg(test::TestData("dicom_seg/23x38x3/label.seg"));
  ASSERT_EQ(read.volumes.size(), 1U);
  EXPECT_EQ(read.volumes[0].geometry.size, (std::array<int64_t, 3>{23, 38, 3}));
  EXPECT_EQ(CountOf(read.volumes[0], 1), 322);
  EXPECT_LT(Distance(CentroidOf(read.volumes[0], 1), {55.6584, 12.0710, -175.25}), 1e-3);
  const SourceSeries source =
      test::SourceOfFiles({test::TestData("dicom_seg/23x38x3/IMG0001.dcm"),
                           test::TestData("dicom_seg/23x38x3/IMG0002.dcm"),
                           test::TestData("dicom_seg/23x38x3/IMG0003.dcm")});
  EXPECT_EQ(ReadDicomSeg(test::TestData("dicom_seg/23x38x3/label.seg"), &source).volumes[0].data,
            read.volumes[0].data);
}

TEST(DicomSeg, IsAVolumeLikeAnyOther) {
  const Volume volume = ReadVolume(test::TestData("dicom_seg/23x38x3/label.seg"));
  EXPECT_EQ(CountOf(volume, 1), 322);
  ASSERT_TRUE(volume.source);
  EXPECT_EQ(volume.source->FormatName(), "DICOM SEG");
  ExpectError(
      [] { ReadVolume(test::TestData("dicom_seg/highdicom_seg_image_ct_binary_overlap.dcm")); },
      {"highdicom_seg_image_ct_binary_overlap.dcm", "overlap", "avocet export"});
  ExpectError([&] { WriteVolume(volume, TemporaryFolder() / "a.seg"); }, {"a.seg", "export"});
}

TEST(DicomSeg, SmallOverlap) {
  const SegReadResult second =
      ReadDicomSeg(test::TestData("dicom_seg/highdicom_seg_image_ct_binary_overlap.dcm"));
  EXPECT_TRUE(second.overlapping);
  EXPECT_EQ(second.volumes.size(), 2U);
  EXPECT_EQ(second.volumes[0].geometry.size[2], 165);  // 205 mm at 1.25 mm
}

TEST(DicomSeg, EveryEncodingOfOneLiverIsTheSame) {
  const fs::path shared = test::SharedData("data/dicom/seg");
  if (shared.empty()) GTEST_SKIP();
  const SegReadResult liver = ReadDicomSeg(shared / "dcmqi/liver.dcm");
  EXPECT_GT(CountOf(liver.volumes[0], 1), 1000);
  for (const char* name : {"pydicom_liver.dcm", "pydicom_liver_deflate.dcm",
                           "pydicom_liver_expb.dcm", "pydicom_liver_rle.dcm"}) {
    const SegReadResult other = ReadDicomSeg(shared / name);
    EXPECT_EQ(other.volumes[0].geometry.size, liver.volumes[0].geometry.size) << name;
    EXPECT_EQ(other.volumes[0].data, liver.volumes[0].data) << name;
  }
  const SegReadResult cut = ReadDicomSeg(shared / "pydicom_liver_nonbyte_aligned.dcm");
  const Volume& whole = liver.volumes[0];
  const Volume& part = cut.volumes[0];
  ASSERT_EQ(part.geometry.size, (std::array<int64_t, 3>{510, 510, 3}));
  for (int k = 0; k < 3; ++k)
    for (int j = 0; j < 510; ++j)
      for (int i = 0; i < 510; ++i)
        ASSERT_EQ(part.As<uint8_t>()[(k * 510 + j) * 510 + i],
                  whole.As<uint8_t>()[(k * 512 + j) * 512 + i]);
}

TEST(DicomSeg, DeflatedAndRunLengthFramesAreTheSame) {
  const SegReadResult a = ReadDicomSeg(test::TestData("dicom_seg/pydicom_liver_deflate.dcm"));
  const SegReadResult b = ReadDicomSeg(test::TestData("dicom_seg/pydicom_liver_rle.dcm"));
  EXPECT_GT(CountOf(a.volumes[0], 1), 1000);
  EXPECT_EQ(a.volumes[0].data, b.volumes[0].data);
}

TEST(DicomSeg, Fractions) {
  const fs::path shared = test::TestData("dicom_seg");
  const SegReadResult two = ReadDicomSeg(shared / "highdicom_seg_image_ct_binary_fractional.dcm");
  const SegReadResult binary = ReadDicomSeg(shared / "highdicom_seg_image_ct_binary.dcm");
  ASSERT_EQ(two.fractions.size(), 1U);
  EXPECT_EQ(two.volumes[0].data, binary.volumes[0].data);
  const SegReadResult real = ReadDicomSeg(shared / "highdicom_seg_image_ct_true_fractional.dcm");
  const float* fractions = real.fractions[0].As<float>();
  const int64_t count = real.fractions[0].ValueCount();
  EXPECT_TRUE(std::any_of(fractions, fractions + count, [](float f) { return f > 0 && f < 1; }));
  EXPECT_TRUE(std::all_of(fractions, fractions + count, [](float f) { return f >= 0 && f <= 1; }));
}

TEST(SegmentCodes, ColoursSurviveCielab) {
  for (int r = 0; r < 256; r += 15)
    for (int g = 0; g < 256; g += 51)
      for (int b = 0; b < 256; b += 51) {
        const std::array<uint8_t, 3> rgb{static_cast<uint8_t>(r), static_cast<uint8_t>(g),
                                         static_cast<uint8_t>(b)};
        const auto back = RgbFromCielab(CielabFromRgb(rgb));
        for (int c = 0; c < 3; ++c) ASSERT_NEAR(back[c], rgb[c], 1);
      }
  // White is L* = 100, a* = b* = 0.
  const auto white = CielabFromRgb({255, 255, 255});
  EXPECT_EQ(white[0], 65535);
  EXPECT_NEAR(white[1], 32896, 20);
  EXPECT_NEAR(white[2], 32896, 20);
}

TEST(SegmentCodes, NamesWithSidesNumbersAndCase) {
  EXPECT_EQ(MeaningOfLabel("kidney_right", 2).laterality.value, "24028007");
  EXPECT_EQ(MeaningOfLabel("Left Kidney", 2).type.value, "64033007");
  EXPECT_EQ(MeaningOfLabel("left ventricle", 3).type.value, "87878005");
  EXPECT_TRUE(MeaningOfLabel("left ventricle", 3).laterality.empty());
  EXPECT_EQ(MeaningOfLabel("vertebrae_L1", 4).type.value, "51282000");
  EXPECT_FALSE(MeaningOfLabel("Segment 7", 7).known);
  EXPECT_NE(MeaningOfLabel("x", 1).rgb, MeaningOfLabel("x", 2).rgb);
}

}  // namespace
}  // namespace avocet::io
