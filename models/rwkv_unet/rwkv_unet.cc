// SPDX-License-Identifier: Apache-2.0
// Names, order of operations and constants: shared/spec/rwkv_unet.md sections 2 to 11.
#include "models/rwkv_unet/rwkv_unet.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <cmath>
#include <utility>

#include "app/base/error.h"
#include "models/rwkv_unet/layers.h"

namespace avocet::models {
namespace {

constexpr int kStemWidth = 24;
constexpr int kMultiple = 16;  // input sides are padded to it

// What to fill a tensor with (section 11).
enum class Init { kZero, kOne, kHalf, kUniformFanIn, kNormal };

struct TensorSpec {
  std::string name;
  std::vector<int64_t> shape;
  Init init;
  bool trainable;
  int64_t fan_in;
};

}  // namespace

WkvMode WkvModeFromName(const std::string& name) {
  if (name == "exact") return WkvMode::kExact;
  if (name == "official" || name == "official32") return WkvMode::kOfficial32;
  if (name == "official64") return WkvMode::kOfficial64;
  throw OptionError("the WKV mode is '" + name +
                    "'; it must be exact, official, official32 or official64");
}

const char* NameOf(WkvMode mode) {
  switch (mode) {
    case WkvMode::kExact:
      return "exact";
    case WkvMode::kOfficial32:
      return "official32";
    case WkvMode::kOfficial64:
      return "official64";
  }
  return "";
}

RwkvUnetConfig RwkvUnetConfig::ForVariant(const std::string& variant, int classes) {
  if (classes < 1) {
    throw OptionError("the number of classes is " + std::to_string(classes) +
                      "; it must be 1 or more");
  }
  RwkvUnetConfig config;
  config.classes = classes;
  if (variant == "T" || variant == "t") {
    config.variant = "T";
    config.depths = {2, 2, 4, 2};
    config.widths = {32, 48, 96, 160};
    config.ratios = {2, 2.5, 3, 3.5};
  } else if (variant == "S" || variant == "s") {
    config.variant = "S";
    config.depths = {3, 3, 6, 3};
    config.widths = {32, 64, 128, 192};
    config.ratios = {2, 2.5, 3, 4};
  } else if (variant == "B" || variant == "b") {
    config.variant = "B";
    config.depths = {3, 3, 6, 3};
    config.widths = {48, 72, 144, 240};
    config.ratios = {2, 2.5, 4, 4};
  } else {
    throw OptionError("the RWKV-UNet variant is '" + variant + "'; it must be T, S or B");
  }
  return config;
}

namespace {

// Collects the tensors of the network with their initial values, in the official order.
class Registry {
 public:
  explicit Registry(std::vector<TensorSpec>& specs) : specs_(specs) {}

  void Conv(const std::string& name, int64_t out, int64_t in_per_group, int64_t kernel, bool bias) {
    const int64_t fan_in = in_per_group * kernel * kernel;
    Add(name + ".weight", {out, in_per_group, kernel, kernel}, Init::kUniformFanIn, fan_in);
    if (bias) Add(name + ".bias", {out}, Init::kUniformFanIn, fan_in);
  }
  void BatchNorm(const std::string& name, int64_t c) {
    Add(name + ".weight", {c}, Init::kOne);
    Add(name + ".bias", {c}, Init::kZero);
    specs_.push_back({name + ".running_mean", {c}, Init::kZero, false, 0});
    specs_.push_back({name + ".running_var", {c}, Init::kOne, false, 0});
    specs_.push_back({name + ".num_batches_tracked", {}, Init::kZero, false, 0});
  }
  void LayerNorm(const std::string& name, int64_t c) {
    Add(name + ".weight", {c}, Init::kOne);
    Add(name + ".bias", {c}, Init::kZero);
  }
  void Linear(const std::string& name, int64_t out, int64_t in, Init init) {
    Add(name + ".weight", {out, in}, init, in);
  }
  void Mix(const std::string& name, int64_t c) { Add(name, {1, 1, c}, Init::kHalf); }
  void Zeros(const std::string& name, int64_t c) { Add(name, {c}, Init::kZero); }

 private:
  void Add(const std::string& name, std::vector<int64_t> shape, Init init, int64_t fan_in = 0) {
    specs_.push_back({name, std::move(shape), init, true, fan_in});
  }

  std::vector<TensorSpec>& specs_;
};

void RegisterBlock(Registry& r, const RwkvUnetBlock& block) {
  const std::string& p = block.name;
  const int mid = block.mid;
  if (block.norm == RwkvUnetBlock::Norm::kBatch) r.BatchNorm(p + ".norm", block.in);
  if (block.norm == RwkvUnetBlock::Norm::kLayer) r.LayerNorm(p + ".norm.norm", block.in);
  if (block.attention) r.LayerNorm(p + ".ln1", mid);
  r.Conv(p + ".conv.conv", mid, block.in, 1, false);
  r.BatchNorm(p + ".conv.norm", mid);
  if (block.attention) {
    r.Zeros(p + ".att.spatial_decay", mid);
    r.Zeros(p + ".att.spatial_first", mid);
    for (const char* mix : {"k", "v", "r"}) r.Mix(p + ".att.spatial_mix_" + mix, mid);
    for (const char* map : {"key", "value", "receptance"}) {
      r.Linear(p + ".att." + map, mid, mid, Init::kNormal);
    }
    r.LayerNorm(p + ".att.key_norm", mid);
    r.Linear(p + ".att.output", mid, mid, Init::kNormal);
  }
  if (block.squeeze_excite) {
    r.Conv(p + ".se.conv_reduce", mid, mid, 1, true);
    r.Conv(p + ".se.conv_expand", mid, mid, 1, true);
  }
  r.Conv(p + ".proj.conv", block.out, mid, 1, false);
  r.Conv(p + ".conv_local.conv", mid, 1, kRwkvUnetKernel, false);
  r.BatchNorm(p + ".conv_local.norm", mid);
}

std::vector<TensorSpec> NetworkSpecs(const RwkvUnetConfig& config,
                                     const std::vector<RwkvUnetBlock>& blocks) {
  std::vector<TensorSpec> specs;
  Registry r(specs);
  for (const RwkvUnetBlock& block : blocks) RegisterBlock(r, block);
  const auto& d = config.widths;
  const int64_t t = d[0], c = 3 * t;
  const int64_t skip_widths[3] = {d[2], d[1], d[0]};
  for (int n = 0; n < 3; ++n)
    r.Conv("ccm.projections." + std::to_string(n), t, skip_widths[n], 1, true);
  r.LayerNorm("ccm.ln1", c);
  r.Mix("ccm.channel.spatial_mix_k", c);
  r.Mix("ccm.channel.spatial_mix_r", c);
  r.Linear("ccm.channel.key", 2 * c, c, Init::kUniformFanIn);
  r.LayerNorm("ccm.channel.key_norm", 2 * c);
  r.Linear("ccm.channel.receptance", c, c, Init::kUniformFanIn);
  r.Linear("ccm.channel.value", c, 2 * c, Init::kUniformFanIn);
  for (int n = 0; n < 3; ++n) {
    r.Conv("ccm.final_projections." + std::to_string(n), skip_widths[n], t, 1, true);
  }
  const int64_t in[4] = {d[3], 2 * d[2], 2 * d[1], 2 * d[0]};
  const int64_t out[4] = {d[2], d[1], d[0], kStemWidth};
  for (int n = 0; n < 4; ++n) {
    const std::string p = "decoder" + std::to_string(n + 1);
    r.Conv(p + ".conv.conv", in[n], in[n], 1, false);
    r.BatchNorm(p + ".conv.norm", in[n]);
    r.Conv(p + ".proj.conv", out[n], in[n], 1, false);
    r.BatchNorm(p + ".proj.norm", out[n]);
    r.Conv(p + ".conv_local.conv", in[n], 1, kRwkvUnetDecoderKernel, false);
    r.BatchNorm(p + ".conv_local.norm", in[n]);
  }
  r.Conv("final_conv", config.classes, kStemWidth, 1, true);
  return specs;
}

}  // namespace

RwkvUnet::~RwkvUnet() = default;
RwkvUnet::RwkvUnet(RwkvUnet&&) noexcept = default;
RwkvUnet& RwkvUnet::operator=(RwkvUnet&&) noexcept = default;

RwkvUnet::RwkvUnet(RwkvUnetConfig config, WkvMode mode) : config_(std::move(config)), mode_(mode) {
  blocks_.push_back(
      {"encoder.stage0.0", 3, 3, kStemWidth, 1, RwkvUnetBlock::Norm::kNone, false, false, true, 0});
  int total = 0;
  for (int depth : config_.depths) total += depth;
  int index = 0;
  int width = kStemWidth;
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
  for (const TensorSpec& spec : NetworkSpecs(config_, blocks_)) {
    const bool counter = spec.shape.empty();
    parameters_.Add(spec.name, at::zeros(spec.shape, counter ? at::kLong : at::kFloat),
                    spec.trainable);
  }
}

void RwkvUnet::Initialise(at::Generator& generator) {
  c10::NoGradGuard no_grad;
  for (const TensorSpec& spec : NetworkSpecs(config_, blocks_)) {
    at::Tensor value = parameters_.Get(spec.name);
    switch (spec.init) {
      case Init::kZero:
        value.zero_();
        break;
      case Init::kOne:
        value.fill_(1);
        break;
      case Init::kHalf:
        value.fill_(0.5);
        break;
      case Init::kUniformFanIn: {
        const double bound = 1 / std::sqrt(static_cast<double>(spec.fan_in));
        value.uniform_(-bound, bound, generator);
        break;
      }
      case Init::kNormal:
        // The official truncation at +-2 absolute is 100 standard deviations away.
        value.normal_(0, 0.02, generator);
        break;
    }
  }
}

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
  x = x.contiguous(at::MemoryFormat::ChannelsLast);
  at::Tensor logits = Run(blocks_, RwkvUnetLayers(parameters_, mode_, options), x);
  if (bottom || right) logits = logits.slice(2, 0, height).slice(3, 0, width);
  return logits;
}

}  // namespace avocet::models
