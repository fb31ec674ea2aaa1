// SPDX-License-Identifier: Apache-2.0
#include "app/core/evaluate_translation.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <optional>
#include <regex>

#include "app/base/error.h"
#include "app/core/engine.h"
#include "app/core/image_pair.h"
#include "app/core/lpips.h"
#include "app/core/translation_protocols.h"
#include "models/metrics/parallel.h"

namespace avocet::core {
namespace {

using metrics::ImagePair;
using metrics::MetricValue;
using metrics::Protocol;
using metrics::ValueState;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

MetricValue Value(double v) {
  return {v, std::isnan(v) ? ValueState::kUndefined : ValueState::kDefined};
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

// Means over slices, fed as [0, 1] and as [-1, 1].
std::vector<double> LpipsOf(const Images& images, const EvaluateOptions& options,
                            Progress& progress) {
  LpipsOptions job;
  job.weights = options.lpips;
  job.prediction = images.prediction.data();
  job.reference = images.reference.data();
  job.width = images.size[0], job.height = images.size[1], job.slices = images.size[2];
  job.threads = options.threads;
  const LpipsResult result = LoadEngine().lpips(job, progress);
  const auto mean = [](const std::vector<double>& values) {
    double sum = 0;
    for (const double v : values) sum += v;
    return sum / static_cast<double>(values.size());
  };
  return {mean(result.official01), mean(result.pm1)};
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

void PrepareTranslation(const EvaluateOptions& options, EvaluateResult& result) {
  SubjectPattern(options);
  PrepareTranslationProtocols(options, result);
}

void ScoreTranslation(const EvaluateOptions& options, const std::vector<Protocol>& protocols,
                      EvaluatedCase& item, Progress& progress) {
  std::smatch match;
  item.subject = item.name;
  const std::regex pattern = SubjectPattern(options);
  if (std::regex_search(item.name, match, pattern) && match.size() > 1 && match[1].length() > 0) {
    item.subject = match[1].str();
  }
  const Images images = LoadImages(options, protocols, item, progress);
  item.data_range = images.range;
  const auto wants = [&](const char* name) {
    return std::any_of(protocols.begin(), protocols.end(),
                       [&](const Protocol& p) { return p.name == name; });
  };
  const bool wants_published = wants("fs-rwkv") || wants("lpips");
  const Images clamped = wants_published ? Published(images) : Images{};
  std::vector<double> lpips{kNan, kNan};
  if (wants("lpips")) lpips = LpipsOf(clamped, options, progress);
  for (const bool masked : {false, true}) {
    if (masked && images.mask.empty()) continue;
    Region region(images, masked, options.threads);
    Region published(wants_published ? clamped : images, masked, options.threads);
    metrics::ClassScores scores;
    scores.label = masked ? 1 : 0;
    for (const Protocol& protocol : protocols) {
      scores.values.emplace_back();
      if (protocol.name == "lpips") {
        for (const double v : lpips) scores.values.back().push_back(Value(masked ? kNan : v));
        continue;
      }
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
