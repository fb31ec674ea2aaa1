// SPDX-License-Identifier: Apache-2.0
#include "models/metrics/protocols.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <set>

#include "app/base/error.h"
#include "models/metrics/surface_elements.h"

namespace avocet::metrics {
namespace {

std::vector<Protocol> AllProtocols() {
  std::vector<Protocol> protocols;
  for (const std::string& name : ProtocolNames()) protocols.push_back(MakeProtocol(name));
  return protocols;
}

bool Same(const std::vector<ClassScores>& a, const std::vector<ClassScores>& b) {
  if (a.size() != b.size()) return false;
  for (size_t c = 0; c < a.size(); ++c)
    for (size_t p = 0; p < a[c].values.size(); ++p)
      for (size_t m = 0; m < a[c].values[p].size(); ++m) {
        const MetricValue &x = a[c].values[p][m], &y = b[c].values[p][m];
        const bool equal = x.value == y.value || (std::isnan(x.value) && std::isnan(y.value));
        if (!equal || x.state != y.state) return false;
      }
  return true;
}

struct Maps {
  Size3 size{90, 80, 40};
  std::vector<uint16_t> prediction, reference;
  LabelPair<uint16_t> Pair() const {
    return {prediction.data(), reference.data(), size, {0.7, 0.8, 2.5}, 3};
  }
};

// A large class (which gets threads of its own), small ones, and speckle.
Maps MakeMaps() {
  Maps maps;
  std::mt19937_64 random(11);
  for (int64_t k = 0; k < maps.size[2]; ++k) {
    for (int64_t j = 0; j < maps.size[1]; ++j) {
      for (int64_t i = 0; i < maps.size[0]; ++i) {
        uint16_t label = i < 70 && j > 5 && k < 38 ? 1 : 0;
        if (i > 75) label = static_cast<uint16_t>(2 + j / 20);
        maps.reference.push_back(label);
        maps.prediction.push_back(random() % 60 == 0 ? 0 : label);
      }
    }
  }
  return maps;
}

TEST(Protocols, DoNotDependOnThreads) {
  const Maps maps = MakeMaps();
  const auto protocols = AllProtocols();
  const auto one = Score(maps.Pair(), {1, 2, 3, 4, 5, 6}, protocols, 1);
  EXPECT_TRUE(Same(one, Score(maps.Pair(), {1, 2, 3, 4, 5, 6}, protocols, 4)));
  EXPECT_EQ(one[5].presence, Presence::kBothEmpty);
}

TEST(Protocols, DoNotDependOnTheLabelType) {
  const Maps maps = MakeMaps();
  const std::vector<uint8_t> p(maps.prediction.begin(), maps.prediction.end());
  const std::vector<uint8_t> r(maps.reference.begin(), maps.reference.end());
  const LabelPair<uint8_t> bytes{p.data(), r.data(), maps.size, {0.7, 0.8, 2.5}, 3};
  const std::vector<Protocol> protocols{MakeProtocol("default"), MakeProtocol("medpy-voxel")};
  EXPECT_TRUE(Same(Score(bytes, {2, 3}, protocols, 2), Score(maps.Pair(), {2, 3}, protocols, 2)));
}

TEST(Protocols, ColumnsHaveUnitsAndDefinitions) {
  for (const Protocol& protocol : AllProtocols()) {
    std::set<std::string> names;
    EXPECT_FALSE(protocol.empty_rule.empty()) << protocol.name;
    for (const MetricColumn& column : protocol.columns) {
      EXPECT_TRUE(names.insert(column.name).second) << protocol.name << " " << column.name;
      EXPECT_FALSE(column.unit.empty() || column.definition.empty()) << column.name;
      EXPECT_EQ(column.unit == "mm", column.name.find("_mm") != std::string::npos) << column.name;
      EXPECT_EQ(column.unit == "voxel", column.name.find("_vox") != std::string::npos)
          << column.name;
    }
  }
  EXPECT_THROW(MakeProtocol("dice"), OptionError);
}

TEST(Protocols, WorstCaseAndToleranceAreOptions) {
  const std::vector<uint8_t> none(4 * 5 * 6, 0);
  std::vector<uint8_t> one = none;
  one[0] = 1;
  const LabelPair<uint8_t> missed{none.data(), one.data(), {4, 5, 6}, {1, 2, 3}, 3};
  ProtocolOptions options;
  const auto hd95 = [&](const char* name) {
    const Protocol protocol = MakeProtocol(name, options);
    const auto scores = Score(missed, {1}, {protocol}, 1);
    for (size_t m = 0; m < protocol.columns.size(); ++m)
      if (protocol.columns[m].name == "hd95_mm_maxdir") return scores[0].values[0][m];
    return MetricValue{};
  };
  EXPECT_DOUBLE_EQ(hd95("default").value, std::sqrt(3. * 3 + 8. * 8 + 15. * 15));
  EXPECT_EQ(hd95("metrics-reloaded").state, ValueState::kSubstituted);
  options.worst_case_mm = 250;
  EXPECT_DOUBLE_EQ(hd95("default").value, 250);
  EXPECT_DOUBLE_EQ(hd95("metrics-reloaded").value, 250);
  EXPECT_FALSE(hd95("monai-mm").HasValue());
  options.nsd_tolerance_mm = 2.5;
  bool found = false;
  for (const auto& column : MakeProtocol("default", options).columns)
    found = found || column.name == "nsd_at_2.5mm";
  EXPECT_TRUE(found);
  options.nsd_tolerance_mm = NAN;
  EXPECT_THROW(MakeProtocol("default", options), OptionError);
}

TEST(SurfaceArea, TableIsCompleteAndSymmetric) {
  const auto table = SurfaceAreaTable({1, 1, 1});
  EXPECT_EQ(table[0], 0);
  EXPECT_EQ(table[255], 0);
  for (int code = 1; code < 255; ++code) {
    EXPECT_GT(table[code], 0) << code;
    EXPECT_EQ(table[code], table[255 - code]) << code;
  }
  EXPECT_DOUBLE_EQ(table[1], std::sqrt(3.0) / 8);  // one corner
  EXPECT_DOUBLE_EQ(table[0b00001111], 1);          // the lower face
  // With spacing, the face across k has the area of an i-j pixel, that across i of a j-k one.
  const auto anisotropic = SurfaceAreaTable({0.5, 2, 3});
  EXPECT_DOUBLE_EQ(anisotropic[0b00001111], 1.0);
  EXPECT_DOUBLE_EQ(anisotropic[0b01010101], 6.0);
}

TEST(Border, FacesOfTheArrayCount) {
  // A mask that fills the whole array: all voxels but the innermost are border.
  const std::vector<uint8_t> full(5 * 5 * 5, 1);
  const LabelPair<uint8_t> pair{full.data(), full.data(), {5, 5, 5}, {1, 1, 1}, 3};
  DistanceQuery query(1);
  ClassMeasurements m(pair, FindRegions(pair, {1}, 1).at(0), query, 1);
  EXPECT_EQ(m.prediction_border(), 125 - 27);
}

}  // namespace
}  // namespace avocet::metrics
