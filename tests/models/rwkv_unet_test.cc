// SPDX-License-Identifier: Apache-2.0
#include "models/rwkv_unet/rwkv_unet.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Parallel.h>
#include <ATen/autocast_mode.h>
#include <c10/core/GradMode.h>
#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>

#include "app/base/error.h"
#include "kernels/linear_cpu.h"
#include "models/load_network.h"
#include "models/model_card.h"
#include "tests/support/test_support.h"

namespace avocet::models {
namespace {

RwkvUnet MakeNetwork(const std::string& variant, int classes, uint64_t seed = 3) {
  RwkvUnet network(RwkvUnetConfig::ForVariant(variant, classes));
  at::Generator generator = at::detail::createCPUGenerator(seed);
  network.Initialise(generator);
  // Decay, bonus and running statistics away from their initial values, so that every part counts.
  c10::NoGradGuard no_grad;
  for (const auto& entry : network.parameters().entries()) {
    at::Tensor value = entry.value;
    if (entry.name.find("spatial_decay") != std::string::npos) value.uniform_(-2, 6, generator);
    if (entry.name.find("spatial_first") != std::string::npos) value.uniform_(-1, 1, generator);
    if (entry.name.find("running_var") != std::string::npos) value.uniform_(0.5, 2, generator);
  }
  return network;
}

at::Tensor Image(std::vector<int64_t> shape) {
  at::Generator generator = at::detail::createCPUGenerator(11);
  return at::rand(shape, generator);
}

TEST(RwkvUnet, ParameterCountsOfThePaper) {  // rwkv_unet.md 12, used parameters
  EXPECT_EQ(RwkvUnet(RwkvUnetConfig::ForVariant("T", 9)).parameters().ParameterCount(), 3145961);
  EXPECT_EQ(RwkvUnet(RwkvUnetConfig::ForVariant("S", 9)).parameters().ParameterCount(), 9702145);
  EXPECT_EQ(RwkvUnet(RwkvUnetConfig::ForVariant("B", 9)).parameters().ParameterCount(), 17125713);
  EXPECT_EQ(RwkvUnet(RwkvUnetConfig::ForVariant("T", 4)).parameters().ParameterCount(),
            3145961 - 5 * 25);
}

TEST(RwkvUnet, UnknownVariantAndClassCountAreErrors) {
  EXPECT_THROW(RwkvUnetConfig::ForVariant("XL", 2), Error);
  EXPECT_THROW(RwkvUnetConfig::ForVariant("T", 0), Error);
  EXPECT_THROW(WkvModeFromName("fast"), OptionError);
}

class AnySize : public testing::TestWithParam<std::tuple<std::string, int64_t, int64_t>> {};

TEST_P(AnySize, RunsAndKeepsTheSize) {
  c10::InferenceMode inference;
  const auto [variant, height, width] = GetParam();
  const RwkvUnet network = MakeNetwork(variant, 3);
  const at::Tensor logits = network.Forward(Image({1, 1, height, width}));
  EXPECT_EQ(logits.sizes(), (std::vector<int64_t>{1, 3, height, width}));
  EXPECT_TRUE(at::isfinite(logits).all().item<bool>());
}

INSTANTIATE_TEST_SUITE_P(Sizes, AnySize,
                         testing::Values(std::tuple{"T", 1, 1}, std::tuple{"T", 15, 17},
                                         std::tuple{"T", 64, 48}, std::tuple{"T", 33, 100},
                                         std::tuple{"S", 50, 35}, std::tuple{"B", 47, 64}));

// The padded path is the plain path on the padded image: same bits.
TEST(RwkvUnet, PaddingIsEdgeReplicationRightAndBottom) {
  c10::InferenceMode inference;
  const RwkvUnet network = MakeNetwork("T", 2);
  const at::Tensor image = Image({2, 1, 45, 61});
  const at::Tensor padded = at::replication_pad2d(image, {0, 3, 0, 3});
  ASSERT_EQ(padded.sizes(), (std::vector<int64_t>{2, 1, 48, 64}));
  EXPECT_TRUE(
      at::equal(network.Forward(image), network.Forward(padded).slice(2, 0, 45).slice(3, 0, 61)));
}

TEST(RwkvUnet, OneChannelIsThreeEqualChannels) {
  c10::InferenceMode inference;
  for (const char* variant : {"T", "S", "B"}) {
    const RwkvUnet network = MakeNetwork(variant, 4);
    const at::Tensor image = Image({1, 1, 32, 48});
    EXPECT_TRUE(at::equal(network.Forward(image), network.Forward(image.repeat({1, 3, 1, 1}))))
        << variant;
  }
  const RwkvUnet network = MakeNetwork("T", 2);
  EXPECT_THROW(network.Forward(Image({1, 2, 32, 32})), c10::Error);
}

TEST(RwkvUnet, ImagesOfABatchDoNotInfluenceEachOther) {
  c10::InferenceMode inference;
  const RwkvUnet network = MakeNetwork("T", 3);
  const at::Tensor images = Image({3, 1, 64, 48});
  const at::Tensor together = network.Forward(images);
  for (int64_t n = 0; n < 3; ++n) {
    const at::Tensor alone = network.Forward(images.slice(0, n, n + 1));
    EXPECT_LE((alone - together.slice(0, n, n + 1)).abs().max().item<double>(), 1e-5);
  }
}

TEST(RwkvUnet, TrainingUpdatesStatisticsAndEveryParameterLearns) {
  RwkvUnet network = MakeNetwork("T", 3);
  network.parameters().RequireGradients(true);
  const at::Tensor before = network.parameters().Get("encoder.stage1.1.norm.running_mean").clone();
  at::Generator generator = at::detail::createCPUGenerator(5);
  ForwardOptions options;
  options.training = true;
  options.generator = &generator;
  const at::Tensor logits = network.Forward(Image({4, 3, 48, 48}), options);
  (logits * at::randn(logits.sizes(), generator)).sum().backward();
  EXPECT_FALSE(at::equal(before, network.parameters().Get("encoder.stage1.1.norm.running_mean")));
  EXPECT_EQ(network.parameters().Get("decoder1.conv.norm.num_batches_tracked").item<int64_t>(), 1);
  for (const auto& entry : network.parameters().entries()) {
    if (!entry.trainable) continue;
    ASSERT_TRUE(entry.value.grad().defined()) << entry.name;
    EXPECT_TRUE(at::isfinite(entry.value.grad()).all().item<bool>()) << entry.name;
  }
}

TEST(RwkvUnet, SavedAndLoadedIsTheSameNetwork) {
  c10::InferenceMode inference;
  const RwkvUnet network = MakeNetwork("T", 5);
  const auto path = test::TemporaryFolder() / "net.safetensors";
  WriteSafetensors(ToTensorFile(network.parameters()), path);
  const auto loaded = LoadRwkvUnet(ReadTensorFile(path), path.string());
  EXPECT_EQ(loaded->config().variant, "T");
  EXPECT_EQ(loaded->config().classes, 5);
  const at::Tensor image = Image({1, 1, 32, 32});
  EXPECT_TRUE(at::equal(network.Forward(image), loaded->Forward(image)));
}

// ---- the frozen network

// Every parameter away from the value that hides it.
RwkvUnet MakeRestlessNetwork(const std::string& variant, int classes) {
  RwkvUnet network = MakeNetwork(variant, classes);
  at::Generator generator = at::detail::createCPUGenerator(17);
  c10::NoGradGuard no_grad;
  for (const auto& entry : network.parameters().entries()) {
    at::Tensor value = entry.value;
    const auto has = [&](const char* part) { return entry.name.find(part) != std::string::npos; };
    if (has("spatial_mix_")) value.uniform_(0, 1, generator);
    if (has("running_mean")) value.uniform_(-0.5, 0.5, generator);
    if (!has("norm") && !has("ln1")) continue;
    if (has(".bias")) value.uniform_(-0.5, 0.5, generator);
    if (has(".weight") && value.dim() == 1) value.uniform_(0.5, 1.5, generator);
  }
  return network;
}

TEST(FrozenRwkvUnet, IsTheNetworkInEveryModeAndSize) {
  c10::InferenceMode inference;
  for (const auto& [variant, height, width] :
       {std::tuple{"T", 224, 224}, std::tuple{"T", 1, 1}, std::tuple{"T", 33, 100},
        std::tuple{"S", 50, 35}, std::tuple{"B", 112, 64}}) {
    RwkvUnet network = MakeRestlessNetwork(variant, 3);
    const at::Tensor image = Image({2, 3, height, width});
    for (const WkvMode mode : {WkvMode::kExact, WkvMode::kOfficial32}) {
      network.set_wkv_mode(mode);
      network.Thaw();
      const at::Tensor plain = network.Forward(image);
      network.Freeze();
      const at::Tensor frozen = network.Forward(image);
      ASSERT_EQ(frozen.sizes(), plain.sizes());
      const double scale = plain.std().item<double>();
      const double error = (frozen - plain).abs().max().item<double>() / scale;
      std::printf("  %s %d x %d %s: %.1e of the logits' deviation %.2f\n", variant, height, width,
                  NameOf(mode), error, scale);
      EXPECT_LE(error, 5e-6);
    }
  }
}

TEST(FrozenRwkvUnet, SameBitsForAnyBatchAndNumberOfThreads) {
  c10::InferenceMode inference;
  const int before = at::get_num_threads();
  for (const Precision precision : {Precision::kFloat32, Precision::kBFloat16}) {
    if (precision == Precision::kBFloat16 && !kernels::HasFastBFloat16()) continue;
    RwkvUnet network = MakeRestlessNetwork("T", 3);
    network.Freeze(precision);
    const at::Tensor images = Image({3, 1, 96, 80});
    at::set_num_threads(1);
    const at::Tensor one = network.Forward(images);
    for (const int threads : {2, 3, 5}) {
      at::set_num_threads(threads);
      EXPECT_TRUE(at::equal(one, network.Forward(images))) << threads;
    }
    for (int64_t n = 0; n < 3; ++n) {
      EXPECT_TRUE(at::equal(one.narrow(0, n, 1), network.Forward(images.narrow(0, n, 1)))) << n;
    }
    EXPECT_TRUE(at::equal(one, network.Forward(images.repeat({1, 3, 1, 1}))));
  }
  at::set_num_threads(before);
}

// Training, gradients and hooks take the plain path, with the parameters as they are now.
TEST(FrozenRwkvUnet, StepsAsideForGradientsAndHooks) {
  RwkvUnet network = MakeRestlessNetwork("T", 3);
  const at::Tensor image = Image({1, 1, 32, 32});
  network.Freeze();
  at::Tensor frozen;
  {
    c10::NoGradGuard no_grad;
    frozen = network.Forward(image);
    network.parameters().Get("final_conv.bias").add_(1);
    EXPECT_TRUE(at::equal(network.Forward(image), frozen));  // a copy
    int seen = 0;
    const ActivationHook hook = [&](const std::string&, const at::Tensor&) { ++seen; };
    ForwardOptions options;
    options.hook = &hook;
    EXPECT_NEAR((network.Forward(image, options) - frozen).mean().item<double>(), 1, 1e-5);
    EXPECT_GT(seen, 10);
  }
  network.parameters().RequireGradients(true);
  network.Forward(image).sum().backward();
  EXPECT_TRUE(network.parameters().Get("encoder.stage0.0.conv.conv.weight").grad().defined());
  network.parameters().RequireGradients(false);
  c10::NoGradGuard no_grad;
  network.Thaw();
  EXPECT_NEAR((network.Forward(image) - frozen).mean().item<double>(), 1, 1e-5);
}

// What a GPU is asked for, run through the CPU's autocast: all operators take what they are given.
TEST(RwkvUnet, LowerPrecisionOutsideTheFrozenPath) {
  c10::InferenceMode inference;
  RwkvUnet network = MakeRestlessNetwork("T", 5);
  const at::Tensor image = Image({1, 1, 96, 96});
  const at::Tensor plain = network.Forward(image);
  network.set_precision(Precision::kBFloat16);
  const at::Tensor rounded = network.Forward(image);
  EXPECT_EQ(rounded.scalar_type(), at::kFloat);
  EXPECT_FALSE(at::autocast::is_autocast_enabled(at::kCPU));
  const double error =
      (rounded - plain).square().mean().sqrt().item<double>() / plain.std().item<double>();
  EXPECT_LE(error, 0.03);
  EXPECT_GE(error, 1e-5);  // it is another arithmetic

  EXPECT_THROW(PrecisionFromName("tf32", at::kCPU), OptionError);
  network.set_precision(PrecisionFromName("tf32", at::kCUDA));
  at::globalContext().setAllowTF32CuDNN(false);
  EXPECT_TRUE(at::equal(network.Forward(image), plain));
  EXPECT_FALSE(at::globalContext().allowTF32CuDNN());
  {
    const PrecisionScope scope(at::kCUDA, Precision::kTf32);
    EXPECT_TRUE(at::globalContext().allowTF32CuDNN());
    EXPECT_TRUE(at::globalContext().allowTF32CuBLAS());
  }
  EXPECT_FALSE(at::globalContext().allowTF32CuBLAS());
}

TEST(FrozenRwkvUnet, BFloat16IsCloseAndRefusedElsewhere) {
  EXPECT_THROW(PrecisionFromName("float8", at::kCPU), OptionError);
  if (!kernels::HasFastBFloat16()) {
    EXPECT_THROW(PrecisionFromName("bfloat16", at::kCPU), DeviceError);
    GTEST_SKIP() << "no bfloat16 matrices here";
  }
  c10::InferenceMode inference;
  for (const char* variant : {"T", "B"}) {
    RwkvUnet network = MakeRestlessNetwork(variant, 5);
    const at::Tensor image = Image({1, 1, 96, 96});
    const at::Tensor plain = network.Forward(image);
    network.Freeze(PrecisionFromName("bfloat16", at::kCPU));
    const at::Tensor rounded = network.Forward(image);
    const double error =
        (rounded - plain).square().mean().sqrt().item<double>() / plain.std().item<double>();
    std::printf("  %s: rms %.1e of the logits' deviation\n", variant, error);
    EXPECT_LE(error, 0.02);
    EXPECT_GE(error, 1e-5);  // it is another arithmetic
  }
}

TEST(RwkvUnet, HolesAndStrangersAreRefusedByName) {
  const RwkvUnet network = MakeNetwork("T", 2);
  const auto message = [](const TensorFile& file, LoadOptions options = {}) -> std::string {
    try {
      LoadRwkvUnet(file, "net.safetensors", options);
    } catch (const ModelError& error) {
      return error.what();
    }
    return "";
  };
  TensorFile hole = ToTensorFile(network.parameters());
  for (auto it = hole.tensors.begin(); it != hole.tensors.end(); ++it) {
    if (it->first == "ccm.channel.key.weight") {
      hole.tensors.erase(it);
      break;
    }
  }
  EXPECT_NE(message(hole).find("ccm.channel.key.weight"), std::string::npos);
  LoadOptions allow;
  allow.allow_missing = true;
  EXPECT_EQ(message(hole, allow), "");
  TensorFile stranger = ToTensorFile(network.parameters());
  stranger.tensors.emplace_back("somebody.else", FromTensor(at::zeros({3})));
  EXPECT_NE(message(stranger).find("somebody.else"), std::string::npos);
  LoadOptions wrong_classes;
  wrong_classes.classes = 7;
  EXPECT_NE(message(ToTensorFile(network.parameters()), wrong_classes).find("final_conv"),
            std::string::npos);
}

}  // namespace
}  // namespace avocet::models
