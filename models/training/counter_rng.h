// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <cstdint>

namespace avocet::models {

// Random numbers as a pure function of (seed, epoch, index, purpose) and a running counter: any
// sample's draws can be made on any thread, in any order, and after a resume, and are the same.
// The mixing function is SplitMix64's finaliser (Steele, Lea, Flood 2014) over a keyed counter.
class CounterRng {
 public:
  CounterRng(uint64_t seed, uint64_t epoch, uint64_t index, uint64_t purpose = 0)
      : key_(Mix(Mix(Mix(Mix(seed + kStep) + epoch + kStep) + index + kStep) + purpose + kStep)) {}

  uint64_t Next() { return Mix(key_ + kStep * ++counter_); }
  // In [0, 1), 53 bits.
  double Uniform() { return static_cast<double>(Next() >> 11) * 0x1.0p-53; }
  double Uniform(double low, double high) { return low + (high - low) * Uniform(); }
  // In [0, count), count >= 1. The bias is below count / 2^64.
  uint64_t Below(uint64_t count) {
    return static_cast<uint64_t>((static_cast<unsigned __int128>(Next()) * count) >> 64);
  }
  bool Chance(double probability) { return Uniform() < probability; }
  // Standard normal (Box-Muller, one of the pair).
  double Normal() {
    const double radius = std::sqrt(-2 * std::log(1 - Uniform()));
    return radius * std::cos(6.283185307179586 * Uniform());
  }

 private:
  static constexpr uint64_t kStep = 0x9e3779b97f4a7c15;
  static uint64_t Mix(uint64_t x) {
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
    x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
    return x ^ (x >> 31);
  }

  uint64_t key_;
  uint64_t counter_ = 0;
};

}  // namespace avocet::models
