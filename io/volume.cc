// SPDX-License-Identifier: Apache-2.0
#include "io/volume.h"

namespace avocet::io {

size_t SizeOf(VoxelType type) {
  switch (type) {
    case VoxelType::kUInt8:
    case VoxelType::kInt8:
      return 1;
    case VoxelType::kUInt16:
    case VoxelType::kInt16:
      return 2;
    case VoxelType::kUInt32:
    case VoxelType::kInt32:
    case VoxelType::kFloat32:
      return 4;
    case VoxelType::kUInt64:
    case VoxelType::kInt64:
    case VoxelType::kFloat64:
      return 8;
  }
  return 0;
}

const char* NameOf(VoxelType type) {
  static constexpr const char* kNames[] = {"uint8", "int8",   "uint16", "int16",   "uint32",
                                           "int32", "uint64", "int64",  "float32", "float64"};
  return kNames[static_cast<int>(type)];
}

}  // namespace avocet::io
