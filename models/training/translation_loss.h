// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include "app/base/field_table.h"

namespace avocet::models {

// Losses between a predicted and a wanted image, both [N, 1, H, W] of one floating type,
// intensities in [0, 1] (predictions are not clamped). Each is a scalar, computed in float64,
// returned in the images' type and differentiable in the prediction. They are what the official
// FS-RWKV trains with (shared/spec/fs_rwkv.md 10 and 12.2).

// Where SSIM is averaged: over the whole map (torchmetrics from 1.4.2 on) or without its outer five
// pixels (before).
enum class SsimBorder { kFull, kCrop };

// Mean of d^2 / 2 where |d| < 1, else |d| - 1/2.
at::Tensor SmoothL1Loss(const at::Tensor& prediction, const at::Tensor& target);

// Structural similarity (Wang et al. 2004), Gaussian window of 11 x 11 with sigma 1.5, range 1,
// borders reflected, variances not below 0; mean over pixels and images. H and W must be 6 or more
// (11 or more without the border); throws c10::Error otherwise.
at::Tensor StructuralSimilarity(const at::Tensor& prediction, const at::Tensor& target,
                                SsimBorder border = SsimBorder::kFull);

// Mean of |e(prediction) - e(target)|, e = sqrt(gx^2 + gy^2 + 1e-6) with 3 x 3 Sobel gradients,
// zero border.
at::Tensor EdgeLoss(const at::Tensor& prediction, const at::Tensor& target);

struct TranslationLossOptions {
  double ssim_weight = 0.4;
  double edge_weight = 0.3;
  SsimBorder border = SsimBorder::kFull;
};
inline auto FieldsOf(const TranslationLossOptions& o) {
  return std::make_tuple(Decides("ssim_weight", o.ssim_weight),
                         Decides("edge_weight", o.edge_weight), Decides("ssim_border", o.border));
}

struct TranslationLoss {
  at::Tensor total;  // smooth_l1 + ssim_weight * ssim + edge_weight * edge
  at::Tensor smooth_l1;
  at::Tensor ssim;  // 1 - StructuralSimilarity
  at::Tensor edge;
};
TranslationLoss ComputeTranslationLoss(const at::Tensor& prediction, const at::Tensor& target,
                                       const TranslationLossOptions& options = {});

}  // namespace avocet::models
