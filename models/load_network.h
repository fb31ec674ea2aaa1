// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "models/checkpoint/tensor_file.h"
#include "models/parameters.h"
#include "models/rwkv_unet/rwkv_unet.h"

namespace avocet::models {

struct LoadOptions {
  std::optional<WkvMode> wkv;  // unset: the model card's mode; without a card, the definition
  std::string variant;         // "" = found from the tensors; otherwise it must agree with them
  int classes = 0;             // 0 = found from the tensors
  bool allow_missing = false;  // missing tensors keep their initial values (seed 1234)
};

// Builds RWKV-UNet and fills it from a checkpoint: official layouts (lean, full, `module.` prefix)
// and our own files alike. Strict: a used tensor that is missing, any unknown tensor, and any wrong
// shape is a ModelError that names `source` and the tensors. Half and bfloat16 weights become
// float32.
std::unique_ptr<RwkvUnet> LoadRwkvUnet(const TensorFile& file, const std::string& source,
                                       const LoadOptions& options = {});

// The network's tensors as a file (float32, official names), for saving.
TensorFile ToTensorFile(const ParameterStore& parameters);

}  // namespace avocet::models
