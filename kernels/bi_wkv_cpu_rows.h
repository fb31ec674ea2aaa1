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

#include "kernels/bi_wkv_cpu.h"
#include "kernels/bi_wkv_math.h"
#include "kernels/simd_pack.h"

namespace avocet::kernels::AVOCET_ISA {

constexpr int64_t kLanes = kWkvBlock;

template <typename T>
using Vector = Pack<T, kWkvBlock>;

// a.num b.num - a.den b.den. The two products nearly cancel, so their rounding errors count.
template <typename T, int n>
AVOCET_HOST_DEVICE Pack<T, n> Difference(const Sums<Pack<T, n>>& a, const Sums<Pack<T, n>>& b) {
  if constexpr (std::is_same_v<T, double>) {
    return a.num * b.num - a.den * b.den;
  } else {
#if defined(__AVX2__)
    const Pack<T, n> product = a.den * b.den;
    const Pack<T, n> lost = MulAdd(a.den, b.den, -product);
    return MulAdd(a.num, b.num, -product) - lost;
#else
    return Convert<float>(Convert<double>(a.num) * Convert<double>(b.num) -
                          Convert<double>(a.den) * Convert<double>(b.den));
#endif
  }
}

// ---------------------------------------------------------------- loads and stores

// Half-precision values in one register of float32.
template <int n>
struct Registers {
  using F32 = typename Pack<float, n>::Native;
  typedef uint16_t U16 __attribute__((vector_size(n * sizeof(uint16_t))));
  typedef uint32_t U32 __attribute__((vector_size(n * sizeof(uint32_t))));
};
template <int n>
AVOCET_HOST_DEVICE auto WidenNative(const WkvBFloat16* row) {
  using R = Registers<n>;
  typename R::U16 bits;
  std::memcpy(&bits, row, sizeof bits);
  return (typename R::F32)(__builtin_convertvector(bits, typename R::U32) << 16);
}
// Round to nearest, ties to even; NaN stays NaN.
template <int n>
AVOCET_HOST_DEVICE void NarrowNative(const typename Registers<n>::F32& value, WkvBFloat16* row) {
  using R = Registers<n>;
  const auto bits = (typename R::U32)value;
  const typename R::U32 rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
  const typename R::U32 quiet = (bits >> 16) | 0x40;
  const typename R::U32 chosen = value == value ? rounded : quiet;
  const auto narrow = __builtin_convertvector(chosen, typename R::U16);
  std::memcpy(row, &narrow, sizeof narrow);
}
#if !defined(__AVX2__)
// IEEE 754 binary16 and back, to nearest, ties to even, where the processor cannot.
inline float FloatOf(WkvHalf half) {
  const uint32_t sign = (half.bits & 0x8000u) << 16, rest = half.bits & 0x7fffu;
  uint32_t bits = rest << 13;
  float value;
  std::memcpy(&value, &bits, sizeof value);
  value *= 0x1p112f;  // moves the exponent, of subnormal halves too
  std::memcpy(&bits, &value, sizeof bits);
  if (rest >= 0x7c00) bits |= 0x7f800000;  // infinity, NaN
  bits |= sign;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}
inline WkvHalf HalfOf(float value) { return {HalfBits(value)}; }
#endif
template <int n>
AVOCET_HOST_DEVICE auto WidenNative(const WkvHalf* row) {
  using F32 = typename Registers<n>::F32;
#if defined(__AVX512F__)
  __m256i bits;
  std::memcpy(&bits, row, sizeof bits);
  return (F32)_mm512_maskz_cvtph_ps(0xffff, bits);
#elif defined(__AVX2__)
  __m128i bits;
  std::memcpy(&bits, row, sizeof bits);
  return (F32)_mm256_cvtph_ps(bits);
#else
  F32 value;
  for (int c = 0; c < n; ++c) value[c] = FloatOf(row[c]);
  return value;
#endif
}
template <int n>
AVOCET_HOST_DEVICE void NarrowNative(const typename Registers<n>::F32& value, WkvHalf* row) {
#if defined(__AVX512F__)
  const __m256i bits = _mm512_maskz_cvtps_ph(0xffff, (__m512)value, _MM_FROUND_TO_NEAREST_INT);
  std::memcpy(row, &bits, sizeof bits);
#elif defined(__AVX2__)
  const __m128i bits = _mm256_cvtps_ph((__m256)value, _MM_FROUND_TO_NEAREST_INT);
  std::memcpy(row, &bits, sizeof bits);
#else
  for (int c = 0; c < n; ++c) row[c] = HalfOf(value[c]);
#endif
}

// `n` stored values as a pack of the state's type, and back.
template <int n, typename S>
AVOCET_HOST_DEVICE auto Widen(const S* row) {
  using T = typename WkvState<S>::Type;
  if constexpr (!kIsNative<T, n>) {
    return Pack<T, n>{Widen<n / 2>(row), Widen<n / 2>(row + n / 2)};
  } else if constexpr (std::is_same_v<S, T>) {
    Pack<T, n> value;
    std::memcpy(&value.v, row, sizeof value.v);
    return value;
  } else {
    return Pack<T, n>{WidenNative<n>(row)};
  }
}
template <int n, typename S>
AVOCET_HOST_DEVICE void Narrow(const Pack<typename WkvState<S>::Type, n>& value, S* row) {
  if constexpr (!kIsNative<typename WkvState<S>::Type, n>) {
    Narrow<n / 2>(value.lo, row);
    Narrow<n / 2>(value.hi, row + n / 2);
  } else if constexpr (std::is_same_v<S, typename WkvState<S>::Type>) {
    std::memcpy(row, &value.v, sizeof value.v);
  } else {
    NarrowNative<n>(value.v, row);
  }
}

// A block of channels of one batch item: rows of kLanes values, `count` of them real. `full` says
// that all are, at compile time: a hot loop with a call in it keeps nothing in registers.
template <typename S, bool full>
struct Rows {
  using T = typename WkvState<std::remove_const_t<S>>::Type;
  S* base;
  int64_t stride;
  int64_t count;

  Rows From(int64_t token) const { return {base + token * stride, stride, count}; }

  AVOCET_HOST_DEVICE Vector<T> Load(int64_t token) const {
    const S* row = base + token * stride;
    if constexpr (full) {
      return Widen<kLanes>(row);
    } else {
      std::remove_const_t<S> padded[kLanes] = {};
      std::memcpy(padded, row, count * sizeof(S));
      return Widen<kLanes>(padded);
    }
  }
  AVOCET_HOST_DEVICE void Store(int64_t token, const Vector<T>& value) const {
    S* row = base + token * stride;
    if constexpr (full) {
      Narrow<kLanes>(value, row);
    } else {
      S padded[kLanes];
      Narrow<kLanes>(value, padded);
      std::memcpy(row, padded, count * sizeof(S));
    }
  }
};

// Where one block lies, and its parameters.
template <typename S, typename Args, bool full = false>
struct Block {
  using T = typename WkvState<S>::Type;
  int64_t index, batch_index, first_channel, count, offset;
  Rows<const S, full> k, v;
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

  template <typename X>
  Rows<X, full> RowsOf(X* tensor) const {
    return {tensor + offset, k.stride, count};
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
