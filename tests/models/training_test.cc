// SPDX-License-Identifier: Apache-2.0
// Training end to end on synthetic volumes: learning, exact resumption, what is written.
#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <set>
#include <sstream>

#include "app/base/error.h"
#include "models/checkpoint/tensor_file.h"
#include "models/training/batch_queue.h"
#include "models/training/optimizer.h"
#include "models/training/trainer.h"
#include "tests/support/test_support.h"

namespace avocet::models {
namespace {
namespace fs = std::filesystem;

// A bright ball in a noisy dark volume; its upper half is class 1, its lower half class 2.
TrainingCase Blob(uint64_t index, int64_t side = 32, int64_t slices = 8) {
  TrainingCase one;
  one.name = "blob_" + std::to_string(index);
  one.size = {side, side, slices};
  CounterRng rng(99, 0, index);
  const double ci = side * rng.Uniform(0.4, 0.6), cj = side * rng.Uniform(0.4, 0.6);
  const double radius = side * rng.Uniform(0.22, 0.32);
  for (int64_t k = 0; k < slices; ++k) {
    for (int64_t j = 0; j < side; ++j) {
      for (int64_t i = 0; i < side; ++i) {
        const double dk = (k - slices / 2.0 + 0.5) * 4;
        const bool inside = (i - ci) * (i - ci) + (j - cj) * (j - cj) + dk * dk < radius * radius;
        one.classes.push_back(inside ? (j < cj ? 1 : 2) : 0);
        one.values.push_back(static_cast<float>((inside ? 100 : 20) + 8 * rng.Normal()));
      }
    }
  }
  return one;
}

std::vector<TrainingCase> Blobs(uint64_t first, uint64_t count) {
  std::vector<TrainingCase> cases;
  for (uint64_t i = 0; i < count; ++i) cases.push_back(Blob(first + i));
  return cases;
}

ModelCard BlobCard() {
  ModelCard card;
  card.architecture = "rwkv-unet";
  card.variant = "T";
  card.task = "segmentation";
  card.name = "blobs";
  card.labels = {
      {0, "background", {0, 0, 0}}, {1, "upper", {255, 0, 0}}, {5, "lower", {0, 0, 255}}};
  card.preprocessing.intensity = "percentile";
  return card;
}

RwkvUnet FreshNetwork(uint64_t seed) {
  RwkvUnet network(RwkvUnetConfig::ForVariant("T", 3));
  at::Generator generator = at::make_generator<at::CPUGeneratorImpl>(seed);
  network.Initialise(generator);
  return network;
}

TrainerOptions SmallOptions() {
  TrainerOptions o;
  o.epochs = 4;
  o.batch = 6;
  o.learning_rate = 2e-3;
  o.warmup_epochs = 0.5;
  o.clip = 3;
  o.ema = 0.9;
  o.augmentation = AugmentationRecipe::ByName("default");
  o.validate_every = 2;
  o.seed = 5;
  return o;
}

std::string Slurp(const fs::path& path) {
  std::ifstream in(path);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

// Says stop at the given call.
class StopAt final : public Progress {
 public:
  explicit StopAt(int call) : left_(call) {}
  bool Update(double, std::string_view) override { return --left_ > 0; }
  void Warn(std::string_view) override {}

 private:
  int left_;
};

class Training : public testing::Test {
 protected:
  void SetUp() override {
    threads_ = at::get_num_threads();
    at::set_num_threads(1);
  }
  void TearDown() override { at::set_num_threads(threads_); }
  int threads_ = 1;
};

TEST_F(Training, LearnsBlobs) {
  const auto folder = test::TemporaryFolder();
  TrainerOptions options = SmallOptions();
  options.epochs = 28;
  options.learning_rate = 3e-3;
  options.ema = 0.8;
  options.validate_every = 28;
  RwkvUnet network = FreshNetwork(1);
  SilentProgress progress;
  const TrainerResult result =
      Train(network, BlobCard(), Blobs(0, 3), Blobs(50, 2), options, folder, progress);
  ASSERT_EQ(result.epochs.size(), 28u);
  EXPECT_TRUE(result.finished);
  EXPECT_LT(result.epochs.back().loss, 0.4 * result.epochs.front().loss);
  EXPECT_GT(result.best_dice, 0.8);

  // The kept model is self-describing and holds the averaged weights.
  const TensorFile file = ReadTensorFile(folder / "model.safetensors");
  const ModelCard card = ModelCardFromJson(file.metadata.at("avocet"));
  EXPECT_EQ(card.labels[2].value, 5);
  EXPECT_NE(card.provenance.at("validation_dice").find("upper"), std::string::npos);
  EXPECT_NE(card.provenance.at("training").find("epochs=28"), std::string::npos);
  EXPECT_EQ(file.tensors.size(), network.parameters().entries().size());
  RwkvUnet loaded = FreshNetwork(2);
  for (const auto& [name, tensor] : file.tensors) loaded.parameters().Set(name, ToTensor(tensor));
  const auto score = Validate([&](const at::Tensor& x) { return loaded.Forward(x); }, card,
                              Blobs(50, 2), 4, [] {});
  EXPECT_NEAR(score.mean, result.best_dice, 1e-12);
  EXPECT_NE(Slurp(folder / "validation.csv").find("blob_51,"), std::string::npos);

  const std::string log = Slurp(folder / "log.csv");
  EXPECT_EQ(std::count(log.begin(), log.end(), '\n'), 29);
  EXPECT_EQ(
      log.rfind("epoch,learning_rate,loss,ce,dice_loss,dice_upper,dice_lower,dice_mean,seconds", 0),
      0u);
}

// Stopped in the middle of the second epoch by the user, and after the third by the clock.
TEST_F(Training, ResumesExactly) {
  const auto folder = test::TemporaryFolder();
  const auto cases = Blobs(0, 2), held_out = Blobs(50, 1);
  TrainerOptions options = SmallOptions();
  SilentProgress silent;
  RwkvUnet straight = FreshNetwork(1);
  const TrainerResult expected =
      Train(straight, BlobCard(), cases, held_out, options, folder / "straight", silent);

  RwkvUnet first = FreshNetwork(1);
  StopAt stop(4);  // 2 steps an epoch (16 slices, batch 6): the second step of epoch 2
  EXPECT_THROW(Train(first, BlobCard(), cases, held_out, options, folder / "stopped", stop),
               Cancelled);
  EXPECT_TRUE(fs::exists(folder / "stopped/last.ckpt"));
  EXPECT_FALSE(fs::exists(folder / "stopped/model.safetensors"));

  options.resume = true;
  options.max_minutes = 1e-9;
  int calls = 0;
  TrainerResult resumed;
  RwkvUnet again = FreshNetwork(77);
  do {
    again = FreshNetwork(77);  // everything must come from the file
    resumed = Train(again, BlobCard(), cases, held_out, options, folder / "stopped", silent);
    ASSERT_LT(++calls, 12);
  } while (!resumed.finished);
  EXPECT_GT(calls, 3);

  ASSERT_EQ(resumed.epochs.size(), expected.epochs.size());
  for (size_t e = 0; e < expected.epochs.size(); ++e) {
    EXPECT_EQ(resumed.epochs[e].loss, expected.epochs[e].loss) << e;
    EXPECT_EQ(resumed.epochs[e].scores, expected.epochs[e].scores) << e;
  }
  for (const auto& entry : straight.parameters().entries()) {
    EXPECT_TRUE(at::equal(entry.value, again.parameters().Get(entry.name))) << entry.name;
  }
  const TensorFile a = ReadTensorFile(folder / "straight/model.safetensors");
  const TensorFile b = ReadTensorFile(folder / "stopped/model.safetensors");
  ASSERT_EQ(a.tensors.size(), b.tensors.size());
  for (size_t i = 0; i < a.tensors.size(); ++i) {
    EXPECT_EQ(a.tensors[i].second.data, b.tensors[i].second.data) << a.tensors[i].first;
  }
  EXPECT_EQ(a.metadata.at("avocet"), b.metadata.at("avocet"));
}

TEST_F(Training, ResumeRefusesOtherSettings) {
  const auto folder = test::TemporaryFolder();
  TrainerOptions options = SmallOptions();
  options.epochs = 1;
  SilentProgress silent;
  RwkvUnet network = FreshNetwork(1);
  Train(network, BlobCard(), Blobs(0, 1), {}, options, folder, silent);
  EXPECT_TRUE(fs::exists(folder / "model.safetensors"));  // without validation: the last state
  options.resume = true;
  const auto refusal = [&](auto change) {
    TrainerOptions o = options;
    ModelCard card = BlobCard();
    std::vector<TrainingCase> cases = Blobs(0, 1), held_out;
    RwkvUnetConfig config = RwkvUnetConfig::ForVariant("T", 3);
    change(o, card, cases, held_out, config);
    RwkvUnet other(config);
    try {
      Train(other, card, cases, held_out, o, folder, silent);
    } catch (const ModelError& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  const auto expect = [&](const char* part, auto change) {
    const std::string error = refusal(change);
    EXPECT_NE(error.find(part), std::string::npos) << part << ": '" << error << "'";
  };
  EXPECT_EQ(refusal([](auto&, auto&, auto&, auto&, auto&) {}), "");
  expect("lr=0.002, now lr=1e-04",
         [](auto& o, auto&, auto&, auto&, auto&) { o.learning_rate = 1e-4; });
  // Every member that decides, those of the recipe and of the network too.
  expect("augmentation.shear=",
         [](auto& o, auto&, auto&, auto&, auto&) { o.augmentation.shear += 0.01; });
  expect("start=", [](auto& o, auto&, auto&, auto&, auto&) { o.start = "abc"; });
  expect("wish=new", [](auto& o, auto&, auto&, auto&, auto&) { o.job = "wish=new\n"; });
  expect("network.drop_path=", [](auto&, auto&, auto&, auto&, auto& c) { c.drop_path = 0.4; });
  expect("card=", [](auto&, auto& card, auto&, auto&, auto&) { card.plane = "coronal"; });
  // The data, to the last voxel, and which are held out.
  expect("training data=",
         [](auto&, auto&, auto& cases, auto&, auto&) { cases[0].values.back() += 0.001f; });
  expect("training data=",
         [](auto&, auto&, auto& cases, auto&, auto&) { cases[0].classes.front() ^= 1; });
  expect("validation data=", [](auto&, auto&, auto&, auto& held, auto&) { held = Blobs(9, 1); });
  // What does not decide may change.
  EXPECT_EQ(refusal([](auto& o, auto& card, auto&, auto&, auto&) {
              o.max_minutes = 50;
              o.checkpoint_minutes = 1;
              o.validation_batch = 2;
              card.name = "another";
              card.provenance["note"] = "text";
            }),
            "");
}

// A table with a member missing does not compile; one that names a member twice would.
TEST(FieldTables, NameEachMemberOnce) {
  FieldList list;
  AppendFieldList(TrainerOptions(), "", list);
  AppendFieldList(RwkvUnetConfig(), "network.", list);
  std::set<std::string> names;
  for (const auto& [name, effect] : list) EXPECT_TRUE(names.insert(name).second) << name;
  EXPECT_GT(names.size(), 50u);
}

TEST_F(Training, BFloat16LearnsToo) {
  const auto folder = test::TemporaryFolder();
  TrainerOptions options = SmallOptions();
  options.epochs = 6;
  options.bfloat16 = true;
  RwkvUnet network = FreshNetwork(1);
  SilentProgress silent;
  const TrainerResult result = Train(network, BlobCard(), Blobs(0, 3), {}, options, folder, silent);
  EXPECT_LT(result.epochs.back().loss, 0.8 * result.epochs.front().loss);
  for (const auto& entry : network.parameters().entries()) {
    if (entry.trainable) {
      ASSERT_EQ(entry.value.scalar_type(), at::kFloat) << entry.name;
    }
  }
}

TEST(SliceDatasetTest, EpochsAreBalancedAndReproducible) {
  SliceDataset::Options options;
  options.batch = 5;
  options.background_share = 0.5;
  options.seed = 3;
  const auto cases = Blobs(0, 3);
  const SliceDataset dataset(cases, BlobCard(), options);
  EXPECT_EQ(dataset.slices(), 24);
  const int64_t foreground = dataset.foreground_slices();
  ASSERT_GT(foreground, 6);
  ASSERT_LT(foreground, 24);
  const int64_t expected = foreground + std::llround((24 - foreground) * 0.5);
  const auto order = dataset.EpochOrder(2);
  EXPECT_EQ(static_cast<int64_t>(order.size()), expected);
  EXPECT_EQ(order, dataset.EpochOrder(2));
  EXPECT_NE(order, dataset.EpochOrder(3));
  EXPECT_EQ(dataset.steps_per_epoch(), expected / 5);

  // The queue hands out the same batches, wherever it starts.
  BatchQueue<SliceDataset> queue(dataset, 2, 1);
  const auto direct = dataset.MakeBatch(2, 1, order);
  const auto queued = queue.Next();
  EXPECT_TRUE(at::equal(direct.image, queued.image));
  EXPECT_TRUE(at::equal(direct.label, queued.label));
}

TEST(SliceDatasetTest, ContextChannelsAreTheNeighbours) {
  ModelCard card = BlobCard();
  card.preprocessing.intensity = "none";
  card.preprocessing.context = 1;
  card.input_channels = 3;
  TrainingCase one = Blob(0, 16, 4);
  for (size_t i = 0; i < one.values.size(); ++i) one.values[i] = static_cast<float>(i / 256);
  SliceDataset::Options options;
  options.augmentation = AugmentationRecipe::ByName("none");
  options.batch = 4;
  const SliceDataset dataset({one}, card, options);
  const auto batch = dataset.MakeBatch(0, 0, {0, 1, 2, 3});
  const float expected[4][3] = {{0, 0, 1}, {0, 1, 2}, {1, 2, 3}, {2, 3, 3}};
  for (int64_t n = 0; n < 4; ++n) {
    for (int64_t c = 0; c < 3; ++c) {
      EXPECT_EQ(batch.image[n][c].max().item<float>(), expected[n][c]);
      EXPECT_EQ(batch.image[n][c].min().item<float>(), expected[n][c]);
    }
  }
}

// Training sees what prediction sees: an unaugmented batch equals SliceSource's.
TEST(SliceDatasetTest, SameInputAsPrediction) {
  ModelCard card = BlobCard();
  card.plane = "sagittal";
  card.preprocessing.resample = "spacing";
  card.preprocessing.pixel_mm = 0.5;
  const TrainingCase one = Blob(4, 24, 10);
  SliceDataset::Options options;
  options.augmentation = AugmentationRecipe::ByName("none");
  options.batch = 24;
  const SliceDataset dataset({one}, card, options);
  std::vector<int64_t> all(24);
  for (int64_t i = 0; i < 24; ++i) all[i] = i;
  const auto batch = dataset.MakeBatch(0, 0, all);
  const SliceSource source(one.View(), card);
  const at::Tensor expected = source.Batch(0, 24);
  EXPECT_TRUE(at::equal(batch.image.narrow(2, 0, expected.size(2)).narrow(3, 0, expected.size(3)),
                        expected));
  EXPECT_EQ(batch.image.size(2) % 16, 0);
}

// Two steps against the formulas of the paper, in double.
TEST(AdamWTest, TwoStepsByHand) {
  ParameterStore store;
  store.Add("a.weight", at::tensor({1.0, -2.0}, at::kDouble).view({2, 1}), true);
  store.Add("a.bias", at::tensor({0.5}, at::kDouble), true);
  store.Add("unused", at::tensor({3.0}, at::kDouble), true);
  store.RequireGradients(true);
  AdamWOptions options;
  options.weight_decay = 0.1;
  AdamW optimizer(store, options);
  double w = 1, m = 0, v = 0, bias = 0.5, mb = 0, vb = 0;
  for (int t = 1; t <= 2; ++t) {
    optimizer.ZeroGradients();
    (store.Get("a.weight").square().sum() + store.Get("a.bias").sum() * 3).backward();
    optimizer.Step(0.01);
    const auto step = [t](double& x, double g, double& m1, double& m2, double decay) {
      x -= 0.01 * decay * x;
      m1 = 0.9 * m1 + 0.1 * g;
      m2 = 0.999 * m2 + 0.001 * g * g;
      x -= 0.01 * (m1 / (1 - std::pow(0.9, t))) / (std::sqrt(m2 / (1 - std::pow(0.999, t))) + 1e-8);
    };
    step(w, 2 * w, m, v, 0.1);
    step(bias, 3, mb, vb, 0);  // a bias does not decay
    EXPECT_NEAR(store.Get("a.weight")[0][0].item<double>(), w, 1e-12);
    EXPECT_NEAR(store.Get("a.bias")[0].item<double>(), bias, 1e-12);
  }
  EXPECT_EQ(store.Get("unused")[0].item<double>(), 3);
  EXPECT_EQ(optimizer.ClipGradients(0.5) > 0.5, true);
  EXPECT_NEAR(optimizer.ClipGradients(0.5), 0.5, 1e-9);
}

TEST(AdamWTest, WhatDecays) {
  EXPECT_TRUE(AdamW::Decays("decoder1.conv.conv.weight", at::ones({4, 4, 1, 1})));
  EXPECT_FALSE(AdamW::Decays("ccm.projections.0.bias", at::ones({4})));
  EXPECT_FALSE(AdamW::Decays("encoder.stage3.1.att.spatial_mix_k", at::ones({1, 1, 8})));
  EXPECT_FALSE(AdamW::Decays("encoder.stage3.1.att.spatial_decay", at::ones({8})));
}

TEST(WeightAverageTest, AveragesValuesAndCopiesCounters) {
  ParameterStore store;
  store.Add("w", at::zeros({2}), true);
  store.Add("counter", at::zeros({}, at::kLong), false);
  WeightAverage average(store, 0.75);
  store.Set("w", at::ones({2}));
  store.Set("counter", at::full({}, 9, at::kLong));
  average.Update(store, 1000);
  EXPECT_FLOAT_EQ(average.parameters().Get("w")[0].item<float>(), 0.25f);
  EXPECT_EQ(average.parameters().Get("counter").item<int64_t>(), 9);
}

TEST(ValidationTest, DiceByHand) {
  const auto dice = DicePerClass({0, 1, 1, 2, 0, 0}, {0, 1, 2, 2, 1, 0}, 4);
  ASSERT_EQ(dice.size(), 3u);
  EXPECT_DOUBLE_EQ(dice[0], 2.0 * 1 / (2 + 2));
  EXPECT_DOUBLE_EQ(dice[1], 2.0 * 1 / (1 + 2));
  EXPECT_DOUBLE_EQ(dice[2], 1);  // in neither
}

}  // namespace
}  // namespace avocet::models
