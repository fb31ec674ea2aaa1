// SPDX-License-Identifier: Apache-2.0
#include "io/anonymize.h"

#include "io/dicom_seg.h"
#include "io/rtstruct.h"
#include "tests/io/dicom_test_util.h"
#include "tests/io/io_test_util.h"
#include "tests/support/test_support.h"

namespace avocet::io {
namespace {

namespace fs = std::filesystem;
using test::Slurp;
using test::TemporaryFolder;

// A file in which every kind of attribute names the patient.
fs::path Revealing(const fs::path& folder) {
  const auto files = test::WriteSeries(folder / "in", test::SeriesSpec());
  DcmFileFormat file;
  EXPECT_TRUE(file.loadFile(files[0].c_str()).good());
  file.loadAllDataIntoMemory();
  DcmDataset& d = *file.getDataset();
  d.putAndInsertString(DCM_PatientName, "SECRET^NAME");
  d.putAndInsertString(DCM_PatientID, "SECRETID");
  d.putAndInsertString(DCM_PatientAddress, "SECRET street");
  d.putAndInsertString(DCM_InstitutionName, "SECRET hospital");
  d.putAndInsertString(DCM_StudyDescription, "SECRET description");
  d.putAndInsertString(DCM_ReferringPhysicianName, "SECRET^DOCTOR");
  d.putAndInsertString(DCM_BurnedInAnnotation, "YES");
  d.putAndInsertString(DcmTag(0x0009, 0x0010, EVR_LO), "SECRET CREATOR");
  d.putAndInsertString(DcmTag(0x0009, 0x1001, EVR_LO), "SECRET private");
  d.putAndInsertString(DcmTag(0x6000, 0x4000, EVR_LT), "SECRET overlay");
  DcmItem* item = nullptr;
  d.findOrCreateSequenceItem(DCM_RequestAttributesSequence, item);
  item->putAndInsertString(DCM_RequestedProcedureDescription, "SECRET request");
  item = nullptr;
  d.findOrCreateSequenceItem(DCM_ReferencedStudySequence, item);
  item->putAndInsertString(DCM_ReferencedSOPClassUID, UID_CTImageStorage);
  item->putAndInsertString(DCM_ReferencedSOPInstanceUID, "1.2.826.0.1.3680043.9.9999.1.1");
  item->putAndInsertString(DCM_PatientComments, "SECRET nested");
  item->putAndInsertString(DcmTag(0x0011, 0x0010, EVR_LO), "SECRET nested private");
  d.findOrCreateSequenceItem(DCM_AnatomicRegionSequence, item);
  item->putAndInsertString(DCM_VerifyingObserverName, "SECRET^OBSERVER");
  const fs::path path = folder / "revealing.dcm";
  EXPECT_TRUE(file.saveFile(path.c_str(), EXS_LittleEndianExplicit).good());
  // And in the preamble.
  std::string bytes = Slurp(path);
  bytes.replace(10, 6, "SECRET");
  test::Spill(path, bytes);
  return path;
}

TEST(Anonymize, NothingOfThePatientIsLeft) {
  const fs::path folder = TemporaryFolder();
  const fs::path in = Revealing(folder);
  const std::string before = Slurp(in);
  ASSERT_NE(before.find("SECRET"), std::string::npos);
  Anonymizer anonymizer;
  anonymizer.Load(in);
  anonymizer.Save(folder / "out.dcm");
  const std::string after = Slurp(folder / "out.dcm");
  EXPECT_EQ(after.find("SECRET"), std::string::npos);
  EXPECT_EQ(after.find("1.2.826.0.1.3680043.9.9999"), std::string::npos);
  for (const char* date : {"19500101", "20200102", "030405", "ACC1"})
    EXPECT_EQ(after.find(date), std::string::npos) << date;
  EXPECT_EQ(Slurp(in), before);  // the original is as it was

  DcmFileFormat file;
  ASSERT_TRUE(file.loadFile((folder / "out.dcm").c_str()).good());
  DcmDataset& d = *file.getDataset();
  OFString text;
  const auto value = [&](const DcmTagKey& tag) {
    text.clear();
    d.findAndGetOFStringArray(tag, text);
    return std::string(text.c_str());
  };
  EXPECT_EQ(value(DCM_PatientName), "");
  EXPECT_TRUE(d.tagExists(DCM_PatientName));  // type 2: present and empty
  EXPECT_EQ(value(DCM_PatientID), "ANON-1");
  EXPECT_FALSE(d.tagExists(DCM_PatientAddress));
  EXPECT_EQ(value(DCM_PatientIdentityRemoved), "YES");
  EXPECT_EQ(value(DCM_LongitudinalTemporalInformationModified), "REMOVED");
  EXPECT_EQ(value(DCM_SOPClassUID), UID_CTImageStorage);
  EXPECT_EQ(value(DCM_Modality), "CT");
  d.findAndGetOFString(DCM_CodeValue, text, 0, OFTrue);
  EXPECT_EQ(text, "113100");
  // What the image is made of stays.
  EXPECT_EQ(value(DCM_PixelSpacing), "1.5000000000\\0.7500000000");
  const Uint16* pixels = nullptr;
  unsigned long count = 0;
  d.findAndGetUint16Array(DCM_PixelData, pixels, &count);
  ASSERT_EQ(count, 143U);
  EXPECT_EQ(pixels[7], 7);
  // The reference inside the sequence names the new UID of the instance itself or another one, and
  // the meta header agrees with the data set.
  OFString meta;
  file.getMetaInfo()->findAndGetOFString(DCM_MediaStorageSOPInstanceUID, meta);
  EXPECT_EQ(value(DCM_SOPInstanceUID), std::string(meta.c_str()));
  EXPECT_EQ(meta.substr(0, 5), "2.25.");

  const AnonymizeReport& report = anonymizer.report();
  EXPECT_EQ(report.files, 1);
  EXPECT_GE(report.private_removed, 2);
  EXPECT_EQ(report.attributes.at("(0010,0010) PatientName").emptied, 1);
  EXPECT_EQ(report.attributes.at("(0010,1040) PatientAddress").removed, 1);
  ASSERT_EQ(report.warnings.size(), 1U);
  EXPECT_NE(report.warnings[0].find("burned"), std::string::npos);
}

TEST(Anonymize, ReferencesBetweenFilesHold) {
  const fs::path folder = TemporaryFolder();
  const test::SeriesSpec spec;
  const auto files = test::WriteSeries(folder / "in", spec);
  const Volume mask = test::LopsidedLabels(test::GridOf(spec));
  WriteDicomSeg(mask, test::SourceOfFiles(files), folder / "in/seg", {});
  WriteRtStruct(mask, test::SourceOfFiles(files), folder / "in/rs", {});
  fs::create_directories(folder / "out");
  Anonymizer anonymizer;
  std::vector<fs::path> images;
  for (const auto& file : files) {
    images.push_back(folder / "out" / file.filename());
    anonymizer.Load(file);
    anonymizer.Save(images.back());
  }
  for (const char* name : {"seg", "rs"}) {
    anonymizer.Load(folder / "in" / name);
    anonymizer.Save(folder / "out" / name);
  }
  const SourceSeries source = test::SourceOfFiles(images);
  EXPECT_EQ(source.slices.size(), 7U);
  const SegReadResult before = ReadDicomSeg(folder / "in/seg");
  const SegReadResult after = ReadDicomSeg(folder / "out/seg", &source);
  EXPECT_EQ(after.referenced_series_uid, source.series_uid);
  EXPECT_EQ(after.frame_of_reference_uid, source.frame_of_reference_uid);
  EXPECT_EQ(after.volumes[0].data, before.volumes[0].data);
  const RtStruct structures = ReadRtStruct(folder / "out/rs");
  EXPECT_EQ(structures.referenced_series_uid, source.series_uid);
  EXPECT_EQ(RasterizeRois(structures, source.geometry).volumes[0].data, before.volumes[0].data);
}

TEST(Anonymize, EverySharedFileIsTreatedOrRefusedByName) {
  const fs::path shared = test::SharedData("data/dicom");
  if (shared.empty()) GTEST_SKIP();
  const fs::path folder = TemporaryFolder();
  Anonymizer anonymizer;
  int treated = 0;
  for (const auto& entry : fs::recursive_directory_iterator(shared)) {
    if (!entry.is_regular_file() || !IsDicomFile(entry.path())) continue;
    try {
      anonymizer.Load(entry.path());
      anonymizer.Save(folder / "out.dcm");
      ++treated;
      DcmFileFormat file;
      ASSERT_TRUE(file.loadFile((folder / "out.dcm").c_str()).good()) << entry.path();
      OFString name;
      file.getDataset()->findAndGetOFString(DCM_PatientName, name);
      EXPECT_EQ(name, "") << entry.path();
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find(entry.path().filename().string()), std::string::npos)
          << error.what();
      std::printf("refused: %s\n", error.what());
    }
  }
  EXPECT_GT(treated, 50);
}

}  // namespace
}  // namespace avocet::io
