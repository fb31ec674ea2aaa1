// SPDX-License-Identifier: Apache-2.0
#include "app/core/info.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "tests/support/test_support.h"

namespace avocet {
namespace {

using nlohmann::json;
using test::RunAvocet;
using test::TestData;

std::string File(const char* name) { return TestData(std::string("io/") + name).string(); }

size_t CountLines(const std::string& text) {
  return static_cast<size_t>(std::count(text.begin(), text.end(), '\n'));
}

TEST(DescribeVolumes, MeasuresRealValues) {
  SilentProgress progress;
  const auto items =
      core::DescribeVolumes({File("scaled.nii.gz"), File("nan.nii.gz"), "/none.nii"}, progress);
  ASSERT_EQ(items.size(), 3U);
  EXPECT_EQ(items[0].error, "");
  EXPECT_EQ(items[0].info.min, -10);
  EXPECT_EQ(items[0].info.max, 153.5);  // 654 / 4 - 10
  EXPECT_EQ(items[0].info.type, "int16");
  EXPECT_EQ(items[1].info.nan_count, 2);
  EXPECT_EQ(items[1].info.infinite_count, 1);
  EXPECT_EQ(items[1].info.min, 3);  // voxels 0 to 2 are not finite
  EXPECT_EQ(items[1].info.max, 654);
  EXPECT_NE(items[2].error.find("/none.nii"), std::string::npos);
}

TEST(InfoCommand, ListsAndChoosesDicomSeries) {
  const auto folder = test::TemporaryFolder();
  std::filesystem::copy(TestData("dicom/ct5n"), folder / "a");
  std::filesystem::copy_file(TestData("dicom/multiframe.dcm"), folder / "b.dcm");
  test::CommandResult result = RunAvocet({"info", "--json", folder.string()});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  json info = json::parse(result.out);
  EXPECT_EQ(info["dicom"]["dicom_files"], 6);
  EXPECT_FALSE(info.contains("size"));  // two series: none is described
  int series = 0;
  for (const auto& patient : info["dicom"]["patients"]) {
    EXPECT_FALSE(patient.contains("name"));
    for (const auto& study : patient["studies"]) series += static_cast<int>(study["series"].size());
  }
  EXPECT_EQ(series, 2);
  result = RunAvocet({"info", "--json", "--series",
                      "1.3.6.1.4.1.5962.1.1.0.0.0.1194734704.16302.0.6", folder.string()});
  info = json::parse(result.out);
  EXPECT_EQ(info["size"], json({16, 16, 5}));
  EXPECT_EQ(info["format"], "DICOM series");
  EXPECT_NE(RunAvocet({"info", folder.string()}).out.find("SmartScore"), std::string::npos);
  const std::string out = (folder / "out.nii").string();
  result = RunAvocet({"convert", "--series", "9", folder.string(), out});
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_FALSE(std::filesystem::exists(out));
  result = RunAvocet({"convert", "--series", "1.3.6.1.4.1.5962.1.1.0.0.0.1194734704.16302.0.6",
                      folder.string(), out});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_NE(result.out.find("16 x 16 x 5"), std::string::npos) << result.out;
  result = RunAvocet({"info", "--show-patient", "--json", (folder / "a").string()});
  EXPECT_TRUE(json::parse(result.out)["dicom"]["patients"][0].contains("name"));
  result = RunAvocet({"info", "--series", "9", folder.string()});
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_NE(result.err.find("has no series 9; there are: 1 ("), std::string::npos) << result.err;
  EXPECT_EQ(CountLines(result.err), 1U);
}

TEST(InfoCommand, JsonOfOneFileIsAnObject) {
  const auto result = RunAvocet({"info", "--json", File("oblique.nii.gz")});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.err, "");
  const json info = json::parse(result.out);
  EXPECT_EQ(info["file"], File("oblique.nii.gz"));
  EXPECT_EQ(info["format"], "NIfTI-1");
  EXPECT_EQ(info["size"], json({5, 6, 7}));
  EXPECT_NEAR(info["spacing_mm"][0].get<double>(), 0.9, 1e-6);
  EXPECT_NEAR(info["spacing_mm"][1].get<double>(), 1.1, 1e-6);
  EXPECT_NEAR(info["spacing_mm"][2].get<double>(), 2.3, 1e-6);
  EXPECT_NEAR(info["origin_lps_mm"][0].get<double>(), 31.5, 1e-6);
  EXPECT_NEAR(info["origin_lps_mm"][1].get<double>(), -42.25, 1e-6);
  EXPECT_EQ(info["direction_lps"].size(), 9U);
  EXPECT_EQ(info["orientation"], "RAS");
  EXPECT_EQ(info["type"], "int16");
  EXPECT_EQ(info["frames"], 1);
  EXPECT_EQ(info["components"], 1);
  EXPECT_EQ(info["min"], 0);
  EXPECT_EQ(info["max"], 654);
  EXPECT_EQ(info["qform_code"], 1);
  EXPECT_EQ(info["sform_code"], 1);
  EXPECT_EQ(info["scaling"]["slope"], 1);
  EXPECT_EQ(info["notes"], json::array());
}

TEST(InfoCommand, JsonOfSeveralIsAnArrayAndGoesOnAfterAFailure) {
  const auto result = RunAvocet(
      {"info", "--json", File("two_frames.nii.gz"), File("truncated.nii.gz"), File("analyze.hdr")});
  EXPECT_EQ(result.exit_code, 6);
  EXPECT_EQ(CountLines(result.err), 1U) << result.err;
  const json items = json::parse(result.out);
  ASSERT_EQ(items.size(), 3U);
  EXPECT_EQ(items[0]["frames"], 2);
  EXPECT_NE(items[1]["error"].get<std::string>().find("truncated.nii.gz"), std::string::npos);
  EXPECT_TRUE(items[2]["sform_code"].is_null());  // ANALYZE has no such code
  EXPECT_EQ(items[2]["notes"].size(), 1U);
}

TEST(InfoCommand, TextNamesWhatIsOdd) {
  const auto result = RunAvocet({"info", File("sheared.nii.gz"), File("scaled.nii.gz")});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  for (const char* part : {"5 x 6 x 7 voxels", "RAS, sheared", "sheared by up to 18 degrees",
                           "float32", "-10 to 153.5", "slope 0.25, inter -10", "1 (scanner)"}) {
    EXPECT_NE(result.out.find(part), std::string::npos) << part << " not in\n" << result.out;
  }
  EXPECT_EQ(result.out.find("PATIENT"), std::string::npos);
}

TEST(InfoCommand, OneBadFileIsOneSentence) {
  for (const std::string& file :
       {File("huge_dim.nii"), File("text.nii"), TestData("io").string(), std::string("/none.nii"),
        File("bad_crc.nii.gz"), std::string("")}) {
    const auto result = RunAvocet({"info", file});
    EXPECT_EQ(result.exit_code, 3) << file;
    EXPECT_EQ(result.out, "") << file;
    EXPECT_EQ(CountLines(result.err), 1U) << result.err;
    EXPECT_EQ(result.err.rfind("avocet: error: ", 0), 0U) << result.err;
    EXPECT_NE(result.err.find(file), std::string::npos) << result.err;
  }
  EXPECT_EQ(RunAvocet({"info"}).exit_code, 2);
}

}  // namespace
}  // namespace avocet
