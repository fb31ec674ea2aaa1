// SPDX-License-Identifier: Apache-2.0
#include "models/metrics/registration.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace avocet::metrics {
namespace {

constexpr int kBins = 64;

std::vector<uint8_t> Binned(const std::vector<float>& values) {
  float low = std::numeric_limits<float>::infinity(), high = -low;
  for (const float v : values) {
    if (!std::isfinite(v)) continue;
    low = std::min(low, v);
    high = std::max(high, v);
  }
  std::vector<uint8_t> bins(values.size(), 0);
  if (!(high > low)) return bins;
  const float scale = kBins / (high - low);
  for (size_t x = 0; x < values.size(); ++x) {
    if (!std::isfinite(values[x])) continue;
    bins[x] =
        static_cast<uint8_t>(std::clamp(static_cast<int>((values[x] - low) * scale), 0, kBins - 1));
  }
  return bins;
}

double Entropy(const double* counts, int n, double total) {
  double sum = 0;
  for (int i = 0; i < n; ++i) {
    if (counts[i] > 0) sum -= counts[i] / total * std::log(counts[i] / total);
  }
  return sum;
}

double Information(const std::vector<uint8_t>& a, const std::vector<uint8_t>& b,
                   const std::array<int64_t, 3>& size, const std::array<int64_t, 3>& shift) {
  std::vector<double> joint(kBins * kBins, 0);
  std::array<int64_t, 3> begin{}, end{};
  for (int axis = 0; axis < 3; ++axis) {
    begin[axis] = std::max<int64_t>(0, shift[axis]);
    end[axis] = std::min(size[axis], size[axis] + shift[axis]);
  }
  const int64_t offset = (shift[2] * size[1] + shift[1]) * size[0] + shift[0];
  double total = 0;
  for (int64_t k = begin[2]; k < end[2]; ++k) {
    for (int64_t j = begin[1]; j < end[1]; ++j) {
      const int64_t row = (k * size[1] + j) * size[0];
      for (int64_t i = begin[0]; i < end[0]; ++i) {
        joint[a[row + i] * kBins + b[row + i - offset]] += 1;
      }
      total += static_cast<double>(std::max<int64_t>(0, end[0] - begin[0]));
    }
  }
  if (total == 0) return 1;
  std::vector<double> of_a(kBins, 0), of_b(kBins, 0);
  for (int p = 0; p < kBins; ++p) {
    for (int q = 0; q < kBins; ++q) {
      of_a[p] += joint[p * kBins + q];
      of_b[q] += joint[p * kBins + q];
    }
  }
  const double together = Entropy(joint.data(), kBins * kBins, total);
  if (together <= 0) return 1;  // both constant
  return (Entropy(of_a.data(), kBins, total) + Entropy(of_b.data(), kBins, total)) / together;
}

}  // namespace

double NormalisedMutualInformation(const std::vector<float>& a, const std::vector<float>& b,
                                   const std::array<int64_t, 3>& size,
                                   const std::array<int64_t, 3>& shift) {
  return Information(Binned(a), Binned(b), size, shift);
}

RegistrationCheck CheckRegistration(const std::vector<float>& a, const std::vector<float>& b,
                                    const std::array<int64_t, 3>& size) {
  const std::vector<uint8_t> bins_a = Binned(a), bins_b = Binned(b);
  RegistrationCheck check;
  check.information = check.best_information = Information(bins_a, bins_b, size, {0, 0, 0});
  for (int axis = 0; axis < 3; ++axis) {
    for (const int64_t step : {-4, -2, 2, 4}) {
      if (size[axis] <= 8) continue;
      std::array<int64_t, 3> shift{0, 0, 0};
      shift[axis] = step;
      const double information = Information(bins_a, bins_b, size, shift);
      if (information <= check.best_information) continue;
      check.best_information = information;
      check.best_shift = shift;
    }
  }
  return check;
}

}  // namespace avocet::metrics
