// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "io/file_util.h"
#include "io/volume_io.h"
#include "models/metrics/protocols.h"

// Reads the golden values of parity/metrics (see its README) and compares one class with all of
// them.
namespace avocet::test {

inline nlohmann::json ReadJson(const std::filesystem::path& path) {
  return nlohmann::json::parse(io::ReadTextFile(path));
}

// "nan" and "raises ..." are NaN, "inf" is infinity.
inline double Number(const nlohmann::json& value) {
  if (value.is_number()) return value.get<double>();
  return value == "inf" ? std::numeric_limits<double>::infinity()
                        : std::numeric_limits<double>::quiet_NaN();
}

inline void ExpectClose(double actual, const nlohmann::json& expected, double relative,
                        const std::string& what) {
  const double e = Number(expected);
  if (std::isnan(e) || std::isinf(e)) {
    EXPECT_TRUE((std::isnan(e) && std::isnan(actual)) || e == actual)
        << what << ": got " << actual << ", expected " << expected;
    return;
  }
  EXPECT_LE(std::abs(actual - e), relative * std::max(std::abs(e), 1e-300) + 1e-300)
      << what << ": got " << actual << ", expected " << expected;
}

struct LabelMap {
  metrics::Size3 size;
  metrics::Spacing3 spacing;
  std::vector<uint16_t> labels;
};
inline LabelMap ReadLabelMap(const std::filesystem::path& path) {
  const io::Volume volume = io::ReadVolume(path);
  return {volume.geometry.size, volume.geometry.spacing, volume.ToLabels(path.filename().string())};
}

struct SafeTensor {
  std::string dtype;
  std::vector<int64_t> shape;
  std::string bytes;
  int64_t Count() const {
    int64_t n = 1;
    for (const int64_t s : shape) n *= s;
    return n;
  }
  template <typename T>
  std::vector<T> As() const {
    std::vector<T> out(bytes.size() / sizeof(T));
    std::memcpy(out.data(), bytes.data(), bytes.size());
    return out;
  }
};
// Any element type, unlike the product's reader, which knows those of checkpoints.
class SafeTensors {
 public:
  explicit SafeTensors(const std::filesystem::path& path) : content_(io::ReadTextFile(path)) {
    uint64_t length = 0;
    std::memcpy(&length, content_.data(), 8);
    header_ = nlohmann::json::parse(content_.substr(8, length));
    start_ = 8 + length;
  }
  SafeTensor Get(const std::string& name) const {
    const auto& entry = header_.at(name);
    const size_t begin = entry["data_offsets"][0], end = entry["data_offsets"][1];
    return {entry["dtype"], entry["shape"], content_.substr(start_ + begin, end - begin)};
  }

 private:
  std::string content_;
  nlohmann::json header_;
  size_t start_ = 0;
};

// The value of one column of a protocol.
inline double Column(const std::string& protocol, const std::string& column,
                     metrics::ClassMeasurements& m, double tolerance = 1) {
  metrics::ProtocolOptions options;
  options.nsd_tolerance_mm = tolerance;
  for (const auto& c : metrics::MakeProtocol(protocol, options).columns)
    if (c.name == column) return c.compute(m).value;
  ADD_FAILURE() << "protocol " << protocol << " has no column " << column;
  return std::numeric_limits<double>::quiet_NaN();
}

// Compares everything that `blocks` holds (the blocks of the README's table) with our values.
inline void CheckClass(const nlohmann::json& blocks, const metrics::LabelPair<uint16_t>& pair,
                       int label, const std::string& where) {
  using namespace metrics;
  constexpr double kOverlap = 1e-15, kMedPy = 1e-12, kMonai = 1e-6, kDeepMind = 1e-9;
  DistanceQuery query(2);
  const ClassRegion region = FindRegions(pair, {label}, 2).at(0);
  ClassMeasurements m(pair, region, query, 2);
  const ClassCounts& c = m.counts();

  const auto& counts = blocks.at("counts");
  EXPECT_EQ(c.reference, counts.at("ref_voxels")) << where;
  EXPECT_EQ(c.prediction, counts.at("pred_voxels")) << where;
  EXPECT_EQ(c.true_positive, counts.at("true_positive")) << where;
  EXPECT_EQ(c.FalsePositive(), counts.at("false_positive")) << where;
  EXPECT_EQ(c.FalseNegative(), counts.at("false_negative")) << where;
  EXPECT_EQ(m.reference_border(), counts.at("ref_border_voxels_face_neighbours")) << where;
  EXPECT_EQ(m.prediction_border(), counts.at("pred_border_voxels_face_neighbours")) << where;
  ExpectClose(VolumeMl(c.reference, pair.spacing), counts.at("ref_volume_ml"), 1e-6, where);
  ExpectClose(RelativeVolumeDifference(c), counts.at("relative_volume_difference"), kOverlap,
              where);

  auto medpy = blocks.at("medpy");
  if (blocks.contains("medpy_under_numpy_1.26")) medpy.update(blocks.at("medpy_under_numpy_1.26"));
  ExpectClose(Column("medpy-mm", "dice", m), medpy.at("dice"), kOverlap, where + " medpy dice");
  ExpectClose(Column("medpy-mm", "iou", m), medpy.at("jaccard"), kOverlap, where + " medpy jc");
  ExpectClose(Column("medpy-mm", "precision", m), medpy.at("precision"), kOverlap, where + " prec");
  ExpectClose(Column("medpy-mm", "sensitivity", m), medpy.at("sensitivity"), kOverlap,
              where + " sens");
  ExpectClose(Column("medpy-mm", "specificity", m), medpy.at("specificity"), kOverlap,
              where + " spec");
  ExpectClose(Column("medpy-mm", "ravd", m), medpy.at("relative_volume_difference"), kOverlap,
              where + " ravd");

  for (const bool mm : {false, true}) {
    const std::string unit = mm ? "mm" : "vox", suffix = mm ? "_mm" : "_voxel";
    const std::string at = where + suffix;
    const auto& expected = blocks.at("medpy" + suffix);
    const std::string protocol = mm ? "medpy-mm" : "medpy-voxel";
    for (const auto& [key, column] : std::vector<std::pair<std::string, std::string>>{
             {"hd", "hd_" + unit},
             {"hd95", "hd95_" + unit + "_pooled"},
             {"asd_pred_to_ref", "asd_" + unit + "_pred_to_ref"},
             {"asd_ref_to_pred", "asd_" + unit + "_ref_to_pred"},
             {"assd", "assd_" + unit + "_pooled"}})
      ExpectClose(Column(protocol, column, m), expected.at(key), kMedPy, at + " medpy " + key);

    const auto& monai = blocks.at("monai" + suffix);
    const std::string monai_protocol = mm ? "monai-mm" : "monai-voxel";
    for (const auto& [key, column] : std::vector<std::pair<std::string, std::string>>{
             {"hd", "hd_" + unit},
             {"hd95", "hd95_" + unit + "_maxdir"},
             {"asd_pred_to_ref", "asd_" + unit + "_pred_to_ref"},
             {"asd_ref_to_pred", "asd_" + unit + "_ref_to_pred"},
             {"assd_symmetric", "assd_" + unit + "_pooled"},
             {"nsd_1", "nsd_at_1" + unit}})
      ExpectClose(Column(monai_protocol, column, m), monai.at(key), kMonai, at + " monai " + key);
    ExpectClose(Column(monai_protocol, "nsd_at_2" + unit, m, 2), monai.at("nsd_2"), kMonai,
                at + " monai nsd_2");
    if (m.presence() == Presence::kBoth) {
      const SurfaceDistances& d = mm ? m.SurfaceMm() : m.SurfaceVoxel();
      ExpectClose(PercentileSingle(d.prediction_to_reference, 95),
                  monai.at("hd95_directed_pred_to_ref"), kMonai, at + " hd95 P->R");
      ExpectClose(PercentileSingle(d.reference_to_prediction, 95),
                  monai.at("hd95_directed_ref_to_pred"), kMonai, at + " hd95 R->P");
      ExpectClose(d.prediction_to_reference.back(), monai.at("hd_directed_pred_to_ref"), kMonai,
                  at + " hd P->R");
      ExpectClose(d.reference_to_prediction.back(), monai.at("hd_directed_ref_to_pred"), kMonai,
                  at + " hd R->P");
    }

    const SurfaceElements& s = mm ? m.ElementsMm() : m.ElementsVoxel();
    const auto& deepmind = blocks.at("deepmind" + suffix);
    ExpectClose(RobustHausdorff(s, 100), deepmind.at("hd100"), kDeepMind, at + " DM hd100");
    ExpectClose(RobustHausdorff(s, 95), deepmind.at("hd95"), kDeepMind, at + " DM hd95");
    ExpectClose(AverageDistance(s.reference), deepmind.at("avg_ref_to_pred"), kDeepMind,
                at + " DM R");
    ExpectClose(AverageDistance(s.prediction), deepmind.at("avg_pred_to_ref"), kDeepMind,
                at + " DM P");
    ExpectClose(SurfaceDiceByArea(s, 1), deepmind.at("nsd_1"), kDeepMind, at + " DM nsd1");
    ExpectClose(SurfaceDiceByArea(s, 2), deepmind.at("nsd_2"), kDeepMind, at + " DM nsd2");
    ExpectClose(SurfaceOverlap(s.reference, 1), deepmind.at("overlap_at_1_ref_and_pred")[0],
                kDeepMind, at + " DM overlap R");
    ExpectClose(SurfaceOverlap(s.prediction, 1), deepmind.at("overlap_at_1_ref_and_pred")[1],
                kDeepMind, at + " DM overlap P");
    EXPECT_EQ(static_cast<int64_t>(s.reference.size()), deepmind.at("n_surfels_ref")) << at;
    EXPECT_EQ(static_cast<int64_t>(s.prediction.size()), deepmind.at("n_surfels_pred")) << at;
    ExpectClose(TotalArea(s.reference), deepmind.at("surface_area_ref"), kDeepMind,
                at + " DM area");
    ExpectClose(TotalArea(s.prediction), deepmind.at("surface_area_pred"), kDeepMind,
                at + " DM area");
    ExpectClose(SurfaceDiceByArea(s, 1), monai.at("nsd_1_subvoxels"), kMonai, at + " subvoxels 1");
    ExpectClose(SurfaceDiceByArea(s, 2), monai.at("nsd_2_subvoxels"), kMonai, at + " subvoxels 2");
  }
  ExpectClose(Column("deepmind", "dice", m), blocks.at("deepmind_mm").at("dice"), kOverlap,
              where + " DM dice");

  const auto& monai = blocks.at("monai");
  ExpectClose(Column("monai-mm", "dice", m), monai.at("dice_default_ignore_empty"), kMonai, where);
  ExpectClose(Column("monai-mm", "iou", m), monai.at("jaccard_default_ignore_empty"), kMonai,
              where);
  ExpectClose(Column("monai-mm", "precision", m), monai.at("precision"), kMonai,
              where + " monai p");
  ExpectClose(Column("monai-mm", "sensitivity", m), monai.at("sensitivity"), kMonai,
              where + " monai s");

  const auto& itk = blocks.at("simpleitk_mm");
  ExpectClose(Column("simpleitk", "dice", m), itk.at("overlap_dice"), kOverlap,
              where + " itk dice");
  ExpectClose(Column("simpleitk", "iou", m), itk.at("overlap_jaccard"), kOverlap,
              where + " itk iou");
  ExpectClose(Column("simpleitk", "volume_similarity", m), itk.at("volume_similarity"), kOverlap,
              where + " itk vs");
  ExpectClose(Column("simpleitk", "false_negative_error", m), itk.at("false_negative_error"),
              kOverlap, where + " itk fne");
  ExpectClose(Column("simpleitk", "false_positive_error", m), itk.at("false_positive_error"),
              kOverlap, where + " itk fpe");
  ExpectClose(Column("simpleitk", "hd_mm_allvoxels", m), itk.at("hausdorff_all_voxels"), kMonai,
              where + " itk hd");
  ExpectClose(Column("simpleitk", "ahd_mm_allvoxels", m), itk.at("average_hausdorff_all_voxels"),
              kMonai, where + " itk ahd");

  const auto& transunet = blocks.at("transunet_protocol");
  ExpectClose(Column("transunet", "dice", m), transunet.at("dice"), kOverlap, where + " tu dice");
  ExpectClose(Column("transunet", "hd95_vox_pooled", m), transunet.at("hd95_voxel"), kMedPy,
              where + " tu hd95");
}

}  // namespace avocet::test
