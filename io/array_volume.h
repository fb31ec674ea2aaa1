// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "io/volume.h"

namespace avocet::io {

// Arrays of research sets (HDF5, npz) as volumes. Such files hold no voxel size and no orientation;
// what is assumed of axes and labels is stated in the notes.

// FILE#NAME names one array of a file; `member` is empty without a '#', or when a file of the whole
// name exists.
struct MemberPath {
  std::filesystem::path file;
  std::string member;
};
MemberPath SplitMember(const std::filesystem::path& path);

struct ArrayInfo {
  std::string name;
  VoxelType type = VoxelType::kUInt8;
  std::vector<int64_t> shape;  // slowest axis first, as C and NumPy have it
  std::string unusable;        // why it cannot be read; "" when it can
};

// The array to read: `member`, else one called image (img, volume, data, ...), else the only one.
// The others are noted. Throws IoError that lists the names when the choice is not clear.
size_t ChooseArray(const std::vector<ArrayInfo>& arrays, const std::string& member,
                   const std::string& file, std::vector<std::string>* notes);

// `data` in C order. Two dimensions are one slice (H, W); three are slices, (D, H, W), or (H, W, D)
// when the sizes say so (spec: two equal sizes are the plane, else the smallest is D); four are
// frames of volumes. Throws IoError for other shapes. For arrays called label, mask, ... the order
// of the labels (Synapse, BTCV-like, ACDC, M&Ms) is told from where the structures lie.
// Without `voxels` (`data` is empty) only what the shape tells.
Volume VolumeFromArray(const ArrayInfo& info, std::vector<std::byte> data, const std::string& file,
                       std::vector<std::string> notes, bool voxels = true);

// What the anatomy tells of the label order, one sentence each; empty when it tells nothing.
std::vector<std::string> LabelOrderNotes(const Volume& labels);

// IEEE 754 half precision to single.
float FloatFromHalf(uint16_t half);

}  // namespace avocet::io
