// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <filesystem>
#include <vector>

namespace avocet::models {

// Learned perceptual image patch similarity (Zhang et al., CVPR 2018) as the lpips package 0.1.x
// computes it: VGG-16 trunk, calibration 0.1, evaluation mode. The weights are the user's: they may
// not be shipped, and nothing is downloaded.
class Lpips {
 public:
  // Finds its tensors in any of the files, by the names of torchvision's vgg16
  // ("features.0.weight") and of the calibration ("lin0.model.1.weight"), or all in one file of the
  // package's module
  // ("net.slice1.0.weight"). Throws IoError when a file cannot be read, ModelError naming the first
  // tensor that is missing or has another shape.
  explicit Lpips(const std::vector<std::filesystem::path>& files);

  // [N, 1, H, W] float32 each, H and W at least 16. Returns [N], float64. The values go in as they
  // are: the published FS-RWKV program passes [0, 1], the package documents [-1, 1].
  at::Tensor Distance(const at::Tensor& a, const at::Tensor& b) const;

 private:
  struct Convolution {
    at::Tensor weight, bias;
  };
  std::vector<at::Tensor> Features(const at::Tensor& image) const;

  std::array<Convolution, 13> convolutions_;
  std::array<at::Tensor, 5> calibration_;
};

}  // namespace avocet::models
