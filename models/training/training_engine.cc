// SPDX-License-Identifier: Apache-2.0
#include "models/training/training_engine.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>

#include <chrono>
#include <cmath>
#include <cstdio>
#include <limits>
#include <memory>

#include "app/base/error.h"
#include "io/file_util.h"
#include "models/training/counter_rng.h"
#include "models/training/optimizer.h"
#include "models/training/schedule.h"
#include "models/training/training_state.h"

namespace avocet::models {
namespace {

using Clock = std::chrono::steady_clock;
constexpr uint64_t kDropPath = 4;  // purpose of the counter generator

double SecondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

class Engine {
 public:
  Engine(TrainingTask& task, const EngineOptions& options, std::filesystem::path output,
         Progress& progress)
      : task_(task),
        options_(options),
        output_(std::move(output)),
        progress_(progress),
        optimizer_(task.parameters(), OptimizerOptions(options)),
        generator_(at::make_generator<at::CPUGeneratorImpl>(options.seed)) {
    task_.parameters().RequireGradients(true);
    if (options_.ema > 0) {
      average_ = std::make_unique<WeightAverage>(task_.parameters(), options_.ema);
    }
    schedule_.name = options_.schedule;
    schedule_.base = options_.learning_rate;
    schedule_.epochs = options_.epochs;
    schedule_.steps_per_epoch = task_.steps_per_epoch();
    schedule_.warmup_steps = std::llround(options_.warmup_epochs * schedule_.steps_per_epoch);
    fingerprint_ = task_.Fingerprint();
    state_.part_sums.assign(task_.LossParts().size(), 0);
  }

  EngineResult Run() {
    std::filesystem::create_directories(output_);
    if (options_.resume) {
      LoadTraining(CheckpointPath(), fingerprint_, state_, task_.parameters(), average_.get(),
                   optimizer_);
    }
    started_ = last_checkpoint_ = Clock::now();
    steps_before_ = state_.epoch * schedule_.steps_per_epoch + state_.step_in_epoch;
    bool finished = true;
    while (state_.epoch < options_.epochs) {
      if (!RunEpoch()) {
        finished = false;
        break;
      }
    }
    EngineResult result;
    result.epochs = state_.epochs;
    if (!state_.best.empty()) {
      result.best = state_.best[0].value;
      result.best_epoch = state_.best[0].epoch;
    }
    result.kept_epoch = state_.kept_epoch;
    result.finished = finished;
    result.slices_per_second = step_seconds_ > 0 ? slices_done_ / step_seconds_ : 0;
    return result;
  }

 private:
  static AdamWOptions OptimizerOptions(const EngineOptions& o) {
    AdamWOptions a;
    a.weight_decay = o.weight_decay;
    a.decay_everything = o.decay_everything;
    return a;
  }

  std::filesystem::path CheckpointPath() const { return output_ / "last.ckpt"; }

  void SaveCheckpoint() {
    SaveTraining(CheckpointPath(), fingerprint_, state_, task_.parameters(), average_.get(),
                 optimizer_);
    last_checkpoint_ = Clock::now();
  }

  // Reports; when the user has cancelled, writes the checkpoint first.
  void Poll(const std::string& text) {
    const double total = static_cast<double>(schedule_.TotalSteps());
    const int64_t done = state_.epoch * schedule_.steps_per_epoch + state_.step_in_epoch;
    std::string line = text;
    const int64_t done_here = done - steps_before_;
    if (done_here > 0) {
      const double left = SecondsSince(started_) / done_here * (total - done);
      char buffer[64];
      std::snprintf(buffer, sizeof buffer, ", %d:%02d min left", static_cast<int>(left) / 60,
                    static_cast<int>(left) % 60);
      line += buffer;
    }
    if (!progress_.Update(done / total, line)) {
      SaveCheckpoint();
      throw Cancelled();
    }
  }

  // False when the time is up.
  bool RunEpoch() {
    task_.BeginEpoch(state_.epoch, state_.step_in_epoch);
    auto last = Clock::now();
    while (state_.step_in_epoch < schedule_.steps_per_epoch) {
      Step();
      const double seconds = SecondsSince(last);
      last = Clock::now();
      state_.epoch_seconds += seconds;
      step_seconds_ += seconds;
      char buffer[120];
      std::snprintf(buffer, sizeof buffer, "epoch %lld/%lld, step %lld/%lld, loss %.4f",
                    static_cast<long long>(state_.epoch) + 1,
                    static_cast<long long>(options_.epochs),
                    static_cast<long long>(state_.step_in_epoch),
                    static_cast<long long>(schedule_.steps_per_epoch),
                    state_.loss_sum / state_.step_in_epoch);
      Poll(buffer);
      if (options_.max_minutes > 0 && SecondsSince(started_) > 60 * options_.max_minutes &&
          state_.step_in_epoch < schedule_.steps_per_epoch) {
        SaveCheckpoint();
        return false;
      }
      if (SecondsSince(last_checkpoint_) > 60 * options_.checkpoint_minutes) SaveCheckpoint();
    }
    FinishEpoch();
    return !(options_.max_minutes > 0 && SecondsSince(started_) > 60 * options_.max_minutes &&
             state_.epoch < options_.epochs);
  }

  void Step() {
    const int64_t step = state_.epoch * schedule_.steps_per_epoch + state_.step_in_epoch;
    CounterRng seed(options_.seed, state_.epoch, state_.step_in_epoch, kDropPath);
    generator_.set_current_seed(seed.Next());
    const StepLoss loss = task_.NextStep(generator_);
    const double value = loss.total.item<double>();
    if (!std::isfinite(value)) {
      throw ModelError("the training diverged: the loss is not finite at step " +
                       std::to_string(step + 1) + "; use a smaller --lr or a --clip");
    }
    optimizer_.ZeroGradients();
    loss.total.backward();
    if (options_.clip > 0) optimizer_.ClipGradients(options_.clip);
    optimizer_.Step(LearningRate(schedule_, step));
    if (average_) average_->Update(task_.parameters(), step);
    state_.loss_sum += value;
    for (size_t p = 0; p < loss.parts.size(); ++p) state_.part_sums[p] += loss.parts[p];
    ++state_.step_in_epoch;
    slices_done_ += loss.items;
  }

  void FinishEpoch() {
    const double steps = static_cast<double>(state_.step_in_epoch);
    EpochRecord record;
    record.epoch = state_.epoch + 1;
    record.learning_rate = LearningRate(
        schedule_, state_.epoch * schedule_.steps_per_epoch + state_.step_in_epoch - 1);
    record.loss = state_.loss_sum / steps;
    for (const double sum : state_.part_sums) record.parts.push_back(sum / steps);
    const bool last = record.epoch == options_.epochs;
    const bool due = last || record.epoch % std::max<int64_t>(1, options_.validate_every) == 0;
    TaskScore score;
    if (due && task_.HasValidation()) {
      const auto start = Clock::now();
      score = task_.Validate(KeptParameters(), [&] {
        Poll("epoch " + std::to_string(state_.epoch + 1) + ", validating");
      });
      state_.epoch_seconds += SecondsSince(start);
      record.scores = score.columns;
    }
    record.seconds = state_.epoch_seconds;
    Keep(record, score, due);
    state_.epochs.push_back(record);
    ++state_.epoch;
    state_.step_in_epoch = 0;
    state_.loss_sum = state_.epoch_seconds = 0;
    state_.part_sums.assign(state_.part_sums.size(), 0);
    io::WriteFileAtomically(output_ / "log.csv",
                            LogCsv(state_.epochs, task_.LossParts(), task_.ScoreColumns()));
    SaveCheckpoint();
  }

  // Writes the states that are the best so far, or the last.
  void Keep(const EpochRecord& record, const TaskScore& score, bool due) {
    for (size_t s = 0; s < score.selectors.size(); ++s) {
      const auto& [name, value] = score.selectors[s];
      if (s >= state_.best.size()) {
        state_.best.push_back({-std::numeric_limits<double>::infinity(), 0});
      }
      if (!(value > state_.best[s].value)) continue;
      state_.best[s] = {value, record.epoch};
      if (s > 0) {
        SaveModel(record, score, output_ / ("best_" + name + ".safetensors"));
      } else if (!options_.keep_last_model) {
        SaveKept(record, score);
      }
    }
    if (due && (options_.keep_last_model || !task_.HasValidation())) SaveKept(record, score);
  }

  void SaveKept(const EpochRecord& record, const TaskScore& score) {
    if (!score.table.empty()) io::WriteFileAtomically(output_ / "validation.csv", score.table);
    SaveModel(record, score, output_ / "model.safetensors");
    state_.kept_epoch = record.epoch;
  }

  const ParameterStore& KeptParameters() {
    return average_ ? average_->parameters() : task_.parameters();
  }

  void SaveModel(const EpochRecord& record, const TaskScore& score,
                 const std::filesystem::path& path) {
    ModelCard card = task_.card();
    card.provenance["epoch"] =
        std::to_string(record.epoch) + " of " + std::to_string(options_.epochs);
    card.provenance["training"] = task_.Description();
    for (const auto& [key, text] : score.provenance) card.provenance[key] = text;
    TensorFile file;
    file.metadata["avocet"] = ToJson(card);
    for (const auto& entry : KeptParameters().entries()) {
      file.tensors.emplace_back(entry.name, FromTensor(entry.value));
    }
    WriteSafetensors(file, path);
  }

  TrainingTask& task_;
  EngineOptions options_;
  std::filesystem::path output_;
  Progress& progress_;
  AdamW optimizer_;
  at::Generator generator_;
  std::unique_ptr<WeightAverage> average_;
  ScheduleOptions schedule_;
  std::string fingerprint_;
  TrainingState state_;
  Clock::time_point started_, last_checkpoint_;
  int64_t steps_before_ = 0;
  int64_t slices_done_ = 0;
  double step_seconds_ = 0;
};

}  // namespace

EngineResult RunTraining(TrainingTask& task, const EngineOptions& options,
                         const std::filesystem::path& output, Progress& progress) {
  Engine engine(task, options, output, progress);
  return engine.Run();
}

}  // namespace avocet::models
