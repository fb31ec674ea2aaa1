// SPDX-License-Identifier: Apache-2.0
// The loops of the depthwise convolution; included once for each instruction set. A task copies its
// 16 channels of one image into a zero-padded buffer that stays in the cache, so that the inner
// loops have neither borders nor type conversions.
#include <algorithm>
#include <cstring>
#include <memory>
#include <vector>

#include "kernels/depthwise_cpu.h"

namespace avocet::kernels::AVOCET_ISA {
namespace {

constexpr int64_t kB = kDepthwiseBlock;
constexpr int kPixels = 8;  // sums in flight; hides the latency of a fused multiply-add
typedef float Vec __attribute__((vector_size(64), aligned(4)));
typedef uint16_t Half __attribute__((vector_size(32), aligned(2)));
typedef uint32_t Word __attribute__((vector_size(64), aligned(4)));

inline Vec Load(const float* p) { return *reinterpret_cast<const Vec*>(p); }
inline void Store(float* p, Vec v) { *reinterpret_cast<Vec*>(p) = v; }

// Buffers of a thread, kept between calls.
float* Scratch(int which, int64_t floats) {
  thread_local std::vector<float> buffers[2];
  auto& buffer = buffers[which];
  if (static_cast<int64_t>(buffer.size()) < floats + 16) buffer.resize(floats + 16);
  void* start = buffer.data();
  size_t space = buffer.size() * sizeof(float);
  return static_cast<float*>(std::align(64, floats * sizeof(float), start, space));
}

inline void ReadPixel(const void* base, int64_t offset, int64_t count, bool bfloat16, float* to) {
  if (bfloat16) {
    const uint16_t* from = static_cast<const uint16_t*>(base) + offset;
    if (count == kB) {
      const Word wide = __builtin_convertvector(*reinterpret_cast<const Half*>(from), Word) << 16;
      std::memcpy(to, &wide, sizeof wide);
      return;
    }
    for (int64_t c = 0; c < count; ++c) {
      const uint32_t wide = uint32_t{from[c]} << 16;
      std::memcpy(to + c, &wide, sizeof wide);
    }
  } else if (count == kB) {
    Store(to, Load(static_cast<const float*>(base) + offset));
  } else {
    std::memcpy(to, static_cast<const float*>(base) + offset, count * sizeof(float));
  }
}

inline void WritePixel(void* base, int64_t offset, int64_t count, bool bfloat16, Vec value) {
  if (bfloat16) {  // round to nearest even; not a number stays one (quiet bit set)
    uint16_t* to = static_cast<uint16_t*>(base) + offset;
    Word bits;
    std::memcpy(&bits, &value, sizeof bits);
    const Word rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
    const Word nan = (bits >> 16) | 0x40;
    const Half half = __builtin_convertvector(value == value ? rounded : nan, Half);
    if (count == kB) {
      *reinterpret_cast<Half*>(to) = half;
    } else {
      std::memcpy(to, &half, count * sizeof(uint16_t));
    }
  } else if (count == kB) {
    Store(static_cast<float*>(base) + offset, value);
  } else {
    std::memcpy(static_cast<float*>(base) + offset, &value, count * sizeof(float));
  }
}

// An image's channels in a buffer of [rows + before + after][cols + before + after][16].
struct Padded {
  float* data;
  int64_t width;  // pixels a row

  const float* At(int64_t row, int64_t col) const { return data + (row * width + col) * kB; }
};

Padded PadCopy(int which, const void* image, int64_t n, int64_t rows, int64_t cols,
               int64_t channels, int64_t first, bool bfloat16, int64_t before, int64_t after) {
  const int64_t width = cols + before + after;
  const int64_t height = rows + before + after;
  const int64_t count = std::min(kB, channels - first);
  Padded padded{Scratch(which, height * width * kB), width};
  if (count < kB) {
    std::memset(padded.data, 0, height * width * kB * sizeof(float));
  } else {
    std::memset(padded.data, 0, before * width * kB * sizeof(float));
    std::memset(padded.data + (before + rows) * width * kB, 0, after * width * kB * sizeof(float));
  }
  for (int64_t r = 0; r < rows; ++r) {
    float* line = padded.data + (r + before) * width * kB;
    std::memset(line, 0, before * kB * sizeof(float));
    int64_t offset = ((n * rows + r) * cols) * channels + first;
    float* to = line + before * kB;
    for (int64_t c = 0; c < cols; ++c, offset += channels, to += kB) {
      ReadPixel(image, offset, count, bfloat16, to);
    }
    std::memset(to, 0, after * kB * sizeof(float));
  }
  return padded;
}

template <int kCount, int kStep>
inline void Accumulate(const float* pixel, Vec weight, Vec* sums) {
#pragma GCC unroll 8
  for (int p = 0; p < kCount; ++p) sums[p] += Load(pixel + p * kStep * kB) * weight;
}

template <int kStride>
void ForwardStrided(const DepthwiseArgs& a, int64_t task) {
  const int64_t n = task / a.Blocks(), first = task % a.Blocks() * kB;
  const int64_t count = std::min(kB, a.channels - first), all = a.Blocks() * kB;
  const Padded in = PadCopy(0, a.x, n, a.in_rows, a.in_cols, a.channels, first, a.bfloat16,
                            a.padding, a.kernel - 1);
  for (int64_t row = 0; row < a.out_rows; ++row) {
    for (int64_t col = 0; col < a.out_cols; col += kPixels) {
      Vec sums[kPixels] = {};
      const int64_t pixels = std::min<int64_t>(kPixels, a.out_cols - col);
      for (int64_t ky = 0; ky < a.kernel; ++ky) {
        const float* line = in.At(row * kStride + ky, col * kStride);
        const float* weight = a.w + ky * a.kernel * all + first;
        if (pixels == kPixels) {
          for (int64_t kx = 0; kx < a.kernel; ++kx, line += kB, weight += all) {
            Accumulate<kPixels, kStride>(line, Load(weight), sums);
          }
        } else {
          for (int64_t kx = 0; kx < a.kernel; ++kx, line += kB, weight += all) {
            for (int64_t p = 0; p < pixels; ++p) {
              sums[p] += Load(line + p * kStride * kB) * Load(weight);
            }
          }
        }
      }
      const int64_t offset = ((n * a.out_rows + row) * a.out_cols + col) * a.channels + first;
      for (int64_t p = 0; p < pixels; ++p) {
        WritePixel(a.y, offset + p * a.channels, count, a.bfloat16, sums[p]);
      }
    }
  }
}

void Forward(const DepthwiseArgs& a, int64_t task) {
  a.stride == 1 ? ForwardStrided<1>(a, task) : ForwardStrided<2>(a, task);
}

inline int64_t Modulo(int64_t value, int64_t by) { return ((value % by) + by) % by; }

// Gradient of the input. Pixel i gets tap j (counted from the far end) from output (i + j - q) / s
// where that is whole; pixels of one residue of i modulo the stride share their taps.
void InputGradient(const DepthwiseArgs& a, int64_t n, int64_t first, const Padded& g,
                   int64_t margin) {
  const int64_t s = a.stride, k = a.kernel, q = k - 1 - a.padding;
  const int64_t count = std::min(kB, a.channels - first), all = a.Blocks() * kB;
  for (int64_t row = 0; row < a.in_rows; ++row) {
    for (int64_t residue = 0; residue < s; ++residue) {
      const int64_t in_residue = (a.in_cols - residue + s - 1) / s;
      for (int64_t t = 0; t < in_residue; t += kPixels) {
        Vec sums[kPixels] = {};
        const int64_t pixels = std::min<int64_t>(kPixels, in_residue - t);
        for (int64_t jy = Modulo(q - row, s); jy < k; jy += s) {
          const float* weights = a.w + (k - 1 - jy) * k * all + first;
          for (int64_t jx = Modulo(q - residue, s); jx < k; jx += s) {
            const float* pixel =
                g.At((row + jy - q) / s + margin, (residue + jx - q) / s + margin + t);
            const Vec weight = Load(weights + (k - 1 - jx) * all);
            if (pixels == kPixels) {
              Accumulate<kPixels, 1>(pixel, weight, sums);
            } else {
              for (int64_t p = 0; p < pixels; ++p) sums[p] += Load(pixel + p * kB) * weight;
            }
          }
        }
        for (int64_t p = 0; p < pixels; ++p) {
          const int64_t col = residue + (t + p) * s;
          WritePixel(a.gx, ((n * a.in_rows + row) * a.in_cols + col) * a.channels + first, count,
                     a.bfloat16, sums[p]);
        }
      }
    }
  }
}

// Adds one image to the gradient of the weights: one row of taps at a time stays in registers.
template <int kKernel, int kStride>
void WeightGradient(const DepthwiseArgs& a, int64_t first, const Padded& in, const Padded& g,
                    int64_t margin) {
  const int64_t all = a.Blocks() * kB;
  for (int64_t ky = 0; ky < kKernel; ++ky) {
    Vec sums[kKernel];
    float* to = a.gw + ky * kKernel * all + first;
#pragma GCC unroll 16
    for (int kx = 0; kx < kKernel; ++kx) sums[kx] = Load(to + kx * all);
    for (int64_t row = 0; row < a.out_rows; ++row) {
      const float* line = in.At(row * kStride + ky, 0);
      const float* gradient = g.At(row + margin, margin);
      for (int64_t col = 0; col < a.out_cols; ++col, line += kStride * kB, gradient += kB) {
        const Vec factor = Load(gradient);
#pragma GCC unroll 16
        for (int kx = 0; kx < kKernel; ++kx) sums[kx] += Load(line + kx * kB) * factor;
      }
    }
#pragma GCC unroll 16
    for (int kx = 0; kx < kKernel; ++kx) Store(to + kx * all, sums[kx]);
  }
}

template <int kKernel>
void BackwardKernel(const DepthwiseArgs& a, int64_t task) {
  const int64_t first = task * kB, all = a.Blocks() * kB;
  const int64_t margin = (a.kernel + a.stride - 1) / a.stride;
  for (int64_t tap = 0; tap < a.kernel * a.kernel; ++tap) Store(a.gw + tap * all + first, Vec{});
  for (int64_t n = 0; n < a.batch; ++n) {
    const Padded in = PadCopy(0, a.x, n, a.in_rows, a.in_cols, a.channels, first, a.bfloat16,
                              a.padding, a.kernel - 1);
    const Padded g = PadCopy(1, a.gy, n, a.out_rows, a.out_cols, a.channels, first, a.bfloat16,
                             margin, margin + 1);
    InputGradient(a, n, first, g, margin);
    if (a.stride == 1) {
      WeightGradient<kKernel, 1>(a, first, in, g, margin);
    } else {
      WeightGradient<kKernel, 2>(a, first, in, g, margin);
    }
  }
}

void Backward(const DepthwiseArgs& a, int64_t task) {
  if (a.kernel == 3) BackwardKernel<3>(a, task);
  if (a.kernel == 5) BackwardKernel<5>(a, task);
  if (a.kernel == 7) BackwardKernel<7>(a, task);
  if (a.kernel == 9) BackwardKernel<9>(a, task);
}

}  // namespace

extern const DepthwiseCpuKernels kDepthwiseKernels;
const DepthwiseCpuKernels kDepthwiseKernels{AVOCET_ISA_NAME, &Forward, &Backward};

}  // namespace avocet::kernels::AVOCET_ISA
