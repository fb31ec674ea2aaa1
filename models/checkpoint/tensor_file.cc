// SPDX-License-Identifier: Apache-2.0
#include "models/checkpoint/tensor_file.h"

namespace avocet::models {

int64_t StoredTensor::Numel() const {
  int64_t count = 1;
  for (int64_t extent : shape) count *= extent;
  return count;
}

const StoredTensor* TensorFile::Find(const std::string& name) const {
  for (const auto& [key, tensor] : tensors) {
    if (key == name) return &tensor;
  }
  return nullptr;
}

}  // namespace avocet::models
