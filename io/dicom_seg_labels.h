// SPDX-License-Identifier: Apache-2.0
#pragma once

// Private to the reader of segmentations: what its pixels mean.

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "io/dicom_pixels.h"
#include "io/dicom_seg.h"
#include "io/dicom_seg_planes.h"

namespace avocet::io::seg {

enum class Kind { kBinary, kFractional, kLabelMap };

// The pixels of a label map that stand for no segment.
struct Background {
  bool has_padding = false;
  int padding = 0;            // PixelPaddingValue
  bool segment_zero = false;  // a segment 0 is described and is a structure, not the background
};

// What the label volumes are made of.
struct Content {
  const std::filesystem::path& path;
  Kind kind = Kind::kBinary;
  const FrameStack& stack;
  const Placement& placement;
  const PixelFrames& pixels;
  double stated_maximum = 1;  // MaximumFractionalValue
  int bits_stored = 8;
  Background background;  // of a label map
};

// Fills volumes, volume_of_segment, voxels, fractions, the fraction's maximum and the notes about
// them. Throws IoError.
void Assemble(const Content& content, SegReadResult& result);

// Voxels of each segment in `result.volumes`.
std::vector<int64_t> CountVoxels(const SegReadResult& result);

// "segment 2 'spleen'".
std::string NameOf(const Segment& segment);
// "3", "3 and 4", "3, 4, 5, ... (12 in all)".
std::string ListOf(const std::vector<size_t>& numbers);

// The labels on the grid of a source series on whose slices the frames do not lie.
void MoveTo(const SourceSeries& source, const std::filesystem::path& path, SegReadResult& result);

// Volumes whose planes are the slices of an uneven series, on its regular grid.
void MoveToUneven(const SourceSeries& source, const std::filesystem::path& path,
                  SegReadResult& result);

}  // namespace avocet::io::seg
