// SPDX-License-Identifier: Apache-2.0
#include "app/core/translation_protocols.h"

#include <algorithm>
#include <cstdio>

#include "app/base/error.h"
#include "io/volume_io.h"

namespace avocet::core {
namespace {

namespace fs = std::filesystem;
using metrics::Protocol;

std::string Text(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.6g", value);
  return text;
}

bool IsPictureName(const fs::path& path) {
  std::string ending = path.extension().string();
  for (char& c : ending) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return ending == ".png" || ending == ".jpg" || ending == ".jpeg" || ending == ".tif" ||
         ending == ".tiff";
}

bool HoldsPictures(const fs::path& path) {
  std::error_code error;
  if (!fs::is_directory(path, error)) return IsPictureName(path);
  const auto files = io::ListVolumes(path);
  return !files.empty() && std::all_of(files.begin(), files.end(), IsPictureName);
}

std::string RangeText(const EvaluateOptions& options) {
  return options.data_range > 0
             ? "data range " + Text(options.data_range)
             : std::string(
                   "data range = 255 for 8-bit pictures, else maximum - minimum of the reference");
}

// The columns of a protocol; their values are filled in the same order by the functions below.
class Columns {
 public:
  explicit Columns(Protocol& protocol) : protocol_(protocol) {}
  void Add(const char* name, const char* unit, const std::string& definition, bool higher) {
    protocol_.columns.push_back({name, unit, definition, higher, true, {}});
  }

 private:
  Protocol& protocol_;
};

Protocol MakeDefault(const EvaluateOptions& options) {
  Protocol p;
  p.name = "default";
  p.description =
      "Image against reference in double precision, SSIM in as many dimensions as the "
      "image has; slices are those of the acquisition plane.";
  p.empty_rule =
      "divisions by zero; PSNR of equal images is infinite; slices with a constant "
      "reference are left out of slice means";
  const std::string range = RangeText(options);
  Columns add(p);
  add.Add("psnr_db", "dB", "10 log10(range^2 / MSE), " + range, true);
  add.Add("ssim_gauss11_full", "1",
          "SSIM, Gaussian window 11 (sigma 1.5), reflected borders, mean over the full map "
          "(FS-RWKV, TorchMetrics), " +
              range,
          true);
  add.Add("ssim_gauss11_valid", "1",
          "the same over windows wholly inside the image (MONAI, TorchMetrics 1.4, scikit-image "
          "with gaussian_weights), " +
              range,
          true);
  add.Add(
      "ssim_uniform7_valid", "1",
      "SSIM, uniform window 7, sample covariance, windows wholly inside (scikit-image), " + range,
      true);
  add.Add("rmse", "image", "sqrt(mean (p - t)^2)", false);
  add.Add("mae", "image", "mean |p - t|", false);
  add.Add("nmse", "1", "sum (p - t)^2 / sum t^2 (fastMRI)", false);
  add.Add("nrmse_range", "1", "RMSE / (maximum - minimum of the reference)", false);
  add.Add("psnr_db_target_range", "dB",
          "PSNR with range max(max t, 0) - min(min t, 0) (TorchMetrics < 1.8 without a range)",
          true);
  add.Add("gradient_correlation", "1",
          "Pearson correlation of Sobel gradient magnitudes (per mm, inner samples): are edges "
          "where they should be?",
          true);
  p.columns.push_back({"gradient_ratio",
                       "1",
                       "mean gradient magnitude of the image / of the reference: below 1 blurred, "
                       "above 1 sharpened or noisy",
                       true,
                       false,
                       {}});
  p.columns.push_back({"high_frequency_power_ratio",
                       "1",
                       "spectral power of the image / of the reference between half and full "
                       "Nyquist frequency, slices windowed (Hann): above 1 more detail or noise "
                       "than there is",
                       true,
                       false,
                       {}});
  add.Add("high_frequency_coherence", "1",
          "Fourier ring correlation in the same band: is that detail the reference's?", true);
  add.Add("psnr_db_slicemean", "dB", "PSNR of each slice, averaged, " + range, true);
  add.Add("ssim_gauss11_full_slicemean", "1",
          "2-D SSIM (full map) of each slice, averaged, " + range, true);
  return p;
}

Protocol MakeFsRwkv(const EvaluateOptions& options) {
  Protocol p;
  p.name = "fs-rwkv";
  std::string size = options.image_size > 0
                         ? "8-bit pictures resized to " + std::to_string(options.image_size) +
                               " x " + std::to_string(options.image_size) + " (Pillow, bilinear)"
                         : std::string("8-bit pictures as they are");
  p.description = "The published test program: " + size + ", values divided by " +
                  (options.data_range > 0 ? Text(options.data_range)
                                          : std::string("255 (pictures) or by max(1, maximum of "
                                                        "the reference) (volumes)")) +
                  " and clamped to [0, 1]; a slice is an image; mean and sample standard deviation "
                  "over images.";
  p.empty_rule = "PSNR of equal images is infinite";
  Columns add(p);
  add.Add("psnr_db", "dB", "10 log10(1 / MSE), mean over images", true);
  add.Add("ssim_full", "1",
          "SSIM, Gaussian window 11 (sigma 1.5), range 1, mean over the full map (TorchMetrics >= "
          "1.4.2), mean over images",
          true);
  add.Add("ssim_crop", "1",
          "the same without 5 pixels at each border (TorchMetrics <= 1.4.1), mean over images",
          true);
  add.Add("rmse", "1", "sqrt(MSE), mean over images", false);
  return p;
}

Protocol MakeScikitImage(const EvaluateOptions& options) {
  Protocol p;
  p.name = "scikit-image";
  p.description = "skimage.metrics with data_range given: " + RangeText(options) + ".";
  p.empty_rule = "divisions by zero; PSNR of equal images is infinite";
  Columns add(p);
  add.Add("psnr_db", "dB", "peak_signal_noise_ratio", true);
  add.Add("ssim", "1",
          "structural_similarity with its defaults: uniform window 7, sample covariance, windows "
          "wholly inside",
          true);
  add.Add("ssim_gaussian", "1",
          "structural_similarity(gaussian_weights=True, sigma=1.5, use_sample_covariance=False)",
          true);
  add.Add("nrmse_euclidean", "1", "normalized_root_mse: RMSE sqrt(N) / ||t||", false);
  add.Add("nrmse_min_max", "1", "RMSE / (maximum - minimum of the reference)", false);
  return p;
}

Protocol MakeMonai(const EvaluateOptions& options) {
  Protocol p;
  p.name = "monai";
  p.description =
      "MONAI's metrics with their defaults, in double precision, " + RangeText(options) + ".";
  p.empty_rule = "PSNR of equal images is infinite";
  Columns add(p);
  add.Add("psnr_db", "dB", "PSNRMetric(max_val = range)", true);
  add.Add("ssim", "1", "SSIMMetric: Gaussian window 11, sigma 1.5, windows wholly inside", true);
  add.Add("rmse", "image", "RMSEMetric", false);
  add.Add("mae", "image", "MAEMetric", false);
  add.Add("mse", "image^2", "MSEMetric", false);
  return p;
}

Protocol MakeLpips() {
  Protocol p;
  p.name = "lpips";
  p.description =
      "LPIPS (lpips 0.1.x, VGG-16, calibration 0.1, evaluation mode) of grey slices in [0, 1], "
      "scaled as in protocol fs-rwkv, with the weights given by --lpips; mean over slices.";
  p.empty_rule = "of the whole image only, not of a mask";
  Columns add(p);
  add.Add("lpips_vgg_official01", "1", "values fed as [0, 1], as the published program does",
          false);
  add.Add("lpips_vgg_pm1", "1", "values fed as [-1, 1], as the package documents", false);
  return p;
}

}  // namespace

const std::vector<std::string>& TranslationProtocolNames() {
  static const std::vector<std::string> names{"default", "fs-rwkv", "scikit-image", "monai"};
  return names;
}

void PrepareTranslationProtocols(const EvaluateOptions& options, EvaluateResult& result) {
  std::vector<std::string> names = options.protocols;
  if (names == std::vector<std::string>{"default"} && HoldsPictures(options.prediction) &&
      options.mask.empty()) {
    names = {"fs-rwkv"};
  }
  if (!options.lpips.empty()) names.push_back("lpips");
  for (const std::string& name : names) {
    if (std::any_of(result.protocols.begin(), result.protocols.end(),
                    [&](const Protocol& p) { return p.name == name; }))
      continue;
    if (name == "default") {
      result.protocols.push_back(MakeDefault(options));
    } else if (name == "fs-rwkv") {
      result.protocols.push_back(MakeFsRwkv(options));
    } else if (name == "scikit-image") {
      result.protocols.push_back(MakeScikitImage(options));
    } else if (name == "monai") {
      result.protocols.push_back(MakeMonai(options));
    } else if (name == "lpips") {
      if (options.lpips.empty())
        throw OptionError(
            "--protocol lpips needs its weights, which may not be shipped; give them with --lpips");
      result.protocols.push_back(MakeLpips());
    } else {
      throw OptionError("--protocol '" + name +
                        "' is none for --task translation; choose among default, fs-rwkv, "
                        "scikit-image, monai, lpips");
    }
  }
  result.classes = {{0, "image"}};
  if (!options.mask.empty()) result.classes.push_back({1, "mask"});
  const bool published = result.protocols.front().name == "fs-rwkv";
  const std::string under = published ? " (values as in protocol fs-rwkv)" : "";
  const char* unit = published ? "1" : "image";
  const auto add = [&](const char* name, const char* unit_name, const char* definition,
                       bool higher) {
    result.slice_columns.push_back({name, unit_name, definition + under, higher, true, {}});
  };
  add("psnr_db", "dB", "10 log10(range^2 / MSE)", true);
  add("ssim_full", "1", "2-D SSIM, Gaussian window 11, full map", true);
  add("ssim_valid", "1", "the same over windows wholly inside", true);
  add("rmse", unit, "sqrt(MSE)", false);
  add("mae", unit, "mean |p - t|", false);
  add("nmse", "1", "sum (p - t)^2 / sum t^2", false);
}

}  // namespace avocet::core
