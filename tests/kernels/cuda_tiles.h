// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/cuda/wkv_plan.h"

namespace avocet::test {

// One call on [B, T, C]; what the host made of it with the blocks, threads and steps of the GPU.
template <typename S>
struct TiledCall {
  int64_t batch, tokens, channels;
  std::vector<float> w, u;
  std::vector<S> k, v, g;      // g empty: forward only
  std::vector<S> y, gk, gv;    // results
  std::vector<double> gw, gu;  // [C]
  // Threads of a step from the last to the first: a step in which one reads what another writes
  // gives another result.
  bool reversed = false;
};

// wide: packs of 16 bytes, as where the tensors allow it. repeat: every part of the backward and
// forward pass starts from the loads, as in the launches for rows too long for the machine.
template <typename S>
void RunTiled(TiledCall<S>& call, const kernels::cuda::Plan& forward,
              const kernels::cuda::Plan& backward, bool wide, bool repeat);

}  // namespace avocet::test
