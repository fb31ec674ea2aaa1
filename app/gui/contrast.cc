// SPDX-License-Identifier: Apache-2.0
#include "app/gui/contrast.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <type_traits>

namespace avocet::gui {
namespace {

constexpr int kBins = 512;

template <typename T>
ValueStatistics MeasureAs(const io::Volume& volume, int64_t frame, int64_t samples) {
  ValueStatistics result;
  const int64_t count = volume.geometry.VoxelCount();
  const int64_t step = volume.components;
  const T* data = volume.As<T>() + frame * count * step;
  T low = std::numeric_limits<T>::max();
  T high = std::numeric_limits<T>::lowest();
  for (int64_t i = 0; i < count * step; i += step) {
    const T value = data[i];
    if constexpr (std::is_floating_point_v<T>) {
      if (!std::isfinite(value)) continue;
    }
    low = std::min(low, value);
    high = std::max(high, value);
  }
  if (low > high) low = high = 0;  // nothing is finite
  const auto real = [&](T value) {
    return static_cast<double>(value) * volume.scaling.slope + volume.scaling.inter;
  };
  result.minimum = std::min(real(low), real(high));
  result.maximum = std::max(real(low), real(high));
  std::vector<double> values;
  const int64_t stride = std::max<int64_t>(1, count / samples);
  values.reserve(count / stride + 1);
  result.histogram.assign(kBins, 0);
  const double scale =
      result.maximum > result.minimum ? kBins / (result.maximum - result.minimum) : 0;
  for (int64_t i = 0; i < count; i += stride) {
    const double value = real(data[i * step]);
    if (!std::isfinite(value)) continue;
    if (result.integers && value != std::floor(value)) result.integers = false;
    ++result.histogram[std::min<int64_t>(kBins - 1,
                                         static_cast<int64_t>((value - result.minimum) * scale))];
    if (data[i * step] != 0) values.push_back(value);
  }
  if (values.empty()) {
    result.low = result.minimum;
    result.high = result.maximum;
    return result;
  }
  const auto percentile = [&](double share) {
    const auto at = static_cast<size_t>(share * static_cast<double>(values.size() - 1) + 0.5);
    std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(at),
                     values.end());
    return values[at];
  };
  result.low = percentile(0.005);
  result.high = percentile(0.995);
  return result;
}

// Colours between anchors that stand evenly spaced.
std::vector<uint32_t> Between(const std::vector<std::array<int, 3>>& anchors) {
  std::vector<uint32_t> colours(256);
  for (int i = 0; i < 256; ++i) {
    const double at = i / 255.0 * static_cast<double>(anchors.size() - 1);
    const size_t low = std::min(static_cast<size_t>(at), anchors.size() - 2);
    const double weight = at - static_cast<double>(low);
    uint32_t rgb = 0xff;
    for (int c = 0; c < 3; ++c) {
      const double value = anchors[low][c] * (1 - weight) + anchors[low + 1][c] * weight;
      rgb = rgb << 8 | static_cast<uint32_t>(std::lround(value));
    }
    colours[i] = rgb;
  }
  return colours;
}

}  // namespace

Window Window::Between(double low, double high) {
  if (high < low) std::swap(low, high);
  const double least = std::max({1e-6, std::abs(low) * 1e-6, std::abs(high) * 1e-6});
  return {std::max(high - low, least), (low + high) / 2};
}

const std::vector<WindowPreset>& CtPresets() {
  static const std::vector<WindowPreset> presets{
      {"Abdomen", {400, 40}},     {"Liver", {150, 60}},       {"Liver, late phase", {160, 80}},
      {"Lung", {1500, -600}},     {"Mediastinum", {350, 50}}, {"Bone", {1800, 400}},
      {"Brain", {80, 40}},        {"Stroke", {40, 40}},       {"Subdural", {200, 75}},
      {"Angiography", {600, 200}}};
  return presets;
}

ValueStatistics Measure(const io::Volume& volume, int64_t frame, int64_t samples) {
  switch (volume.type) {
    case io::VoxelType::kUInt8:
      return MeasureAs<uint8_t>(volume, frame, samples);
    case io::VoxelType::kInt8:
      return MeasureAs<int8_t>(volume, frame, samples);
    case io::VoxelType::kUInt16:
      return MeasureAs<uint16_t>(volume, frame, samples);
    case io::VoxelType::kInt16:
      return MeasureAs<int16_t>(volume, frame, samples);
    case io::VoxelType::kUInt32:
      return MeasureAs<uint32_t>(volume, frame, samples);
    case io::VoxelType::kInt32:
      return MeasureAs<int32_t>(volume, frame, samples);
    case io::VoxelType::kUInt64:
      return MeasureAs<uint64_t>(volume, frame, samples);
    case io::VoxelType::kInt64:
      return MeasureAs<int64_t>(volume, frame, samples);
    case io::VoxelType::kFloat32:
      return MeasureAs<float>(volume, frame, samples);
    case io::VoxelType::kFloat64:
      return MeasureAs<double>(volume, frame, samples);
  }
  return {};
}

bool IsCt(const io::Volume& volume, const ValueStatistics& statistics) {
  if (!volume.modality.empty()) return volume.modality == "CT";
  // Air is -1000 HU, and padding may lie below it; MR has no such values.
  return statistics.integers && statistics.minimum <= -900 && statistics.maximum >= 200 &&
         statistics.maximum <= 40000;
}

Window DefaultWindow(const io::Volume& volume, const ValueStatistics& statistics) {
  if (IsCt(volume, statistics)) return CtPresets().front().window;
  return Window::Between(statistics.low, statistics.high);
}

const std::vector<ColourMap>& ColourMaps() {
  static const std::vector<ColourMap> maps{
      {"Grey", Between({{0, 0, 0}, {255, 255, 255}})},
      {"Grey, inverted", Between({{255, 255, 255}, {0, 0, 0}})},
      {"Hot", Between({{0, 0, 0}, {230, 0, 0}, {255, 210, 0}, {255, 255, 255}})},
      {"Cool to warm", Between({{59, 76, 192}, {221, 221, 221}, {180, 4, 38}})},
      {"Blue to yellow",
       Between({{68, 1, 84}, {59, 82, 139}, {33, 145, 140}, {94, 201, 98}, {253, 231, 37}})}};
  return maps;
}

}  // namespace avocet::gui
