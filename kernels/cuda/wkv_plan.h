// SPDX-License-Identifier: Apache-2.0
#pragma once

// How a call of the exact Bi-WKV is cut into blocks.
//
// A block owns a tile: `lanes` neighbouring channels times segments * length tokens of one batch
// item. A thread owns one segment: `length` tokens of one channel. All tiles of the same channels
// and batch item are a group; a group of one tile needs nothing from other blocks.
//
// Why this shape (H100: 132 multiprocessors, 227 KB of shared memory each, 3.0 TB/s, that is
// 13 bytes a cycle and multiprocessor; H200 4.3 TB/s, 19 bytes):
// * A tile's k and v stay in shared memory (float32) between the sums and the outputs, and p and q
//   beside them in the backward pass: device memory sees each input and output once, 3 tensors
//   forward and 5 backward. Reading twice would be 5 and 8; the second reading finds the L2
//   (50 MB) full at the shapes that count, [24,784,576] (k and v: 83 MB) and [1,65536,96] (50 MB).
// * T <= 784 fits one tile of 16 channels forward (100 KB) and of 8 channels backward (100 KB), so
//   two blocks share a multiprocessor: one loads while the other computes. Then nothing is
//   exchanged between blocks. A row of 8 float32 (16 halves) is one 32-byte sector.
// * Longer rows: 768 tokens a tile, 86 tiles a group at T = 65536. All tiles of a group are on the
//   machine at once (264 places) and exchange 32 bytes a channel through the L2; each block sums up
//   what the others publish, a few tens of kilobytes. Blocks draw their tiles in order, so the
//   places left over load the next group meanwhile. That needs a cooperative launch: without one,
//   two streams could each hold half of what the other waits for.
// * A group with more tiles than places (T of some 200,000 and up) is run as several launches of
// the
//   same steps that load the tile anew: 5 tensors forward, 10 backward. The result is the same
//   bits.
// * Arithmetic: about 60 instructions an element forward, 110 backward, one exponential and one
//   reciprocal each; the multiprocessor issues 128 lanes a cycle, so at full bandwidth half of its
//   slots are in use (H100).
//
// None of these figures was measured on a GPU: they are derived from data sheets and the compiler's
// register report.

#include <cstdint>

namespace avocet::kernels::cuda {

constexpr int kQuad = 4;  // tokens whose sums are held in registers at once
constexpr int kFan = 8;   // segments that are summed up before they are combined further
constexpr int kMaxSegments = kFan * kFan;
constexpr int kForwardLength = 32;  // tokens a thread, at most
constexpr int kBackwardLength = 16;
constexpr int kForwardPlanes = 2;  // values kept on chip for a token
constexpr int kBackwardPlanes = 4;
constexpr int kForwardThreads = 512;
constexpr int kBackwardThreads = 448;

struct Plan {
  int lanes = 0;      // channels of a block
  int segments = 0;   // of a channel in a block; a multiple of kFan where tiles > 1
  int length = 0;     // tokens of a segment, a multiple of kQuad
  int64_t tiles = 0;  // of a group
  int64_t groups = 0;

  int Threads() const { return lanes * segments; }
  int64_t TileTokens() const { return static_cast<int64_t>(segments) * length; }
};

// What decides about a plan beside the shape.
struct DeviceLimits {
  int multiprocessors = 132;
  int64_t shared_bytes = 113 * 1024 - 64;  // for a block, so that two share a multiprocessor
};

// Bytes of dynamic shared memory that a block of this plan needs.
int64_t SharedBytes(const Plan& plan, int planes);

// backward: four values a token are kept instead of two. element: bytes of a stored value.
Plan MakePlan(int64_t batch, int64_t tokens, int64_t channels, int element, bool backward,
              const DeviceLimits& limits);

}  // namespace avocet::kernels::cuda
