// SPDX-License-Identifier: Apache-2.0
#include "models/preprocess/degrade.h"

#include <algorithm>
#include <cmath>
#include <complex>

#include "app/base/error.h"
#include "models/metrics/parallel.h"
#include "models/preprocess/fourier.h"
#include "models/preprocess/head_mask.h"
#include "models/training/counter_rng.h"

namespace avocet::preprocess {
namespace {

using Complex = std::complex<float>;
using Size = std::array<int64_t, 3>;
using models::CounterRng;
constexpr double kPi = 3.14159265358979323846;
enum Purpose : uint64_t { kBiasDraw = 31, kNoiseDraw = 32 };

int64_t Count(const Size& size) { return size[0] * size[1] * size[2]; }

// 1, x, x^2 - 1/3 (Legendre) at -1 .. 1.
double Basis(int degree, int64_t index, int64_t length) {
  const double x = length > 1 ? 2.0 * static_cast<double>(index) / (length - 1) - 1 : 0;
  return degree == 0 ? 1 : degree == 1 ? x : 1.5 * x * x - 0.5;
}

// b of the header: products of Legendre polynomials of total degree 1 and 2, max |b| = 1.
std::vector<float> BiasField(const Size& size, uint64_t seed, int threads) {
  struct Term {
    int degree[3];
    double weight;
  };
  std::vector<Term> terms;
  CounterRng rng(seed, 0, 0, kBiasDraw);
  for (int a = 0; a <= 2; ++a)
    for (int b = 0; a + b <= 2; ++b)
      for (int c = 0; a + b + c <= 2; ++c)
        if (a + b + c > 0) terms.push_back({{a, b, c}, rng.Normal()});
  std::vector<float> field(Count(size));
  metrics::ParallelFor(size[2], metrics::ResolveThreads(threads), [&](int64_t k) {
    for (int64_t j = 0; j < size[1]; ++j) {
      for (int64_t i = 0; i < size[0]; ++i) {
        double sum = 0;
        for (const Term& t : terms) {
          sum += t.weight * Basis(t.degree[0], i, size[0]) * Basis(t.degree[1], j, size[1]) *
                 Basis(t.degree[2], k, size[2]);
        }
        field[(k * size[1] + j) * size[0] + i] = static_cast<float>(sum);
      }
    }
  });
  float largest = 0;
  for (const float v : field) largest = std::max(largest, std::abs(v));
  if (largest > 0) {
    for (float& v : field) v /= largest;
  }
  return field;
}

// Acquired samples along an axis: odd, so that k-space stays symmetric, or all of them.
int64_t MatrixSize(int64_t length, double coarser) {
  auto wanted = static_cast<int64_t>(std::llround(static_cast<double>(length) / coarser));
  if (wanted >= length) return length;
  if (wanted % 2 == 0) --wanted;
  return std::max<int64_t>(1, wanted);
}

bool Acquired(int64_t index, int64_t length, int64_t matrix) {
  if (matrix == length) return true;
  return index <= matrix / 2 || index >= length - matrix / 2;
}

// Blur, noise and truncation of k-space in place.
void Acquire(std::vector<Complex>& k_space, const Size& size, const Size& matrix, double noise,
             const DegradeOptions& options) {
  // Noise of deviation s in image space is s sqrt(N) in an unscaled transform.
  const double deviation = noise * std::sqrt(static_cast<double>(Count(size)));
  metrics::ParallelFor(size[2], metrics::ResolveThreads(options.threads), [&](int64_t k) {
    for (int64_t j = 0; j < size[1]; ++j) {
      for (int64_t i = 0; i < size[0]; ++i) {
        const int64_t x = (k * size[1] + j) * size[0] + i;
        if (!Acquired(i, size[0], matrix[0]) || !Acquired(j, size[1], matrix[1]) ||
            !Acquired(k, size[2], matrix[2])) {
          k_space[x] = 0;
          continue;
        }
        double square = 0;
        const Size at{i, j, k};
        for (int a = 0; a < 3; ++a) {
          const double sigma = options.blur * static_cast<double>(size[a]) / matrix[a];
          const double f = FrequencyOf(at[a], size[a]);
          square += sigma * sigma * f * f;
        }
        Complex value = k_space[x] * static_cast<float>(std::exp(-2 * kPi * kPi * square));
        if (deviation > 0) {
          CounterRng rng(options.seed, 0, static_cast<uint64_t>(x), kNoiseDraw);
          const double real = rng.Normal(), imaginary = rng.Normal();
          value += Complex(static_cast<float>(deviation * real),
                           static_cast<float>(deviation * imaginary));
        }
        k_space[x] = value;
      }
    }
  });
}

// The centre of k-space as a transform of the small size.
std::vector<Complex> Cropped(const std::vector<Complex>& k_space, const Size& size,
                             const Size& matrix) {
  std::vector<Complex> out(Count(matrix));
  const float scale = static_cast<float>(static_cast<double>(Count(matrix)) / Count(size));
  const auto from = [&](int64_t index, int a) {
    return index <= matrix[a] / 2 || matrix[a] == size[a] ? index : size[a] - matrix[a] + index;
  };
  for (int64_t k = 0; k < matrix[2]; ++k)
    for (int64_t j = 0; j < matrix[1]; ++j)
      for (int64_t i = 0; i < matrix[0]; ++i)
        out[(k * matrix[1] + j) * matrix[0] + i] =
            scale * k_space[(from(k, 2) * size[1] + from(j, 1)) * size[0] + from(i, 0)];
  return out;
}

double Kernel(Reconstruction kind, double x) {
  x = std::abs(x);
  switch (kind) {
    case Reconstruction::kBicubic:
      if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
      if (x < 2) return ((-0.5 * x + 2.5) * x - 4) * x + 2;
      return 0;
    case Reconstruction::kLanczos:
      if (x < 1e-9) return 1;
      if (x < 3) return 3 * std::sin(kPi * x) * std::sin(kPi * x / 3) / (kPi * kPi * x * x);
      return 0;
    default:
      return x < 1 ? 1 - x : 0;
  }
}

// Enlarges one axis: sample n of the result lies at n * old / new of the old; edges are repeated.
std::vector<float> EnlargeAxis(const std::vector<float>& data, Size& size, int axis, int64_t to,
                               Reconstruction kind) {
  const int64_t from = size[axis];
  if (from == to) return data;
  const int reach = kind == Reconstruction::kLanczos ? 3 : kind == Reconstruction::kBicubic ? 2 : 1;
  int64_t inner = 1, outer = 1;
  for (int a = 0; a < axis; ++a) inner *= size[a];
  for (int a = axis + 1; a < 3; ++a) outer *= size[a];
  std::vector<float> out(outer * to * inner, 0.0f);
  for (int64_t n = 0; n < to; ++n) {
    const double position = static_cast<double>(n) * from / to;
    const auto base = static_cast<int64_t>(std::floor(position));
    std::vector<double> weights;
    double sum = 0;
    for (int64_t m = base - reach + 1; m <= base + reach; ++m) {
      weights.push_back(Kernel(kind, position - static_cast<double>(m)));
      sum += weights.back();
    }
    for (int64_t o = 0; o < outer; ++o) {
      float* target = out.data() + (o * to + n) * inner;
      for (size_t w = 0; w < weights.size(); ++w) {
        const int64_t m =
            std::clamp<int64_t>(base - reach + 1 + static_cast<int64_t>(w), 0, from - 1);
        const float* source = data.data() + (o * from + m) * inner;
        const auto weight = static_cast<float>(weights[w] / sum);
        for (int64_t i = 0; i < inner; ++i) target[i] += weight * source[i];
      }
    }
  }
  size[axis] = to;
  return out;
}

std::vector<float> Magnitudes(const std::vector<Complex>& values) {
  std::vector<float> out(values.size());
  std::transform(values.begin(), values.end(), out.begin(),
                 [](const Complex& v) { return std::abs(v); });
  return out;
}

}  // namespace

Reconstruction ReconstructionFromName(const std::string& name) {
  if (name == "zero-fill") return Reconstruction::kZeroFill;
  if (name == "linear") return Reconstruction::kLinear;
  if (name == "bicubic") return Reconstruction::kBicubic;
  if (name == "lanczos") return Reconstruction::kLanczos;
  if (name == "acquired") return Reconstruction::kAcquired;
  throw OptionError("--reconstruction is '" + name +
                    "'; it must be zero-fill, linear, bicubic, lanczos or acquired");
}

std::string DegradeOptions::Check() const {
  for (const double factor : coarser) {
    if (!(factor >= 1 && factor <= 16)) return "--coarser must be between 1 and 16";
  }
  if (!(blur >= 0 && blur <= 5)) return "--blur must be between 0 and 5 acquired voxels";
  if (!(snr >= 0 && std::isfinite(snr))) return "--snr must be 0 (no noise) or positive";
  if (!(field_ratio > 0 && field_ratio <= 100)) return "--field-ratio must be positive";
  if (!(bias >= 0 && bias <= 2)) return "--bias must be between 0 and 2";
  if (empty_air && reconstruction == Reconstruction::kAcquired)
    return "--empty-air does not go with --reconstruction acquired";
  return "";
}

namespace {

void EmptyAir(const std::vector<uint8_t>& head, std::vector<float>& values) {
  for (size_t x = 0; x < values.size(); ++x) {
    if (!head[x]) values[x] = 0;
  }
}

}  // namespace

Degraded Degrade(const std::vector<float>& values, const Size& size,
                 const DegradeOptions& options) {
  if (const std::string wrong = options.Check(); !wrong.empty()) throw OptionError(wrong);
  Degraded result;
  for (int a = 0; a < 3; ++a) result.matrix[a] = MatrixSize(size[a], options.coarser[a]);
  const std::vector<uint8_t> head = HeadMask(values.data(), size);
  double sum = 0;
  int64_t inside = 0;
  for (size_t x = 0; x < values.size(); ++x) {
    if (!head[x] || !std::isfinite(values[x])) continue;
    sum += values[x];
    ++inside;
  }
  result.signal = inside > 0 ? sum / static_cast<double>(inside) : 0;
  result.noise = options.snr > 0 ? result.signal / options.snr * options.field_ratio : 0;

  std::vector<Complex> data(values.size());
  for (size_t x = 0; x < values.size(); ++x) data[x] = std::isfinite(values[x]) ? values[x] : 0.0f;
  if (options.bias > 0) {
    const std::vector<float> field = BiasField(size, options.seed, options.threads);
    for (size_t x = 0; x < data.size(); ++x) {
      data[x] *= std::exp(static_cast<float>(options.bias) * field[x]);
    }
  }
  constexpr std::array<bool, 3> kAllAxes{true, true, true};
  FourierTransform(data.data(), size, kAllAxes, false, options.threads);
  Acquire(data, size, result.matrix, result.noise, options);
  if (options.reconstruction == Reconstruction::kZeroFill) {
    FourierTransform(data.data(), size, kAllAxes, true, options.threads);
    result.values = Magnitudes(data);
    result.size = size;
    if (options.empty_air) EmptyAir(head, result.values);
    return result;
  }
  std::vector<Complex> small = Cropped(data, size, result.matrix);
  FourierTransform(small.data(), result.matrix, kAllAxes, true, options.threads);
  result.values = Magnitudes(small);
  result.size = result.matrix;
  if (options.reconstruction == Reconstruction::kAcquired) return result;
  for (int a = 0; a < 3; ++a) {
    result.values = EnlargeAxis(result.values, result.size, a, size[a], options.reconstruction);
  }
  if (options.empty_air) EmptyAir(head, result.values);
  return result;
}

}  // namespace avocet::preprocess
