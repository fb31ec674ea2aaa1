// SPDX-License-Identifier: Apache-2.0
#include "app/core/model_job.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <unordered_set>

#include "app/base/error.h"
#include "models/checkpoint/convert.h"
#include "models/checkpoint/tensor_file.h"

namespace avocet::core {
namespace {

namespace fs = std::filesystem;
using models::LayoutReport;
using models::ModelCard;
using models::StoredTensor;
using models::TensorFile;

bool EndsWith(const std::string& text, std::string_view end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

std::string Counted(size_t count, const std::string& noun) {
  return std::to_string(count) + " " + noun + (count == 1 ? "" : "s");
}

std::string NotFinite(const std::string& name, const models::ValueSummary& values) {
  std::string text = name + ": ";
  if (values.nan > 0) text += std::to_string(values.nan) + " NaN";
  if (values.nan > 0 && values.infinite > 0) text += ", ";
  if (values.infinite > 0) text += std::to_string(values.infinite) + " infinite";
  return text;
}

// The names, as in the file, of the tensors that decide the result.
std::unordered_set<std::string> UsedNames(const TensorFile& file,
                                          const std::optional<LayoutReport>& layout) {
  std::unordered_set<std::string> used;
  if (layout) {
    for (const auto& name : layout->matched) used.insert(layout->NameInFile(name));
  } else {
    for (const auto& entry : file.tensors) used.insert(entry.first);
  }
  return used;
}

// Where a card contradicts the tensors.
std::string CardMismatch(const ModelCard& card, const LayoutReport& layout) {
  if (card.architecture != layout.architecture) {
    return "the card says architecture '" + card.architecture + "', the tensors are '" +
           layout.architecture + "'";
  }
  if (!card.variant.empty() && card.variant != layout.variant) {
    return "the card says variant '" + card.variant + "', the tensors are '" + layout.variant + "'";
  }
  if (layout.classes > 0 && card.labels.size() != static_cast<size_t>(layout.classes)) {
    return "the card has " + Counted(card.labels.size(), "label") + ", the network " +
           std::to_string(layout.classes) + " classes";
  }
  return "";
}

std::string FindProblem(const ModelInfo& info) {
  if (!info.layout) {
    return "its tensors fit no architecture that Avocet knows";
  }
  const LayoutReport& layout = *info.layout;
  std::string problem = layout.Complaint();
  const auto add = [&](const std::string& text) {
    if (!text.empty()) problem += (problem.empty() ? "" : "; ") + text;
  };
  if (!info.not_finite.empty()) {
    add(Counted(info.not_finite.size(), "tensor") + " not finite (" +
        models::ListNames(info.not_finite, 3) + ")");
  }
  if (!info.card.empty()) add(CardMismatch(info.card, layout));
  return problem;
}

nlohmann::ordered_json CardJson(const ModelCard& card) {
  return nlohmann::ordered_json::parse(models::ToJson(card));
}

}  // namespace

ModelInfo DescribeModel(const fs::path& path) {
  TensorFile file = models::ReadTensorFile(path);
  ModelInfo info;
  info.path = path;
  info.format = file.format;
  std::error_code ignored;
  info.file_bytes = fs::file_size(path, ignored);
  info.tensors = file.tensors.size();
  info.notes = file.notes;
  for (const auto& [name, tensor] : file.tensors) {
    info.tensor_bytes += tensor.data.size();
    ++info.types[models::NameOf(tensor.type)];
  }
  info.layout = models::DetectArchitecture(file);
  try {
    info.card = models::CardOf(file);
  } catch (const ModelError& error) {
    info.warnings.push_back(error.what());
  }
  for (const auto& [key, value] : file.metadata) {
    if (key != "avocet") info.metadata.emplace(key, value);
  }
  const auto used = UsedNames(file, info.layout);
  for (const auto& [name, tensor] : file.tensors) {
    if (!models::IsFloating(tensor.type) || used.count(name) == 0) continue;
    const models::ValueSummary values = models::Summarise(tensor);
    if (values.nan > 0 || values.infinite > 0) info.not_finite.push_back(NotFinite(name, values));
    if (info.layout && EndsWith(name, ".att.spatial_decay")) {
      info.decay_min = info.has_decay ? std::min(info.decay_min, values.min) : values.min;
      info.decay_max = info.has_decay ? std::max(info.decay_max, values.max) : values.max;
      info.has_decay = true;
    }
  }
  info.problem = FindProblem(info);
  if (!info.warnings.empty()) {
    info.problem += (info.problem.empty() ? "" : "; ") + info.warnings.front();
  }
  return info;
}

std::string ToJson(const ModelInfo& info) {
  using Json = nlohmann::ordered_json;
  Json json = {
      {"path", info.path.string()},
      {"format", info.format},
      {"file_bytes", info.file_bytes},
      {"tensors", info.tensors},
      {"tensor_bytes", info.tensor_bytes},
      {"types", info.types},
      {"notes", info.notes},
      {"usable", info.problem.empty()},
      {"problem", info.problem},
  };
  json["architecture"] = info.layout ? Json(info.layout->architecture) : Json(nullptr);
  if (info.layout) {
    const LayoutReport& layout = *info.layout;
    json["variant"] = layout.variant;
    json["classes"] = layout.classes > 0 ? Json(layout.classes) : Json(nullptr);
    json["layout"] = layout.layout;
    json["encoder_only"] = layout.encoder_only;
    json["parameters"] = {{"used", layout.used_parameters}, {"total", layout.total_parameters}};
    json["matched"] = layout.matched.size();
    json["missing"] = layout.Holes();
    json["unused"] = layout.unused;
    json["unexpected"] = layout.unexpected;
    json["wrong_shape"] = Json::array();
    for (const auto& each : layout.wrong_shape) {
      json["wrong_shape"].push_back(
          {{"name", each.name}, {"found", each.found}, {"expected", each.expected}});
    }
  }
  json["spatial_decay"] =
      info.has_decay ? Json({{"min", info.decay_min}, {"max", info.decay_max}}) : Json(nullptr);
  json["not_finite"] = info.not_finite;
  json["card"] = info.card.empty() ? Json(nullptr) : CardJson(info.card);
  json["metadata"] = info.metadata;
  // Paths need not be UTF-8.
  return json.dump(2, ' ', false, Json::error_handler_t::replace);
}

}  // namespace avocet::core
