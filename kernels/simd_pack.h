// SPDX-License-Identifier: Apache-2.0
// Included through the per-instruction-set kernels only (see bi_wkv_math.h on AVOCET_ISA).
#pragma once

#include <cstdint>
#include <cstring>
#include <type_traits>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

#include "kernels/bi_wkv_math.h"

namespace avocet::kernels::AVOCET_ISA {

#if defined(__AVX512F__)
constexpr int kNativeBytes = 64;
#elif defined(__AVX2__)
constexpr int kNativeBytes = 32;
#else
constexpr int kNativeBytes = 16;
#endif

// `lanes` values in as many registers as it takes. The compiler's own vectors do the same for
// arithmetic, but take comparisons, conversions and anything longer than two registers apart into
// single values.
template <typename T, int lanes, bool native = (lanes * sizeof(T) <= kNativeBytes)>
struct Pack {
  using Half = Pack<T, lanes / 2>;
  Half lo, hi;

  T operator[](int64_t lane) const { return lane < lanes / 2 ? lo[lane] : hi[lane - lanes / 2]; }
};
template <typename T, int lanes>
struct Pack<T, lanes, true> {
  typedef T Native __attribute__((vector_size(lanes * sizeof(T))));
  Native v;

  T operator[](int64_t lane) const { return v[lane]; }
};

template <typename T, int lanes>
constexpr bool kIsNative = lanes * sizeof(T) <= kNativeBytes;

// Applies f to the registers of packs of one shape.
template <typename T, int lanes, typename F, typename... More>
AVOCET_HOST_DEVICE Pack<T, lanes> Map(F f, const Pack<T, lanes>& a, const More&... more) {
  if constexpr (kIsNative<T, lanes>) {
    return {f(a.v, more.v...)};
  } else {
    return {Map(f, a.lo, more.lo...), Map(f, a.hi, more.hi...)};
  }
}

template <typename P, typename T>
AVOCET_HOST_DEVICE P Broadcast(T value) {
  return Map([value](auto zero) { return zero + value; }, P{});
}

#define AVOCET_PACK_OPERATOR(op)                                                            \
  template <typename T, int n>                                                              \
  AVOCET_HOST_DEVICE Pack<T, n> operator op(const Pack<T, n>& a, const Pack<T, n>& b) {     \
    return Map([](auto x, auto y) { return x op y; }, a, b);                                \
  }                                                                                         \
  template <typename T, int n>                                                              \
  AVOCET_HOST_DEVICE Pack<T, n> operator op(const Pack<T, n>& a, std::common_type_t<T> b) { \
    return Map([b](auto x) { return x op b; }, a);                                          \
  }                                                                                         \
  template <typename T, int n>                                                              \
  AVOCET_HOST_DEVICE Pack<T, n> operator op(std::common_type_t<T> a, const Pack<T, n>& b) { \
    return Map([a](auto x) { return a op x; }, b);                                          \
  }                                                                                         \
  template <typename T, int n>                                                              \
  AVOCET_HOST_DEVICE void operator op##=(Pack<T, n>& a, const Pack<T, n>& b) {              \
    a = a op b;                                                                             \
  }
AVOCET_PACK_OPERATOR(+)
AVOCET_PACK_OPERATOR(-)
AVOCET_PACK_OPERATOR(*)
AVOCET_PACK_OPERATOR(/)
#undef AVOCET_PACK_OPERATOR

template <typename T, int n>
AVOCET_HOST_DEVICE Pack<T, n> operator-(const Pack<T, n>& a) {
  return Map([](auto x) { return -x; }, a);
}

// The larger; b where a is NaN.
template <typename T, int n>
AVOCET_HOST_DEVICE Pack<T, n> Max(const Pack<T, n>& a, const Pack<T, n>& b) {
  return Map([](auto x, auto y) { return x > y ? x : y; }, a, b);
}

// a * b + c, with one rounding where the processor has it. (Left to itself the compiler would fuse
// the other product of e * v + lambda * sum, and double the length of the recurrence.)
template <typename T, int n>
AVOCET_HOST_DEVICE Pack<T, n> MulAdd(const Pack<T, n>& a, const Pack<T, n>& b,
                                     const Pack<T, n>& c) {
  return Map(
      [](auto x, auto y, auto z) {
        using V = decltype(x);
        (void)sizeof(V);
#if defined(__AVX512F__)
        if constexpr (sizeof(V) == 64 && std::is_same_v<T, float>)
          return (V)_mm512_fmadd_ps((__m512)x, (__m512)y, (__m512)z);
        else if constexpr (sizeof(V) == 64)
          return (V)_mm512_fmadd_pd((__m512d)x, (__m512d)y, (__m512d)z);
        else
#elif defined(__AVX2__)
        if constexpr (sizeof(V) == 32 && std::is_same_v<T, float>)
          return (V)_mm256_fmadd_ps((__m256)x, (__m256)y, (__m256)z);
        else if constexpr (sizeof(V) == 32)
          return (V)_mm256_fmadd_pd((__m256d)x, (__m256d)y, (__m256d)z);
        else
#endif
          return x * y + z;
      },
      a, b, c);
}

#if defined(__AVX2__)
// Between a register of float and two of double. (Halves that go through memory one by one and come
// back whole, as the compiler has it, stall.)
template <int n>
AVOCET_HOST_DEVICE Pack<double, n> WidenRegister(const Pack<float, n>& x) {
  using D = typename Pack<double, n / 2>::Native;
  const auto v = x.v;
#if defined(__AVX512F__)
  const auto lo = __builtin_shufflevector(v, v, 0, 1, 2, 3, 4, 5, 6, 7);
  const auto hi = __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15);
  return {{(D)_mm512_maskz_cvtps_pd(0xff, (__m256)lo)},
          {(D)_mm512_maskz_cvtps_pd(0xff, (__m256)hi)}};
#else
  return {{(D)_mm256_cvtps_pd((__m128)__builtin_shufflevector(v, v, 0, 1, 2, 3))},
          {(D)_mm256_cvtps_pd((__m128)__builtin_shufflevector(v, v, 4, 5, 6, 7))}};
#endif
}
template <int n>
AVOCET_HOST_DEVICE Pack<float, n> NarrowRegisters(const Pack<double, n>& x) {
  using Half = typename Pack<float, n / 2>::Native;
#if defined(__AVX512F__)
  const auto a = (Half)_mm512_maskz_cvtpd_ps(0xff, (__m512d)x.lo.v);
  const auto b = (Half)_mm512_maskz_cvtpd_ps(0xff, (__m512d)x.hi.v);
  return {__builtin_shufflevector(a, b, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)};
#else
  const auto a = (Half)_mm256_cvtpd_ps((__m256d)x.lo.v), b = (Half)_mm256_cvtpd_ps((__m256d)x.hi.v);
  return {__builtin_shufflevector(a, b, 0, 1, 2, 3, 4, 5, 6, 7)};
#endif
}
#endif

// Lane by lane from T to D.
template <typename D, typename T, int n>
AVOCET_HOST_DEVICE Pack<D, n> Convert(const Pack<T, n>& x) {
  if constexpr (std::is_same_v<D, T>) {
    return x;
  } else if constexpr (kIsNative<D, n> && kIsNative<T, n>) {
    return {__builtin_convertvector(x.v, typename Pack<D, n>::Native)};
#if defined(__AVX2__)
  } else if constexpr (n * sizeof(float) == kNativeBytes && std::is_same_v<T, float>) {
    return WidenRegister(x);
  } else if constexpr (n * sizeof(float) == kNativeBytes && std::is_same_v<D, float>) {
    return NarrowRegisters(x);
#endif
  } else {
    Pack<T, n / 2> lo, hi;
    if constexpr (kIsNative<T, n>) {
      std::memcpy(&lo, &x.v, sizeof lo);
      std::memcpy(&hi, reinterpret_cast<const char*>(&x.v) + sizeof lo, sizeof hi);
    } else {
      lo = x.lo, hi = x.hi;
    }
    const Pack<D, n / 2> low = Convert<D>(lo), high = Convert<D>(hi);
    Pack<D, n> result;
    std::memcpy(&result, &low, sizeof low);
    std::memcpy(reinterpret_cast<char*>(&result) + sizeof low, &high, sizeof high);
    return result;
  }
}

// e^x for x <= 0, relative error below 2 ulp; 0 below -87 (float) or -700 (double). x = n ln 2 + r,
// |r| <= ln 2 / 2, a Taylor polynomial in r, and n added to the exponent. NaN stays NaN.
template <typename V>
AVOCET_HOST_DEVICE V ExpNative(const V& x) {
  using T = std::decay_t<decltype(x[0])>;
  constexpr bool is_float = std::is_same_v<T, float>;
  using I = std::conditional_t<is_float, int32_t, int64_t>;
  typedef I Bits __attribute__((vector_size(sizeof(V))));
  // 1.5 * 2^23 (2^52): adding it rounds to an integer.
  constexpr T kMagic = is_float ? T(12582912.0) : T(6755399441055744.0);
  constexpr T kLowest = is_float ? T(-87) : T(-700);
  constexpr T kLn2High = is_float ? T(0.693145751953125) : T(6.93147180369123816490e-01);
  constexpr T kLn2Low = is_float ? T(1.42860682030941723e-6) : T(1.90821492927058770002e-10);
  const V lowest = V{} + kLowest;
  const V clamped = x < lowest ? lowest : x;
  const V shifted = clamped * T(1.4426950408889634074) + kMagic;
  const V n = shifted - kMagic;
  const V r = (clamped - n * kLn2High) - n * kLn2Low;
  V p;
  if constexpr (is_float) {
    p = r * T(1.0 / 5040) + T(1.0 / 720);
  } else {
    p = r * T(1.0 / 6227020800.0) + T(1.0 / 479001600.0);
    p = p * r + T(1.0 / 39916800.0);
    p = p * r + T(1.0 / 3628800.0);
    p = p * r + T(1.0 / 362880.0);
    p = p * r + T(1.0 / 40320.0);
    p = p * r + T(1.0 / 5040.0);
    p = p * r + T(1.0 / 720.0);
  }
  p = p * r + T(1.0 / 120);
  p = p * r + T(1.0 / 24);
  p = p * r + T(1.0 / 6);
  p = p * r + T(0.5);
  p = p * (r * r) + r;
  p = p + T(1);
  const Bits bits = (Bits)shifted << (is_float ? 23 : 52);
  const V result = (V)((Bits)p + bits);
  return x < lowest ? V{} : result;
}
template <typename T, int n>
AVOCET_HOST_DEVICE Pack<T, n> Exp(const Pack<T, n>& x) {
  return Map([](auto v) { return ExpNative(v); }, x);
}

// The nearest whole number, for numbers below 2^22.
template <int n>
AVOCET_HOST_DEVICE Pack<float, n> Whole(const Pack<float, n>& x) {
  return Map([](auto v) { return (v + 12582912.0f) - 12582912.0f; }, x);  // 1.5 * 2^23
}
// What the last bit of a positive normal number counts.
template <int n>
AVOCET_HOST_DEVICE Pack<float, n> UnitOf(const Pack<float, n>& x) {
  return Map(
      [](auto v) {
        typedef int32_t Bits __attribute__((vector_size(sizeof v)));
        return (decltype(v))((Bits)v + 1) - v;
      },
      x);
}

// The hot exponential of the operators: ExpBelow(k, ReferenceOf(maximum)) is e^k over e^maximum
// (within a factor of 2), for k <= maximum, with a relative error of 1.7e-7, or less than 2^-125
// where that is smaller. Power(difference of references) is what sums over one differ by. Where the
// processor has fused products a reference is a whole number of powers of 2, so that Power is
// exact; 2^t = 2^n 2^f with a minimax polynomial for 2^f.
#if defined(__AVX2__)
constexpr bool kFused = true;
#else
constexpr bool kFused = false;
#endif
template <typename T>
constexpr bool kBinaryReference = kFused&& std::is_same_v<T, float>;
#if defined(__AVX2__)
template <typename V>
AVOCET_HOST_DEVICE V CeilNative(const V& x) {
#if defined(__AVX512F__)
  return (V)_mm512_maskz_roundscale_ps(0xffff, (__m512)x, 0x02);
#else
  return (V)_mm256_ceil_ps((__m256)x);
#endif
}
#endif
template <typename T, int n>
AVOCET_HOST_DEVICE Pack<T, n> ReferenceOf(const Pack<T, n>& maximum) {
  // All of k may be minus infinity.
  constexpr T kLowest = std::is_same_v<T, float> ? T(-1e38) : T(-1e300);
  const Pack<T, n> finite = Max(Broadcast<Pack<T, n>>(kLowest), maximum);
#if defined(__AVX2__)
  if constexpr (kBinaryReference<T>)
    return Map([](auto x) { return CeilNative(x); }, finite * T(1.44269504088896341));
#endif
  return finite;
}
// For differences of at most 100; 0 below -100.
template <typename T, int n>
Pack<T, n> Power(const Pack<T, n>& difference) {
  if constexpr (kBinaryReference<T>) {
    return Map(
        [](auto x) {
          typedef int32_t Bits __attribute__((vector_size(sizeof x)));
          // Adding 1.5 * 2^23 puts a small whole number into the lowest bits.
          const auto power = (decltype(x))((Bits)(x + (12582912.0f + 127)) << 23);
          return x < -100 ? decltype(x){} : power;
        },
        difference);
  }
  return Exp(difference);
}
#if defined(__AVX2__)
template <typename V>
AVOCET_HOST_DEVICE V ExpBelowNative(const V& k, const V& reference) {
  constexpr float kLog2E = 1.44269504088896341f;
#if defined(__AVX512F__) && defined(__AVX512DQ__)
  const __m512 t = _mm512_fmsub_ps((__m512)k, _mm512_set1_ps(kLog2E), (__m512)reference);
  const __m512 f = _mm512_maskz_reduce_ps(0xffff, t, 0x01);  // t - floor(t), in [0, 1)
  __m512 p = _mm512_set1_ps(1.8775767e-3f);
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(8.9893402e-3f));
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(5.5826318e-2f));
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(2.4015362e-1f));
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(6.9315307e-1f));
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(9.9999993e-1f));
  return (V)_mm512_maskz_scalef_ps(0xffff, p, t);
#else
  const V t = (V)_mm256_fmsub_ps((__m256)k, _mm256_set1_ps(kLog2E), (__m256)reference);
  const V lowest = V{} - 126.0f;
  const V clamped = t < lowest ? lowest : t;  // NaN stays
  const V shifted = clamped + 12582912.0f;    // 1.5 * 2^23: rounds to an integer
  const V f = clamped - (shifted - 12582912.0f);
  V p = f * 1.32764721e-3f + 9.67554135e-3f;
  p = p * f + 5.55071308e-2f;
  p = p * f + 2.40221189e-1f;
  p = p * f + 6.93146986e-1f;
  p = p * f + 1.00000007f;
  typedef int32_t Bits __attribute__((vector_size(sizeof(V))));
  return (V)((Bits)p + ((Bits)shifted << 23));
#endif
}
#endif
template <typename T, int n>
AVOCET_HOST_DEVICE Pack<T, n> ExpBelow(const Pack<T, n>& k, const Pack<T, n>& reference) {
#if defined(__AVX2__)
  if constexpr (kBinaryReference<T>)
    return Map([](auto a, auto b) { return ExpBelowNative(a, b); }, k, reference);
#endif
  return Exp(k - reference);
}

// 1 / x for a normal positive x, within two units of the last place: the estimate of AVX-512 and
// one step of Newton's method (that of AVX2 is no faster than dividing).
template <typename T, int n>
AVOCET_HOST_DEVICE Pack<T, n> Reciprocal(const Pack<T, n>& x) {
#if defined(__AVX512F__)
  if constexpr (std::is_same_v<T, float>) {
    const auto estimate = [](auto v) {
      return (decltype(v))_mm512_maskz_rcp14_ps(0xffff, (__m512)v);
    };
    const Pack<T, n> r = Map(estimate, x);
    return MulAdd(r, T(1) - x * r, r);
  }
#endif
  return T(1) / x;
}

// a / b for a normal positive b, as precise.
template <typename T, int n>
AVOCET_HOST_DEVICE Pack<T, n> Ratio(const Pack<T, n>& a, const Pack<T, n>& b) {
#if defined(__AVX512F__)
  if constexpr (std::is_same_v<T, float>) return a * Reciprocal(b);
#endif
  return a / b;
}

}  // namespace avocet::kernels::AVOCET_ISA
