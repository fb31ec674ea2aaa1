// SPDX-License-Identifier: Apache-2.0
#include "models/perceptual/lpips.h"

#include <ATen/ATen.h>

#include "app/base/error.h"
#include "models/checkpoint/tensor_file.h"
#include "models/parameters.h"

namespace avocet::models {
namespace {

// VGG-16: the index in torchvision's `features`, the stage after whose last convolution features
// are taken, and the channels.
struct Layer {
  int index, stage, channels;
};
constexpr std::array<Layer, 13> kLayers{{{0, 1, 64},
                                         {2, 1, 64},
                                         {5, 2, 128},
                                         {7, 2, 128},
                                         {10, 3, 256},
                                         {12, 3, 256},
                                         {14, 3, 256},
                                         {17, 4, 512},
                                         {19, 4, 512},
                                         {21, 4, 512},
                                         {24, 5, 512},
                                         {26, 5, 512},
                                         {28, 5, 512}}};

class Weights {
 public:
  explicit Weights(const std::vector<std::filesystem::path>& paths) {
    for (const auto& path : paths) {
      files_.push_back(ReadTensorFile(path));
      names_ += (names_.empty() ? "'" : ", '") + path.filename().string() + "'";
    }
  }

  at::Tensor Find(const std::vector<std::string>& names, at::IntArrayRef shape) const {
    for (const TensorFile& file : files_) {
      for (const std::string& name : names) {
        const StoredTensor* stored = file.Find(name);
        if (stored == nullptr) continue;
        const at::Tensor tensor = ToTensor(*stored).to(at::kFloat);
        if (tensor.sizes() == shape) return tensor;
        throw ModelError("--lpips: tensor '" + name + "' has shape " + ShapeText(stored->shape) +
                         " where LPIPS with VGG-16 has " + ShapeText(shape.vec()));
      }
    }
    throw ModelError("--lpips: " + names_ + " hold no tensor '" + names.front() +
                     "'; give the VGG-16 of torchvision and the calibration 'vgg.pth' of the lpips "
                     "package, or one file of its whole module");
  }

 private:
  std::vector<TensorFile> files_;
  std::string names_;
};

}  // namespace

Lpips::Lpips(const std::vector<std::filesystem::path>& files) {
  const Weights weights(files);
  int64_t inputs = 3;
  for (size_t n = 0; n < kLayers.size(); ++n) {
    const Layer& layer = kLayers[n];
    const std::string index = std::to_string(layer.index);
    const std::string official = "features." + index;
    const std::string package = "net.slice" + std::to_string(layer.stage) + "." + index;
    convolutions_[n].weight =
        weights.Find({official + ".weight", package + ".weight"}, {layer.channels, inputs, 3, 3});
    convolutions_[n].bias = weights.Find({official + ".bias", package + ".bias"}, {layer.channels});
    inputs = layer.channels;
  }
  constexpr std::array<int64_t, 5> kChannels{64, 128, 256, 512, 512};
  for (size_t n = 0; n < calibration_.size(); ++n) {
    calibration_[n] =
        weights.Find({"lin" + std::to_string(n) + ".model.1.weight"}, {1, kChannels[n], 1, 1});
  }
}

std::vector<at::Tensor> Lpips::Features(const at::Tensor& image) const {
  const auto three = [&](double r, double g, double b) {
    return at::tensor({r, g, b}, at::kFloat).view({1, 3, 1, 1});
  };
  at::Tensor x = (image - three(-0.030, -0.088, -0.188)) / three(0.458, 0.448, 0.450);
  std::vector<at::Tensor> features;
  for (size_t n = 0; n < kLayers.size(); ++n) {
    if (n > 0 && kLayers[n].stage != kLayers[n - 1].stage) x = at::max_pool2d(x, {2, 2}, {2, 2});
    x = at::conv2d(x, convolutions_[n].weight, convolutions_[n].bias, 1, 1).relu_();
    if (n + 1 == kLayers.size() || kLayers[n + 1].stage != kLayers[n].stage) features.push_back(x);
  }
  return features;
}

at::Tensor Lpips::Distance(const at::Tensor& a, const at::Tensor& b) const {
  if (a.size(2) < 16 || a.size(3) < 16) {
    throw OptionError("LPIPS needs slices of at least 16 x 16 pixels, these have " +
                      std::to_string(a.size(3)) + " x " + std::to_string(a.size(2)));
  }
  const std::vector<at::Tensor> fa = Features(a), fb = Features(b);
  const auto unit = [](const at::Tensor& x) {
    return x / (x.square().sum(1, true).sqrt() + 1e-10);
  };
  at::Tensor sum = at::zeros({a.size(0)}, at::kDouble);
  for (size_t n = 0; n < fa.size(); ++n) {
    const at::Tensor difference = (unit(fa[n]) - unit(fb[n])).square();
    sum += (difference * calibration_[n]).sum(1).to(at::kDouble).mean(at::IntArrayRef{1, 2});
  }
  return sum;
}

}  // namespace avocet::models
