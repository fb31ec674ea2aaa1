// SPDX-License-Identifier: Apache-2.0
#include "kernels/cuda/wkv_plan.h"

#include <algorithm>

#include "kernels/cuda/wkv_tile.h"

namespace avocet::kernels::cuda {
namespace {

int64_t DivideUp(int64_t a, int64_t b) { return (a + b - 1) / b; }

struct Bounds {
  int planes, threads, length;
};

// The whole row in one tile, with as many threads as possible; segments == 0 where it does not fit.
Plan OneTile(int64_t tokens, int lanes, const Bounds& bounds, int64_t shared_bytes) {
  Plan plan;
  plan.lanes = lanes;
  plan.tiles = 1;
  const int most = std::min(kMaxSegments, bounds.threads / lanes);
  for (int length = kQuad; length <= bounds.length; length += kQuad) {
    if (DivideUp(tokens, length) > most) continue;
    plan.length = length;
    plan.segments = static_cast<int>(DivideUp(tokens, length));
    if (SharedBytes(plan, bounds.planes) <= shared_bytes) return plan;
    break;  // longer segments need no less
  }
  plan.segments = 0;
  return plan;
}

}  // namespace

int64_t SharedBytes(const Plan& plan, int planes) {
  return SharedLayout(plan.lanes, plan.segments, plan.length, planes).bytes;
}

Plan MakePlan(int64_t batch, int64_t tokens, int64_t channels, int element, bool backward,
              const DeviceLimits& limits) {
  const Bounds bounds = backward ? Bounds{kBackwardPlanes, kBackwardThreads, kBackwardLength}
                                 : Bounds{kForwardPlanes, kForwardThreads, kForwardLength};
  const int narrow = 32 / element, wide = 2 * narrow;  // one sector or two of a row
  const auto groups = [&](int lanes) { return batch * DivideUp(channels, lanes); };
  Plan plan = OneTile(tokens, wide, bounds, limits.shared_bytes);
  if (plan.segments == 0 || groups(wide) < 2 * limits.multiprocessors) {
    const Plan other = OneTile(tokens, narrow, bounds, limits.shared_bytes);
    if (other.segments != 0) plan = other;
  }
  if (plan.segments == 0) {
    plan.lanes = backward ? narrow : wide;
    plan.length = bounds.length;
    plan.segments = std::min(kMaxSegments, bounds.threads / plan.lanes) / kFan * kFan;
    while (SharedBytes(plan, bounds.planes) > limits.shared_bytes && plan.segments > kFan) {
      // Fewer segments or shorter ones, whichever keeps more tokens.
      Plan shorter = plan, fewer = plan;
      shorter.length -= kQuad;
      fewer.segments -= kFan;
      plan = shorter.length > kQuad && shorter.TileTokens() >= fewer.TileTokens() ? shorter : fewer;
    }
    // Small tiles where large ones would leave multiprocessors idle.
    const auto tiles = [&] { return groups(plan.lanes) * DivideUp(tokens, plan.TileTokens()); };
    while (plan.length > 2 * kQuad && tiles() < 2 * limits.multiprocessors) plan.length -= kQuad;
    plan.tiles = DivideUp(tokens, plan.TileTokens());
  }
  plan.groups = groups(plan.lanes);
  return plan;
}

}  // namespace avocet::kernels::cuda
