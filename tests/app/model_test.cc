// SPDX-License-Identifier: Apache-2.0
// `avocet model info` and `model convert`, as jobs and as the real binary.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>

#include "app/base/error.h"
#include "app/core/model_job.h"
#include "io/file_util.h"
#include "models/architecture/rwkv_unet_layout.h"
#include "models/checkpoint/convert.h"
#include "models/checkpoint/tensor_file.h"
#include "tests/support/test_support.h"

namespace avocet::core {
namespace {

namespace fs = std::filesystem;
using models::StoredTensor;
using models::TensorFile;
using models::TensorType;

// A Tiny network in the lean layout with random weights.
TensorFile MakeTiny(int classes) {
  std::mt19937 random(11);
  std::uniform_real_distribution<float> uniform(-2, 6);
  TensorFile file;
  for (const auto& spec : models::RwkvUnetTensors("T", classes, models::RwkvUnetLayout::kLean)) {
    StoredTensor tensor;
    tensor.shape = spec.shape;
    tensor.type = spec.shape.empty() ? TensorType::kInt64 : TensorType::kFloat32;
    tensor.data.resize(static_cast<size_t>(spec.Numel()) * SizeOf(tensor.type));
    for (size_t i = 0; tensor.type == TensorType::kFloat32 && i < tensor.data.size(); i += 4) {
      const float value = uniform(random);
      std::memcpy(tensor.data.data() + i, &value, 4);
    }
    file.tensors.emplace_back(spec.name, std::move(tensor));
  }
  return file;
}

StoredTensor& Get(TensorFile& file, const std::string& name) {
  for (auto& [key, tensor] : file.tensors) {
    if (key == name) return tensor;
  }
  throw std::runtime_error(name);
}

void SetFloat(StoredTensor& tensor, size_t index, float value) {
  std::memcpy(tensor.data.data() + index * 4, &value, 4);
}

fs::path Write(const TensorFile& file, const char* name = "model.safetensors") {
  const fs::path path = test::TemporaryFolder() / name;
  models::WriteSafetensors(file, path);
  return path;
}

class Warnings final : public Progress {
 public:
  bool Update(double, std::string_view) override { return true; }
  void Warn(std::string_view sentence) override { text += std::string(sentence) + "\n"; }
  std::string text;
};

ModelConvertOptions Convert(const fs::path& input, const char* output = "out.safetensors") {
  ModelConvertOptions options;
  options.input = input;
  options.output = test::TemporaryFolder() / output;
  return options;
}

TEST(ModelInfo, DescribesACompleteNetwork) {
  TensorFile file = MakeTiny(3);
  SetFloat(Get(file, "encoder.stage3.2.att.spatial_decay"), 5, -7.5f);
  SetFloat(Get(file, "encoder.stage4.1.att.spatial_decay"), 0, 9.25f);
  const ModelInfo info = DescribeModel(Write(file));
  EXPECT_EQ(info.problem, "");
  ASSERT_TRUE(info.layout.has_value());
  EXPECT_EQ(info.layout->variant, "T");
  EXPECT_EQ(info.layout->classes, 3);
  EXPECT_EQ(info.layout->layout, "lean");
  EXPECT_EQ(info.tensors, 352u);
  EXPECT_EQ(info.types.at("I64"), 38u);
  EXPECT_TRUE(info.has_decay);
  EXPECT_EQ(info.decay_min, -7.5);
  EXPECT_EQ(info.decay_max, 9.25);
}

TEST(ModelInfo, ReportsHolesAndWhatIsNotFinite) {
  TensorFile file = MakeTiny(3);
  SetFloat(Get(file, "ccm.ln1.weight"), 2, std::nanf(""));
  TensorFile holed;
  for (auto& entry : file.tensors) {
    const bool unused = entry.first == "encoder.stage0.0.ln1.weight";
    if (!unused && entry.first != "final_conv.bias") holed.tensors.push_back(entry);
  }
  const ModelInfo info = DescribeModel(Write(holed));
  EXPECT_NE(info.problem.find("1 tensor missing (final_conv.bias)"), std::string::npos)
      << info.problem;
  EXPECT_NE(info.problem.find("ccm.ln1.weight: 1 NaN"), std::string::npos) << info.problem;
  // An unused tensor may hold anything.
  TensorFile odd = MakeTiny(3);
  SetFloat(Get(odd, "decoder1.ln1.weight"), 0, std::nanf(""));
  EXPECT_EQ(DescribeModel(Write(odd)).problem, "");
}

TEST(ModelInfo, CardMustFitTheTensors) {
  TensorFile file = MakeTiny(3);
  models::ModelCard card;
  card.architecture = "rwkv-unet";
  card.variant = "S";
  card.task = "segmentation";
  card.labels = {{0, "background", {}}, {1, "a", {}}, {2, "b", {}}};
  models::SetCard(file, card);
  EXPECT_NE(DescribeModel(Write(file)).problem.find("variant 'S'"), std::string::npos);
  card.variant = "T";
  card.labels.pop_back();
  models::SetCard(file, card);
  EXPECT_NE(DescribeModel(Write(file)).problem.find("2 labels"), std::string::npos);
  file.metadata["avocet"] = "{";
  EXPECT_NE(DescribeModel(Write(file)).problem.find("card"), std::string::npos);
}

TEST(ModelConvert, DropsUnusedAndDescribesItself) {
  const TensorFile source = MakeTiny(3);
  const fs::path input = Write(source);
  const std::string before = io::Sha256OfFile(input);
  ModelConvertOptions options = Convert(input);
  options.labels = {"background", "anterior", "5=posterior"};
  options.plane = "coronal";
  options.licence = "CC-BY-SA-4.0";
  options.provenance = {"data=MSD Task04"};
  Warnings progress;
  const ModelConvertResult result = ConvertModel(options, progress);
  EXPECT_EQ(progress.text, "");
  EXPECT_EQ(result.written, 326u);
  EXPECT_EQ(result.dropped.size(), 26u);
  EXPECT_EQ(io::Sha256OfFile(input), before);
  const TensorFile back = models::ReadTensorFile(options.output);
  const models::ModelCard card = models::CardOf(back);
  EXPECT_EQ(card.architecture, "rwkv-unet");
  EXPECT_EQ(card.variant, "T");
  EXPECT_EQ(card.wkv, "official32");
  EXPECT_EQ(card.plane, "coronal");
  ASSERT_EQ(card.labels.size(), 3u);
  EXPECT_EQ(card.labels[1].name, "anterior");
  EXPECT_EQ(card.labels[2].value, 5);
  EXPECT_EQ(card.provenance.at("data"), "MSD Task04");
  EXPECT_EQ(card.provenance.at("converted_from_sha256"), before);
  for (const auto& [name, tensor] : back.tensors) {
    EXPECT_TRUE(source.Find(name)->data == tensor.data) << name;
  }
  EXPECT_EQ(DescribeModel(options.output).problem, "");
  EXPECT_EQ(DescribeModel(options.output).layout->layout, "used");
  // A second conversion keeps the card, and changes what is asked for.
  ModelConvertOptions again = Convert(options.output, "again.safetensors");
  again.wkv = "exact";
  ConvertModel(again, progress);
  const models::ModelCard kept = models::CardOf(models::ReadTensorFile(again.output));
  EXPECT_EQ(kept.plane, "coronal");
  EXPECT_EQ(kept.wkv, "exact");
}

TEST(ModelConvert, KeepsUnusedWhenAsked) {
  ModelConvertOptions options = Convert(Write(MakeTiny(3)));
  options.keep_unused = true;
  SilentProgress progress;
  EXPECT_EQ(ConvertModel(options, progress).written, 352u);
}

TEST(ModelConvert, HalfRoundsOnceAndKeepsCounters) {
  TensorFile file = MakeTiny(2);
  SetFloat(Get(file, "final_conv.bias"), 0, 1 + 0x1p-11f);  // a tie
  SetFloat(Get(file, "final_conv.bias"), 1, 1 + 0x1p-11f + 0x1p-20f);
  ModelConvertOptions options = Convert(Write(file));
  options.dtype = "float16";
  SilentProgress progress;
  ConvertModel(options, progress);
  const TensorFile back = models::ReadTensorFile(options.output);
  EXPECT_EQ(models::ToDoubles(*back.Find("final_conv.bias")),
            (std::vector<double>{1, 1 + 0x1p-10}));
  EXPECT_EQ(back.Find("encoder.stage1.0.norm.num_batches_tracked")->type, TensorType::kInt64);
  EXPECT_EQ(DescribeModel(options.output).problem, "");
}

TEST(ModelConvert, RefusesWhatWouldLoseAndLeavesNothing) {
  TensorFile file = MakeTiny(2);
  SetFloat(Get(file, "final_conv.weight"), 0, 1e6f);
  const fs::path input = Write(file);
  SilentProgress progress;
  ModelConvertOptions options = Convert(input);
  options.dtype = "float16";
  try {
    ConvertModel(options, progress);
    ADD_FAILURE() << "overflow was not reported";
  } catch (const ModelError& error) {
    EXPECT_NE(std::string(error.what()).find("final_conv.weight"), std::string::npos);
  }
  EXPECT_FALSE(fs::exists(options.output));
  options.dtype = "bfloat16";
  EXPECT_NO_THROW(ConvertModel(options, progress));

  options.labels = {"background"};
  EXPECT_THROW(ConvertModel(options, progress), ModelError) << "one label, two classes";
  options.labels = {"background", "x=y"};
  EXPECT_THROW(ConvertModel(options, progress), OptionError);
}

TEST(ModelConvert, HolesNeedAllowMissing) {
  TensorFile file = MakeTiny(2);
  file.tensors.pop_back();
  SilentProgress progress;
  ModelConvertOptions options = Convert(Write(file));
  EXPECT_THROW(ConvertModel(options, progress), ModelError);
  EXPECT_FALSE(fs::exists(options.output));
  options.allow_missing = true;
  Warnings warnings;
  ConvertModel(options, warnings);
  EXPECT_NE(warnings.text.find("1 tensor missing"), std::string::npos);
}

TEST(ModelConvert, NeverOverItself) {
  const fs::path input = Write(MakeTiny(2));
  SilentProgress progress;
  ModelConvertOptions options = Convert(input);
  options.output = input;
  EXPECT_THROW(ConvertModel(options, progress), OptionError);
  const fs::path link = test::TemporaryFolder() / "link.safetensors";
  fs::create_hard_link(input, link);
  options.output = link;
  EXPECT_THROW(ConvertModel(options, progress), OptionError);
  options.output = test::TemporaryFolder() / "out.pth";
  EXPECT_THROW(ConvertModel(options, progress), OptionError);
}

TEST(ModelConvert, UnknownArchitectureKeepsEverything) {
  ModelConvertOptions options = Convert(test::TestData("checkpoint/small_legacy.pth"));
  Warnings warnings;
  EXPECT_EQ(ConvertModel(options, warnings).written, 18u);
  EXPECT_NE(warnings.text.find("unknown"), std::string::npos);
  const TensorFile back = models::ReadTensorFile(options.output);
  const TensorFile expected =
      models::ReadTensorFile(test::TestData("checkpoint/small_expected.safetensors"));
  for (const auto& [name, tensor] : expected.tensors) {
    ASSERT_NE(back.Find(name), nullptr);
    EXPECT_TRUE(back.Find(name)->data == tensor.data) << name;
  }
}

TEST(ModelConvert, WhatTheModelWasMadeForIsStored) {
  const fs::path input = Write(MakeTiny(9));
  ModelConvertOptions options = Convert(input);
  options.preset = "synapse";
  SilentProgress progress;
  models::Expectations e = ConvertModel(options, progress).card.expects;
  EXPECT_EQ(e.field_of_view_mm.columns.lowest, 200);
  EXPECT_EQ(e.field_of_view_mm.columns.highest, 600);
  EXPECT_EQ(e.volumes_ml.size(), 8u);
  EXPECT_TRUE(e.volumes_ml.at(5).Holds(1500));
  EXPECT_FALSE(e.volumes_ml.at(5).Holds(20));

  options.expect_fov = {100, 300};
  options.expect_voxel = {0.5, 2};
  options.expect_values = {-10, 20};
  options.expect_volumes = {"5=1:2.5", "1=0:9"};
  e = ConvertModel(options, progress).card.expects;
  const models::ModelCard stored = models::CardOf(models::ReadTensorFile(options.output));
  EXPECT_EQ(stored.expects.field_of_view_mm.rows.highest, 300);
  EXPECT_EQ(stored.expects.voxel_mm.columns.lowest, 0.5);
  EXPECT_EQ(stored.expects.values.highest, 20);
  EXPECT_EQ(stored.expects.volumes_ml.at(5).highest, 2.5);
  EXPECT_EQ(stored.expects.volumes_ml.at(2).highest, e.volumes_ml.at(2).highest);

  // Volumes of other labels do not stay with names that are given.
  options.expect_volumes.clear();
  options.labels = {"background", "a", "b", "c", "d", "e", "f", "g", "h"};
  EXPECT_TRUE(ConvertModel(options, progress).card.expects.volumes_ml.empty());

  for (const char* text : {"5", "5=3", "5=3:2", "x=1:2", "5=1:2x"}) {
    options.expect_volumes = {text};
    EXPECT_THROW(ConvertModel(options, progress), OptionError) << text;
  }
  options.expect_volumes = {"9=1:2"};  // no such label
  EXPECT_THROW(ConvertModel(options, progress), ModelError);
  options.expect_volumes.clear();
  options.expect_fov = {3, 2};
  EXPECT_THROW(ConvertModel(options, progress), OptionError);
}

TEST(ModelConvert, SharedFilesInHalfAreExact) {
  const fs::path input = test::SharedData("parity/rwkv_unet/t_9classes_dataparallel_lean.pth.gz");
  if (input.empty()) GTEST_SKIP();
  ModelConvertOptions options = Convert(input);
  options.dtype = "float16";
  options.preset = "synapse";
  SilentProgress progress;
  ConvertModel(options, progress);
  const TensorFile source = models::ReadTensorFile(input);
  const TensorFile back = models::ReadTensorFile(options.output);
  EXPECT_EQ(back.tensors.size(), 326u);
  for (const auto& [name, tensor] : back.tensors) {
    EXPECT_EQ(models::ToDoubles(tensor), models::ToDoubles(*source.Find(name))) << name;
  }
  EXPECT_EQ(models::CardOf(back).labels[8].name, "stomach");
}

TEST(ModelCommand, InfoAsTextAndJson) {
  const fs::path path = Write(MakeTiny(3));
  const auto text = test::RunAvocet({"model", "info", path.string()});
  EXPECT_EQ(text.exit_code, 0) << text.err;
  EXPECT_NE(text.out.find("rwkv-unet T"), std::string::npos);
  EXPECT_NE(text.out.find("3,145,811 used, 3,310,961 in the file"), std::string::npos) << text.out;
  EXPECT_EQ(text.err, "");
  const auto json = test::RunAvocet({"model", "info", "--json", path.string()});
  const auto parsed = nlohmann::json::parse(json.out);
  EXPECT_EQ(parsed["variant"], "T");
  EXPECT_EQ(parsed["classes"], 3);
  EXPECT_EQ(parsed["matched"], 326);
  EXPECT_EQ(parsed["unused"].size(), 26u);
  EXPECT_TRUE(parsed["usable"]);
}

TEST(ModelCommand, InfoShowsWhatIsExpected) {
  const auto text = test::RunAvocet(
      {"model", "info", test::ShippedData("models/hippocampus-rwkv-unet-t.safetensors").string()});
  EXPECT_EQ(text.exit_code, 0) << text.err;
  EXPECT_NE(text.out.find("field of view  rows 18 to "), std::string::npos) << text.out;
  EXPECT_NE(text.out.find("Anterior 0.7 to 3.7 ml"), std::string::npos);
}

TEST(ModelCommand, HolesGiveExitCodeFour) {
  TensorFile file = MakeTiny(3);
  file.tensors.pop_back();
  const auto holed = test::RunAvocet({"model", "info", Write(file).string()});
  EXPECT_EQ(holed.exit_code, 4);
  EXPECT_NE(holed.out.find("final_conv.bias"), std::string::npos);
  EXPECT_NE(holed.err.find("1 tensor missing (final_conv.bias)"), std::string::npos) << holed.err;
  const auto other =
      test::RunAvocet({"model", "info", test::TestData("checkpoint/small_zip.pth").string()});
  EXPECT_EQ(other.exit_code, 4);
  EXPECT_EQ(test::RunAvocet({"model", "info", "/nonexistent.pth"}).exit_code, 3);
  EXPECT_EQ(test::RunAvocet({"model", "info"}).exit_code, 2);
}

TEST(ModelCommand, ConvertsAndRefuses) {
  const fs::path input = Write(MakeTiny(3));
  const fs::path output = test::TemporaryFolder() / "out.safetensors";
  const auto done =
      test::RunAvocet({"model", "convert", input.string(), output.string(), "--half", "--labels",
                       "background,anterior,posterior", "--wkv", "exact"});
  EXPECT_EQ(done.exit_code, 0) << done.err;
  EXPECT_EQ(models::CardOf(models::ReadTensorFile(output)).labels[2].name, "posterior");
  EXPECT_EQ(test::RunAvocet({"model", "convert", input.string(), input.string()}).exit_code, 2);
  const auto folder =
      test::RunAvocet({"model", "convert", input.string(), "/nonexistent/x.safetensors"});
  EXPECT_EQ(folder.exit_code, 3) << folder.err;
  EXPECT_EQ(test::RunAvocet({"model", "convert", input.string(), output.string(), "--plane", "up"})
                .exit_code,
            2);
}

// Options of the card that the card, or the network, has no use for.
TEST(ModelCommand, OptionsWithoutEffectAreRefusedByName) {
  const std::string whole = Write(MakeTiny(3)).string();
  const std::string unknown = test::TestData("checkpoint/small_zip.pth").string();
  const fs::path output = test::TemporaryFolder() / "out.safetensors";
  const auto convert = [&](const std::string& input, std::vector<std::string> more) {
    more.insert(more.begin(), {"model", "convert", input, output.string()});
    return test::RunAvocet(more);
  };
  const std::vector<std::string> foreign[] = {{"--intensity", "none", "--range", "0", "1"},
                                              {"--resample", "native", "--size", "224", "224"},
                                              {"--resample", "transunet", "--pixel", "0.5"}};
  for (const auto& options : foreign) {
    const auto result = convert(whole, options);
    EXPECT_EQ(result.exit_code, 2) << result.err;
    EXPECT_NE(result.err.find(options[2] + " has no effect with"), std::string::npos) << result.err;
  }
  const std::vector<std::string> of_a_card[] = {
      {"--modality", "MR"},   {"--plane", "axial"},       {"--wkv", "exact"},
      {"--tta", "flip"},      {"--channels", "1"},        {"--licence", "Apache"},
      {"--size", "8", "8"},   {"--expect-fov", "1", "2"}, {"--expect-volume", "1=2:3"},
      {"--provenance", "a=b"}};
  for (const auto& options : of_a_card) {
    const auto result = convert(unknown, options);
    EXPECT_EQ(result.exit_code, 4) << result.err;
    EXPECT_NE(result.err.find("convert it without " + options[0]), std::string::npos) << result.err;
  }
  EXPECT_FALSE(fs::exists(output));
  EXPECT_EQ(convert(unknown, {}).exit_code, 0);
}

}  // namespace
}  // namespace avocet::core
