// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "io/volume.h"

namespace avocet::core {

// A column of the picture: values on the common grid, i fastest.
struct StripImage {
  std::string title;
  const std::vector<float>* values = nullptr;
};

// Draws the middle axial, coronal and sagittal slice (those planes that have more than one pixel
// each way) as rows: each image under the first one's grey window, then (last image - first image),
// grey where equal, brighter and darker by a quarter of the window's width at the ends. Pixels are
// square in millimetres, orientation radiological with letters ("R?" where it was assumed). Writes
// PNG atomically. Throws IoError.
void WriteComparisonStrip(const io::Geometry& geometry, const std::vector<StripImage>& images,
                          const std::string& footer, const std::filesystem::path& path,
                          const io::Assumptions& assumed = {});

}  // namespace avocet::core
