// SPDX-License-Identifier: Apache-2.0
#include "models/training/trainer.h"

#include <ATen/ATen.h>

#include <cmath>
#include <cstdio>
#include <memory>

#include "models/precision.h"
#include "models/training/batch_queue.h"
#include "models/training/fingerprint.h"
#include "models/training/losses.h"

namespace avocet::models {
namespace {

std::string Number(double value) {
  char buffer[40];
  std::snprintf(buffer, sizeof buffer, "%.10g", value);
  return buffer;
}

class SegmentationTask final : public TrainingTask {
 public:
  SegmentationTask(RwkvUnet& network, ModelCard card, const std::vector<TrainingCase>& training,
                   const std::vector<TrainingCase>& validation, const TrainerOptions& options)
      : network_(network),
        card_(std::move(card)),
        validation_(validation),
        options_(options),
        data_(HashData(training, validation)),
        dataset_(training, card_, DatasetOptions(options)) {}

  ParameterStore& parameters() override { return network_.parameters(); }
  ModelCard card() const override { return card_; }
  int64_t slices() const override { return dataset_.slices(); }
  int64_t steps_per_epoch() const override { return dataset_.steps_per_epoch(); }
  std::string Description() const override {
    return DescribeTraining(options_, AugmentationRecipe::ByName(options_.augmentation.name));
  }
  std::string Fingerprint() const override {
    return TrainingFingerprint(options_, network_.config(), network_.wkv_mode(), card_, data_);
  }
  std::vector<std::string> LossParts() const override { return {"ce", "dice_loss"}; }
  std::vector<std::string> ScoreColumns() const override {
    std::vector<std::string> names;
    for (size_t c = 1; c < card_.labels.size(); ++c)
      names.push_back("dice_" + card_.labels[c].name);
    names.push_back("dice_mean");
    return names;
  }

  void BeginEpoch(int64_t epoch, int64_t first_step) override {
    queue_.reset();
    queue_ = std::make_unique<BatchQueue<SliceDataset>>(dataset_, epoch, first_step);
  }

  StepLoss NextStep(at::Generator& generator) override {
    const SliceDataset::Batch batch = queue_->Next();
    ForwardOptions forward;
    forward.training = true;
    forward.generator = &generator;
    at::Tensor logits;
    {
      const PrecisionScope scope(at::kCPU,
                                 options_.bfloat16 ? Precision::kBFloat16 : Precision::kFloat32);
      logits = network_.Forward(batch.image, forward);
    }
    const SegmentationLoss loss = ComputeSegmentationLoss(logits.to(at::kFloat), batch.label,
                                                          options_.ce_weight, options_.dice_weight);
    return {loss.total, {loss.ce.item<double>(), loss.dice.item<double>()}, batch.image.size(0)};
  }

  bool HasValidation() const override { return !validation_.empty(); }

  TaskScore Validate(const ParameterStore& kept, const std::function<void()>& poll) override {
    RwkvUnet judge(network_.config(), network_.wkv_mode());
    for (const auto& entry : kept.entries()) {
      judge.parameters().Set(entry.name, entry.value.detach());
    }
    int64_t cases = 0;
    const ValidationScore dice =
        models::Validate([&](const at::Tensor& image) { return judge.Forward(image); }, card_,
                         validation_, options_.validation_batch,
                         [&] {
                           if (++cases % 4 == 0) poll();
                         });
    TaskScore score;
    score.columns = dice.class_mean;
    score.columns.push_back(dice.mean);
    score.selectors = {{"dice", dice.mean}};
    std::string text = "mean " + Number(std::round(dice.mean * 1e4) / 1e4);
    for (size_t c = 0; c < dice.class_mean.size(); ++c) {
      text += ", " + card_.labels[c + 1].name + " " +
              Number(std::round(dice.class_mean[c] * 1e4) / 1e4);
    }
    score.provenance = {{"validation_dice", text}};
    score.table = "case";
    for (size_t c = 1; c < card_.labels.size(); ++c) score.table += ",dice_" + card_.labels[c].name;
    score.table += "\n";
    for (size_t i = 0; i < dice.cases.size(); ++i) {
      score.table += dice.cases[i];
      for (const double value : dice.dice[i]) score.table += "," + Number(value);
      score.table += "\n";
    }
    return score;
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

  RwkvUnet& network_;
  ModelCard card_;
  const std::vector<TrainingCase>& validation_;
  TrainerOptions options_;
  DataHashes data_;
  SliceDataset dataset_;
  std::unique_ptr<BatchQueue<SliceDataset>> queue_;
};

}  // namespace

TrainerResult Train(RwkvUnet& network, ModelCard card, const std::vector<TrainingCase>& training,
                    const std::vector<TrainingCase>& validation, const TrainerOptions& options,
                    const std::filesystem::path& output, Progress& progress) {
  SegmentationTask task(network, std::move(card), training, validation, options);
  const EngineResult trained = RunTraining(task, options, output, progress);
  TrainerResult result;
  result.epochs = trained.epochs;
  if (trained.best_epoch > 0) result.best_dice = trained.best;
  result.best_epoch = trained.best_epoch;
  result.kept_epoch = trained.kept_epoch;
  result.finished = trained.finished;
  result.slices = task.slices();
  result.slices_per_second = trained.slices_per_second;
  return result;
}

}  // namespace avocet::models
