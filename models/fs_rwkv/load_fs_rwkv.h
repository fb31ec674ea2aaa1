// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "models/checkpoint/tensor_file.h"
#include "models/fs_rwkv/fs_rwkv.h"

namespace avocet::models {

struct FsLoadOptions {
  std::optional<WkvMode> wkv;  // unset: the model card's mode; without a card, the definition
  FsGeometry geometry = FsGeometry::kNative;
  bool allow_missing = false;  // missing tensors keep their initial values (seed 1234)
};

// Builds FS-RWKV with the sizes that the file's tensors have and fills it: official checkpoints
// (bare state dictionary, `module.` prefix or not) and our own files alike. Strict: a tensor that
// is missing, unknown or of the wrong shape, and Haar filters with other values, are a ModelError
// that names `source` and the tensors. Half and bfloat16 weights become float32.
std::unique_ptr<FsRwkv> LoadFsRwkv(const TensorFile& file, const std::string& source,
                                   const FsLoadOptions& options = {});

}  // namespace avocet::models
