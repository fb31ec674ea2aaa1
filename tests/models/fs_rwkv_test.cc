// SPDX-License-Identifier: Apache-2.0
#include "models/fs_rwkv/fs_rwkv.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>
#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>

#include <cstdio>

#include "app/base/error.h"
#include "kernels/fso_shift.h"
#include "models/fs_rwkv/load_fs_rwkv.h"
#include "models/fs_rwkv/token_blocks.h"
#include "models/load_network.h"
#include "models/model_card.h"
#include "models/training/optimizer.h"
#include "models/training/translation_loss.h"
#include "tests/models/fs_rwkv_random.h"
#include "tests/support/test_support.h"

namespace avocet::models {
namespace {

const FsRwkvSizes kSmall{8, {1, 2, 1, 1}, 1};

std::unique_ptr<FsRwkv> Network(const FsRwkvSizes& sizes, WkvMode wkv = WkvMode::kExact,
                                FsGeometry geometry = FsGeometry::kNative) {
  FsLoadOptions options;
  options.wkv = wkv;
  options.geometry = geometry;
  return LoadFsRwkv(test::FormulaFsRwkv(sizes), "formula", options);
}

// Smooth, with values over [0, 1], the same on every machine.
at::Tensor Image(int64_t batch, int64_t rows, int64_t cols) {
  const at::Tensor y = at::arange(rows, at::kDouble).view({1, 1, rows, 1}),
                   x = at::arange(cols, at::kDouble).view({1, 1, 1, cols}),
                   n = at::arange(batch, at::kDouble).view({batch, 1, 1, 1});
  return (0.5 + 0.25 * at::sin(0.31 * y + n) + 0.25 * at::cos(0.23 * x * (1 + 0.1 * y)))
      .to(at::kFloat);
}

at::Tensor Infer(const FsRwkv& network, const at::Tensor& image) {
  c10::InferenceMode inference;
  return network.Forward(image);
}

at::Tensor RunDouble(const FsRwkvSizes& sizes, const at::Tensor& image, WkvMode wkv,
                     FsGeometry geometry) {
  c10::NoGradGuard no_grad;
  auto network = Network(sizes, wkv, geometry);
  network->parameters().To(at::kDouble);
  return network->Forward(image.to(at::kDouble));
}

double Difference(const at::Tensor& a, const at::Tensor& b) {
  EXPECT_EQ(a.sizes(), b.sizes());
  return (a.to(at::kDouble) - b.to(at::kDouble)).abs().max().item<double>();
}

// Without ../shared there is no official network: these numbers came from the double run at the
// commit where all of ../shared/parity/fs_rwkv held to 2e-8.
TEST(FsRwkv, FormulaWeightsGiveKnownNumbers) {
  struct Row {
    WkvMode wkv;
    FsGeometry geometry;
    int64_t rows, cols;
    double mean, norm;
    std::array<double, 4> samples;
  };
  const Row rows[] = {
      {WkvMode::kExact,
       FsGeometry::kNative,
       24,
       40,
       0.415681122777,
       43.130148841740,
       {0.915413755671, 0.570858522569, 0.164909848003, 0.537399434595}},
      {WkvMode::kOfficial64,
       FsGeometry::kNative,
       32,
       32,
       0.617180527729,
       44.353827589622,
       {0.925215609352, 0.022878626944, -0.361784693972, 2.760658135836}},
      {WkvMode::kOfficial64,
       FsGeometry::kOfficial,
       16,
       64,
       0.418427003316,
       45.801135253766,
       {0.482477031983, -0.160027607998, 2.440094591143, -0.964518039361}},
      {WkvMode::kExact,
       FsGeometry::kNative,
       19,
       30,
       0.660335781526,
       35.346526564421,
       {0.979233905894, 3.385430569840, 2.442381393682, 0.011544220259}},
  };
  for (const Row& row : rows) {
    const at::Tensor image = Image(1, row.rows, row.cols);
    const at::Tensor wide = RunDouble(kSmall, image, row.wkv, row.geometry);
    const at::Tensor flat = wide.flatten();
    const int64_t step = flat.numel() / 4;
    EXPECT_NEAR(flat.mean().item<double>(), row.mean, 1e-8);
    EXPECT_NEAR(flat.norm().item<double>(), row.norm, 1e-6);
    for (int64_t n = 0; n < 4; ++n) {
      EXPECT_NEAR(flat[n * step + (n == 0 ? 0 : 2 * n + 1)].item<double>(), row.samples[n], 1e-8);
    }
    const at::Tensor single = Infer(*Network(kSmall, row.wkv, row.geometry), image);
    EXPECT_LE(Difference(single, wide), 2e-5);
  }
}

// The path with fused kernels and the differentiable one, against double.
TEST(FsRwkv, BothPathsOnAllKindsOfSizes) {
  struct Row {
    FsRwkvSizes sizes;
    int64_t batch, rows, cols;
  };
  const Row cases[] = {{kSmall, 1, 32, 32},
                       {kSmall, 3, 24, 40},
                       {kSmall, 1, 17, 23},
                       {kSmall, 2, 8, 8},
                       {kSmall, 1, 1, 1},
                       {kSmall, 1, 50, 7},
                       {{16, {1, 1, 1, 1}, 1}, 1, 40, 24},
                       {{40, {1, 1, 1, 2}, 1}, 1, 16, 32},
                       {{24, {2, 1, 1, 1}, 2}, 2, 24, 24}};
  for (const Row& row : cases) {
    const at::Tensor image = Image(row.batch, row.rows, row.cols);
    for (const WkvMode wkv : {WkvMode::kExact, WkvMode::kOfficial64}) {
      if (row.sizes.dim != kSmall.dim && wkv != WkvMode::kExact) continue;
      const at::Tensor wide = RunDouble(row.sizes, image, wkv, FsGeometry::kNative);
      const auto network = Network(row.sizes, wkv);
      const double fused = Difference(Infer(*network, image), wide),
                   plain = Difference(network->Forward(image), wide);
      std::printf("  %s %ldx%ldx%ld %s: fused %.1e, plain %.1e\n", row.sizes.Variant().c_str(),
                  row.batch, row.rows, row.cols, NameOf(wkv), fused, plain);
      EXPECT_LE(fused, 5e-5);
      EXPECT_LE(plain, 5e-5);
    }
  }
}

TEST(FsRwkv, ImagesOfABatchDoNotInfluenceEachOther) {
  const auto network = Network(kSmall);
  const at::Tensor images = Image(3, 24, 16), together = Infer(*network, images);
  for (int64_t n = 0; n < 3; ++n) {
    EXPECT_LE(Difference(Infer(*network, images.narrow(0, n, 1)), together.narrow(0, n, 1)), 1e-5);
  }
  EXPECT_GT(Difference(together.narrow(0, 0, 1), together.narrow(0, 1, 1)), 0.1);
}

TEST(FsRwkv, SidesAreReflectedToAMultipleOf16AndCropped) {
  const auto network = Network(kSmall);
  const at::Tensor image =
      Image(1, 19, 40);  // 19 -> 32 by reflection; 40 is a multiple of 8: stays
  const at::Tensor padded = at::reflection_pad2d(image, {0, 0, 0, 13});
  EXPECT_TRUE(at::equal(Infer(*network, image), Infer(*network, padded).narrow(2, 0, 19)));
  // Reflection goes on where the image is smaller than its border.
  const at::Tensor tiny = Image(1, 3, 16);
  const at::Tensor index = at::tensor({0, 1, 2, 1, 0, 1, 2, 1, 0, 1, 2, 1, 0, 1, 2, 1}, at::kLong);
  EXPECT_TRUE(at::equal(Infer(*network, tiny),
                        Infer(*network, tiny.index_select(2, index)).narrow(2, 0, 3)));
}

TEST(FsRwkv, GeometriesAgreeOnSquaresOnly) {
  const auto native = Network(kSmall),
             official = Network(kSmall, WkvMode::kExact, FsGeometry::kOfficial);
  for (const int64_t side : {16, 24, 64}) {  // 24: an odd smallest grid
    const at::Tensor image = Image(1, side, side);
    EXPECT_TRUE(at::equal(Infer(*native, image), Infer(*official, image))) << side;
  }
  const at::Tensor wide = Image(1, 16, 64);  // 1024 tokens: the official code makes 32 x 32 of them
  EXPECT_GT(Difference(Infer(*native, wide), Infer(*official, wide)), 1e-3);
  EXPECT_THROW(Infer(*official, Image(1, 16, 32)), OptionError);
  EXPECT_THROW(Infer(*official, Image(1, 20, 20)), OptionError);
}

TEST(FsRwkv, RefusesOtherInput) {
  const auto network = Network(kSmall);
  EXPECT_THROW(network->Forward(at::zeros({1, 3, 16, 16})), OptionError);
  EXPECT_THROW(network->Forward(at::zeros({16, 16})), OptionError);
  EXPECT_THROW(network->Forward(at::zeros({1, 1, 0, 16})), OptionError);
  EXPECT_THROW(FsGeometryFromName("square"), OptionError);
}

TEST(FsRwkv, ThreadsDoNotChangeASingleBit) {
  const auto network = Network({16, {1, 1, 1, 1}, 1});
  const at::Tensor image = Image(2, 64, 48);
  const int threads = at::get_num_threads();
  at::set_num_threads(1);
  const at::Tensor one = Infer(*network, image);
  at::set_num_threads(3);
  const at::Tensor three = Infer(*network, image);
  at::set_num_threads(threads);
  EXPECT_TRUE(at::equal(one, three)) << Difference(one, three);
}

TEST(FsRwkv, NanStaysVisible) {
  at::Tensor image = Image(1, 16, 16);
  image[0][0][3][4] = std::nan("");
  EXPECT_TRUE(at::isnan(Infer(*Network(kSmall), image)).any().item<bool>());
}

// ---- files

TEST(FsRwkv, LoadsStrictly) {
  TensorFile file = test::FormulaFsRwkv(kSmall);
  const at::Tensor image = Image(1, 16, 16), want = Infer(*Network(kSmall), image);
  // Saved and read again.
  const auto network = LoadFsRwkv(file, "x");
  const TensorFile saved = ToTensorFile(network->parameters());
  EXPECT_TRUE(at::equal(Infer(*LoadFsRwkv(saved, "x"), image), want));
  // With the official filter buffers.
  AddWaveletFilters(file);
  EXPECT_TRUE(at::equal(Infer(*LoadFsRwkv(file, "x"), image), want));
  file.tensors.emplace_back("latent.0.extra",
                            StoredTensor{TensorType::kFloat32, {}, std::vector<std::byte>(4)});
  try {
    LoadFsRwkv(file, "some.pth");
    FAIL();
  } catch (const ModelError& error) {
    EXPECT_NE(std::string(error.what()).find("some.pth"), std::string::npos);
    EXPECT_NE(std::string(error.what()).find("latent.0.extra"), std::string::npos);
  }
  file.tensors.pop_back();
  file.tensors.erase(file.tensors.begin() + 5);
  EXPECT_THROW(LoadFsRwkv(file, "x"), ModelError);
  FsLoadOptions allow;
  allow.allow_missing = true;
  EXPECT_NO_THROW(LoadFsRwkv(file, "x", allow));
}

TEST(FsRwkv, CardGivesTheWkvMode) {
  TensorFile file = test::FormulaFsRwkv(kSmall);
  EXPECT_EQ(LoadFsRwkv(file, "x")->config().wkv, WkvMode::kExact);
  ModelCard card;
  card.architecture = "fs-rwkv";
  card.variant = kSmall.Variant();
  card.task = "translation";
  card.wkv = "official64";
  SetCard(file, card);
  EXPECT_EQ(LoadFsRwkv(file, "x")->config().wkv, WkvMode::kOfficial64);
  EXPECT_EQ(WkvModeFromName("official", WkvMode::kOfficial64), WkvMode::kOfficial64);
}

// Section 2.5, block 1 of a stage of 4, width 48.
TEST(FsRwkv, InitialValues) {
  FsRwkv network(FsRwkvConfig{FsRwkvSizes{48, {4, 1, 1, 1}, 1}});
  at::Generator generator = at::detail::createCPUGenerator(5);
  network.Initialise(generator);
  const ParameterStore& p = network.parameters();
  const auto value = [&](const char* name, int64_t i) {
    return p.Get(name).flatten()[i].item<double>();
  };
  const double rho = 1.0 / 3, kappa = 0.75;
  EXPECT_NEAR(value("encoder_level1.1.att.spatial_decay", 0), -5, 1e-6);
  EXPECT_NEAR(value("encoder_level1.1.att.spatial_decay", 20),
              -5 + 8 * std::pow(20.0 / 47, 0.7 + 1.3 * rho), 1e-6);
  EXPECT_NEAR(value("encoder_level1.1.att.spatial_decay", 47), 3, 1e-6);
  for (const auto& [i, step] : {std::pair<int64_t, double>{0, 0}, {1, 0.5}, {2, -0.5}, {3, 0}}) {
    EXPECT_NEAR(value("encoder_level1.1.att.spatial_first", i), std::log(0.3) + step, 1e-6) << i;
  }
  EXPECT_NEAR(value("encoder_level1.1.att.spatial_mix_k", 30), std::pow(30.0 / 48, kappa), 1e-6);
  EXPECT_NEAR(value("encoder_level1.1.att.spatial_mix_v", 30),
              std::pow(30.0 / 48, kappa) + 0.3 * rho, 1e-6);
  EXPECT_NEAR(value("encoder_level1.1.att.spatial_mix_r", 30), std::pow(30.0 / 48, kappa / 2),
              1e-6);
  EXPECT_NEAR(value("encoder_level1.1.ffn.spatial_mix_r", 30), std::pow(30.0 / 48, kappa), 1e-6);
  // A stage of one block: rho = 0, where the official initialiser divides by zero.
  EXPECT_NEAR(value("latent.0.att.spatial_decay", 100), -5 + 8 * std::pow(100.0 / 383, 0.7), 1e-6);
  EXPECT_EQ(value("encoder_level1.0.gamma1", 3), 1);
  EXPECT_EQ(value("encoder_level1.0.ln1.weight", 3), 1);
  EXPECT_EQ(value("encoder_level1.0.ln1.bias", 3), 0);
  EXPECT_EQ(value("enhance_level1.spatial_lsconv.bn.running_var", 3), 1);
  EXPECT_EQ(value("enhance_level1.spatial_lsconv.bn.running_mean", 3), 0);
  EXPECT_EQ(value("enhance_level1.spatial_lsconv.lkp.norm.bias", 3), 0);
  const auto bounded = [&](const char* name, double bound) {
    const double largest = p.Get(name).abs().max().item<double>();
    EXPECT_LE(largest, bound) << name;
    EXPECT_GE(largest, 0.9 * bound) << name;
  };
  bounded("latent.0.ffn.value.weight", 1 / std::sqrt(1536.0));
  bounded("patch_embed.weight", 1.0 / 3);
  bounded("patch_embed.bias", 1.0 / 3);
  bounded("enhance_level2.spatial_lsconv.lkp.cv4.bias", 1 / std::sqrt(48.0));
  bounded("enhance_level2.spatial_lsconv.lkp.cv2.c.weight", 1.0 / 7);
}

TEST(FsRwkv, TrainingLowersTheLoss) {
  FsRwkv network(FsRwkvConfig{FsRwkvSizes{8, {1, 1, 1, 1}, 1}});
  at::Generator generator = at::detail::createCPUGenerator(6);
  network.Initialise(generator);
  network.parameters().RequireGradients(true);
  AdamW optimizer(network.parameters(), {});
  const at::Tensor image = Image(2, 32, 24), target = image * image;
  const int threads = at::get_num_threads();
  at::set_num_threads(1);  // oneDNN's weight gradients spin at their barriers
  ForwardOptions options;
  options.training = true;
  double first = 0, last = 0;
  for (int step = 0; step < 15; ++step) {
    optimizer.ZeroGradients();
    const TranslationLoss loss = ComputeTranslationLoss(network.Forward(image, options), target);
    loss.total.backward();
    if (step == 0) {
      first = loss.total.item<double>();
      for (const auto& entry : network.parameters().entries()) {
        EXPECT_EQ(entry.value.grad().defined(), entry.trainable) << entry.name;
      }
    }
    last = loss.total.item<double>();
    optimizer.Step(3e-3);
  }
  at::set_num_threads(threads);
  std::printf("  loss %.4f -> %.4f\n", first, last);
  EXPECT_LT(last, 0.6 * first);
  EXPECT_EQ(network.parameters()
                .Get("enhance_level1.spatial_lsconv.bn.num_batches_tracked")
                .item<int64_t>(),
            15);
}

// The training path keeps little and computes the rest anew; the plain path in double is the judge.
TEST(FsRwkv, TrainingBlockHasThePlainGradients) {
  const ForwardOptions options;
  struct Row {
    int64_t batch, rows, cols, width;
    WkvMode wkv;
  };
  for (const Row& row : {Row{2, 24, 26, 16, WkvMode::kExact},
                         {1, 6, 10, 8, WkvMode::kOfficial64},
                         {1, 5, 7, 32, WkvMode::kExact},
                         {3, 4, 4, 64, WkvMode::kOfficial64}}) {
    const FsRwkvSizes sizes{8, {1, 1, 1, 1}, 1};
    const std::string name = row.width == 8    ? "encoder_level1.0"
                             : row.width == 16 ? "encoder_level2.0"
                             : row.width == 32 ? "encoder_level3.0"
                                               : "latent.0";
    const auto run = [&](bool training, at::ScalarType type) {
      auto network = Network(sizes);
      network->parameters().To(type);
      network->parameters().RequireGradients(true);
      at::manual_seed(3);
      const at::Tensor x =
          at::randn({row.batch, row.rows * row.cols, row.width}, at::kDouble).to(type);
      x.requires_grad_(true);
      const FsTokenBlocks blocks(network->parameters(), row.wkv, options);
      const at::Tensor y = training ? blocks.TrainingBlock(name, x, {row.rows, row.cols})
                                    : blocks.Block(name, x, {row.rows, row.cols});
      y.backward(at::randn(y.sizes(), at::kDouble).to(type));
      std::vector<std::pair<std::string, at::Tensor>> results{{"y", y.detach()}, {"x", x.grad()}};
      for (const auto& entry : network->parameters().entries()) {
        if (entry.name.rfind(name + ".", 0) == 0)
          results.emplace_back(entry.name, entry.value.grad());
      }
      return results;
    };
    const auto want = run(false, at::kDouble), got = run(true, at::kFloat);
    const int threads = at::get_num_threads();
    at::set_num_threads(threads == 1 ? 3 : 1);
    const auto other = run(true, at::kFloat);
    at::set_num_threads(threads);
    ASSERT_EQ(got.size(), 22u);
    double worst = 0;
    for (size_t n = 0; n < got.size(); ++n) {
      const double error =
          Difference(got[n].second, want[n].second) / want[n].second.abs().max().item<double>();
      EXPECT_LE(error, 2e-5) << got[n].first;
      worst = std::max(worst, error);
      // LibTorch's LayerNorm gradients alone are summed by thread.
      if (got[n].first.find(".ln") != std::string::npos) continue;
      EXPECT_TRUE(at::equal(got[n].second, other[n].second)) << got[n].first;
    }
    std::printf("  width %ld on %ld x %ld: worst of 22 %.1e\n", row.width, row.rows, row.cols,
                worst);
  }
}

// ---- a small part of ../shared/parity that is always here

TEST(FsRwkvCommitted, FsoShift) {
  const TensorFile file = ReadTensorFile(test::TestData("models/fso_shift.safetensors"));
  for (const auto& [label, rows, cols] :
       {std::tuple{"C24_8x8", 8, 8}, {"C48_5x5", 5, 5}, {"C48_4x16", 4, 16}}) {
    const std::string p = label;
    const at::Tensor x = ToTensor(*file.Find(p + ".in"));
    EXPECT_LE(
        Difference(kernels::FsoShift(x, rows, cols), ToTensor(*file.Find(p + ".out_native_f64"))),
        2e-6)
        << label;
    if (const StoredTensor* scrambled = file.Find(p + ".out_official_scrambled")) {
      EXPECT_LE(Difference(kernels::FsoShift(x, 8, 8), ToTensor(*scrambled)), 2e-6);
    }
  }
}

TEST(FsRwkvCommitted, TokenBlock) {
  const TensorFile file = ReadTensorFile(test::TestData("models/crb_C24_6x10.safetensors"));
  ParameterStore store;
  for (const auto& [name, stored] : file.tensors) {
    if (name.rfind("param.", 0) == 0)
      store.Add("b." + name.substr(6), ToTensor(stored).to(at::kFloat), true);
  }
  const at::Tensor image = ToTensor(*file.Find("in")).to(at::kFloat);
  const auto tokens = [](const at::Tensor& x) {
    return x.permute({0, 2, 3, 1}).reshape({1, 60, 24}).contiguous();
  };
  const ForwardOptions options;
  for (const auto& [mode, name] :
       {std::pair{WkvMode::kExact, "out_E"}, {WkvMode::kOfficial64, "out_O"}}) {
    const at::Tensor want = tokens(ToTensor(*file.Find(name)));
    const FsTokenBlocks blocks(store, mode, options);
    c10::InferenceMode inference;
    at::Tensor fused = tokens(image).clone();
    blocks.BlockInPlace("b", fused, {6, 10});
    EXPECT_LE(Difference(fused, want), 5e-6) << name;
    EXPECT_LE(Difference(blocks.Block("b", tokens(image), {6, 10}), want), 5e-6) << name;
  }
  store.To(at::kDouble);
  store.RequireGradients(true);
  const at::Tensor out = FsTokenBlocks(store, WkvMode::kExact, options)
                             .Block("b", tokens(image).to(at::kDouble), {6, 10});
  out.backward(tokens(ToTensor(*file.Find("gy"))).to(at::kDouble));
  for (const auto& entry : store.entries()) {
    const at::Tensor want = ToTensor(*file.Find("grad_E." + entry.name.substr(2)));
    EXPECT_LE(Difference(entry.value.grad(), want) / want.abs().max().item<double>(), 3e-6)
        << entry.name;
  }
}

}  // namespace
}  // namespace avocet::models
