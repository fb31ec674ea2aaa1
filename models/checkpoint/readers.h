// SPDX-License-Identifier: Apache-2.0
// Inside of ReadTensorFile: the containers. All parse bytes in memory and throw ModelError with a
// clause that says what is wrong; ReadTensorFile puts the file's name in front.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "models/checkpoint/tensor_file.h"

namespace avocet::models {

// More dimensions than any network has; keeps loops over hostile shapes short.
inline constexpr size_t kMaxRank = 32;

// Little-endian loads; the caller has checked the bounds. (All supported hosts are little-endian.)
template <typename T>
T LoadLittle(std::string_view bytes, size_t at) {
  T value;
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}

// Number of elements; false when an extent is negative or the product overflows int64.
bool CheckedNumel(const std::vector<int64_t>& shape, int64_t* numel);

// Names are shown to people and may come from hostile files: control characters become '?', long
// ones are cut.
std::string Printable(std::string_view text, size_t max_length = 120);
bool IsUtf8(std::string_view text);

// Refuses values other than 0 and 1 in BOOL tensors (a C++ bool must not hold them).
void CheckBooleans(const std::string& name, const StoredTensor& tensor);

TensorFile ParseSafetensors(std::string_view bytes);
TensorFile ParseTorchZip(std::string_view bytes);
TensorFile ParseTorchLegacy(std::string_view bytes);
bool LooksLikeZip(std::string_view bytes);
bool LooksLikeTorchLegacy(std::string_view bytes);
bool LooksLikeSafetensors(std::string_view bytes);

}  // namespace avocet::models
