// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "app/base/progress.h"

namespace avocet::core {

// LPIPS of two images, slice by slice: the job behind `avocet evaluate --lpips`.
struct LpipsOptions {
  std::vector<std::filesystem::path> weights;  // models/perceptual/lpips.h
  // Slices of width x height pixels, x fastest, values in [0, 1].
  const double* prediction = nullptr;
  const double* reference = nullptr;
  int64_t width = 0, height = 0, slices = 0;
  int threads = 0;  // 0 = all
};

struct LpipsResult {
  std::vector<double>
      official01;           // of each slice, values fed as [0, 1] (published FS-RWKV program)
  std::vector<double> pm1;  // fed as [-1, 1] (the package's own convention)
};

}  // namespace avocet::core
