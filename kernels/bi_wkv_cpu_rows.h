// SPDX-License-Identifier: Apache-2.0
// Included through the per-instruction-set kernels only (see bi_wkv_math.h on AVOCET_ISA).
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <new>
#include <type_traits>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

#include "kernels/bi_wkv_cpu.h"
#include "kernels/bi_wkv_math.h"
#include "kernels/simd_exp.h"

namespace avocet::kernels::AVOCET_ISA {

constexpr int64_t kLanes = kWkvBlock;

typedef uint16_t VectorU16 __attribute__((vector_size(kWkvBlock * sizeof(uint16_t))));
typedef uint32_t VectorU32 __attribute__((vector_size(kWkvBlock * sizeof(uint32_t))));

template <typename D, typename T>
AVOCET_HOST_DEVICE Vector<D> Convert(const Vector<T>& x) {
  if constexpr (std::is_same_v<D, T>) {
    return x;
  } else {
    return __builtin_convertvector(x, Vector<D>);
  }
}

// a.num b.num - a.den b.den. The two products nearly cancel, so their rounding errors count.
AVOCET_HOST_DEVICE VectorF32 Difference(const Sums<VectorF32>& a, const Sums<VectorF32>& b) {
#if defined(__AVX512F__)
  const auto an = (__m512)a.num, bn = (__m512)b.num, ad = (__m512)a.den, bd = (__m512)b.den;
  const __m512 product = _mm512_mul_ps(ad, bd);
  const __m512 lost = _mm512_fmsub_ps(ad, bd, product);
  return (VectorF32)_mm512_sub_ps(_mm512_fmsub_ps(an, bn, product), lost);
#elif defined(__AVX2__)
  VectorF32 result;
  for (int half = 0; half < 2; ++half) {
    __m256 an, bn, ad, bd;
    std::memcpy(&an, reinterpret_cast<const char*>(&a.num) + 32 * half, 32);
    std::memcpy(&bn, reinterpret_cast<const char*>(&b.num) + 32 * half, 32);
    std::memcpy(&ad, reinterpret_cast<const char*>(&a.den) + 32 * half, 32);
    std::memcpy(&bd, reinterpret_cast<const char*>(&b.den) + 32 * half, 32);
    const __m256 product = _mm256_mul_ps(ad, bd);
    const __m256 lost = _mm256_fmsub_ps(ad, bd, product);
    const __m256 value = _mm256_sub_ps(_mm256_fmsub_ps(an, bn, product), lost);
    std::memcpy(reinterpret_cast<char*>(&result) + 32 * half, &value, 32);
  }
  return result;
#else
  return Convert<float, double>(Convert<double, float>(a.num) * Convert<double, float>(b.num) -
                                Convert<double, float>(a.den) * Convert<double, float>(b.den));
#endif
}
AVOCET_HOST_DEVICE VectorF64 Difference(const Sums<VectorF64>& a, const Sums<VectorF64>& b) {
  return a.num * b.num - a.den * b.den;
}

// 1 / x for a normal positive x, within two units of the last place.
AVOCET_HOST_DEVICE VectorF32 Reciprocal(const VectorF32& x) {
#if defined(__AVX512F__)
  const auto value = (__m512)x;
  const __m512 r = _mm512_maskz_rcp14_ps(0xffff, value);
  const __m512 error = _mm512_fnmadd_ps(value, r, _mm512_set1_ps(1.0f));
  return (VectorF32)_mm512_fmadd_ps(r, error, r);
#else
  return 1.0f / x;
#endif
}
AVOCET_HOST_DEVICE VectorF64 Reciprocal(const VectorF64& x) { return 1.0 / x; }

// ---------------------------------------------------------------- loads and stores

// Kept in registers between a vector of S in memory and Vector<State>.
AVOCET_HOST_DEVICE VectorF32 Widen(const float* row) {
  VectorF32 value;
  std::memcpy(&value, row, sizeof value);
  return value;
}
AVOCET_HOST_DEVICE VectorF64 Widen(const double* row) {
  VectorF64 value;
  std::memcpy(&value, row, sizeof value);
  return value;
}
AVOCET_HOST_DEVICE VectorF32 Widen(const WkvBFloat16* row) {
  VectorU16 bits;
  std::memcpy(&bits, row, sizeof bits);
  return (VectorF32)(__builtin_convertvector(bits, VectorU32) << 16);
}
AVOCET_HOST_DEVICE void Narrow(const VectorF32& value, float* row) {
  std::memcpy(row, &value, sizeof value);
}
AVOCET_HOST_DEVICE void Narrow(const VectorF64& value, double* row) {
  std::memcpy(row, &value, sizeof value);
}
// Round to nearest, ties to even; NaN stays NaN.
AVOCET_HOST_DEVICE void Narrow(const VectorF32& value, WkvBFloat16* row) {
  const auto bits = (VectorU32)value;
  const VectorU32 rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
  const VectorU32 quiet = (bits >> 16) | 0x40;
  const VectorU32 chosen = value == value ? rounded : quiet;
  const VectorU16 narrow = __builtin_convertvector(chosen, VectorU16);
  std::memcpy(row, &narrow, sizeof narrow);
}

#if defined(__AVX2__)
AVOCET_HOST_DEVICE VectorF32 Widen(const WkvHalf* row) {
  VectorF32 value;
  for (int half = 0; half < 2; ++half) {
    __m128i bits;
    std::memcpy(&bits, row + 8 * half, sizeof bits);
    const __m256 wide = _mm256_cvtph_ps(bits);
    std::memcpy(reinterpret_cast<char*>(&value) + 32 * half, &wide, sizeof wide);
  }
  return value;
}
AVOCET_HOST_DEVICE void Narrow(const VectorF32& value, WkvHalf* row) {
  for (int half = 0; half < 2; ++half) {
    __m256 wide;
    std::memcpy(&wide, reinterpret_cast<const char*>(&value) + 32 * half, sizeof wide);
    const __m128i bits = _mm256_cvtps_ph(wide, _MM_FROUND_TO_NEAREST_INT);
    std::memcpy(row + 8 * half, &bits, sizeof bits);
  }
}
#else
AVOCET_HOST_DEVICE VectorF32 Widen(const WkvHalf* row) {
  VectorU16 bits;
  std::memcpy(&bits, row, sizeof bits);
  const VectorU32 wide = __builtin_convertvector(bits, VectorU32);
  // The exponent is moved by multiplying: this is right for subnormal halves too.
  const VectorU32 sign = (wide & 0x8000) << 16, rest = (wide & 0x7fff) << 13;
  const VectorF32 scaled = (VectorF32)rest * 0x1p112f;
  const VectorU32 special = (VectorU32)scaled | (0xffu << 23);  // infinity and NaN
  const VectorU32 value = rest >= (31u << 23) ? special : (VectorU32)scaled;
  return (VectorF32)(value | sign);
}
AVOCET_HOST_DEVICE void Narrow(const VectorF32& value, WkvHalf* row) {
  for (int64_t c = 0; c < kLanes; ++c) {
    const _Float16 half = static_cast<_Float16>(value[c]);
    std::memcpy(row + c, &half, sizeof half);
  }
}
#endif

// A block of channels of one batch item: rows of kLanes values, `count` of them real.
template <typename S>
struct Rows {
  using T = typename WkvState<S>::Type;
  const S* base;
  int64_t stride;
  int64_t count;

  AVOCET_HOST_DEVICE Vector<T> Load(int64_t token) const {
    const S* row = base + token * stride;
    if (__builtin_expect(count == kLanes, 1)) return Widen(row);
    S padded[kLanes] = {};
    std::memcpy(padded, row, count * sizeof(S));
    return Widen(padded);
  }
};

template <typename S>
AVOCET_HOST_DEVICE void Store(S* base, int64_t stride, int64_t count, int64_t token,
                              const Vector<typename WkvState<S>::Type>& value) {
  S* row = base + token * stride;
  if (__builtin_expect(count == kLanes, 1)) {
    Narrow(value, row);
  } else {
    S padded[kLanes];
    Narrow(value, padded);
    std::memcpy(row, padded, count * sizeof(S));
  }
}

// Where one block lies, and its parameters.
template <typename S, typename Args>
struct Block {
  using T = typename WkvState<S>::Type;
  int64_t index, batch_index, first_channel, count, offset;
  Rows<S> k, v;
  Vector<T> w{}, u{};

  Block(const Args& a, int64_t block) : index(block) {
    const int64_t blocks = WkvBlocks(a.channels);
    batch_index = block / blocks;
    first_channel = block % blocks * kLanes;
    count = std::min<int64_t>(kLanes, a.channels - first_channel);
    offset = batch_index * a.tokens * a.channels + first_channel;
    k = {a.k + offset, a.channels, count};
    v = {a.v + offset, a.channels, count};
    std::memcpy(&w, a.w + first_channel, count * sizeof(T));
    std::memcpy(&u, a.u + first_channel, count * sizeof(T));
  }
};

// Uninitialised memory for `count` values, aligned to a cache line. Not std::vector: its functions,
// compiled for this instruction set, could be the ones the linker keeps for everybody.
template <typename T>
class Scratch {
 public:
  explicit Scratch(int64_t count)
      : memory_(static_cast<T*>(::operator new (count * sizeof(T), std::align_val_t{128}))) {}
  ~Scratch() { ::operator delete (memory_, std::align_val_t{128}); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  T& operator[](int64_t index) const { return memory_[index]; }

 private:
  T* memory_;
};

}  // namespace avocet::kernels::AVOCET_ISA
