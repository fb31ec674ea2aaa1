// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <type_traits>
#include <vector>

#include "app/base/field_table.h"
#include "models/model_card.h"
#include "models/training/training_engine.h"

// What a resumed training must have in common with the one that it continues. It is made of the
// whole input of a training: every member of its options and of its network's configuration (their
// field tables, which are complete by construction), the model card, and all voxels of the data.
namespace avocet::models {

// "3 cases, sha256 0123..." of the training cases, and of those held out.
struct DataHashes {
  std::string training, validation;
};

namespace fingerprint {
std::string Sha256OfValues(const void* values, size_t bytes);
std::string Sha256OfText(const std::string& text);
// The card without what does not decide the result: name, licence, provenance.
std::string DecidingCard(ModelCard card);

template <typename Case>
std::string HashCases(const std::vector<Case>& cases) {
  std::string text;
  for (const Case& one : cases) {
    VisitFields(one, [&](const auto& field) {
      using Value = std::decay_t<decltype(field.value)>;
      text += std::string(field.name) + "=";
      if constexpr (std::is_same_v<Value, std::vector<float>> ||
                    std::is_same_v<Value, std::vector<uint8_t>>) {
        text += Sha256OfValues(field.value.data(), field.value.size() * sizeof(field.value[0]));
      } else {
        text += FieldText(field.value);
      }
      text += "\n";
    });
  }
  return std::to_string(cases.size()) + (cases.size() == 1 ? " case, " : " cases, ") +
         Sha256OfText(text);
}
}  // namespace fingerprint

template <typename Case>
DataHashes HashData(const std::vector<Case>& training, const std::vector<Case>& validation) {
  return {fingerprint::HashCases(training), fingerprint::HashCases(validation)};
}

template <typename Options, typename Config, typename Mode>
std::string TrainingFingerprint(const Options& options, const Config& network, Mode wkv,
                                const ModelCard& card, const DataHashes& data) {
  const EngineOptions& engine = options;
  std::string text = engine.job;
  AppendDeciding(options, "", text);
  AppendDeciding(network, "network.", text);
  text += "network.wkv=" + FieldText(wkv) + "\n";
  text += "card=" + fingerprint::DecidingCard(card) + "\n";
  text += "training data=" + data.training + "\nvalidation data=" + data.validation + "\n";
  return text;
}

// The options that decide the result, for people: of the augmentation recipe its name, and what
// differs from the recipe of that name.
template <typename Options, typename Recipe>
std::string DescribeTraining(const Options& options, const Recipe& named) {
  std::string all, plain, text;
  AppendDeciding(options, "", all);
  AppendDeciding(named, "augmentation.", plain);
  for (size_t at = 0; at < all.size();) {
    const size_t end = all.find('\n', at) + 1;
    const std::string line = all.substr(at, end - at);
    at = end;
    if (line == "start=\n") continue;
    if (line.rfind("augmentation.name=", 0) == 0) {
      text += "augmentation=" + line.substr(line.find('=') + 1);
    } else if (line.rfind("augmentation.", 0) != 0 || plain.find(line) == std::string::npos) {
      text += line;
    }
  }
  return text;
}

}  // namespace avocet::models
