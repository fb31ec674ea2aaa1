// SPDX-License-Identifier: Apache-2.0
#include "models/architecture/rwkv_unet_layout.h"

#include <algorithm>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

#include "app/base/error.h"

namespace avocet::models {
namespace {

using Role = TensorSpec::Role;

constexpr int64_t kImageNetClasses = 1000;

const RwkvUnetSizes kVariants[] = {
    {"T", {2, 2, 4, 2}, {32, 48, 96, 160}, {2, 2.5, 3, 3.5}},
    {"S", {3, 3, 6, 3}, {32, 64, 128, 192}, {2, 2.5, 3, 4}},
    {"B", {3, 3, 6, 3}, {48, 72, 144, 240}, {2, 2.5, 4, 4}},
};

bool StartsWith(std::string_view text, std::string_view start) {
  return text.substr(0, start.size()) == start;
}

class Builder {
 public:
  Builder(const RwkvUnetSizes& sizes, int classes) : sizes_(sizes), classes_(classes) {}

  // The full layout; `lean_` tells which tensors the release revision has.
  void Build() {
    Block("encoder.stage0.0", 3, 3, RwkvUnetSizes::kStemWidth, 0, false);
    int64_t in = RwkvUnetSizes::kStemWidth;
    for (size_t stage = 0; stage < 4; ++stage) {
      const int64_t out = sizes_.widths[stage];
      for (int block = 0; block < sizes_.depths[stage]; ++block) {
        const double ratio = sizes_.ratios[stage] * (block == 0 ? 2 : 1);
        const int number = static_cast<int>(stage) + 1;
        Block("encoder.stage" + std::to_string(number) + "." + std::to_string(block), in,
              static_cast<int64_t>(static_cast<double>(in) * ratio), out, number,
              number >= 3 && block > 0);
        in = out;
      }
    }
    const auto [d1, d2, d3, d4] = sizes_.widths;
    LayerNorm("encoder.norm.norm", d4, false);
    Add("encoder.head.weight", {kImageNetClasses, d4}, Role::kParameter, false);
    Add("encoder.head.bias", {kImageNetClasses}, Role::kParameter, false);
    Ccm();
    Decoder("decoder1", d4, d3);
    Decoder("decoder2", 2 * d3, d2);
    Decoder("decoder3", 2 * d2, d1);
    Decoder("decoder4", 2 * d1, RwkvUnetSizes::kStemWidth);
    Add("final_conv.weight", {classes_, RwkvUnetSizes::kStemWidth, 1, 1});
    Add("final_conv.bias", {classes_});
  }

  std::vector<TensorSpec> Take(RwkvUnetLayout layout) {
    std::vector<TensorSpec> taken;
    for (size_t i = 0; i < tensors_.size(); ++i) {
      const bool wanted = layout == RwkvUnetLayout::kFull || tensors_[i].used ||
                          (layout == RwkvUnetLayout::kLean && lean_[i]);
      if (wanted) taken.push_back(std::move(tensors_[i]));
    }
    return taken;
  }

 private:
  void Add(const std::string& name, std::vector<int64_t> shape, Role role = Role::kParameter,
           bool used = true, bool lean = true) {
    tensors_.push_back({name, std::move(shape), role, used});
    lean_.push_back(lean);
  }
  void LayerNorm(const std::string& name, int64_t width, bool used = true, bool lean = true) {
    Add(name + ".weight", {width}, Role::kParameter, used, lean);
    Add(name + ".bias", {width}, Role::kParameter, used, lean);
  }
  void BatchNorm(const std::string& name, int64_t width) {
    Add(name + ".weight", {width});
    Add(name + ".bias", {width});
    Add(name + ".running_mean", {width}, Role::kBuffer);
    Add(name + ".running_var", {width}, Role::kBuffer);
    Add(name + ".num_batches_tracked", {}, Role::kBuffer);
  }
  void Conv(const std::string& name, int64_t out, int64_t in, int64_t kernel = 1) {
    Add(name + ".weight", {out, in, kernel, kernel});
  }
  void ConvWithBias(const std::string& name, int64_t out, int64_t in) {
    Conv(name, out, in);
    Add(name + ".bias", {out});
  }

  void Block(const std::string& prefix, int64_t in, int64_t mid, int64_t out, int stage,
             bool attention) {
    if (stage == 1 || stage == 2) BatchNorm(prefix + ".norm", in);
    if (stage >= 3) LayerNorm(prefix + ".norm.norm", in);
    LayerNorm(prefix + ".ln1", mid, attention);
    LayerNorm(prefix + ".ln2", mid, false, false);
    Conv(prefix + ".conv.conv", mid, in);
    BatchNorm(prefix + ".conv.norm", mid);
    const std::string att = prefix + ".att.";
    const auto add = [&](const char* name, std::vector<int64_t> shape) {
      Add(att + name, std::move(shape), Role::kParameter, attention, attention);
    };
    add("spatial_decay", {mid});
    add("spatial_first", {mid});
    for (const char* mix : {"spatial_mix_k", "spatial_mix_v", "spatial_mix_r"}) {
      add(mix, {1, 1, mid});
    }
    for (const char* map : {"key.weight", "value.weight", "receptance.weight"}) {
      add(map, {mid, mid});
    }
    add("key_norm.weight", {mid});
    add("key_norm.bias", {mid});
    add("output.weight", {mid, mid});
    if (stage == 0) {
      ConvWithBias(prefix + ".se.conv_reduce", mid, mid);
      ConvWithBias(prefix + ".se.conv_expand", mid, mid);
    }
    Conv(prefix + ".proj.conv", out, mid);
    Conv(prefix + ".conv_local.conv", mid, 1, 5);
    BatchNorm(prefix + ".conv_local.norm", mid);
  }

  void Ccm() {
    const int64_t t = sizes_.widths[0];
    const int64_t c = 3 * t;
    const int64_t widths[3] = {sizes_.widths[2], sizes_.widths[1], sizes_.widths[0]};
    for (int n = 0; n < 3; ++n) ConvWithBias("ccm.projections." + std::to_string(n), t, widths[n]);
    LayerNorm("ccm.ln1", c);
    Add("ccm.channel.spatial_mix_k", {1, 1, c});
    Add("ccm.channel.spatial_mix_r", {1, 1, c});
    Add("ccm.channel.key.weight", {2 * c, c});
    LayerNorm("ccm.channel.key_norm", 2 * c);
    Add("ccm.channel.receptance.weight", {c, c});
    Add("ccm.channel.value.weight", {c, 2 * c});
    for (int n = 0; n < 3; ++n) {
      ConvWithBias("ccm.final_projections." + std::to_string(n), widths[n], t);
    }
  }

  void Decoder(const std::string& prefix, int64_t in, int64_t out) {
    LayerNorm(prefix + ".ln1", in, false);
    Conv(prefix + ".conv.conv", in, in);
    BatchNorm(prefix + ".conv.norm", in);
    Conv(prefix + ".proj.conv", out, in);
    BatchNorm(prefix + ".proj.norm", out);
    Conv(prefix + ".conv_local.conv", in, 1, 9);
    BatchNorm(prefix + ".conv_local.norm", in);
  }

  const RwkvUnetSizes& sizes_;
  int64_t classes_;
  std::vector<TensorSpec> tensors_;
  std::vector<bool> lean_;
};

// The tensors of a file under the names of the whole network.
struct NamedTensors {
  bool without_encoder_prefix = false;
  bool encoder_only = false;
  std::unordered_map<std::string, const StoredTensor*> by_name;
};

NamedTensors IndexByNetworkName(const TensorFile& file) {
  NamedTensors named;
  bool has_prefix = false;
  bool has_stages = false;
  for (const auto& entry : file.tensors) {
    has_prefix = has_prefix || StartsWith(entry.first, "encoder.");
    has_stages = has_stages || StartsWith(entry.first, "stage");
  }
  named.without_encoder_prefix = has_stages && !has_prefix;
  named.encoder_only = has_prefix || has_stages;
  named.by_name.reserve(file.tensors.size());
  for (const auto& [name, tensor] : file.tensors) {
    const bool bare =
        named.without_encoder_prefix &&
        (StartsWith(name, "stage") || StartsWith(name, "norm.") || StartsWith(name, "head."));
    named.by_name.emplace(bare ? "encoder." + name : name, &tensor);
    if (StartsWith(name, "ccm.") || StartsWith(name, "decoder") || StartsWith(name, "final_conv")) {
      named.encoder_only = false;
    }
  }
  return named;
}

const RwkvUnetSizes* FindVariant(const NamedTensors& named) {
  const RwkvUnetSizes* best = nullptr;
  size_t best_count = 0;
  for (const RwkvUnetSizes& sizes : kVariants) {
    size_t encoder = 0;
    size_t fitting = 0;
    for (const TensorSpec& spec : RwkvUnetTensors(sizes.variant, 1, RwkvUnetLayout::kUsed)) {
      // Counters have the same shape in every variant.
      if (spec.shape.empty() || StartsWith(spec.name, "final_conv")) continue;
      encoder += StartsWith(spec.name, "encoder.") ? 1 : 0;
      const auto found = named.by_name.find(spec.name);
      if (found != named.by_name.end() && found->second->shape == spec.shape) ++fitting;
    }
    if (fitting * 2 >= encoder && fitting > best_count) {
      best = &sizes;
      best_count = fitting;
    }
  }
  return best;
}

int FindClasses(const NamedTensors& named) {
  for (const char* name : {"final_conv.weight", "final_conv.bias"}) {
    const auto found = named.by_name.find(name);
    if (found == named.by_name.end() || found->second->shape.empty()) continue;
    const int64_t classes = found->second->shape[0];
    if (classes >= 1 && classes <= 65536) return static_cast<int>(classes);
  }
  return 0;
}

std::string LayoutName(const LayoutReport& report, size_t lean_unused, size_t lean_present,
                       size_t full_unused) {
  if (!report.wrong_shape.empty() || !report.Holes().empty()) return "other";
  if (report.unused.empty()) return "used";
  if (report.unused.size() == full_unused) return "full";
  return report.unused.size() == lean_unused && lean_present == lean_unused ? "lean" : "other";
}

LayoutReport Compare(const NamedTensors& named, const TensorFile& file, const std::string& variant,
                     int classes) {
  LayoutReport report;
  report.architecture = "rwkv-unet";
  report.variant = variant;
  report.classes = classes;
  report.encoder_only = named.encoder_only;
  report.without_encoder_prefix = named.without_encoder_prefix;
  size_t full_unused = 0;
  std::unordered_set<std::string> known;
  for (const TensorSpec& spec : RwkvUnetTensors(variant, classes, RwkvUnetLayout::kFull)) {
    known.insert(spec.name);
    const bool relevant = !named.encoder_only || StartsWith(spec.name, "encoder.");
    const auto found = named.by_name.find(spec.name);
    const bool trained = spec.role == Role::kParameter;
    if (!spec.used) {
      full_unused += relevant ? 1 : 0;
      if (found == named.by_name.end()) continue;
      report.unused.push_back(spec.name);
      if (trained) report.total_parameters += found->second->Numel();
      continue;
    }
    if (trained && relevant) report.used_parameters += spec.Numel();
    if (found == named.by_name.end()) {
      report.missing.push_back(spec.name);
      continue;
    }
    const StoredTensor& tensor = *found->second;
    const bool counter = spec.shape.empty();
    if (tensor.shape != spec.shape || IsFloating(tensor.type) == counter) {
      report.wrong_shape.push_back({spec.name, ShapeText(tensor.shape) + " " + NameOf(tensor.type),
                                    ShapeText(spec.shape) + (counter ? " I64" : " F32")});
      continue;
    }
    report.matched.push_back(spec.name);
    if (trained) report.total_parameters += tensor.Numel();
  }
  size_t lean_unused = 0;
  size_t lean_present = 0;
  for (const TensorSpec& spec : RwkvUnetTensors(variant, classes, RwkvUnetLayout::kLean)) {
    if (spec.used || (named.encoder_only && !StartsWith(spec.name, "encoder."))) continue;
    ++lean_unused;
    lean_present += named.by_name.count(spec.name);
  }
  for (const auto& entry : file.tensors) {
    if (known.count(entry.first) == 0 &&
        !(named.without_encoder_prefix && known.count("encoder." + entry.first) != 0)) {
      report.unexpected.push_back(entry.first);
    }
  }
  report.layout = LayoutName(report, lean_unused, lean_present, full_unused);
  return report;
}

}  // namespace

const RwkvUnetSizes& RwkvUnetSizesOf(const std::string& variant) {
  for (const RwkvUnetSizes& sizes : kVariants) {
    if (sizes.variant == variant) return sizes;
  }
  throw ModelError("'" + variant + "' is no variant of RWKV-UNet; it has T, S and B");
}

std::vector<TensorSpec> RwkvUnetTensors(const std::string& variant, int classes,
                                        RwkvUnetLayout layout) {
  Builder builder(RwkvUnetSizesOf(variant), classes);
  builder.Build();
  return builder.Take(layout);
}

LayoutReport MatchRwkvUnet(const TensorFile& file, std::optional<std::string> variant,
                           std::optional<int> classes) {
  const NamedTensors named = IndexByNetworkName(file);
  if (!variant) {
    const RwkvUnetSizes* found = FindVariant(named);
    if (found == nullptr) {
      throw ModelError(
          "its tensors fit no variant of RWKV-UNet (T, S, B); see what it holds with "
          "'avocet model info'");
    }
    variant = found->variant;
  }
  return Compare(named, file, *variant, classes ? *classes : FindClasses(named));
}

std::optional<LayoutReport> DetectRwkvUnet(const TensorFile& file) {
  const NamedTensors named = IndexByNetworkName(file);
  const RwkvUnetSizes* found = FindVariant(named);
  if (found == nullptr) return std::nullopt;
  return Compare(named, file, found->variant, FindClasses(named));
}

}  // namespace avocet::models
