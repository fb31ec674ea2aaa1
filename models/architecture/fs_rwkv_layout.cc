// SPDX-License-Identifier: Apache-2.0
#include "models/architecture/fs_rwkv_layout.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

#include "app/base/error.h"
#include "models/checkpoint/convert.h"

namespace avocet::models {
namespace {

using Role = TensorSpec::Role;

constexpr int kMaxBlocks = 256;  // in one stage
constexpr int64_t kMaxDim = 4096;
// sqrt(1/2) in float32, the coefficient of the official filters.
constexpr float kFilter = 0.70710677f;

bool StartsWith(std::string_view text, std::string_view start) {
  return text.substr(0, start.size()) == start;
}

class Builder {
 public:
  explicit Builder(const FsRwkvSizes& sizes) : sizes_(sizes) {}

  std::vector<TensorSpec> Build() {
    const int64_t d = sizes_.dim;
    const auto [n1, n2, n3, n4] = sizes_.blocks;
    Conv("patch_embed", d, 1, 3);
    Add("patch_embed.bias", {d});
    Stage("encoder_level1", n1, d);
    Conv("down1_2.body.0", d / 2, d, 3);
    Stage("encoder_level2", n2, 2 * d);
    Conv("down2_3.body.0", d, 2 * d, 3);
    Stage("encoder_level3", n3, 4 * d);
    Conv("down3_4.body.0", 2 * d, 4 * d, 3);
    Stage("latent", n4, 8 * d);
    Conv("up4_3.body.0", 16 * d, 8 * d, 3);
    Conv("reduce_chan_level3", 4 * d, 8 * d, 1);
    Add("reduce_chan_level3.bias", {4 * d});
    Stage("decoder_level3", n3, 4 * d);
    Conv("up3_2.body.0", 8 * d, 4 * d, 3);
    Conv("reduce_chan_level2", 2 * d, 4 * d, 1);
    Add("reduce_chan_level2.bias", {2 * d});
    Stage("decoder_level2", n2, 2 * d);
    Conv("up2_1.body.0", 4 * d, 2 * d, 3);
    Stage("decoder_level1", n1, 2 * d);
    Stage("refinement", sizes_.refinement, 2 * d);
    Conv("output", 1, 2 * d, 3);
    Add("output.bias", {1});
    for (int level = 1; level <= 3; ++level) {
      FidelityBlock("enhance_level" + std::to_string(level), d << (level - 1));
    }
    return std::move(tensors_);
  }

 private:
  void Add(const std::string& name, std::vector<int64_t> shape, Role role = Role::kParameter,
           bool used = true) {
    tensors_.push_back({name, std::move(shape), role, used});
  }
  void Norm(const std::string& name, int64_t width) {
    Add(name + ".weight", {width});
    Add(name + ".bias", {width});
  }
  void BatchNorm(const std::string& name, int64_t width) {
    Norm(name, width);
    Add(name + ".running_mean", {width}, Role::kBuffer);
    Add(name + ".running_var", {width}, Role::kBuffer);
    Add(name + ".num_batches_tracked", {}, Role::kBuffer);
  }
  void Conv(const std::string& name, int64_t out, int64_t in, int64_t kernel) {
    Add(name + ".weight", {out, in, kernel, kernel});
  }

  void Stage(const std::string& name, int blocks, int64_t d) {
    for (int n = 0; n < blocks; ++n) {
      const std::string p = name + "." + std::to_string(n);
      Add(p + ".gamma1", {d});
      Add(p + ".gamma2", {d});
      Norm(p + ".ln1", d);
      Norm(p + ".ln2", d);
      Add(p + ".att.spatial_decay", {d});
      Add(p + ".att.spatial_first", {d});
      for (const char* mix : {"k", "v", "r"}) Add(p + ".att.spatial_mix_" + mix, {1, 1, d});
      for (const char* map : {"key", "value", "receptance", "output"}) {
        Add(p + ".att." + map + ".weight", {d, d});
      }
      for (const char* mix : {"k", "r"}) Add(p + ".ffn.spatial_mix_" + mix, {1, 1, d});
      Add(p + ".ffn.key.weight", {4 * d, d});
      Add(p + ".ffn.receptance.weight", {d, d});
      Add(p + ".ffn.value.weight", {d, 4 * d});
    }
  }

  void LargeSmallConv(const std::string& p, int64_t c) {
    const int64_t h = c / 2, q = 9 * c / 8;
    Conv(p + ".lkp.cv1.c", h, c, 1);
    BatchNorm(p + ".lkp.cv1.bn", h);
    Conv(p + ".lkp.cv2.c", h, 1, 7);
    BatchNorm(p + ".lkp.cv2.bn", h);
    Conv(p + ".lkp.cv3.c", h, h, 1);
    BatchNorm(p + ".lkp.cv3.bn", h);
    Conv(p + ".lkp.cv4", q, h, 1);
    Add(p + ".lkp.cv4.bias", {q});
    Norm(p + ".lkp.norm", q);
    BatchNorm(p + ".bn", c);
  }

  void FidelityBlock(const std::string& p, int64_t c) {
    for (const char* filter : {"dwt.h0", "dwt.h1", "idwt.g0", "idwt.g1"}) {
      Add(p + "." + filter + "_col", {1, 1, 2, 1}, Role::kBuffer, false);
      Add(p + "." + filter + "_row", {1, 1, 1, 2}, Role::kBuffer, false);
    }
    const std::string low = p + ".low_freq_processor", high = p + ".high_freq_processor";
    const std::pair<const char*, int64_t> paths[] = {{"_3x3", 3}, {"_5x5", 5}, {"_7x7", 7}};
    for (const auto& [path, kernel] : paths) {
      Conv(low + ".conv" + path + ".conv", c, c, kernel);
      Norm(low + ".conv" + path + ".norm", c);
      LargeSmallConv(low + ".lsconv" + path, c);
    }
    Conv(low + ".out_conv", c, 3 * c, 1);
    for (const auto& [path, kernel] : paths) {
      Conv(high + ".conv" + path + ".conv", c, 3 * c, kernel);
      Norm(high + ".conv" + path + ".norm", c);
      Conv(high + ".dsconv" + path + ".depthwise", c, 1, 3);
      Conv(high + ".dsconv" + path + ".pointwise", c, c, 1);
      Norm(high + ".dsconv" + path + ".norm.ln", c);
    }
    Conv(high + ".out_conv", c, 3 * c, 1);
    Conv(p + ".low_back_conv", c, c, 1);
    Conv(p + ".high_back_conv", 3 * c, c, 1);
    Conv(p + ".spatial_conv.conv", c, c, 3);
    Norm(p + ".spatial_conv.norm", c);
    LargeSmallConv(p + ".spatial_lsconv", c);
    Conv(p + ".final_fusion.weight_net.0", c / 2, c, 1);
    Norm(p + ".final_fusion.weight_net.1.ln", c / 2);
    Conv(p + ".final_fusion.weight_net.3", 2, c / 2, 1);
    Conv(p + ".output_conv.0", c, c, 3);
    Norm(p + ".output_conv.1", c);
  }

  const FsRwkvSizes& sizes_;
  std::vector<TensorSpec> tensors_;
};

// Number of the block that `name` belongs to in stage `stage`, -1 for none.
int BlockNumber(std::string_view name, std::string_view stage) {
  if (!StartsWith(name, stage) || name.size() <= stage.size() || name[stage.size()] != '.') {
    return -1;
  }
  const char* begin = name.data() + stage.size() + 1;
  int number = -1;
  const auto [end, error] = std::from_chars(begin, name.data() + name.size(), number);
  const bool whole = error == std::errc() && end != name.data() + name.size() && *end == '.';
  return whole && number >= 0 && number < kMaxBlocks ? number : -1;
}

bool IsFilter(const std::string& name, const StoredTensor& tensor) {
  if (tensor.Numel() != 2 || !IsFloating(tensor.type)) return false;
  const std::vector<double> values = ToDoubles(tensor);
  const size_t dot = name.rfind('.');
  const double sign = name[dot + 2] == '1' ? -1 : 1;  // h1, g1: the high-pass filters
  // Half precision rounds the coefficient by up to 2.5e-4.
  const double tolerance = tensor.type == TensorType::kFloat16    ? 5e-4
                           : tensor.type == TensorType::kBFloat16 ? 4e-3
                                                                  : 1e-6;
  return std::abs(values[0] - kFilter) <= tolerance &&
         std::abs(values[1] - sign * kFilter) <= tolerance;
}

LayoutReport Compare(const TensorFile& file, const FsRwkvSizes& sizes) {
  LayoutReport report;
  report.architecture = "fs-rwkv";
  report.variant = sizes.Variant();
  std::unordered_map<std::string_view, const StoredTensor*> by_name;
  for (const auto& [name, tensor] : file.tensors) by_name.emplace(name, &tensor);
  std::unordered_set<std::string> known;
  size_t filters = 0;
  for (const TensorSpec& spec : FsRwkvTensors(sizes)) {
    known.insert(spec.name);
    filters += spec.used ? 0 : 1;
    const bool trained = spec.role == Role::kParameter;
    if (trained) report.used_parameters += spec.Numel();
    const auto found = by_name.find(spec.name);
    if (found == by_name.end()) {
      if (spec.used) report.missing.push_back(spec.name);
      continue;
    }
    const StoredTensor& tensor = *found->second;
    const bool counter = spec.shape.empty();
    const bool fits = tensor.shape == spec.shape && IsFloating(tensor.type) != counter;
    if (!fits) {
      report.wrong_shape.push_back({spec.name, ShapeText(tensor.shape) + " " + NameOf(tensor.type),
                                    ShapeText(spec.shape) + (counter ? " I64" : " F32")});
    } else if (!spec.used && !IsFilter(spec.name, tensor)) {
      report.wrong_shape.push_back({spec.name, "other values", "the Haar filter"});
    } else if (!spec.used) {
      report.unused.push_back(spec.name);
    } else {
      report.matched.push_back(spec.name);
      if (trained) report.total_parameters += tensor.Numel();
    }
  }
  for (const auto& entry : file.tensors) {
    if (known.count(entry.first) == 0) report.unexpected.push_back(entry.first);
  }
  const bool whole = report.missing.empty() && report.wrong_shape.empty();
  report.layout = !whole                            ? "other"
                  : report.unused.empty()           ? "used"
                  : report.unused.size() == filters ? "full"
                                                    : "other";
  return report;
}

}  // namespace

std::string FsRwkvSizes::Check() const {
  if (dim < 8 || dim % 8 != 0 || dim > kMaxDim) {
    return "the width is " + std::to_string(dim) + "; it must be a multiple of 8 from 8 to " +
           std::to_string(kMaxDim);
  }
  for (const int count : {blocks[0], blocks[1], blocks[2], blocks[3], refinement}) {
    if (count < 1 || count > kMaxBlocks) {
      return "a stage has " + std::to_string(count) + " blocks; it must have 1 to " +
             std::to_string(kMaxBlocks);
    }
  }
  return "";
}

std::string FsRwkvSizes::Variant() const {
  std::string text = "dim" + std::to_string(dim);
  for (size_t n = 0; n < blocks.size(); ++n) {
    text += (n == 0 ? "-" : ".") + std::to_string(blocks[n]);
  }
  return text + "-r" + std::to_string(refinement);
}

std::vector<TensorSpec> FsRwkvTensors(const FsRwkvSizes& sizes) {
  if (const std::string wrong = sizes.Check(); !wrong.empty()) {
    throw ModelError("there is no such FS-RWKV: " + wrong);
  }
  return Builder(sizes).Build();
}

std::optional<FsRwkvSizes> FindFsRwkvSizes(const TensorFile& file) {
  const StoredTensor* embed = file.Find("patch_embed.weight");
  const StoredTensor* gamma = file.Find("encoder_level1.0.gamma1");
  FsRwkvSizes sizes;
  if (gamma != nullptr && gamma->shape.size() == 1) {
    sizes.dim = gamma->shape[0];
  } else if (embed != nullptr && embed->shape.size() == 4) {
    sizes.dim = embed->shape[0];
  } else {
    return std::nullopt;
  }
  sizes.blocks = {0, 0, 0, 0};
  sizes.refinement = 0;
  const std::pair<const char*, int*> stages[] = {
      {"encoder_level1", &sizes.blocks[0]}, {"encoder_level2", &sizes.blocks[1]},
      {"encoder_level3", &sizes.blocks[2]}, {"latent", &sizes.blocks[3]},
      {"decoder_level3", &sizes.blocks[2]}, {"decoder_level2", &sizes.blocks[1]},
      {"decoder_level1", &sizes.blocks[0]}, {"refinement", &sizes.refinement}};
  for (const auto& entry : file.tensors) {
    for (const auto& [stage, count] : stages) {
      *count = std::max(*count, BlockNumber(entry.first, stage) + 1);
    }
  }
  if (!sizes.Check().empty()) return std::nullopt;
  size_t fitting = 0;
  const std::vector<TensorSpec> tensors = FsRwkvTensors(sizes);
  std::unordered_map<std::string_view, const StoredTensor*> by_name;
  for (const auto& [name, tensor] : file.tensors) by_name.emplace(name, &tensor);
  for (const TensorSpec& spec : tensors) {
    const auto found = by_name.find(spec.name);
    if (found != by_name.end() && found->second->shape == spec.shape) ++fitting;
  }
  if (fitting * 2 < tensors.size()) return std::nullopt;
  return sizes;
}

LayoutReport MatchFsRwkv(const TensorFile& file) {
  auto report = DetectFsRwkv(file);
  if (!report) {
    throw ModelError(
        "its tensors are not those of FS-RWKV; see what it holds with 'avocet model info'");
  }
  return std::move(*report);
}

std::optional<LayoutReport> DetectFsRwkv(const TensorFile& file) {
  const auto sizes = FindFsRwkvSizes(file);
  if (!sizes) return std::nullopt;
  return Compare(file, *sizes);
}

void AddWaveletFilters(TensorFile& file) {
  const auto sizes = FindFsRwkvSizes(file);
  if (!sizes) return;
  std::unordered_set<std::string> present;
  for (const auto& entry : file.tensors) present.insert(entry.first);
  for (const TensorSpec& spec : FsRwkvTensors(*sizes)) {
    if (spec.used || present.count(spec.name) != 0) continue;
    const bool high = spec.name[spec.name.rfind('.') + 2] == '1';
    const float values[2] = {kFilter, high ? -kFilter : kFilter};
    StoredTensor tensor;
    tensor.type = TensorType::kFloat32;
    tensor.shape = spec.shape;
    tensor.data.resize(sizeof values);
    std::memcpy(tensor.data.data(), values, sizeof values);
    file.tensors.emplace_back(spec.name, std::move(tensor));
  }
}

}  // namespace avocet::models
