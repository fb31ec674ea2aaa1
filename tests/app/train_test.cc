// SPDX-License-Identifier: Apache-2.0
#include "app/core/train.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>

#include "app/base/error.h"
#include "app/core/engine.h"
#include "app/core/msd_dataset.h"
#include "io/file_util.h"
#include "io/volume_io.h"
#include "tests/support/test_support.h"

namespace avocet::core {
namespace {
namespace fs = std::filesystem;
using test::RunAvocet;
using test::TemporaryFolder;

class Recorder final : public Progress {
 public:
  bool Update(double, std::string_view) override { return true; }
  void Warn(std::string_view sentence) override { warnings.emplace_back(sentence); }
  bool Warned(const std::string& part) const {
    return std::any_of(warnings.begin(), warnings.end(),
                       [&](const std::string& w) { return w.find(part) != std::string::npos; });
  }
  std::vector<std::string> warnings;
};

io::Geometry Grid(double shift = 0) {
  io::Geometry geometry;
  geometry.size = {20, 24, 6};
  geometry.origin = {shift, 0, 0};
  return geometry;
}

void WriteImage(const fs::path& path, int seed) {
  io::Volume image = io::Volume::Zeros(Grid(), io::VoxelType::kInt16);
  for (int k = 0; k < 6; ++k) {
    for (int j = 0; j < 24; ++j) {
      for (int i = 0; i < 20; ++i) {
        const bool inside = (i - 10) * (i - 10) + (j - 12) * (j - 12) < 30;
        image.As<int16_t>()[(k * 24 + j) * 20 + i] =
            static_cast<int16_t>((inside ? 200 : 40) + (i * 7 + j * 13 + k * 29 + seed * 31) % 17);
      }
    }
  }
  io::WriteVolume(image, path);
}

// Labels 0 and `value` (a disc), optionally shifted in space.
void WriteLabel(const fs::path& path, uint8_t value, double shift = 0) {
  io::Volume label = io::Volume::Zeros(Grid(shift), io::VoxelType::kUInt8);
  for (int k = 0; k < 6; ++k) {
    for (int j = 0; j < 24; ++j) {
      for (int i = 0; i < 20; ++i) {
        const bool inside = (i - 10) * (i - 10) + (j - 12) * (j - 12) < 30;
        label.As<uint8_t>()[(k * 24 + j) * 20 + i] = inside ? value : 0;
      }
    }
  }
  io::WriteVolume(label, path);
}

void WriteJson(const fs::path& folder, const std::string& text) {
  fs::create_directories(folder / "imagesTr");
  fs::create_directories(folder / "labelsTr");
  io::WriteFileAtomically(folder / "dataset.json", text);
}

// Cases c0 .. c<count - 1> with labels 0 and 4.
fs::path SmallDataset(int count, const std::string& extra = "") {
  const fs::path folder = TemporaryFolder() / "data";
  WriteJson(folder, R"({"name": "Discs", "licence": "CC0", "modality": {"0": "MRI"},
                        "labels": {"0": "background", "4": "disc"})" +
                        extra + "}");
  for (int i = 0; i < count; ++i) {
    const std::string file = "c" + std::to_string(i) + ".nii.gz";
    WriteImage(folder / "imagesTr" / file, i);
    WriteLabel(folder / "labelsTr" / file, 4);
  }
  return folder;
}

TEST(MsdDatasetTest, BothLabelForms) {
  Recorder progress;
  const fs::path folder = SmallDataset(2);
  MsdDataset dataset = ReadMsdDataset(folder, progress);
  ASSERT_EQ(dataset.labels.size(), 2u);
  EXPECT_EQ(dataset.labels[1].value, 4);
  EXPECT_EQ(dataset.labels[1].name, "disc");
  EXPECT_EQ(dataset.modality, "MR");
  EXPECT_EQ(dataset.licence, "CC0");
  ASSERT_EQ(dataset.pairs.size(), 2u);  // found in the folders, as none are listed
  EXPECT_EQ(dataset.pairs[1].name, "c1");

  WriteJson(folder, R"({"channel_names": {"0": "CT"}, "labels": {"background": 0, "b": 7, "a": 2},
                        "training": []})");
  dataset = ReadMsdDataset(folder, progress);
  ASSERT_EQ(dataset.labels.size(), 3u);
  EXPECT_EQ(dataset.labels[1].value, 2);
  EXPECT_EQ(dataset.labels[1].name, "a");
  EXPECT_EQ(dataset.labels[2].name, "b");
  EXPECT_EQ(dataset.modality, "CT");
  EXPECT_TRUE(progress.warnings.empty());
}

TEST(MsdDatasetTest, NnunetNamesAndMissingFiles) {
  const fs::path folder = SmallDataset(0);
  WriteImage(folder / "imagesTr/a_0000.nii.gz", 0);
  WriteLabel(folder / "labelsTr/a.nii.gz", 4);
  WriteImage(folder / "imagesTr/b_0000.nii.gz", 0);
  Recorder progress;
  const MsdDataset dataset = ReadMsdDataset(folder, progress);
  ASSERT_EQ(dataset.pairs.size(), 1u);
  EXPECT_EQ(dataset.pairs[0].name, "a");
  EXPECT_TRUE(progress.Warned("does not exist"));
}

TEST(MsdDatasetTest, WrongDescriptionsAreRefused) {
  const fs::path folder = SmallDataset(1);
  Recorder progress;
  const char* wrong[] = {
      "{not json",
      "[]",
      "{}",
      R"({"labels": {}})",
      R"({"labels": {"x": "y"}})",
      R"({"labels": {"0": "background", "1": [1, 2]}})",
      R"({"labels": {"a": 1, "b": 1}})",
      R"({"labels": {"-1": "a"}})",
      R"({"labels": {"70000": "a"}})",
      R"({"labels": {"1": "a"}, "modality": {"0": "T1", "1": "T2"}})",
      R"({"labels": {"1": "a"}, "training": [{"image": "x"}]})",
      R"({"labels": {"1": "a"}, "training": [{"image": "../x.nii", "label": "l.nii"}]})",
      R"({"labels": {"1": "a"}, "training": [{"image": "/etc/x.nii", "label": "l.nii"}]})",
      R"({"labels": {"1": "a"}, "training": [{"image": "imagesTr/none.nii", "label": "l.nii"}]})"};
  for (const char* text : wrong) {
    WriteJson(folder, text);
    EXPECT_THROW(ReadMsdDataset(folder, progress), IoError) << text;
  }
  fs::remove(folder / "dataset.json");
  EXPECT_THROW(ReadMsdDataset(folder, progress), IoError);
  EXPECT_THROW(ReadMsdDataset(folder / "nowhere", progress), IoError);
}

TEST(SplitTest, NamesOrSeededFraction) {
  std::vector<MsdPair> pairs;
  for (int i = 0; i < 40; ++i) pairs.push_back({"c" + std::to_string(i), {}, {}});
  const auto named = SplitCases(pairs, {"c3", "c7"}, 0.5, 1);
  EXPECT_EQ(std::count(named.begin(), named.end(), true), 2);
  EXPECT_TRUE(named[3] && named[7]);
  EXPECT_THROW(SplitCases(pairs, {"c99"}, 0.5, 1), OptionError);
  const auto drawn = SplitCases(pairs, {}, 0.2, 1);
  EXPECT_EQ(std::count(drawn.begin(), drawn.end(), true), 8);
  EXPECT_EQ(drawn, SplitCases(pairs, {}, 0.2, 1));
  EXPECT_NE(drawn, SplitCases(pairs, {}, 0.2, 2));
  const auto none = SplitCases(pairs, {}, 0, 1);
  EXPECT_EQ(std::count(none.begin(), none.end(), true), 0);
  const auto few = SplitCases(pairs, {}, 0.001, 1);
  EXPECT_EQ(std::count(few.begin(), few.end(), true), 1);
}

TEST(TrainOptionsTest, CheckNamesTheOption) {
  TrainOptions good;
  good.data = "d";
  good.output = "o";
  EXPECT_EQ(good.Check(), "");
  const auto wrong = [&](auto change) {
    TrainOptions o = good;
    change(o);
    return o.Check();
  };
  EXPECT_NE(wrong([](auto& o) { o.variant = "X"; }).find("--variant"), std::string::npos);
  EXPECT_NE(wrong([](auto& o) { o.batch = 0; }).find("--batch"), std::string::npos);
  EXPECT_NE(wrong([](auto& o) { o.canvas = {64, 100}; }).find("--canvas"), std::string::npos);
  EXPECT_NE(wrong([](auto& o) { o.intensity = "window"; }).find("--window"), std::string::npos);
  EXPECT_NE(wrong([](auto& o) { o.flips = "x"; }).find("--flips"), std::string::npos);
  EXPECT_NE(wrong([](auto& o) { o.ema = 1; }).find("--ema"), std::string::npos);
  EXPECT_NE(wrong([](auto& o) { o.learning_rate = 0; }).find("--lr"), std::string::npos);
}

TrainOptions QuickOptions(const fs::path& data) {
  TrainOptions o;
  o.data = data;
  o.output = TemporaryFolder() / "out";
  o.epochs = 1;
  o.batch = 4;
  o.validation = {"c0"};
  o.device.text = "cpu";
  o.device.threads = 1;
  return o;
}

TEST(TrainJob, BadPairsAreSkippedAndCounted) {
  const fs::path data = SmallDataset(6);
  WriteLabel(data / "labelsTr/c1.nii.gz", 4, /*shift=*/3);  // elsewhere in space
  WriteLabel(data / "labelsTr/c2.nii.gz", 9);               // unknown value
  io::WriteFileAtomically(data / "imagesTr/c3.nii.gz", "this is not an image");  // unreadable
  Recorder progress;
  const TrainResult result = LoadEngine().train(QuickOptions(data), progress);
  EXPECT_EQ(result.skipped_cases, 3);
  EXPECT_EQ(result.training_cases, 2);
  EXPECT_EQ(result.validation_cases, 1);
  EXPECT_EQ(result.best_epoch, 1);
  EXPECT_TRUE(progress.Warned("mm away"));
  EXPECT_TRUE(progress.Warned("holds the value 9"));
  EXPECT_TRUE(progress.Warned("c3.nii.gz"));
  EXPECT_TRUE(fs::exists(result.model));
}

TEST(TrainJob, RefusesToOverwriteAndToResumeFromNothing) {
  const fs::path data = SmallDataset(2);
  Recorder progress;
  TrainOptions options = QuickOptions(data);
  options.resume = true;
  EXPECT_THROW(LoadEngine().train(options, progress), IoError);
  options.resume = false;
  fs::create_directories(options.output);
  io::WriteFileAtomically(options.output / "last.ckpt", "something");
  EXPECT_THROW(LoadEngine().train(options, progress), OptionError);
  options.resume = true;
  EXPECT_THROW(LoadEngine().train(options, progress), ModelError);
}

// The binary: train, go on, and segment with the result.
TEST(TrainCommand, TrainsResumesAndItsModelSegments) {
  const fs::path data = SmallDataset(4);
  const fs::path out = TemporaryFolder() / "run";
  std::vector<std::string> arguments = {
      "train",     data.string(), "-o",           out.string(), "--epochs",      "2",
      "--batch",   "6",           "--lr",         "0.003",      "--warmup",      "0",
      "--context", "1",           "--pixel-mm",   "0.8",        "--threads",     "1",
      "--device",  "cpu",         "--validation", "c3",         "--max-minutes", "0.00001"};
  auto result = RunAvocet(arguments);
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_NE(result.out.find("stopped"), std::string::npos) << result.out;
  EXPECT_TRUE(fs::exists(out / "last.ckpt"));

  arguments.resize(arguments.size() - 2);
  EXPECT_EQ(RunAvocet(arguments).exit_code, 2);  // would overwrite
  arguments.push_back("--resume");
  result = RunAvocet(arguments);
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_NE(result.out.find("finished after 2 epochs"), std::string::npos) << result.out;
  EXPECT_NE(result.out.find("best validation Dice"), std::string::npos) << result.out;

  result = RunAvocet({"segment", (data / "imagesTr/c3.nii.gz").string(), "-m",
                      (out / "model.safetensors").string(), "-o",
                      (TemporaryFolder() / "mask.nii.gz").string(), "--device", "cpu"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_TRUE(fs::exists(TemporaryFolder() / "mask.nii.gz"));
}

TEST(TrainCommand, WrongOptionsAreOneSentence) {
  const auto result = RunAvocet({"train", "/nowhere", "-o", "/tmp/x", "--plane", "diagonal"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_NE(result.err.find("--plane is 'diagonal'"), std::string::npos) << result.err;
  EXPECT_EQ(RunAvocet({"train", "/nowhere", "-o", "/tmp/x"}).exit_code, 3);
}

}  // namespace
}  // namespace avocet::core
