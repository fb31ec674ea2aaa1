// SPDX-License-Identifier: Apache-2.0
#include "app/core/msd_dataset.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "app/base/error.h"
#include "io/file_util.h"
#include "io/volume_io.h"
#include "models/training/counter_rng.h"

namespace avocet::core {
namespace fs = std::filesystem;
namespace {

using nlohmann::json;
constexpr uint64_t kSplitPurpose = 5;

// Distinct on grey images, in the order in which classes get them.
constexpr std::array<std::array<uint8_t, 3>, 12> kColours{{{230, 80, 70},
                                                           {70, 160, 235},
                                                           {90, 190, 90},
                                                           {245, 190, 60},
                                                           {170, 110, 220},
                                                           {240, 130, 40},
                                                           {60, 200, 200},
                                                           {235, 110, 180},
                                                           {160, 130, 90},
                                                           {150, 200, 60},
                                                           {110, 110, 240},
                                                           {200, 200, 200}}};

std::string Lower(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

// {"0": "background", "1": "liver"} (MSD) or {"background": 0, "liver": 1} (nnU-Net).
std::vector<models::LabelInfo> ParseLabels(const json& labels, const fs::path& file) {
  const std::string where = "'" + file.string() + "'";
  if (!labels.is_object() || labels.empty()) {
    throw IoError(where + " has no \"labels\"; list the label values and their names");
  }
  std::map<int, std::string> by_value;
  for (const auto& [key, value] : labels.items()) {
    int number = 0;
    std::string name;
    if (value.is_number_integer()) {
      number = value.get<int>();
      name = key;
    } else if (value.is_string()) {
      name = value.get<std::string>();
      size_t used = 0;
      try {
        number = std::stoi(key, &used);
      } catch (const std::exception&) {
        used = 0;
      }
      if (used == 0 || used != key.size()) {
        throw IoError(where + ": the label \"" + key +
                      "\" is not a number; write {\"1\": \"name\"}");
      }
    } else {
      throw IoError(where + ": the label \"" + key +
                    "\" is neither a name nor a whole number; regions of several values are not "
                    "supported");
    }
    if (number < 0 || number > 65535) {
      throw IoError(where + ": the label value " + std::to_string(number) + " is not in 0..65535");
    }
    if (!by_value.emplace(number, name).second) {
      throw IoError(where + " names the label value " + std::to_string(number) + " twice");
    }
  }
  by_value.emplace(0, "background");
  // Class indices are uint8 and 255 marks pixels without supervision.
  if (by_value.size() < 2 || by_value.size() > 254) {
    throw IoError(where + " names " + std::to_string(by_value.size()) +
                  " label values; 2 to 254 are supported");
  }
  std::vector<models::LabelInfo> infos;
  for (const auto& [value, name] : by_value) {
    models::LabelInfo info;
    info.value = value;
    info.name = name;
    info.colour = infos.empty() ? std::array<uint8_t, 3>{0, 0, 0}
                                : kColours[(infos.size() - 1) % kColours.size()];
    infos.push_back(info);
  }
  return infos;
}

void ParseChannels(const json& root, MsdDataset& dataset) {
  for (const char* key : {"channel_names", "modality"}) {
    if (!root.contains(key) || !root[key].is_object()) continue;
    dataset.channels = std::max<int64_t>(1, static_cast<int64_t>(root[key].size()));
    if (root[key].empty() || !root[key].begin()->is_string()) return;
    const std::string text = root[key].begin()->get<std::string>();
    const std::string lower = Lower(text);
    if (lower.rfind("mr", 0) == 0 || lower.rfind("t1", 0) == 0 || lower.rfind("t2", 0) == 0 ||
        lower.rfind("flair", 0) == 0) {
      dataset.modality = "MR";
    } else if (lower == "ct") {
      dataset.modality = "CT";
    } else {
      dataset.modality = text;
    }
    return;
  }
}

std::string CaseName(const fs::path& image) {
  std::string stem = io::StemOf(image);
  const std::string suffix = "_0000";
  if (stem.size() > suffix.size() &&
      stem.compare(stem.size() - suffix.size(), suffix.size(), suffix) == 0) {
    stem.resize(stem.size() - suffix.size());
  }
  return stem;
}

std::vector<MsdPair> ListedPairs(const json& training, const fs::path& folder,
                                 const fs::path& file) {
  std::vector<MsdPair> pairs;
  for (const json& entry : training) {
    if (!entry.is_object() || !entry.contains("image") || !entry.contains("label") ||
        !entry["image"].is_string() || !entry["label"].is_string()) {
      throw IoError("'" + file.string() +
                    "': an entry of \"training\" has no \"image\" and \"label\" file names");
    }
    const fs::path image = entry["image"].get<std::string>();
    const fs::path label = entry["label"].get<std::string>();
    for (const fs::path& path : {image, label}) {
      const auto normal = path.lexically_normal();
      if (path.is_absolute() || (!normal.empty() && *normal.begin() == "..")) {
        throw IoError("'" + file.string() + "' names '" + path.string() +
                      "', which lies outside the data folder; use paths below it");
      }
    }
    pairs.push_back({CaseName(image), (folder / image).lexically_normal(),
                     (folder / label).lexically_normal()});
  }
  return pairs;
}

std::vector<MsdPair> FoundPairs(const fs::path& folder) {
  std::map<std::string, fs::path> labels;
  for (const fs::path& path : io::ListVolumes(folder / "labelsTr")) labels[io::StemOf(path)] = path;
  std::vector<MsdPair> pairs;
  for (const fs::path& path : io::ListVolumes(folder / "imagesTr")) {
    const std::string name = CaseName(path);
    const auto label = labels.find(name);
    pairs.push_back(
        {name, path,
         label == labels.end() ? folder / "labelsTr" / path.filename() : label->second});
  }
  return pairs;
}

}  // namespace

MsdDataset ReadMsdDataset(const fs::path& folder, Progress& progress) {
  if (!fs::is_directory(folder)) {
    throw IoError("'" + folder.string() +
                  "' is not a folder; give one with dataset.json, imagesTr "
                  "and labelsTr");
  }
  const fs::path file = folder / "dataset.json";
  if (!fs::exists(file)) {
    throw IoError("'" + folder.string() +
                  "' has no dataset.json; the MSD layout is dataset.json, "
                  "imagesTr/ and labelsTr/");
  }
  const json root = json::parse(io::ReadTextFile(file), nullptr, /*allow_exceptions=*/false);
  if (root.is_discarded() || !root.is_object()) {
    throw IoError("'" + file.string() + "' is not valid JSON; mend or rewrite it");
  }
  MsdDataset dataset;
  dataset.folder = folder;
  const auto text = [&root](const char* key) {
    return root.contains(key) && root[key].is_string() ? root[key].get<std::string>()
                                                       : std::string();
  };
  dataset.name = text("name");
  dataset.licence = text("licence").empty() ? text("license") : text("licence");
  dataset.labels = ParseLabels(root.contains("labels") ? root["labels"] : json(), file);
  ParseChannels(root, dataset);
  if (dataset.channels != 1) {
    throw IoError("'" + file.string() + "' names " + std::to_string(dataset.channels) +
                  " image channels; training supports one");
  }

  const bool listed =
      root.contains("training") && root["training"].is_array() && !root["training"].empty();
  std::vector<MsdPair> pairs =
      listed ? ListedPairs(root["training"], folder, file) : FoundPairs(folder);
  std::sort(pairs.begin(), pairs.end(),
            [](const MsdPair& a, const MsdPair& b) { return a.name < b.name; });
  std::set<std::string> names;
  for (MsdPair& pair : pairs) {
    if (!names.insert(pair.name).second) {
      throw IoError("'" + file.string() + "' lists the case '" + pair.name + "' twice");
    }
    if (!fs::exists(pair.image)) {
      progress.Warn("'" + pair.image.string() + "' does not exist; the case is left out");
    } else if (!fs::exists(pair.label)) {
      progress.Warn("'" + pair.label.string() + "' does not exist; the case is left out");
    } else {
      dataset.pairs.push_back(std::move(pair));
    }
  }
  if (dataset.pairs.empty()) {
    throw IoError("'" + folder.string() +
                  "' holds no image with a label; put images into imagesTr and "
                  "their labels, under the same names, into labelsTr");
  }
  return dataset;
}

std::vector<bool> SplitCases(const std::vector<MsdPair>& pairs,
                             const std::vector<std::string>& wanted, double fraction,
                             uint64_t seed) {
  std::vector<bool> validation(pairs.size(), false);
  if (!wanted.empty()) {
    for (const std::string& name : wanted) {
      const auto found = std::find_if(pairs.begin(), pairs.end(),
                                      [&](const MsdPair& pair) { return pair.name == name; });
      if (found == pairs.end()) {
        throw OptionError("--validation names '" + name + "', which is not a case of the data set");
      }
      validation[found - pairs.begin()] = true;
    }
    return validation;
  }
  if (fraction <= 0) return validation;
  const size_t count = std::clamp<size_t>(std::llround(fraction * pairs.size()), 1, pairs.size());
  // Each case draws a number that depends on its name's rank only; the smallest `count` are held
  // out.
  std::vector<std::pair<uint64_t, size_t>> draws;
  for (size_t i = 0; i < pairs.size(); ++i) {
    draws.emplace_back(models::CounterRng(seed, 0, i, kSplitPurpose).Next(), i);
  }
  std::sort(draws.begin(), draws.end());
  for (size_t i = 0; i < count; ++i) validation[draws[i].second] = true;
  return validation;
}

}  // namespace avocet::core
