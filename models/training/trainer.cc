// SPDX-License-Identifier: Apache-2.0
#include "models/training/trainer.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/autocast_mode.h>

#include <chrono>
#include <cmath>
#include <cstdio>
#include <memory>

#include "app/base/error.h"
#include "io/file_util.h"
#include "models/training/losses.h"
#include "models/training/optimizer.h"
#include "models/training/training_state.h"

namespace avocet::models {
namespace {

using Clock = std::chrono::steady_clock;
constexpr uint64_t kDropPath = 4;  // purpose of the counter generator

double SecondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

std::string Number(double value) {
  char buffer[40];
  std::snprintf(buffer, sizeof buffer, "%.10g", value);
  return buffer;
}

// Lower precision inside the network for as long as the object lives.
class Autocast {
 public:
  explicit Autocast(bool on) : on_(on) {
    if (!on_) return;
    at::autocast::set_autocast_enabled(at::kCPU, true);
    at::autocast::set_autocast_dtype(at::kCPU, at::kBFloat16);
    at::autocast::increment_nesting();
  }
  ~Autocast() {
    if (!on_) return;
    // The cache holds converted weights, which are stale after the optimiser's step.
    if (at::autocast::decrement_nesting() == 0) at::autocast::clear_cache();
    at::autocast::set_autocast_enabled(at::kCPU, false);
  }
  Autocast(const Autocast&) = delete;
  Autocast& operator=(const Autocast&) = delete;

 private:
  bool on_;
};

class Training {
 public:
  Training(RwkvUnet& network, ModelCard card, const std::vector<TrainingCase>& training,
           const std::vector<TrainingCase>& validation, const TrainerOptions& options,
           std::filesystem::path output, Progress& progress)
      : network_(network),
        card_(std::move(card)),
        validation_(validation),
        options_(options),
        output_(std::move(output)),
        progress_(progress),
        dataset_(training, card_, DatasetOptions(options)),
        optimizer_(network.parameters(), OptimizerOptions(options)),
        generator_(at::make_generator<at::CPUGeneratorImpl>(options.seed)) {
    network_.parameters().RequireGradients(true);
    if (options_.ema > 0) {
      average_ = std::make_unique<WeightAverage>(network_.parameters(), options_.ema);
    }
    schedule_.name = options_.schedule;
    schedule_.base = options_.learning_rate;
    schedule_.epochs = options_.epochs;
    schedule_.steps_per_epoch = dataset_.steps_per_epoch();
    schedule_.warmup_steps = std::llround(options_.warmup_epochs * schedule_.steps_per_epoch);
    fingerprint_ = options_.Fingerprint() + "variant=" + network_.config().variant +
                   "\nslices=" + std::to_string(dataset_.slices()) +
                   "\ncanvas=" + std::to_string(dataset_.canvas_rows()) + "x" +
                   std::to_string(dataset_.canvas_cols()) + "\ncard=" + CardForFingerprint() + "\n";
  }

  TrainerResult Run() {
    std::filesystem::create_directories(output_);
    if (options_.resume) {
      LoadTraining(CheckpointPath(), fingerprint_, state_, network_.parameters(), average_.get(),
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
    TrainerResult result;
    result.epochs = state_.epochs;
    result.best_dice = state_.best_dice;
    result.best_epoch = state_.best_epoch;
    result.finished = finished;
    result.slices = dataset_.slices();
    result.slices_per_second = step_seconds_ > 0 ? slices_done_ / step_seconds_ : 0;
    return result;
  }

 private:
  static SliceDataset::Options DatasetOptions(const TrainerOptions& o) {
    SliceDataset::Options d;
    d.augmentation = o.augmentation;
    d.batch = o.batch;
    d.background_share = o.background_share;
    d.keep_last = o.keep_last_batch;
    d.seed = o.seed;
    d.canvas_rows = o.canvas_rows;
    d.canvas_cols = o.canvas_cols;
    return d;
  }

  static AdamWOptions OptimizerOptions(const TrainerOptions& o) {
    AdamWOptions a;
    a.weight_decay = o.weight_decay;
    a.decay_everything = o.decay_everything;
    return a;
  }

  // What of the card decides the result (its provenance does not).
  std::string CardForFingerprint() const {
    ModelCard card = card_;
    card.provenance.clear();
    card.name.clear();
    card.licence.clear();
    return ToJson(card);
  }

  std::filesystem::path CheckpointPath() const { return output_ / "last.ckpt"; }

  void SaveCheckpoint() {
    SaveTraining(CheckpointPath(), fingerprint_, state_, network_.parameters(), average_.get(),
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
    BatchQueue queue(dataset_, state_.epoch, state_.step_in_epoch);
    auto last = Clock::now();
    while (state_.step_in_epoch < schedule_.steps_per_epoch) {
      Step(queue.Next());
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

  void Step(const SliceDataset::Batch& batch) {
    const int64_t step = state_.epoch * schedule_.steps_per_epoch + state_.step_in_epoch;
    CounterRng seed(options_.seed, state_.epoch, state_.step_in_epoch, kDropPath);
    generator_.set_current_seed(seed.Next());
    ForwardOptions forward;
    forward.training = true;
    forward.generator = &generator_;
    at::Tensor logits;
    {
      const Autocast autocast(options_.bfloat16);
      logits = network_.Forward(batch.image, forward);
    }
    const SegmentationLoss loss = ComputeSegmentationLoss(logits.to(at::kFloat), batch.label,
                                                          options_.ce_weight, options_.dice_weight);
    const double value = loss.total.item<double>();
    if (!std::isfinite(value)) {
      throw ModelError("the training diverged: the loss is not finite at step " +
                       std::to_string(step + 1) + "; use a smaller --lr or a --clip");
    }
    optimizer_.ZeroGradients();
    loss.total.backward();
    if (options_.clip > 0) optimizer_.ClipGradients(options_.clip);
    optimizer_.Step(LearningRate(schedule_, step));
    if (average_) average_->Update(network_.parameters(), step);
    state_.loss_sum += value;
    state_.ce_sum += loss.ce.item<double>();
    state_.dice_sum += loss.dice.item<double>();
    ++state_.step_in_epoch;
    slices_done_ += batch.image.size(0);
  }

  void FinishEpoch() {
    const double steps = static_cast<double>(state_.step_in_epoch);
    EpochRecord record;
    record.epoch = state_.epoch + 1;
    record.learning_rate = LearningRate(
        schedule_, state_.epoch * schedule_.steps_per_epoch + state_.step_in_epoch - 1);
    record.loss = state_.loss_sum / steps;
    record.ce = state_.ce_sum / steps;
    record.dice_loss = state_.dice_sum / steps;
    const bool last = record.epoch == options_.epochs;
    const bool due = last || record.epoch % std::max<int64_t>(1, options_.validate_every) == 0;
    ValidationScore score;
    if (due && !validation_.empty()) {
      const auto start = Clock::now();
      score = ValidateNow();
      state_.epoch_seconds += SecondsSince(start);
      record.class_dice = score.class_mean;
      record.mean_dice = score.mean;
    }
    record.seconds = state_.epoch_seconds;
    const bool better = !score.cases.empty() && score.mean > state_.best_dice;
    if (better) {
      state_.best_dice = score.mean;
      state_.best_epoch = record.epoch;
    }
    if (validation_.empty() || options_.keep_last_model ? due : better) SaveModel(record, score);
    state_.epochs.push_back(record);
    ++state_.epoch;
    state_.step_in_epoch = 0;
    state_.loss_sum = state_.ce_sum = state_.dice_sum = state_.epoch_seconds = 0;
    io::WriteFileAtomically(output_ / "log.csv", LogCsv(state_.epochs, card_));
    SaveCheckpoint();
  }

  const ParameterStore& KeptParameters() const {
    return average_ ? average_->parameters() : network_.parameters();
  }

  ValidationScore ValidateNow() {
    RwkvUnet judge(network_.config(), network_.wkv_mode());
    for (const auto& entry : KeptParameters().entries()) {
      judge.parameters().Set(entry.name, entry.value.detach());
    }
    int64_t cases = 0;
    return Validate([&](const at::Tensor& image) { return judge.Forward(image); }, card_,
                    validation_, options_.validation_batch,
                    [&] {
                      if (++cases % 4 == 0)
                        Poll("epoch " + std::to_string(state_.epoch + 1) + ", validating");
                    });
  }

  void SaveModel(const EpochRecord& record, const ValidationScore& score) {
    ModelCard card = card_;
    card.provenance["epoch"] =
        std::to_string(record.epoch) + " of " + std::to_string(options_.epochs);
    card.provenance["training"] = options_.Fingerprint();
    if (!score.cases.empty()) {
      std::string text = "mean " + Number(std::round(score.mean * 1e4) / 1e4);
      for (size_t c = 0; c < score.class_mean.size(); ++c) {
        text += ", " + card.labels[c + 1].name + " " +
                Number(std::round(score.class_mean[c] * 1e4) / 1e4);
      }
      card.provenance["validation_dice"] = text;
      std::string table = "case";
      for (size_t c = 1; c < card.labels.size(); ++c) table += ",dice_" + card.labels[c].name;
      table += "\n";
      for (size_t i = 0; i < score.cases.size(); ++i) {
        table += score.cases[i];
        for (const double value : score.dice[i]) table += "," + Number(value);
        table += "\n";
      }
      io::WriteFileAtomically(output_ / "validation.csv", table);
    }
    TensorFile file;
    file.metadata["avocet"] = ToJson(card);
    for (const auto& entry : KeptParameters().entries()) {
      file.tensors.emplace_back(entry.name, FromTensor(entry.value));
    }
    WriteSafetensors(file, output_ / "model.safetensors");
  }

  RwkvUnet& network_;
  ModelCard card_;
  const std::vector<TrainingCase>& validation_;
  TrainerOptions options_;
  std::filesystem::path output_;
  Progress& progress_;
  SliceDataset dataset_;
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

std::string TrainerOptions::Fingerprint() const {
  const auto& a = augmentation;
  std::string text;
  const auto add = [&text](const char* name, const std::string& value) {
    text += std::string(name) + "=" + value + "\n";
  };
  add("epochs", std::to_string(epochs));
  add("batch", std::to_string(batch));
  add("schedule", schedule);
  add("lr", Number(learning_rate));
  add("warmup", Number(warmup_epochs));
  add("weight_decay", Number(weight_decay));
  add("decay_everything", decay_everything ? "1" : "0");
  add("clip", Number(clip));
  add("ce_weight", Number(ce_weight));
  add("dice_weight", Number(dice_weight));
  add("ema", Number(ema));
  add("augmentation", a.name);
  add("flips", Number(a.flip_rows_chance) + "/" + Number(a.flip_cols_chance) + "/" +
                   Number(a.flip_context_chance));
  add("background_share", Number(background_share));
  add("keep_last_batch", keep_last_batch ? "1" : "0");
  add("precision", bfloat16 ? "bfloat16" : "float32");
  add("validate_every", std::to_string(validate_every));
  add("seed", std::to_string(seed));
  return text;
}

TrainerResult Train(RwkvUnet& network, ModelCard card, const std::vector<TrainingCase>& training,
                    const std::vector<TrainingCase>& validation, const TrainerOptions& options,
                    const std::filesystem::path& output, Progress& progress) {
  Training job(network, std::move(card), training, validation, options, output, progress);
  return job.Run();
}

}  // namespace avocet::models
