// SPDX-License-Identifier: Apache-2.0
// `train --init` by the real binary: what is taken, what is refused, what is said.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <fstream>

#include "models/checkpoint/tensor_file.h"
#include "models/model_card.h"
#include "tests/app/random_model.h"
#include "tests/app/random_translator.h"
#include "tests/app/train_data.h"
#include "tests/support/test_support.h"

namespace avocet {
namespace {
namespace fs = std::filesystem;
using Arguments = std::vector<std::string>;
using models::TensorFile;

class TrainInit : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = test::TemporaryFolder();
    test::WriteDiscs(folder_ / "data", 3, 3);
  }

  // One epoch, steps so small that no weight moves; running statistics do.
  test::CommandResult Train(const std::string& out, const Arguments& more,
                            const std::string& data = "data", int batch = 12) {
    Arguments arguments{"train",   (folder_ / data).string(), "-o", Out(out).string(),
                        "--batch", std::to_string(batch)};
    for (const char* word : {"--epochs", "1", "--lr", "1e-30", "--warmup", "0", "--device", "cpu",
                             "--threads", "1", "--plane", "axial", "--validation", "c2"}) {
      arguments.emplace_back(word);
    }
    arguments.insert(arguments.end(), more.begin(), more.end());
    return test::RunAvocet(arguments);
  }
  fs::path Out(const std::string& name) const { return folder_ / name; }
  TensorFile Model(const std::string& out) const {
    return models::ReadTensorFile(Out(out) / "model.safetensors");
  }
  // A model with three classes, as the data have.
  fs::path Random(const std::string& name = "random.safetensors") {
    models::ModelCard card = test::ExampleCard();
    card.plane = "axial";
    return test::WriteRandomModel(card, name);
  }

  fs::path folder_;
};

bool IsStatistic(const std::string& name) {
  return name.find("running_") != std::string::npos ||
         name.find("num_batches_tracked") != std::string::npos;
}

// The step of 1e-30 moves zeros, and nothing else.
bool Same(const models::StoredTensor& a, const models::StoredTensor& b) {
  if (a.type != models::TensorType::kFloat32 || b.type != a.type || a.shape != b.shape)
    return false;
  std::vector<float> p(a.data.size() / sizeof(float)), q(p.size());
  std::memcpy(p.data(), a.data.data(), a.data.size());
  std::memcpy(q.data(), b.data.data(), b.data.size());
  for (size_t i = 0; i < p.size(); ++i)
    if (!(std::abs(p[i] - q[i]) < 1e-25f)) return false;
  return true;
}

// Tensors of `a`, running statistics left out, that are those of `b`.
int Equal(const TensorFile& a, const TensorFile& b) {
  int equal = 0;
  for (const auto& [name, tensor] : a.tensors) {
    if (IsStatistic(name)) continue;
    const models::StoredTensor* other = b.Find(name);
    if (other != nullptr && Same(tensor, *other)) ++equal;
  }
  return equal;
}

int Trained(const TensorFile& file) { return Equal(file, file); }

TEST_F(TrainInit, StartsFromTheWeightsOfTheFile) {
  const fs::path start = Random();
  const TensorFile file = models::ReadTensorFile(start);
  const auto result = Train("a", {"--init", start.string()});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_NE(result.out.find("started from: " + start.string() + ", rwkv-unet T"), std::string::npos)
      << result.out;
  EXPECT_NE(result.out.find("326 loaded, new 0, unused 0"), std::string::npos) << result.out;
  // Every trained weight is that of the file.
  EXPECT_EQ(Equal(Model("a"), file), Trained(file));
  const models::ModelCard card = models::CardOf(Model("a"));
  EXPECT_EQ(card.provenance.at("started_from").size(), 64u);
  EXPECT_NE(card.provenance.at("start").find("326 tensors loaded, 0 new"), std::string::npos);
  // The file's labels have other names: that is said.
  EXPECT_NE(result.err.find("class 1 'front'"), std::string::npos) << result.err;

  // Without --init the training is another.
  const auto fresh = Train("b", {});
  ASSERT_EQ(fresh.exit_code, 0) << fresh.err;
  EXPECT_EQ(fresh.out.find("started from"), std::string::npos);
  EXPECT_EQ(models::CardOf(Model("b")).provenance.count("started_from"), 0u);
  // Norms and biases start as constants, so that some tensors are equal all the same.
  EXPECT_LT(Equal(Model("b"), file), Trained(file) * 2 / 3);
}

TEST_F(TrainInit, OtherClassCountsGetANewClassLayer) {
  const fs::path start = Random();
  const TensorFile file = models::ReadTensorFile(start);
  test::WriteDiscs(folder_ / "five", 3, 5);
  const auto result = Train("a", {"--init", start.string()}, "five");
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_NE(result.err.find("has 3 classes and the data have 5; the class layer starts from new"),
            std::string::npos)
      << result.err;
  EXPECT_NE(result.out.find("324 loaded, new 2 (final_conv.weight, final_conv.bias)"),
            std::string::npos)
      << result.out;
  const TensorFile trained = Model("a");
  EXPECT_EQ(Equal(trained, file), Trained(file) - 2);
  EXPECT_EQ(trained.Find("final_conv.weight")->shape[0], 5);
}

// As published for pre-training on ImageNet: the encoder alone, without its prefix, with a head.
TEST_F(TrainInit, AnEncoderAlone) {
  const TensorFile whole = models::ReadTensorFile(Random());
  TensorFile encoder;
  for (const auto& [name, tensor] : whole.tensors) {
    if (name.rfind("encoder.", 0) == 0) encoder.tensors.emplace_back(name.substr(8), tensor);
  }
  const auto loaded = encoder.tensors.size();
  for (const char* name : {"norm.norm.weight", "norm.norm.bias"}) {
    models::StoredTensor extra;
    extra.shape = {160};
    extra.data.resize(160 * sizeof(float));
    encoder.tensors.emplace_back(name, extra);
  }
  models::WriteSafetensors(encoder, folder_ / "encoder.safetensors");
  const auto result = Train("a", {"--init", Out("encoder.safetensors").string()});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_NE(result.err.find("holds an encoder only; the decoder starts from new weights"),
            std::string::npos)
      << result.err;
  EXPECT_NE(result.out.find(std::to_string(loaded) + " loaded"), std::string::npos) << result.out;
  EXPECT_NE(result.out.find("unused 2 (encoder.norm.norm.weight"), std::string::npos) << result.out;
  int kept = 0;
  for (const auto& [name, tensor] : Model("a").tensors) {
    if (name.rfind("encoder.", 0) != 0 || IsStatistic(name)) continue;
    EXPECT_TRUE(Same(tensor, *whole.Find(name))) << name;
    ++kept;
  }
  EXPECT_GT(kept, 100);
}

TEST_F(TrainInit, AShippedModelByName) {
  const auto result = Train("a", {"--init", "hippocampus-rwkv-unet-t"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  // It was made for other slices, which is said.
  EXPECT_NE(result.err.find("made with the plane 'sagittal', this training uses 'axial'"),
            std::string::npos)
      << result.err;
}

TEST_F(TrainInit, WhatDoesNotFitIsRefused) {
  const auto refused = [&](const Arguments& more, int code, const std::string& part) {
    const auto result = Train("refused", more);
    EXPECT_EQ(result.exit_code, code) << part << ": " << result.err;
    EXPECT_NE(result.err.find(part), std::string::npos) << result.err;
    EXPECT_FALSE(fs::exists(Out("refused"))) << part;
  };
  refused({"--init", Out("none.pth").string()}, 3, "none.pth' is not there");
  refused({"--init", folder_.string()}, 3, "is a folder");
  const std::string random = Random().string();
  refused({"--init", random, "--variant", "S"}, 4, "holds RWKV-UNet T, and --variant is S");
  refused(
      {"--init", test::WriteRandomTranslator(test::TranslatorCard(), 1, "t.safetensors").string()},
      4, "it holds fs-rwkv");
  std::ofstream(Out("text.pth")) << "these are no weights";
  refused({"--init", Out("text.pth").string()}, 4, "text.pth");
  const auto changed = [&](const std::string& name, auto change) {
    TensorFile file = models::ReadTensorFile(random);
    change(file);
    models::WriteSafetensors(file, Out(name));
    return Out(name).string();
  };
  refused({"--init", changed("hole.safetensors",
                             [](TensorFile& f) { f.tensors.erase(f.tensors.begin() + 5); })},
          4, "1 tensor missing");
  refused({"--init", changed("shape.safetensors",
                             [](TensorFile& f) {
                               for (auto& [name, tensor] : f.tensors) {
                                 if (name == "decoder2.conv.conv.weight")
                                   std::swap(tensor.shape[0], tensor.shape[2]);
                               }
                             })},
          4, "decoder2.conv.conv.weight");
  refused({"--init", changed("nan.safetensors",
                             [](TensorFile& f) {
                               for (auto& [name, tensor] : f.tensors) {
                                 if (name == "decoder2.conv.conv.weight")
                                   std::fill_n(tensor.data.begin(), 4, std::byte{0xff});
                               }
                             })},
          4, "not finite");
}

TEST_F(TrainInit, TensorsOfSomethingElseAreNamed) {
  TensorFile file = models::ReadTensorFile(Random());
  models::StoredTensor extra;
  extra.shape = {1};
  extra.data.resize(4);
  file.tensors.emplace_back("auxiliary.weight", extra);
  models::WriteSafetensors(file, Out("extra.safetensors"));
  const auto result = Train("a", {"--init", Out("extra.safetensors").string()});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_NE(result.err.find("not used: auxiliary.weight"), std::string::npos) << result.err;
  EXPECT_NE(result.out.find("not of this network: 1 (auxiliary.weight)"), std::string::npos);
}

TEST_F(TrainInit, ResumingAsksForTheSameFile) {
  const std::string start = Random().string();
  ASSERT_EQ(Train("a", {"--init", start}).exit_code, 0);
  // The same content at another place is the same.
  fs::copy_file(start, Out("copy.safetensors"));
  const auto same = Train("a", {"--init", Out("copy.safetensors").string(), "--resume"});
  EXPECT_EQ(same.exit_code, 0) << same.err;
  const auto without = Train("a", {"--resume"});
  EXPECT_EQ(without.exit_code, 4);
  EXPECT_NE(without.err.find("start="), std::string::npos) << without.err;
  TensorFile other = models::ReadTensorFile(start);
  other.tensors[0].second.data[0] ^= std::byte{1};
  models::WriteSafetensors(other, Out("other.safetensors"));
  EXPECT_EQ(Train("a", {"--init", Out("other.safetensors").string(), "--resume"}).exit_code, 4);
  EXPECT_EQ(Train("a", {"--init", Out("gone.safetensors").string(), "--resume"}).exit_code, 3);
}

TEST_F(TrainInit, AModelIsNamedOnlyWhenItWasWritten) {
  const auto stopped = Train("a", {"--max-minutes", "0.00001"}, "data", 3);
  ASSERT_EQ(stopped.exit_code, 0) << stopped.err;
  EXPECT_NE(stopped.out.find("stopped"), std::string::npos) << stopped.out;
  EXPECT_NE(stopped.out.find("model: none yet"), std::string::npos) << stopped.out;
  EXPECT_EQ(stopped.out.find("model.safetensors"), std::string::npos) << stopped.out;
  EXPECT_FALSE(fs::exists(Out("a") / "model.safetensors"));
  EXPECT_TRUE(fs::exists(Out("a") / "last.ckpt"));
  const auto done = Train("a", {"--resume"}, "data", 3);
  ASSERT_EQ(done.exit_code, 0) << done.err;
  EXPECT_NE(done.out.find("model: " + (Out("a") / "model.safetensors").string()), std::string::npos)
      << done.out;
}

TEST_F(TrainInit, TranslationTakesTheSizesAndRefusesOthers) {
  test::WriteHeadPairs(folder_ / "pairs");
  const std::string start =
      test::WriteRandomTranslator(test::TranslatorCard(), 1, "t.safetensors").string();
  const Arguments line{"train",   (folder_ / "pairs").string(),
                       "--task",  "translation",
                       "-o",      Out("t").string(),
                       "--init",  start,
                       "--crops", "--image-size",
                       "32",      "--epochs",
                       "1",       "--device",
                       "cpu",     "--threads",
                       "1",       "--validation",
                       "c",       "--lr",
                       "1e-30"};
  Arguments sizes = line;
  sizes.insert(sizes.end(), {"--dim", "16"});
  const auto refused = test::RunAvocet(sizes);
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_NE(refused.err.find("--dim has no effect with --init"), std::string::npos) << refused.err;
  const auto result = test::RunAvocet(line);
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_NE(result.out.find("started from: " + start), std::string::npos) << result.out;
  const TensorFile file = models::ReadTensorFile(start);
  EXPECT_EQ(Equal(Model("t"), file), Trained(file));

  Arguments segmenter = line;
  segmenter[7] = Random().string();
  segmenter[5] = Out("s").string();
  EXPECT_EQ(test::RunAvocet(segmenter).exit_code, 4);
  segmenter[7] = Out("none").string();
  EXPECT_EQ(test::RunAvocet(segmenter).exit_code, 3);
}

// Official checkpoints: the layouts and containers of the authors.
TEST_F(TrainInit, OfficialCheckpoints) {
  const fs::path shared = test::SharedData("parity/rwkv_unet");
  if (shared.empty()) GTEST_SKIP() << "no ../shared/parity/rwkv_unet";
  int n = 0;
  for (const char* name : {"t_9classes.pth", "t_9classes_dataparallel_lean.pth.gz"}) {
    const std::string out = "official" + std::to_string(n++);
    const auto result = Train(out, {"--init", (shared / name).string()});
    ASSERT_EQ(result.exit_code, 0) << result.err;
    EXPECT_NE(result.err.find("has 9 classes and the data have 3"), std::string::npos);
    EXPECT_NE(result.out.find("324 loaded, new 2"), std::string::npos) << result.out;
    const TensorFile file = models::ReadTensorFile(shared / name);
    const TensorFile trained = Model(out);
    EXPECT_EQ(Equal(trained, file), Trained(trained) - 2) << name;
  }
  const auto result =
      Train("encoder", {"--init", (shared / "t_encoder_imagenet_form.pth.gz").string()});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_NE(result.err.find("holds an encoder only"), std::string::npos) << result.err;
  const TensorFile file = models::ReadTensorFile(shared / "t_encoder_imagenet_form.pth.gz");
  int equal = 0, encoder = 0;
  for (const auto& [name, tensor] : Model("encoder").tensors) {
    if (name.rfind("encoder.", 0) != 0 || IsStatistic(name)) continue;
    ++encoder;
    equal += Same(tensor, *file.Find(name.substr(8)));
  }
  EXPECT_EQ(equal, encoder);
  EXPECT_GT(encoder, 100);
  EXPECT_EQ(
      Train("s", {"--init", (shared / "t_9classes.pth").string(), "--variant", "S"}).exit_code, 4);
}

}  // namespace
}  // namespace avocet
