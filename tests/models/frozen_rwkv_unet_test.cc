// SPDX-License-Identifier: Apache-2.0
// The shipped model on the shipped cases: what the frozen network and its precisions change in a
// mask.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <optional>

#include "app/base/error.h"
#include "io/volume_io.h"
#include "models/load_network.h"
#include "models/predict/predictor.h"
#include "tests/support/test_support.h"

namespace avocet::models {
namespace {

using Labels = std::vector<uint16_t>;

double DiceOf(const Labels& a, const Labels& b, int label) {
  int64_t both = 0, sum = 0;
  for (size_t n = 0; n < a.size(); ++n) {
    both += a[n] == label && b[n] == label;
    sum += (a[n] == label) + (b[n] == label);
  }
  return 2.0 * static_cast<double>(both) / static_cast<double>(sum);
}

struct ShippedCase {
  Labels reference;
  io::Volume image;
  std::vector<float> values;
};

class ShippedModel : public testing::Test {
 protected:
  void SetUp() override {
    const auto path = test::ShippedData("models/hippocampus-rwkv-unet-t.safetensors");
    ASSERT_TRUE(std::filesystem::exists(path)) << "the model that ships is missing";
    const TensorFile file = ReadTensorFile(path);
    card_ = CardOf(file);
    network_ = LoadRwkvUnet(file, path.string());
    for (const auto& image : io::ListVolumes(test::ShippedData("hippocampus/images"))) {
      ShippedCase item;
      item.image = io::ReadVolume(image);
      item.values = item.image.ToFloat();
      const auto labels =
          io::ReadVolume(test::ShippedData("hippocampus/labels") / image.filename()).ToLabels("l");
      item.reference.assign(labels.begin(), labels.end());
      cases_.push_back(std::move(item));
    }
    ASSERT_EQ(cases_.size(), 5u);
  }

  std::vector<Labels> Segment(std::optional<Precision> precision) {
    precision ? network_->Freeze(*precision) : network_->Thaw();
    std::vector<Labels> masks;
    for (const ShippedCase& item : cases_) {
      VolumeView view;
      view.values = item.values.data();
      view.size = item.image.geometry.size;
      view.spacing = item.image.geometry.spacing;
      view.direction = item.image.geometry.direction;
      const auto logits = [this](const at::Tensor& image) { return network_->Forward(image); };
      masks.push_back(PredictVolume(logits, card_, view, {}, {}).labels);
    }
    return masks;
  }

  // Mean over cases and the two labels.
  double MeanDice(const std::vector<Labels>& masks) const {
    double sum = 0;
    for (size_t n = 0; n < masks.size(); ++n) {
      for (const int label : {1, 2}) sum += DiceOf(masks[n], cases_[n].reference, label);
    }
    return sum / static_cast<double>(2 * masks.size());
  }

  ModelCard card_;
  std::unique_ptr<RwkvUnet> network_;
  std::vector<ShippedCase> cases_;
};

TEST_F(ShippedModel, FrozenLabelsAreTheSame) {
  EXPECT_EQ(Segment(Precision::kFloat32), Segment(std::nullopt));
}

TEST_F(ShippedModel, BFloat16ChangesHardlyAVoxel) {
  try {
    PrecisionFromName("bfloat16", at::kCPU);
  } catch (const DeviceError& error) {
    GTEST_SKIP() << error.what();
  }
  const std::vector<Labels> plain = Segment(Precision::kFloat32),
                            rounded = Segment(Precision::kBFloat16);
  int64_t voxels = 0, foreground = 0, other = 0;
  for (size_t n = 0; n < plain.size(); ++n) {
    for (size_t v = 0; v < plain[n].size(); ++v) {
      ++voxels;
      foreground += plain[n][v] != 0;
      other += plain[n][v] != rounded[n][v];
    }
  }
  const double dice = MeanDice(plain), rounded_dice = MeanDice(rounded);
  std::printf("  %lld of %lld voxels differ (%lld foreground); Dice %.5f and %.5f\n",
              static_cast<long long>(other), static_cast<long long>(voxels),
              static_cast<long long>(foreground), dice, rounded_dice);
  EXPECT_GT(dice, 0.83);
  EXPECT_NEAR(rounded_dice, dice, 0.002);
  EXPECT_LE(static_cast<double>(other), 1e-3 * static_cast<double>(voxels));
  EXPECT_GT(other, 0);  // it is another arithmetic
}

}  // namespace
}  // namespace avocet::models
