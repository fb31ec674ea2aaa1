// SPDX-License-Identifier: Apache-2.0
#include "models/predict/slicing.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>

#include "app/base/error.h"
#include "tests/models/orientations.h"

namespace avocet::models {
namespace {

using test::AllOrientations;
using test::OrientedVolume;
using test::Reorient;

ModelCard CardFor(const std::string& plane) {
  ModelCard card;
  card.architecture = "rwkv-unet";
  card.plane = plane;
  return card;
}

// A volume in LPS index order whose value tells the position.
OrientedVolume Numbered(std::array<int64_t, 3> size) {
  OrientedVolume volume;
  volume.size = size;
  volume.spacing = {0.5, 1.0, 2.0};
  volume.values.resize(size[0] * size[1] * size[2]);
  std::iota(volume.values.begin(), volume.values.end(), 1.0f);
  return volume;
}

TEST(SliceLayout, CanonicalSlicesFollowTheDocumentedDirections) {
  const OrientedVolume lps = Numbered({3, 4, 5});
  const auto value = [&](int64_t l, int64_t p, int64_t s) {
    return lps.values[(s * 4 + p) * 3 + l];
  };
  const auto slices_of = [&](const std::string& plane) {
    const SliceSource source(lps.View(), CardFor(plane));
    return source.Batch(0, source.slices()).squeeze(1);
  };
  const at::Tensor axial = slices_of("axial");
  ASSERT_EQ(axial.sizes(), at::IntArrayRef({5, 4, 3}));
  EXPECT_EQ(axial[1][2][0].item<float>(), value(0, 2, 1));
  const at::Tensor coronal = slices_of("coronal");
  ASSERT_EQ(coronal.sizes(), at::IntArrayRef({4, 5, 3}));
  EXPECT_EQ(coronal[1][0][2].item<float>(), value(2, 1, 4));  // the first row is the most superior
  const at::Tensor sagittal = slices_of("sagittal");
  ASSERT_EQ(sagittal.sizes(), at::IntArrayRef({3, 5, 4}));
  EXPECT_EQ(sagittal[2][4][1].item<float>(), value(2, 1, 0));
}

TEST(SliceLayout, EveryOrientationGivesTheSameSlicesAndComesBack) {
  const OrientedVolume lps = Numbered({3, 4, 5});
  for (const std::string plane : {"axial", "coronal", "sagittal"}) {
    const SliceSource expected(lps.View(), CardFor(plane));
    const at::Tensor want = expected.Batch(0, expected.slices());
    for (const auto& orientation : AllOrientations()) {
      const OrientedVolume turned = Reorient(lps, orientation);
      const SliceSource source(turned.View(), CardFor(plane));
      ASSERT_TRUE(at::equal(source.Batch(0, source.slices()), want)) << plane;
      EXPECT_EQ(source.layout().spacing, expected.layout().spacing);
      // A part of the slices is the same as that part of all slices.
      ASSERT_TRUE(at::equal(source.Batch(1, 2), want.narrow(0, 1, 2))) << plane;
      const at::Tensor back = StoredFromCanonical(want.squeeze(1), source.layout());
      ASSERT_TRUE(at::equal(back.flatten(), at::tensor(turned.values)));
    }
  }
}

TEST(SliceLayout, ObliqueVolumesUseEachIndexAxisOnce) {
  VolumeView view;
  view.size = {2, 3, 4};
  // 45 degrees about the first axis: j and k are equally near to P and S.
  const double h = std::sqrt(0.5);
  view.direction = {1, 0, 0, 0, h, -h, 0, h, h};
  const SliceLayout layout = FindSliceLayout(view, "axial");
  std::array<int, 3> axes = layout.axis;
  std::sort(axes.begin(), axes.end());
  EXPECT_EQ(axes, (std::array<int, 3>{0, 1, 2}));
}

TEST(SliceLayout, UnknownPlaneIsRefused) {
  EXPECT_THROW(FindSliceLayout(VolumeView{}, "diagonal"), ModelError);
}

TEST(SliceSource, ContextRepeatsTheOutermostSlice) {
  const OrientedVolume lps = Numbered({2, 2, 3});
  ModelCard card = CardFor("axial");
  card.preprocessing.context = 1;
  const SliceSource source(lps.View(), card);
  const at::Tensor all = source.Batch(0, 3);
  ASSERT_EQ(all.sizes(), at::IntArrayRef({3, 3, 2, 2}));
  const at::Tensor plain = SliceSource(lps.View(), CardFor("axial")).Batch(0, 3).squeeze(1);
  const int64_t expected[3][3] = {{0, 0, 1}, {0, 1, 2}, {1, 2, 2}};
  for (int64_t s = 0; s < 3; ++s) {
    for (int64_t c = 0; c < 3; ++c) {
      EXPECT_TRUE(at::equal(all[s][c], plain[expected[s][c]])) << s << " " << c;
    }
    EXPECT_TRUE(at::equal(source.Batch(s, 1)[0], all[s]));
  }
}

TEST(SliceSource, SpacingResamplesWithHalfPixelCentres) {
  // A ramp along columns of 2 mm pixels, read at 1 mm: inside, the ramp stays exact.
  OrientedVolume ramp;
  ramp.size = {4, 3, 1};
  ramp.spacing = {2, 2, 5};
  for (int j = 0; j < 3; ++j) {
    for (int i = 0; i < 4; ++i) ramp.values.push_back(i);
  }
  ModelCard card = CardFor("axial");
  card.preprocessing.resample = "spacing";
  card.preprocessing.pixel_mm = 1;
  const SliceSource source(ramp.View(), card);
  EXPECT_EQ(source.network_rows(), 6);
  EXPECT_EQ(source.network_columns(), 8);
  const at::Tensor row = source.Batch(0, 1)[0][0][2];
  const float expected[] = {0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3};
  for (int c = 0; c < 8; ++c) EXPECT_NEAR(row[c].item<float>(), expected[c], 1e-6) << c;
  // Labels survive the way to the network's grid and back.
  const at::Tensor labels = at::tensor({0, 1, 2, 1, 2, 0, 0, 2, 1, 1, 2, 0}).reshape({1, 3, 4});
  const at::Tensor network_labels = source.NetworkLabels(labels);
  ASSERT_EQ(network_labels.sizes(), at::IntArrayRef({1, 6, 8}));
  const at::Tensor logits = at::one_hot(network_labels, 3).permute({0, 3, 1, 2}).to(at::kFloat);
  EXPECT_TRUE(at::equal(source.Labels(logits).to(at::kLong), labels));
  const at::Tensor probabilities = source.Probabilities(logits);
  EXPECT_EQ(probabilities.sizes(), at::IntArrayRef({1, 3, 3, 4}));
  EXPECT_TRUE(at::allclose(probabilities.sum(1), at::ones({1, 3, 4})));
}

TEST(IntensityScale, PercentilesInterpolateLikeNumPy) {
  // numpy.percentile([1, 2, 3, 4, 10], [10, 90]) = [1.4, 7.6]
  const std::vector<float> values{10, 3, 1, 4, 2};
  Preprocessing steps;
  steps.intensity = "percentile";
  steps.lower = 10;
  steps.upper = 90;
  const IntensityScale scale = FindIntensityScale(values.data(), 5, steps);
  EXPECT_NEAR(scale.lower, 1.4, 1e-6);
  EXPECT_NEAR(scale.upper, 7.6, 1e-6);
  const at::Tensor scaled = scale.Apply(at::tensor(values));
  EXPECT_FLOAT_EQ(scaled[0].item<float>(), 1.0f);
  EXPECT_EQ(scaled[2].item<float>(), 0.0f);
  EXPECT_NEAR(scaled[3].item<float>(), (4 - 1.4) / 6.2, 1e-6);
}

TEST(IntensityScale, NotANumberAndInfinityAreLeftOutAndBecomeZero) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float inf = std::numeric_limits<float>::infinity();
  const std::vector<float> values{nan, 2, inf, 4, -inf};
  for (const std::string name : {"none", "percentile", "zscore", "window"}) {
    Preprocessing steps;
    steps.intensity = name;
    steps.lower = 0;
    steps.upper = 100;
    const at::Tensor scaled = FindIntensityScale(values.data(), 5, steps).Apply(at::tensor(values));
    EXPECT_TRUE(scaled.isfinite().all().item<bool>()) << name;
    for (int i : {0, 2, 4}) EXPECT_EQ(scaled[i].item<float>(), 0.0f) << name;
    EXPECT_GT(scaled[3].item<float>(), scaled[1].item<float>()) << name;
  }
}

TEST(IntensityScale, ZscoreHasMeanZeroAndDeviationOne) {
  const std::vector<float> values{1, 2, 3, 6};
  Preprocessing steps;
  steps.intensity = "zscore";
  const at::Tensor scaled = FindIntensityScale(values.data(), 4, steps).Apply(at::tensor(values));
  EXPECT_NEAR(scaled.mean().item<float>(), 0, 1e-6);
  EXPECT_NEAR(scaled.square().mean().item<float>(), 1, 1e-6);
}

TEST(IntensityScale, AConstantVolumeIsZeroAndARareValueIsKept) {
  Preprocessing steps;
  steps.intensity = "percentile";
  std::vector<float> values(1000, 7.0f);
  at::Tensor scaled = FindIntensityScale(values.data(), 1000, steps).Apply(at::tensor(values));
  EXPECT_EQ(scaled.abs().max().item<float>(), 0.0f);
  values[17] = 9;
  scaled = FindIntensityScale(values.data(), 1000, steps).Apply(at::tensor(values));
  EXPECT_EQ(scaled[17].item<float>(), 1.0f);
  EXPECT_EQ(scaled[18].item<float>(), 0.0f);
  const float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(FindIntensityScale(&nan, 1, steps).Apply(at::tensor({nan})).item<float>(), 0.0f);
}

TEST(IntensityScale, UnknownNamesAreRefused) {
  Preprocessing steps;
  steps.intensity = "magic";
  EXPECT_THROW(FindIntensityScale(nullptr, 0, steps), ModelError);
  steps.intensity = "window";
  steps.lower = 5;
  steps.upper = 5;
  EXPECT_THROW(FindIntensityScale(nullptr, 0, steps), ModelError);
}

}  // namespace
}  // namespace avocet::models
