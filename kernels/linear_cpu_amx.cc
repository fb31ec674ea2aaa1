// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstring>

#include "kernels/linear_cpu.h"

#if defined(__AMX_BF16__) && defined(__linux__)
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace avocet::kernels {

#if defined(__AMX_BF16__) && defined(__linux__)
namespace {

constexpr int64_t kTileRows = 16;   // of x and of y
constexpr int64_t kTileDepth = 32;  // bfloat16 values in a row of a tile

// The kernel hands out the tile registers to a process that asks.
bool AskForTiles() {
  constexpr int kRequestPermission = 0x1023;  // ARCH_REQ_XCOMP_PERM
  constexpr int kTileData = 18;               // XFEATURE_XTILEDATA
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

struct alignas(64) TileConfig {
  uint8_t palette = 1, start_row = 0, reserved[14] = {};
  uint16_t bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};

// Rows of x as bfloat16, [rows to a multiple of 32][depth to a multiple of 32], zeros beyond.
const uint16_t* Rounded(const LinearArgs& a, int64_t in, int64_t depth) {
  const int64_t rows = (a.rows + 2 * kTileRows - 1) / (2 * kTileRows) * 2 * kTileRows;
  auto* to = reinterpret_cast<uint16_t*>(ThreadScratch(0, rows * depth / 2));
  for (int64_t r = 0; r < a.rows; ++r) {
    const float* x = a.x + r * a.x_stride;
    uint16_t* line = to + r * depth;
    for (int64_t k = 0; k < depth; k += 16) {
      const int64_t left = in - k;
      const __mmask16 mask = left >= 16  ? 0xffff
                             : left <= 0 ? 0
                                         : static_cast<__mmask16>((1 << left) - 1);
      const __m256bh half = _mm512_cvtneps_pbh(_mm512_maskz_loadu_ps(mask, x + k));
      std::memcpy(line + k, &half, sizeof half);
    }
  }
  std::memset(to + a.rows * depth, 0, (rows - a.rows) * depth * sizeof(uint16_t));
  return to;
}

void Finish(const float* sums, int64_t rows, int64_t row, int64_t first, const PackedLinear& linear,
            const LinearArgs& a) {
  const __m512 bias = _mm512_loadu_ps(linear.bias() + first), zero = _mm512_setzero_ps();
  for (int64_t r = 0; r < rows; ++r) {
    __m512 value = _mm512_add_ps(_mm512_loadu_ps(sums + r * 16), bias);
    if (a.activation != LinearActivation::kNone) {
      value = _mm512_mask_mov_ps(value, _mm512_cmp_ps_mask(value, zero, _CMP_LT_OQ), zero);
      if (a.activation == LinearActivation::kSquaredRelu) value = _mm512_mul_ps(value, value);
    }
    if (a.add != nullptr) {
      value = _mm512_add_ps(value, _mm512_loadu_ps(a.add + (row + r) * a.add_stride + first));
    }
    _mm512_storeu_ps(a.y + (row + r) * a.y_stride + first, value);
  }
}

}  // namespace

bool HasAmx() {
  static const bool has =
      __builtin_cpu_supports("avx512bf16") && __builtin_cpu_supports("amx-bf16") && AskForTiles();
  return has;
}

void RunLinearAmx(const PackedLinear& linear, const LinearArgs& a) {
  const int64_t depth = (linear.in() + kTileDepth - 1) / kTileDepth * kTileDepth;
  const uint16_t* x = Rounded(a, linear.in(), depth);
  const int64_t vectors = linear.padded_out() / 16, panel = depth * 16;
  const TileConfig config;
  _tile_loadconfig(&config);
  alignas(64) float sums[4][kTileRows * 16];
  for (int64_t v = 0; v < vectors; v += 2) {
    const uint16_t* left = linear.half() + v * panel;
    const bool two = v + 1 < vectors;
    const uint16_t* right = two ? left + panel : left;
    for (int64_t row = 0; row < a.rows; row += 2 * kTileRows) {
      const uint16_t* upper = x + row * depth;
      const uint16_t* lower = upper + kTileRows * depth;
      _tile_zero(0);
      _tile_zero(1);
      _tile_zero(2);
      _tile_zero(3);
      for (int64_t k = 0; k < depth; k += kTileDepth) {
        _tile_loadd(4, upper + k, depth * 2);
        _tile_loadd(5, lower + k, depth * 2);
        _tile_loadd(6, left + k * 16, 64);
        _tile_loadd(7, right + k * 16, 64);
        _tile_dpbf16ps(0, 4, 6);
        _tile_dpbf16ps(1, 4, 7);
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
      }
      _tile_stored(0, sums[0], 64);
      _tile_stored(1, sums[1], 64);
      _tile_stored(2, sums[2], 64);
      _tile_stored(3, sums[3], 64);
      for (int part = 0; part < 4; ++part) {
        const int64_t start = row + part / 2 * kTileRows;
        if (start >= a.rows || (part % 2 == 1 && !two)) continue;
        Finish(sums[part], std::min(kTileRows, a.rows - start), start, (v + part % 2) * 16, linear,
               a);
      }
    }
  }
  _tile_release();
}

#else

bool HasAmx() { return false; }
void RunLinearAmx(const PackedLinear&, const LinearArgs&) {}

#endif

}  // namespace avocet::kernels
