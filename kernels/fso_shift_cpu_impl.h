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
  T part[kL];
  std::memcpy(part, &value, sizeof value);
  for (int64_t step = kL / 2; step > 0; step /= 2) {
    for (int64_t i = 0; i < step; ++i) part[i] += part[i + step];
  }
  return part[0];
}

// One token into the padded grid, normalised on the way where the grid asks for it.
template <typename T>
inline void LoadToken(const FsoGrid<T>& g, const T* x, T* z) {
  const int64_t c = g.channels, vectors = g.Lanes() / kL;
  if (g.norm_weight == nullptr) {
    for (int64_t v = 0; v < vectors; ++v) {
      StorePart<T>(z + v * kL, LoadPart(x + v * kL, c - v * kL), kL);
    }
    return;
  }
  Vector<T> total{};
  for (int64_t v = 0; v < vectors; ++v) total += LoadPart(x + v * kL, c - v * kL);
  const T mean = Sum<T>(total) / static_cast<T>(c);
  Vector<T> squares{};
  for (int64_t v = 0; v < vectors; ++v) {
    Vector<T> d = LoadPart(x + v * kL, c - v * kL) - mean;
    for (int64_t i = c - v * kL; i < kL; ++i) d[i] = 0;  // lanes beyond the last channel
    squares += d * d;
  }
  const T scale = 1 / std::sqrt(Sum<T>(squares) / static_cast<T>(c) + static_cast<T>(g.eps));
  for (int64_t v = 0; v < vectors; ++v) {
    const Vector<T> d = (LoadPart(x + v * kL, c - v * kL) - mean) * scale;
    const Vector<T> n = d * LoadVector(g.norm_weight + v * kL) + LoadVector(g.norm_bias + v * kL);
    std::memcpy(z + v * kL, &n, sizeof n);
  }
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

// The values that the runs of one vector point at, zero in lanes without a run.
template <typename T, typename Shift>
inline Vector<T> Collect(const T* from, const FsoRun* run, const FsoRun* end, Shift shift) {
#if defined(__AVX512F__)
  if constexpr (std::is_same_v<T, float>) {
    __m512 value = _mm512_setzero_ps();
    for (; run != end; ++run) {
      const __mmask16 mask = static_cast<__mmask16>(((1u << run->count) - 1) << run->first);
      value = _mm512_mask_loadu_ps(value, mask, from + shift(*run));
    }
    Vector<T> result;
    std::memcpy(&result, &value, sizeof result);
    return result;
  }
#elif defined(__AVX2__)
  if constexpr (std::is_same_v<T, float>) {
    const __m256i low = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    const __m256i high = _mm256_setr_epi32(8, 9, 10, 11, 12, 13, 14, 15);
    __m256 a = _mm256_setzero_ps(), b = a;
    for (; run != end; ++run) {
      const __m256i before = _mm256_set1_epi32(run->first - 1);
      const __m256i behind = _mm256_set1_epi32(run->first + run->count);
      const auto inside = [&](__m256i lane) {
        return _mm256_and_si256(_mm256_cmpgt_epi32(lane, before), _mm256_cmpgt_epi32(behind, lane));
      };
      const float* source = from + shift(*run);
      if (run->first < 8) a = _mm256_or_ps(a, _mm256_maskload_ps(source, inside(low)));
      if (run->first + run->count > 8) {
        b = _mm256_or_ps(b, _mm256_maskload_ps(source + 8, inside(high)));
      }
    }
    Vector<T> result;
    std::memcpy(&result, &a, sizeof a);
    std::memcpy(reinterpret_cast<char*>(&result) + sizeof a, &b, sizeof b);
    return result;
  }
#endif
  T value[kL] = {};
  for (; run != end; ++run) {
    const T* source = from + shift(*run);
    for (int32_t i = run->first; i < run->first + run->count; ++i) value[i] = source[i];
  }
  return LoadVector(value);
}

template <int kMixes, typename T>
void MixTokens(const FsoGrid<T>& g, const FsoMixArgs<T>& a) {
  const int64_t lanes = g.Lanes(), vectors = lanes / kL;
  int64_t row = a.first / g.cols, col = a.first % g.cols;
  for (int64_t t = 0; t < a.count; ++t) {
    const T* z = g.z + ((row + kFsoBorder) * g.PaddedCols() + col + kFsoBorder) * lanes;
    const T* m =
        g.m + ((row / 2 + kFsoBorder) * g.PaddedBlockCols() + col / 2 + kFsoBorder) * lanes;
    for (int64_t v = 0; v < vectors; ++v) {
      const FsoRun* run = g.runs.data() + g.first_run[v];
      const FsoRun* end = g.runs.data() + g.first_run[v + 1];
      const Vector<T> x = LoadVector(z + v * kL);
      const Vector<T> s = Collect(z + v * kL, run, end, [](const FsoRun& r) { return r.shift; });
      const Vector<T> ms =
          Collect(m + v * kL, run, end, [](const FsoRun& r) { return r.block_shift; });
      const Vector<T> d = FsoDifference(x, s, ms, LoadVector(m + v * kL));
      for (int j = 0; j < kMixes; ++j) {
        StorePart<T>(a.out[j] + t * g.channels + v * kL, x + d * LoadVector(a.keep[j] + v * kL),
                     g.channels - v * kL);
      }
    }
    if (++col == g.cols) {
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

template <typename Step>
inline void ForVectors(int64_t n, Step step) {
  int64_t i = 0;
  for (; i + kL <= n; i += kL) step(i, kL);
  if (i < n) step(i, n - i);
}

void SquaredRelu(float* x, int64_t n) {
  ForVectors(n, [&](int64_t i, int64_t count) {
    const VectorF32 value = LoadPart(x + i, count);
    const VectorF32 positive = value < 0 ? VectorF32{} : value;  // NaN stays
    StorePart<float>(x + i, positive * positive, count);
  });
}

inline VectorF32 Sigmoid(VectorF32 r) {
  const VectorF32 e = Exp(r > 0 ? -r : r);
  return (r > 0 ? VectorF32{} + 1 : e) / (1 + e);
}

void Gate(const float* r, const float* y, float* out, int64_t n) {
  ForVectors(n, [&](int64_t i, int64_t count) {
    StorePart<float>(out + i, Sigmoid(LoadPart(r + i, count)) * LoadPart(y + i, count), count);
  });
}

void GateAdd(const float* r, const float* y, float* x, int64_t n) {
  ForVectors(n, [&](int64_t i, int64_t count) {
    const VectorF32 gated = Sigmoid(LoadPart(r + i, count)) * LoadPart(y + i, count);
    StorePart<float>(x + i, LoadPart(x + i, count) + gated, count);
  });
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
