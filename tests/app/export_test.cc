// SPDX-License-Identifier: Apache-2.0
#include "app/core/export.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "app/core/anonymize.h"
#include "io/dicom_seg.h"
#include "io/volume_io.h"
#include "tests/io/dicom_test_util.h"
#include "tests/io/io_test_util.h"
#include "tests/support/test_support.h"

namespace avocet::core {
namespace {

namespace fs = std::filesystem;
using test::ExpectError;
using test::Slurp;
using test::TemporaryFolder;

struct Case {
  fs::path folder = TemporaryFolder();
  test::SeriesSpec spec = test::AllOrientations(0.25)[21];
  std::vector<fs::path> images = test::WriteSeries(folder / "series", spec);
  io::Volume mask = test::LopsidedLabels(test::GridOf(spec));

  ExportOptions Options(const char* output) {
    io::WriteVolume(mask, folder / "mask.nii.gz");
    test::Spill(folder / "labels.json", R"({"labels": {"1": "Liver", "2": "left kidney"}})");
    ExportOptions options;
    options.mask = folder / "mask.nii.gz";
    options.output = folder / output;
    options.source_series = folder / "series";
    options.labels = folder / "labels.json";
    return options;
  }
};

TEST(Export, ThroughEveryFormatAndBack) {
  Case c;
  SilentProgress progress;
  for (const char* kind : {"seg.dcm", "rs.dcm"}) {
    ExportOptions options = c.Options(kind);
    options.rtstruct = std::string(kind) == "rs.dcm";
    RunExport(options, progress);
    ExportOptions back;
    back.mask = c.folder / kind;
    back.source_series = c.folder / "series";
    back.output = c.folder / "back.nii.gz";
    RunExport(back, progress);
    const io::Volume read = io::ReadVolume(back.output);
    const int labels[] = {1, 2, 5};
    for (int s = 1; s <= 3; ++s)
      EXPECT_LT(test::Distance(test::CentroidOf(read, s), test::CentroidOf(c.mask, labels[s - 1])),
                1e-3)
          << kind;
  }
  const auto seg = io::ReadDicomSeg(c.folder / "seg.dcm");
  EXPECT_EQ(seg.segments[0].label, "Liver");
  EXPECT_EQ(seg.segments[1].type_modifier.meaning, "Left");
  EXPECT_EQ(seg.segments[2].label, "Label 5");
  // A SEG exported as SEG again keeps its codes.
  ExportOptions again = c.Options("again.dcm");
  again.mask = c.folder / "seg.dcm";
  again.labels.clear();
  RunExport(again, progress);
  EXPECT_EQ(io::ReadDicomSeg(c.folder / "again.dcm").segments[1].type.value, "64033007");
}

TEST(Export, OtherFormatsHoldNoPatientData) {
  Case c;
  SilentProgress progress;
  RunExport(c.Options("seg.dcm"), progress);
  for (const char* name : {"a.stl", "a.obj", "a.ply", "a.nii"}) {
    ExportOptions options;
    options.mask = c.folder / "seg.dcm";
    options.output = c.folder / name;
    RunExport(options, progress);
    const std::string bytes = Slurp(options.output);
    for (const char* secret : {"TEST^NAME", "ID-4711", "19500101", "DOCTOR"})
      EXPECT_EQ(bytes.find(secret), std::string::npos) << name;
  }
}

TEST(Export, ValuesAndRefusals) {
  Case c;
  SilentProgress progress;
  ExportOptions options = c.Options("one.dcm");
  options.values = {2};
  RunExport(options, progress);
  const auto one = io::ReadDicomSeg(c.folder / "one.dcm");
  ASSERT_EQ(one.segments.size(), 1U);
  EXPECT_EQ(one.segments[0].label, "left kidney");
  ExportOptions wrong = options;
  wrong.source_series.clear();
  ExpectError([&] { RunExport(wrong, progress); }, {"--source-series"});
  wrong = options;
  wrong.output = "x.txt";
  ExpectError([&] { RunExport(wrong, progress); }, {"x.txt", ".dcm"});
  wrong = options;
  wrong.algorithm_type = "MAGIC";
  ExpectError([&] { RunExport(wrong, progress); }, {"MAGIC"});
}

TEST(ExportCommand, WritesASurface) {
  Case c;
  const ExportOptions options = c.Options("m.stl");
  const auto result =
      test::RunAvocet({"export", options.mask.string(), "-o", options.output.string()});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_NE(result.out.find("3 surfaces"), std::string::npos) << result.out;
  EXPECT_GT(fs::file_size(options.output), 1000U);
  EXPECT_EQ(test::RunAvocet({"export", options.mask.string(), "-o", "x.dcm"}).exit_code, 2);
}

TEST(AnonymizeJob, FolderWithReport) {
  Case c;
  test::Spill(c.folder / "series/notes.txt", "TEST^NAME");
  AnonymizeOptions options;
  options.input = c.folder / "series";
  options.output = c.folder / "clean";
  SilentProgress progress;
  const AnonymizeResult result = RunAnonymize(options, progress);
  EXPECT_EQ(result.files.size(), 7U);
  EXPECT_EQ(result.skipped, 1);
  EXPECT_TRUE(result.failures.empty());
  for (const auto& file : result.files) {
    EXPECT_EQ(Slurp(file).find("TEST^NAME"), std::string::npos);
    EXPECT_EQ(file.parent_path().filename(), "series-1");
  }
  const auto json = nlohmann::json::parse(Slurp(options.output / "report.json"));
  EXPECT_EQ(json["files"], 7);
  EXPECT_EQ(json["attributes"]["(0010,0010) PatientName"]["emptied"], 7);
  EXPECT_EQ(Slurp(options.output / "report.json").find("ID-4711"), std::string::npos);
  ExpectError([&] { RunAnonymize(options, progress); }, {"not an empty folder"});
  options.output = c.folder / "series/inside";
  ExpectError([&] { RunAnonymize(options, progress); }, {"inside"});
  options.input = options.output = c.images[0];
  ExpectError([&] { RunAnonymize(options, progress); }, {"the input itself"});
}

}  // namespace
}  // namespace avocet::core
