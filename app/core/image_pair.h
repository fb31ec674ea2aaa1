// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "app/core/evaluate.h"
#include "models/metrics/image_quality.h"

namespace avocet::core {

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

  metrics::ImagePair Pair(bool masked) const {
    metrics::ImagePair pair;
    pair.prediction = prediction.data();
    pair.reference = reference.data();
    std::copy(size.begin(), size.end(), pair.size);
    pair.dims = dims;
    if (masked) pair.mask = mask.data();
    return pair;
  }
};

// Reads the two images of a case and brings them to one order of axes; fills size, spacing, dims
// and plane of `item`. Volumes must lie on the same grid; pictures must have the same size (after
// the published pipeline's resize, where protocol fs-rwkv alone is asked for). Throws IoError,
// OptionError, Cancelled.
Images LoadImages(const EvaluateOptions& options, const std::vector<metrics::Protocol>& protocols,
                  EvaluatedCase& item, Progress& progress);

}  // namespace avocet::core
