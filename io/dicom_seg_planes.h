// SPDX-License-Identifier: Apache-2.0
#pragma once

// Private to the reader of segmentations: where its frames lie.

#include <array>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "io/dicom_seg.h"

namespace avocet::io::seg {

struct Frame {
  int segment = 0;    // Segment Number; of a label map 0
  size_t pixels = 0;  // which frame of the pixel data, from 0
  std::array<double, 3> position{};
};

// The frames as their functional groups place them, all of one size and orientation.
struct FrameStack {
  int64_t rows = 0, columns = 0;
  std::array<double, 3> row{}, column{}, normal{};
  std::array<double, 2> spacing{};  // as PixelSpacing
  double stated_distance = 0;       // SpacingBetweenSlices; 0 when not stated, or not of all frames
  double thickness = 0;             // SliceThickness; 0 when not stated
  std::vector<Frame> frames;
};

// The grid that the frames were placed on.
struct Placement {
  Geometry geometry;
  std::vector<int64_t> plane_of_frame;
  SliceDistanceFrom from = SliceDistanceFrom::kStated;
  bool assumed = false;  // the slice distance may be another one
  std::vector<std::string> notes;
};

// True when every frame lies on a slice of the series, pixel for pixel: the frames then are planes
// of the series, whatever their distances. Throws IoError when the series is too large.
bool PlaceOnSeries(const FrameStack& stack, const SourceSeries& source,
                   const std::filesystem::path& path, Placement& placement);

// The planes of the frames as an evenly spaced stack; see SliceDistanceFrom. Throws IoError for
// frames at uneven distances or not in one straight stack.
Placement DeriveGrid(const FrameStack& stack, const SegReadOptions& options,
                     const std::filesystem::path& path);

}  // namespace avocet::io::seg
