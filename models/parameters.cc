// SPDX-License-Identifier: Apache-2.0
#include "models/parameters.h"

#include <ATen/ATen.h>

#include <cstring>

#include "app/base/error.h"

namespace avocet::models {
namespace {

at::ScalarType ScalarTypeOf(TensorType type) {
  switch (type) {
    case TensorType::kFloat64:
      return at::kDouble;
    case TensorType::kFloat32:
      return at::kFloat;
    case TensorType::kFloat16:
      return at::kHalf;
    case TensorType::kBFloat16:
      return at::kBFloat16;
    case TensorType::kInt64:
      return at::kLong;
    case TensorType::kInt32:
      return at::kInt;
    case TensorType::kInt16:
      return at::kShort;
    case TensorType::kInt8:
      return at::kChar;
    case TensorType::kUInt8:
      return at::kByte;
    case TensorType::kBool:
      return at::kBool;
  }
  throw ModelError("unknown tensor type");
}

TensorType TensorTypeOf(at::ScalarType type) {
  switch (type) {
    case at::kDouble:
      return TensorType::kFloat64;
    case at::kFloat:
      return TensorType::kFloat32;
    case at::kHalf:
      return TensorType::kFloat16;
    case at::kBFloat16:
      return TensorType::kBFloat16;
    case at::kLong:
      return TensorType::kInt64;
    case at::kInt:
      return TensorType::kInt32;
    case at::kShort:
      return TensorType::kInt16;
    case at::kChar:
      return TensorType::kInt8;
    case at::kByte:
      return TensorType::kUInt8;
    case at::kBool:
      return TensorType::kBool;
    default:
      throw ModelError(std::string("tensors of type ") + at::toString(type) + " cannot be stored");
  }
}

}  // namespace

void ParameterStore::Add(const std::string& name, at::Tensor value, bool trainable) {
  if (!index_.emplace(name, entries_.size()).second) {
    throw ModelError("parameter '" + name + "' is registered twice");
  }
  entries_.push_back({name, std::move(value), trainable});
}

const at::Tensor& ParameterStore::Get(const std::string& name) const {
  const auto found = index_.find(name);
  if (found == index_.end()) throw ModelError("the network has no parameter '" + name + "'");
  return entries_[found->second].value;
}

void ParameterStore::Set(const std::string& name, at::Tensor value) {
  const auto found = index_.find(name);
  if (found == index_.end()) throw ModelError("the network has no parameter '" + name + "'");
  entries_[found->second].value = std::move(value);
}

std::vector<at::Tensor> ParameterStore::Trainable() const {
  std::vector<at::Tensor> tensors;
  for (const Entry& entry : entries_) {
    if (entry.trainable) tensors.push_back(entry.value);
  }
  return tensors;
}

int64_t ParameterStore::ParameterCount() const {
  int64_t count = 0;
  for (const Entry& entry : entries_) {
    if (entry.trainable) count += entry.value.numel();
  }
  return count;
}

void ParameterStore::RequireGradients(bool on) {
  for (Entry& entry : entries_) {
    if (entry.trainable) entry.value.set_requires_grad(on);
  }
}

void ParameterStore::To(at::ScalarType type) {
  for (Entry& entry : entries_) {
    if (entry.value.is_floating_point()) entry.value = entry.value.detach().to(type);
  }
}

void ParameterStore::To(at::Device device) {
  for (Entry& entry : entries_) entry.value = entry.value.detach().to(device);
}

at::Tensor ToTensor(const StoredTensor& stored) {
  at::Tensor tensor = at::empty(stored.shape, at::TensorOptions().dtype(ScalarTypeOf(stored.type)));
  TORCH_INTERNAL_ASSERT(tensor.nbytes() == stored.data.size());
  if (!stored.data.empty()) std::memcpy(tensor.data_ptr(), stored.data.data(), stored.data.size());
  return tensor;
}

StoredTensor FromTensor(const at::Tensor& tensor) {
  const at::Tensor plain = tensor.detach().to(at::kCPU).contiguous();
  StoredTensor stored;
  stored.type = TensorTypeOf(plain.scalar_type());
  stored.shape.assign(plain.sizes().begin(), plain.sizes().end());
  stored.data.resize(plain.nbytes());
  if (!stored.data.empty()) std::memcpy(stored.data.data(), plain.data_ptr(), stored.data.size());
  return stored;
}

}  // namespace avocet::models
