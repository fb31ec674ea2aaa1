// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <vector>

namespace avocet::preprocess {

// Otsu's threshold (1979) of the finite values: the one of 256 equal bins between the lowest value
// and the 99.5th percentile that separates two classes with the largest variance between them. NaN
// when all values are equal or none is finite.
double OtsuThreshold(const float* values, int64_t count);

// A head in air: voxels above half of Otsu's threshold (which alone would cut off grey matter and
// CSF), opened by one voxel, the largest 6-connected component, and its holes filled in 3-D and in
// the slices of each of the three planes. 1 inside, 0 outside; i fastest. All 0 when the values are
// constant. Simple on purpose: it tells head from air, not brain from skull.
std::vector<uint8_t> HeadMask(const float* values, const std::array<int64_t, 3>& size);

}  // namespace avocet::preprocess
