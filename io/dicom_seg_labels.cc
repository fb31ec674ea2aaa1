// SPDX-License-Identifier: Apache-2.0
#include "io/dicom_seg_labels.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>

#include "app/base/error.h"
#include "io/label_sampler.h"

namespace avocet::io::seg {
namespace fs = std::filesystem;

namespace {

constexpr int64_t kMaxVoxels = int64_t{1} << 31;
// Each overlap is looked for in all layers before.
constexpr size_t kMaxLayers = 256;

[[noreturn]] void Fail(const fs::path& path, const std::string& what) {
  throw IoError(path.string() + " " + what);
}

size_t PlaneSize(const Content& content) {
  return static_cast<size_t>(content.stack.rows * content.stack.columns);
}

int LargestValue(const SegReadResult& result) {
  int largest = 0;
  for (const Segment& segment : result.segments) largest = std::max(largest, segment.value);
  return largest;
}

void AddVolume(const Content& content, const std::vector<uint16_t>& labels, SegReadResult& result) {
  const bool small = LargestValue(result) < 256;
  Volume volume =
      Volume::Zeros(content.placement.geometry, small ? VoxelType::kUInt8 : VoxelType::kUInt16);
  if (small) {
    std::copy(labels.begin(), labels.end(), volume.As<uint8_t>());
  } else {
    std::copy(labels.begin(), labels.end(), volume.As<uint16_t>());
  }
  result.volumes.push_back(std::move(volume));
}

// The frames of each segment, by index in FrameStack::frames.
std::vector<std::vector<size_t>> FramesOfSegments(const Content& content,
                                                  const SegReadResult& result) {
  std::map<int, size_t> index_of_number;
  for (size_t s = 0; s < result.segments.size(); ++s)
    index_of_number[result.segments[s].number] = s;
  std::vector<std::vector<size_t>> frames(result.segments.size());
  for (size_t i = 0; i < content.stack.frames.size(); ++i)
    frames[index_of_number.at(content.stack.frames[i].segment)].push_back(i);
  return frames;
}

// Puts the frames into label volumes: pixels of at least `threshold`. A segment that meets another
// one at a voxel goes on into the next volume.
void AssembleFrames(const Content& content, const std::vector<std::vector<size_t>>& frames,
                    unsigned threshold, SegReadResult& result) {
  const size_t plane = PlaneSize(content);
  const auto voxels = content.placement.geometry.VoxelCount();
  std::vector<std::vector<uint16_t>> layers;
  result.volume_of_segment.assign(result.segments.size(), 0);
  const auto plane_of = [&](std::vector<uint16_t>& layer, size_t i) {
    return layer.data() + static_cast<size_t>(content.placement.plane_of_frame[i]) * plane;
  };
  for (size_t s = 0; s < result.segments.size(); ++s) {
    const auto value = static_cast<uint16_t>(result.segments[s].value);
    size_t layer = 0;
    for (;; ++layer) {
      if (layer == layers.size()) {
        if (layers.size() == kMaxLayers ||
            voxels * static_cast<int64_t>(layers.size() + 1) > kMaxVoxels)
          Fail(content.path, "holds more overlapping segments than can be read");
        layers.emplace_back(static_cast<size_t>(voxels));
      }
      const auto meets = [&](size_t i) {
        const uint16_t* target = plane_of(layers[layer], i);
        const size_t source = content.stack.frames[i].pixels;
        for (size_t p = 0; p < plane; ++p)
          if (target[p] != 0 && content.pixels.Value(source, p) >= threshold) return true;
        return false;
      };
      if (std::none_of(frames[s].begin(), frames[s].end(), meets)) break;
    }
    for (const size_t i : frames[s]) {
      uint16_t* target = plane_of(layers[layer], i);
      const size_t source = content.stack.frames[i].pixels;
      for (size_t p = 0; p < plane; ++p)
        if (content.pixels.Value(source, p) >= threshold) target[p] = value;
    }
    result.volume_of_segment[s] = layer;
  }
  result.overlapping = layers.size() > 1;
  for (const auto& layer : layers) AddVolume(content, layer, result);
  if (result.overlapping)
    result.notes.push_back("segments overlap: they are read into " + std::to_string(layers.size()) +
                           " label volumes");
}

// Largest pixel value of each segment's frames.
std::vector<unsigned> LargestPixels(const Content& content,
                                    const std::vector<std::vector<size_t>>& frames) {
  std::vector<unsigned> largest(frames.size());
  for (size_t s = 0; s < frames.size(); ++s)
    for (const size_t i : frames[s])
      for (size_t p = 0; p < PlaneSize(content); ++p)
        largest[s] = std::max(largest[s], content.pixels.Value(content.stack.frames[i].pixels, p));
  return largest;
}

// The pixel value that stands for the fraction 1.
void ChooseMaximum(const Content& content, unsigned largest, SegReadResult& result) {
  const double stated = content.stated_maximum;
  result.fraction_maximum = stated;
  const std::string states =
      "the file states " + std::to_string(static_cast<long>(stated)) + " as maximal fraction";
  if (largest == 1 && stated > 2) {
    // Not one value between: a mask of 0 and 1 that was stored with the wrong maximum.
    result.fraction_maximum = 1;
    result.fraction_maximum_assumed = true;
    result.notes.push_back(states + ", but all pixels are 0 or 1: it is read as a binary mask");
  } else if (largest > 1.05 * stated) {
    result.fraction_maximum = static_cast<double>((1U << content.bits_stored) - 1);
    result.fraction_maximum_assumed = true;
    result.notes.push_back(states + ", but pixels reach " + std::to_string(largest) + ": " +
                           std::to_string(static_cast<long>(result.fraction_maximum)) +
                           ", the largest value of its pixels, is taken for 1");
  }
}

void AssembleFractional(const Content& content, SegReadResult& result) {
  const size_t plane = PlaneSize(content);
  const auto frames = FramesOfSegments(content, result);
  const std::vector<unsigned> largest = LargestPixels(content, frames);
  ChooseMaximum(content, *std::max_element(largest.begin(), largest.end()), result);
  const auto threshold = static_cast<unsigned>(std::ceil(result.fraction_maximum / 2));
  AssembleFrames(content, frames, threshold, result);
  if (content.placement.geometry.VoxelCount() * static_cast<int64_t>(result.segments.size()) >
      kMaxVoxels / 2)
    Fail(content.path, "holds more fractional segments than fit into memory");
  for (size_t s = 0; s < result.segments.size(); ++s) {
    Volume volume = Volume::Zeros(content.placement.geometry, VoxelType::kFloat32);
    for (const size_t i : frames[s]) {
      float* target =
          volume.As<float>() + static_cast<size_t>(content.placement.plane_of_frame[i]) * plane;
      for (size_t p = 0; p < plane; ++p) {
        const unsigned value = content.pixels.Value(content.stack.frames[i].pixels, p);
        target[p] = static_cast<float>(std::min(1.0, value / result.fraction_maximum));
      }
    }
    result.fractions.push_back(std::move(volume));
  }
  result.notes.push_back("fractional: the labels are where the fraction is at least one half");
  for (size_t s = 0; s < result.segments.size(); ++s) {
    if (largest[s] == 0 || largest[s] >= threshold) continue;
    char fraction[32];
    std::snprintf(fraction, sizeof fraction, "%.2g", largest[s] / result.fraction_maximum);
    result.notes.push_back(NameOf(result.segments[s]) + " reaches a fraction of " + fraction +
                           " at most (" + std::to_string(largest[s]) + " of " +
                           std::to_string(static_cast<long>(result.fraction_maximum)) +
                           "), nowhere one half: its mask is empty");
  }
}

// Pixels of a label map are segment numbers already.
void AssembleLabelMap(const Content& content, SegReadResult& result) {
  const size_t plane = PlaneSize(content);
  std::vector<int> value_of(65536, -1);  // by pixel
  for (const Segment& segment : result.segments)
    value_of[static_cast<size_t>(segment.number)] = segment.value;
  // Pixels of no segment: what the padding says, and 0 unless it is a structure.
  const Background& background = content.background;
  if (!background.segment_zero) value_of[0] = 0;
  if (background.has_padding) value_of[static_cast<size_t>(background.padding)] = 0;
  std::map<unsigned, int64_t> strange;  // pixels of values that mean nothing
  std::vector<uint16_t> labels(static_cast<size_t>(content.placement.geometry.VoxelCount()));
  std::vector<bool> filled(static_cast<size_t>(content.placement.geometry.size[2]));
  for (size_t i = 0; i < content.stack.frames.size(); ++i) {
    const auto at = static_cast<size_t>(content.placement.plane_of_frame[i]);
    if (filled[at]) Fail(content.path, "has two frames of labels at one place");
    filled[at] = true;
    for (size_t p = 0; p < plane; ++p) {
      const unsigned pixel = content.pixels.Value(content.stack.frames[i].pixels, p);
      const int value = value_of[pixel];
      if (value < 0) ++strange[pixel];
      labels[at * plane + p] = static_cast<uint16_t>(std::max(0, value));
    }
  }
  if (strange.size() > 3) {
    int64_t pixels = 0;
    for (const auto& [value, count] : strange) pixels += count;
    result.notes.push_back(std::to_string(pixels) + " pixels of " + std::to_string(strange.size()) +
                           " labels that the file does not describe are left out");
  } else {
    for (const auto& [value, count] : strange)
      result.notes.push_back(std::to_string(count) + " pixels of label " + std::to_string(value) +
                             ", which the file does not describe, are left out");
  }
  result.volume_of_segment.assign(result.segments.size(), 0);
  AddVolume(content, labels, result);
}

}  // namespace

std::string NameOf(const Segment& segment) {
  std::string text = "segment " + std::to_string(segment.number);
  return segment.label.empty() ? text : text + " '" + segment.label + "'";
}

std::string ListOf(const std::vector<size_t>& numbers) {
  std::string text;
  for (size_t n = 0; n < std::min<size_t>(numbers.size(), 5); ++n)
    text += (n == 0 ? "" : n + 1 == numbers.size() ? " and " : ", ") + std::to_string(numbers[n]);
  if (numbers.size() > 5) text += ", ... (" + std::to_string(numbers.size()) + " in all)";
  return text;
}

std::vector<int64_t> CountVoxels(const SegReadResult& result) {
  std::vector<int64_t> voxels(result.segments.size());
  for (size_t v = 0; v < result.volumes.size(); ++v) {
    std::vector<int64_t> of_value(65536);
    for (const uint16_t label : result.volumes[v].ToLabels("the segmentation")) ++of_value[label];
    for (size_t s = 0; s < result.segments.size(); ++s)
      if (result.volume_of_segment[s] == v && result.segments[s].value > 0)
        voxels[s] = of_value[static_cast<size_t>(result.segments[s].value)];
  }
  return voxels;
}

void Assemble(const Content& content, SegReadResult& result) {
  switch (content.kind) {
    case Kind::kBinary:
      AssembleFrames(content, FramesOfSegments(content, result), 1, result);
      break;
    case Kind::kFractional:
      AssembleFractional(content, result);
      break;
    case Kind::kLabelMap:
      AssembleLabelMap(content, result);
      break;
  }
  result.voxels = CountVoxels(result);
}

namespace {

// Segments that had voxels before the labels were moved to another grid, and have none now.
void NoteLost(const std::vector<int64_t>& before, SegReadResult& result) {
  for (size_t s = 0; s < before.size(); ++s)
    if (before[s] > 0 && result.voxels[s] == 0)
      result.notes.push_back("no voxel of " + NameOf(result.segments[s]) +
                             " lies on the image series: its mask is empty");
}

}  // namespace

void MoveToUneven(const SourceSeries& source, const fs::path& path, SegReadResult& result) {
  const size_t plane = static_cast<size_t>(source.rows) * static_cast<size_t>(source.columns);
  for (Volume& volume : result.volumes) {
    const std::vector<uint16_t> labels = volume.ToLabels(path.string());
    std::vector<std::vector<uint16_t>> planes;
    for (size_t k = 0; k < source.slices.size(); ++k)
      planes.emplace_back(labels.begin() + static_cast<ptrdiff_t>(k * plane),
                          labels.begin() + static_cast<ptrdiff_t>((k + 1) * plane));
    volume = VolumeOfPlanes(planes, source, volume.type);
  }
  result.fractions.clear();
  result.notes.push_back(
      "the slices are unevenly spaced or tilted: each voxel of the regular grid has the label of "
      "the nearest slice");
  const std::vector<int64_t> before = result.voxels;
  result.voxels = CountVoxels(result);
  NoteLost(before, result);
}

void MoveTo(const SourceSeries& source, const fs::path& path, SegReadResult& result) {
  if (!source.regular)
    Fail(path,
         "does not lie on the slices of the image series given, which is not evenly spaced; "
         "give the series that it was made from");
  const Geometry& grid = source.geometry;
  if (grid.VoxelCount() > kMaxVoxels) Fail(path, "has a source series that is too large");
  std::array<double, 3> along_row{};
  std::array<double, 3> down_column{};
  for (size_t a = 0; a < 3; ++a) {
    along_row[a] = grid.direction[3 * a] * grid.spacing[0];
    down_column[a] = grid.direction[3 * a + 1] * grid.spacing[1];
  }
  double off_grid = 0;
  for (Volume& volume : result.volumes) {
    const std::vector<uint16_t> labels = volume.ToLabels(path.string());
    LabelSampler sampler(volume.geometry, labels);
    Volume moved = Volume::Zeros(grid, volume.type);
    std::vector<uint16_t> plane;
    for (int64_t k = 0; k < grid.size[2]; ++k) {
      sampler.Sample(grid.PhysicalFromIndex({0, 0, static_cast<double>(k)}), along_row, down_column,
                     source.rows, source.columns, plane);
      const int64_t start = k * grid.size[0] * grid.size[1];
      if (moved.type == VoxelType::kUInt8) {
        std::copy(plane.begin(), plane.end(), moved.As<uint8_t>() + start);
      } else {
        std::copy(plane.begin(), plane.end(), moved.As<uint16_t>() + start);
      }
    }
    off_grid = std::max(off_grid, sampler.off_grid());
    volume = std::move(moved);
  }
  const std::vector<int64_t> before = result.voxels;
  result.voxels = CountVoxels(result);
  if (!result.fractions.empty())
    result.notes.push_back("the fractions were left out: only labels are resampled");
  result.fractions.clear();
  int64_t in_mask = 0;
  int64_t in_series = 0;
  for (size_t s = 0; s < before.size(); ++s) {
    in_mask += before[s];
    in_series += result.voxels[s];
  }
  if (off_grid > 0.05) {
    result.notes.push_back(
        "the segmentation lies on another grid than the image series and was resampled to it "
        "(nearest neighbour)");
  } else if (in_mask != in_series) {
    result.notes.push_back(std::to_string(in_mask - in_series) + " of " + std::to_string(in_mask) +
                           " labelled voxels lie outside the image series and are left out");
  }
  NoteLost(before, result);
}

}  // namespace avocet::io::seg
