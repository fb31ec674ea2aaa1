// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "io/stream.h"
#include "io/volume.h"

namespace avocet::io {

// What readers of several formats do with voxels and grids.

// Swaps every value of `width` bytes in place.
void SwapValues(std::vector<std::byte>& data, size_t width);

// Adds a note for values that are NaN or infinite.
void NoteNonFinite(Volume& volume);

// "its header asks for N bytes, but the file holds M". `claimed` when `held` is not what the file
// holds but the most that it can.
[[noreturn]] void ThrowTooShort(const std::string& name, uint64_t held, uint64_t needed,
                                bool claimed = false);

// Product of the sizes times `width`; throws IoError naming `name` when a size is below 1 or the
// product overflows.
uint64_t CheckedByteCount(const std::vector<int64_t>& sizes, uint64_t width,
                          const std::string& name);

// A grid from its axes: column a is the step from one voxel to the next along index axis a, LPS mm.
// Throws IoError when an axis is zero, not finite, or the axes lie in one plane. A shear is noted.
Geometry GeometryFromAxes(const std::array<int64_t, 3>& size,
                          const std::array<std::array<double, 3>, 3>& axes,
                          const std::array<double, 3>& origin, const std::string& name,
                          std::vector<std::string>* notes);

// A vector normal to two axes, `length` mm long, right-handed; for images of one slice.
std::array<double, 3> NormalAxis(const std::array<double, 3>& a, const std::array<double, 3>& b,
                                 double length);

// The array `data` (first of `sizes` fastest, `width` bytes a value) with its axes in another
// order: new axis i is old axis order[i].
std::vector<std::byte> PermuteAxes(const std::vector<std::byte>& data,
                                   const std::vector<int64_t>& sizes, const std::vector<int>& order,
                                   size_t width);

// Where and how a header's voxels lie in its files.
struct VoxelFiles {
  std::vector<std::filesystem::path> files;  // each holds an equal part, in order; empty: attached
  Packing packing = Packing::kNone;
  int64_t line_skip = 0;  // lines before the (packed) voxels
  int64_t byte_skip = 0;  // bytes before them, once unpacked; -1: they are the last in the file
  uint64_t bytes = 0;     // of all voxels
};

// The voxels of `where`, from `attached` (behind its header) when there are no files. Throws
// IoError when they are cut off, damaged, or cannot be there; notes what was left over.
std::vector<std::byte> ReadVoxelFiles(const VoxelFiles& where, FileStream& attached,
                                      const std::string& name, std::vector<std::string>* notes);

// As many numbers of `type` as text, separated by white space or commas. Throws IoError when there
// are fewer or one does not fit the type.
std::vector<std::byte> ReadTextVoxels(Stream& text, VoxelType type, uint64_t count,
                                      const std::string& name);

// Two hexadecimal digits a byte, white space between them ignored.
std::vector<std::byte> ReadHexVoxels(Stream& text, uint64_t bytes, const std::string& name);

// `volume` with its scaling carried out, for formats that have none: integers when every real value
// is one that fits an integer type of 32 bits or less, otherwise float32 (float64 for wide types).
Volume WithRealValues(const Volume& volume);

}  // namespace avocet::io
