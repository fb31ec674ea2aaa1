// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "io/dicom_source_series.h"
#include "io/segment_codes.h"
#include "io/volume.h"

namespace avocet::io {

// DICOM Segmentation (PS3.3 A.51; segments C.8.20.2): masks that belong to an image series.

struct Segment {
  int number = 0;     // Segment Number; the label value in what is read
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

struct SegReadResult {
  std::vector<Segment> segments;
  // Label volumes (uint8 or uint16) whose values are segment numbers, all on one grid. Segments
  // that share a voxel are in different volumes, so that nothing is lost: usually there is one.
  std::vector<Volume> volumes;
  std::vector<size_t> volume_of_segment;  // for each of `segments`
  // FRACTIONAL segmentations also give the fractions, 0 to 1, float32, one volume a segment;
  // `volumes` then holds fractions >= 0.5.
  std::vector<Volume> fractions;
  bool overlapping = false;
  std::string referenced_series_uid;  // "" when the file names none
  std::string frame_of_reference_uid;
  // What the header says, for `avocet info`: type, frames, the image series, a line a segment.
  std::vector<std::pair<std::string, std::string>> fields;
  std::vector<std::string> notes;
};

// Reads a segmentation: BINARY, FRACTIONAL or LABELMAP (PS3.3 C.8.20.2, A.51 and A.51.6). Without
// a source series the grid is derived from the positions of the frames: slices that are missing
// inside (empty frames are often omitted) become empty; those missing outside cannot be known.
// Given the source series, the result lies on its grid: voxel for voxel where the frames lie on its
// slices, else resampled by nearest neighbour, and a note says so; fractions are then left out.
// Frames of an unevenly spaced or tilted series need the series (VolumeOfPlanes). Throws IoError.
SegReadResult ReadDicomSeg(const std::filesystem::path& path, const SourceSeries* source = nullptr);

// SeriesInstanceUID of the images that a segmentation names; "" when it names none. Throws IoError.
std::string SeriesNamedBySeg(const std::filesystem::path& path);

// True for a DICOM file whose SOP class is Segmentation or Label Map Segmentation Storage.
bool IsDicomSeg(const std::filesystem::path& path);

}  // namespace avocet::io
