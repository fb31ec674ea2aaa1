// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>

namespace avocet::test {

// An MSD folder: `count` images of 20 x 24 x 6 voxels with a disc, cases c0, c1, ... The label maps
// have `classes` values: background, the disc, and parts of it. `seed` changes the images' texture.
void WriteDiscs(const std::filesystem::path& folder, int count, int classes, int seed = 0);

// Registered pairs a, b, c of a head: source/ with noise, target/ without.
void WriteHeadPairs(const std::filesystem::path& folder, uint32_t seed = 1);

}  // namespace avocet::test
