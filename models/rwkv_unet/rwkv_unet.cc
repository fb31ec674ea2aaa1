// SPDX-License-Identifier: Apache-2.0
// Names, order of operations and constants: shared/spec/rwkv_unet.md sections 2 to 11.
#include "models/rwkv_unet/rwkv_unet.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <cmath>
#include <utility>

#include "app/base/error.h"
#include "models/architecture/rwkv_unet_layout.h"
#include "models/rwkv_unet/frozen_rwkv_unet.h"
#include "models/rwkv_unet/layers.h"

namespace avocet::models {
namespace {

constexpr int kMultiple = 16;  // input sides are padded to it

}  // namespace

RwkvUnetConfig RwkvUnetConfig::ForVariant(const std::string& variant, int classes) {
  if (classes < 1) {
    throw OptionError("the number of classes is " + std::to_string(classes) +
                      "; it must be 1 or more");
  }
  const RwkvUnetSizes& sizes = RwkvUnetSizesOf(variant);
  RwkvUnetConfig config;
  config.variant = sizes.variant;
  config.classes = classes;
  config.depths = sizes.depths;
  for (int n = 0; n < 4; ++n) config.widths[n] = static_cast<int>(sizes.widths[n]);
  config.ratios = sizes.ratios;
  return config;
}

namespace {

bool Contains(const std::string& text, const char* part) {
  return text.find(part) != std::string::npos;
}

bool EndsWith(const std::string& text, const std::string& end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

// Inputs of one output unit of the layer that owns tensor `name`; its bias is drawn from the same
// range.
int64_t FanIn(const ParameterStore& store, const std::string& name) {
  const std::string owner = name.substr(0, name.rfind('.'));
  const at::Tensor weight = store.Get(owner + ".weight");
  return weight.numel() / weight.size(0);
}

}  // namespace

RwkvUnet::~RwkvUnet() = default;
RwkvUnet::RwkvUnet(RwkvUnet&&) noexcept = default;
RwkvUnet& RwkvUnet::operator=(RwkvUnet&&) noexcept = default;

RwkvUnet::RwkvUnet(RwkvUnetConfig config, WkvMode mode) : config_(std::move(config)), mode_(mode) {
  blocks_.push_back({"encoder.stage0.0", 3, 3, static_cast<int>(RwkvUnetSizes::kStemWidth), 1,
                     RwkvUnetBlock::Norm::kNone, false, false, true, 0});
  int total = 0;
  for (int depth : config_.depths) total += depth;
  int index = 0;
  int width = static_cast<int>(RwkvUnetSizes::kStemWidth);
  for (int stage = 1; stage <= 4; ++stage) {
    const RwkvUnetBlock::Norm norm =
        stage <= 2 ? RwkvUnetBlock::Norm::kBatch : RwkvUnetBlock::Norm::kLayer;
    for (int j = 0; j < config_.depths[stage - 1]; ++j, ++index) {
      const bool first = j == 0;
      const double ratio = config_.ratios[stage - 1] * (first ? 2 : 1);
      const int out = config_.widths[stage - 1];
      blocks_.push_back({"encoder.stage" + std::to_string(stage) + "." + std::to_string(j), width,
                         static_cast<int>(width * ratio), out, first ? 2 : 1, norm,
                         stage >= 3 && !first, !first, false,
                         config_.drop_path * index / (total - 1)});
      width = out;
    }
  }
  for (const TensorSpec& spec :
       RwkvUnetTensors(config_.variant, config_.classes, RwkvUnetLayout::kUsed)) {
    const bool counter = spec.shape.empty();
    parameters_.Add(spec.name, at::zeros(spec.shape, counter ? at::kLong : at::kFloat),
                    spec.role == TensorSpec::Role::kParameter);
  }
}

void RwkvUnet::Initialise(at::Generator& generator) {
  c10::NoGradGuard no_grad;
  for (const ParameterStore::Entry& entry : parameters_.entries()) {
    const std::string& name = entry.name;
    at::Tensor value = entry.value;
    const bool norm =
        Contains(name, ".norm.") || Contains(name, "ln1.") || Contains(name, "key_norm.");
    if (EndsWith(name, "running_var") || (norm && EndsWith(name, ".weight"))) {
      value.fill_(1);
    } else if (norm || Contains(name, "spatial_decay") || Contains(name, "spatial_first")) {
      value.zero_();
    } else if (Contains(name, "spatial_mix_")) {
      value.fill_(0.5);
    } else if (Contains(name, ".att.")) {
      // The official truncation at +-2 absolute is 100 standard deviations away.
      value.normal_(0, 0.02, generator);
    } else {
      const double bound = 1 / std::sqrt(static_cast<double>(FanIn(parameters_, name)));
      value.uniform_(-bound, bound, generator);
    }
  }
}

void RwkvUnet::Freeze(Precision precision) {
  frozen_ = std::make_unique<const FrozenRwkvUnet>(blocks_, parameters_, precision);
}

void RwkvUnet::Thaw() { frozen_.reset(); }

namespace {

at::Tensor Run(const std::vector<RwkvUnetBlock>& blocks, const RwkvUnetLayers& layers,
               const at::Tensor& image) {
  at::Tensor x = image;
  std::array<at::Tensor, 5> stage_outputs;
  for (const RwkvUnetBlock& block : blocks) {
    x = layers.Glsp(block, x);
    layers.Report(block.name, x);
    const int stage = block.name[std::string("encoder.stage").size()] - '0';
    stage_outputs[stage] = x;
  }
  const std::vector<at::Tensor> skips =
      layers.CrossChannelMix(stage_outputs[3], stage_outputs[2], stage_outputs[1]);
  x = layers.Decoder("decoder1", x);
  for (int n = 0; n < 3; ++n) {
    x = layers.Decoder("decoder" + std::to_string(n + 2), at::cat({x, skips[n]}, 1));
  }
  at::Tensor logits = at::conv2d(x, layers.P("final_conv.weight"), layers.P("final_conv.bias"));
  layers.Report("logits", logits);
  return logits;
}

}  // namespace

at::Tensor RwkvUnet::Forward(const at::Tensor& image, const ForwardOptions& options) const {
  TORCH_CHECK(image.dim() == 4 && (image.size(1) == 1 || image.size(1) == 3) &&
                  image.size(2) >= 1 && image.size(3) >= 1,
              "RWKV-UNet takes [N, 1 or 3, H, W], got ", image.sizes());
  at::Tensor x = image.size(1) == 1 ? image.expand({-1, 3, -1, -1}) : image;
  const int64_t height = x.size(2), width = x.size(3);
  const int64_t bottom = (kMultiple - height % kMultiple) % kMultiple;
  const int64_t right = (kMultiple - width % kMultiple) % kMultiple;
  if (bottom || right) x = at::replication_pad2d(x, {0, right, 0, bottom});
  const bool frozen = frozen_ && !options.training && options.hook == nullptr &&
                      !c10::GradMode::is_enabled() && image.device().is_cpu() &&
                      image.scalar_type() == at::kFloat;
  at::Tensor logits;
  if (frozen) {
    logits = frozen_->Forward(x, mode_);
  } else {
    const PrecisionScope scope(image.device().type(), precision_);
    x = x.contiguous(at::MemoryFormat::ChannelsLast);
    logits = Run(blocks_, RwkvUnetLayers(parameters_, mode_, options), x);
    if (precision_ == Precision::kBFloat16) logits = logits.to(image.scalar_type());
  }
  if (bottom || right) logits = logits.slice(2, 0, height).slice(3, 0, width);
  return logits;
}

}  // namespace avocet::models
