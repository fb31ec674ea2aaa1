// SPDX-License-Identifier: Apache-2.0
#include "models/predict/slicing.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "app/base/error.h"
#include "models/preprocess/scipy_zoom.h"

namespace avocet::models {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// Dimension of index axis a in a tensor [k, j, i].
int64_t DimOf(int index_axis) { return 2 - index_axis; }

double PercentileOf(std::vector<float>& values, double percent) {
  const double position = std::clamp(percent, 0.0, 100.0) / 100 * (values.size() - 1);
  const auto below = static_cast<size_t>(position);
  std::nth_element(values.begin(), values.begin() + below, values.end());
  const double low = values[below];
  if (below + 1 >= values.size()) return low;
  const double high = *std::min_element(values.begin() + below + 1, values.end());
  return low + (position - below) * (high - low);
}

int64_t NetworkSide(int64_t side, double spacing_mm, double pixel_mm) {
  return std::max<int64_t>(1, std::llround(side * spacing_mm / pixel_mm));
}

// Each plane of [..., rows, columns] by the protocol's cubic or order-0 zoom.
template <typename T, typename ZoomPlane>
at::Tensor ZoomPlanes(const at::Tensor& planes, int64_t rows, int64_t columns, ZoomPlane zoom) {
  const at::Tensor input = planes.contiguous();
  std::vector<int64_t> shape = input.sizes().vec();
  shape[shape.size() - 2] = rows;
  shape[shape.size() - 1] = columns;
  at::Tensor output = at::empty(shape, input.options());
  const int64_t from = input.size(-2) * input.size(-1);
  const int64_t to = rows * columns;
  const T* source = input.const_data_ptr<T>();
  T* target = output.mutable_data_ptr<T>();
  at::parallel_for(0, input.numel() / from, 1, [&](int64_t begin, int64_t end) {
    for (int64_t p = begin; p < end; ++p) {
      zoom(source + p * from, input.size(-2), input.size(-1), rows, columns, target + p * to);
    }
  });
  return output;
}

}  // namespace

at::Tensor CanonicalFromStored(const at::Tensor& stored, const SliceLayout& layout) {
  TORCH_CHECK(stored.dim() == 3, "a volume [k, j, i] is expected");
  at::Tensor slices =
      stored.permute({DimOf(layout.axis[0]), DimOf(layout.axis[1]), DimOf(layout.axis[2])});
  std::vector<int64_t> reversed;
  for (int part = 0; part < 3; ++part) {
    if (layout.reversed[part]) reversed.push_back(part);
  }
  if (!reversed.empty()) slices = slices.flip(reversed);
  return slices.contiguous();
}

at::Tensor StoredFromCanonical(const at::Tensor& canonical, const SliceLayout& layout) {
  const int64_t lead = canonical.dim() - 3;
  TORCH_CHECK(lead >= 0, "slices [..., slices, rows, columns] are expected");
  std::vector<int64_t> reversed;
  std::vector<int64_t> order(canonical.dim());
  for (int64_t d = 0; d < lead; ++d) order[d] = d;
  for (int part = 0; part < 3; ++part) {
    if (layout.reversed[part]) reversed.push_back(lead + part);
    order[lead + DimOf(layout.axis[part])] = lead + part;
  }
  at::Tensor volume = canonical;
  if (!reversed.empty()) volume = volume.flip(reversed);
  return volume.permute(order).contiguous();
}

at::Tensor IntensityScale::Apply(const at::Tensor& values) const {
  at::Tensor scaled = values.to(at::kFloat);
  const at::Tensor finite = scaled.isfinite();
  if (clips) scaled = scaled.clamp(lower, upper);
  if (offset != 0) scaled = scaled - offset;
  if (factor != 1) scaled = scaled * factor;
  return at::where(finite, scaled, at::zeros({}, scaled.options()));
}

IntensityScale FindIntensityScale(const float* values, int64_t count, const Preprocessing& steps) {
  IntensityScale scale{-kInfinity, kInfinity, 0, 1, false};
  const auto range = [&scale](double lower, double upper) {
    scale = {lower, upper, lower, upper > lower ? 1 / (upper - lower) : 0, true};
  };
  if (steps.intensity == "none") return scale;
  if (steps.intensity == "window") {
    if (!(steps.upper > steps.lower)) {
      throw ModelError(
          "the model's intensity window is empty: its upper end must exceed the lower");
    }
    range(steps.lower, steps.upper);
    return scale;
  }
  std::vector<float> finite;
  finite.reserve(count);
  for (int64_t i = 0; i < count; ++i) {
    if (std::isfinite(values[i])) finite.push_back(values[i]);
  }
  if (steps.intensity == "percentile") {
    if (!(steps.upper > steps.lower)) {
      throw ModelError("the model's percentiles are not in rising order");
    }
    if (finite.empty()) {
      range(0, 0);
      return scale;
    }
    double lower = PercentileOf(finite, steps.lower);
    double upper = PercentileOf(finite, steps.upper);
    if (!(upper > lower)) {
      const auto ends = std::minmax_element(finite.begin(), finite.end());
      lower = *ends.first;
      upper = *ends.second;
    }
    range(lower, upper);
    return scale;
  }
  if (steps.intensity == "zscore") {
    double mean = 0;
    for (float value : finite) mean += value;
    if (!finite.empty()) mean /= finite.size();
    double squares = 0;
    for (float value : finite) squares += (value - mean) * (value - mean);
    const double deviation = finite.empty() ? 0 : std::sqrt(squares / finite.size());
    scale.offset = mean;
    scale.factor = deviation > 0 ? 1 / deviation : 0;
    return scale;
  }
  throw ModelError("the model's intensity scaling is '" + steps.intensity +
                   "'; it must be none, percentile, zscore or window");
}

SliceSource::SliceSource(const VolumeView& volume, const ModelCard& card)
    : volume_(volume),
      steps_(card.preprocessing),
      scale_(FindIntensityScale(volume.values, volume.VoxelCount(), steps_)) {
  if (steps_.context < 0 || steps_.context > 1) {
    throw ModelError("the model's context is " + std::to_string(steps_.context) +
                     " slices; it must be 0 or 1");
  }
  layout_ = FindSliceLayout(volume, card.plane);
  network_rows_ = layout_.size[1];
  network_columns_ = layout_.size[2];
  if (steps_.resample == "spacing") {
    if (!(steps_.pixel_mm > 0)) {
      throw ModelError("the model's pixel size is " + std::to_string(steps_.pixel_mm) +
                       " mm; it must be positive");
    }
    network_rows_ = NetworkSide(layout_.size[1], layout_.spacing[1], steps_.pixel_mm);
    network_columns_ = NetworkSide(layout_.size[2], layout_.spacing[2], steps_.pixel_mm);
  } else if (steps_.resample == "transunet") {
    if (steps_.size[0] < 1 || steps_.size[1] < 1) {
      throw ModelError("the model's slice size is not positive");
    }
    layout_ = StoredSliceLayout(volume);
    network_rows_ = steps_.size[0];
    network_columns_ = steps_.size[1];
  } else if (steps_.resample != "native") {
    throw ModelError("the model's resampling is '" + steps_.resample +
                     "'; it must be native, spacing or transunet");
  }
}

at::Tensor SliceSource::CanonicalSlices(int64_t first, int64_t count) const {
  // Only the wanted slices are touched: a whole canonical copy of a large volume is never made.
  const at::Tensor stored = at::from_blob(const_cast<float*>(volume_.values),
                                          {volume_.size[2], volume_.size[1], volume_.size[0]},
                                          at::TensorOptions().dtype(at::kFloat));
  const int64_t begin = layout_.reversed[0] ? slices() - first - count : first;
  return scale_.Apply(
      CanonicalFromStored(stored.narrow(DimOf(layout_.axis[0]), begin, count), layout_));
}

at::Tensor SliceSource::Resample(const at::Tensor& slices) const {
  if (slices.size(-2) == network_rows_ && slices.size(-1) == network_columns_) return slices;
  if (steps_.resample == "transunet") {
    return ZoomPlanes<float>(slices, network_rows_, network_columns_, preprocess::Zoom2D);
  }
  return at::upsample_bilinear2d(slices, {network_rows_, network_columns_},
                                 /*align_corners=*/false);
}

at::Tensor SliceSource::Batch(int64_t first, int64_t count) const {
  TORCH_CHECK(first >= 0 && count > 0 && first + count <= slices(), "slices out of range");
  const int64_t context = steps_.context;
  const int64_t begin = std::max<int64_t>(0, first - context);
  const int64_t end = std::min(slices(), first + count + context);
  at::Tensor planes = Resample(CanonicalSlices(begin, end - begin).unsqueeze(1));
  if (context == 0) return planes;
  std::vector<int64_t> picked;
  for (int64_t s = first; s < first + count; ++s) {
    for (int64_t c = -context; c <= context; ++c) {
      picked.push_back(std::clamp<int64_t>(s + c, 0, slices() - 1) - begin);
    }
  }
  return planes.index_select(0, at::tensor(picked, at::kLong))
      .reshape({count, channels(), network_rows_, network_columns_});
}

at::Tensor SliceSource::Restored(const at::Tensor& planes, bool corner_aligned) const {
  if (planes.size(-2) == layout_.size[1] && planes.size(-1) == layout_.size[2]) return planes;
  return at::upsample_bilinear2d(planes, {layout_.size[1], layout_.size[2]}, corner_aligned);
}

at::Tensor SliceSource::Labels(const at::Tensor& logits) const {
  const bool small = logits.size(1) <= 256;
  if (steps_.resample == "transunet") {
    at::Tensor labels = logits.argmax(1).to(at::kCPU, small ? at::kByte : at::kInt);
    if (labels.size(1) == layout_.size[1] && labels.size(2) == layout_.size[2]) return labels;
    return small ? ZoomPlanes<uint8_t>(labels, layout_.size[1], layout_.size[2],
                                       preprocess::Zoom2DNearest<uint8_t>)
                 : ZoomPlanes<int32_t>(labels, layout_.size[1], layout_.size[2],
                                       preprocess::Zoom2DNearest<int32_t>);
  }
  return Restored(logits.to(at::kCPU, at::kFloat), false)
      .argmax(1)
      .to(small ? at::kByte : at::kInt);
}

at::Tensor SliceSource::Probabilities(const at::Tensor& logits) const {
  const at::Tensor planes = logits.to(at::kCPU, at::kFloat);
  // The published protocol has no probabilities; these share its corner-aligned sampling.
  if (steps_.resample == "transunet") return Restored(planes.softmax(1), true);
  return Restored(planes, false).softmax(1);
}

at::Tensor SliceSource::NetworkLabels(const at::Tensor& canonical_labels) const {
  if (canonical_labels.size(-2) == network_rows_ && canonical_labels.size(-1) == network_columns_) {
    return canonical_labels.to(at::kLong);
  }
  if (steps_.resample == "transunet") {
    return ZoomPlanes<int32_t>(canonical_labels.to(at::kInt), network_rows_, network_columns_,
                               preprocess::Zoom2DNearest<int32_t>)
        .to(at::kLong);
  }
  // Label values up to 65535 are exact in float32.
  return at::_upsample_nearest_exact2d(canonical_labels.to(at::kFloat).unsqueeze(1),
                                       {network_rows_, network_columns_})
      .squeeze(1)
      .to(at::kLong);
}

}  // namespace avocet::models
