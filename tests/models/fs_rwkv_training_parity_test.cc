// SPDX-License-Identifier: Apache-2.0
// Gradients and three optimiser steps of FS-RWKV against the official implementation:
// ../shared/parity/fs_rwkv/small_dim24/gradients_E_2x64x64.
#include <set>

#include "models/training/optimizer.h"
#include "models/training/translation_loss.h"
#include "tests/models/fs_rwkv_parity.h"

namespace avocet::models {
namespace {

class FsRwkvTrainingParity : public FsRwkvParity {
 protected:
  void SetUp() override {
    FsRwkvParity::SetUp();
    if (folder_.empty()) return;
    json_ = Json("small_dim24/gradients_E_2x64x64.json");
    tensors_ = File("small_dim24/gradients_E_2x64x64_tensors.safetensors");
    for (const std::string name : json_["structurally_zero_gradient"]) zero_.insert(name);
    options_.training = true;
  }

  std::unique_ptr<FsRwkv> Network(at::ScalarType type) const {
    FsLoadOptions load;
    load.wkv = WkvMode::kExact;
    auto network = LoadFsRwkv(File("small_dim24/best_ssim_0.pth"), "best_ssim_0.pth", load);
    network->parameters().To(type);
    network->parameters().RequireGradients(true);
    return network;
  }

  // The recipe: AdamW with decay on everything.
  static AdamWOptions Recipe() {
    AdamWOptions options;
    options.weight_decay = 1e-2;
    options.decay_everything = true;
    return options;
  }

  nlohmann::json json_;
  TensorFile tensors_;
  std::set<std::string> zero_;
  ForwardOptions options_;
};

// Worst difference of the sampled entries relative to the tensor's largest entry, and of its norm.
struct Sampled {
  double entry, norm;
};
Sampled Compare(const nlohmann::json& want, const at::Tensor& got, const char* suffix) {
  const at::Tensor flat = got.detach().to(at::kDouble).contiguous().flatten();
  const double scale = std::max(want["max_abs"].get<double>(), 1e-12);
  Sampled worst{
      0, std::abs(flat.norm().item<double>() / want[std::string("l2") + suffix].get<double>() - 1)};
  for (size_t n = 0; n < want["idx"].size(); ++n) {
    const double value = flat[want["idx"][n].get<int64_t>()].item<double>();
    worst.entry = std::max(
        worst.entry, std::abs(value - want[std::string("val") + suffix][n].get<double>()) / scale);
  }
  return worst;
}

TEST_F(FsRwkvTrainingParity, GradientsAndThreeStepsInDouble) {
  const at::Tensor image = Tensor(tensors_, "input").to(at::kDouble),
                   target = Tensor(tensors_, "target").to(at::kDouble);
  const auto network = Network(at::kDouble);
  AdamW optimizer(network->parameters(), Recipe());
  for (int step = 0; step <= 3; ++step) {
    optimizer.ZeroGradients();
    const at::Tensor output = network->Forward(image, options_);
    if (step == 0) {
      EXPECT_LE(MaxDifference(output, Tensor(tensors_, "output_train_step0_f64")), 2e-7);
    }
    if (step == 3) {  // a forward pass without update
      EXPECT_LE(MaxDifference(output, Tensor(tensors_, "output_train_after_3_steps_f64")), 2e-5);
      break;
    }
    const TranslationLoss loss = ComputeTranslationLoss(output, target);
    loss.total.backward();
    const auto& want = json_["losses_f64"][step];
    EXPECT_NEAR(loss.total.item<double>(), want["total"].get<double>(), step == 0 ? 1e-8 : 1e-5);
    EXPECT_NEAR(loss.smooth_l1.item<double>(), want["smooth_L1"].get<double>(),
                step == 0 ? 1e-8 : 1e-5);
    EXPECT_NEAR(loss.ssim.item<double>(), want["L_ssim"].get<double>(), step == 0 ? 1e-8 : 1e-5);
    EXPECT_NEAR(loss.edge.item<double>(), want["L_edge"].get<double>(), step == 0 ? 1e-8 : 1e-5);
    if (step == 0) {
      Sampled worst{0, 0};
      int compared = 0;
      for (const auto& entry : network->parameters().entries()) {
        if (!entry.trainable || zero_.count(entry.name) != 0) continue;
        const Sampled s = Compare(json_["gradients_step0"][entry.name], entry.value.grad(), "_f64");
        EXPECT_LE(s.entry, 1e-5) << entry.name;
        EXPECT_LE(s.norm, 1e-5) << entry.name;
        worst = {std::max(worst.entry, s.entry), std::max(worst.norm, s.norm)};
        ++compared;
      }
      std::printf("  %d gradients, worst entry %.1e, worst norm %.1e\n", compared, worst.entry,
                  worst.norm);
      EXPECT_EQ(compared, 694);
    }
    optimizer.Step(2e-4);
    if (step == 0 || step == 2) {
      const auto& after = json_[step == 0 ? "parameters_after_1_step" : "parameters_after_3_steps"];
      Sampled worst{0, 0};
      for (const auto& entry : network->parameters().entries()) {
        if (!entry.trainable || zero_.count(entry.name) != 0) continue;
        const Sampled s = Compare(after[entry.name], entry.value, "_f64");
        EXPECT_LE(s.norm, 1e-5) << entry.name;
        worst = {std::max(worst.entry, s.entry), std::max(worst.norm, s.norm)};
      }
      std::printf("  parameters after %d steps: worst entry %.1e, worst norm %.1e\n", step + 1,
                  worst.entry, worst.norm);
    }
  }
  int buffers = 0;
  for (const auto& entry : network->parameters().entries()) {
    if (entry.trainable) continue;
    const auto& want = json_["buffers_after_4_train_forwards"][entry.name];
    ASSERT_FALSE(want.is_null()) << entry.name;
    if (!entry.value.is_floating_point()) {
      EXPECT_EQ(entry.value.item<int64_t>(), want["val"][0].get<int64_t>()) << entry.name;
    } else {
      // The file has them of the float32 run only, three optimiser steps away.
      EXPECT_LE(Compare(want, entry.value, "").norm, 5e-3) << entry.name;
    }
    ++buffers;
  }
  EXPECT_EQ(buffers, 144);
}

// Tolerances: what the README says two correct float32 programs differ by.
TEST_F(FsRwkvTrainingParity, GradientsInSinglePrecision) {
  const auto network = Network(at::kFloat);
  const at::Tensor output = network->Forward(Tensor(tensors_, "input"), options_);
  EXPECT_LE(MaxDifference(output, Tensor(tensors_, "output_train_step0_f64")), 1e-4);
  const TranslationLoss loss = ComputeTranslationLoss(output, Tensor(tensors_, "target"));
  EXPECT_NEAR(loss.total.item<double>(), json_["losses_f64"][0]["total"].get<double>(), 2e-6);
  loss.total.backward();
  std::vector<double> entries;
  double worst_norm = 0;
  for (const auto& entry : network->parameters().entries()) {
    if (!entry.trainable || zero_.count(entry.name) != 0) continue;
    const Sampled s = Compare(json_["gradients_step0"][entry.name], entry.value.grad(), "_f64");
    entries.push_back(s.entry);
    worst_norm = std::max(worst_norm, s.norm);
  }
  std::sort(entries.begin(), entries.end());
  std::printf(
      "  float32 gradients: median entry %.1e, 99th percentile %.1e, worst %.1e, norm %.1e\n",
      entries[entries.size() / 2], entries[entries.size() * 99 / 100], entries.back(), worst_norm);
  EXPECT_LE(entries[entries.size() / 2], 1e-5);
  EXPECT_LE(entries[entries.size() * 99 / 100], 1e-3);
  EXPECT_LE(entries.back(), 7e-3);
  EXPECT_LE(worst_norm, 3e-3);
}

}  // namespace
}  // namespace avocet::models
