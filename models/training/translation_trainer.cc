// SPDX-License-Identifier: Apache-2.0
#include "models/training/translation_trainer.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <memory>

#include "app/base/error.h"
#include "models/metrics/image_quality.h"
#include "models/training/batch_queue.h"
#include "models/training/fingerprint.h"

namespace avocet::models {
namespace {

std::string Number(double value) {
  char buffer[40];
  std::snprintf(buffer, sizeof buffer, "%.10g", value);
  return buffer;
}

std::string Short(double value, int decimals) {
  char buffer[40];
  std::snprintf(buffer, sizeof buffer, "%.*f", decimals, value);
  return buffer;
}

// Slices with content, thinned to `most`.
std::vector<int64_t> ScoredSlices(const PairStack& stack, double least_content, int64_t most) {
  std::vector<int64_t> chosen;
  const int64_t plane = stack.rows * stack.cols;
  for (int64_t s = 0; s < stack.slices; ++s) {
    const float* first = stack.target.data() + s * plane;
    const auto above = std::count_if(first, first + plane, [](float v) { return v > 0.1f; });
    if (stack.picture || above >= least_content * plane) chosen.push_back(s);
  }
  if (most <= 0 || static_cast<int64_t>(chosen.size()) <= most) return chosen;
  std::vector<int64_t> thinned;
  for (int64_t n = 0; n < most; ++n) {
    thinned.push_back(chosen[(2 * n + 1) * chosen.size() / (2 * most)]);
  }
  return thinned;
}

void AddQuality(const std::vector<float>& image, const PlanePair& pair, double& psnr,
                double& ssim) {
  std::vector<double> p(image.size()), t(pair.target.begin(), pair.target.end());
  for (size_t x = 0; x < image.size(); ++x) p[x] = std::clamp<double>(image[x], 0, 1);
  for (double& v : t) v = std::clamp(v, 0.0, 1.0);
  metrics::ImagePair images;
  images.prediction = p.data();
  images.reference = t.data();
  images.size[0] = pair.cols;
  images.size[1] = pair.rows;
  images.dims = 2;
  psnr += metrics::Psnr(images, 1);
  ssim += metrics::Ssim(images, metrics::SsimFsRwkv(1));
}

at::Tensor ImageOf(const std::vector<float>& plane, const PlanePair& pair) {
  return at::from_blob(const_cast<float*>(plane.data()), {1, 1, pair.rows, pair.cols}, at::kFloat);
}

class TranslationTask final : public TrainingTask {
 public:
  TranslationTask(FsRwkv& network, ModelCard card, std::vector<PairStack> training,
                  const std::vector<PairStack>& validation,
                  const TranslationTrainerOptions& options)
      : network_(network),
        card_(std::move(card)),
        validation_(validation),
        options_(options),
        data_(HashData(training, validation)),
        dataset_(std::move(training), DataOptions(options)) {}

  ParameterStore& parameters() override { return network_.parameters(); }
  ModelCard card() const override { return card_; }
  int64_t slices() const override { return dataset_.slices(); }
  int64_t steps_per_epoch() const override { return dataset_.steps_per_epoch(); }
  std::string Description() const override {
    return DescribeTraining(options_, PairRecipe::ByName(options_.data.augmentation.name));
  }
  std::string Fingerprint() const override {
    return TrainingFingerprint(options_, network_.config(), network_.config().wkv, card_, data_);
  }
  std::vector<std::string> LossParts() const override { return {"smooth_l1", "ssim_loss", "edge"}; }
  std::vector<std::string> ScoreColumns() const override {
    return {"val_loss", "psnr", "ssim", "input_psnr", "input_ssim"};
  }

  void BeginEpoch(int64_t epoch, int64_t first_step) override {
    queue_.reset();
    queue_ = std::make_unique<BatchQueue<PairDataset>>(dataset_, epoch, first_step);
  }

  StepLoss NextStep(at::Generator& generator) override {
    const PairDataset::Batch batch = queue_->Next();
    ForwardOptions forward;
    forward.training = true;
    forward.generator = &generator;
    const at::Tensor output = network_.Forward(batch.source, forward);
    const TranslationLoss loss = ComputeTranslationLoss(output, batch.target, options_.loss);
    return {loss.total,
            {loss.smooth_l1.item<double>(), loss.ssim.item<double>(), loss.edge.item<double>()},
            batch.source.size(0)};
  }

  bool HasValidation() const override { return !validation_.empty(); }

  TaskScore Validate(const ParameterStore& kept, const std::function<void()>& poll) override {
    FsRwkv judge(network_.config());
    for (const auto& entry : kept.entries()) {
      judge.parameters().Set(entry.name, entry.value.detach());
    }
    const auto cases = ValidateTranslation(judge, validation_, options_, poll);
    TranslationScore sum;
    TaskScore score;
    score.table = "case,slices,loss,psnr,ssim,input_psnr,input_ssim\n";
    for (const TranslationCaseScore& one : cases) {
      const TranslationScore& s = one.score;
      const auto n = static_cast<double>(s.slices);
      sum.loss += n * s.loss;
      sum.psnr += n * s.psnr;
      sum.ssim += n * s.ssim;
      sum.input_psnr += n * s.input_psnr;
      sum.input_ssim += n * s.input_ssim;
      sum.slices += s.slices;
      score.table += one.name + "," + std::to_string(s.slices);
      for (const double v : {s.loss, s.psnr, s.ssim, s.input_psnr, s.input_ssim}) {
        score.table += "," + Number(v);
      }
      score.table += "\n";
    }
    const auto n = static_cast<double>(std::max<int64_t>(1, sum.slices));
    score.columns = {sum.loss / n, sum.psnr / n, sum.ssim / n, sum.input_psnr / n,
                     sum.input_ssim / n};
    score.selectors = {{"ssim", sum.ssim / n}, {"psnr", sum.psnr / n}, {"loss", -sum.loss / n}};
    score.provenance = {{"validation", "mean over " + std::to_string(sum.slices) +
                                           " slices: PSNR " + Short(sum.psnr / n, 3) +
                                           " dB (input " + Short(sum.input_psnr / n, 3) +
                                           "), SSIM " + Short(sum.ssim / n, 4) + " (input " +
                                           Short(sum.input_ssim / n, 4) + ")"}};
    return score;
  }

 private:
  static PairDataset::Options DataOptions(const TranslationTrainerOptions& o) {
    PairDataset::Options d = o.data;
    d.seed = o.seed;
    return d;
  }

  FsRwkv& network_;
  ModelCard card_;
  const std::vector<PairStack>& validation_;
  TranslationTrainerOptions options_;
  DataHashes data_;  // before the dataset, which takes the training cases
  PairDataset dataset_;
  std::unique_ptr<BatchQueue<PairDataset>> queue_;
};

}  // namespace

std::vector<TranslationCaseScore> ValidateTranslation(const FsRwkv& network,
                                                      const std::vector<PairStack>& cases,
                                                      const TranslationTrainerOptions& options,
                                                      const std::function<void()>& poll) {
  // Not inference mode: tensors made in it could not become parameters again.
  const at::NoGradGuard no_grad;
  std::vector<TranslationCaseScore> scores;
  for (const PairStack& stack : cases) {
    TranslationCaseScore one;
    one.name = stack.name;
    for (const int64_t s :
         ScoredSlices(stack, options.data.least_content, options.validation_slices)) {
      const PlanePair pair = stack.Slice(s);
      const at::Tensor output = network.Forward(ImageOf(pair.source, pair)).to(at::kFloat);
      one.score.loss += ComputeTranslationLoss(output, ImageOf(pair.target, pair), options.loss)
                            .total.item<double>();
      const at::Tensor plain = output.contiguous();
      const float* values = plain.const_data_ptr<float>();
      AddQuality({values, values + plain.numel()}, pair, one.score.psnr, one.score.ssim);
      AddQuality(pair.source, pair, one.score.input_psnr, one.score.input_ssim);
      ++one.score.slices;
      poll();
    }
    if (one.score.slices == 0) continue;
    for (double* sum : {&one.score.loss, &one.score.psnr, &one.score.ssim, &one.score.input_psnr,
                        &one.score.input_ssim}) {
      *sum /= static_cast<double>(one.score.slices);
    }
    scores.push_back(one);
  }
  return scores;
}

TranslationTrainerResult TrainTranslation(FsRwkv& network, ModelCard card,
                                          std::vector<PairStack> training,
                                          const std::vector<PairStack>& validation,
                                          const TranslationTrainerOptions& options,
                                          const std::filesystem::path& output, Progress& progress) {
  TranslationTask task(network, std::move(card), std::move(training), validation, options);
  TranslationTrainerResult result;
  result.engine = RunTraining(task, options, output, progress);
  result.slices = task.slices();
  return result;
}

}  // namespace avocet::models
