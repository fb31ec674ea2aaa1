// SPDX-License-Identifier: Apache-2.0
#include "models/training/translation_loss.h"

#include <ATen/ATen.h>

#include <cmath>
#include <vector>

namespace avocet::models {
namespace {

constexpr int64_t kRadius = 5;  // of the Gaussian window
constexpr double kSigma = 1.5;
constexpr double kC1 = 1e-4, kC2 = 9e-4;  // (0.01 * range)^2, (0.03 * range)^2
constexpr double kEdgeFloor = 1e-6;

void Check(const at::Tensor& prediction, const at::Tensor& target) {
  TORCH_CHECK(prediction.dim() == 4 && prediction.size(1) == 1 && prediction.numel() > 0 &&
                  prediction.sizes() == target.sizes(),
              "translation loss: the images must be [N, 1, H, W] of one size, got ",
              prediction.sizes(), " and ", target.sizes());
}

at::Tensor Window(const at::Tensor& like) {
  std::vector<double> weights;
  double sum = 0;
  for (int64_t i = -kRadius; i <= kRadius; ++i) {
    const double x = static_cast<double>(i) / kSigma;
    weights.push_back(std::exp(-0.5 * x * x));
    sum += weights.back();
  }
  for (double& weight : weights) weight /= sum;
  return at::tensor(weights, at::kDouble).to(like.device());
}

// Local mean of maps with a reflected border, size kept.
at::Tensor Smooth(const at::Tensor& maps, const at::Tensor& window) {
  const at::Tensor padded = at::reflection_pad2d(maps, {kRadius, kRadius, kRadius, kRadius});
  const at::Tensor rows = at::conv2d(padded, window.view({1, 1, -1, 1}));
  return at::conv2d(rows, window.view({1, 1, 1, -1}));
}

// Lengths of the Sobel gradients.
at::Tensor Edges(const at::Tensor& image) {
  const at::Tensor along = at::tensor({-1.0, 0.0, 1.0, -2.0, 0.0, 2.0, -1.0, 0.0, 1.0}, at::kDouble)
                               .view({1, 1, 3, 3})
                               .to(image.device());
  const at::Tensor kernels = at::cat({along, along.transpose(2, 3)});
  return (at::conv2d(image, kernels, {}, 1, 1).square().sum(1) + kEdgeFloor).sqrt();
}

}  // namespace

at::Tensor SmoothL1Loss(const at::Tensor& prediction, const at::Tensor& target) {
  Check(prediction, target);
  return at::smooth_l1_loss(prediction.to(at::kDouble), target.to(at::kDouble))
      .to(prediction.scalar_type());
}

at::Tensor StructuralSimilarity(const at::Tensor& prediction, const at::Tensor& target,
                                SsimBorder border) {
  Check(prediction, target);
  const int64_t height = prediction.size(2), width = prediction.size(3);
  const int64_t least = border == SsimBorder::kFull ? kRadius + 1 : 2 * kRadius + 1;
  TORCH_CHECK(height >= least && width >= least, "SSIM: the images are ", height, " x ", width,
              "; each side must be ", least, " or more");
  const int64_t n = prediction.size(0);
  const at::Tensor p = prediction.to(at::kDouble), t = target.to(at::kDouble);
  const at::Tensor moments = Smooth(at::cat({p, t, p * p, t * t, p * t}), Window(p));
  const std::vector<at::Tensor> m = moments.split(n);
  const at::Tensor pp = (m[2] - m[0] * m[0]).clamp_min(0), tt = (m[3] - m[1] * m[1]).clamp_min(0),
                   pt = m[4] - m[0] * m[1];
  at::Tensor map = ((2 * m[0] * m[1] + kC1) * (2 * pt + kC2)) /
                   ((m[0] * m[0] + m[1] * m[1] + kC1) * (pp + tt + kC2));
  if (border == SsimBorder::kCrop) {
    map = map.slice(2, kRadius, height - kRadius).slice(3, kRadius, width - kRadius);
  }
  return map.mean().to(prediction.scalar_type());
}

at::Tensor EdgeLoss(const at::Tensor& prediction, const at::Tensor& target) {
  Check(prediction, target);
  return at::l1_loss(Edges(prediction.to(at::kDouble)), Edges(target.to(at::kDouble)))
      .to(prediction.scalar_type());
}

TranslationLoss ComputeTranslationLoss(const at::Tensor& prediction, const at::Tensor& target,
                                       const TranslationLossOptions& options) {
  TranslationLoss loss;
  loss.smooth_l1 = SmoothL1Loss(prediction, target);
  loss.ssim = 1 - StructuralSimilarity(prediction, target, options.border);
  loss.edge = EdgeLoss(prediction, target);
  loss.total = loss.smooth_l1 + options.ssim_weight * loss.ssim + options.edge_weight * loss.edge;
  return loss;
}

}  // namespace avocet::models
