// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace avocet::preprocess {

// How an image of the same head might come out of a weaker scanner: a simulation by physics, simple
// and documented. From a magnitude image x, in this order:
//   1. bias:   x exp(bias b), b a random polynomial of degree 2 in the three coordinates, max |b| =
//   1
//   2. 3-D Fourier transform to k-space
//   3. blur:   times exp(-2 pi^2 sigma^2 |f|^2): a Gaussian of `blur` acquired voxels
//   4. noise:  complex, white, Gaussian in k-space. In image space, before truncation, its standard
//              deviation in each part is signal / snr * field_ratio; signal is the mean inside the
//              head. What a 7T scan of SNR `snr` would have at 3T (SNR grows with the field).
//   5. truncation: only the central 1 / coarser of each axis is acquired, which also removes the
//   noise
//              outside of it, so that larger voxels have less
//   6. reconstruction onto the original grid, magnitude (Rician noise)
//   7. on request 0 outside of the head, as many scanners, archives and skull strippers leave it
// Not simulated: relaxation times (contrast changes with the field), B1 transmit patterns,
// susceptibility, motion. It is no model of a 3T scanner.
enum class Reconstruction {
  kZeroFill,  // k-space filled up with zeros, what scanners do
  kLinear,    // from the acquired (small) magnitude image by interpolation
  kBicubic,   // Keys, a = -1/2
  kLanczos,   // 3 lobes
  kAcquired,  // the small image itself
};
Reconstruction ReconstructionFromName(const std::string& name);  // "zero-fill", ...; OptionError

struct DegradeOptions {
  std::array<double, 3> coarser{1.6, 1.6, 1.6};  // acquired / original voxel side of i, j, k; >= 1
  double blur = 0.35;                            // standard deviation in acquired voxels
  double snr = 30;                               // of the image simulated from; 0 = no noise
  double field_ratio = 7.0 / 3;                  // of the SNRs
  double bias = 0.15;                            // largest |log| of the bias field
  bool empty_air = false;                        // step 7; not with Reconstruction::kAcquired
  uint64_t seed = 1;
  Reconstruction reconstruction = Reconstruction::kZeroFill;
  int threads = 0;

  std::string Check() const;  // "" or what is wrong, naming the option of `avocet degrade`
};

struct Degraded {
  std::vector<float> values;
  std::array<int64_t, 3> size{0, 0, 0};    // that of the input, or of the acquired matrix
  std::array<int64_t, 3> matrix{0, 0, 0};  // acquired samples of k-space along i, j, k; odd or all
  double signal = 0;                       // mean inside the head
  double noise = 0;                        // standard deviation of each part before truncation
};
// Values that are not finite count as 0. Equal options give equal images on any number of threads.
// Voxel 0 stays where it is; the acquired image's voxels are input size / matrix times as large.
Degraded Degrade(const std::vector<float>& values, const std::array<int64_t, 3>& size,
                 const DegradeOptions& options);

}  // namespace avocet::preprocess
