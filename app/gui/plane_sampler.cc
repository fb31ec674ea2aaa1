// SPDX-License-Identifier: Apache-2.0
#include "app/gui/plane_sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace avocet::gui {
namespace {

constexpr double kOnSlice = 1e-3;  // of a voxel: closer than this a slice is shown as it is

// One screen coordinate's way through one index axis: the two voxels to mix, as memory offsets.
struct Tap {
  int64_t low = 0, high = 0;
  float weight = 0;  // of `high`
  bool inside = false;
};

Tap TapAt(double index, int64_t size, int64_t stride, bool linear) {
  Tap tap;
  tap.inside = index >= -0.5 && index < size - 0.5;
  if (!tap.inside) return tap;
  if (!linear) {
    const auto nearest =
        std::clamp<int64_t>(static_cast<int64_t>(std::floor(index + 0.5)), 0, size - 1);
    tap.low = tap.high = nearest * stride;
    return tap;
  }
  const double clamped = std::clamp(index, 0.0, static_cast<double>(size - 1));
  const auto low = static_cast<int64_t>(clamped);
  tap.low = low * stride;
  tap.high = std::min(low + 1, size - 1) * stride;
  tap.weight = static_cast<float>(clamped - static_cast<double>(low));
  return tap;
}

// Which index axis alone follows the screen's rows, and which its columns; the third stands still.
struct Separable {
  bool yes = false;
  int column_axis = 0, row_axis = 1, still_axis = 2;
};
Separable FindSeparable(const IndexGrid& grid) {
  Separable found;
  int columns = 0, rows = 0;
  for (int axis = 0; axis < 3; ++axis) {
    // Less than a thousandth of a voxel over the whole window counts as nothing.
    const bool by_column = std::abs(grid.along[axis]) * grid.width > kOnSlice;
    const bool by_row = std::abs(grid.down[axis]) * grid.height > kOnSlice;
    if (by_column && by_row) return found;
    if (by_column) {
      ++columns;
      found.column_axis = axis;
    } else if (by_row) {
      ++rows;
      found.row_axis = axis;
    } else {
      found.still_axis = axis;
    }
  }
  found.yes = columns == 1 && rows == 1;
  return found;
}

std::array<int64_t, 3> StridesOf(const io::Geometry& geometry) {
  return {1, geometry.size[0], geometry.size[0] * geometry.size[1]};
}

// Calls `put(pixel, tap of i, tap of j, tap of k)` for pixels inside the volume.
template <typename Put>
void Walk(const io::Geometry& geometry, const IndexGrid& grid, bool linear, const Put& put) {
  const auto strides = StridesOf(geometry);
  const auto& size = geometry.size;
  const Separable separable = FindSeparable(grid);
  if (separable.yes) {
    const int s = separable.still_axis;
    double still = grid.start[s];
    if (std::abs(still - std::round(still)) < kOnSlice) still = std::round(still);
    const Tap deep = TapAt(still, size[s], strides[s], linear);
    if (!deep.inside) return;
    const int c = separable.column_axis;
    const int r = separable.row_axis;
    std::vector<Tap> columns(grid.width);
    for (int x = 0; x < grid.width; ++x) {
      columns[x] = TapAt(grid.start[c] + grid.along[c] * x, size[c], strides[c], linear);
    }
    for (int y = 0; y < grid.height; ++y) {
      const Tap row = TapAt(grid.start[r] + grid.down[r] * y, size[r], strides[r], linear);
      if (!row.inside) continue;
      const size_t line = static_cast<size_t>(y) * grid.width;
      for (int x = 0; x < grid.width; ++x) {
        if (columns[x].inside) put(line + x, columns[x], row, deep);
      }
    }
    return;
  }
  for (int y = 0; y < grid.height; ++y) {
    for (int x = 0; x < grid.width; ++x) {
      Tap taps[3];
      bool inside = true;
      for (int axis = 0; axis < 3 && inside; ++axis) {
        const double index = grid.start[axis] + grid.along[axis] * x + grid.down[axis] * y;
        taps[axis] = TapAt(index, size[axis], strides[axis], linear);
        inside = taps[axis].inside;
      }
      if (inside) put(static_cast<size_t>(y) * grid.width + x, taps[0], taps[1], taps[2]);
    }
  }
}

template <typename T>
void SampleAs(const io::Volume& volume, const SampleOptions& options, const IndexGrid& grid,
              std::vector<float>& values) {
  const int64_t step = volume.components;
  const T* data =
      volume.As<T>() + options.frame * volume.geometry.VoxelCount() * step + options.component;
  const double slope = volume.scaling.slope;
  const double inter = volume.scaling.inter;
  const auto at = [&](int64_t offset) { return static_cast<float>(data[offset * step]); };
  if (!options.linear) {
    Walk(volume.geometry, grid, false, [&](size_t pixel, const Tap& a, const Tap& b, const Tap& c) {
      // In double: large integers keep their value up to the end.
      values[pixel] = static_cast<float>(
          static_cast<double>(data[(a.low + b.low + c.low) * step]) * slope + inter);
    });
    return;
  }
  const auto bilinear = [&](const Tap& a, const Tap& b, int64_t deep) {
    const float top =
        at(a.low + b.low + deep) * (1 - a.weight) + at(a.high + b.low + deep) * a.weight;
    if (b.weight == 0) return top;
    const float bottom =
        at(a.low + b.high + deep) * (1 - a.weight) + at(a.high + b.high + deep) * a.weight;
    return top * (1 - b.weight) + bottom * b.weight;
  };
  const auto factor = static_cast<float>(slope);
  const auto offset = static_cast<float>(inter);
  Walk(volume.geometry, grid, true, [&](size_t pixel, const Tap& a, const Tap& b, const Tap& c) {
    float value = bilinear(a, b, c.low);
    if (c.weight != 0) value = value * (1 - c.weight) + bilinear(a, b, c.high) * c.weight;
    values[pixel] = value * factor + offset;
  });
}

}  // namespace

PlaneGrid GridOf(const ViewFrame& frame) {
  PlaneGrid grid;
  grid.origin = frame.LpsFromPixel(0.5, 0.5);
  grid.along_row = Scale(frame.right, frame.mm_per_pixel);
  grid.down_column = Scale(frame.down, frame.mm_per_pixel);
  grid.width = frame.width;
  grid.height = frame.height;
  return grid;
}

IndexGrid IndexGridOf(const PlaneGrid& grid, const io::Geometry& geometry) {
  IndexGrid index;
  index.width = grid.width;
  index.height = grid.height;
  index.start = geometry.IndexFromPhysical(grid.origin);
  const auto right = geometry.IndexFromPhysical(Add(grid.origin, grid.along_row));
  const auto below = geometry.IndexFromPhysical(Add(grid.origin, grid.down_column));
  for (int axis = 0; axis < 3; ++axis) {
    index.along[axis] = right[axis] - index.start[axis];
    index.down[axis] = below[axis] - index.start[axis];
  }
  return index;
}

void SampleImage(const io::Volume& volume, const SampleOptions& options, const PlaneGrid& grid,
                 std::vector<float>& values) {
  values.assign(static_cast<size_t>(grid.width) * grid.height,
                std::numeric_limits<float>::quiet_NaN());
  if (volume.geometry.VoxelCount() == 0) return;
  const IndexGrid index = IndexGridOf(grid, volume.geometry);
  switch (volume.type) {
    case io::VoxelType::kUInt8:
      return SampleAs<uint8_t>(volume, options, index, values);
    case io::VoxelType::kInt8:
      return SampleAs<int8_t>(volume, options, index, values);
    case io::VoxelType::kUInt16:
      return SampleAs<uint16_t>(volume, options, index, values);
    case io::VoxelType::kInt16:
      return SampleAs<int16_t>(volume, options, index, values);
    case io::VoxelType::kUInt32:
      return SampleAs<uint32_t>(volume, options, index, values);
    case io::VoxelType::kInt32:
      return SampleAs<int32_t>(volume, options, index, values);
    case io::VoxelType::kUInt64:
      return SampleAs<uint64_t>(volume, options, index, values);
    case io::VoxelType::kInt64:
      return SampleAs<int64_t>(volume, options, index, values);
    case io::VoxelType::kFloat32:
      return SampleAs<float>(volume, options, index, values);
    case io::VoxelType::kFloat64:
      return SampleAs<double>(volume, options, index, values);
  }
}

void SampleLabels(const io::Geometry& geometry, const std::vector<uint16_t>& labels,
                  const PlaneGrid& grid, std::vector<uint16_t>& values) {
  values.assign(static_cast<size_t>(grid.width) * grid.height, 0);
  if (geometry.VoxelCount() == 0) return;
  const uint16_t* data = labels.data();
  Walk(geometry, IndexGridOf(grid, geometry), false,
       [&](size_t pixel, const Tap& a, const Tap& b, const Tap& c) {
         values[pixel] = data[a.low + b.low + c.low];
       });
}

}  // namespace avocet::gui
