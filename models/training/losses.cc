// SPDX-License-Identifier: Apache-2.0
#include "models/training/losses.h"

#include <ATen/ATen.h>

namespace avocet::models {
namespace {

constexpr double kSmooth = 1e-5;

at::Tensor DiceFromProbabilities(const at::Tensor& probabilities, const at::Tensor& labels,
                                 int64_t classes) {
  const at::Tensor wide = labels.to(at::kLong);
  const at::Tensor supervised = wide.ne(kIgnoreLabel);
  at::Tensor p = probabilities;
  at::Tensor target = wide;
  at::Tensor mask;
  if (!supervised.all().item<bool>()) {
    mask = supervised.unsqueeze(1).to(probabilities.scalar_type());
    p = p * mask;
    target = wide.masked_fill(supervised.logical_not(), 0);
  }
  at::Tensor one_hot = at::zeros(p.sizes(), p.options());
  one_hot.scatter_(1, target.unsqueeze(1), 1.0);
  if (mask.defined()) one_hot = one_hot * mask;
  TORCH_CHECK(p.size(1) == classes, "logits have ", p.size(1), " channels for ", classes,
              " classes");
  const std::vector<int64_t> over{0, 2, 3};
  const at::Tensor intersection = (p * one_hot).sum(over);
  const at::Tensor p_squared = (p * p).sum(over);
  const at::Tensor g_squared = one_hot.sum(over);  // of a one-hot map: g^2 = g
  const at::Tensor dice = (intersection * 2 + kSmooth) / (p_squared + g_squared + kSmooth);
  return (1 - dice).mean();
}

}  // namespace

at::Tensor SoftmaxDiceLoss(const at::Tensor& logits, const at::Tensor& labels, int64_t classes) {
  return DiceFromProbabilities(at::softmax(logits, 1), labels, classes);
}

at::Tensor CrossEntropyLoss(const at::Tensor& logits, const at::Tensor& labels) {
  const at::Tensor wide = labels.to(at::kLong);
  if (!wide.ne(kIgnoreLabel).any().item<bool>()) return logits.sum() * 0;  // mean of nothing is NaN
  return at::cross_entropy_loss(logits, wide, /*weight=*/{}, at::Reduction::Mean, kIgnoreLabel);
}

SegmentationLoss ComputeSegmentationLoss(const at::Tensor& logits, const at::Tensor& labels,
                                         double ce_weight, double dice_weight) {
  SegmentationLoss loss;
  loss.ce = CrossEntropyLoss(logits, labels);
  loss.dice = SoftmaxDiceLoss(logits, labels, logits.size(1));
  loss.total = loss.ce * ce_weight + loss.dice * dice_weight;
  return loss;
}

}  // namespace avocet::models
