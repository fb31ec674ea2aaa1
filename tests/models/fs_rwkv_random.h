// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <cstring>

#include "models/architecture/fs_rwkv_layout.h"
#include "models/checkpoint/tensor_file.h"

namespace avocet::test {

// An FS-RWKV whose weights follow from their names alone, in the ranges of a trained one; the same
// on every machine.
inline models::TensorFile FormulaFsRwkv(const models::FsRwkvSizes& sizes) {
  using models::TensorType;
  const auto ends_with = [](const std::string& text, const std::string& end) {
    return text.size() >= end.size() &&
           text.compare(text.size() - end.size(), end.size(), end) == 0;
  };
  models::TensorFile file;
  for (const models::TensorSpec& spec : models::FsRwkvTensors(sizes)) {
    if (!spec.used) continue;
    models::StoredTensor tensor;
    tensor.shape = spec.shape;
    tensor.type = spec.shape.empty() ? TensorType::kInt64 : TensorType::kFloat32;
    tensor.data.resize(static_cast<size_t>(spec.Numel()) * SizeOf(tensor.type));
    uint64_t state = 0xcbf29ce484222325u;
    for (const unsigned char c : spec.name) state = (state ^ c) * 0x100000001b3u;
    const int64_t fan_in = spec.shape.size() < 2 ? 1 : spec.Numel() / spec.shape[0];
    const bool mix = spec.name.find("spatial_mix") != std::string::npos;
    const bool positive = ends_with(spec.name, "running_var") ||
                          spec.name.find("gamma") != std::string::npos ||
                          (spec.shape.size() == 1 && ends_with(spec.name, ".weight")) || mix;
    for (int64_t i = 0; tensor.type == TensorType::kFloat32 && i < spec.Numel(); ++i) {
      state = state * 6364136223846793005u + 1442695040888963407u;
      const double unit = static_cast<double>(state >> 40) / (1 << 24);  // [0, 1)
      double value = (2 * unit - 1) * 1.7 / std::sqrt(static_cast<double>(fan_in));
      if (positive) value = 0.5 + unit;
      if (spec.shape.size() == 1 && !positive) value = 0.4 * (2 * unit - 1);
      if (ends_with(spec.name, "spatial_decay")) value = -5 + 8 * unit;
      const auto single = static_cast<float>(value);
      std::memcpy(tensor.data.data() + i * sizeof single, &single, sizeof single);
    }
    file.tensors.emplace_back(spec.name, std::move(tensor));
  }
  return file;
}

}  // namespace avocet::test
