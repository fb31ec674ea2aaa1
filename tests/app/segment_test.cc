// SPDX-License-Identifier: Apache-2.0
#include "app/core/segment.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "app/base/error.h"
#include "app/core/engine.h"
#include "app/core/image_checks.h"
#include "app/core/manifest.h"
#include "app/core/output_plan.h"
#include "io/file_util.h"
#include "io/volume_io.h"
#include "tests/app/random_model.h"
#include "tests/support/test_support.h"

namespace avocet::core {
namespace {
namespace fs = std::filesystem;
using test::ExampleCard;
using test::TemporaryFolder;

// Progress that remembers what it was told, and cancels at a fraction.
class Recorder : public Progress {
 public:
  bool Update(double fraction, std::string_view) override {
    EXPECT_GE(fraction, last);
    last = fraction;
    return fraction < cancel_at;
  }
  void Warn(std::string_view sentence) override { warnings.emplace_back(sentence); }
  double last = 0;
  double cancel_at = 2;
  std::vector<std::string> warnings;
};

// A smooth bright body in noise, about the size of a hippocampus crop, in RAS order.
io::Volume Image(uint32_t seed = 1) {
  io::Geometry geometry;
  geometry.size = {20, 34, 18};
  geometry.spacing = {1, 1.2, 1.5};
  geometry.origin = {10, -20, 30};
  geometry.direction = {-1, 0, 0, 0, -1, 0, 0, 0, 1};
  io::Volume image = io::Volume::Zeros(geometry, io::VoxelType::kInt16);
  int16_t* value = image.As<int16_t>();
  uint32_t state = seed;
  for (int k = 0; k < 18; ++k) {
    for (int j = 0; j < 34; ++j) {
      for (int i = 0; i < 20; ++i) {
        state = state * 1664525u + 1013904223u;
        const double r = std::hypot(i - 9, 1.2 * (j - 16), 1.5 * (k - 8));
        *value++ = static_cast<int16_t>(400 / (1 + std::exp(r - 8)) + (state >> 24));
      }
    }
  }
  return image;
}

SegmentOptions OptionsFor(const fs::path& input, const fs::path& model, const fs::path& output) {
  SegmentOptions options;
  options.inputs = {input};
  options.model = model;
  options.output = output;
  options.device.text = "cpu";
  return options;
}

SegmentResult RunJob(const SegmentOptions& options, Progress& progress) {
  return LoadEngine().segment(options, progress);
}

std::set<std::string> NamesIn(const fs::path& folder) {
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) {
    names.insert(entry.path().filename().string());
  }
  return names;
}

TEST(Segment, WritesMaskLabelsAndManifestInTheInputsGeometry) {
  const fs::path folder = TemporaryFolder();
  const fs::path out = folder / "out";
  fs::create_directory(out);
  io::WriteVolume(Image(), folder / "image.nii.gz");
  const fs::path model = test::WriteRandomModel(ExampleCard(), "model.safetensors");
  SegmentOptions options = OptionsFor(folder / "image.nii.gz", model, out / "mask.nii.gz");
  options.probabilities = true;
  Recorder progress;
  const SegmentResult result = RunJob(options, progress);
  EXPECT_EQ(result.failed, 0);
  ASSERT_EQ(result.cases.size(), 1u);
  EXPECT_EQ(progress.last, 1);
  EXPECT_EQ(NamesIn(out),
            (std::set<std::string>{"mask.nii.gz", "mask.labels.json", "mask.labels.txt",
                                   "mask.manifest.json", "mask_prob_front.nii.gz",
                                   "mask_prob_back.nii.gz"}));

  const io::Volume image = io::ReadVolume(folder / "image.nii.gz");
  const io::Volume mask = io::ReadVolume(out / "mask.nii.gz");
  EXPECT_EQ(mask.type, io::VoxelType::kUInt8);
  EXPECT_EQ(mask.geometry.size, image.geometry.size);
  EXPECT_EQ(mask.geometry.spacing, image.geometry.spacing);
  EXPECT_EQ(mask.geometry.origin, image.geometry.origin);
  EXPECT_EQ(mask.geometry.direction, image.geometry.direction);

  // The mask is where a foreground probability is the largest, and the volumes are its counts.
  const auto labels = mask.ToLabels("mask");
  const auto front = io::ReadVolume(out / "mask_prob_front.nii.gz").ToFloat();
  const auto back = io::ReadVolume(out / "mask_prob_back.nii.gz").ToFloat();
  std::array<int64_t, 3> count{};
  for (size_t v = 0; v < labels.size(); ++v) {
    ASSERT_LE(labels[v], 2);
    ++count[labels[v]];
    const double own[3] = {1.0 - front[v] - back[v], front[v], back[v]};
    for (double other : own) ASSERT_GE(own[labels[v]], other - 1e-5);
  }
  EXPECT_GT(count[1] + count[2], 100);  // the random model marks something
  const auto& volumes = result.cases[0].volumes_ml;
  ASSERT_EQ(volumes.size(), 2u);
  EXPECT_EQ(volumes[0].first, "front");
  EXPECT_NEAR(volumes[0].second, count[1] * 1.8 / 1000, 1e-6);
  EXPECT_NEAR(volumes[1].second, count[2] * 1.8 / 1000, 1e-6);

  const auto manifest = nlohmann::json::parse(io::ReadTextFile(out / "mask.manifest.json"));
  EXPECT_EQ(manifest["input"]["file"], "image.nii.gz");
  EXPECT_EQ(manifest["input"]["sha256"], io::Sha256OfFile(folder / "image.nii.gz"));
  EXPECT_EQ(manifest["model"]["sha256"], io::Sha256OfFile(model));
  EXPECT_EQ(manifest["output"]["sha256"], io::Sha256OfFile(out / "mask.nii.gz"));
  EXPECT_EQ(manifest["protocol"]["plane"], "sagittal");
  EXPECT_EQ(manifest["options"]["tta"], "none");
  EXPECT_GT(manifest["seconds"].get<double>(), 0);
  // No folder names: they often are patients' names.
  EXPECT_EQ(manifest.dump().find(folder.string()), std::string::npos);
  const auto names = nlohmann::json::parse(io::ReadTextFile(out / "mask.labels.json"));
  EXPECT_EQ(names["labels"][2]["name"], "back");
  EXPECT_EQ(names["labels"][2]["value"], 2);
}

TEST(Segment, TestTimeAugmentationAndBatchSizeAreOptions) {
  const fs::path folder = TemporaryFolder();
  io::WriteVolume(Image(), folder / "image.nii");
  const fs::path model = test::WriteRandomModel(ExampleCard(), "model.safetensors");
  SilentProgress progress;
  SegmentOptions options = OptionsFor(folder / "image.nii", model, folder / "a.nii");
  options.probabilities = true;
  RunJob(options, progress);
  options.output = folder / "b.nii";
  options.batch = 3;
  RunJob(options, progress);
  const auto a = io::ReadVolume(folder / "a_prob_front.nii.gz").ToFloat();
  const auto b = io::ReadVolume(folder / "b_prob_front.nii.gz").ToFloat();
  double largest = 0;
  for (size_t v = 0; v < a.size(); ++v) largest = std::max<double>(largest, std::abs(a[v] - b[v]));
  EXPECT_LT(largest, 1e-5);
  options.output = folder / "c.nii";
  options.tta = "flip";
  RunJob(options, progress);
  const auto c = io::ReadVolume(folder / "c_prob_front.nii.gz").ToFloat();
  largest = 0;
  for (size_t v = 0; v < a.size(); ++v) largest = std::max<double>(largest, std::abs(a[v] - c[v]));
  EXPECT_GT(largest, 1e-4);
}

TEST(Segment, AveragingThatTheTrainingNeverSawIsRefusedUnlessForced) {
  const fs::path folder = TemporaryFolder();
  io::WriteVolume(Image(), folder / "in.nii");
  models::ModelCard card = ExampleCard();
  card.tta = "none";
  SegmentOptions options = OptionsFor(
      folder / "in.nii", test::WriteRandomModel(card, "plain.safetensors"), folder / "out.nii");
  options.tta = "flip";
  Recorder progress;
  EXPECT_THROW(RunJob(options, progress), OptionError);
  EXPECT_FALSE(fs::exists(folder / "out.nii"));
  options.force = true;
  Recorder forced;
  EXPECT_EQ(RunJob(options, forced).failed, 0);

  card.tta = "flip";
  options.model = test::WriteRandomModel(card, "mirrored.safetensors");
  options.force = false;
  Recorder again;
  EXPECT_EQ(RunJob(options, again).failed, 0);
  options.tta = "flip-rot";
  Recorder refused;
  EXPECT_THROW(RunJob(options, refused), OptionError);
}

TEST(Segment, AFolderGoesOnAfterABadFile) {
  const fs::path folder = TemporaryFolder();
  fs::create_directory(folder / "in");
  io::WriteVolume(Image(1), folder / "in/a.nii.gz");
  io::WriteVolume(Image(2), folder / "in/c.nii.gz");
  const std::string whole = io::ReadTextFile(folder / "in/a.nii.gz");
  io::WriteFileAtomically(folder / "in/b.nii.gz", whole.substr(0, whole.size() / 2));
  const fs::path model = test::WriteRandomModel(ExampleCard(), "model.safetensors");
  Recorder progress;
  const SegmentResult result =
      RunJob(OptionsFor(folder / "in", model, folder / "new/out"), progress);
  ASSERT_EQ(result.cases.size(), 3u);
  EXPECT_EQ(result.failed, 1);
  EXPECT_EQ(result.cases[0].error, "");
  EXPECT_NE(result.cases[1].error.find("b.nii.gz"), std::string::npos) << result.cases[1].error;
  EXPECT_EQ(result.cases[2].error, "");
  EXPECT_TRUE(fs::exists(folder / "new/out/a.nii.gz"));
  EXPECT_FALSE(fs::exists(folder / "new/out/b.nii.gz"));
  EXPECT_TRUE(fs::exists(folder / "new/out/c.manifest.json"));
}

TEST(Segment, CancellingLeavesNothingBehind) {
  const fs::path folder = TemporaryFolder();
  const fs::path out = folder / "out";
  fs::create_directory(out);
  io::WriteVolume(Image(), folder / "image.nii.gz");
  const fs::path model = test::WriteRandomModel(ExampleCard(), "model.safetensors");
  for (const double at : {0.3, 0.95}) {
    Recorder progress;
    progress.cancel_at = at;
    EXPECT_THROW(RunJob(OptionsFor(folder / "image.nii.gz", model, out / "m.nii.gz"), progress),
                 Cancelled);
    EXPECT_TRUE(NamesIn(out).empty());
  }
}

TEST(Segment, MisfitsAreRefusedWithASentence) {
  const fs::path folder = TemporaryFolder();
  io::WriteVolume(Image(), folder / "image.nii.gz");
  const fs::path good = test::WriteRandomModel(ExampleCard(), "good.safetensors");
  SilentProgress progress;
  const auto message = [&](SegmentOptions options) -> std::string {
    try {
      RunJob(options, progress);
    } catch (const Error& error) {
      return std::to_string(static_cast<int>(error.exit_code())) + " " + error.what();
    }
    return "no error";
  };
  const auto expect = [&](const SegmentOptions& options, ExitCode code, const std::string& part) {
    const std::string got = message(options);
    EXPECT_EQ(got.rfind(std::to_string(static_cast<int>(code)) + " ", 0), 0u) << got;
    EXPECT_NE(got.find(part), std::string::npos) << got;
    EXPECT_EQ(got.find('\n'), std::string::npos) << got;
    EXPECT_FALSE(fs::exists(folder / "m.nii.gz"));
  };
  const auto with_model = [&](const fs::path& model) {
    return OptionsFor(folder / "image.nii.gz", model, folder / "m.nii.gz");
  };
  expect(with_model(folder / "none.safetensors"), ExitCode::kIo, "none.safetensors");
  models::ModelCard card = ExampleCard();
  card.task = "translation";
  expect(with_model(test::WriteRandomModel(card, "translate.safetensors")), ExitCode::kModel,
         "translation");
  models::TensorFile file = test::RandomModel(ExampleCard());
  file.metadata.clear();
  models::WriteSafetensors(file, folder / "nocard.safetensors");
  expect(with_model(folder / "nocard.safetensors"), ExitCode::kModel, "avocet model convert");
  file = test::RandomModel(ExampleCard());
  const std::string lost = file.tensors[40].first;
  file.tensors.erase(file.tensors.begin() + 40);
  models::WriteSafetensors(file, folder / "hole.safetensors");
  expect(with_model(folder / "hole.safetensors"), ExitCode::kModel, lost);
  card = ExampleCard();
  card.labels.push_back({3, "extra", {}});
  file = test::RandomModel(ExampleCard());
  file.metadata["avocet"] = models::ToJson(card);
  models::WriteSafetensors(file, folder / "classes.safetensors");
  expect(with_model(folder / "classes.safetensors"), ExitCode::kModel, "classes");

  SegmentOptions options = with_model(good);
  options.device.text = "cuda:7x";
  expect(options, ExitCode::kOption, "cuda:7x");
  options = with_model(good);
  options.output = folder / "image.nii.gz";
  expect(options, ExitCode::kOption, "overwrite");
  options.output = folder / "mask.txt";
  expect(options, ExitCode::kOption, "mask.txt");
  options.output = folder / "nowhere/mask.nii.gz";
  expect(options, ExitCode::kIo, "nowhere");
  options = with_model(good);
  options.tta = "all";
  expect(options, ExitCode::kOption, "all");
  options = with_model(good);
  options.batch = 0;
  expect(options, ExitCode::kOption, "--batch");
}

TEST(Segment, ALabelMapIsNoImage) {
  const fs::path folder = TemporaryFolder();
  io::Volume labels = io::ZerosLike(Image(), io::VoxelType::kUInt8);
  for (int64_t v = 3000; v < 5000; ++v) labels.As<uint8_t>()[v] = 1 + v / 4000;
  io::WriteVolume(labels, folder / "label.nii.gz");
  const fs::path model = test::WriteRandomModel(ExampleCard(), "model.safetensors");
  SegmentOptions options = OptionsFor(folder / "label.nii.gz", model, folder / "m.nii.gz");
  SilentProgress progress;
  EXPECT_THROW(RunJob(options, progress), IoError);
  options.force = true;
  EXPECT_EQ(RunJob(options, progress).failed, 0);
}

TEST(OutputPlan, NamesOutputs) {
  const fs::path folder = TemporaryFolder();
  fs::create_directories(folder / "in");
  fs::create_directories(folder / "other");
  fs::create_directories(folder / "out");
  for (const char* name : {"in/b.nii", "in/a.nii.gz", "other/a.nii.gz"}) {
    io::WriteVolume(Image(), folder / name);
  }
  SegmentOptions options;
  options.inputs = {folder / "in"};
  options.model = "m";
  options.output = folder / "out";
  SilentProgress progress;
  const auto plan_of = [&](const SegmentOptions& given) {
    const OutputNames names = given.Names();
    return PlanOutputs(names, given.inputs,
                       ExpandInputs(given.inputs, given.series, given.regularise,
                                    !NamesOneFile(names), progress))
        .files;
  };
  auto plan = plan_of(options);
  ASSERT_EQ(plan.size(), 2u);
  EXPECT_EQ(plan[0].output, folder / "out/a.nii.gz");
  EXPECT_EQ(plan[1].output, folder / "out/b.nii");
  options.inputs = {folder / "in/b.nii"};  // one file into a folder that is there
  plan = plan_of(options);
  EXPECT_EQ(plan[0].output, folder / "out/b.nii");
  options.inputs = {folder / "in", folder / "other"};
  EXPECT_THROW(plan_of(options), OptionError);
  options.inputs = {folder / "out"};  // no images
  EXPECT_THROW(plan_of(options), IoError);
  options.inputs = {folder / "in"};
  options.output = folder / "in";
  EXPECT_THROW(plan_of(options), OptionError);
  options.output = folder / "in/b.nii";
  EXPECT_THROW(plan_of(options), OptionError);
}

TEST(ImageChecks, TellLabelMapsFromImages) {
  const fs::path shared = test::SharedData("data");
  if (shared.empty()) GTEST_SKIP();
  const auto looks = [&](const fs::path& path) {
    const io::Volume volume = io::ReadVolume(path);
    return LooksLikeLabelMap(volume.ToFloat(), volume.geometry.size);
  };
  int files = 0;
  for (const auto& path : io::ListVolumes(shared / "hippocampus/imagesTr")) {
    EXPECT_FALSE(looks(path)) << path;
    if (++files >= 60) break;
  }
  files = 0;
  for (const auto& path : io::ListVolumes(shared / "hippocampus/labelsTr")) {
    EXPECT_TRUE(looks(path)) << path;
    if (++files >= 60) break;
  }
  for (const char* folder : {"totalsegmentator", "spine_seg", "brain/icbm152_2009a", "brain/ixi",
                             "brain/torchio", "brain/synthseg_labels", "sts_sarcoma"}) {
    if (!fs::exists(shared / folder)) continue;
    for (const auto& entry : fs::recursive_directory_iterator(shared / folder)) {
      const std::string name = entry.path().filename().string();
      if (name.find(".nii") == std::string::npos) continue;
      const bool label = name.find("seg") != std::string::npos ||
                         name.find("label") != std::string::npos ||
                         name.find("mask") != std::string::npos ||
                         entry.path().string().find("spine_seg") != std::string::npos ||
                         entry.path().parent_path().filename() == "synthseg_labels" ||
                         name.find("output") != std::string::npos;
      EXPECT_EQ(looks(entry.path()), label) << entry.path();
    }
  }
}

// Slices that were not filled, or padding, make no label map of an image.
TEST(ImageChecks, ConstantSlicesAreNoLabels) {
  const io::Volume image = Image();  // int16 of some 500 values
  std::vector<float> values = image.ToFloat();
  EXPECT_FALSE(LooksLikeLabelMap(values, image.geometry.size));
  for (size_t x = 0; x < values.size() * 3 / 4; ++x) values[x] = 7;
  EXPECT_FALSE(LooksLikeLabelMap(values, image.geometry.size));
  // Nested boxes of six labels.
  int64_t x = 0;
  for (int k = 0; k < 18; ++k)
    for (int j = 0; j < 34; ++j)
      for (int i = 0; i < 20; ++i, ++x)
        values[x] =
            static_cast<float>(std::max({std::abs(i - 9) / 2, std::abs(j - 16) / 3, 0}) % 6);
  EXPECT_TRUE(LooksLikeLabelMap(values, image.geometry.size));
}

TEST(ImageChecks, NotANumberIsAWarningTheWrongModalityARefusal) {
  io::Volume image = Image();
  std::vector<float> values = image.ToFloat();
  values[5] = NAN;
  models::ModelCard card = ExampleCard();
  card.modality = "MR";
  EXPECT_EQ(CheckImage(image, values, card).refusal, "");
  ASSERT_EQ(CheckImage(image, values, card).warnings.size(), 1u);
  EXPECT_NE(CheckImage(image, values, card).warnings[0].find("1 voxels"), std::string::npos);
  image.modality = "CT";
  EXPECT_NE(CheckImage(image, values, card).refusal.find("header says CT"), std::string::npos);
  image.modality = "";
  values[6] = -1024;  // one odd voxel tells nothing
  EXPECT_EQ(CheckImage(image, values, card).refusal, "");
  for (size_t x = 0; x < values.size(); x += 3) values[x] = -1000 + 30.0f * (x % 7);
  EXPECT_NE(CheckImage(image, values, card).refusal.find("Hounsfield"), std::string::npos);
  EXPECT_NE(CheckImage(image, std::vector<float>(100, 3.0f), card).refusal, "");
}

}  // namespace
}  // namespace avocet::core
