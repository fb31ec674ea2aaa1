// SPDX-License-Identifier: Apache-2.0
#include "app/core/evaluate.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>

#include "app/base/error.h"
#include "app/core/evaluate_report.h"
#include "app/core/label_names.h"
#include "io/file_util.h"
#include "io/volume_io.h"
#include "tests/support/test_support.h"

namespace avocet {
namespace {

namespace fs = std::filesystem;
using core::EvaluateOptions;
using core::RunEvaluate;

class Warnings final : public Progress {
 public:
  bool Update(double, std::string_view) override { return !cancel; }
  void Warn(std::string_view sentence) override { text += std::string(sentence) + "\n"; }
  std::string text;
  bool cancel = false;
};

// A 12 x 10 x 8 label map with a block of label 1 from `begin` on along i, and label 2 where asked.
fs::path WriteBlock(const fs::path& path, int64_t begin, bool second = true,
                    const std::function<void(io::Volume&)>& change = {}) {
  io::Geometry geometry;
  geometry.size = {12, 10, 8};
  geometry.spacing = {1, 1.5, 2};
  geometry.origin = {5, -3, 7};
  io::Volume volume = io::Volume::Zeros(geometry, io::VoxelType::kUInt8);
  for (int64_t k = 2; k < 5; ++k)
    for (int64_t j = 2; j < 6; ++j)
      for (int64_t i = begin; i < begin + 4; ++i) volume.As<uint8_t>()[(k * 10 + j) * 12 + i] = 1;
  if (second) volume.As<uint8_t>()[(6 * 10 + 8) * 12 + 3] = 2;
  if (change) change(volume);
  fs::create_directories(path.parent_path());
  io::WriteVolume(volume, path);
  return path;
}

// Two folders: "a" identical, "b" moved by one voxel and without label 2.
EvaluateOptions TwoCases(const fs::path& folder) {
  WriteBlock(folder / "ref/a.nii.gz", 3);
  WriteBlock(folder / "ref/b.nii.gz", 3);
  WriteBlock(folder / "pred/a.nii.gz", 3);
  WriteBlock(folder / "pred/b.nii.gz", 4, false);
  EvaluateOptions options;
  options.prediction = folder / "pred";
  options.reference = folder / "ref";
  options.protocols = {"default", "transunet"};
  options.threads = 2;
  return options;
}

TEST(Evaluate, FoldersByHand) {
  const fs::path folder = test::TemporaryFolder();
  SilentProgress progress;
  const auto result = RunEvaluate(TwoCases(folder), progress);
  ASSERT_EQ(result.set.cases.size(), 2u);
  ASSERT_EQ(result.classes.size(), 2u);
  EXPECT_EQ(result.classes[1].name, "label 2");
  const auto& a = result.set.cases[0];
  const auto& b = result.set.cases[1];
  EXPECT_DOUBLE_EQ(a.classes[0].values[0][0].value, 1);
  EXPECT_DOUBLE_EQ(b.classes[0].values[0][0].value, 0.75);  // 3 of 4 planes
  EXPECT_DOUBLE_EQ(b.classes[0].values[0][2].value, 1);     // one voxel of 1 mm
  // Missed: default puts the diagonal, transunet (0, 0).
  EXPECT_EQ(b.classes[1].presence, metrics::Presence::kMissed);
  EXPECT_EQ(b.classes[1].values[0][2].state, metrics::ValueState::kSubstituted);
  EXPECT_NEAR(b.classes[1].values[0][2].value, std::sqrt(11. * 11 + 13.5 * 13.5 + 14. * 14), 1e-9);
  EXPECT_EQ(b.classes[1].values[1][0].value, 0);
  EXPECT_EQ(result.set.summaries[0][1][0].n_missed, 1);
  EXPECT_DOUBLE_EQ(result.set.summaries[0][0][0].summary.mean, 0.875);
  EXPECT_DOUBLE_EQ(result.set.overall[0][0].value, (0.875 + 0.5) / 2);
}

TEST(Evaluate, FilesCarryProtocolsDefinitionsAndVersion) {
  const fs::path folder = test::TemporaryFolder();
  EvaluateOptions options = TwoCases(folder);
  options.csv = folder / "out.csv";
  options.json = folder / "out.json";
  options.label_names = folder / "dataset.json";
  io::WriteFileAtomically(
      options.label_names,
      R"({"labels": {"0": "background", "1": "left, upper", "2": "dot", "3": "x"}})");
  SilentProgress progress;
  const auto result = RunEvaluate(options, progress);
  ASSERT_EQ(result.classes.size(), 3u);  // the named label 3 is absent from both, and counted
  EXPECT_EQ(result.set.summaries[0][2][0].n_undefined, 2);
  EXPECT_EQ(result.set.summaries[0][2][0].n_both_empty, 2);
  EXPECT_TRUE(std::isnan(result.set.summaries[0][2][0].summary.mean));

  const auto json = nlohmann::json::parse(io::ReadTextFile(options.json));
  EXPECT_TRUE(json.contains("avocet"));
  EXPECT_EQ(json["protocols"][1]["name"], "transunet");
  EXPECT_EQ(json["protocols"][1]["columns"][1]["unit"], "voxel");
  EXPECT_EQ(json["cases"][1]["classes"][0]["values"]["default"]["dice"], 0.75);
  EXPECT_TRUE(json["cases"][0]["classes"][2]["values"]["default"]["dice"].is_null());
  const std::string csv = io::ReadTextFile(options.csv);
  EXPECT_NE(csv.find("\n# transunet.hd95_vox_pooled [voxel]: "), std::string::npos);
  EXPECT_NE(csv.find("\npred,b,1,\"left, upper\",both,48,48,0.75,"), std::string::npos) << csv;
  const std::string table = core::EvaluateTable(result);
  EXPECT_NE(table.find("hd95_mm_maxdir"), std::string::npos);
  EXPECT_NE(table.find("undefined values"), std::string::npos) << table;
}

TEST(Evaluate, UnpairedFilesAreReported) {
  const fs::path folder = test::TemporaryFolder();
  const EvaluateOptions options = TwoCases(folder);
  WriteBlock(folder / "ref/only_ref.nii", 3);
  WriteBlock(folder / "pred/only_pred.nii", 3);
  Warnings progress;
  const auto result = RunEvaluate(options, progress);
  EXPECT_EQ(result.set.cases.size(), 2u);
  EXPECT_NE(progress.text.find("only_ref.nii"), std::string::npos) << progress.text;
  EXPECT_NE(progress.text.find("only_pred.nii"), std::string::npos) << progress.text;
}

TEST(Evaluate, OneBadCaseDoesNotStopTheRest) {
  const fs::path folder = test::TemporaryFolder();
  const EvaluateOptions options = TwoCases(folder);
  io::WriteFileAtomically(folder / "pred/a.nii.gz", "not a volume");
  SilentProgress progress;
  const auto result = RunEvaluate(options, progress);
  EXPECT_EQ(result.set.failed, 1);
  EXPECT_NE(result.set.cases[0].error, "");
  EXPECT_DOUBLE_EQ(result.set.cases[1].classes[0].values[0][0].value, 0.75);
  EXPECT_EQ(result.set.summaries[0][0][0].n, 1);
}

std::string MessageOf(const EvaluateOptions& options) {
  SilentProgress progress;
  try {
    RunEvaluate(options, progress);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(Evaluate, GridsMustAgree) {
  const fs::path folder = test::TemporaryFolder();
  EvaluateOptions options;
  options.reference = WriteBlock(folder / "ref.nii", 3);
  const auto with = [&](const std::function<void(io::Volume&)>& change) {
    options.prediction = WriteBlock(folder / "pred.nii", 3, true, change);
    return MessageOf(options);
  };
  EXPECT_EQ(with([](io::Volume& v) { v.geometry.origin[0] += 0.005; }), "");
  const std::string origin = with([](io::Volume& v) { v.geometry.origin[1] += 2.5; });
  EXPECT_NE(origin.find("origin off by 2.5 mm"), std::string::npos) << origin;
  const std::string spacing = with([](io::Volume& v) { v.geometry.spacing[2] = 2.5; });
  EXPECT_NE(spacing.find("spacing 1 x 1.5 x 2.5 against 1 x 1.5 x 2 mm"), std::string::npos)
      << spacing;
  EXPECT_NE(spacing.find("3.5 mm apart"), std::string::npos) << spacing;
  const std::string flipped = with([](io::Volume& v) { v.geometry.direction[0] = -1; });
  EXPECT_NE(flipped.find("direction"), std::string::npos) << flipped;
  EXPECT_NE(flipped.find("22 mm apart"), std::string::npos) << flipped;
  const std::string size = with([](io::Volume& v) {
    io::Geometry g = v.geometry;
    g.size[2] = 9;
    v = io::Volume::Zeros(g, io::VoxelType::kUInt8);
  });
  EXPECT_NE(size.find("size 12 x 10 x 9 against 12 x 10 x 8"), std::string::npos) << size;
  EXPECT_NE(size.find("2 mm"), std::string::npos) << size;
}

TEST(Evaluate, RefusesWhatIsNoLabelMap) {
  const fs::path folder = test::TemporaryFolder();
  EvaluateOptions options;
  options.reference = WriteBlock(folder / "ref.nii", 3);
  options.prediction = WriteBlock(folder / "half.nii", 3, true, [](io::Volume& v) {
    v = io::Volume::Zeros(v.geometry, io::VoxelType::kFloat32);
    v.As<float>()[7] = 0.5f;
  });
  EXPECT_NE(MessageOf(options).find("half.nii"), std::string::npos) << MessageOf(options);
  options.prediction = WriteBlock(folder / "negative.nii", 3, true, [](io::Volume& v) {
    v = io::Volume::Zeros(v.geometry, io::VoxelType::kInt16);
    v.As<int16_t>()[7] = -3;
  });
  EXPECT_NE(MessageOf(options).find("negative.nii"), std::string::npos);
  options.prediction = folder / "missing.nii";
  EXPECT_NE(MessageOf(options).find("does not exist"), std::string::npos);
}

TEST(Evaluate, OptionsAreChecked) {
  const fs::path folder = test::TemporaryFolder();
  EvaluateOptions options = TwoCases(folder);
  SilentProgress progress;
  options.protocols = {"dice"};
  EXPECT_THROW(RunEvaluate(options, progress), OptionError);
  options.protocols = {"default"};
  options.nsd_tolerance_mm = -1;
  EXPECT_THROW(RunEvaluate(options, progress), OptionError);
  options.nsd_tolerance_mm = 1;
  options.reference = folder / "ref/a.nii.gz";
  EXPECT_THROW(RunEvaluate(options, progress), OptionError);
  options.reference = folder / "ref";
  Warnings cancelling;
  cancelling.cancel = true;
  options.json = folder / "never.json";
  EXPECT_THROW(RunEvaluate(options, cancelling), Cancelled);
  EXPECT_FALSE(fs::exists(options.json));
}

TEST(Evaluate, ComparesTwoSetsOfPredictions) {
  const fs::path folder = test::TemporaryFolder();
  for (int n = 0; n < 6; ++n) {
    const std::string name = "case" + std::to_string(n) + ".nii.gz";
    WriteBlock(folder / "ref" / name, 3, false);
    WriteBlock(folder / "worse" / name, 3 + (n + 1) % 4, false);
    WriteBlock(folder / "better" / name, 3, false);
  }
  EvaluateOptions options;
  options.prediction = folder / "worse";
  options.reference = folder / "ref";
  options.compare = folder / "better";
  SilentProgress progress;
  const auto result = RunEvaluate(options, progress);
  ASSERT_FALSE(result.comparisons.empty());
  const auto& dice = result.comparisons[0];
  EXPECT_EQ(dice.column, "dice");
  EXPECT_EQ(dice.n, 6);
  // Shifts 1, 2, 3, 0, 1, 2 of 4 planes.
  EXPECT_NEAR(dice.mean_a, (0.75 + 0.5 + 0.25 + 1 + 0.75 + 0.5) / 6, 1e-12);
  EXPECT_NEAR(dice.difference, 1 - dice.mean_a, 1e-12);
  EXPECT_NEAR(dice.wilcoxon.p, 2.0 / 32, 1e-12);  // five differences, all positive
  EXPECT_GT(dice.interval.low, 0);
  EXPECT_LT(dice.interval.high, 0.75);
  EXPECT_NE(core::EvaluateTable(result).find("Wilcoxon"), std::string::npos);
}

TEST(Evaluate, ImageQuality) {
  const fs::path folder = test::TemporaryFolder();
  const auto write = [&](const char* name, float offset) {
    io::Geometry geometry;
    geometry.size = {16, 15, 14};
    io::Volume v = io::Volume::Zeros(geometry, io::VoxelType::kFloat32);
    for (int64_t n = 0; n < geometry.VoxelCount(); ++n)
      v.As<float>()[n] = static_cast<float>(n % 11) / 10 + offset;
    io::WriteVolume(v, folder / name);
    return folder / name;
  };
  EvaluateOptions options;
  options.task = "image-quality";
  options.prediction = write("p.nii", 0.25f);
  options.reference = write("t.nii", 0);
  SilentProgress progress;
  const auto result = RunEvaluate(options, progress);
  const auto& values = result.set.cases[0].classes[0].values[0];
  EXPECT_EQ(result.protocols[0].columns[0].name, "psnr_db");
  EXPECT_NEAR(values[0].value, 10 * std::log10(1 / 0.0625), 1e-5);  // range 1
  EXPECT_NEAR(values[4].value, 0.25, 1e-6);
  EXPECT_LT(values[1].value, 1);
  EXPECT_GT(values[1].value, 0.5);
}

TEST(LabelNames, AllForms) {
  const fs::path file = test::TemporaryFolder() / "labels.json";
  const auto read = [&](const char* text) {
    io::WriteFileAtomically(file, text);
    return core::ReadLabelNames(file);
  };
  const std::map<int, std::string> expected{{1, "liver"}, {2, "spleen"}};
  EXPECT_EQ(read(R"({"labels": {"0": "background", "1": "liver", "2": "spleen"}})"), expected);
  EXPECT_EQ(read(R"({"labels": {"background": 0, "liver": 1, "spleen": [1, 2]}})"), expected);
  EXPECT_EQ(read(R"({"labels": [{"value": 1, "name": "liver"}, {"value": 2, "name": "spleen"}]})"),
            expected);
  EXPECT_THROW(read("[]"), IoError);
  EXPECT_THROW(read("{"), IoError);
  EXPECT_THROW(read(R"({"labels": {"a": "b"}})"), IoError);
}

TEST(EvaluateCommand, PrintsNumbersAndExitCodes) {
  const fs::path folder = test::TemporaryFolder();
  TwoCases(folder);
  const auto pred = (folder / "pred").string(), ref = (folder / "ref").string();
  const auto json = (folder / "x.json").string();
  auto run =
      test::RunAvocet({"evaluate", pred, ref, "--protocol", "default,medpy-mm", "--json", json});
  EXPECT_EQ(run.exit_code, 0) << run.err;
  EXPECT_NE(run.out.find("0.7500"), std::string::npos) << run.out;
  EXPECT_NE(run.out.find("protocol medpy-mm"), std::string::npos) << run.out;
  EXPECT_TRUE(fs::exists(json));
  io::WriteFileAtomically(folder / "pred/a.nii.gz", "broken");
  run = test::RunAvocet({"evaluate", pred, ref});
  EXPECT_EQ(run.exit_code, 6) << run.err;
  EXPECT_NE(run.err.find("a.nii.gz"), std::string::npos) << run.err;
  EXPECT_NE(run.out.find("0.7500"), std::string::npos) << run.out;
  EXPECT_EQ(test::RunAvocet({"evaluate", pred, ref, "--protocol", "nonsense"}).exit_code, 2);
  EXPECT_EQ(test::RunAvocet({"evaluate", pred, (folder / "nowhere").string()}).exit_code, 3);
}

}  // namespace
}  // namespace avocet
