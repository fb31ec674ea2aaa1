// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "io/dicom_source_series.h"
#include "io/volume.h"

namespace avocet::io {

// Nearest-neighbour look-up of labels along the pixels of a plane somewhere else.
class LabelSampler {
 public:
  LabelSampler(const Geometry& geometry, const std::vector<uint16_t>& labels);

  // Fills rows x columns labels of the plane whose first pixel lies at `origin` and whose column
  // and row index grow by `along_row` and `down_column` (LPS mm per pixel); 0 outside the volume.
  void Sample(const std::array<double, 3>& origin, const std::array<double, 3>& along_row,
              const std::array<double, 3>& down_column, int rows, int columns,
              std::vector<uint16_t>& plane);

  // Largest distance, in voxels, of a plane's corner pixels from a voxel centre so far: near 0 when
  // the planes are voxels of the volume.
  double off_grid() const { return off_grid_; }

 private:
  const Geometry& geometry_;
  const std::vector<uint16_t>& labels_;
  double off_grid_ = 0;
};

// The labels on each slice of a series (rows x columns each). Returns notes: resampled, or voxels
// that lie on no slice. Throws IoError when mask and series do not overlap.
std::vector<std::string> SampleSource(const Geometry& geometry, const std::vector<uint16_t>& labels,
                                      const SourceSeries& source,
                                      std::vector<std::vector<uint16_t>>& planes);

}  // namespace avocet::io
