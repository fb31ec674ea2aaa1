// SPDX-License-Identifier: Apache-2.0
#include "app/gui/origin.h"

#include <nlohmann/json.hpp>

#include "io/file_util.h"

namespace avocet::gui {
namespace {

const std::string* ManifestIn(const Companions& companions) {
  for (const auto& [ending, content] : companions) {
    if (ending == ".manifest.json") return &content;
  }
  return nullptr;
}

Origin FromCompanions(const Companions& companions) {
  Origin origin;
  const std::string* manifest = ManifestIn(companions);
  if (manifest == nullptr) return origin;
  origin.computed = true;
  const auto json = nlohmann::json::parse(*manifest, nullptr, false);
  const auto model = json.is_object() ? json.find("model") : json.end();
  if (!json.is_object() || model == json.end() || !model->is_object()) return origin;
  for (const char* key : {"name", "file"}) {
    const auto text = model->find(key);
    if (!origin.model.empty() || text == model->end() || !text->is_string()) continue;
    origin.model = text->get<std::string>();
  }
  return origin;
}

}  // namespace

Origin OriginOf(const LabelLayer& layer) {
  Origin origin = FromCompanions(layer.companions);
  origin.edited = layer.edited;
  origin.drawn = layer.drawn;
  return origin;
}

Origin OriginOf(const ImageLayer& layer) { return FromCompanions(layer.companions); }

std::string Describe(const Origin& origin) {
  std::string text;
  if (origin.computed) {
    text = "made by " + (origin.model.empty() ? std::string("a model") : origin.model);
  } else if (origin.drawn) {
    return "drawn by hand";
  }
  if (!origin.edited) return text;
  return text.empty() ? "edited by hand" : text + ", edited by hand";
}

const char* AlgorithmType(const Origin& origin) {
  if (!origin.computed && origin.drawn) return "MANUAL";
  return origin.edited ? "SEMIAUTOMATIC" : "AUTOMATIC";
}

bool SaysEdited(const std::string& manifest) {
  const auto json = nlohmann::json::parse(manifest, nullptr, false);
  return json.is_object() && json.contains("edited");
}

bool IsManifestOf(const std::string& manifest, const std::filesystem::path& file) {
  const auto json = nlohmann::json::parse(manifest, nullptr, false);
  if (!json.is_object()) return false;
  const auto output = json.find("output");
  if (output == json.end() || !output->is_object()) return false;
  const auto hash = output->find("sha256");
  return hash != output->end() && hash->is_string() &&
         hash->get<std::string>() == io::Sha256OfFile(file);
}

}  // namespace avocet::gui
