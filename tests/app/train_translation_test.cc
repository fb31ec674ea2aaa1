// SPDX-License-Identifier: Apache-2.0
#include "app/core/train_translation.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>

#include "app/base/error.h"
#include "app/core/engine.h"
#include "app/core/pair_files.h"
#include "app/core/translate.h"
#include "io/volume_io.h"
#include "models/checkpoint/tensor_file.h"
#include "models/model_card.h"
#include "tests/support/test_support.h"

namespace avocet::core {
namespace {
namespace fs = std::filesystem;

// A head in air, with noise by `seed`; moved by `shift` voxels along i.
void WriteHead(const fs::path& path, double noise, uint32_t seed, int shift = 0) {
  io::Geometry geometry;
  geometry.size = {40, 36, 9};
  geometry.spacing = {1, 1, 3};
  io::Volume image = io::Volume::Zeros(geometry, io::VoxelType::kFloat32);
  float* value = image.As<float>();
  uint32_t state = seed;
  for (int k = 0; k < 9; ++k)
    for (int j = 0; j < 36; ++j)
      for (int i = 0; i < 40; ++i) {
        state = state * 1664525u + 1013904223u;
        const double r = std::hypot(i - shift - 18, j - 18, 2 * (k - 4));
        const double clean = r < 14 ? 200 + 60 * std::sin(0.6 * (i - shift)) + 3 * j : 0;
        *value++ = static_cast<float>(std::abs(clean + noise * ((state >> 24) / 128.0 - 1)));
      }
  fs::create_directories(path.parent_path());
  io::WriteVolume(image, path);
}

TrainTranslationOptions Tiny(const fs::path& folder) {
  TrainTranslationOptions o;
  o.run.data = folder / "data";
  o.run.output = folder / "run";
  o.run.epochs = 2;
  o.run.learning_rate = 1e-3;
  o.run.validation = {"c"};
  o.run.device.text = "cpu";
  o.run.device.threads = 1;
  o.dim = 8;
  o.blocks = {1, 1, 1, 1};
  o.refinement = 1;
  o.image_size = 32;
  o.crops = true;
  o.shared_scale = true;
  return o;
}

void WritePairs(const fs::path& data) {
  uint32_t seed = 1;
  for (const char* name : {"a", "b", "c"}) {
    WriteHead(data / "source" / (std::string(name) + ".nii.gz"), 40, seed++);
    WriteHead(data / "target" / (std::string(name) + ".nii.gz"), 0, 0);
  }
}

TEST(TrainTranslation, FromPairsToATranslatedVolume) {
  const fs::path folder = test::TemporaryFolder();
  WritePairs(folder / "data");
  SilentProgress progress;
  const TrainTranslationOptions options = Tiny(folder);
  const TrainTranslationResult result = LoadEngine().train_translation(options, progress);
  EXPECT_EQ(result.training_cases, 2);
  EXPECT_EQ(result.validation_cases, 1);
  EXPECT_EQ(result.epochs_done, 2);
  EXPECT_GT(result.input_psnr, 10);
  const models::ModelCard card = models::CardOf(models::ReadTensorFile(result.model));
  EXPECT_EQ(card.task, "translation");
  EXPECT_EQ(card.variant, "dim8-1.1.1.1-r1");
  EXPECT_EQ(card.provenance.at("validation_cases"), "c");
  EXPECT_EQ(card.provenance.count("head_quartiles"), 1u);
  // The model runs on what it was trained for.
  TranslateOptions translate;
  translate.inputs = {folder / "data/source/c.nii.gz"};
  translate.model = result.model;
  translate.output = folder / "c_synthetic.nii.gz";
  translate.device.text = "cpu";
  EXPECT_EQ(LoadEngine().translate(translate, progress).failed, 0);
  EXPECT_THROW(LoadEngine().train_translation(options, progress), OptionError);  // not --resume
  // Fine-tuning starts where that training ended, with its sizes.
  TrainTranslationOptions more = options;
  more.run.init = result.model;
  more.run.output = folder / "more";
  more.run.learning_rate = 1e-9;
  more.run.epochs = 1;
  more.dim = 16;
  const TrainTranslationResult tuned = LoadEngine().train_translation(more, progress);
  EXPECT_NEAR(tuned.psnr, result.psnr, 0.5);  // batch norms go on averaging
  EXPECT_EQ(models::CardOf(models::ReadTensorFile(tuned.model)).variant, "dim8-1.1.1.1-r1");
}

TEST(TrainTranslation, RefusesPairsThatDoNotFit) {
  const fs::path folder = test::TemporaryFolder();
  WritePairs(folder / "data");
  TrainTranslationOptions options = Tiny(folder);
  SilentProgress progress;
  const auto refusal = [&] {
    try {
      LoadEngine().train_translation(options, progress);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  WriteHead(folder / "data/target/a.nii.gz", 0, 0, 4);
  EXPECT_NE(refusal().find("not registered"), std::string::npos) << refusal();
  io::Volume other = io::ReadVolume(folder / "data/source/a.nii.gz");
  other.geometry.origin[1] += 1;
  other.source.reset();
  io::WriteVolume(other, folder / "data/target/a.nii.gz");
  EXPECT_NE(refusal().find("same grid"), std::string::npos) << refusal();
  fs::remove(folder / "data/target/a.nii.gz");
  EXPECT_NE(refusal().find("no namesake"), std::string::npos) << refusal();
  options.dim = 12;
  EXPECT_NE(refusal().find("--dim"), std::string::npos) << refusal();
}

TEST(PairList, PublishedFormatAndErrors) {
  const fs::path folder = test::TemporaryFolder();
  for (const char* name : {"A/x.png", "A/y.png", "B/x7.png", "B/y7.png"}) {
    fs::create_directories((folder / name).parent_path());
    std::ofstream(folder / name) << "x";
  }
  const auto read = [&](const std::string& text) {
    std::ofstream(folder / "list.txt") << text;
    return ReadPairList(folder / "list.txt", folder / "A", folder / "B");
  };
  const auto pairs = read("y.png,y7.png\r\n\n# remark\n x.png , x7.png\n");
  ASSERT_EQ(pairs.size(), 2u);
  EXPECT_EQ(pairs[0].name, "y");
  EXPECT_EQ(pairs[1].target, folder / "B/x7.png");
  for (const char* wrong : {"x.png x7.png", "x.png,x7.png,1", "x.png,", "x.png,none.png", ""}) {
    EXPECT_THROW(read(wrong), IoError) << wrong;
  }
}

TEST(TrainTranslationCommand, PictureListsWithThePublishedRecipe) {
  const fs::path folder = test::TemporaryFolder();
  const fs::path data = test::TestData("metrics/image_quality");
  fs::create_directories(folder / "A");
  fs::create_directories(folder / "B");
  std::ofstream list(folder / "train.txt"), held_out(folder / "val.txt");
  for (const std::string name : {"philips_z5", "ge_z12"}) {
    fs::copy_file(data / (name + "_prediction.png"), folder / "A" / (name + ".png"));
    fs::copy_file(data / (name + "_target.png"), folder / "B" / (name + ".png"));
    (name == "ge_z12" ? held_out : list) << name << ".png," << name << ".png\n";
  }
  list.close();
  held_out.close();
  const auto run = test::RunAvocet({"train",
                                    folder.string(),
                                    "--task",
                                    "translation",
                                    "--recipe",
                                    "fs-rwkv/unc",
                                    "--source",
                                    (folder / "A").string(),
                                    "--target",
                                    (folder / "B").string(),
                                    "--pairs",
                                    (folder / "train.txt").string(),
                                    "--validation-pairs",
                                    (folder / "val.txt").string(),
                                    "-o",
                                    (folder / "run").string(),
                                    "--dim",
                                    "8",
                                    "--blocks",
                                    "1",
                                    "1",
                                    "1",
                                    "1",
                                    "--refinement",
                                    "1",
                                    "--image-size",
                                    "48",
                                    "--epochs",
                                    "1",
                                    "--device",
                                    "cpu"});
  EXPECT_EQ(run.exit_code, 0) << run.err;
  EXPECT_NE(run.out.find("best validation SSIM"), std::string::npos) << run.out;
  const models::ModelCard card =
      models::CardOf(models::ReadTensorFile(folder / "run/model.safetensors"));
  const std::string& training = card.provenance.at("training");
  for (const char* part : {"batch=4", "lr=2e-04", "weight_decay=0.01", "decay_everything=1",
                           "schedule=fs-rwkv", "augmentation=fs-rwkv/unc", "size=48\nsqueeze=1",
                           "seed=3407"}) {
    EXPECT_NE(training.find(part), std::string::npos) << part << "\n" << training;
  }
}

}  // namespace
}  // namespace avocet::core
