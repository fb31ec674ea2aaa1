// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace avocet::kernels {

// Half-precision storage: bits only, widened to float32 as they are loaded.
struct WkvBFloat16 {
  uint16_t bits;
};
struct WkvHalf {
  uint16_t bits;
};

// What sums and parameters are held in, for tensors stored as S.
template <typename S>
struct WkvState {
  using Type = float;
};
template <>
struct WkvState<double> {
  using Type = double;
};

// One call of the operator on plain memory. Tensors are contiguous [B, T, C] of S; w, u are [C].
template <typename S>
struct WkvForwardArgs {
  using State = typename WkvState<S>::Type;
  int64_t batch = 0, tokens = 0, channels = 0;
  const State* w = nullptr;
  const State* u = nullptr;
  const S* k = nullptr;
  const S* v = nullptr;
  S* y = nullptr;
  void* workspace = nullptr;    // aligned to 64; WkvCpuKernels tells how many bytes a block needs
  int64_t workspace_block = 0;  // the block at its beginning
  bool kept = false;            // a pass finds in the cache what the one before has read
  int64_t split = 0;
};

template <typename S>
struct WkvBackwardArgs {
  using State = typename WkvState<S>::Type;
  int64_t batch = 0, tokens = 0, channels = 0;
  const State* w = nullptr;
  const State* u = nullptr;
  const S* k = nullptr;
  const S* v = nullptr;
  const S* g = nullptr;  // gradient of y
  S* gk = nullptr;
  S* gv = nullptr;
  double* gw = nullptr;  // [B, C], summed over B by the caller in order
  double* gu = nullptr;  // [B, C]
  void* workspace = nullptr;
  int64_t workspace_block = 0;
  bool kept = false;
  int64_t split = 0;
  bool official_gradient = false;
};

// A block is one batch item times kWkvBlock channels; it owns all that it writes.
constexpr int64_t kWkvBlock = 16;
// Tokens of a segment. Sums inside one are plain float32 recurrences; what crosses its border is
// carried in double, so that rounding does not grow with the number of tokens. Short segments leave
// more of the first cache to the rows, long ones make less of what long rows have much of.
constexpr int64_t kWkvLongRow = 896;
constexpr int64_t kWkvLongestSegment = 64;
inline int64_t WkvSegment(int64_t tokens) {
  return tokens > kWkvLongRow ? kWkvLongestSegment : kWkvLongestSegment / 2;
}

inline int64_t WkvBlocks(int64_t channels) { return (channels + kWkvBlock - 1) / kWkvBlock; }
inline int64_t WkvSegments(int64_t tokens) {
  const int64_t segment = WkvSegment(tokens);
  return (tokens + segment - 1) / segment;
}

// Blocks [first_block, last_block) of one batch item, segments [first_segment, last_segment).
struct WkvTile {
  int64_t first_block, last_block;
  int64_t first_segment, last_segment;
  // The blocks that follow, where the caller takes whole rows of some blocks after the other.
  int64_t next_first_block = 0, next_last_block = 0;
};

// The definition (split 0). The forward pass is Prepare for a block, Totals over all its tiles,
// then Combine for the block, then Outputs over all its tiles; the backward pass adds Adjoints,
// CombineAdjoints and Gradients after Combine, and FinishGradients for the block. How blocks are
// cut into tiles, and who runs them, does not change a bit of the result.
//
// The official arithmetic (split 32 or 64) is Official, one call a block.
template <typename S>
struct WkvForwardKernels {
  void (*prepare)(const WkvForwardArgs<S>&, int64_t block);
  void (*totals)(const WkvForwardArgs<S>&, WkvTile);
  void (*combine)(const WkvForwardArgs<S>&, int64_t block);
  void (*outputs)(const WkvForwardArgs<S>&, WkvTile);
  void (*official)(const WkvForwardArgs<S>&, int64_t block);
};
template <typename S>
struct WkvBackwardKernels {
  void (*prepare)(const WkvBackwardArgs<S>&, int64_t block);
  void (*totals)(const WkvBackwardArgs<S>&, WkvTile);
  void (*combine)(const WkvBackwardArgs<S>&, int64_t block);
  void (*adjoints)(const WkvBackwardArgs<S>&, WkvTile);
  void (*combine_adjoints)(const WkvBackwardArgs<S>&, int64_t block);
  void (*gradients)(const WkvBackwardArgs<S>&, WkvTile);
  void (*finish)(const WkvBackwardArgs<S>&, int64_t block);
  void (*official)(const WkvBackwardArgs<S>&, int64_t block);
};

template <typename S>
struct WkvKernels {
  WkvForwardKernels<S> forward;
  WkvBackwardKernels<S> backward;
};

struct WkvCpuKernels {
  const char* isa;
  WkvKernels<float> f32;
  WkvKernels<double> f64;
  WkvKernels<WkvBFloat16> bf16;
  WkvKernels<WkvHalf> f16;
  // Bytes of workspace that a block needs.
  int64_t (*workspace)(int64_t tokens, bool backward, bool in_double);
};

// Kernels for the instruction set that SelectCpuIsa chooses.
const WkvCpuKernels& SelectWkvCpuKernels();

}  // namespace avocet::kernels
