// SPDX-License-Identifier: Apache-2.0
#include "models/fs_rwkv/fidelity_block.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include "kernels/banded_linear.h"
#include "kernels/depthwise_conv.h"
#include "kernels/group_norm.h"
#include "kernels/haar.h"
#include "kernels/ska.h"

namespace avocet::models {
namespace {

constexpr auto kChannelsLast = at::MemoryFormat::ChannelsLast;
constexpr double kEps = 1e-5;
constexpr double kMomentum = 0.1;
constexpr int64_t kSimpleGroups = 8;
constexpr int64_t kKernelTaps = 9;
const char* const kPaths[] = {"_3x3", "_5x5", "_7x7"};

}  // namespace

void FsFidelityBlock::Report(const std::string& name, const at::Tensor& value) const {
  if (options_.hook) (*options_.hook)(name_ + name, value);
}

at::Tensor FsFidelityBlock::BatchNorm(const std::string& name, const at::Tensor& x) const {
  if (options_.training) {
    c10::NoGradGuard no_grad;
    at::Tensor counter = P(name + ".num_batches_tracked");
    counter.add_(1);
  }
  return at::batch_norm(x, P(name + ".weight"), P(name + ".bias"), P(name + ".running_mean"),
                        P(name + ".running_var"), options_.training, kMomentum, kEps,
                        /*cudnn_enabled=*/true);
}

at::Tensor FsFidelityBlock::GroupNorm(const std::string& name, const at::Tensor& x,
                                      int64_t groups) const {
  return kernels::GroupNorm(x, groups, P(name + ".weight"), P(name + ".bias"), kEps);
}

at::Tensor FsFidelityBlock::PixelNorm(const std::string& name, const at::Tensor& x) const {
  return at::layer_norm(x.permute({0, 2, 3, 1}), {x.size(1)}, P(name + ".weight"),
                        P(name + ".bias"), kEps)
      .permute({0, 3, 1, 2});
}

at::Tensor FsFidelityBlock::Pointwise(const std::string& name, const at::Tensor& x,
                                      bool bias) const {
  return at::linear(x.permute({0, 2, 3, 1}), P(name + ".weight").flatten(1),
                    bias ? P(name + ".bias") : at::Tensor())
      .permute({0, 3, 1, 2});
}

at::Tensor FsFidelityBlock::Conv(const std::string& name, const at::Tensor& x) const {
  const at::Tensor& weight = P(name + ".weight");
  return at::conv2d(x, weight, {}, 1, weight.size(2) / 2);
}

at::Tensor FsFidelityBlock::Depthwise(const std::string& name, const at::Tensor& x) const {
  const at::Tensor& weight = P(name + ".weight");
  const int64_t padding = weight.size(2) / 2;
  if (kernels::DepthwiseConvSupports(x, weight, 1, padding)) {
    return kernels::DepthwiseConv(x, weight, 1, padding);
  }
  return at::conv2d(x, weight, {}, 1, padding, 1, x.size(1));
}

at::Tensor FsFidelityBlock::Simple(const std::string& p, const at::Tensor& x) const {
  at::Tensor y = Conv(p + ".conv", x);
  Report(p + ".conv", y);
  y = GroupNorm(p + ".norm", y, std::min(kSimpleGroups, y.size(1)));
  Report(p + ".norm", y);
  y = at::relu(y);
  Report(p, y);
  return y;
}

at::Tensor FsFidelityBlock::LargeSmallConv(const std::string& p, const at::Tensor& x) const {
  at::Tensor z = BatchNorm(p + ".lkp.cv1.bn", Pointwise(p + ".lkp.cv1.c", x));
  Report(p + ".lkp.cv1", z);
  z = BatchNorm(p + ".lkp.cv2.bn", Depthwise(p + ".lkp.cv2.c", at::relu(z)));
  Report(p + ".lkp.cv2", z);
  z = BatchNorm(p + ".lkp.cv3.bn", Pointwise(p + ".lkp.cv3.c", z));
  Report(p + ".lkp.cv3", z);
  z = Pointwise(p + ".lkp.cv4", at::relu(z), /*bias=*/true);
  Report(p + ".lkp.cv4", z);
  z = GroupNorm(p + ".lkp.norm", z, z.size(1) / kKernelTaps);
  Report(p + ".lkp.norm", z);
  at::Tensor y = kernels::Ska(x, z);
  Report(p + ".ska", y);
  y = BatchNorm(p + ".bn", y);
  Report(p + ".bn", y);
  y = y + x;
  Report(p, y);
  return y;
}

at::Tensor FsFidelityBlock::SeparableConv(const std::string& p, const at::Tensor& x) const {
  at::Tensor y = Depthwise(p + ".depthwise", x);
  Report(p + ".depthwise", y);
  y = Pointwise(p + ".pointwise", y);
  Report(p + ".pointwise", y);
  y = PixelNorm(p + ".norm.ln", y);
  Report(p + ".norm", y);
  y = at::relu(y);
  Report(p, y);
  return y;
}

at::Tensor FsFidelityBlock::LowProcessor(const at::Tensor& low) const {
  const std::string p = ".low_freq_processor";
  std::vector<at::Tensor> parts;
  for (const char* path : kPaths) {
    parts.push_back(LargeSmallConv(p + ".lsconv" + path, Simple(p + ".conv" + path, low)));
  }
  at::Tensor y = Pointwise(p + ".out_conv", at::cat(parts, 1));
  Report(p, y);
  return y;
}

at::Tensor FsFidelityBlock::HighProcessor(const at::Tensor& high) const {
  const std::string p = ".high_freq_processor";
  std::vector<at::Tensor> parts;
  for (const char* path : kPaths) {
    parts.push_back(SeparableConv(p + ".dsconv" + path, Simple(p + ".conv" + path, high)));
  }
  const at::Tensor y = Pointwise(p + ".out_conv", at::cat(parts, 1));
  Report(p, y);
  return y;
}

at::Tensor FsFidelityBlock::FusionWeights(const at::Tensor& pooled) const {
  const std::string p = ".final_fusion.weight_net";
  at::Tensor y = Pointwise(p + ".0", pooled);
  Report(p + ".0", y);
  y = PixelNorm(p + ".1.ln", y);
  Report(p + ".1", y);
  y = at::sigmoid(Pointwise(p + ".3", at::relu(y)));
  Report(p, y);
  return y;
}

at::Tensor FsFidelityBlock::Forward(const at::Tensor& image) const {
  const at::Tensor spatial = LargeSmallConv(".spatial_lsconv", Simple(".spatial_conv", image));
  const auto [low, high] = kernels::HaarForward(image);
  Report(".dwt.LL", low);
  Report(".dwt.high", high);
  const at::Tensor low_back = Pointwise(".low_back_conv", LowProcessor(low));
  Report(".low_back_conv", low_back);
  const at::Tensor high_back = Pointwise(".high_back_conv", HighProcessor(high));
  Report(".high_back_conv", high_back);
  // Half the mean of the low band is the mean of the inverse transform: the other bands cancel.
  const at::Tensor weights = FusionWeights(low_back.mean({2, 3}, /*keepdim=*/true) * 0.5);
  const at::Tensor rebuilt = kernels::HaarInverse(low_back, high_back);
  Report(".idwt", rebuilt);
  const at::Tensor fused = weights.slice(1, 0, 1) * rebuilt + weights.slice(1, 1, 2) * spatial;
  Report(".final_fusion", fused);
  at::Tensor y = Conv(".output_conv.0", fused);
  Report(".output_conv.0", y);
  y = GroupNorm(".output_conv.1", y, 1);
  Report(".output_conv.1", y);
  y = at::tanh(y);
  Report("", y);
  return y;
}

// ---- inference

FsFidelityBlock::Folded FsFidelityBlock::Fold(const std::string& name) const {
  const at::Tensor scale = P(name + ".weight") * (P(name + ".running_var") + kEps).rsqrt();
  return {scale, P(name + ".bias") - P(name + ".running_mean") * scale};
}

at::Tensor FsFidelityBlock::InferSimple(const std::string& p, const at::Tensor& x) const {
  at::Tensor y = Conv(p + ".conv", x).contiguous(kChannelsLast);
  const std::string norm = p + ".norm";
  kernels::ApplyInPlace(y,
                        kernels::GroupNormAffine(y, std::min(kSimpleGroups, y.size(1)),
                                                 P(norm + ".weight"), P(norm + ".bias"), kEps),
                        kernels::Activation::kRelu);
  return y;
}

at::Tensor FsFidelityBlock::InferLargeSmallConv(const std::string& p, const at::Tensor& x) const {
  const auto map = [&](const char* conv) { return P(p + ".lkp." + conv + ".weight").flatten(1); };
  const Folded first = Fold(p + ".lkp.cv1.bn"), second = Fold(p + ".lkp.cv2.bn"),
               third = Fold(p + ".lkp.cv3.bn"), last = Fold(p + ".bn");
  at::Tensor z = kernels::BandedLinear(x.permute({0, 2, 3, 1}),
                                       map("cv1.c") * first.scale.unsqueeze(1), first.shift)
                     .relu_()
                     .permute({0, 3, 1, 2});
  z = Depthwise(p + ".lkp.cv2.c", z).permute({0, 2, 3, 1});
  // Nothing but linear maps between the depthwise convolution and the next activation: one matrix.
  const at::Tensor matrix = map("cv3.c") * third.scale.unsqueeze(1);
  z = kernels::BandedLinear(z, matrix * second.scale, at::mv(matrix, second.shift) + third.shift)
          .relu_();
  z = kernels::BandedLinear(z, map("cv4"), P(p + ".lkp.cv4.bias")).permute({0, 3, 1, 2});
  const std::string norm = p + ".lkp.norm";
  const kernels::ChannelAffine kernel = kernels::GroupNormAffine(
      z, z.size(1) / kKernelTaps, P(norm + ".weight"), P(norm + ".bias"), kEps);
  return kernels::SkaNormAdd(x, z, kernel.scale, kernel.shift, last.scale, last.shift);
}

at::Tensor FsFidelityBlock::InferSeparableConv(const std::string& p, const at::Tensor& x) const {
  const at::Tensor y = kernels::BandedLinear(Depthwise(p + ".depthwise", x).permute({0, 2, 3, 1}),
                                             P(p + ".pointwise.weight").flatten(1));
  return at::layer_norm(y, {y.size(3)}, P(p + ".norm.ln.weight"), P(p + ".norm.ln.bias"), kEps)
      .relu_()
      .permute({0, 3, 1, 2});
}

at::Tensor FsFidelityBlock::Infer(const at::Tensor& image) const {
  const at::Tensor x = image.contiguous(kChannelsLast);
  const int64_t c = x.size(1);
  auto bands = kernels::HaarForward(x);
  at::Tensor &low = std::get<0>(bands), &high = std::get<1>(bands);
  // Sum over the paths of their outputs times their columns of `matrix`, [B, C, h, w].
  const auto joined = [&](const at::Tensor& matrix, auto path_output) {
    at::Tensor sum;
    for (int n = 0; n < 3; ++n) {
      const at::Tensor part = path_output(kPaths[n]).permute({0, 2, 3, 1});
      const at::Tensor rows = part.reshape({-1, c}), columns = matrix.narrow(1, n * c, c);
      const at::Tensor product = kernels::BandedLinear(rows, columns);
      if (n == 0) {
        sum = product;
      } else {
        sum.add_(product);
      }
    }
    return sum.view({low.size(0), low.size(2), low.size(3), matrix.size(0)}).permute({0, 3, 1, 2});
  };
  const auto map = [&](const char* name) { return P(name + std::string(".weight")).flatten(1); };
  const std::string low_name = ".low_freq_processor", high_name = ".high_freq_processor";
  const at::Tensor low_back = joined(
      at::mm(map(".low_back_conv"), map(".low_freq_processor.out_conv")), [&](const char* path) {
        return InferLargeSmallConv(low_name + ".lsconv" + path,
                                   InferSimple(low_name + ".conv" + path, low));
      });
  const at::Tensor high_joined =
      joined(map(".high_freq_processor.out_conv"), [&](const char* path) {
        return InferSeparableConv(high_name + ".dsconv" + path,
                                  InferSimple(high_name + ".conv" + path, high));
      });
  const at::Tensor high_back =
      kernels::BandedLinear(high_joined.permute({0, 2, 3, 1}), map(".high_back_conv"))
          .permute({0, 3, 1, 2});
  const at::Tensor weights = FusionWeights(low_back.mean({2, 3}, /*keepdim=*/true) * 0.5);
  const at::Tensor spatial =
      InferLargeSmallConv(".spatial_lsconv", InferSimple(".spatial_conv", x));
  const at::Tensor fused = kernels::HaarInverseMix(
      low_back, high_back, spatial, weights.select(1, 0).flatten(), weights.select(1, 1).flatten());
  at::Tensor y = Conv(".output_conv.0", fused).contiguous(kChannelsLast);
  kernels::ApplyInPlace(
      y, kernels::GroupNormAffine(y, 1, P(".output_conv.1.weight"), P(".output_conv.1.bias"), kEps),
      kernels::Activation::kTanh);
  Report("", y);
  return y;
}

}  // namespace avocet::models
