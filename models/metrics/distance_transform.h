// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace avocet::metrics {

// Sizes and spacings are ordered (i, j, k), i fastest in memory. A 2-D image has size[2] == 1.
using Size3 = std::array<int64_t, 3>;
using Spacing3 = std::array<double, 3>;

inline int64_t VoxelCount(const Size3& size) { return size[0] * size[1] * size[2]; }

// Squared Euclidean distance from each voxel centre to the nearest voxel centre with a non-zero
// feature, in squared units of `spacing`; infinity when there is no feature. Exact up to the
// rounding of (di s_i)^2 + (dj s_j)^2 + (dk s_k)^2 in double (all integers for unit spacing).
// Linear time: separable lower envelopes of parabolas, P. Felzenszwalb and D. Huttenlocher,
// "Distance Transforms of Sampled Functions", Theory of Computing 8 (2012), and the dimension
// reduction of C. Maurer et al., PAMI 25 (2003). The result does not depend on `threads` (0 = all).
std::vector<double> SquaredDistanceTransform(const uint8_t* features, const Size3& size,
                                             const Spacing3& spacing, int threads = 0);

// Distances to a feature set at chosen voxels only: what surface distances need. Two of the three
// separable passes are made for the whole grid; the third is, for each query, a search over slices
// from near to far that stops as soon as no farther slice can win. Exact like the transform above.
class DistanceQuery {
 public:
  explicit DistanceQuery(int threads = 0);
  ~DistanceQuery();
  DistanceQuery(const DistanceQuery&) = delete;
  DistanceQuery& operator=(const DistanceQuery&) = delete;

  // Prepares for `features`; memory of an earlier call is reused. `features` is not kept.
  void Build(const uint8_t* features, const Size3& size, const Spacing3& spacing);

  // Distances (not squared) at the voxels with the linear indices `voxels`, in their order;
  // infinity when there are no features.
  std::vector<double> DistancesAt(const std::vector<int64_t>& voxels) const;

 private:
  int threads_;
  Size3 size_{0, 0, 0};
  Spacing3 spacing_{1, 1, 1};
  // Squared in-slice distances of the slices that hold a feature, slice_k_[n] in ascending order.
  // A raw array: value-initialising it would cost a pass over memory.
  std::unique_ptr<double[]> planes_;
  size_t capacity_ = 0;
  std::vector<int64_t> slice_k_;
};

}  // namespace avocet::metrics
