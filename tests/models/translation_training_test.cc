// SPDX-License-Identifier: Apache-2.0
// Training FS-RWKV end to end on small synthetic pairs: learning, exact resumption, what is
// written.
#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <sstream>

#include "app/base/error.h"
#include "models/checkpoint/tensor_file.h"
#include "models/fs_rwkv/load_fs_rwkv.h"
#include "models/training/translation_trainer.h"
#include "tests/support/test_support.h"

namespace avocet::models {
namespace {
namespace fs = std::filesystem;

ModelCard Card() {
  ModelCard card;
  card.architecture = "fs-rwkv";
  card.task = "translation";
  card.name = "blobs";
  card.modality = "MR";
  card.preprocessing.intensity = "percentile";
  card.preprocessing.lower = 0;
  card.preprocessing.upper = 100;
  return card;
}

// A striped disc; the source is noisy and darker.
PairStack Disc(uint64_t seed) {
  PairCase one;
  one.name = "disc_" + std::to_string(seed);
  one.size = {40, 36, 8};
  one.spacing = {1, 1, 4};
  CounterRng rng(seed, 0, 0);
  for (int k = 0; k < 8; ++k)
    for (int j = 0; j < 36; ++j)
      for (int i = 0; i < 40; ++i) {
        const double r = std::hypot(i - 20, j - 18);
        const double clean = r < 15 ? 70 + 30 * std::sin(0.5 * (i + k)) : 0;
        one.target.push_back(static_cast<float>(clean));
        one.source.push_back(static_cast<float>(std::abs(0.7 * clean + 8 * rng.Normal())));
      }
  return MakeStack(one, Card(), true);
}

FsRwkv FreshNetwork(uint64_t seed) {
  FsRwkvConfig config;
  config.sizes.dim = 8;
  config.sizes.blocks = {1, 1, 1, 1};
  config.sizes.refinement = 1;
  FsRwkv network(config);
  at::Generator generator = at::make_generator<at::CPUGeneratorImpl>(seed);
  network.Initialise(generator);
  return network;
}

std::vector<PairStack> Training() {
  std::vector<PairStack> stacks;
  stacks.push_back(Disc(1));
  stacks.push_back(Disc(2));
  return stacks;
}

std::vector<PairStack> HeldOut() {
  std::vector<PairStack> stacks;
  stacks.push_back(Disc(77));
  return stacks;
}

TranslationTrainerOptions Options() {
  TranslationTrainerOptions o;
  o.epochs = 3;
  o.learning_rate = 2e-3;
  o.schedule = "fs-rwkv";
  o.weight_decay = 1e-2;
  o.decay_everything = true;
  o.clip = 1;
  o.seed = 3;
  o.data.batch = 4;
  o.data.size = 32;
  o.data.squeeze = false;
  o.validation_slices = 3;
  return o;
}

std::string Slurp(const fs::path& path) {
  std::ifstream in(path);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

class StopAt final : public Progress {
 public:
  explicit StopAt(int call) : left_(call) {}
  bool Update(double, std::string_view) override { return --left_ > 0; }
  void Warn(std::string_view) override {}

 private:
  int left_;
};

class TranslationTraining : public testing::Test {
 protected:
  void SetUp() override {
    threads_ = at::get_num_threads();
    at::set_num_threads(1);
  }
  void TearDown() override { at::set_num_threads(threads_); }
  int threads_ = 1;
};

TEST_F(TranslationTraining, LearnsAndKeepsTheBestStates) {
  const fs::path folder = test::TemporaryFolder();
  TranslationTrainerOptions options = Options();
  options.epochs = 14;
  options.validate_every = 7;
  FsRwkv network = FreshNetwork(1);
  SilentProgress progress;
  const auto held_out = HeldOut();
  const TranslationTrainerResult result =
      TrainTranslation(network, Card(), Training(), held_out, options, folder, progress);
  ASSERT_EQ(result.engine.epochs.size(), 14u);
  EXPECT_EQ(result.slices, 16);
  const auto& first = result.engine.epochs.front();
  const auto& last = result.engine.epochs.back();
  EXPECT_LT(last.loss, 0.7 * first.loss);
  EXPECT_NEAR(last.loss, last.parts[0] + 0.4 * last.parts[1] + 0.3 * last.parts[2], 1e-5);
  ASSERT_EQ(last.scores.size(), 5u);
  std::printf("PSNR %.2f dB (input %.2f), SSIM %.4f (input %.4f)\n", last.scores[1], last.scores[3],
              last.scores[2], last.scores[4]);
  EXPECT_GT(last.scores[1], last.scores[3] + 3);     // PSNR
  EXPECT_GT(last.scores[2], last.scores[4] + 0.05);  // SSIM
  double best = 0;
  for (const auto& epoch : result.engine.epochs)
    if (epoch.scores.size() == 5) best = std::max(best, epoch.scores[2]);
  EXPECT_EQ(result.engine.best, best);
  EXPECT_TRUE(fs::exists(folder / "best_psnr.safetensors"));
  EXPECT_TRUE(fs::exists(folder / "best_loss.safetensors"));

  // The kept file loads and gives the score that was logged.
  const TensorFile file = ReadTensorFile(folder / "model.safetensors");
  const auto loaded = LoadFsRwkv(file, "model");
  const auto scores = ValidateTranslation(*loaded, held_out, options, [] {});
  ASSERT_EQ(scores.size(), 1u);
  EXPECT_EQ(scores[0].score.slices, 3);
  EXPECT_NEAR(scores[0].score.ssim, best, 1e-9);
  EXPECT_NE(CardOf(file).provenance.at("validation").find("PSNR"), std::string::npos);
  EXPECT_NE(CardOf(file).provenance.at("training").find("schedule=fs-rwkv"), std::string::npos);
  EXPECT_EQ(Slurp(folder / "log.csv")
                .rfind("epoch,learning_rate,loss,smooth_l1,ssim_loss,edge,val_loss,psnr,ssim,"
                       "input_psnr,input_ssim,seconds\n",
                       0),
            0u);
  EXPECT_NE(Slurp(folder / "validation.csv").find("disc_77,3,"), std::string::npos);
}

TEST_F(TranslationTraining, ResumesExactly) {
  const fs::path folder = test::TemporaryFolder();
  TranslationTrainerOptions options = Options();
  options.ema = 0.9;
  options.data.augmentation = PairRecipe::ByName("fs-rwkv/unc");
  SilentProgress silent;
  const auto held_out = HeldOut();
  FsRwkv straight = FreshNetwork(1);
  const auto expected =
      TrainTranslation(straight, Card(), Training(), held_out, options, folder / "a", silent);
  FsRwkv first = FreshNetwork(1);
  StopAt stop(6);  // 4 steps an epoch: in the second
  EXPECT_THROW(TrainTranslation(first, Card(), Training(), held_out, options, folder / "b", stop),
               Cancelled);
  options.resume = true;
  FsRwkv again = FreshNetwork(99);
  const auto resumed =
      TrainTranslation(again, Card(), Training(), held_out, options, folder / "b", silent);
  ASSERT_EQ(resumed.engine.epochs.size(), expected.engine.epochs.size());
  for (size_t e = 0; e < expected.engine.epochs.size(); ++e) {
    EXPECT_EQ(resumed.engine.epochs[e].loss, expected.engine.epochs[e].loss) << e;
    EXPECT_EQ(resumed.engine.epochs[e].parts, expected.engine.epochs[e].parts) << e;
    EXPECT_EQ(resumed.engine.epochs[e].scores, expected.engine.epochs[e].scores) << e;
  }
  for (const auto& entry : straight.parameters().entries()) {
    EXPECT_TRUE(at::equal(entry.value, again.parameters().Get(entry.name))) << entry.name;
  }
  options.loss.edge_weight = 0.1;
  FsRwkv other = FreshNetwork(1);
  EXPECT_THROW(TrainTranslation(other, Card(), Training(), held_out, options, folder / "b", silent),
               ModelError);
}

}  // namespace
}  // namespace avocet::models
