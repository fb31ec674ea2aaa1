// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "models/metrics/image_quality.h"

// Is detail of the reference kept, and is detail invented? Of a prediction p against a reference t,
// in double.
namespace avocet::metrics {

// Gradient magnitudes |grad p| and |grad t| at samples whose neighbours all lie inside the image
// (and that the mask counts). The gradient is Sobel's, in as many dimensions as the pair has:
// central difference / (2 spacing) along one axis, smoothed by (1 2 1)/4 along the others.
struct GradientMeasures {
  // Pearson correlation of the two magnitudes: 1 when edges lie at the same places with the same
  // relative strength. NaN when either is constant.
  double correlation = 0;
  double ratio = 0;  // mean |grad p| / mean |grad t|: below 1 blurred, above 1 sharpened or noisy
};
GradientMeasures CompareGradients(const ImagePair& pair, const std::array<double, 3>& spacing);

// One ring of spatial frequencies, over all planes k.
struct SpectrumRing {
  double low = 0, high = 0;  // radius r: low < r <= high, 1 = Nyquist frequency of both axes
  double power_ratio = 0;    // sum |P|^2 / sum |T|^2
  // Re sum P conj(T) / sqrt(sum |P|^2 sum |T|^2): the Fourier ring correlation (Saxton and
  // Baumeister 1982). 1: the same structures; 0: unrelated ones, that is, noise or invention.
  double coherence = 0;
};

// Radially binned spectra. Each plane k has its mean removed and a Hann window applied along both
// axes; P and T are its 2-D transforms. r = 2 sqrt(fi^2 + fj^2) with f in cycles per pixel. High
// frequencies are r in (0.5, 1]. Power that the output has beyond the reference's (ratio above 1)
// and that does not belong to the reference's structures (low coherence) is invented. The mask is
// not used: its border would have a spectrum of its own.
struct SpectrumMeasures {
  double high_power_ratio = 0;
  double high_coherence = 0;
  std::vector<SpectrumRing> rings;  // 16 of equal width up to Nyquist
};
SpectrumMeasures CompareSpectra(const ImagePair& pair);

}  // namespace avocet::metrics
