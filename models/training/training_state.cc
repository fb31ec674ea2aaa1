// SPDX-License-Identifier: Apache-2.0
#include "models/training/training_state.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <cstdio>
#include <nlohmann/json.hpp>
#include <sstream>

#include "app/base/error.h"

namespace avocet::models {
namespace {

using nlohmann::json;
constexpr const char* kKey = "avocet-training";
constexpr int kFormat = 3;

json ToJson(const EpochRecord& r) {
  return {{"epoch", r.epoch}, {"lr", r.learning_rate}, {"loss", r.loss},
          {"parts", r.parts}, {"scores", r.scores},    {"seconds", r.seconds}};
}

EpochRecord RecordFromJson(const json& j) {
  EpochRecord r;
  r.epoch = j.at("epoch");
  r.learning_rate = j.at("lr");
  r.loss = j.at("loss");
  r.parts = j.at("parts").get<std::vector<double>>();
  r.scores = j.at("scores").get<std::vector<double>>();
  r.seconds = j.at("seconds");
  return r;
}

void Put(TensorFile& file, const std::string& prefix, const ParameterStore& store) {
  for (const auto& entry : store.entries()) {
    file.tensors.emplace_back(prefix + entry.name, FromTensor(entry.value));
  }
}

void Take(const TensorFile& file, const std::string& prefix, const ParameterStore& store) {
  const at::NoGradGuard no_grad;
  for (const auto& entry : store.entries()) {
    const StoredTensor* stored = file.Find(prefix + entry.name);
    if (stored == nullptr || ToTensor(*stored).sizes() != entry.value.sizes()) {
      throw ModelError("the training checkpoint has no fitting '" + prefix + entry.name +
                       "'; start again without --resume");
    }
    at::Tensor value = entry.value;
    value.copy_(ToTensor(*stored));
  }
}

// "" when equal, otherwise the first pair of lines that differ.
std::string FirstDifference(const std::string& before, const std::string& now) {
  std::istringstream a(before), b(now);
  std::string line_a, line_b;
  while (true) {
    const bool more_a = static_cast<bool>(std::getline(a, line_a));
    const bool more_b = static_cast<bool>(std::getline(b, line_b));
    if (!more_a && !more_b) return "";
    if (!more_a) line_a = "nothing";
    if (!more_b) line_b = "nothing";
    if (line_a != line_b) return line_a + ", now " + line_b;
  }
}

}  // namespace

void SaveTraining(const std::filesystem::path& path, const std::string& fingerprint,
                  const TrainingState& state, const ParameterStore& parameters,
                  const WeightAverage* average, const AdamW& optimizer) {
  json j = {{"format", kFormat},
            {"fingerprint", fingerprint},
            {"epoch", state.epoch},
            {"step_in_epoch", state.step_in_epoch},
            {"kept_epoch", state.kept_epoch},
            {"loss_sum", state.loss_sum},
            {"part_sums", state.part_sums},
            {"epoch_seconds", state.epoch_seconds},
            {"best", json::array()},
            {"optimizer_steps", optimizer.steps()},
            {"epochs", json::array()}};
  for (const TrainingState::Best& best : state.best) {
    j["best"].push_back({{"value", best.value}, {"epoch", best.epoch}});
  }
  for (const EpochRecord& record : state.epochs) j["epochs"].push_back(ToJson(record));
  TensorFile file;
  file.metadata[kKey] = j.dump();
  Put(file, "model/", parameters);
  if (average != nullptr) Put(file, "ema/", average->parameters());
  optimizer.Save(file);
  WriteSafetensors(file, path);
}

void LoadTraining(const std::filesystem::path& path, const std::string& fingerprint,
                  TrainingState& state, ParameterStore& parameters, WeightAverage* average,
                  AdamW& optimizer) {
  const TensorFile file = ReadTensorFile(path);
  const auto found = file.metadata.find(kKey);
  if (found == file.metadata.end()) {
    throw ModelError("'" + path.string() +
                     "' is not a training checkpoint; start again without --resume");
  }
  int64_t optimizer_steps = 0;
  std::string before;
  try {
    const json j = json::parse(found->second);
    if (j.at("format") != kFormat) {
      throw ModelError("'" + path.string() +
                       "' was written by another version of avocet; start "
                       "again without --resume");
    }
    before = j.at("fingerprint");
    state.epoch = j.at("epoch");
    state.step_in_epoch = j.at("step_in_epoch");
    state.kept_epoch = j.at("kept_epoch");
    state.loss_sum = j.at("loss_sum");
    state.part_sums = j.at("part_sums").get<std::vector<double>>();
    state.epoch_seconds = j.at("epoch_seconds");
    state.best.clear();
    for (const json& best : j.at("best"))
      state.best.push_back({best.at("value"), best.at("epoch")});
    optimizer_steps = j.at("optimizer_steps");
    state.epochs.clear();
    for (const json& record : j.at("epochs")) state.epochs.push_back(RecordFromJson(record));
  } catch (const json::exception& error) {
    throw ModelError("the state in '" + path.string() + "' cannot be read (" + error.what() +
                     "); start again without --resume");
  }
  if (const std::string difference = FirstDifference(before, fingerprint); !difference.empty()) {
    throw ModelError("'" + path.string() + "' belongs to a training with other settings or data (" +
                     difference + "); use the same ones, or start again without --resume");
  }
  Take(file, "model/", parameters);
  if (average != nullptr) Take(file, "ema/", average->parameters());
  optimizer.Load(file, optimizer_steps);
}

std::string LogCsv(const std::vector<EpochRecord>& epochs, const std::vector<std::string>& parts,
                   const std::vector<std::string>& scores) {
  std::string text = "epoch,learning_rate,loss";
  for (const std::string& part : parts) text += "," + part;
  for (const std::string& score : scores) text += "," + score;
  text += ",seconds\n";
  char buffer[160];
  for (const EpochRecord& r : epochs) {
    std::snprintf(buffer, sizeof buffer, "%lld,%.6g,%.6f", static_cast<long long>(r.epoch),
                  r.learning_rate, r.loss);
    text += buffer;
    for (const double part : r.parts) {
      std::snprintf(buffer, sizeof buffer, ",%.6f", part);
      text += buffer;
    }
    for (size_t c = 0; c < scores.size(); ++c) {
      text += ",";
      if (r.scores.size() != scores.size()) continue;
      std::snprintf(buffer, sizeof buffer, "%.5f", r.scores[c]);
      text += buffer;
    }
    std::snprintf(buffer, sizeof buffer, ",%.1f\n", r.seconds);
    text += buffer;
  }
  return text;
}

}  // namespace avocet::models
