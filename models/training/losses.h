// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace avocet::models {

// Pixels with this label carry no supervision: they are left out of both losses (the padding around
// a slice that is smaller than the training canvas).
constexpr int64_t kIgnoreLabel = 255;

// logits: [N, classes, H, W], float32 or float64. labels: [N, H, W], any integer type, values in
// [0, classes) or kIgnoreLabel. All losses are scalars of the logits' type and differentiable.

// Softmax Dice over the whole batch, background included (shared/spec/rwkv_unet.md 15.2):
//   Dice_c = (2 sum p g + 1e-5) / (sum p^2 + sum g^2 + 1e-5),   loss = mean_c (1 - Dice_c).
at::Tensor SoftmaxDiceLoss(const at::Tensor& logits, const at::Tensor& labels, int64_t classes);

// Mean over the supervised pixels of -log softmax at the label; 0 when there are none.
at::Tensor CrossEntropyLoss(const at::Tensor& logits, const at::Tensor& labels);

struct SegmentationLoss {
  at::Tensor total;  // ce_weight * ce + dice_weight * dice
  at::Tensor ce;
  at::Tensor dice;
};
SegmentationLoss ComputeSegmentationLoss(const at::Tensor& logits, const at::Tensor& labels,
                                         double ce_weight = 0.5, double dice_weight = 0.5);

}  // namespace avocet::models
