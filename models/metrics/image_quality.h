// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

// Image quality of a prediction p against a reference t, all in double: single-precision SSIM is
// biased where E[x^2] - mu^2 cancels. Sizes are ordered (i, j, k), i fastest; a 2-D image has k
// = 1.
namespace avocet::metrics {

struct ImagePair {
  const double* prediction = nullptr;
  const double* reference = nullptr;
  int64_t size[3] = {1, 1, 1};
  int dims = 3;  // 2 or 3: dimensionality of SSIM windows
  // Null, or not 0 where a sample counts. Sums and means run over those samples only; windows of
  // SSIM still see the whole image, and the map is averaged over them.
  const uint8_t* mask = nullptr;

  int64_t Count() const { return size[0] * size[1] * size[2]; }
  bool Counts(int64_t x) const { return mask == nullptr || mask[x] != 0; }
};

struct ErrorMeasures {
  double mse = 0;              // mean (p - t)^2
  double rmse = 0;             // sqrt(mse)
  double mae = 0;              // mean |p - t|
  double nmse = 0;             // sum (p - t)^2 / sum t^2 (fastMRI); 0/0 is NaN
  double nrmse_mean = 0;       // rmse / mean(t)
  double nrmse_range = 0;      // rmse / (max t - min t)
  double nrmse_std = 0;        // rmse / population standard deviation of t
  double nrmse_l2 = 0;         // rmse / ||t||: TorchMetrics' "l2"
  double nrmse_euclidean = 0;  // rmse sqrt(N) / ||t||: scikit-image's "euclidean"
};
// NaN where no sample counts.
ErrorMeasures MeasureErrors(const ImagePair& pair);

// 10 log10(data_range^2 / mse); infinity when the images are equal.
double Psnr(const ImagePair& pair, double data_range);

// max(max t, 0) - min(min t, 0): the range that TorchMetrics < 1.8 takes when none is given, and
// with it the FS-RWKV training program's validation PSNR.
double TargetRange(const ImagePair& pair);

// max(max p - min p, max t - min t): what TorchMetrics takes when no range is given.
double DataRange(const ImagePair& pair);

// Structural similarity, Z. Wang et al., IEEE Trans. Image Proc. 13 (2004):
//   (2 mu_p mu_t + c1)(2 s_pt + c2) / ((mu_p^2 + mu_t^2 + c1)(s_p^2 + s_t^2 + c2)),
// c = (k data_range)^2, local moments over a window, mean over the map.
struct SsimOptions {
  enum class Window { kGaussian, kUniform };
  enum class Border {
    kReflect,  // image reflected about its edge samples, mean over the full map
    kValid,    // only windows wholly inside
  };
  Window window = Window::kGaussian;
  int size = 11;       // samples along each axis, odd
  double sigma = 1.5;  // Gaussian only
  double k1 = 0.01, k2 = 0.03;
  double data_range = 1;
  Border border = Border::kReflect;
  bool sample_covariance = false;  // moments times n / (n - 1), n = window samples
};
// NaN where the image is smaller than the window (kValid) or not larger than its half (kReflect).
double Ssim(const ImagePair& pair, const SsimOptions& options);

// Mean over the full map and over the windows wholly inside, from one pass (`options.border` is not
// used).
struct SsimMeans {
  double full = 0, valid = 0;
};
SsimMeans SsimFullAndValid(const ImagePair& pair, const SsimOptions& options);

// The named definitions.
SsimOptions SsimFsRwkv(double data_range);   // TorchMetrics >= 1.5 defaults: full map
SsimOptions SsimCropped(double data_range);  // Gaussian 11, valid windows: TorchMetrics 1.4, MONAI,
                                             // scikit-image with gaussian_weights
SsimOptions SsimSkimageDefault(double data_range);  // uniform 7, sample covariance, valid windows
SsimOptions SsimUniform11(double data_range, SsimOptions::Border border);

// By the names that tools and papers use: "torchmetrics" and "fs-rwkv" (full map),
// "torchmetrics-1.4", "monai" and "scikit-image-gaussian" (windows wholly inside), "scikit-image"
// (its default), "uniform-11". Throws OptionError that lists them.
SsimOptions SsimByName(const std::string& name, double data_range);
std::vector<std::string> SsimNames();

// Plane k of a pair as a 2-D image.
ImagePair SliceOf(const ImagePair& pair, int64_t k);

// A measure of each 2-D plane k, averaged: Measure takes an ImagePair with dims == 2.
template <typename Measure>
double MeanOverSlices(const ImagePair& pair, const Measure& measure) {
  double sum = 0;
  for (int64_t k = 0; k < pair.size[2]; ++k) sum += measure(SliceOf(pair, k));
  return sum / static_cast<double>(pair.size[2]);
}

}  // namespace avocet::metrics
