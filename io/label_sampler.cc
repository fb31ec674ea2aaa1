// SPDX-License-Identifier: Apache-2.0
#include "io/label_sampler.h"

#include <algorithm>
#include <cmath>

#include "app/base/error.h"

namespace avocet::io {

LabelSampler::LabelSampler(const Geometry& geometry, const std::vector<uint16_t>& labels)
    : geometry_(geometry), labels_(labels) {}

void LabelSampler::Sample(const std::array<double, 3>& origin,
                          const std::array<double, 3>& along_row,
                          const std::array<double, 3>& down_column, int rows, int columns,
                          std::vector<uint16_t>& plane) {
  plane.assign(static_cast<size_t>(rows) * columns, 0);
  const auto index_at = [&](double column, double row) {
    std::array<double, 3> x{};
    for (int a = 0; a < 3; ++a) x[a] = origin[a] + column * along_row[a] + row * down_column[a];
    return geometry_.IndexFromPhysical(x);
  };
  // The way from pixel to voxel is linear: three corners give it all.
  const auto base = index_at(0, 0);
  const auto right = index_at(columns - 1, 0);
  const auto down = index_at(0, rows - 1);
  std::array<double, 3> per_column{};
  std::array<double, 3> per_row{};
  for (int a = 0; a < 3; ++a) {
    per_column[a] = columns > 1 ? (right[a] - base[a]) / (columns - 1) : 0;
    per_row[a] = rows > 1 ? (down[a] - base[a]) / (rows - 1) : 0;
  }
  for (const auto& corner : {base, right, down})
    for (int a = 0; a < 3; ++a)
      off_grid_ = std::max(off_grid_, std::abs(corner[a] - std::round(corner[a])));
  const auto& size = geometry_.size;
  size_t next = 0;
  for (int row = 0; row < rows; ++row) {
    for (int column = 0; column < columns; ++column, ++next) {
      int64_t at = 0;
      int64_t stride = 1;
      bool inside = true;
      for (int a = 0; a < 3; ++a) {
        const double x = std::floor(base[a] + column * per_column[a] + row * per_row[a] + 0.5);
        if (!(x >= 0 && x < static_cast<double>(size[a]))) {
          inside = false;
          break;
        }
        at += static_cast<int64_t>(x) * stride;
        stride *= size[a];
      }
      if (inside) plane[next] = labels_[static_cast<size_t>(at)];
    }
  }
}

std::vector<std::string> SampleSource(const Geometry& geometry, const std::vector<uint16_t>& labels,
                                      const SourceSeries& source,
                                      std::vector<std::vector<uint16_t>>& planes) {
  std::vector<std::string> notes = source.notes;
  LabelSampler sampler(geometry, labels);
  planes.resize(source.slices.size());
  std::array<double, 3> along_row{};
  std::array<double, 3> down_column{};
  for (int a = 0; a < 3; ++a) {
    along_row[a] = source.row_direction[a] * source.spacing[1];
    down_column[a] = source.column_direction[a] * source.spacing[0];
  }
  for (size_t i = 0; i < planes.size(); ++i)
    sampler.Sample(source.slices[i].position, along_row, down_column, source.rows, source.columns,
                   planes[i]);
  const auto labelled = [](const std::vector<uint16_t>& v) {
    return v.size() - static_cast<size_t>(std::count(v.begin(), v.end(), 0));
  };
  const size_t in_mask = labelled(labels);
  size_t in_planes = 0;
  for (const auto& plane : planes) in_planes += labelled(plane);
  if (in_mask > 0 && in_planes == 0)
    throw IoError(
        "the mask does not overlap the source series: they lie at different places in the patient; "
        "give the series that the mask was made from");
  if (sampler.off_grid() > 0.05) {
    notes.push_back(
        "the mask lies on another grid than the source series and was resampled to it (nearest "
        "neighbour)");
  } else if (in_mask != in_planes) {
    notes.push_back(std::to_string(in_planes) + " of " + std::to_string(in_mask) +
                    " labelled voxels lie on the images of the source series");
  }
  return notes;
}

}  // namespace avocet::io
