// SPDX-License-Identifier: Apache-2.0
// Masks of another frame of reference or series, and masks that cover a part of a grid, through the
// jobs and the commands.
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "app/core/evaluate.h"
#include "app/core/evaluate_report.h"
#include "app/core/export.h"
#include "app/core/mask_file.h"
#include "io/dicom_seg.h"
#include "io/rtstruct.h"
#include "io/volume_io.h"
#include "tests/io/dicom_test_util.h"
#include "tests/io/io_test_util.h"
#include "tests/io/seg_builder.h"
#include "tests/support/test_support.h"

namespace avocet::core {
namespace {

namespace fs = std::filesystem;
using test::ExpectError;
using test::SegSpec;
using test::Slurp;
using test::TemporaryFolder;

constexpr const char* kFrame = "1.2.826.0.1.3680043.9.9999.4";  // what WriteSeries gives
constexpr const char* kSeries = "1.2.826.0.1.3680043.9.9999.3";
constexpr const char* kOtherFrame = "1.2.826.0.1.3680043.9.9999.404";
constexpr const char* kOtherSeries = "1.2.826.0.1.3680043.9.9999.303";

// Changes the UIDs of a series; "" removes the frame of reference.
void Rename(const std::vector<fs::path>& files, const std::string& frame,
            const std::string& series) {
  for (const fs::path& path : files) {
    DcmFileFormat file;
    ASSERT_TRUE(file.loadFile(path.c_str()).good());
    file.loadAllDataIntoMemory();
    DcmDataset& d = *file.getDataset();
    if (frame.empty()) {
      d.findAndDeleteElement(DCM_FrameOfReferenceUID);
    } else {
      d.putAndInsertString(DCM_FrameOfReferenceUID, frame.c_str());
    }
    d.putAndInsertString(DCM_SeriesInstanceUID, series.c_str());
    ASSERT_TRUE(file.saveFile(path.c_str(), EXS_LittleEndianExplicit).good());
  }
}

bool Says(const std::vector<std::string>& notes, const std::string& text) {
  return std::any_of(notes.begin(), notes.end(),
                     [&](const std::string& note) { return note.find(text) != std::string::npos; });
}

class MaskSpace : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = TemporaryFolder();
    images_ = test::WriteSeries(folder_ / "ct", spec_);
    source_ = test::SourceOfFiles(images_);
    io::Volume mask = test::LopsidedLabels(test::GridOf(spec_));
    io::WriteVolume(mask, folder_ / "mask.nii.gz");
    io::WriteDicomSeg(mask, source_, folder_ / "seg.dcm", {});
    io::WriteRtStruct(mask, source_, folder_ / "rs.dcm", {});
  }
  ExportResult Export(const char* mask, const char* output, bool force = false,
                      bool rtstruct = false) {
    ExportOptions options;
    options.mask = folder_ / mask;
    options.output = folder_ / output;
    options.source_series = folder_ / "ct";
    options.force = force;
    options.rtstruct = rtstruct;
    return RunExport(options, progress_);
  }
  EvaluateResult Evaluate(const fs::path& a, const fs::path& b, bool series, bool force = false) {
    EvaluateOptions options;
    options.prediction = folder_ / a;
    options.reference = folder_ / b;
    if (series) options.source_series = folder_ / "ct";
    options.force = force;
    return RunEvaluate(options, progress_);
  }

  test::SeriesSpec spec_;
  fs::path folder_;
  std::vector<fs::path> images_;
  io::SourceSeries source_;
  SilentProgress progress_;
};

TEST_F(MaskSpace, AnotherFrameOfReferenceIsRefusedAndForcedIsMarked) {
  Rename(images_, kOtherFrame, kSeries);  // the same series by name
  for (const char* mask : {"seg.dcm", "rs.dcm"}) {
    SCOPED_TRACE(mask);
    EXPECT_THROW(Export(mask, "no.nii.gz"), OtherSpaceError);
    ExpectError([&] { Export(mask, "no.nii.gz"); }, {mask, kFrame, kOtherFrame, "not comparable"});
    EXPECT_FALSE(fs::exists(folder_ / "no.nii.gz"));
    ExpectError([&] { Evaluate(mask, "mask.nii.gz", true); }, {mask, kFrame, kOtherFrame});
    // Forced, every output says so.
    const ExportResult forced = Export(mask, "forced.nii.gz", true);
    EXPECT_TRUE(forced.forced);
    EXPECT_TRUE(Says(forced.notes, "FORCED"));
    const auto manifest = nlohmann::json::parse(Slurp(folder_ / "forced.manifest.json"));
    EXPECT_EQ(manifest["job"], "export");
    EXPECT_EQ(manifest["options"]["force"], "yes");
    EXPECT_NE(manifest["warnings"].dump().find(kOtherFrame), std::string::npos);
    const EvaluateResult scored = Evaluate(mask, "mask.nii.gz", true, true);
    EXPECT_TRUE(scored.set.cases[0].forced);
    EXPECT_NE(EvaluateTable(scored, 60).find("FORCED"), std::string::npos);
    EXPECT_NE(EvaluateCsv(scored).find("# forced"), std::string::npos);
    const auto json = nlohmann::json::parse(EvaluateJson(scored));
    EXPECT_TRUE(json["cases"][0].contains("forced"));
    EXPECT_NE(json["cases"][0]["notes"].dump().find(kFrame), std::string::npos);
  }
  Export("seg.dcm", "again.dcm", true);
  DcmFileFormat file;
  ASSERT_TRUE(file.loadFile((folder_ / "again.dcm").c_str()).good());
  OFString text;
  file.getDataset()->findAndGetOFString(DCM_SeriesDescription, text);
  EXPECT_NE(std::string(text.c_str()).find("FORCED"), std::string::npos);
  EXPECT_TRUE(fs::exists(folder_ / "again.manifest.json"));
}

TEST_F(MaskSpace, AnotherSeriesOfTheSameFrameIsComparable) {
  Rename(images_, kFrame, kOtherSeries);
  for (const char* mask : {"seg.dcm", "rs.dcm"}) {
    SCOPED_TRACE(mask);
    const ExportResult result = Export(mask, "out.nii.gz");
    EXPECT_FALSE(result.forced);
    EXPECT_TRUE(Says(result.notes, "names another image series"));
    EXPECT_FALSE(fs::exists(folder_ / "out.manifest.json"));
    EXPECT_TRUE(
        Says(Evaluate(mask, "mask.nii.gz", true).set.cases[0].notes, "names another image series"));
  }
}

TEST_F(MaskSpace, AnotherSeriesWithoutAFrameIsRefused) {
  Rename(images_, "", kOtherSeries);
  for (const char* mask : {"seg.dcm", "rs.dcm"}) {
    SCOPED_TRACE(mask);
    ExpectError([&] { Export(mask, "no.nii.gz"); },
                {mask, kSeries, kOtherSeries, "no frame of reference"});
    EXPECT_TRUE(Export(mask, "forced.nii.gz", true).forced);
  }
  // The right series may lack the frame of reference.
  Rename(images_, "", kSeries);
  for (const char* mask : {"seg.dcm", "rs.dcm"}) {
    const ExportResult result = Export(mask, "fine.nii.gz");
    EXPECT_FALSE(result.forced);
    EXPECT_FALSE(Says(result.notes, "belongs to these images could not be checked"));
  }
}

TEST_F(MaskSpace, WhatNamesNothingIsNotedNotRefused) {
  SegSpec seg;
  seg.series = spec_;
  seg.stated_distance = 2.5;
  seg.frame_of_reference.clear();
  seg.referenced_series.clear();
  seg.Add(2);
  seg.Write(folder_ / "anon.dcm");
  const ExportResult result = Export("anon.dcm", "out.nii.gz");
  EXPECT_FALSE(result.forced);
  EXPECT_TRUE(Says(result.notes, "could not be checked"));
  // Files of other formats have no frame of reference: nothing to say.
  EXPECT_TRUE(Evaluate("mask.nii.gz", "mask.nii.gz", false).set.cases[0].notes.empty());
}

TEST_F(MaskSpace, TwoMasksOfDifferentFramesAreNotCompared) {
  SegSpec seg;
  seg.series = spec_;
  seg.stated_distance = 2.5;
  for (int k = 0; k < 7; ++k) seg.Add(k);
  seg.frame_of_reference = kOtherFrame;
  seg.Write(folder_ / "other.dcm");
  ExpectError([&] { Evaluate("other.dcm", "seg.dcm", false); }, {"other.dcm", kFrame, kOtherFrame});
  ExpectError([&] { Evaluate("rs.dcm", "other.dcm", false); }, {"rs.dcm", kFrame, kOtherFrame});
  ExpectError([&] { Evaluate("other.dcm", "rs.dcm", false); }, {"rs.dcm", kFrame, kOtherFrame});
  EXPECT_TRUE(Evaluate("other.dcm", "seg.dcm", false, true).set.cases[0].forced);
  // Another series and no frame of reference.
  seg.frame_of_reference.clear();
  seg.referenced_series = {kOtherSeries};
  seg.Write(folder_ / "other.dcm");
  ExpectError([&] { Evaluate("other.dcm", "seg.dcm", false); }, {kOtherSeries, kSeries});
  // A mask in a file that names nothing is compared.
  EXPECT_FALSE(Evaluate("other.dcm", "mask.nii.gz", false).set.cases[0].forced);
}

// A mask kept in memory, which is exported through a file that cannot name its space.
TEST_F(MaskSpace, AMaskInMemoryMayNameItsSpace) {
  ExportOptions options;
  options.mask = folder_ / "mask.nii.gz";
  options.output = folder_ / "out.dcm";
  options.source_series = folder_ / "ct";
  options.space = {kOtherFrame, {}};
  ExpectError([&] { RunExport(options, progress_); }, {kFrame, kOtherFrame});
  options.space = {kFrame, {}};
  EXPECT_FALSE(RunExport(options, progress_).forced);
}

TEST_F(MaskSpace, RoisOfAnotherFrameAreLeftOut) {
  DcmFileFormat file;
  ASSERT_TRUE(file.loadFile((folder_ / "rs.dcm").c_str()).good());
  file.loadAllDataIntoMemory();
  DcmItem* second = nullptr;
  ASSERT_TRUE(
      file.getDataset()->findAndGetSequenceItem(DCM_StructureSetROISequence, second, 1).good());
  second->putAndInsertString(DCM_ReferencedFrameOfReferenceUID, kOtherFrame);
  ASSERT_TRUE(file.saveFile((folder_ / "two.dcm").c_str(), EXS_LittleEndianExplicit).good());
  const ExportResult result = Export("two.dcm", "out.nii.gz");
  EXPECT_FALSE(result.forced);
  EXPECT_TRUE(Says(result.notes, kOtherFrame));
  const auto labels = io::ReadVolume(folder_ / "out.nii.gz").ToLabels("out");
  EXPECT_GT(std::count(labels.begin(), labels.end(), 1), 0);
  EXPECT_EQ(std::count(labels.begin(), labels.end(), 2), 0);
  EXPECT_GT(std::count(labels.begin(), labels.end(), 3), 0);
}

TEST_F(MaskSpace, SparseSegsAreScoredOnTheWholeGrid) {
  SegSpec seg;
  seg.series = spec_;
  io::Volume want = io::Volume::Zeros(test::GridOf(spec_), io::VoxelType::kUInt8);
  const auto block = SegSpec::Block(spec_);
  for (const int k : {1, 5}) {
    seg.Add(k);
    std::copy(block.begin(), block.end(),
              want.As<uint8_t>() + static_cast<ptrdiff_t>(block.size()) * k);
  }
  io::WriteVolume(want, folder_ / "want.nii.gz");
  SegSpec later;
  later.series = spec_;
  later.stated_distance = 2.5;
  later.Add(5);
  later.Add(6);
  later.Write(folder_ / "later.dcm");
  for (const double stated : {2.5, 0.0}) {
    SCOPED_TRACE(stated);
    seg.stated_distance = stated;
    seg.Write(folder_ / "sparse.dcm");
    for (const bool series : {true, false}) {
      const EvaluateResult result = Evaluate("sparse.dcm", "want.nii.gz", series);
      const EvaluatedCase& item = result.set.cases[0];
      EXPECT_EQ(item.size, want.geometry.size);
      EXPECT_EQ(item.classes[0].counts.true_positive, 24);
      EXPECT_EQ(item.classes[0].counts.prediction, 24);
      EXPECT_EQ(item.classes[0].counts.reference, 24);
      EXPECT_EQ(Says(item.notes, "covers a part of the grid"), !series);
    }
  }
  // Two segmentations of different slices: each is empty where it has none.
  seg.stated_distance = 2.5;
  seg.Write(folder_ / "sparse.dcm");
  const EvaluateResult two = Evaluate("sparse.dcm", "later.dcm", false);
  EXPECT_EQ(two.set.cases[0].size[2], 6);
  EXPECT_EQ(two.set.cases[0].classes[0].counts.true_positive, 12);
  EXPECT_EQ(two.set.cases[0].classes[0].counts.prediction, 24);
  EXPECT_TRUE(Says(two.set.cases[0].notes, "different parts of one grid"));
  // A reference that is no segmentation is not widened.
  io::Volume part = io::Volume::Zeros(test::GridOf(spec_), io::VoxelType::kUInt8);
  part.geometry.size[2] = 4;
  part.data.resize(static_cast<size_t>(part.geometry.VoxelCount()));
  part.As<uint8_t>()[20] = 1;
  io::WriteVolume(part, folder_ / "part.nii.gz");
  ExpectError([&] { Evaluate("sparse.dcm", "part.nii.gz", false); }, {"same grid"});
}

TEST_F(MaskSpace, EmptyMasksAreSaidInEveryJob) {
  SegSpec seg;
  seg.series = spec_;
  seg.type = "FRACTIONAL";
  seg.stated_distance = 2.5;
  seg.Add(2, 1, 48);
  seg.Write(folder_ / "faint.dcm");
  EXPECT_TRUE(Says(Export("faint.dcm", "out.nii.gz").notes, "its mask is empty"));
  EXPECT_TRUE(
      Says(Evaluate("faint.dcm", "mask.nii.gz", false).set.cases[0].notes, "its mask is empty"));
}

TEST_F(MaskSpace, TheCommandsNameTheOption) {
  Rename(images_, kOtherFrame, kSeries);
  const std::string ct = (folder_ / "ct").string();
  const std::string seg = (folder_ / "seg.dcm").string();
  const std::string mask = (folder_ / "mask.nii.gz").string();
  auto result = test::RunAvocet({"export", seg, "-o", mask + ".nii", "--source-series", ct});
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_NE(result.err.find("--force"), std::string::npos) << result.err;
  EXPECT_NE(result.err.find(kOtherFrame), std::string::npos) << result.err;
  result = test::RunAvocet({"evaluate", seg, mask, "--source-series", ct});
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_NE(result.err.find("--force"), std::string::npos) << result.err;
  result = test::RunAvocet({"evaluate", seg, mask, "--source-series", ct, "--force"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_NE(result.out.find("FORCED"), std::string::npos) << result.out;
  // One of two cases: the other is scored.
  fs::create_directories(folder_ / "p");
  fs::create_directories(folder_ / "r");
  for (const char* name : {"a", "b"}) {
    fs::copy_file(mask, folder_ / "r" / (std::string(name) + ".nii.gz"));
  }
  fs::copy_file(seg, folder_ / "p/a.dcm");
  fs::copy_file(mask, folder_ / "p/b.nii.gz");
  const fs::path json = folder_ / "scores.json";
  result = test::RunAvocet({"evaluate", (folder_ / "p").string(), (folder_ / "r").string(),
                            "--source-series", ct, "--json", json.string()});
  EXPECT_EQ(result.exit_code, 6) << result.err;
  EXPECT_NE(result.err.find("--force"), std::string::npos) << result.err;
  const auto scores = nlohmann::json::parse(Slurp(json));
  EXPECT_EQ(scores["cases"][0]["refused"], "other frame of reference");
  EXPECT_TRUE(scores["cases"][1].contains("classes"));
}

// Files after public reports: those of an MR on a CT, and of the CT with a foreign frame.
TEST(MaskSpaceReported, OtherSeries) {
  const fs::path folder = test::SharedData("data/reported/40_other_series");
  if (folder.empty()) GTEST_SKIP();
  SilentProgress progress;
  for (const char* mask : {"rt_of_mr", "rt_other_for", "seg_of_mr", "seg_other_for"}) {
    for (const char* series : {"ct", "mr"}) {
      SCOPED_TRACE(std::string(mask) + " on " + series);
      ExportOptions options;
      options.mask = folder / (std::string(mask) + ".dcm");
      options.output = TemporaryFolder() / "out.nii.gz";
      options.source_series = folder / series;
      const bool right =
          std::string(mask).find("of_mr") != std::string::npos && std::string(series) == "mr";
      if (right) {
        EXPECT_FALSE(RunExport(options, progress).forced);
      } else {
        EXPECT_THROW(RunExport(options, progress), OtherSpaceError);
      }
    }
  }
}

}  // namespace
}  // namespace avocet::core
