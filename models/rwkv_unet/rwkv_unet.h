// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "app/base/field_table.h"
#include "models/forward_options.h"
#include "models/parameters.h"
#include "models/precision.h"

namespace avocet::models {

// Sizes of RWKV-UNet (Jiang et al. 2025), variants T, S and B.
struct RwkvUnetConfig {
  std::string variant;
  int classes = 0;
  std::array<int, 4> depths{};     // blocks in stages 1-4
  std::array<int, 4> widths{};     // channels of stages 1-4
  std::array<double, 4> ratios{};  // expansion of stages 1-4; doubled in the first block of a stage
  double drop_path = 0.05;         // maximum rate, rises linearly over the blocks

  // "T", "S" or "B"; throws ModelError otherwise.
  static RwkvUnetConfig ForVariant(const std::string& variant, int classes);
};
inline auto FieldsOf(const RwkvUnetConfig& c) {
  return std::make_tuple(Decides("variant", c.variant), Decides("classes", c.classes),
                         Decides("depths", c.depths), Decides("widths", c.widths),
                         Decides("ratios", c.ratios), Decides("drop_path", c.drop_path));
}

struct RwkvUnetBlock;
class FrozenRwkvUnet;

// The network as a function of named tensors: names and shapes are those of the official state
// dictionary, so that any checkpoint can be loaded, saved and compared by name. Only tensors that
// influence the result exist here; dead ones of the official layouts are dropped on loading.
class RwkvUnet {
 public:
  // Parameters start as zeros; call Initialise or fill them from a file.
  explicit RwkvUnet(RwkvUnetConfig config, WkvMode mode = WkvMode::kExact);
  ~RwkvUnet();
  RwkvUnet(RwkvUnet&&) noexcept;
  RwkvUnet& operator=(RwkvUnet&&) noexcept;

  const RwkvUnetConfig& config() const { return config_; }
  WkvMode wkv_mode() const { return mode_; }
  void set_wkv_mode(WkvMode mode) { mode_ = mode; }
  ParameterStore& parameters() { return parameters_; }
  const ParameterStore& parameters() const { return parameters_; }

  // Prepares the parameters, which must be float32 on the CPU, for inference: from now on Forward
  // takes the frozen path (frozen_rwkv_unet.h) for float32 images on the CPU where neither training
  // nor gradients nor a hook is asked for. It costs a copy of the parameters. Later changes to the
  // parameters do not show until the next call; Thaw ends it.
  void Freeze(Precision precision = Precision::kFloat32);
  void Thaw();

  // Of Forward where it does not take the frozen path: on a GPU. Logits stay float32.
  void set_precision(Precision precision) { precision_ = precision; }

  // Fills the parameters as the official code initialises them.
  void Initialise(at::Generator& generator);

  // image: [N, 1 or 3, H, W], any H and W >= 1 (padded right and bottom to a multiple of 16 by edge
  // replication, cropped after). Returns logits [N, classes, H, W] of the image's type.
  // Thread-safe in evaluation mode.
  at::Tensor Forward(const at::Tensor& image, const ForwardOptions& options = {}) const;

 private:
  RwkvUnetConfig config_;
  WkvMode mode_;
  Precision precision_ = Precision::kFloat32;
  std::vector<RwkvUnetBlock> blocks_;  // the stem, then stages 1-4
  ParameterStore parameters_;
  std::unique_ptr<const FrozenRwkvUnet> frozen_;
};

}  // namespace avocet::models
