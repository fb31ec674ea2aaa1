// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <unordered_map>
#include <vector>

#include "models/checkpoint/tensor_file.h"

namespace avocet::models {

// Named tensors of a network, in registration order. Trainable ones and buffers (running
// statistics, counters) are told apart. Copying shares the tensors.
class ParameterStore {
 public:
  struct Entry {
    std::string name;
    at::Tensor value;
    bool trainable = true;
  };

  void Add(const std::string& name, at::Tensor value, bool trainable);
  bool Has(const std::string& name) const { return index_.count(name) != 0; }
  const at::Tensor& Get(const std::string& name) const;  // throws ModelError when absent
  void Set(const std::string& name, at::Tensor value);
  const std::vector<Entry>& entries() const { return entries_; }

  std::vector<at::Tensor> Trainable() const;
  // Elements of trainable entries.
  int64_t ParameterCount() const;
  void RequireGradients(bool on);
  // Converts floating-point entries; counters keep their type.
  void To(at::ScalarType type);
  void To(at::Device device);

 private:
  std::vector<Entry> entries_;
  std::unordered_map<std::string, size_t> index_;
};

// What strict loading found.
struct LoadReport {
  std::vector<std::string> matched;
  std::vector<std::string> missing;     // used by the network, not in the file
  std::vector<std::string> unused;      // in the file, known not to influence the result
  std::vector<std::string> unexpected;  // in the file, unknown to the architecture
};

at::Tensor ToTensor(const StoredTensor& stored);    // a copy that owns its memory
StoredTensor FromTensor(const at::Tensor& tensor);  // contiguous CPU copy

}  // namespace avocet::models
