// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "models/forward_options.h"
#include "models/parameters.h"

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

struct RwkvUnetBlock;

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

  // Fills the parameters as the official code initialises them.
  void Initialise(at::Generator& generator);

  // image: [N, 1 or 3, H, W], any H and W >= 1 (padded right and bottom to a multiple of 16 by edge
  // replication, cropped after). Returns logits [N, classes, H, W] of the image's type.
  // Thread-safe in evaluation mode.
  at::Tensor Forward(const at::Tensor& image, const ForwardOptions& options = {}) const;

 private:
  RwkvUnetConfig config_;
  WkvMode mode_;
  std::vector<RwkvUnetBlock> blocks_;  // the stem, then stages 1-4
  ParameterStore parameters_;
};

}  // namespace avocet::models
