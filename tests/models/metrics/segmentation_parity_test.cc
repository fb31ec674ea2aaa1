// SPDX-License-Identifier: Apache-2.0
// All pairs of parity/metrics/segmentation, and the TransUNet protocol end to end.
#include <numeric>

#include "models/preprocess/scipy_zoom.h"
#include "tests/models/metrics/parity_support.h"
#include "tests/support/test_support.h"

namespace avocet {
namespace {

using namespace metrics;

TEST(SegmentationParity, AllPairs) {
  const auto folder = test::SharedData("parity/metrics/segmentation");
  if (folder.empty()) GTEST_SKIP() << "no ../shared";
  const auto pairs = test::ReadJson(folder / "expected.json").at("pairs");
  int classes = 0;
  for (const auto& [id, expected] : pairs.items()) {
    const auto prediction = test::ReadLabelMap(folder / expected.at("prediction"));
    const auto reference = test::ReadLabelMap(folder / expected.at("reference"));
    LabelPair<uint16_t> pair{prediction.labels.data(),
                             reference.labels.data(),
                             reference.size,
                             {1, 1, 1},
                             static_cast<int>(expected.at("shape_ijk").size())};
    for (int a = 0; a < pair.dims; ++a) {
      pair.spacing[a] = expected.at("spacing_ijk_mm")[a];
      EXPECT_NEAR(reference.spacing[a], pair.spacing[a], 1e-6 * pair.spacing[a]) << id;
    }
    for (const auto& [label, blocks] : expected.at("classes").items()) {
      test::CheckClass(blocks, pair, std::stoi(label), id + " class " + label);
      ++classes;
    }
  }
  EXPECT_GT(classes, 80);
}

// Steps 1 to 5 of the protocol with the fake network of the README.
TEST(ProtocolParity, TransUnetEndToEnd) {
  const auto folder = test::SharedData("parity/metrics/protocol");
  if (folder.empty()) GTEST_SKIP() << "no ../shared";
  const auto cases = test::ReadJson(folder / "expected.json").at("cases");
  constexpr int64_t kSide = 224;
  for (const auto& [id, expected] : cases.items()) {
    const auto& files = expected.at("files");
    const io::Volume image = io::ReadVolume(folder / files.at("image"));
    const std::vector<float> voxels = image.ToFloat();
    const int64_t columns = image.geometry.size[0], rows = image.geometry.size[1];
    const int64_t slices = image.geometry.size[2];
    const auto reference = test::ReadLabelMap(folder / files.at("label"));
    const auto net_labels = test::ReadLabelMap(folder / files.at("network_labels_224"));
    const auto stored = test::ReadLabelMap(folder / files.at("prediction"));
    const std::vector<double> centres = expected.at("class_centres_m");
    std::vector<uint16_t> prediction(voxels.size());
    std::vector<uint16_t> round_trip(voxels.size());
    std::vector<float> zoomed(kSide * kSide);
    std::vector<uint16_t> labels(kSide * kSide);
    int64_t different = 0;
    for (int64_t s = 0; s < slices; ++s) {
      preprocess::Zoom2D(voxels.data() + s * rows * columns, rows, columns, kSide, kSide,
                         zoomed.data());
      const auto& check = expected.at("zoomed_slice_checks")[s];
      EXPECT_NEAR(zoomed[10 * kSide + 20], check.at("value_at_10_20").get<double>(), 1e-6) << id;
      EXPECT_NEAR(zoomed[111 * kSide + 112], check.at("value_at_111_112").get<double>(), 1e-6)
          << id;
      EXPECT_NEAR(std::accumulate(zoomed.begin(), zoomed.end(), 0.0), check.at("sum").get<double>(),
                  1e-3)
          << id;
      if (files.at("zoomed_slices").contains(std::to_string(s))) {
        const auto golden =
            io::ReadVolume(folder / files.at("zoomed_slices").at(std::to_string(s))).ToFloat();
        for (size_t n = 0; n < golden.size(); ++n)
          ASSERT_LE(std::abs(golden[n] - zoomed[n]),
                    std::nextafter(std::abs(golden[n]), INFINITY) - std::abs(golden[n]) + 1e-16)
              << id << " slice " << s << " pixel " << n;
      }
      for (int64_t y = 0; y < kSide; ++y) {
        for (int64_t x = 0; x < kSide; ++x) {
          double box = 0;
          for (int64_t dy = -2; dy <= 2; ++dy)
            for (int64_t dx = -2; dx <= 2; ++dx)
              if (y + dy >= 0 && y + dy < kSide && x + dx >= 0 && x + dx < kSide)
                box += zoomed[(y + dy) * kSide + x + dx];
          box /= 25;
          int best = 0;
          double best_logit = -INFINITY;
          for (size_t c = 0; c < centres.size(); ++c) {
            const double m = centres[c];
            const double logit = 0.5 * m * zoomed[y * kSide + x] + 1.5 * m * box - m * m;
            if (logit > best_logit) {
              best_logit = logit;
              best = static_cast<int>(c);
            }
          }
          labels[y * kSide + x] = static_cast<uint16_t>(best);
          different += best != net_labels.labels[(s * kSide + y) * kSide + x];
        }
      }
      preprocess::Zoom2DNearest(labels.data(), kSide, kSide, rows, columns,
                                prediction.data() + s * rows * columns);
      std::vector<uint16_t> small(kSide * kSide);
      preprocess::Zoom2DNearest(reference.labels.data() + s * rows * columns, rows, columns, kSide,
                                kSide, small.data());
      preprocess::Zoom2DNearest(small.data(), kSide, kSide, rows, columns,
                                round_trip.data() + s * rows * columns);
    }
    EXPECT_LE(different,
              static_cast<int64_t>(expected.at("pixels_with_gap_below_1e_minus_6").size()))
        << id;
    EXPECT_EQ(prediction, stored.labels) << id;

    std::vector<int> classes(expected.at("number_of_classes").get<int>() - 1);
    std::iota(classes.begin(), classes.end(), 1);
    const auto score = [&](const std::vector<uint16_t>& labels_map) {
      return Score(LabelPair<uint16_t>{labels_map.data(), reference.labels.data(), reference.size,
                                       reference.spacing, 3},
                   classes, {MakeProtocol("transunet")}, 2);
    };
    const auto scores = score(prediction);
    const auto ceiling = score(round_trip);
    double dice = 0, hd95 = 0;
    for (size_t c = 0; c < classes.size(); ++c) {
      const std::string label = std::to_string(classes[c]);
      const auto& e = expected.at("per_class").at(label);
      test::ExpectClose(scores[c].values[0][0].value, e.at("dice"), 1e-15, id + " dice " + label);
      test::ExpectClose(scores[c].values[0][1].value, e.at("hd95_voxel"), 1e-12,
                        id + " hd95 " + label);
      const auto& back = expected.at("label_to_224_and_back_order_0").at(label);
      test::ExpectClose(ceiling[c].values[0][0].value, back.at("dice"), 1e-15, id + " back dice");
      test::ExpectClose(ceiling[c].values[0][1].value, back.at("hd95_voxel"), 1e-12, id + " back");
      dice += scores[c].values[0][0].value / static_cast<double>(classes.size());
      hd95 += scores[c].values[0][1].value / static_cast<double>(classes.size());
    }
    test::ExpectClose(dice, expected.at("case_mean").at("dice"), 1e-14, id + " mean dice");
    test::ExpectClose(hd95, expected.at("case_mean").at("hd95_voxel"), 1e-12, id + " mean hd95");
  }
}

}  // namespace
}  // namespace avocet
