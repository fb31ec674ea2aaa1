// SPDX-License-Identifier: Apache-2.0
// A training that starts from a checkpoint: the network is the checkpoint's, to the bit.
#include "models/training/start.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include "app/base/error.h"
#include "models/load_network.h"
#include "models/training/losses.h"
#include "models/training/trainer.h"
#include "tests/support/test_support.h"

namespace avocet::models {
namespace {

RwkvUnet Fresh(uint64_t seed, int classes = 3, const std::string& variant = "T") {
  RwkvUnetConfig config = RwkvUnetConfig::ForVariant(variant, classes);
  config.drop_path = 0;
  RwkvUnet network(config);
  at::Generator generator = at::make_generator<at::CPUGeneratorImpl>(seed);
  network.Initialise(generator);
  return network;
}

at::Tensor Logits(const RwkvUnet& network) {
  const at::NoGradGuard no_grad;
  at::Generator generator = at::make_generator<at::CPUGeneratorImpl>(uint64_t{3});
  return network.Forward(at::rand({1, 1, 32, 48}, generator, at::kFloat));
}

TrainingCase Blob() {
  TrainingCase one;
  one.name = "blob";
  one.size = {32, 32, 6};
  for (int64_t k = 0; k < 6; ++k)
    for (int64_t j = 0; j < 32; ++j)
      for (int64_t i = 0; i < 32; ++i) {
        const bool inside = (i - 15) * (i - 15) + (j - 17) * (j - 17) < 60;
        one.classes.push_back(inside ? (j < 17 ? 1 : 2) : 0);
        one.values.push_back(static_cast<float>((inside ? 100 : 20) + (i * 7 + j * 3 + k) % 11));
      }
  return one;
}

ModelCard Card() {
  ModelCard card;
  card.architecture = "rwkv-unet";
  card.variant = "T";
  card.task = "segmentation";
  card.labels = {{0, "background", {0, 0, 0}}, {1, "a", {255, 0, 0}}, {2, "b", {0, 0, 255}}};
  card.preprocessing.intensity = "percentile";
  return card;
}

TEST(TrainingStart, ZeroStepsGiveTheModelItself) {
  const RwkvUnet model = Fresh(1);
  RwkvUnet network = Fresh(2);
  ASSERT_FALSE(at::equal(Logits(network), Logits(model)));
  const StartReport report = StartFrom(ToTensorFile(model.parameters()), "file", network);
  EXPECT_EQ(report.loaded.size(), network.parameters().entries().size());
  EXPECT_TRUE(report.fresh.empty());
  EXPECT_EQ(report.classes, 3);
  EXPECT_TRUE(at::equal(Logits(network), Logits(model)));
}

// The loss that a training reports of its first step is that of the model it starts from.
TEST(TrainingStart, FirstStepHasTheLossOfTheModel) {
  const RwkvUnet model = Fresh(1);
  const std::vector<TrainingCase> cases{Blob()};
  TrainerOptions options;
  options.epochs = 1;
  options.batch = 6;
  options.learning_rate = 1e-30;
  options.augmentation = AugmentationRecipe::ByName("none");
  RwkvUnet network = Fresh(2);
  StartFrom(ToTensorFile(model.parameters()), "file", network);
  SilentProgress progress;
  const TrainerResult result =
      Train(network, Card(), cases, {}, options, test::TemporaryFolder(), progress);
  SliceDataset::Options data;
  data.augmentation = options.augmentation;
  data.batch = options.batch;
  data.seed = options.seed;
  const SliceDataset dataset(cases, Card(), data);
  const auto batch = dataset.MakeBatch(0, 0, dataset.EpochOrder(0));
  ForwardOptions training;
  training.training = true;
  const auto loss = [&](RwkvUnet& one) {
    // The random decisions of the first step: the channel mix drops paths at a rate of its own.
    at::Generator generator = at::make_generator<at::CPUGeneratorImpl>(
        CounterRng(options.seed, 0, 0, /*purpose=*/4).Next());
    training.generator = &generator;
    return ComputeSegmentationLoss(one.Forward(batch.image, training), batch.label, 0.5, 0.5)
        .total.item<double>();
  };
  RwkvUnet direct = Fresh(1), other = Fresh(2);
  EXPECT_NEAR(result.epochs.at(0).loss, loss(direct), 1e-6);
  EXPECT_GT(std::abs(result.epochs.at(0).loss - loss(other)), 1e-3);
}

TEST(TrainingStart, OtherClassesKeepTheNewClassLayer) {
  const RwkvUnet model = Fresh(1, 9);
  RwkvUnet network = Fresh(2, 3);
  const RwkvUnet untouched = Fresh(2, 3);
  const StartReport report = StartFrom(ToTensorFile(model.parameters()), "file", network);
  EXPECT_EQ(report.fresh, (std::vector<std::string>{"final_conv.weight", "final_conv.bias"}));
  EXPECT_EQ(report.classes, 9);
  for (const auto& entry : network.parameters().entries()) {
    const RwkvUnet& from = entry.name.rfind("final_conv.", 0) == 0 ? untouched : model;
    EXPECT_TRUE(at::equal(entry.value, from.parameters().Get(entry.name))) << entry.name;
  }
}

TEST(TrainingStart, HalfPrecisionBecomesFloat) {
  RwkvUnet model = Fresh(1);
  model.parameters().To(at::kHalf);
  RwkvUnet network = Fresh(2);
  StartFrom(ToTensorFile(model.parameters()), "file", network);
  model.parameters().To(at::kFloat);
  for (const auto& entry : network.parameters().entries()) {
    EXPECT_EQ(entry.value.scalar_type(), model.parameters().Get(entry.name).scalar_type());
    EXPECT_TRUE(at::equal(entry.value, model.parameters().Get(entry.name))) << entry.name;
  }
}

TEST(TrainingStart, ANetworkWithoutClassLayer) {
  TensorFile file = ToTensorFile(Fresh(1).parameters());
  file.tensors.resize(file.tensors.size() - 2);
  RwkvUnet network = Fresh(2);
  const StartReport report = StartFrom(file, "file", network);
  EXPECT_EQ(report.fresh.size(), 2u);
  EXPECT_EQ(report.classes, 0);
  EXPECT_FALSE(report.encoder_only);
}

TEST(TrainingStart, RefusesOtherNetworks) {
  RwkvUnet network = Fresh(2);
  EXPECT_THROW(StartFrom(TensorFile(), "file", network), ModelError);
  EXPECT_THROW(StartFrom(ToTensorFile(Fresh(1, 3, "S").parameters()), "file", network), ModelError);
  TensorFile half_head = ToTensorFile(Fresh(1).parameters());
  half_head.tensors.pop_back();  // final_conv.bias alone is a hole
  EXPECT_THROW(StartFrom(half_head, "file", network), ModelError);
}

}  // namespace
}  // namespace avocet::models
