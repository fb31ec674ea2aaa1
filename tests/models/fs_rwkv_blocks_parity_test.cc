// SPDX-License-Identifier: Apache-2.0
// Parts of FS-RWKV against the official implementation: ../shared/parity/fs_rwkv/blocks, and the
// loss against .../metrics.
#include <c10/core/InferenceMode.h>

#include "kernels/bi_wkv.h"
#include "kernels/fso_shift.h"
#include "kernels/haar.h"
#include "models/fs_rwkv/fidelity_block.h"
#include "models/fs_rwkv/token_blocks.h"
#include "models/training/translation_loss.h"
#include "tests/models/fs_rwkv_parity.h"

namespace avocet::models {
namespace {

class FsRwkvBlocksParity : public FsRwkvParity {
 protected:
  // The tensors of `file` that begin with `prefix`, under the names behind it, `with` in front.
  static ParameterStore Store(const TensorFile& file, const std::string& prefix,
                              const std::string& with, at::ScalarType type) {
    ParameterStore store;
    for (const auto& [name, stored] : file.tensors) {
      if (name.rfind(prefix, 0) != 0) continue;
      const at::Tensor value = ToTensor(stored);
      const bool running = name.find("running_") != std::string::npos;
      const bool counter = !value.is_floating_point();
      store.Add(with + name.substr(prefix.size()), counter ? value : value.to(type, false, true),
                !running && !counter);
    }
    return store;
  }
};

TEST_F(FsRwkvBlocksParity, FsoShift) {
  const TensorFile file = File("blocks/fso_shift.safetensors");
  int cases = 0;
  double worst = 0;
  for (const auto& [name, stored] : file.tensors) {
    const size_t end = name.find(".in");
    if (end == std::string::npos) continue;
    const std::string label = name.substr(0, end);  // C48_7x12
    int64_t channels = 0, rows = 0, cols = 0;
    ASSERT_EQ(std::sscanf(label.c_str(), "C%ld_%ldx%ld", &channels, &rows, &cols), 3);
    const at::Tensor x = ToTensor(stored);
    const at::Tensor want = Tensor(file, label + ".out_native_f64");
    worst = std::max(worst, RelativeDifference(kernels::FsoShift(x, rows, cols), want));
    EXPECT_LE(RelativeDifference(kernels::FsoShift(x.to(at::kDouble), rows, cols), want), 2e-7)
        << label;
    if (file.Find(label + ".out_official_scrambled") != nullptr) {
      EXPECT_LE(RelativeDifference(kernels::FsoShift(x, 8, 8),
                                   Tensor(file, label + ".out_official_scrambled")),
                1e-6);
    }
    ++cases;
  }
  std::printf("  %d grids, worst %.2e of the largest entry\n", cases, worst);
  EXPECT_LE(worst, 5e-7);
  EXPECT_EQ(cases, 9);
}

TEST_F(FsRwkvBlocksParity, Haar) {
  const TensorFile file = File("blocks/haar.safetensors");
  int cases = 0;
  for (const auto& [name, stored] : file.tensors) {
    const size_t end = name.find(".in");
    if (end == std::string::npos) continue;
    const std::string label = name.substr(0, end);
    const auto [low, high] = kernels::HaarForward(
        ToTensor(stored), label.rfind("zero", 0) == 0 ? kernels::HaarPadding::kZero
                                                      : kernels::HaarPadding::kSymmetric);
    EXPECT_LE(RelativeDifference(low, Tensor(file, label + ".LL")), 3e-7) << label;
    // The file has [B, C, 3, h, w].
    EXPECT_LE(RelativeDifference(high, Tensor(file, label + ".high").flatten(1, 2)), 3e-7) << label;
    EXPECT_LE(RelativeDifference(kernels::HaarInverse(low, high),
                                 Tensor(file, label + ".reconstruction")),
              5e-7)
        << label;
    ++cases;
  }
  EXPECT_EQ(cases, 6);
}

TEST_F(FsRwkvBlocksParity, Resample) {
  const TensorFile file = File("blocks/resample.safetensors");
  for (const char* name : {"down16", "down48", "up16", "up48"}) {
    const std::string p = name;
    const at::Tensor x = Tensor(file, p + ".in").contiguous(at::MemoryFormat::ChannelsLast);
    const at::Tensor y = at::conv2d(x, Tensor(file, p + ".weight"), {}, 1, 1);
    const at::Tensor got = p[0] == 'd' ? at::pixel_unshuffle(y, 2) : at::pixel_shuffle(y, 2);
    EXPECT_LE(RelativeDifference(got, Tensor(file, p + ".out")), 1e-6) << name;
  }
}

TEST_F(FsRwkvBlocksParity, BiWkv) {
  int cases = 0;
  for (const char* label :
       {"B1_T20_C4", "B1_T64_C8", "B1_T1089_C6", "B1_T4096_C8", "B2_T196_C8", "B2_T1024_C8"}) {
    const TensorFile file = File(std::string("blocks/wkv_") + label + ".safetensors");
    for (const auto& [split, suffix] : {std::pair<int64_t, std::string>{0, "_E"}, {64, "_O"}}) {
      std::vector<at::Tensor> leaves;
      for (const char* name : {"w", "u", "k", "v"}) {
        leaves.push_back(Tensor(file, name).to(at::kDouble).requires_grad_(true));
      }
      const at::Tensor y = kernels::BiWkv(leaves[0], leaves[1], leaves[2], leaves[3], split);
      y.backward(Tensor(file, "gy").to(at::kDouble));
      // The official epsilon adds 1e-6 e^m with a maximum m that depends on the kernel's order.
      EXPECT_LE(RelativeDifference(y, Tensor(file, "y" + suffix)), 1e-9) << label << suffix;
      const char* names[] = {"gw", "gu", "gk", "gv"};
      for (int n = 0; n < 4; ++n) {
        const double error = RelativeDifference(leaves[n].grad(), Tensor(file, names[n] + suffix));
        EXPECT_LE(error, split == 0 ? 1e-9 : 2e-5) << label << " " << names[n] << suffix;
      }
      const at::Tensor single =
          kernels::BiWkv(leaves[0].to(at::kFloat), leaves[1].to(at::kFloat),
                         leaves[2].to(at::kFloat), leaves[3].to(at::kFloat), split);
      EXPECT_LE(RelativeDifference(single, Tensor(file, "y" + suffix)), 3e-6) << label << suffix;
      ++cases;
    }
  }
  EXPECT_EQ(cases, 12);
}

class FsRwkvTokenBlockParity : public FsRwkvBlocksParity,
                               public testing::WithParamInterface<const char*> {};

TEST_P(FsRwkvTokenBlockParity, OutputsInnerTensorsAndGradients) {
  const TensorFile file = File(std::string("blocks/") + GetParam() + ".safetensors");
  const at::Tensor image = Tensor(file, "in");
  const int64_t c = image.size(1), rows = image.size(2), cols = image.size(3);
  const auto tokens_of = [&](const at::Tensor& x) {
    return x.permute({0, 2, 3, 1}).reshape({x.size(0), rows * cols, c}).contiguous();
  };
  const auto image_of = [&](const at::Tensor& x) {
    return x.view({image.size(0), rows, cols, c}).permute({0, 3, 1, 2});
  };
  for (const auto& form :
       {std::pair{WkvMode::kExact, std::string("E")}, {WkvMode::kOfficial64, "O"}}) {
    const WkvMode mode = form.first;
    const std::string& suffix = form.second;
    const at::Tensor want = Tensor(file, "out_" + suffix);
    {  // float32: both paths, inner tensors
      const ParameterStore store = Store(file, "param.", "b.", at::kFloat);
      int inner = 0;
      const ActivationHook hook = [&](const std::string& name, const at::Tensor& value) {
        const StoredTensor* stored = file.Find("act_" + suffix + "." + name.substr(2));
        if (stored == nullptr) return;
        EXPECT_LE(RelativeDifference(value, ToTensor(*stored)), 2e-6) << name;
        ++inner;
      };
      ForwardOptions options;
      options.hook = &hook;
      const FsTokenBlocks blocks(store, mode, options);
      const double plain =
          RelativeDifference(image_of(blocks.Block("b", tokens_of(image), {rows, cols})), want);
      EXPECT_EQ(inner, suffix == "E" ? 13 : 0);
      c10::InferenceMode inference;
      at::Tensor tokens = tokens_of(image).clone();
      blocks.BlockInPlace("b", tokens, {rows, cols});
      const double fused = RelativeDifference(image_of(tokens), want);
      std::printf("  %s %s plain %.2e fused %.2e\n", GetParam(), suffix.c_str(), plain, fused);
      EXPECT_LE(plain, 2e-6);
      EXPECT_LE(fused, 2e-6);
    }
    ParameterStore store = Store(file, "param.", "b.", at::kDouble);  // gradients
    store.RequireGradients(true);
    const ForwardOptions options;
    const at::Tensor leaf = image.to(at::kDouble).requires_grad_(true);
    const at::Tensor out =
        image_of(FsTokenBlocks(store, mode, options).Block("b", tokens_of(leaf), {rows, cols}));
    if (suffix == "E") {
      EXPECT_LE(RelativeDifference(out, Tensor(file, "out_E_f64")), 1e-7);
    }
    out.backward(Tensor(file, "gy").to(at::kDouble));
    double worst = 0;
    int compared = 0;
    for (const auto& entry : store.entries()) {
      const double error = RelativeDifference(
          entry.value.grad(), Tensor(file, "grad_" + suffix + "." + entry.name.substr(2)));
      EXPECT_LE(error, 3e-6) << entry.name;
      worst = std::max(worst, error);
      ++compared;
    }
    EXPECT_LE(RelativeDifference(leaf.grad(), Tensor(file, "grad_" + suffix + ".in")), 3e-6);
    std::printf("  %s %s %d gradients, worst %.1e of the largest entry\n", GetParam(),
                suffix.c_str(), compared, worst);
    EXPECT_EQ(compared, 20);
  }
}

INSTANTIATE_TEST_SUITE_P(Blocks, FsRwkvTokenBlockParity,
                         testing::Values("crb_C24_6x10_native", "crb_C24_9x9", "crb_C48_16x16"));

// The block of that file ran with Haar filters rounded to float16 (0.70703125), so that its
// transforms scale by 2 a^2. The scale goes into the weights behind them.
constexpr double kFilterScale = 2 * 0.70703125 * 0.70703125;
bool BehindTransform(const std::string& name) {
  for (const char* part : {"processor.conv_", "low_back_conv.weight", "high_back_conv.weight"}) {
    if (name.find(part) != std::string::npos) return name.find(".norm.") == std::string::npos;
  }
  return false;
}
void ScaleFilters(ParameterStore& store) {
  for (const auto& entry : store.entries()) {
    at::Tensor value = entry.value;
    if (BehindTransform(entry.name)) value.mul_(kFilterScale);
  }
}

TEST_F(FsRwkvBlocksParity, FidelityBlock) {
  const TensorFile file = File("blocks/sfeb_C24_16x20.safetensors");
  const at::Tensor image = Tensor(file, "in");
  {  // evaluation, both paths, inner tensors
    ParameterStore store = Store(file, "state.", "b.", at::kFloat);
    ScaleFilters(store);
    int inner = 0;
    double worst = 0;
    const ActivationHook hook = [&](const std::string& name, const at::Tensor& value) {
      const StoredTensor* stored = name == "b" ? nullptr : file.Find("act_eval." + name.substr(2));
      if (stored == nullptr) return;
      at::Tensor want = ToTensor(*stored);
      if (name.find(".dwt.") != std::string::npos) want = want / kFilterScale;
      if (name.find("_back_conv") != std::string::npos) want = want * kFilterScale;
      const double error = RelativeDifference(value.reshape(want.sizes()), want);
      EXPECT_LE(error, 1e-5) << name;
      worst = std::max(worst, error);
      ++inner;
    };
    ForwardOptions options;
    options.hook = &hook;
    const FsFidelityBlock block(store, "b", options);
    const at::Tensor want = Tensor(file, "out_eval_f64");
    const double plain = MaxDifference(block.Forward(image), want);
    c10::InferenceMode inference;
    const double fused = MaxDifference(block.Infer(image), want);
    std::printf("  sfeb plain %.2e fused %.2e, %d inner tensors, worst %.2e\n", plain, fused, inner,
                worst);
    EXPECT_LE(plain, 1e-5);
    EXPECT_LE(fused, 1e-5);
    EXPECT_GE(inner, 50);
  }
  // Training: output, gradients, buffers.
  ParameterStore store = Store(file, "state.", "b.", at::kDouble);
  ScaleFilters(store);
  store.RequireGradients(true);
  ForwardOptions options;
  options.training = true;
  const at::Tensor leaf = image.to(at::kDouble).requires_grad_(true);
  const at::Tensor out = FsFidelityBlock(store, "b", options).Forward(leaf);
  EXPECT_LE(MaxDifference(out, Tensor(file, "out_train")), 1e-5);
  out.backward(Tensor(file, "gy").to(at::kDouble));
  int compared = 0, buffers = 0;
  double worst = 0;
  for (const auto& entry : store.entries()) {
    const std::string name = entry.name.substr(2);
    if (entry.name.find("cv2.bn.bias") != std::string::npos) continue;  // exactly zero, noise
    if (const StoredTensor* want = file.Find("grad_train." + name)) {
      const double scale = BehindTransform(name) ? kFilterScale : 1;
      const double error = RelativeDifference(entry.value.grad() * scale, ToTensor(*want));
      EXPECT_LE(error, 1e-5) << name;
      worst = std::max(worst, error);
      ++compared;
    }
    if (const StoredTensor* want = file.Find("buffer_after_one_train_forward." + name)) {
      EXPECT_LE(RelativeDifference(entry.value, ToTensor(*want)), 1e-5) << name;
      ++buffers;
    }
  }
  EXPECT_LE(RelativeDifference(leaf.grad(), Tensor(file, "grad_train.in")), 1e-5);
  std::printf("  sfeb training: %d gradients, worst %.1e of the largest entry; %d buffers\n",
              compared, worst, buffers);
  EXPECT_EQ(compared, 100);
  EXPECT_EQ(buffers, 48);
}

TEST_F(FsRwkvBlocksParity, LossTerms) {
  const nlohmann::json json = Json("metrics/metrics.json");
  int compared = 0;
  for (const auto& [version, entry] : json["versions"].items()) {
    const bool crop = version == "0.11.4" || version == "1.4.1";
    for (const auto& [name, values] : entry["cases"].items()) {
      const TensorFile file = File("metrics/" + name + ".safetensors");
      TranslationLossOptions options;
      options.border = crop ? SsimBorder::kCrop : SsimBorder::kFull;
      const TranslationLoss loss =
          ComputeTranslationLoss(Tensor(file, "prediction"), Tensor(file, "target"), options);
      const auto& want = values["training_loss"];
      EXPECT_NEAR(loss.smooth_l1.item<double>(), want["smooth_L1"].get<double>(), 1e-9);
      // The official float32 SSIM cancels in flat bright regions: 8e-5 in the mean.
      EXPECT_NEAR(loss.ssim.item<double>(), want["L_ssim"].get<double>(), 1e-4) << version << name;
      EXPECT_NEAR(loss.edge.item<double>(), want["L_edge"].get<double>(), 1e-7);
      EXPECT_NEAR(loss.total.item<double>(), want["total"].get<double>(), 4e-5);
      ++compared;
    }
  }
  EXPECT_EQ(compared, 12);
}

}  // namespace
}  // namespace avocet::models
