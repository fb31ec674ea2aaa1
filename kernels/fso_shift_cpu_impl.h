// SPDX-License-Identifier: Apache-2.0
// Included by one .cc for each instruction set, with AVOCET_ISA set to its namespace. No include
// guard on purpose: exactly one inclusion a translation unit.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <type_traits>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

#include "kernels/fso_shift_cpu.h"
#include "kernels/fso_shift_math.h"
#include "kernels/simd_exp.h"

namespace avocet::kernels::AVOCET_ISA {
namespace {

constexpr int64_t kL = kFsoLanes;
static_assert(kFsoLanes == kWkvBlock, "the vector types are those of simd_exp.h");

template <typename T>
inline Vector<T> LoadVector(const T* from) {
  Vector<T> value;
  std::memcpy(&value, from, sizeof value);
  return value;
}
template <typename T>
inline Vector<T> LoadPart(const T* from, int64_t count) {
  Vector<T> value{};
  if (count >= kL) return LoadVector(from);
  std::memcpy(&value, from, count * sizeof(T));
  return value;
}
template <typename T>
inline void StorePart(T* to, const Vector<T>& value, int64_t count) {
  if (count >= kL) {
    std::memcpy(to, &value, sizeof value);
  } else {
    std::memcpy(to, &value, count * sizeof(T));
  }
}

template <typename T>
inline T Sum(const Vector<T>& value) {
#if defined(__AVX512F__)
  Vector<T> sum = value + __builtin_shufflevector(value, value, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1,
                                                  2, 3, 4, 5, 6, 7);
  sum += __builtin_shufflevector(sum, sum, 4, 5, 6, 7, 0, 1, 2, 3, 4, 5, 6, 7, 0, 1, 2, 3);
  sum += __builtin_shufflevector(sum, sum, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1);
  return sum[0] + sum[1];
#else
  T part[kL];
  std::memcpy(part, &value, sizeof value);
  T half[kL / 2];
  for (int i = 0; i < kL / 2; ++i) half[i] = part[i] + part[i + kL / 2];
  return ((half[0] + half[4]) + (half[2] + half[6])) + ((half[1] + half[5]) + (half[3] + half[7]));
#endif
}

// One token into the padded grid, normalised on the way where the grid asks for it.
template <typename T>
inline void LoadToken(const FsoGrid<T>& g, const T* x, T* z) {
  const int64_t c = g.channels, whole = c / kL * kL, tail = c - whole;
  if (g.norm_weight == nullptr) {
    std::memcpy(z, x, c * sizeof(T));
    if (tail > 0) std::memset(z + c, 0, (g.Lanes() - c) * sizeof(T));
    return;
  }
  Vector<T> total{};
  for (int64_t v = 0; v < whole; v += kL) total += LoadVector(x + v);
  if (tail > 0) total += LoadPart(x + whole, tail);
  const T mean = Sum<T>(total) / static_cast<T>(c);
  Vector<T> squares{};
  for (int64_t v = 0; v < whole; v += kL) {
    const Vector<T> d = LoadVector(x + v) - mean;
    squares += d * d;
  }
  if (tail > 0) {
    Vector<T> d = LoadPart(x + whole, tail) - mean;
    for (int64_t i = tail; i < kL; ++i) d[i] = 0;  // lanes beyond the last channel
    squares += d * d;
  }
  const T scale = 1 / std::sqrt(Sum<T>(squares) / static_cast<T>(c) + static_cast<T>(g.eps));
  const auto normalise = [&](const Vector<T>& value, int64_t v) {
    const Vector<T> n =
        (value - mean) * scale * LoadVector(g.norm_weight + v) + LoadVector(g.norm_bias + v);
    std::memcpy(z + v, &n, sizeof n);
  };
  for (int64_t v = 0; v < whole; v += kL) normalise(LoadVector(x + v), v);
  if (tail > 0) normalise(LoadPart(x + whole, tail), whole);
}

template <typename T>
void LoadBlockRow(const FsoGrid<T>& g, int64_t i) {
  const int64_t lanes = g.Lanes(), width = g.PaddedCols(), block_width = g.PaddedBlockCols();
  const int64_t side = kFsoBorder * lanes, blocks = g.cols / 2;
  const auto zero = [](T* from, int64_t count) { std::memset(from, 0, count * sizeof(T)); };
  if (i == 0) {
    zero(g.z, kFsoBorder * width * lanes);
    zero(g.m, kFsoBorder * block_width * lanes);
  }
  if (i == g.rows / 2 - 1) {
    zero(g.z + (g.rows + kFsoBorder) * width * lanes, kFsoBorder * width * lanes);
    zero(g.m + (g.rows / 2 + kFsoBorder) * block_width * lanes, kFsoBorder * block_width * lanes);
  }
  for (int64_t row = 2 * i; row < 2 * i + 2; ++row) {
    T* line = g.z + (row + kFsoBorder) * width * lanes;
    zero(line, side);
    zero(line + side + g.cols * lanes, side);
    const T* x = g.x + row * g.cols * g.channels;
    for (int64_t col = 0; col < g.cols; ++col) {
      LoadToken(g, x + col * g.channels, line + side + col * lanes);
    }
  }
  T* means = g.m + (i + kFsoBorder) * block_width * lanes;
  zero(means, side);
  zero(means + side + blocks * lanes, side);
  const T* top = g.z + (2 * i + kFsoBorder) * width * lanes + side;
  const T* bottom = top + width * lanes;
  for (int64_t j = 0; j < blocks; ++j) {
    for (int64_t c = 0; c < lanes; c += kL) {
      const int64_t left = 2 * j * lanes + c, right = left + lanes;
      const Vector<T> mean = ((LoadVector(top + left) + LoadVector(top + right)) +
                              (LoadVector(bottom + left) + LoadVector(bottom + right))) *
                             static_cast<T>(0.25);
      std::memcpy(means + side + j * lanes + c, &mean, sizeof mean);
    }
  }
}

// value |= the lanes of a run, zero elsewhere.
template <typename T>
inline void Collect(const T* from, const FsoRun& run, Vector<T>& value) {
#if defined(__AVX512F__)
  if constexpr (std::is_same_v<T, float>) {
    __m512 lanes;
    std::memcpy(&lanes, &value, sizeof lanes);
    lanes = _mm512_mask_loadu_ps(lanes, static_cast<__mmask16>(run.mask), from);
    std::memcpy(&value, &lanes, sizeof lanes);
    return;
  }
#elif defined(__AVX2__)
  if constexpr (std::is_same_v<T, float>) {
    const __m256i bits = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
    const auto half = [&](int which) {
      const __m256i mask = _mm256_set1_epi32(static_cast<int>(run.mask >> (8 * which)));
      const __m256i inside = _mm256_cmpeq_epi32(_mm256_and_si256(mask, bits), bits);
      __m256 lanes;
      char* at = reinterpret_cast<char*>(&value) + which * sizeof lanes;
      std::memcpy(&lanes, at, sizeof lanes);
      lanes = _mm256_or_ps(lanes, _mm256_maskload_ps(from + 8 * which, inside));
      std::memcpy(at, &lanes, sizeof lanes);
    };
    if (run.mask & 0xff) half(0);
    if (run.mask >> 8) half(1);
    return;
  }
#endif
  for (int32_t i = run.first; i < run.first + run.count; ++i) value[i] = from[i];
}

// `kPixels` neighbours of one block (1 or 2), which share its means.
template <int kMixes, int kPixels, typename T>
inline void MixPixels(const FsoGrid<T>& g, const FsoMixArgs<T>& a, int64_t row, int64_t col,
                      int64_t t) {
  const int64_t lanes = g.Lanes(), c = g.channels;
  const T* z = g.z + ((row + kFsoBorder) * g.PaddedCols() + col + kFsoBorder) * lanes;
  const T* m = g.m + ((row / 2 + kFsoBorder) * g.PaddedBlockCols() + col / 2 + kFsoBorder) * lanes;
  const FsoRun* run = g.runs.data();
  const int32_t* last = g.first_run.data() + 1;
  for (int64_t v = 0; v < lanes; v += kL, ++last) {
    Vector<T> s[kPixels] = {}, ms{};
    for (const FsoRun* end = g.runs.data() + *last; run != end; ++run) {
      Collect(m + v + run->block_shift, *run, ms);
      for (int p = 0; p < kPixels; ++p) Collect(z + p * lanes + v + run->shift, *run, s[p]);
    }
    const Vector<T> mean = LoadVector(m + v);
    for (int p = 0; p < kPixels; ++p) {
      const Vector<T> x = LoadVector(z + p * lanes + v);
      const Vector<T> d = FsoDifference(x, s[p], ms, mean);
      if (a.difference != nullptr) StorePart<T>(a.difference + (t + p) * c + v, d, c - v);
      for (int j = 0; j < kMixes; ++j) {
        StorePart<T>(a.out[j] + (t + p) * c + v, x + d * LoadVector(a.keep[j] + v), c - v);
      }
    }
  }
}

template <int kMixes, typename T>
void MixTokens(const FsoGrid<T>& g, const FsoMixArgs<T>& a) {
  int64_t row = a.first / g.cols, col = a.first % g.cols;
  for (int64_t t = 0; t < a.count;) {
    const bool pair = col % 2 == 0 && t + 1 < a.count;  // even grids: the pair is in one row
    if (pair) {
      MixPixels<kMixes, 2>(g, a, row, col, t);
    } else {
      MixPixels<kMixes, 1>(g, a, row, col, t);
    }
    t += pair ? 2 : 1;
    col += pair ? 2 : 1;
    if (col == g.cols) {
      col = 0;
      ++row;
    }
  }
}

template <typename T>
void Mix(const FsoGrid<T>& g, const FsoMixArgs<T>& a) {
  if (a.mixes == 1) MixTokens<1>(g, a);
  if (a.mixes == 2) MixTokens<2>(g, a);
  if (a.mixes == 3) MixTokens<3>(g, a);
}

// Pointwise steps are plain loops: the compiler vectorises them to the width of the instruction
// set, where it would split comparisons of 16-lane vectors into single elements.
void SquaredRelu(float* x, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    const float positive = x[i] < 0 ? 0.0f : x[i];  // NaN stays
    x[i] = positive * positive;
  }
}

// 1 / (1 + e^{-r}) with the exponential of simd_exp.h.
inline float Sigmoid(float r) {
  constexpr float kMagic = 12582912.0f;
  const float size = r < 0 ? -r : r;
  const float x = size > 87.0f ? -87.0f : -size;
  const float shifted = x * 1.44269504088896341f + kMagic;
  const float n = shifted - kMagic;
  const float d = (x - n * 0.693145751953125f) - n * 1.42860682030941723e-6f;
  float p = d * (1.0f / 5040) + (1.0f / 720);
  p = p * d + (1.0f / 120);
  p = p * d + (1.0f / 24);
  p = p * d + (1.0f / 6);
  p = p * d + 0.5f;
  p = p * (d * d) + d;
  p = p + 1.0f;
  int32_t bits, exponent;
  std::memcpy(&bits, &p, sizeof bits);
  std::memcpy(&exponent, &shifted, sizeof exponent);
  bits += static_cast<int32_t>(static_cast<uint32_t>(exponent) << 23);
  float e;
  std::memcpy(&e, &bits, sizeof e);
  const float above = r < 0 ? e : 1.0f;
  return above / (1.0f + e);
}

void Gate(const float* __restrict r, const float* __restrict y, float* __restrict out, int64_t n) {
  for (int64_t i = 0; i < n; ++i) out[i] = Sigmoid(r[i]) * y[i];
}

void GateAdd(const float* __restrict r, const float* __restrict y, float* __restrict x, int64_t n) {
  for (int64_t i = 0; i < n; ++i) x[i] += Sigmoid(r[i]) * y[i];
}

}  // namespace

extern const FsoCpuKernels kFsoKernels;
const FsoCpuKernels kFsoKernels{AVOCET_ISA_NAME,
                                &LoadBlockRow<float>,
                                &LoadBlockRow<double>,
                                &Mix<float>,
                                &Mix<double>,
                                &SquaredRelu,
                                &Gate,
                                &GateAdd};

}  // namespace avocet::kernels::AVOCET_ISA
