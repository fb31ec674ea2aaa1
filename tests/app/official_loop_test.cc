// SPDX-License-Identifier: Apache-2.0
// The published presets on the published layouts against an independent rendition of the published
// test loop: tests/python/official_loop.py wrote the files of tests/data/official_loop and what the
// loop makes of them.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "app/core/engine.h"
#include "app/core/evaluate.h"
#include "app/core/image_checks.h"
#include "app/core/model_job.h"
#include "app/core/segment.h"
#include "io/file_util.h"
#include "io/volume_io.h"
#include "models/predict/predictor.h"
#include "tests/app/random_model.h"
#include "tests/support/test_support.h"

namespace avocet::core {
namespace {
namespace fs = std::filesystem;
using nlohmann::json;

fs::path Data(const std::string& name) { return test::TestData("official_loop/" + name); }

json Expected() { return json::parse(io::ReadTextFile(Data("expected.json"))); }

// The converted file of an official checkpoint (random weights, no card) with a published preset.
fs::path Converted(const std::string& preset) {
  const size_t classes = preset == "synapse" ? 9 : 4;
  models::ModelCard card = test::ExampleCard();
  card.labels.clear();
  for (size_t c = 0; c < classes; ++c) {
    card.labels.push_back({static_cast<int>(c), "class " + std::to_string(c), {}});
  }
  models::TensorFile file = test::RandomModel(card);
  file.metadata.clear();
  const fs::path folder = test::TemporaryFolder();
  models::WriteSafetensors(file, folder / "official.safetensors");
  ModelConvertOptions options;
  options.input = folder / "official.safetensors";
  options.output = folder / (preset + ".safetensors");
  options.preset = preset;
  options.wkv = "exact";
  SilentProgress progress;
  ConvertModel(options, progress);
  return options.output;
}

// The script's stand-in for the network: per class 0.5 m x + 1.5 m B - m^2, B the mean of the 5 x 5
// pixels around, 0 outside.
at::Tensor Logits(const at::Tensor& image, const std::vector<double>& centres) {
  const at::Tensor x = image.to(at::kDouble);
  const at::Tensor box = at::avg_pool2d(x, 5, 1, 2, false, /*count_include_pad=*/true);
  std::vector<at::Tensor> classes;
  for (const double m : centres) classes.push_back(0.5 * m * x + 1.5 * m * box - m * m);
  return at::cat(classes, 1);
}

TEST(OfficialLoop, LabelsAndScoresAgree) {
  const json expected = Expected();
  const fs::path folder = test::TemporaryFolder();
  const std::map<std::string, models::ModelCard> cards{
      {"synapse", DescribeModel(Converted("synapse")).card},
      {"acdc", DescribeModel(Converted("acdc")).card}};
  ASSERT_EQ(expected["cases"].size(), 8u);
  for (const json& item : expected["cases"]) {
    const std::string name = item["image"];
    SCOPED_TRACE(name);
    const models::ModelCard& card = cards.at(item["preset"].get<std::string>());
    const io::Volume image = io::ReadVolume(Data(name));
    const std::vector<float> values = image.ToFloat();
    const ImageCheck check = CheckImage(image, values, card);
    EXPECT_EQ(check.refusal, "");
    EXPECT_EQ(check.as_stored, item["already_scaled"].get<bool>());
    EXPECT_EQ(check.warnings.size(), check.as_stored ? 1u : 0u);

    const auto centres =
        expected[item["preset"].get<std::string>() + "_centres"].get<std::vector<double>>();
    const models::Prediction prediction = models::PredictVolume(
        [&](const at::Tensor& slices) { return Logits(slices, centres).to(at::kDouble); },
        CardFor(card, check.as_stored),
        {values.data(), image.geometry.size, image.geometry.spacing, image.geometry.direction}, {},
        {});
    const auto wanted = io::ReadVolume(Data(item["prediction"])).ToLabels("prediction");
    ASSERT_EQ(prediction.labels.size(), wanted.size());
    int64_t different = 0;
    for (size_t v = 0; v < wanted.size(); ++v) different += prediction.labels[v] != wanted[v];
    EXPECT_EQ(different, 0) << "of " << wanted.size();

    // The scores, of the mask in a file.
    io::Volume mask = io::ZerosLike(image, io::VoxelType::kUInt8);
    std::copy(prediction.labels.begin(), prediction.labels.end(), mask.As<uint8_t>());
    io::WriteVolume(mask, folder / "mask.nii.gz");
    EvaluateOptions evaluate;
    evaluate.prediction = folder / "mask.nii.gz";
    evaluate.reference = Data(item["label"]);
    evaluate.protocols = {"transunet"};
    evaluate.dims = 3;  // the loop knows volumes alone, of one slice too
    for (size_t c = 1; c < card.labels.size(); ++c) evaluate.labels.push_back(static_cast<int>(c));
    SilentProgress progress;
    const EvaluateResult scores = RunEvaluate(evaluate, progress);
    ASSERT_EQ(scores.classes.size(), item["dice_hd95"].size());
    for (size_t c = 0; c < scores.classes.size(); ++c) {
      const auto& row = scores.set.cases[0].classes[c].values[0];
      EXPECT_NEAR(row[0].value, item["dice_hd95"][c][0].get<double>(), 1e-9) << "class " << c + 1;
      EXPECT_NEAR(row[1].value, item["dice_hd95"][c][1].get<double>(), 1e-9) << "class " << c + 1;
    }
  }
}

// The job itself: what is scaled already and what is not gives the same mask, and the manifest says
// what was done.
TEST(OfficialLoop, TheJobLeavesScaledDataAlone) {
  const fs::path folder = test::TemporaryFolder();
  const fs::path model = Converted("synapse");
  ModelConvertOptions plain;
  plain.input = model;
  plain.output = folder / "none.safetensors";
  plain.intensity = "none";
  plain.expect_values = {-1, 2};
  SilentProgress progress;
  ConvertModel(plain, progress);
  const auto run = [&](const fs::path& with, const char* image, const char* output) {
    SegmentOptions options;
    options.inputs = {Data(image)};
    options.model = with;
    options.output = folder / output;
    options.device.text = "cpu";
    LoadEngine().segment(options, progress);
    return io::ReadVolume(options.output).ToLabels(output);
  };
  const auto scaled = run(model, "case0001.npy.h5", "scaled.nii.gz");
  const auto as_is = run(plain.output, "case0001.npy.h5", "as_is.nii.gz");
  const auto hounsfield = run(model, "img0001.nii.gz", "hounsfield.nii.gz");
  EXPECT_EQ(scaled, as_is);
  std::array<int64_t, 9> count{};
  int64_t different = 0;
  for (size_t v = 0; v < scaled.size(); ++v) {
    ++count[scaled[v]];
    different += scaled[v] != hounsfield[v];
  }
  EXPECT_GT(std::count_if(count.begin(), count.end(), [](int64_t n) { return n > 100; }), 1)
      << "the network saw something";
  // Clipping in single precision, there and here, may differ in the last bit.
  EXPECT_LE(different, static_cast<int64_t>(scaled.size() / 10000));

  const auto manifest = [&](const char* name) {
    return json::parse(io::ReadTextFile(folder / name));
  };
  const json of_scaled = manifest("scaled.manifest.json");
  EXPECT_EQ(of_scaled["protocol"]["intensity"], "as stored: already scaled");
  EXPECT_EQ(of_scaled["protocol"]["intensity_not_applied"], "window [-125, 275]");
  EXPECT_NE(of_scaled["warnings"].dump().find("scaled to [0, 1] already"), std::string::npos);
  EXPECT_FALSE(of_scaled.contains("implausible")) << "its voxel size is not known";
  const json of_hounsfield = manifest("hounsfield.manifest.json");
  EXPECT_EQ(of_hounsfield["protocol"]["intensity"], "window [-125, 275]");
  EXPECT_FALSE(of_hounsfield["protocol"].contains("intensity_not_applied"));
  // A model for scaled values refuses Hounsfield units.
  EXPECT_THROW(run(plain.output, "img0001.nii.gz", "no.nii.gz"), IoError);
}

// Preset against data that another preset, or none, is for.
TEST(OfficialLoop, OtherScalingsAreRefused) {
  const models::ModelCard synapse = DescribeModel(Converted("synapse")).card;
  const models::ModelCard acdc = DescribeModel(Converted("acdc")).card;
  const auto refusal = [](const io::Volume& image, const models::ModelCard& card) {
    return CheckImage(image, image.ToFloat(), card).refusal;
  };
  const io::Volume heart = io::ReadVolume(Data("patient001_frame01.h5"));
  EXPECT_NE(refusal(heart, synapse).find("minimum to maximum"), std::string::npos)
      << refusal(heart, synapse);
  const io::Volume cine = io::ReadVolume(Data("patient001_frame01.nii.gz"));
  EXPECT_NE(refusal(cine, synapse).find("Hounsfield"), std::string::npos) << refusal(cine, synapse);
  const io::Volume ct = io::ReadVolume(Data("img0001.nii.gz"));
  EXPECT_NE(refusal(ct, acdc).find("CT"), std::string::npos) << refusal(ct, acdc);

  // The scaled CT in a file that does not come from such a set.
  io::Volume copy = io::ReadVolume(Data("case0001.npy.h5"));
  copy.source.reset();
  EXPECT_NE(refusal(copy, synapse).find("scaled already"), std::string::npos)
      << refusal(copy, synapse);
  // When the user insists the rule is not applied a second time.
  EXPECT_TRUE(CheckImage(copy, copy.ToFloat(), synapse).as_stored);
}

}  // namespace
}  // namespace avocet::core
