// SPDX-License-Identifier: Apache-2.0
#include "app/gui/measurement_store.h"

#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "app/base/error.h"
#include "io/file_util.h"

namespace avocet::gui {
namespace fs = std::filesystem;
namespace {

constexpr const char* kKinds[] = {"ruler", "angle", "region"};
constexpr size_t kPoints[] = {2, 3, 2};
constexpr size_t kLargestFile = 16 << 20;

Vec3 VectorOf(const nlohmann::json& json) {
  const auto v = json.get<std::array<double, 3>>();
  for (const double part : v) {
    if (!std::isfinite(part)) throw IoError("a coordinate is not finite");
  }
  return v;
}

nlohmann::ordered_json JsonOf(const Measurement& m) {
  return {{"kind", kKinds[static_cast<int>(m.kind)]},
          {"plane", NameOf(m.orientation)},
          {"points_lps_mm", m.points},
          {"right", m.right},
          {"down", m.down},
          {"value", m.value},
          {"unit", m.unit},
          {"area_mm2", m.area_mm2},
          {"in_pixels", m.in_pixels},
          {"sd", m.deviation},
          {"min", m.minimum},
          {"max", m.maximum},
          {"voxels", m.voxels}};
}

// Throws what the JSON library throws, or IoError.
Measurement MeasurementOf(const nlohmann::json& json) {
  Measurement m;
  const auto kind = json.at("kind").get<std::string>();
  size_t which = 0;
  while (which < 3 && kind != kKinds[which]) ++which;
  if (which == 3) throw IoError("'" + kind + "' is no kind of measurement");
  m.kind = static_cast<MeasurementKind>(which);
  const auto plane = json.at("plane").get<std::string>();
  for (const Orientation orientation : kOrientations) {
    if (plane == NameOf(orientation)) m.orientation = orientation;
  }
  for (const auto& point : json.at("points_lps_mm")) m.points.push_back(VectorOf(point));
  if (m.points.size() != kPoints[which]) throw IoError("a measurement lacks points");
  m.right = VectorOf(json.at("right"));
  m.down = VectorOf(json.at("down"));
  m.value = json.at("value").get<double>();
  m.unit = json.at("unit").get<std::string>();
  m.area_mm2 = json.at("area_mm2").get<double>();
  m.in_pixels = json.value("in_pixels", false);
  m.deviation = json.at("sd").get<double>();
  m.minimum = json.at("min").get<double>();
  m.maximum = json.at("max").get<double>();
  m.voxels = json.at("voxels").get<int64_t>();
  return m;
}

}  // namespace

std::string MeasurementStore::KeyOf(const io::Volume& volume) {
  const io::Geometry& g = volume.geometry;
  std::string text = std::string(io::NameOf(volume.type)) + " " + std::to_string(volume.frames) +
                     " " + std::to_string(volume.components);
  char number[40];
  const auto add = [&](double value) {
    // A grid that went through another format differs in the last digits.
    std::snprintf(number, sizeof number, " %.4f", std::round(value * 1e4) / 1e4 + 0.0);
    text += number;
  };
  for (const int64_t size : g.size) add(static_cast<double>(size));
  for (const double spacing : g.spacing) add(spacing);
  for (const double origin : g.origin) add(origin);
  for (const double direction : g.direction) add(direction);
  add(volume.scaling.slope);
  add(volume.scaling.inter);
  text += " " + io::Sha256OfBytes(
                    {reinterpret_cast<const char*>(volume.data.data()), volume.data.size()});
  return io::Sha256OfBytes(text);
}

std::string MeasurementsJson(const std::vector<Measurement>& measurements) {
  nlohmann::ordered_json json;
  json["avocet"] = "measurements";
  json["measurements"] = nlohmann::ordered_json::array();
  for (const Measurement& m : measurements) json["measurements"].push_back(JsonOf(m));
  return json.dump(1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

std::vector<Measurement> MeasurementsFromJson(const std::string& text) {
  std::vector<Measurement> all;
  try {
    const auto json = nlohmann::json::parse(text);
    for (const auto& entry : json.at("measurements")) all.push_back(MeasurementOf(entry));
  } catch (const nlohmann::json::exception& error) {
    throw IoError(std::string("measurements cannot be read: ") + error.what());
  }
  return all;
}

std::vector<Measurement> MeasurementStore::Load(const std::string& key) const {
  std::error_code ignored;
  if (!fs::is_regular_file(FileOf(key), ignored)) return {};
  try {
    return MeasurementsFromJson(io::ReadTextFile(FileOf(key), kLargestFile));
  } catch (const std::exception&) {
    return {};  // not ours, or of another version
  }
}

void MeasurementStore::Keep(const std::string& key,
                            const std::vector<Measurement>& measurements) const {
  std::error_code error;
  if (measurements.empty()) {
    fs::remove(FileOf(key), error);
    return;
  }
  fs::create_directories(folder_, error);
  fs::permissions(folder_, fs::perms::owner_all, error);
  io::WriteFileAtomically(FileOf(key), MeasurementsJson(measurements));
}

}  // namespace avocet::gui
