// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "io/dicom_source_series.h"
#include "io/frame_of_reference.h"
#include "io/segment_codes.h"
#include "io/volume.h"

namespace avocet::io {

// DICOM Segmentation (PS3.3 A.51; segments C.8.20.2): masks that belong to an image series.

struct Segment {
  int number = 0;     // Segment Number
  int value = 0;      // label value in what is read: the number, except for a segment 0 (see below)
  std::string label;  // "Liver"
  std::string description;
  CodedConcept category;
  CodedConcept type;
  CodedConcept type_modifier;  // empty, or a side
  std::string algorithm_type;  // "AUTOMATIC", "SEMIAUTOMATIC", "MANUAL"
  std::string algorithm_name;
  std::array<uint8_t, 3> rgb{};
  bool has_rgb = false;
};

// A segment to be written: which label value, and what it is called. Codes and colour come from
// MeaningOfLabel(label) where they are left empty.
struct SegmentToWrite {
  int value = 0;
  Segment segment;  // `number` is given by the writer: 1, 2, ... in order of value
};

struct SegWriteOptions {
  std::vector<SegmentToWrite> segments;  // empty: one for each value in the mask, "Segment <value>"
  bool omit_empty_frames = false;        // default: one frame for each segment and source image
  std::string series_description = "Segmentation";
  std::string content_label = "SEGMENTATION";  // CS: capitals, digits, space, underscore
  std::string algorithm_type = "AUTOMATIC";
  std::string algorithm_name = "Avocet";
  // Name, ID, birth date and examination numbers of the source's patient. A PACS wants them to file
  // the object beside its images; without them only UIDs tie it to these.
  bool keep_patient = false;
  int series_number = 300;
};

struct SegWriteResult {
  std::string sop_instance_uid;
  bool patient_left_out = false;  // the source names a patient, and this object does not
  int frames = 0;
  std::vector<std::string> notes;  // what the user should know, one sentence each
};

// Writes `labels` as a BINARY segmentation on the planes of the source series. A mask stored in
// another voxel order of the same grid is carried over exactly; a mask on another grid is resampled
// (nearest neighbour) and a note says so. The study is that of the source. Throws IoError: no
// overlap with the series, a value without a voxel among `segments` is no error, a mask value
// missing from them is left out with a note.
SegWriteResult WriteDicomSeg(const Volume& labels, const SourceSeries& source,
                             const std::filesystem::path& path, const SegWriteOptions& options);

// Where the distance between the planes of a segmentation's grid comes from, best first.
enum class SliceDistanceFrom {
  kStated,     // SpacingBetweenSlices, and every frame lies on a multiple of it
  kImage,      // the slices of the image series or grid given, on which every frame lies
  kPositions,  // the smallest distance of two frames, of which all others are multiples
  kThickness,  // SliceThickness, of which all distances of frames are multiples
  kAssumed,    // nothing states it: one plane, 1 mm
};
const char* NameOf(SliceDistanceFrom from);  // words for a list of header fields

struct SegReadOptions {
  // The images that it was made of: the result lies on their grid.
  const SourceSeries* source = nullptr;
  // Without `source`: the grid of another volume, whose slices give the distance of the planes
  // where the file states none. The result keeps a grid of its own.
  const Geometry* grid = nullptr;
};

struct SegReadResult {
  std::vector<Segment> segments;
  // Label volumes (uint8 or uint16) whose values are Segment::value, all on one grid. Segments
  // that share a voxel are in different volumes, so that nothing is lost: usually there is one.
  std::vector<Volume> volumes;
  std::vector<size_t> volume_of_segment;  // for each of `segments`
  std::vector<int64_t> voxels;            // in `volumes`, for each of `segments`
  // FRACTIONAL segmentations also give the fractions, 0 to 1, float32, one volume a segment;
  // `volumes` then holds fractions >= 0.5.
  std::vector<Volume> fractions;
  // FRACTIONAL: the pixel value that stands for 1. Not always the stated MaximumFractionalValue:
  // where no pixel is above 1 or some are above the maximum, that cannot be right.
  double fraction_maximum = 0;
  bool fraction_maximum_assumed = false;
  bool overlapping = false;
  SliceDistanceFrom slice_distance_from = SliceDistanceFrom::kStated;
  double slice_distance_mm = 0;       // of the grid that the frames were placed on
  std::string referenced_series_uid;  // the first of these, "" when the file names none
  std::vector<std::string> referenced_series_uids;  // image series that the file names
  std::string frame_of_reference_uid;
  // What the header says, for `avocet info`: type, frames, the image series, a line a segment.
  std::vector<std::pair<std::string, std::string>> fields;
  std::vector<std::string> notes;
};

// Reads a segmentation: BINARY, FRACTIONAL or LABELMAP (PS3.3 C.8.20.2, A.51 and A.51.6). Without
// a source series the grid has the planes from the first to the last frame; planes without a frame
// (empty frames are often omitted) are empty; those outside cannot be known. Their distance comes
// from the first of SliceDistanceFrom that fits the positions of all frames; where it may be wrong
// Volume::assumed.slice_distance is set and a note says so.
// Given the source series, the result lies on its grid: voxel for voxel where the frames lie on its
// slices, else resampled by nearest neighbour, and a note says so; fractions are then left out.
// Frames of an unevenly spaced or tilted series need the series (VolumeOfPlanes).
// A segment 0 that is no background (in a label map whose PixelPaddingValue is another one) has
// the smallest label value that no segment has. What the file holds and the result does not is
// noted: segments without a voxel, frames and pixels of segments that are not described, voxels
// outside the series. Throws IoError.
SegReadResult ReadDicomSeg(const std::filesystem::path& path, const SegReadOptions& options = {});
SegReadResult ReadDicomSeg(const std::filesystem::path& path, const SourceSeries* source);

// The frame of reference of a segmentation and the image series that it names, from its header.
// Throws IoError.
SpaceIdentity SpaceOfSeg(const std::filesystem::path& path);

// True for a DICOM file whose SOP class is Segmentation or Label Map Segmentation Storage.
bool IsDicomSeg(const std::filesystem::path& path);

}  // namespace avocet::io
