// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "app/base/field_table.h"
#include "app/base/progress.h"
#include "models/model_card.h"
#include "models/parameters.h"

// What segmentation and translation have in common: epochs, optimiser, schedule, averaged weights,
// exact resumption, best states, log.
namespace avocet::models {

struct EngineOptions {
  int64_t epochs = 30;
  std::string schedule = "cosine";  // models/training/schedule.h
  double learning_rate = 1e-3;
  double warmup_epochs = 0;
  double weight_decay = 1e-3;
  bool decay_everything = false;  // the published recipes: one parameter group
  double clip = 0;                // > 0: largest L2 norm of all gradients together
  double ema = 0;                // > 0: decay of the averaged weights, which are validated and kept
  int64_t validate_every = 1;    // epochs; the last epoch is always validated
  bool keep_last_model = false;  // keep the last state instead of the best (no selection)
  uint64_t seed = 1234;
  std::string start;  // what the first weights are: "" = drawn, else the SHA-256 of their file
  // What the caller made network, data and these options of: lines "name=value" that are compared
  // on resumption before all others, so that an error names the caller's own option.
  std::string job;

  // These do not change the result.
  double max_minutes = 0;
  double checkpoint_minutes = 5;
  bool resume = false;
};
inline auto FieldsOf(const EngineOptions& o) {
  return std::make_tuple(
      Decides("epochs", o.epochs), Decides("schedule", o.schedule), Decides("lr", o.learning_rate),
      Decides("warmup", o.warmup_epochs), Decides("weight_decay", o.weight_decay),
      Decides("decay_everything", o.decay_everything), Decides("clip", o.clip),
      Decides("ema", o.ema), Decides("validate_every", o.validate_every),
      Decides("keep_last_model", o.keep_last_model), Decides("seed", o.seed),
      Decides("start", o.start), ByContent("job", o.job), Free("max_minutes", o.max_minutes),
      Free("checkpoint_minutes", o.checkpoint_minutes), Free("resume", o.resume));
}

struct EpochRecord {
  int64_t epoch = 0;  // 1-based
  double learning_rate = 0;
  double loss = 0;             // mean over the epoch's steps
  std::vector<double> parts;   // of the loss, as TrainingTask::LossParts
  std::vector<double> scores;  // as TrainingTask::ScoreColumns; empty when it was not validated
  double seconds = 0;
};

struct StepLoss {
  at::Tensor total;
  std::vector<double> parts;
  int64_t items = 0;  // slices in the batch
};

struct TaskScore {
  std::vector<double> columns;  // empty: nothing to validate on
  // By which the best states are chosen, higher is better; the first decides on model.safetensors,
  // a further one NAME on best_NAME.safetensors.
  std::vector<std::pair<std::string, double>> selectors;
  // Put into the kept model's provenance, and beside it as validation.csv.
  std::vector<std::pair<std::string, std::string>> provenance;
  std::string table;
};

// One network and what it learns. Called from one thread, in the order of the steps.
class TrainingTask {
 public:
  virtual ~TrainingTask() = default;
  virtual ParameterStore& parameters() = 0;
  virtual ModelCard card() const = 0;
  virtual int64_t slices() const = 0;
  virtual int64_t steps_per_epoch() const = 0;
  // What must be equal to resume, the options of the engine included: lines "name=value".
  virtual std::string Fingerprint() const = 0;
  // What the kept model's provenance says of the training.
  virtual std::string Description() const = 0;
  virtual std::vector<std::string> LossParts() const = 0;
  virtual std::vector<std::string> ScoreColumns() const = 0;
  virtual void BeginEpoch(int64_t epoch, int64_t first_step) = 0;
  // The next batch through the network in training mode, and its loss.
  virtual StepLoss NextStep(at::Generator& generator) = 0;
  virtual bool HasValidation() const = 0;
  virtual TaskScore Validate(const ParameterStore& kept, const std::function<void()>& poll) = 0;
};

struct EngineResult {
  std::vector<EpochRecord> epochs;  // all, those before a resume included
  double best = 0;                  // of the first selector
  int64_t best_epoch = 0;           // 0 without validation
  int64_t kept_epoch = 0;           // of model.safetensors; 0 = it was not written yet
  bool finished = false;
  double slices_per_second = 0;  // of training steps in this call
};

// Trains and writes into `output`:
//   last.ckpt          everything needed to go on (safetensors), after each epoch and every
//                      checkpoint_minutes; the training then continues exactly, mid-epoch included
//   model.safetensors  the best state by the first selector (the last one without validation)
//   best_NAME.safetensors  the best states by the further selectors
//   log.csv            one line an epoch
//   validation.csv     scores of each case for the kept model
// Every random decision is a function of (seed, epoch, step or slice). Throws Cancelled after
// writing last.ckpt when `progress` says so; ModelError when the loss is not finite or last.ckpt
// was written with other options or data.
EngineResult RunTraining(TrainingTask& task, const EngineOptions& options,
                         const std::filesystem::path& output, Progress& progress);

}  // namespace avocet::models
