// SPDX-License-Identifier: Apache-2.0
// Names, order of operations and constants: shared/spec/fs_rwkv.md sections 1 to 7.
#include "models/fs_rwkv/fs_rwkv.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <c10/core/impl/LocalDispatchKeySet.h>

#include <cmath>
#include <vector>

#include "app/base/error.h"
#include "kernels/banded_linear.h"
#include "models/fs_rwkv/fidelity_block.h"
#include "models/fs_rwkv/token_blocks.h"

namespace avocet::models {
namespace {

constexpr auto kChannelsLast = at::MemoryFormat::ChannelsLast;
constexpr int64_t kUnit = 8;       // three halvings
constexpr int64_t kEvenUnit = 16;  // and an even smallest grid

int64_t PaddedSide(int64_t side) {
  return side % kUnit == 0 ? side : (side + kEvenUnit - 1) / kEvenUnit * kEvenUnit;
}

// Extends `axis` to `to` elements by reflection without repeating the edge, as often as it takes.
at::Tensor ReflectTo(const at::Tensor& x, int64_t axis, int64_t to) {
  const int64_t from = x.size(axis);
  if (from == to) return x;
  std::vector<int64_t> index(to);
  const int64_t period = from == 1 ? 1 : 2 * (from - 1);
  for (int64_t i = 0; i < to; ++i) {
    const int64_t phase = i % period;
    index[i] = phase < from ? phase : period - phase;
  }
  return x.index_select(axis, at::tensor(index, at::kLong).to(x.device()));
}

bool IsSquare(int64_t n) {
  const auto root = static_cast<int64_t>(std::llround(std::sqrt(static_cast<double>(n))));
  return root * root == n;
}

TokenGrid GridOf(const at::Tensor& image, FsGeometry geometry) {
  const int64_t rows = image.size(2), cols = image.size(3);
  if (geometry == FsGeometry::kNative) return {rows, cols};
  const auto side = static_cast<int64_t>(std::llround(std::sqrt(static_cast<double>(rows * cols))));
  return {side, side};
}

// Which kernels run. The plain path is the reference: every type and device, and hooks see the
// inside of blocks.
enum class Path { kPlain, kTraining, kInference };

Path ChoosePath(const at::Tensor& image, const ForwardOptions& options) {
  if (!image.device().is_cpu() || image.scalar_type() != at::kFloat) return Path::kPlain;
  if (!options.training && !c10::GradMode::is_enabled()) return Path::kInference;
  return options.hook ? Path::kPlain : Path::kTraining;
}

class Runner {
 public:
  Runner(const FsRwkvConfig& config, const ParameterStore& parameters,
         const ForwardOptions& options, Path path)
      : config_(config),
        parameters_(parameters),
        options_(options),
        blocks_(parameters, config.wkv, options),
        path_(path) {}

  at::Tensor Run(const at::Tensor& image) const {
    const auto [n1, n2, n3, n4] = config_.sizes.blocks;
    at::Tensor x = Stage("encoder_level1", n1, Conv("patch_embed", image, true));
    const at::Tensor e1 = x;
    x = Stage("encoder_level2", n2, Down("down1_2", x));
    const at::Tensor e2 = x;
    x = Stage("encoder_level3", n3, Down("down2_3", x));
    const at::Tensor e3 = x;
    x = Stage("latent", n4, Down("down3_4", x));
    x = Merge("up4_3", x, "enhance_level3", e3);
    x = Stage("decoder_level3", n3, Reduce("reduce_chan_level3", x));
    x = Merge("up3_2", x, "enhance_level2", e2);
    x = Stage("decoder_level2", n2, Reduce("reduce_chan_level2", x));
    x = Merge("up2_1", x, "enhance_level1", e1);
    x = Stage("decoder_level1", n1, x);
    x = Stage("refinement", config_.sizes.refinement, x);
    x = Conv("output", x, true);
    x = x + image;
    Report("prediction", x);
    return x;
  }

 private:
  const at::Tensor& P(const std::string& name) const { return parameters_.Get(name); }
  void Report(const std::string& name, const at::Tensor& value) const {
    if (options_.hook) (*options_.hook)(name, value);
  }

  // 3 x 3 or 1 x 1, zero padding.
  at::Tensor Conv(const std::string& name, const at::Tensor& x, bool bias) const {
    const at::Tensor& weight = P(name + ".weight");
    at::Tensor y =
        at::conv2d(x, weight, bias ? P(name + ".bias") : at::Tensor(), 1, weight.size(2) / 2);
    if (bias) Report(name, y);
    return y;
  }
  at::Tensor Reduce(const std::string& name, const at::Tensor& x) const {
    at::Tensor y = kernels::BandedLinear(x.permute({0, 2, 3, 1}), P(name + ".weight").flatten(1),
                                         P(name + ".bias"))
                       .permute({0, 3, 1, 2});
    Report(name, y);
    return y;
  }
  at::Tensor Down(const std::string& name, const at::Tensor& x) const {
    at::Tensor y = at::pixel_unshuffle(Conv(name + ".body.0", x, false), 2);
    Report(name, y);
    return y;
  }

  // Upsampled x and the enhanced skip, side by side.
  at::Tensor Merge(const std::string& up, const at::Tensor& x, const std::string& enhance,
                   const at::Tensor& skip) const {
    const at::Tensor large = at::pixel_shuffle(Conv(up + ".body.0", x, false), 2);
    Report(up, large);
    const FsFidelityBlock block(parameters_, enhance, options_);
    return at::cat({large, path_ == Path::kInference ? block.Infer(skip) : block.Forward(skip)}, 1);
  }

  at::Tensor Stage(const std::string& name, int blocks, const at::Tensor& image) const {
    const at::Tensor x = image.contiguous(kChannelsLast);
    const int64_t rows = x.size(2), cols = x.size(3);
    const TokenGrid grid = GridOf(x, config_.geometry);
    const auto as_image = [&](const at::Tensor& tokens) {
      return tokens.view({x.size(0), rows, cols, x.size(1)}).permute({0, 3, 1, 2});
    };
    at::Tensor tokens = x.permute({0, 2, 3, 1}).reshape({x.size(0), rows * cols, x.size(1)});
    for (int n = 0; n < blocks; ++n) {
      const std::string block = name + "." + std::to_string(n);
      if (path_ == Path::kInference) {
        blocks_.BlockInPlace(block, tokens, grid);
      } else if (path_ == Path::kTraining) {
        tokens = blocks_.TrainingBlock(block, tokens, grid);
      } else {
        tokens = blocks_.Block(block, tokens, grid);
      }
      Report(block, as_image(tokens));
    }
    at::Tensor y = as_image(tokens);
    Report(name, y);
    return y;
  }

  const FsRwkvConfig& config_;
  const ParameterStore& parameters_;
  const ForwardOptions& options_;
  FsTokenBlocks blocks_;
  Path path_;
};

}  // namespace

FsGeometry FsGeometryFromName(const std::string& name) {
  if (name == "native") return FsGeometry::kNative;
  if (name == "official") return FsGeometry::kOfficial;
  throw OptionError("the geometry is '" + name + "'; it must be native or official");
}

const char* NameOf(FsGeometry geometry) {
  return geometry == FsGeometry::kNative ? "native" : "official";
}

FsRwkv::FsRwkv(const FsRwkvConfig& config) : config_(config) {
  for (const TensorSpec& spec : FsRwkvTensors(config_.sizes)) {
    if (!spec.used) continue;
    const bool counter = spec.shape.empty();
    parameters_.Add(spec.name, at::zeros(spec.shape, counter ? at::kLong : at::kFloat),
                    spec.role == TensorSpec::Role::kParameter);
  }
}

namespace {

bool EndsWith(const std::string& text, const std::string& end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

// Initial values of one token block (section 2.5, "fancy"), block l of L.
void InitialiseBlock(const ParameterStore& store, const std::string& p, int l, int count) {
  const double rho = count > 1 ? static_cast<double>(l) / (count - 1) : 0;
  const double kappa = 1 - static_cast<double>(l) / count;
  const int64_t d = store.Get(p + ".gamma1").size(0);
  const auto fill = [&](const std::string& name, auto value) {
    std::vector<double> values(d);
    for (int64_t i = 0; i < d; ++i) values[i] = value(static_cast<double>(i));
    at::Tensor target = store.Get(p + name);
    target.copy_(at::tensor(values, at::kDouble).view(target.sizes()));
  };
  const double width = static_cast<double>(d), last = std::max(1.0, width - 1);
  fill(".att.spatial_decay",
       [&](double i) { return -5 + 8 * std::pow(i / last, 0.7 + 1.3 * rho); });
  fill(".att.spatial_first",
       [&](double i) { return std::log(0.3) + 0.5 * (std::fmod(i + 1, 3) - 1); });
  const auto ramp = [&](double i) { return std::pow(i / width, kappa); };
  fill(".att.spatial_mix_k", ramp);
  fill(".att.spatial_mix_v", [&](double i) { return ramp(i) + 0.3 * rho; });
  fill(".att.spatial_mix_r", [&](double i) { return std::pow(i / width, 0.5 * kappa); });
  fill(".ffn.spatial_mix_k", ramp);
  fill(".ffn.spatial_mix_r", ramp);
}

}  // namespace

void FsRwkv::Initialise(at::Generator& generator) {
  c10::NoGradGuard no_grad;
  for (const ParameterStore::Entry& entry : parameters_.entries()) {
    at::Tensor value = entry.value;
    const std::string owner = entry.name.substr(0, entry.name.rfind('.'));
    const at::Tensor* weight =
        parameters_.Has(owner + ".weight") ? &parameters_.Get(owner + ".weight") : nullptr;
    if (EndsWith(entry.name, "running_var") || EndsWith(entry.name, ".gamma1") ||
        EndsWith(entry.name, ".gamma2")) {
      value.fill_(1);
    } else if (!entry.trainable || weight == nullptr) {
      value.zero_();  // the vectors of token blocks are filled below
    } else if (weight->dim() == 1) {
      value.fill_(EndsWith(entry.name, ".weight") ? 1 : 0);
    } else {
      const double bound = 1 / std::sqrt(static_cast<double>(weight->numel()) /
                                         static_cast<double>(weight->size(0)));
      value.uniform_(-bound, bound, generator);
    }
  }
  const auto [n1, n2, n3, n4] = config_.sizes.blocks;
  const std::pair<const char*, int> stages[] = {
      {"encoder_level1", n1}, {"encoder_level2", n2},
      {"encoder_level3", n3}, {"latent", n4},
      {"decoder_level3", n3}, {"decoder_level2", n2},
      {"decoder_level1", n1}, {"refinement", config_.sizes.refinement}};
  for (const auto& [stage, count] : stages) {
    for (int l = 0; l < count; ++l) {
      InitialiseBlock(parameters_, stage + ("." + std::to_string(l)), l, count);
    }
  }
}

at::Tensor FsRwkv::Forward(const at::Tensor& image, const ForwardOptions& options) const {
  if (image.dim() != 4 || image.size(1) != 1 || image.size(2) < 1 || image.size(3) < 1) {
    throw OptionError("FS-RWKV takes images [N, 1, H, W], got " + c10::str(image.sizes()));
  }
  const int64_t height = image.size(2), width = image.size(3);
  at::Tensor x = image;
  if (config_.geometry == FsGeometry::kOfficial) {
    const bool fits = height % kUnit == 0 && width % kUnit == 0 && IsSquare(height * width);
    if (!fits) {
      throw OptionError("an image of " + std::to_string(height) + " x " + std::to_string(width) +
                        " does not fit the official geometry, which takes sides that are multiples "
                        "of 8 and a square number of pixels; use the native geometry");
    }
  } else {
    x = ReflectTo(ReflectTo(x, 2, PaddedSide(height)), 3, PaddedSide(width));
  }
  // Under autocast too: the operators have no half-precision form.
  const c10::impl::ExcludeDispatchKeyGuard no_autocast(c10::autocast_dispatch_keyset);
  const at::Tensor y = Runner(config_, parameters_, options, ChoosePath(x, options)).Run(x);
  return y.slice(2, 0, height).slice(3, 0, width);
}

}  // namespace avocet::models
