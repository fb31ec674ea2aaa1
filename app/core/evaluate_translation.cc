// SPDX-License-Identifier: Apache-2.0
#include "app/core/evaluate_translation.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <map>
#include <optional>
#include <regex>

#include "app/base/error.h"
#include "io/volume_io.h"
#include "models/metrics/parallel.h"
#include "models/predict/slice_layout.h"
#include "models/preprocess/head_mask.h"
#include "models/preprocess/pillow_resize.h"

namespace avocet::core {
namespace {

namespace fs = std::filesystem;
using metrics::ImagePair;
using metrics::MetricValue;
using metrics::Protocol;
using metrics::ValueState;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

std::string Text(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.6g", value);
  return text;
}

MetricValue Value(double v) {
  return {v, std::isnan(v) ? ValueState::kUndefined : ValueState::kDefined};
}

bool IsPictureFormat(const io::Volume& volume) {
  if (!volume.source) return false;
  const std::string name = volume.source->FormatName();
  return name == "PNG" || name == "JPEG" || name == "TIFF";
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

// Two images on one grid, k across the slices, in double.
struct Images {
  std::vector<double> prediction, reference;
  std::vector<uint8_t> mask;  // empty: none
  std::array<int64_t, 3> size{1, 1, 1};
  std::array<double, 3> spacing{1, 1, 1};
  int dims = 3;
  double range = 1;  // of values, for PSNR and SSIM
  double unit = 1;   // values are divided by it for the published protocol
  bool pictures = false;

  ImagePair Pair(bool masked) const {
    ImagePair pair;
    pair.prediction = prediction.data();
    pair.reference = reference.data();
    std::copy(size.begin(), size.end(), pair.size);
    pair.dims = dims;
    if (masked) pair.mask = mask.data();
    return pair;
  }
};

// values[k][j][i] with its axes in another order: new axis n is old axis order[n].
template <typename To, typename From>
std::vector<To> Reordered(const std::vector<From>& values, const std::array<int64_t, 3>& size,
                          const std::array<int, 3>& order) {
  const std::array<int64_t, 3> step{1, size[0], size[0] * size[1]};
  std::vector<To> out(values.size());
  size_t x = 0;
  for (int64_t c = 0; c < size[order[2]]; ++c)
    for (int64_t b = 0; b < size[order[1]]; ++b)
      for (int64_t a = 0; a < size[order[0]]; ++a)
        out[x++] =
            static_cast<To>(values[a * step[order[0]] + b * step[order[1]] + c * step[order[2]]]);
  return out;
}

// A picture as Pillow's 8-bit grey, resized for the published protocol.
std::vector<uint8_t> GreyBytes(const io::Volume& picture, const std::string& name) {
  if (picture.type != io::VoxelType::kUInt8) {
    throw IoError("'" + name +
                  "' has more than 8 bits; the published protocol takes 8-bit pictures, "
                  "choose --protocol default");
  }
  const int64_t count = picture.geometry.VoxelCount();
  const uint8_t* bytes = picture.As<uint8_t>();
  std::vector<uint8_t> grey(count);
  const int channels = picture.components;
  for (int64_t x = 0; x < count; ++x) {
    grey[x] = channels < 3 ? bytes[x * channels]
                           : preprocess::PillowGrey(bytes[x * channels], bytes[x * channels + 1],
                                                    bytes[x * channels + 2]);
  }
  return grey;
}

fs::path MaskFor(const EvaluateOptions& options, const EvaluatedCase& item) {
  std::error_code error;
  if (!fs::is_directory(options.mask, error)) return options.mask;
  for (const fs::path& path : io::ListVolumes(options.mask)) {
    if (io::StemOf(path) == item.name || io::StemOf(path) == io::StemOf(item.reference))
      return path;
  }
  throw IoError("folder '" + options.mask.string() + "' holds no mask called " + item.name);
}

void RequireScalar(const io::Volume& volume, const fs::path& path) {
  if (volume.components != 1)
    throw IoError("'" + path.string() + "' has " + std::to_string(volume.components) +
                  " values per voxel (colour); give grey images");
  if (volume.frames != 1)
    throw IoError("'" + path.string() + "' holds " + std::to_string(volume.frames) +
                  " volumes (4D); extract the one to score");
}

std::vector<uint8_t> ReadMask(const EvaluateOptions& options, const EvaluatedCase& item,
                              const io::Volume& reference, const std::vector<float>& values) {
  if (options.mask == "head") return preprocess::HeadMask(values.data(), reference.geometry.size);
  const fs::path path = MaskFor(options, item);
  const io::Volume mask = io::ReadVolume(path);
  RequireScalar(mask, path);
  RequireSameGrid(mask.geometry, reference.geometry, options.geometry_tolerance,
                  path.filename().string(), item.reference.filename().string());
  const std::vector<float> stored = mask.ToFloat();
  std::vector<uint8_t> out(stored.size());
  std::transform(stored.begin(), stored.end(), out.begin(), [](float v) { return v != 0; });
  return out;
}

// The 8-bit pictures of the published pipeline.
Images PublishedPictures(const EvaluateOptions& options, const EvaluatedCase& item,
                         const io::Volume& prediction, const io::Volume& reference) {
  Images images;
  images.pictures = true;
  images.dims = 2;
  images.range = images.unit = options.data_range > 0 ? options.data_range : 255;
  const auto load = [&](const io::Volume& picture, const fs::path& path) {
    std::vector<uint8_t> grey = GreyBytes(picture, path.string());
    int64_t cols = picture.geometry.size[0], rows = picture.geometry.size[1];
    if (options.image_size > 0) {
      grey = preprocess::PillowResizeBilinear(grey.data(), rows, cols, options.image_size,
                                              options.image_size);
      rows = cols = options.image_size;
    }
    const std::array<int64_t, 3> size{cols, rows, 1};
    if (images.size != std::array<int64_t, 3>{1, 1, 1} && images.size != size) {
      throw IoError("'" + item.prediction.filename().string() + "' and '" +
                    item.reference.filename().string() + "' have different sizes");
    }
    images.size = size;
    return std::vector<double>(grey.begin(), grey.end());
  };
  images.prediction = load(prediction, item.prediction);
  images.reference = load(reference, item.reference);
  return images;
}

Images LoadImages(const EvaluateOptions& options, const std::vector<Protocol>& protocols,
                  EvaluatedCase& item) {
  const io::Volume prediction = io::ReadVolume(item.prediction);
  const io::Volume reference = io::ReadVolume(item.reference);
  const bool pictures = IsPictureFormat(prediction) && IsPictureFormat(reference);
  item.size = reference.geometry.size;
  item.spacing_mm = reference.geometry.spacing;
  item.dims = options.dims != 0 ? options.dims : item.size[2] == 1 ? 2 : 3;
  item.plane = "as stored";
  if (pictures && protocols.size() == 1 && protocols[0].name == "fs-rwkv" && options.mask.empty()) {
    item.dims = 2;
    return PublishedPictures(options, item, prediction, reference);
  }
  RequireScalar(prediction, item.prediction);
  RequireScalar(reference, item.reference);
  if (pictures) {
    if (prediction.geometry.size != reference.geometry.size)
      throw IoError("'" + item.prediction.filename().string() + "' and '" +
                    item.reference.filename().string() + "' have different sizes");
  } else {
    RequireSameGrid(prediction.geometry, reference.geometry, options.geometry_tolerance,
                    item.prediction.filename().string(), item.reference.filename().string());
  }
  if (item.dims == 2 && item.size[2] != 1)
    throw OptionError(item.reference.filename().string() + " has " + std::to_string(item.size[2]) +
                      " slices; --dims 2 is for images of one slice");
  std::vector<float> p = prediction.ToFloat(), t = reference.ToFloat();
  for (const std::vector<float>* values : {&p, &t}) {
    if (std::any_of(values->begin(), values->end(), [](float v) { return !std::isfinite(v); }))
      throw IoError("'" + (values == &p ? item.prediction : item.reference).string() +
                    "' holds values that are not finite numbers; they cannot be scored");
  }
  Images images;
  images.pictures = pictures;
  images.dims = item.dims;
  std::array<int, 3> order{0, 1, 2};
  if (item.dims == 3 && !pictures) {
    models::VolumeView view{t.data(), reference.geometry.size, reference.geometry.spacing,
                            reference.geometry.direction};
    item.plane = options.plane == "auto" ? models::ChoosePlane(view, "axial") : options.plane;
    const models::SliceLayout layout = models::FindSliceLayout(view, item.plane);
    order = {layout.axis[2], layout.axis[1], layout.axis[0]};
  }
  if (!options.mask.empty()) {
    const std::vector<uint8_t> mask = ReadMask(options, item, reference, t);
    images.mask = Reordered<uint8_t>(mask, item.size, order);
  }
  images.prediction = Reordered<double>(p, item.size, order);
  std::vector<float>().swap(p);
  images.reference = Reordered<double>(t, item.size, order);
  for (int a = 0; a < 3; ++a) {
    images.size[a] = item.size[order[a]];
    images.spacing[a] = item.spacing_mm[order[a]];
  }
  const auto [low, high] = std::minmax_element(images.reference.begin(), images.reference.end());
  if (options.data_range > 0) {
    images.range = images.unit = options.data_range;
  } else if (pictures && reference.type == io::VoxelType::kUInt8) {
    images.range = images.unit = 255;
  } else {
    images.range = *high - *low;
    images.unit = std::max(1.0, *high);
  }
  return images;
}

// Values divided by the unit and clamped to [0, 1].
Images Published(const Images& images) {
  Images out = images;
  for (auto* values : {&out.prediction, &out.reference}) {
    for (double& v : *values) {
      // The published program works on float32 tensors.
      v = std::clamp(static_cast<double>(static_cast<float>(v / images.unit)), 0.0, 1.0);
    }
  }
  out.range = out.unit = 1;
  return out;
}

bool IsConstant(const double* values, int64_t count) {
  return std::all_of(values, values + count, [&](double v) { return v == values[0]; });
}

// Measures of one region, each computed when first asked for.
class Region {
 public:
  Region(const Images& images, bool masked, int threads)
      : images_(images), pair_(images.Pair(masked)), masked_(masked), threads_(threads) {}

  const ImagePair& pair() const { return pair_; }
  const metrics::ErrorMeasures& Errors() {
    if (!errors_) errors_ = metrics::MeasureErrors(pair_);
    return *errors_;
  }
  double Psnr(double range) {
    const double mse = Errors().mse;
    return mse == 0 ? std::numeric_limits<double>::infinity()
                    : 10 * std::log10(range * range / mse);
  }
  const metrics::SsimMeans& Gauss() {
    if (!gauss_) gauss_ = metrics::SsimFullAndValid(pair_, metrics::SsimFsRwkv(images_.range));
    return *gauss_;
  }
  double Uniform7() {
    if (!uniform7_) uniform7_ = metrics::Ssim(pair_, metrics::SsimSkimageDefault(images_.range));
    return *uniform7_;
  }
  const metrics::GradientMeasures& Gradients() {
    if (!gradients_) gradients_ = metrics::CompareGradients(pair_, images_.spacing);
    return *gradients_;
  }
  const metrics::SpectrumMeasures& Spectrum() {
    if (!spectrum_) {
      spectrum_ =
          masked_ ? metrics::SpectrumMeasures{kNan, kNan, {}} : metrics::CompareSpectra(pair_);
    }
    return *spectrum_;
  }

  // PSNR, SSIM full, SSIM valid, RMSE, MAE, NMSE of each slice; rows of NaN where the reference is
  // constant (`skip_constant`) or nothing counts.
  const std::vector<EvaluatedSlice>& Slices(bool skip_constant) {
    if (!slices_.empty()) return slices_;
    slices_.resize(pair_.size[2]);
    metrics::ParallelFor(pair_.size[2], metrics::ResolveThreads(threads_), [&](int64_t k) {
      const ImagePair slice = metrics::SliceOf(pair_, k);
      EvaluatedSlice& row = slices_[k];
      row.slice = k;
      row.values.assign(6, kNan);
      if (skip_constant && IsConstant(slice.reference, slice.Count())) return;
      const metrics::ErrorMeasures e = metrics::MeasureErrors(slice);
      const metrics::SsimMeans ssim =
          metrics::SsimFullAndValid(slice, metrics::SsimFsRwkv(images_.range));
      const double psnr = e.mse == 0 ? std::numeric_limits<double>::infinity()
                                     : 10 * std::log10(images_.range * images_.range / e.mse);
      row.values = {psnr, ssim.full, ssim.valid, e.rmse, e.mae, e.nmse};
    });
    return slices_;
  }
  double SliceMean(size_t column, bool skip_constant) {
    double sum = 0;
    int64_t n = 0;
    for (const EvaluatedSlice& row : Slices(skip_constant)) {
      if (std::isnan(row.values[column])) continue;
      sum += row.values[column];
      ++n;
    }
    return n == 0 ? kNan : sum / static_cast<double>(n);
  }

 private:
  const Images& images_;
  ImagePair pair_;
  bool masked_;
  int threads_;
  std::optional<metrics::ErrorMeasures> errors_;
  std::optional<metrics::SsimMeans> gauss_;
  std::optional<double> uniform7_;
  std::optional<metrics::GradientMeasures> gradients_;
  std::optional<metrics::SpectrumMeasures> spectrum_;
  std::vector<EvaluatedSlice> slices_;
};

std::vector<double> ValuesOf(const std::string& protocol, Region& region, Region& published,
                             double range) {
  const metrics::ErrorMeasures& e = region.Errors();
  if (protocol == "fs-rwkv") {
    return {published.SliceMean(0, false), published.SliceMean(1, false),
            published.SliceMean(2, false), published.SliceMean(3, false)};
  }
  if (protocol == "scikit-image") {
    return {region.Psnr(range), region.Uniform7(), region.Gauss().valid, e.nrmse_euclidean,
            e.nrmse_range};
  }
  if (protocol == "monai") return {region.Psnr(range), region.Gauss().valid, e.rmse, e.mae, e.mse};
  return {region.Psnr(range),
          region.Gauss().full,
          region.Gauss().valid,
          region.Uniform7(),
          e.rmse,
          e.mae,
          e.nmse,
          e.nrmse_range,
          region.Psnr(metrics::TargetRange(region.pair())),
          region.Gradients().correlation,
          region.Gradients().ratio,
          region.Spectrum().high_power_ratio,
          region.Spectrum().high_coherence,
          region.SliceMean(0, true),
          region.SliceMean(1, true)};
}

std::regex SubjectPattern(const EvaluateOptions& options) {
  const std::string pattern = options.subjects.empty() ? "^(sub-[A-Za-z0-9]+)" : options.subjects;
  try {
    return std::regex(pattern);
  } catch (const std::regex_error&) {
    throw OptionError("--subjects '" + pattern + "' is no regular expression");
  }
}

}  // namespace

const std::vector<std::string>& TranslationProtocolNames() {
  static const std::vector<std::string> names{"default", "fs-rwkv", "scikit-image", "monai"};
  return names;
}

void PrepareTranslation(const EvaluateOptions& options, EvaluateResult& result) {
  SubjectPattern(options);
  std::vector<std::string> names = options.protocols;
  if (names == std::vector<std::string>{"default"} && HoldsPictures(options.prediction) &&
      options.mask.empty()) {
    names = {"fs-rwkv"};
  }
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
    } else {
      throw OptionError("--protocol '" + name +
                        "' is none for --task translation; choose among default, fs-rwkv, "
                        "scikit-image, monai");
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

void ScoreTranslation(const EvaluateOptions& options, const std::vector<Protocol>& protocols,
                      EvaluatedCase& item) {
  std::smatch match;
  item.subject = item.name;
  const std::regex pattern = SubjectPattern(options);
  if (std::regex_search(item.name, match, pattern) && match.size() > 1 && match[1].length() > 0) {
    item.subject = match[1].str();
  }
  const Images images = LoadImages(options, protocols, item);
  item.data_range = images.range;
  const bool wants_published = std::any_of(protocols.begin(), protocols.end(),
                                           [](const Protocol& p) { return p.name == "fs-rwkv"; });
  const Images clamped = wants_published ? Published(images) : Images{};
  for (const bool masked : {false, true}) {
    if (masked && images.mask.empty()) continue;
    Region region(images, masked, options.threads);
    Region published(wants_published ? clamped : images, masked, options.threads);
    metrics::ClassScores scores;
    scores.label = masked ? 1 : 0;
    for (const Protocol& protocol : protocols) {
      scores.values.emplace_back();
      for (const double v : ValuesOf(protocol.name, region, published, images.range)) {
        scores.values.back().push_back(Value(v));
      }
    }
    item.classes.push_back(std::move(scores));
    if (masked) continue;
    item.slices =
        protocols.front().name == "fs-rwkv" ? published.Slices(false) : region.Slices(true);
    item.spectrum = region.Spectrum().rings;
  }
}

void SummariseTranslation(const EvaluateResult& result, EvaluatedSet& set) {
  std::map<std::string, size_t> index;
  for (const EvaluatedCase& item : set.cases) {
    if (!item.error.empty()) continue;
    if (index.emplace(item.subject, set.subjects.size()).second) {
      set.subjects.push_back({item.subject, 0, {}});
    }
    ++set.subjects[index[item.subject]].cases;
  }
  for (EvaluatedSubject& subject : set.subjects) subject.values.resize(result.protocols.size());
  set.subject_summaries.resize(result.protocols.size());
  for (size_t p = 0; p < result.protocols.size(); ++p) {
    const size_t columns = result.protocols[p].columns.size();
    set.subject_summaries[p].assign(result.classes.size(),
                                    std::vector<metrics::ClassSummary>(columns));
    for (EvaluatedSubject& subject : set.subjects) {
      subject.values[p].assign(result.classes.size(), std::vector<double>(columns, kNan));
    }
    for (size_t c = 0; c < result.classes.size(); ++c) {
      for (size_t m = 0; m < columns; ++m) {
        std::vector<double> sum(set.subjects.size(), 0);
        std::vector<int64_t> count(set.subjects.size(), 0);
        for (const EvaluatedCase& item : set.cases) {
          if (!item.error.empty() || !item.classes[c].values[p][m].HasValue()) continue;
          sum[index[item.subject]] += item.classes[c].values[p][m].value;
          ++count[index[item.subject]];
        }
        std::vector<MetricValue> values;
        for (size_t s = 0; s < set.subjects.size(); ++s) {
          const double v = count[s] == 0 ? kNan : sum[s] / static_cast<double>(count[s]);
          set.subjects[s].values[p][c][m] = v;
          values.push_back(Value(v));
        }
        set.subject_summaries[p][c][m] = metrics::SummariseClass(
            values, std::vector<metrics::Presence>(values.size(), metrics::Presence::kBoth));
      }
    }
  }
  for (size_t m = 0; m < result.slice_columns.size(); ++m) {
    std::vector<MetricValue> values;
    for (const EvaluatedCase& item : set.cases) {
      if (!item.error.empty()) continue;
      for (const EvaluatedSlice& row : item.slices) values.push_back(Value(row.values[m]));
    }
    set.slice_summaries.push_back(metrics::SummariseClass(
        values, std::vector<metrics::Presence>(values.size(), metrics::Presence::kBoth)));
  }
}

}  // namespace avocet::core
