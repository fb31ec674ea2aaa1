// SPDX-License-Identifier: Apache-2.0
// Against the official implementation: ../shared/parity/rwkv_unet. Tolerances are those of its
// README.
#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/optim/adamw.h>

#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>

#include "kernels/bi_wkv.h"
#include "models/load_network.h"
#include "models/rwkv_unet/layers.h"
#include "models/training/losses.h"
#include "tests/support/test_support.h"

namespace avocet::models {
namespace {

namespace fs = std::filesystem;

class RwkvUnetParity : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = test::SharedData("parity/rwkv_unet");
    if (folder_.empty()) GTEST_SKIP() << "../shared/parity is not here";
  }

  at::Tensor Tensor(const TensorFile& file, const std::string& name) const {
    const StoredTensor* stored = file.Find(name);
    if (stored == nullptr) throw std::runtime_error("no tensor " + name);
    return ToTensor(*stored);
  }
  TensorFile File(const std::string& name) const { return ReadTensorFile(folder_ / name); }
  nlohmann::json Json(const std::string& name) const {
    return nlohmann::json::parse(std::ifstream(folder_ / name));
  }
  std::unique_ptr<RwkvUnet> Network(WkvMode mode) const {
    LoadOptions options;
    options.wkv = mode;
    return LoadRwkvUnet(File("t_9classes.pth"), "t_9classes.pth", options);
  }

  fs::path folder_;
};

struct Difference {
  double max, rms;
};

Difference Compare(const char* what, const at::Tensor& got, const at::Tensor& want) {
  const at::Tensor d = (got.detach().to(at::kDouble) - want.to(at::kDouble));
  const Difference result{d.abs().max().item<double>(), d.square().mean().sqrt().item<double>()};
  std::printf("  %-28s max %.2e rms %.2e\n", what, result.max, result.rms);
  return result;
}

TEST_F(RwkvUnetParity, LogitsInBothModes) {
  c10::NoGradGuard no_grad;
  const at::Tensor image = Tensor(File("t_input.safetensors"), "image");
  const TensorFile expected = File("t_logits.safetensors");
  const at::Tensor exact = Network(WkvMode::kExact)->Forward(image);
  const Difference e = Compare("logits E", exact, Tensor(expected, "E"));
  EXPECT_LE(e.max, 5e-4);
  EXPECT_LE(e.rms, 5e-5);
  const at::Tensor official = Network(WkvMode::kOfficial32)->Forward(image);
  using at::indexing::Slice;
  const Difference o = Compare("logits O64", official.slice(2, 0, 224, 2).slice(3, 0, 224, 2),
                               Tensor(expected, "O64_stride2"));
  EXPECT_LE(o.max, 5e-4);
  EXPECT_LE(o.rms, 5e-5);
  // The frozen network meets the same numbers, is as close to the network in double as the plain
  // one is, and labels alike wherever the two largest logits are further apart than rounding.
  const auto in_double = Network(WkvMode::kExact);
  in_double->parameters().To(at::kDouble);
  const at::Tensor truth = in_double->Forward(image.to(at::kDouble));
  const Difference plain = Compare("plain against double", exact, truth);
  for (const WkvMode mode : {WkvMode::kExact, WkvMode::kOfficial32}) {
    const auto network = Network(mode);
    network->Freeze();
    const at::Tensor frozen = network->Forward(image);
    Difference f;
    if (mode == WkvMode::kExact) {
      EXPECT_LE(Compare("frozen against double", frozen, truth).rms, 1.5 * plain.rms);
      f = Compare("frozen logits E", frozen, Tensor(expected, "E"));
    } else {
      f = Compare("frozen logits O64", frozen.slice(2, 0, 224, 2).slice(3, 0, 224, 2),
                  Tensor(expected, "O64_stride2"));
    }
    EXPECT_LE(f.max, 5e-4);
    EXPECT_LE(f.rms, 5e-5);
    const at::Tensor& unfrozen = mode == WkvMode::kExact ? exact : official;
    const at::Tensor top = std::get<0>(unfrozen.topk(2, 1));
    const at::Tensor other = frozen.argmax(1) != unfrozen.argmax(1);
    std::printf("  %lld of %lld labels differ\n",
                static_cast<long long>(other.sum().item<int64_t>()),
                static_cast<long long>(other.numel()));
    EXPECT_LE(other.sum().item<int64_t>(), 5);
    const at::Tensor margin = top.select(1, 0) - top.select(1, 1);
    EXPECT_EQ((other & (margin > 5e-4)).sum().item<int64_t>(), 0);
  }
  // The modes are told apart.
  EXPECT_GT(Compare("E against O", exact, official).rms, 3e-4);
}

TEST_F(RwkvUnetParity, EveryContainerGivesTheSameNetwork) {
  c10::NoGradGuard no_grad;
  const at::Tensor image = Tensor(File("t_input.safetensors"), "image").slice(0, 0, 1);
  const fs::path plain = test::TemporaryFolder() / "lean.pth";
  const std::string command = "gunzip -c '" +
                              (folder_ / "t_9classes_dataparallel_lean.pth.gz").string() + "' > '" +
                              plain.string() + "'";
  ASSERT_EQ(std::system(command.c_str()), 0);
  LoadOptions options;
  options.wkv = WkvMode::kExact;
  const auto lean = LoadRwkvUnet(ReadTensorFile(plain), "lean", options);
  EXPECT_TRUE(at::equal(lean->Forward(image), Network(WkvMode::kExact)->Forward(image)));
}

TEST_F(RwkvUnetParity, StageActivations) {
  c10::NoGradGuard no_grad;
  const TensorFile expected = File("t_stages_E.safetensors");
  const nlohmann::json json = Json("t_stages_E.json");
  const at::Tensor image = Tensor(File("t_input.safetensors"), "image").slice(0, 0, 1);
  size_t compared = 0;
  const ActivationHook hook = [&](const std::string& name, const at::Tensor& value) {
    const StoredTensor* stored = expected.Find(name);
    if (stored == nullptr) return;
    const at::Tensor want = ToTensor(*stored);
    const int64_t stride = json["full"][name]["stride"];
    const at::Tensor nchw = name == "ccm.channel" ? value.permute({0, 3, 1, 2}) : value;
    const at::Tensor got = nchw.slice(2, 0, nchw.size(2), stride).slice(3, 0, nchw.size(3), stride);
    ASSERT_EQ(got.sizes(), want.sizes()) << name;
    const double scale = json["full"][name]["max_abs"];
    EXPECT_LE(Compare(name.c_str(), got, want).max, 5e-5 * std::max(scale, 1.0)) << name;
    EXPECT_NEAR(nchw.to(at::kDouble).norm().item<double>() / json["full"][name]["l2"].get<double>(),
                1, 1e-5);
    ++compared;
  };
  ForwardOptions options;
  options.hook = &hook;
  Network(WkvMode::kExact)->Forward(image, options);
  EXPECT_EQ(compared, expected.tensors.size());
}

// ---- blocks

struct BlockRun {
  std::string file;
  std::function<std::vector<at::Tensor>(const RwkvUnetLayers&, const std::vector<at::Tensor>&)> run;
  std::string prefix;
};

RwkvUnetBlock MakeBlock(int in, int mid, int out, int stride, RwkvUnetBlock::Norm norm,
                        bool attention, bool residual, bool se) {
  return {"b", in, mid, out, stride, norm, attention, residual, se, 0.0};
}

class RwkvUnetBlocks : public RwkvUnetParity, public testing::WithParamInterface<int> {
 protected:
  static BlockRun Case(int index) {
    using N = RwkvUnetBlock::Norm;
    const auto glsp = [](std::string file, RwkvUnetBlock block) {
      return BlockRun{std::move(file),
                      [block](const RwkvUnetLayers& layers, const std::vector<at::Tensor>& x) {
                        return std::vector<at::Tensor>{layers.Glsp(block, x[0])};
                      },
                      "b."};
    };
    switch (index) {
      case 0:
        return glsp("block_glsp_attention", MakeBlock(24, 48, 24, 1, N::kLayer, true, true, false));
      case 1:
        return glsp("block_glsp_attention_odd",
                    MakeBlock(16, 40, 16, 1, N::kLayer, true, true, false));
      case 2:
        return glsp("block_glsp_residual_bn",
                    MakeBlock(16, 32, 16, 1, N::kBatch, false, true, false));
      case 3:
        return glsp("block_glsp_stride2", MakeBlock(12, 48, 20, 2, N::kLayer, false, false, false));
      case 4:
        return glsp("block_stem", MakeBlock(3, 3, 24, 1, N::kNone, false, false, true));
      case 5:
        return {"block_decoder",
                [](const RwkvUnetLayers& layers, const std::vector<at::Tensor>& x) {
                  return std::vector<at::Tensor>{layers.Decoder("d", x[0])};
                },
                "d."};
      default:
        return {"block_ccm",
                [](const RwkvUnetLayers& layers, const std::vector<at::Tensor>& x) {
                  return layers.CrossChannelMix(x[0], x[1], x[2]);
                },
                "ccm."};
    }
  }
};

TEST_P(RwkvUnetBlocks, OutputsAndGradients) {
  const BlockRun block = Case(GetParam());
  const TensorFile file = File(block.file + ".safetensors");

  const auto store_of = [&](at::ScalarType type) {
    ParameterStore store;
    for (const auto& [name, stored] : file.tensors) {
      if (name.rfind("weight.", 0) != 0) continue;
      const at::Tensor value = ToTensor(stored);
      const bool running = name.find("running_") != std::string::npos;
      if (value.is_floating_point()) {
        store.Add(block.prefix + name.substr(7), value.to(type, false, true), !running);
      } else {
        store.Add(block.prefix + name.substr(7), value.clone(), false);
      }
    }
    return store;
  };
  std::vector<at::Tensor> inputs;
  for (int n = 0; file.Find("input" + std::to_string(n)) != nullptr; ++n) {
    inputs.push_back(Tensor(file, "input" + std::to_string(n)));
  }

  {  // float32, evaluation, each mode the file has
    c10::NoGradGuard no_grad;
    const ParameterStore store = store_of(at::kFloat);
    const ForwardOptions options;
    for (const auto& [suffix, mode] :
         {std::pair{".E", WkvMode::kExact}, std::pair{".O64", WkvMode::kOfficial32}}) {
      if (file.Find(std::string("output0") + suffix) == nullptr) continue;
      const auto outputs = block.run(RwkvUnetLayers(store, mode, options), inputs);
      for (size_t n = 0; n < outputs.size(); ++n) {
        const std::string name = "output" + std::to_string(n) + suffix;
        const at::Tensor want = Tensor(file, name);
        EXPECT_LE(Compare((block.file + " " + name).c_str(), outputs[n], want).max,
                  2e-6 * std::max(1.0, want.abs().max().item<double>()));
      }
    }
  }

  for (const bool training : {false, true}) {  // gradients, in double
    ParameterStore store = store_of(at::kDouble);
    store.RequireGradients(true);
    ForwardOptions options;
    options.training = training;
    std::vector<at::Tensor> leaves;
    for (const at::Tensor& x : inputs) leaves.push_back(x.to(at::kDouble).requires_grad_(true));
    const auto outputs = block.run(RwkvUnetLayers(store, WkvMode::kExact, options), leaves);
    at::Tensor loss = at::zeros({}, at::kDouble);
    for (size_t n = 0; n < outputs.size(); ++n) {
      loss =
          loss + (outputs[n] * Tensor(file, "upstream" + std::to_string(n)).to(at::kDouble)).sum();
    }
    loss.backward();
    const std::string mode = training ? "train" : "eval";
    int compared = 0;
    double worst = 0;
    const auto check = [&](const std::string& name, const at::Tensor& got) {
      const StoredTensor* stored = file.Find(name);
      if (stored == nullptr) return;
      const at::Tensor want = ToTensor(*stored).to(at::kDouble);
      // Stored as float32: half a unit in its last place.
      const double scale = std::max(want.abs().max().item<double>(), 1e-3);
      const double error = (got - want).abs().max().item<double>() / scale;
      EXPECT_LE(error, 1.5e-7) << name;
      worst = std::max(worst, error);
      ++compared;
    };
    for (const auto& entry : store.entries()) {
      if (!entry.value.grad().defined()) continue;
      check(mode + ".grad." + entry.name.substr(block.prefix.size()), entry.value.grad());
    }
    for (size_t n = 0; n < leaves.size(); ++n) {
      check(mode + ".grad_input" + std::to_string(n), leaves[n].grad());
    }
    std::printf("  %s %s: %d gradients, worst %.1e of the largest entry\n", block.file.c_str(),
                mode.c_str(), compared, worst);
    int expected = 0;
    for (const auto& [name, stored] : file.tensors) {
      if (name.rfind(mode + ".grad", 0) == 0) ++expected;
    }
    EXPECT_EQ(compared, expected);
  }
}

INSTANTIATE_TEST_SUITE_P(Blocks, RwkvUnetBlocks, testing::Range(0, 7));

// ---- operators

TEST_F(RwkvUnetParity, QShiftVectors) {
  const TensorFile file = File("op_q_shift.safetensors");
  for (int n = 0; n < 4; ++n) {
    const std::string name = "case" + std::to_string(n);
    const at::Tensor input = Tensor(file, name + ".input");
    const at::Tensor got =
        RwkvUnetLayers::QShift(input.permute({0, 2, 3, 1})).permute({0, 3, 1, 2});
    EXPECT_TRUE(at::equal(got, Tensor(file, name + ".output"))) << name;
  }
}

TEST_F(RwkvUnetParity, BiWkvVectors) {
  const TensorFile file = File("op_bi_wkv.safetensors");
  int cases = 0;
  for (; file.Find((cases < 10 ? "case0" : "case") + std::to_string(cases) + ".w") != nullptr;
       ++cases) {
    const std::string p = (cases < 10 ? "case0" : "case") + std::to_string(cases) + ".";
    const auto relative = [](const at::Tensor& got, const at::Tensor& want) {
      return (got.to(at::kDouble) - want.to(at::kDouble)).abs().max().item<double>() /
             (want.abs().max().item<double>() + 1e-30);
    };
    for (const auto& [split, suffix] :
         {std::pair<int64_t, std::string>{0, "_E"}, {32, "_official"}}) {
      std::vector<at::Tensor> leaves;
      for (const char* name : {"w", "u", "k", "v"}) {
        leaves.push_back(Tensor(file, p + name).to(at::kDouble).requires_grad_(true));
      }
      const at::Tensor y =
          kernels::BiWkv(leaves[0], leaves[1], leaves[2], leaves[3], split, split != 0);
      y.backward(Tensor(file, p + "gy").to(at::kDouble));
      EXPECT_LE(relative(y, Tensor(file, p + (split ? "y_O64" : "y_E"))), split ? 1e-9 : 1e-13)
          << p;
      const char* names[] = {"gw", "gu", "gk", "gv"};
      const double size = Tensor(file, p + "gv" + suffix).abs().max().item<double>();
      for (int n = 0; n < 4; ++n) {
        const at::Tensor want = Tensor(file, p + names[n] + suffix);
        const double error = (leaves[n].grad() - want).abs().max().item<double>() /
                             std::max(size, want.abs().max().item<double>());
        EXPECT_LE(error, split ? 1e-7 : 1e-12) << p << names[n] << suffix;
      }
      const at::Tensor y32 =
          kernels::BiWkv(leaves[0].to(at::kFloat), leaves[1].to(at::kFloat),
                         leaves[2].to(at::kFloat), leaves[3].to(at::kFloat), split);
      const at::Tensor want = Tensor(file, p + (split ? "y_O64" : "y_E")).to(at::kDouble);
      const double rms = want.square().mean().sqrt().item<double>();
      EXPECT_LE((y32.to(at::kDouble) - want).abs().max().item<double>(), 1e-5 * rms + 2e-6) << p;
    }
  }
  EXPECT_EQ(cases, 12);
}

// ---- training

struct Summary {
  double l2, sum;
};
Summary Summarise(const at::Tensor& x) {
  const at::Tensor d = x.detach().to(at::kDouble);
  return {d.norm().item<double>(), d.sum().item<double>()};
}

void ExpectEntries(const nlohmann::json& want, const at::Tensor& got, double tolerance,
                   const std::string& name) {
  const at::Tensor flat = got.detach().to(at::kDouble).contiguous().flatten();
  const double scale = want["max_abs"];
  for (size_t n = 0; n < want["idx"].size(); ++n) {
    EXPECT_NEAR(flat[want["idx"][n].get<int64_t>()].item<double>(), want["val"][n].get<double>(),
                tolerance * std::max(scale, 1e-12))
        << name;
  }
}

TEST_F(RwkvUnetParity, GradientsAndThreeOptimiserStepsInDouble) {
  const nlohmann::json json = Json("t_gradients_E.json");
  const TensorFile input = File("t_input.safetensors");
  const at::Tensor image = Tensor(input, "image").to(at::kDouble);
  const at::Tensor label = Tensor(input, "label").to(at::kLong);
  auto network = Network(WkvMode::kExact);
  ParameterStore& store = network->parameters();
  store.To(at::kDouble);
  store.RequireGradients(true);
  ForwardOptions options;
  options.training = true;
  torch::optim::AdamW optimiser(store.Trainable(),
                                torch::optim::AdamWOptions(1e-3).weight_decay(1e-3));
  double worst_gradient = 0, worst_loss = 0;
  for (int step = 0; step < 3; ++step) {
    optimiser.zero_grad();
    const at::Tensor logits = network->Forward(image, options);
    const SegmentationLoss loss = ComputeSegmentationLoss(logits, label);
    loss.total.backward();
    const auto& want = json["loss_float64"][step];
    worst_loss =
        std::max(worst_loss, std::abs(loss.total.item<double>() - want["total"].get<double>()));
    EXPECT_NEAR(loss.total.item<double>(), want["total"].get<double>(), 1e-7) << step;
    EXPECT_NEAR(loss.ce.item<double>(), want["ce"].get<double>(), 1e-7) << step;
    EXPECT_NEAR(loss.dice.item<double>(), want["dice"].get<double>(), 1e-7) << step;
    if (step == 0) {
      EXPECT_NEAR(
          Summarise(logits).l2 / json["train_mode_logits_step1_float64"]["l2"].get<double>(), 1,
          1e-9);
      for (const auto& entry : store.entries()) {
        if (!entry.trainable) continue;
        const auto& parameter = json["parameters"][entry.name];
        ASSERT_FALSE(parameter.value("unused", false)) << entry.name;
        if (parameter.value("gradient_is_mathematically_zero", false)) continue;
        const auto& gradient = parameter["grad_float64"];
        const double l2 = gradient["l2"];
        const double error = std::abs(Summarise(entry.value.grad()).l2 - l2) / l2;
        worst_gradient = std::max(worst_gradient, error);
        EXPECT_LE(error, 1e-7) << entry.name;
        ExpectEntries(gradient, entry.value.grad(), 1e-7, entry.name);
      }
      for (const auto& [name, buffer] : json["buffers"].items()) {
        if (!store.Has(name)) continue;
        if (buffer.contains("after_step_1")) {
          EXPECT_EQ(store.Get(name).item<double>(), buffer["after_step_1"].get<double>()) << name;
          continue;
        }
        ExpectEntries(buffer["after_step_1_float64"], store.Get(name), 1e-9, name);
      }
    }
    optimiser.step();
  }
  double worst_step = 0;
  for (const auto& entry : store.entries()) {
    if (!entry.trainable) continue;
    const auto& parameter = json["parameters"][entry.name];
    if (parameter.value("gradient_is_mathematically_zero", false)) continue;
    const auto& after = parameter["after_steps_float64"];
    const double error = std::abs(Summarise(entry.value).l2 - after["l2"].get<double>()) /
                         std::max(after["l2"].get<double>(), 1e-12);
    worst_step = std::max(worst_step, error);
    EXPECT_LE(error, 1e-5) << entry.name;
  }
  std::printf(
      "  losses within %.1e, gradient norms within %.1e, weights after 3 steps within %.1e\n",
      worst_loss, worst_gradient, worst_step);
}

TEST_F(RwkvUnetParity, ThreeFloatStepsStayWithinRounding) {
  const nlohmann::json json = Json("t_gradients_E.json");
  const TensorFile input = File("t_input.safetensors");
  auto network = Network(WkvMode::kExact);
  network->parameters().RequireGradients(true);
  ForwardOptions options;
  options.training = true;
  torch::optim::AdamW optimiser(network->parameters().Trainable(),
                                torch::optim::AdamWOptions(1e-3).weight_decay(1e-3));
  for (int step = 0; step < 3; ++step) {
    optimiser.zero_grad();
    const SegmentationLoss loss = ComputeSegmentationLoss(
        network->Forward(Tensor(input, "image"), options), Tensor(input, "label").to(at::kLong));
    loss.total.backward();
    // The official float32 run itself is 2e-3 away from double after two steps; ours sums batch
    // statistics in channels-last order, which rounds differently.
    EXPECT_NEAR(loss.total.item<double>(), json["loss_float64"][step]["total"].get<double>(),
                step == 0 ? 1e-4 : 8e-3);
    optimiser.step();
  }
}

}  // namespace
}  // namespace avocet::models
