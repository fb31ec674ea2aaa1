// SPDX-License-Identifier: Apache-2.0
#include "app/gui/journal.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <nlohmann/json.hpp>

#include "app/base/error.h"
#include "app/gui/measurement_store.h"
#include "io/file_util.h"

namespace avocet::gui {
namespace fs = std::filesystem;
namespace {

constexpr const char* kLock = "lock";

constexpr const char* kLayer = "layer-";
const std::string kMeasurements = "measurements-";

fs::path LayerFile(const fs::path& folder, int layer) {
  return folder / (kLayer + std::to_string(layer) + ".nii");
}

std::string Dump(const nlohmann::json& json) {
  return json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace);
}

nlohmann::json Common(const std::string& name, const Journal::Standing& standing) {
  return {{"name", name},
          {"image", standing.image.string()},
          {"selected", standing.selected},
          {"brush_label", standing.brush_label}};
}

// What Journal::Describe wrote; throws what the JSON library throws.
void ReadDescription(const std::string& text, Journal::Entry& entry) {
  const auto about = nlohmann::json::parse(text);
  entry.name = about.value("name", "");
  entry.image = about.value("image", "");
  entry.is_image = about.value("kind", "mask") == "image";
  entry.selected = about.value("selected", false);
  entry.brush_label = about.value("brush_label", 0);
  if (!about.contains("labels")) return;
  entry.edited = about.at("edited").get<bool>();
  entry.drawn = about.value("drawn", false);
  entry.visible = about.at("visible").get<bool>();
  entry.outline = about.at("outline").get<bool>();
  entry.opacity = about.at("opacity").get<double>();
  for (const auto& label : about.at("labels")) {
    LabelEntry one;
    one.name = label.at("name").get<std::string>();
    one.colour = label.at("colour").get<std::array<uint8_t, 3>>();
    one.visible = label.at("visible").get<bool>();
    one.surface_opacity = label.at("surface_opacity").get<double>();
    const int value = label.at("value").get<int>();
    if (value >= 1 && value <= 65535) entry.table[value] = std::move(one);
  }
  entry.described = true;
}

}  // namespace

fs::path Journal::DefaultRoot() {
  if (const char* state = std::getenv("XDG_STATE_HOME"); state != nullptr && *state == '/') {
    return fs::path(state) / "avocet" / "unsaved";
  }
  const char* home = std::getenv("HOME");
  return fs::path(home == nullptr ? "/tmp" : home) / ".local" / "state" / "avocet" / "unsaved";
}

Journal::Journal(const fs::path& root) : root_(root) {
  std::error_code error;
  fs::create_directories(root_, error);
  for (int attempt = 0; attempt < 1000 && !error; ++attempt) {
    folder_ = root_ / ("window-" + std::to_string(getpid()) + "-" + std::to_string(attempt));
    if (!fs::create_directory(folder_, error)) continue;
    fs::permissions(folder_, fs::perms::owner_all, error);
    lock_ = open((folder_ / kLock).c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    if (lock_ >= 0 && flock(lock_, LOCK_EX | LOCK_NB) == 0) return;
    break;
  }
  throw IoError("the folder for unsaved work '" + root_.string() + "' cannot be used (" +
                (error ? error.message() : std::strerror(errno)) +
                "); set XDG_STATE_HOME to a folder that can be written");
}

Journal::~Journal() {
  std::error_code ignored;
  fs::remove_all(folder_, ignored);
  if (lock_ >= 0) close(lock_);
}

void Journal::Keep(const LabelLayer& layer, const fs::path& image) const {
  KeepVoxels(layer);
  KeepDescription(layer.id, Describe(layer, {image}));
}

void Journal::Keep(const ImageLayer& layer, const fs::path& image) const {
  KeepVoxels(layer);
  KeepDescription(layer.id, Describe(layer, {image}));
}

void Journal::KeepVoxels(const LabelLayer& layer) const {
  SaveLabels(layer, LayerFile(folder_, layer.id));
}

void Journal::KeepVoxels(const ImageLayer& layer) const {
  SaveImage(layer, LayerFile(folder_, layer.id));
}

void Journal::KeepDescription(int layer, const std::string& description) const {
  io::WriteFileAtomically(LayerFile(folder_, layer).replace_extension(".json"), description);
}

std::string Journal::Describe(const LabelLayer& layer, const Standing& standing) {
  nlohmann::json about = Common(layer.name, standing);
  about["kind"] = "mask";
  about["edited"] = layer.edited;
  about["drawn"] = layer.drawn;
  about["visible"] = layer.visible;
  about["outline"] = layer.outline;
  about["opacity"] = layer.opacity;
  about["labels"] = nlohmann::json::array();
  for (const auto& [value, entry] : layer.table) {
    about["labels"].push_back({{"value", value},
                               {"name", entry.name},
                               {"colour", entry.colour},
                               {"visible", entry.visible},
                               {"surface_opacity", entry.surface_opacity}});
  }
  return Dump(about);
}

std::string Journal::Describe(const ImageLayer& layer, const Standing& standing) {
  nlohmann::json about = Common(layer.name, standing);
  about["kind"] = "image";
  return Dump(about);
}

void Journal::KeepMeasurements(const Measured& measured) const {
  const fs::path file = folder_ / (kMeasurements + std::to_string(measured.layer) + ".json");
  if (measured.measurements.empty()) {
    std::error_code ignored;
    fs::remove(file, ignored);
    return;
  }
  nlohmann::json about = nlohmann::json::parse(MeasurementsJson(measured.measurements));
  about["image"] = measured.image.string();
  about["series"] = measured.series;
  about["name"] = measured.name;
  about["layer"] = measured.layer;
  io::WriteFileAtomically(file, Dump(about));
}

void Journal::Forget(int layer) const {
  std::error_code ignored;
  const std::string stem = kLayer + std::to_string(layer) + ".";
  std::vector<fs::path> gone;
  for (const auto& entry : fs::directory_iterator(folder_, ignored)) {
    if (entry.path().filename().string().rfind(stem, 0) == 0) gone.push_back(entry.path());
  }
  for (const fs::path& path : gone) fs::remove(path, ignored);
}

std::vector<fs::path> Journal::AbandonedFolders() const {
  std::vector<fs::path> folders;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(root_, ignored)) {
    if (entry.path() == folder_ || !entry.is_directory(ignored)) continue;
    const int fd = open((entry.path() / kLock).c_str(), O_RDWR | O_CLOEXEC);
    // Another window holds it: not ours to touch.
    const bool free = fd < 0 || flock(fd, LOCK_EX | LOCK_NB) == 0;
    if (fd >= 0) close(fd);
    if (free) folders.push_back(entry.path());
  }
  std::sort(folders.begin(), folders.end());
  return folders;
}

std::vector<Journal::Entry> Journal::Abandoned() const {
  std::vector<Entry> entries;
  std::error_code ignored;
  for (const fs::path& folder : AbandonedFolders()) {
    const size_t first = entries.size();
    for (const auto& file : fs::directory_iterator(folder, ignored)) {
      if (file.path().extension() != ".nii") continue;
      Entry entry;
      entry.file = file.path();
      const std::string stem = entry.file.stem().string();
      if (stem.rfind(kLayer, 0) == 0) {
        entry.layer = std::atoi(stem.c_str() + std::strlen(kLayer));
      }
      fs::path beside = entry.file;
      beside.replace_extension(".json");
      try {
        ReadDescription(io::ReadTextFile(beside), entry);
      } catch (const std::exception&) {
        // The voxels are what matters.
        if (entry.name.empty()) entry.name = entry.file.stem().string();
      }
      entries.push_back(std::move(entry));
    }
    // As they stood in the list.
    std::sort(entries.begin() + static_cast<std::ptrdiff_t>(first), entries.end(),
              [](const Entry& a, const Entry& b) { return a.layer < b.layer; });
  }
  return entries;
}

std::vector<Journal::Measured> Journal::AbandonedMeasurements() const {
  std::vector<Measured> all;
  std::error_code ignored;
  for (const fs::path& folder : AbandonedFolders()) {
    for (const auto& file : fs::directory_iterator(folder, ignored)) {
      if (file.path().filename().string().rfind(kMeasurements, 0) != 0) continue;
      try {
        const std::string text = io::ReadTextFile(file.path());
        Measured one;
        one.measurements = MeasurementsFromJson(text);
        const auto about = nlohmann::json::parse(text);
        one.image = about.value("image", "");
        one.series = about.value("series", "");
        one.name = about.value("name", "");
        one.layer = about.value("layer", 0);
        one.folder = folder;
        all.push_back(std::move(one));
      } catch (const std::exception&) {
        // Damaged: nothing to bring back.
      }
    }
  }
  return all;
}

void Journal::DiscardAbandoned() const {
  std::error_code ignored;
  for (const fs::path& folder : AbandonedFolders()) fs::remove_all(folder, ignored);
}

}  // namespace avocet::gui
