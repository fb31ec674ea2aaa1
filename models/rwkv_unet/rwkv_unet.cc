// SPDX-License-Identifier: Apache-2.0
// Names, order of operations and constants: shared/spec/rwkv_unet.md sections 2 to 11.
#include "models/rwkv_unet/rwkv_unet.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <cmath>
#include <utility>

#include "app/base/error.h"
#include "kernels/bi_wkv.h"

namespace avocet::models {
namespace {

constexpr int kStemWidth = 24;
constexpr int kKernel = 5;         // depthwise, encoder
constexpr int kDecoderKernel = 9;  // depthwise, decoder
constexpr int kMultiple = 16;      // input sides are padded to it
constexpr double kBatchNormEps = 1e-6;
constexpr double kBatchNormMomentum = 0.1;
constexpr double kLayerNorm2dEps = 1e-6;
constexpr double kTokenNormEps = 1e-5;
constexpr double kCcmDropPath = 0.05;  // unconditional in the official network

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

// One inverted-residual block of the encoder.
struct RwkvUnetBlock {
  enum class Norm { kNone, kBatch, kLayer };

  std::string name;
  int in, mid, out, stride;
  Norm norm;
  bool attention, residual, squeeze_excite;
  double drop_path;
};

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
  r.Conv(p + ".conv_local.conv", mid, 1, kKernel, false);
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
    r.Conv(p + ".conv_local.conv", in[n], 1, kDecoderKernel, false);
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

// One run of the network: looks parameters up by name and applies the layers.
namespace {

class Pass {
 public:
  Pass(const std::vector<RwkvUnetBlock>& blocks, const RwkvUnet& net, const ForwardOptions& options)
      : blocks_(blocks),
        parameters_(net.parameters()),
        mode_(net.wkv_mode()),
        skip_width_(net.config().widths[0]),
        options_(options) {}

  at::Tensor Run(const at::Tensor& image) {
    at::Tensor x = image;
    std::vector<at::Tensor> stage_outputs(5);
    for (const RwkvUnetBlock& block : blocks_) {
      x = Glsp(block, x);
      Report(block.name, x);
      const int stage = block.name[std::string("encoder.stage").size()] - '0';
      stage_outputs[stage] = x;
    }
    const std::vector<at::Tensor> skips =
        CrossChannelMix(stage_outputs[3], stage_outputs[2], stage_outputs[1]);
    x = Decoder("decoder1", x);
    for (int n = 0; n < 3; ++n)
      x = Decoder("decoder" + std::to_string(n + 2), at::cat({x, skips[n]}, 1));
    at::Tensor logits = at::conv2d(x, P("final_conv.weight"), P("final_conv.bias"));
    Report("logits", logits);
    return logits;
  }

 private:
  const at::Tensor& P(const std::string& name) const { return parameters_.Get(name); }

  void Report(const std::string& name, const at::Tensor& value) const {
    if (options_.hook) (*options_.hook)(name, value);
  }

  at::Tensor BatchNorm(const std::string& name, const at::Tensor& x) const {
    if (options_.training) {
      c10::NoGradGuard no_grad;
      at::Tensor counter = P(name + ".num_batches_tracked");
      counter.add_(1);
    }
    return at::batch_norm(x, P(name + ".weight"), P(name + ".bias"), P(name + ".running_mean"),
                          P(name + ".running_var"), options_.training, kBatchNormMomentum,
                          kBatchNormEps, /*cudnn_enabled=*/true);
  }

  // Over the last axis.
  at::Tensor LayerNorm(const std::string& name, const at::Tensor& x, double eps) const {
    return at::layer_norm(x, {x.size(-1)}, P(name + ".weight"), P(name + ".bias"), eps);
  }

  at::Tensor DropPath(const at::Tensor& x, double rate) const {
    if (!options_.training || rate <= 0 || options_.generator == nullptr) return x;
    std::vector<int64_t> shape(x.dim(), 1);
    shape[0] = x.size(0);
    const at::Tensor keep = at::empty(shape, x.options()).bernoulli_(1 - rate, *options_.generator);
    return x * (keep / (1 - rate));
  }

  at::Tensor DepthwiseConv(const std::string& name, const at::Tensor& x, int kernel,
                           int stride) const {
    const int64_t padding = (kernel - stride + 1) / 2;
    return at::conv2d(x, P(name + ".weight"), {}, stride, padding, 1, x.size(1));
  }

  // x: [B, H, W, C]. Quarter by quarter the left, right, upper and lower neighbour; zero outside.
  static at::Tensor QShift(const at::Tensor& x) {
    const int64_t c = x.size(3);
    const int64_t bounds[5] = {0, c / 4, c / 2, c * 3 / 4, c};
    // Padding of constant_pad_nd: last axis first, (before, after) each.
    const std::array<int64_t, 6> pads[4] = {
        {0, 0, 1, -1, 0, 0}, {0, 0, -1, 1, 0, 0}, {0, 0, 0, 0, 1, -1}, {0, 0, 0, 0, -1, 1}};
    std::vector<at::Tensor> parts;
    for (int n = 0; n < 4; ++n) {
      parts.push_back(at::constant_pad_nd(x.slice(3, bounds[n], bounds[n + 1]), pads[n], 0));
    }
    return at::cat(parts, 3);
  }

  // x: [B, H, W, C] channels-last tokens.
  at::Tensor SpatialMix(const std::string& p, const at::Tensor& x) const {
    const int64_t b = x.size(0), h = x.size(1), w = x.size(2), c = x.size(3), t = h * w;
    const at::Tensor shifted = QShift(x);
    const at::Tensor difference = x - shifted;
    const auto mixed = [&](const char* name) {
      return shifted + difference * P(p + ".spatial_mix_" + name).view({c});
    };
    const at::Tensor key = at::linear(mixed("k"), P(p + ".key.weight"));
    const at::Tensor value = at::linear(mixed("v"), P(p + ".value.weight"));
    const at::Tensor gate = at::sigmoid(at::linear(mixed("r"), P(p + ".receptance.weight")));
    const at::Tensor decay = P(p + ".spatial_decay") / static_cast<double>(t);
    const at::Tensor first = P(p + ".spatial_first") / static_cast<double>(t);
    const auto type = decay.scalar_type();  // under autocast k and v come in a smaller type
    at::Tensor y = kernels::BiWkv(decay, first, key.reshape({b, t, c}).to(type),
                                  value.reshape({b, t, c}).to(type), static_cast<int64_t>(mode_));
    y = LayerNorm(p + ".key_norm", y.view({b, h, w, c}), kTokenNormEps);
    return at::linear(gate * y, P(p + ".output.weight"));
  }

  at::Tensor SqueezeExcite(const std::string& p, const at::Tensor& x) const {
    at::Tensor s = x.mean({2, 3}, /*keepdim=*/true);
    s = at::silu(at::conv2d(s, P(p + ".conv_reduce.weight"), P(p + ".conv_reduce.bias")));
    s = at::sigmoid(at::conv2d(s, P(p + ".conv_expand.weight"), P(p + ".conv_expand.bias")));
    return x * s;
  }

  at::Tensor Glsp(const RwkvUnetBlock& block, const at::Tensor& x) const {
    const std::string& p = block.name;
    at::Tensor h = x;
    if (block.norm == RwkvUnetBlock::Norm::kBatch) {
      h = BatchNorm(p + ".norm", x);
    } else if (block.norm == RwkvUnetBlock::Norm::kLayer) {
      h = LayerNorm(p + ".norm.norm", x.permute({0, 2, 3, 1}), kLayerNorm2dEps)
              .permute({0, 3, 1, 2});
    }
    h = at::relu(BatchNorm(p + ".conv.norm", at::conv2d(h, P(p + ".conv.conv.weight"))));
    if (block.attention) {
      const at::Tensor tokens = h.permute({0, 2, 3, 1});
      const at::Tensor mixed = LayerNorm(p + ".ln1", SpatialMix(p + ".att", tokens), kTokenNormEps);
      h = (tokens + DropPath(mixed, block.drop_path)).permute({0, 3, 1, 2});
    }
    at::Tensor local = DepthwiseConv(p + ".conv_local.conv", h, kKernel, block.stride);
    local = at::silu(BatchNorm(p + ".conv_local.norm", local));
    if (block.squeeze_excite) local = SqueezeExcite(p + ".se", local);
    h = block.residual ? h + local : local;
    h = at::conv2d(h, P(p + ".proj.conv.weight"));
    return block.residual ? x + DropPath(h, block.drop_path) : h;
  }

  static at::Tensor Resize(const at::Tensor& x, int64_t height, int64_t width) {
    if (x.size(2) == height && x.size(3) == width) return x;
    return at::upsample_bilinear2d(x, {height, width}, /*align_corners=*/false);
  }

  // x: [B, H, W, C].
  at::Tensor ChannelMix(const std::string& p, const at::Tensor& x) const {
    const int64_t c = x.size(3);
    const at::Tensor shifted = QShift(x);
    const at::Tensor difference = x - shifted;
    const at::Tensor mixed_k = shifted + difference * P(p + ".spatial_mix_k").view({c});
    const at::Tensor mixed_r = shifted + difference * P(p + ".spatial_mix_r").view({c});
    at::Tensor k = at::square(at::relu(at::linear(mixed_k, P(p + ".key.weight"))));
    k = LayerNorm(p + ".key_norm", k, kTokenNormEps);
    const at::Tensor kv = at::linear(k, P(p + ".value.weight"));
    return at::sigmoid(at::linear(mixed_r, P(p + ".receptance.weight"))) * kv;
  }

  // Returns the three skips in decoder order: 1/8, 1/4, 1/2 resolution.
  std::vector<at::Tensor> CrossChannelMix(const at::Tensor& enc3, const at::Tensor& enc2,
                                          const at::Tensor& enc1) const {
    const at::Tensor inputs[3] = {enc3, enc2, enc1};
    const int64_t height = enc1.size(2), width = enc1.size(3);
    std::vector<at::Tensor> parts;
    for (int n = 0; n < 3; ++n) {
      const std::string p = "ccm.projections." + std::to_string(n);
      parts.push_back(
          at::conv2d(Resize(inputs[n], height, width), P(p + ".weight"), P(p + ".bias")));
    }
    at::Tensor z = at::cat(parts, 1).permute({0, 2, 3, 1});
    const at::Tensor mixed = ChannelMix("ccm.channel", z);
    Report("ccm.channel", mixed);
    z = z + DropPath(LayerNorm("ccm.ln1", mixed, kTokenNormEps), kCcmDropPath);
    z = z.permute({0, 3, 1, 2});
    const int64_t t = skip_width_;
    std::vector<at::Tensor> skips;
    for (int n = 0; n < 3; ++n) {
      const std::string p = "ccm.final_projections." + std::to_string(n);
      const at::Tensor part =
          at::conv2d(z.slice(1, n * t, (n + 1) * t), P(p + ".weight"), P(p + ".bias"));
      skips.push_back(Resize(part, inputs[n].size(2), inputs[n].size(3)));
      Report("ccm.out" + std::to_string(n), skips.back());
    }
    return skips;
  }

  at::Tensor Decoder(const std::string& p, const at::Tensor& x) const {
    at::Tensor h = at::relu(BatchNorm(p + ".conv.norm", at::conv2d(x, P(p + ".conv.conv.weight"))));
    h = DepthwiseConv(p + ".conv_local.conv", h, kDecoderKernel, 1);
    h = at::silu(BatchNorm(p + ".conv_local.norm", h));
    h = at::relu(BatchNorm(p + ".proj.norm", at::conv2d(h, P(p + ".proj.conv.weight"))));
    h = at::upsample_bilinear2d(h, {2 * h.size(2), 2 * h.size(3)}, /*align_corners=*/false);
    Report(p, h);
    return h;
  }

  const std::vector<RwkvUnetBlock>& blocks_;
  const ParameterStore& parameters_;
  const WkvMode mode_;
  const int64_t skip_width_;
  const ForwardOptions& options_;
};

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
  at::Tensor logits = Pass(blocks_, *this, options).Run(x);
  if (bottom || right) logits = logits.slice(2, 0, height).slice(3, 0, width);
  return logits;
}

}  // namespace avocet::models
