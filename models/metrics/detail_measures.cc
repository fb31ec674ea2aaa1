// SPDX-License-Identifier: Apache-2.0
#include "models/metrics/detail_measures.h"

#include <cmath>
#include <complex>
#include <limits>

#include "models/preprocess/fourier.h"

namespace avocet::metrics {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr int kRings = 16;
constexpr double kPi = 3.14159265358979323846;

// Sobel's gradient magnitude at a sample that is no border sample along the first `dims` axes.
double GradientAt(const double* at, const std::array<int64_t, 3>& step, int dims,
                  const std::array<double, 3>& spacing) {
  static constexpr double kSmooth[3] = {0.25, 0.5, 0.25};
  double square = 0;
  for (int axis = 0; axis < dims; ++axis) {
    const int b = (axis + 1) % dims;
    const int c = dims == 3 ? (axis + 2) % 3 : -1;
    double sum = 0;
    for (int nb = -1; nb <= 1; ++nb) {
      for (int nc = c < 0 ? 0 : -1; nc <= (c < 0 ? 0 : 1); ++nc) {
        const double* centre = at + nb * step[b] + (c < 0 ? 0 : nc * step[c]);
        const double weight = kSmooth[nb + 1] * (c < 0 ? 1.0 : kSmooth[nc + 1]);
        sum += weight * (centre[step[axis]] - centre[-step[axis]]);
      }
    }
    sum /= 2 * spacing[axis];
    square += sum * sum;
  }
  return std::sqrt(square);
}

std::vector<double> HannWindow(int64_t length) {
  std::vector<double> window(length);
  for (int64_t n = 0; n < length; ++n) {
    window[n] = 0.5 - 0.5 * std::cos(2 * kPi * (n + 0.5) / static_cast<double>(length));
  }
  return window;
}

}  // namespace

GradientMeasures CompareGradients(const ImagePair& pair, const std::array<double, 3>& spacing) {
  const std::array<int64_t, 3> step{1, pair.size[0], pair.size[0] * pair.size[1]};
  const int64_t rim_k = pair.dims == 3 ? 1 : 0;
  long double sp = 0, st = 0, spp = 0, stt = 0, spt = 0;
  int64_t n = 0;
  for (int64_t k = rim_k; k < pair.size[2] - rim_k; ++k) {
    for (int64_t j = 1; j < pair.size[1] - 1; ++j) {
      for (int64_t i = 1; i < pair.size[0] - 1; ++i) {
        const int64_t x = i + j * step[1] + k * step[2];
        if (!pair.Counts(x)) continue;
        const double p = GradientAt(pair.prediction + x, step, pair.dims, spacing);
        const double t = GradientAt(pair.reference + x, step, pair.dims, spacing);
        sp += p;
        st += t;
        spp += p * p;
        stt += t * t;
        spt += p * t;
        ++n;
      }
    }
  }
  GradientMeasures out{kNan, kNan};
  if (n == 0) return out;
  const long double vp = spp - sp * sp / n, vt = stt - st * st / n;
  // Sums of equal numbers cancel to rounding noise, not to zero.
  if (vp > 1e-15L * spp && vt > 1e-15L * stt) {
    out.correlation = static_cast<double>((spt - sp * st / n) / std::sqrt(vp * vt));
  }
  if (st > 0) out.ratio = static_cast<double>(sp / st);
  return out;
}

SpectrumMeasures CompareSpectra(const ImagePair& pair) {
  SpectrumMeasures out;
  const int64_t ni = pair.size[0], nj = pair.size[1];
  const int64_t area = ni * nj;
  const std::vector<double> window_i = HannWindow(ni), window_j = HannWindow(nj);
  double power_p[kRings] = {}, power_t[kRings] = {}, cross[kRings] = {};
  std::vector<int> ring(area, -1);
  for (int64_t j = 0; j < nj; ++j) {
    for (int64_t i = 0; i < ni; ++i) {
      const double r =
          2 * std::hypot(preprocess::FrequencyOf(i, ni), preprocess::FrequencyOf(j, nj));
      const int bin = static_cast<int>(std::ceil(r * kRings - 1e-12)) - 1;
      if (bin >= 0 && bin < kRings) ring[j * ni + i] = bin;
    }
  }
  // p and t are real: one transform of p + i t gives both.
  std::vector<std::complex<double>> z(area);
  for (int64_t k = 0; k < pair.size[2]; ++k) {
    const double* p = pair.prediction + k * area;
    const double* t = pair.reference + k * area;
    double mean_p = 0, mean_t = 0;
    for (int64_t x = 0; x < area; ++x) {
      mean_p += p[x];
      mean_t += t[x];
    }
    mean_p /= static_cast<double>(area);
    mean_t /= static_cast<double>(area);
    for (int64_t j = 0; j < nj; ++j) {
      for (int64_t i = 0; i < ni; ++i) {
        const double w = window_i[i] * window_j[j];
        const int64_t x = j * ni + i;
        z[x] = {w * (p[x] - mean_p), w * (t[x] - mean_t)};
      }
    }
    preprocess::FourierTransform(z.data(), {ni, nj, 1}, {true, true, false}, false);
    for (int64_t j = 0; j < nj; ++j) {
      for (int64_t i = 0; i < ni; ++i) {
        const int bin = ring[j * ni + i];
        if (bin < 0) continue;
        const std::complex<double> here = z[j * ni + i];
        const std::complex<double> there =
            std::conj(z[(j == 0 ? 0 : nj - j) * ni + (i == 0 ? 0 : ni - i)]);
        const std::complex<double> fp = 0.5 * (here + there);
        const std::complex<double> ft = std::complex<double>(0, -0.5) * (here - there);
        power_p[bin] += std::norm(fp);
        power_t[bin] += std::norm(ft);
        cross[bin] += fp.real() * ft.real() + fp.imag() * ft.imag();
      }
    }
  }
  const auto ratio = [](double a, double b) { return b > 0 ? a / b : kNan; };
  double high_p = 0, high_t = 0, high_cross = 0;
  for (int bin = 0; bin < kRings; ++bin) {
    out.rings.push_back({static_cast<double>(bin) / kRings, static_cast<double>(bin + 1) / kRings,
                         ratio(power_p[bin], power_t[bin]),
                         ratio(cross[bin], std::sqrt(power_p[bin] * power_t[bin]))});
    if (2 * bin >= kRings) {
      high_p += power_p[bin];
      high_t += power_t[bin];
      high_cross += cross[bin];
    }
  }
  out.high_power_ratio = ratio(high_p, high_t);
  out.high_coherence = ratio(high_cross, std::sqrt(high_p * high_t));
  return out;
}

}  // namespace avocet::metrics
