// SPDX-License-Identifier: Apache-2.0
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <numeric>

#include "app/base/error.h"
#include "models/predict/graphed.h"
#include "models/predict/predictor.h"
#include "tests/models/orientations.h"

namespace avocet::models {
namespace {

using test::AllOrientations;
using test::OrientedVolume;
using test::Reorient;
using test::ReorientValues;

ModelCard Card(int classes) {
  ModelCard card;
  card.architecture = "rwkv-unet";
  card.task = "segmentation";
  for (int c = 0; c < classes; ++c) card.labels.push_back({c == 0 ? 0 : 10 * c + 1, "class", {}});
  return card;
}

OrientedVolume RandomVolume(std::array<int64_t, 3> size) {
  at::manual_seed(7);
  OrientedVolume volume;
  volume.size = size;
  volume.spacing = {0.8, 1.1, 2.5};
  const at::Tensor values = at::rand({size[0] * size[1] * size[2]});
  volume.values.assign(values.data_ptr<float>(), values.data_ptr<float>() + values.numel());
  return volume;
}

// A network without any symmetry: a random convolution, and a term that tells where a pixel lies.
class Asymmetric {
 public:
  Asymmetric(int channels, int classes) {
    at::manual_seed(11);
    weight_ = at::randn({classes, channels, 3, 3});
    weight_ = weight_ - weight_.mean({1, 2, 3}, /*keepdim=*/true);
    slope_ = at::randn({2, classes, 1, 1});
  }
  at::Tensor operator()(const at::Tensor& x) const {
    ++calls;
    largest_batch = std::max(largest_batch, x.size(0));
    const at::Tensor rows =
        at::arange(x.size(2), at::kFloat).reshape({1, 1, -1, 1}) / x.size(2) - 0.5;
    const at::Tensor columns =
        at::arange(x.size(3), at::kFloat).reshape({1, 1, 1, -1}) / x.size(3) - 0.5;
    return at::conv2d(x, weight_, {}, 1, 1) + slope_[0] * rows + slope_[1] * columns;
  }
  mutable int64_t calls = 0;
  mutable int64_t largest_batch = 0;

 private:
  at::Tensor weight_, slope_;
};

class PredictOrientation : public testing::TestWithParam<std::string> {};

TEST_P(PredictOrientation, All48StorageOrdersGiveOneMask) {
  const OrientedVolume lps = RandomVolume({9, 8, 7});
  for (const std::string resample : {"native", "spacing"}) {
    for (const int context : {0, 1}) {
      ModelCard card = Card(4);
      card.plane = GetParam();
      card.preprocessing.resample = resample;
      card.preprocessing.intensity = "percentile";
      card.preprocessing.context = context;
      const Asymmetric network(2 * context + 1, 4);
      const LogitsFunction logits = [&](const at::Tensor& x) { return network(x); };
      PredictOptions options;
      options.batch = 3;
      const Prediction expected = PredictVolume(logits, card, lps.View(), options, {});
      // The mask must have something to tell apart.
      for (const int value : {0, 11, 21, 31}) {
        ASSERT_GT(std::count(expected.labels.begin(), expected.labels.end(), value), 5);
      }
      for (const auto& orientation : AllOrientations()) {
        const OrientedVolume turned = Reorient(lps, orientation);
        const Prediction got = PredictVolume(logits, card, turned.View(), options, {});
        ASSERT_EQ(got.labels, ReorientValues(expected.labels, lps.size, orientation));
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Planes, PredictOrientation,
                         testing::Values("axial", "coronal", "sagittal"));

TEST(Predict, APixelwiseNetworkReturnsTheThresholdedVolume) {
  const OrientedVolume volume = RandomVolume({5, 4, 9});
  const LogitsFunction threshold = [](const at::Tensor& x) {
    return at::cat({at::full_like(x, 0.4), x}, 1);
  };
  for (const std::string plane : {"axial", "coronal", "sagittal"}) {
    ModelCard card = Card(2);
    card.plane = plane;
    PredictOptions options;
    options.probabilities = true;
    const Prediction got = PredictVolume(threshold, card, volume.View(), options, {});
    ASSERT_EQ(got.probabilities.size(), 2u);
    for (size_t v = 0; v < volume.values.size(); ++v) {
      ASSERT_EQ(got.labels[v], volume.values[v] > 0.4f ? 11 : 0);
      const double odds = std::exp(volume.values[v] - 0.4);
      ASSERT_NEAR(got.probabilities[1][v], odds / (1 + odds), 1e-6);
      ASSERT_NEAR(got.probabilities[0][v] + got.probabilities[1][v], 1, 1e-6);
    }
  }
}

TEST(Predict, SlicesGoInBatchesAndProgressIsReported) {
  const OrientedVolume volume = RandomVolume({4, 4, 10});
  const Asymmetric network(1, 2);
  PredictOptions options;
  options.batch = 4;
  std::vector<int64_t> done;
  PredictVolume([&](const at::Tensor& x) { return network(x); }, Card(2), volume.View(), options,
                [&](int64_t n, int64_t total) {
                  EXPECT_EQ(total, 10);
                  done.push_back(n);
                });
  EXPECT_EQ(done, (std::vector<int64_t>{4, 8, 10}));
  EXPECT_EQ(network.calls, 3);
  EXPECT_EQ(network.largest_batch, 4);
  // The batch size is no part of the result.
  options.batch = 1;
  const LogitsFunction logits = [&](const at::Tensor& x) { return network(x); };
  const auto one = PredictVolume(logits, Card(2), volume.View(), options, {});
  options.batch = 64;
  EXPECT_EQ(PredictVolume(logits, Card(2), volume.View(), options, {}).labels, one.labels);
}

TEST(Predict, ProgressCanCancel) {
  const OrientedVolume volume = RandomVolume({4, 4, 10});
  const Asymmetric network(1, 2);
  PredictOptions options;
  options.batch = 2;
  const auto cancel = [](int64_t done, int64_t) {
    if (done == 4) throw Cancelled();
  };
  EXPECT_THROW(PredictVolume([&](const at::Tensor& x) { return network(x); }, Card(2),
                             volume.View(), options, cancel),
               Cancelled);
  EXPECT_EQ(network.calls, 2);
}

TEST(Predict, TestTimeAugmentationAveragesLogitsOfFlipsAndTurns) {
  at::manual_seed(3);
  const at::Tensor image = at::rand({2, 1, 6, 4});
  const Asymmetric network(1, 3);
  const LogitsFunction f = [&](const at::Tensor& x) { return network(x); };
  const auto flip = [](const at::Tensor& x) { return x.flip(3); };
  // A quarter turn counter-clockwise: transpose, then reverse the rows.
  const auto turn = [](const at::Tensor& x) { return x.transpose(2, 3).flip(2); };
  const auto unturn = [](const at::Tensor& x) { return x.flip(2).transpose(2, 3); };
  const at::Tensor plain = f(image);
  const at::Tensor flipped = flip(f(flip(image).contiguous()));
  const at::Tensor turned = unturn(f(turn(image).contiguous()));
  const at::Tensor both = flip(unturn(f(turn(flip(image)).contiguous())));
  EXPECT_TRUE(at::allclose(AugmentedLogits(f, image, "none"), plain));
  EXPECT_TRUE(at::allclose(AugmentedLogits(f, image, "flip"), (plain + flipped) / 2, 1e-5, 1e-6));
  EXPECT_TRUE(at::allclose(AugmentedLogits(f, image, "flip-rot"),
                           (plain + flipped + turned + both) / 4, 1e-5, 1e-6));
  // With flips averaged the network no longer tells left from right.
  EXPECT_TRUE(at::allclose(AugmentedLogits(f, flip(image), "flip"),
                           flip(AugmentedLogits(f, image, "flip")), 1e-5, 1e-6));
}

TEST(Predict, TransunetRouteZoomsSlicesOfTheArrayAsStored) {
  // 232 -> 224: by rounding the last column falls outside (spec/rwkv_unet.md 16.2) and becomes 0,
  // so this network calls it background.
  OrientedVolume volume;
  volume.size = {232, 40, 3};
  volume.direction = {0, 0, 1, -1, 0, 0, 0, 1, 0};
  volume.values.assign(232 * 40 * 3, 1.0f);
  ModelCard card = Card(2);
  card.preprocessing.resample = "transunet";
  card.preprocessing.size = {20, 224};
  std::vector<std::vector<int64_t>> shapes;
  const LogitsFunction bright = [&](const at::Tensor& x) {
    shapes.push_back(x.sizes().vec());
    // The zoomed constant is 1 up to the last column, which is 0.
    EXPECT_LT((x.narrow(3, 0, 223) - 1).abs().max().item<float>(), 1e-5);
    EXPECT_EQ(x.select(3, 223).abs().max().item<float>(), 0);
    return at::cat({at::full_like(x, 0.5), x}, 1);
  };
  PredictOptions options;
  options.batch = 2;
  const Prediction got = PredictVolume(bright, card, volume.View(), options, {});
  EXPECT_EQ(shapes, (std::vector<std::vector<int64_t>>{{2, 1, 20, 224}, {1, 1, 20, 224}}));
  for (int64_t row = 0; row < 120; ++row) {
    for (int64_t column = 0; column < 232; ++column) {
      ASSERT_EQ(got.labels[row * 232 + column], column < 231 ? 11 : 0) << row << " " << column;
    }
  }
}

TEST(Predict, MisfitsAreModelErrors) {
  const OrientedVolume volume = RandomVolume({4, 4, 4});
  const Asymmetric network(1, 3);
  const LogitsFunction f = [&](const at::Tensor& x) { return network(x); };
  EXPECT_THROW(PredictVolume(f, Card(2), volume.View(), {}, {}), ModelError);
  const LogitsFunction half = [](const at::Tensor& x) { return at::avg_pool2d(x, 2); };
  EXPECT_THROW(PredictVolume(half, Card(1), volume.View(), {}, {}), ModelError);
  PredictOptions options;
  options.tta = "everything";
  EXPECT_THROW(PredictVolume(f, Card(3), volume.View(), options, {}), OptionError);
  options = {};
  options.batch = 0;
  EXPECT_THROW(PredictVolume(f, Card(3), volume.View(), options, {}), OptionError);
}

// A graph as a GPU has it, played by the CPU: recorded once, launched again.
class PlayedGraph : public kernels::DeviceGraph {
 public:
  static inline bool broken = false;
  static inline int recorded = 0;
  void Record(const std::function<void()>& work) override {
    TORCH_CHECK(!broken, "operation not permitted when stream is capturing");
    ++recorded;
    work_ = work;
    work_();
  }
  void Launch() override { work_(); }

 private:
  std::function<void()> work_;
};

TEST(GraphedNetwork, RecordsOnceForEachShapeAndReturnsWhatTheNetworkDoes) {
  kernels::RegisterDeviceGraphs(c10::kCPU,
                                [](c10::Device) -> std::unique_ptr<kernels::DeviceGraph> {
                                  return std::make_unique<PlayedGraph>();
                                });
  PlayedGraph::recorded = 0;
  std::map<int64_t, at::Tensor> memory;  // the same addresses in every run, as in a graph
  const auto network = [&](const at::Tensor& x) {
    at::Tensor& y = memory[x.numel()];
    if (!y.defined()) y = at::empty_like(x);
    return y.copy_(x * 2 + 1);
  };
  GraphedNetwork graphed(network, 2);
  std::vector<std::pair<at::Tensor, at::Tensor>> all;
  for (int n = 0; n < 6; ++n) {
    for (const int64_t batch : {8, 3}) {
      const at::Tensor x = at::rand({batch, 4});
      all.emplace_back(x * 2 + 1, graphed.Forward(x));
      EXPECT_TRUE(at::equal(all.back().first, all.back().second)) << n;
    }
  }
  EXPECT_EQ(PlayedGraph::recorded, 2);
  // What was returned by a launch stays as it is.
  for (size_t n = 4; n < all.size(); ++n) EXPECT_TRUE(at::equal(all[n].first, all[n].second)) << n;
  // A third shape takes the place of the one that was not used for longest.
  for (int n = 0; n < 4; ++n) graphed.Forward(at::rand({5, 4}));
  for (int n = 0; n < 4; ++n) graphed.Forward(at::rand({3, 4}));
  EXPECT_EQ(PlayedGraph::recorded, 3);
  for (int n = 0; n < 4; ++n) graphed.Forward(at::rand({8, 4}));
  EXPECT_EQ(PlayedGraph::recorded, 4);
  EXPECT_EQ(graphed.Problem(), "");
  kernels::RegisterDeviceGraphs(c10::kCPU, nullptr);
}

TEST(GraphedNetwork, RunsAsItIsWhereItCannotBeRecorded) {
  const auto network = [](const at::Tensor& x) { return x + 1; };
  GraphedNetwork without(network);
  for (int n = 0; n < 4; ++n) {
    const at::Tensor x = at::rand({3});
    EXPECT_TRUE(at::equal(without.Forward(x), x + 1));
  }
  EXPECT_EQ(without.Problem(), "this device has no graphs");

  kernels::RegisterDeviceGraphs(c10::kCPU,
                                [](c10::Device) -> std::unique_ptr<kernels::DeviceGraph> {
                                  return std::make_unique<PlayedGraph>();
                                });
  PlayedGraph::broken = true;
  GraphedNetwork failing(network);
  for (int n = 0; n < 4; ++n) {
    const at::Tensor x = at::rand({3});
    EXPECT_TRUE(at::equal(failing.Forward(x), x + 1));
  }
  EXPECT_NE(failing.Problem().find("not permitted"), std::string::npos);
  PlayedGraph::broken = false;
  kernels::RegisterDeviceGraphs(c10::kCPU, nullptr);
}

}  // namespace
}  // namespace avocet::models
