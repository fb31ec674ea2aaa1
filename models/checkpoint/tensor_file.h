// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace avocet::models {

// Element types of checkpoints. Names follow safetensors ("F32", "BF16", ...).
enum class TensorType : int {
  kFloat64,
  kFloat32,
  kFloat16,
  kBFloat16,
  kInt64,
  kInt32,
  kInt16,
  kInt8,
  kUInt8,
  kBool
};
size_t SizeOf(TensorType type);
const char* NameOf(TensorType type);
bool IsFloating(TensorType type);

// One tensor of a file, free of LibTorch. `data` is contiguous, row-major, little-endian: readers
// resolve strides, offsets and shared storages.
struct StoredTensor {
  TensorType type = TensorType::kFloat32;
  std::vector<int64_t> shape;  // empty for a scalar
  std::vector<std::byte> data;

  int64_t Numel() const;
};

// "[3, 1, 5, 5]"; "[]" for a scalar.
std::string ShapeText(const std::vector<int64_t>& shape);

// A checkpoint: named tensors in the order of the file, and string metadata (safetensors
// `__metadata__`; empty for .pth).
struct TensorFile {
  std::vector<std::pair<std::string, StoredTensor>> tensors;
  std::map<std::string, std::string> metadata;
  std::string format;              // "safetensors", "torch zip", "torch legacy"
  std::vector<std::string> notes;  // e.g. "prefix 'module.' removed from 352 names"

  const StoredTensor* Find(const std::string& name) const;
};

// Reads a safetensors file or a PyTorch state dictionary (zip or legacy container), told apart by
// content; either may be gzip-compressed as a whole. Pickle is interpreted by a whitelisted subset
// that executes nothing; devices are ignored; a dictionary nested in another ("state_dict",
// "model", ...) is unwrapped; "module." prefixes are removed when every name has them. Every size
// is checked against the file before memory is taken. Throws ModelError naming the file and what
// is wrong with it; IoError if it cannot be opened.
TensorFile ReadTensorFile(const std::filesystem::path& path);

// The same from memory; the message of a ModelError does not name a file.
TensorFile ParseTensorFile(std::string_view bytes);

// Writes safetensors atomically: header padded to 8 bytes and listing the tensors in order; data
// without gaps, wider types first, so that every tensor is aligned to its own type. Throws
// ModelError for names or data that the format cannot hold, IoError when the disk refuses.
void WriteSafetensors(const TensorFile& file, const std::filesystem::path& path);

}  // namespace avocet::models
