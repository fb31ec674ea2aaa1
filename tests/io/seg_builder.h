// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dctk.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "tests/io/dicom_test_util.h"

namespace avocet::test {

// A DICOM segmentation with what a test wants stated, or left out. Frames lie in the planes of
// `series` (position of slice 0 plus a multiple of the step).
struct SegSpec {
  struct Segment {
    int number = 1;
    std::string label = "one";
    bool background = false;  // of type (125040, DCM, "Background")
  };
  struct Frame {
    int segment = 1;
    double slice = 0;             // where it lies, in steps
    std::vector<uint8_t> pixels;  // rows x columns
  };

  SeriesSpec series;  // rows, columns, orientation, spacing
  std::string type = "BINARY";
  std::vector<Segment> segments{{}};
  std::vector<Frame> frames;
  double stated_distance = 0;  // SpacingBetweenSlices, 0: not stated
  double thickness = 0;        // 0: not stated
  bool per_frame = true;       // false: no per-frame functional groups at all
  bool shared_position = false;
  int maximum = 255;                                                // FRACTIONAL
  int padding = -1;                                                 // LABELMAP, -1: not stated
  std::string frame_of_reference = "1.2.826.0.1.3680043.9.9999.4";  // of WriteSeries
  std::vector<std::string> referenced_series{"1.2.826.0.1.3680043.9.9999.3"};

  // A frame whose block of 4 x 3 pixels has `value`.
  static std::vector<uint8_t> Block(const SeriesSpec& series, uint8_t value = 1, int from = 2) {
    std::vector<uint8_t> pixels(static_cast<size_t>(series.rows) *
                                static_cast<size_t>(series.columns));
    for (int j = from; j < from + 3; ++j)
      for (int i = from; i < from + 4; ++i)
        pixels[static_cast<size_t>(j) * static_cast<size_t>(series.columns) +
               static_cast<size_t>(i)] = value;
    return pixels;
  }
  void Add(double slice, int segment = 1, uint8_t value = 1) {
    frames.push_back({segment, slice, Block(series, value)});
  }

  void Write(const std::filesystem::path& path) const;
};

inline DcmItem& NewItem(DcmItem& data, const DcmTagKey& sequence) {
  DcmItem* item = nullptr;
  EXPECT_TRUE(data.findOrCreateSequenceItem(DcmTag(sequence), item, -2).good());
  return *item;
}

inline void SegSpec::Write(const std::filesystem::path& path) const {
  DcmFileFormat file;
  DcmDataset& d = *file.getDataset();
  const auto put = [](DcmItem& item, const DcmTag& tag, const std::string& value) {
    EXPECT_TRUE(item.putAndInsertString(tag, value.c_str()).good());
  };
  const auto u16 = [](DcmItem& item, const DcmTag& tag, int value) {
    EXPECT_TRUE(item.putAndInsertUint16(tag, static_cast<Uint16>(value)).good());
  };
  put(d, DCM_SOPClassUID, UID_SegmentationStorage);
  put(d, DCM_SOPInstanceUID, "1.2.826.0.1.3680043.9.9999.77");
  put(d, DCM_Modality, "SEG");
  put(d, DCM_SeriesInstanceUID, "1.2.826.0.1.3680043.9.9999.78");
  if (!frame_of_reference.empty()) put(d, DCM_FrameOfReferenceUID, frame_of_reference);
  put(d, DCM_SegmentationType, type);
  put(d, DCM_NumberOfFrames, std::to_string(frames.size()));
  put(d, DCM_PhotometricInterpretation, "MONOCHROME2");
  const bool bits = type == "BINARY";
  u16(d, DCM_SamplesPerPixel, 1);
  u16(d, DCM_Rows, series.rows);
  u16(d, DCM_Columns, series.columns);
  u16(d, DCM_BitsAllocated, bits ? 1 : 8);
  u16(d, DCM_BitsStored, bits ? 1 : 8);
  u16(d, DCM_HighBit, bits ? 0 : 7);
  u16(d, DCM_PixelRepresentation, 0);
  if (type == "FRACTIONAL") u16(d, DCM_MaximumFractionalValue, maximum);
  if (padding >= 0) u16(d, DcmTag(DCM_PixelPaddingValue, EVR_US), padding);
  for (const std::string& uid : referenced_series)
    put(NewItem(d, DCM_ReferencedSeriesSequence), DCM_SeriesInstanceUID, uid);
  for (const Segment& segment : segments) {
    DcmItem& item = NewItem(d, DCM_SegmentSequence);
    u16(item, DCM_SegmentNumber, segment.number);
    put(item, DCM_SegmentLabel, segment.label);
    DcmItem& code = NewItem(item, DCM_SegmentedPropertyTypeCodeSequence);
    put(code, DCM_CodeValue, segment.background ? "125040" : "10200004");
    put(code, DCM_CodingSchemeDesignator, segment.background ? "DCM" : "SCT");
    put(code, DCM_CodeMeaning, segment.background ? "Background" : "Liver");
  }
  const auto position = [&](DcmItem& groups, double slice) {
    put(NewItem(groups, DCM_PlanePositionSequence), DCM_ImagePositionPatient,
        DecimalList({series.origin[0] + slice * series.step[0],
                     series.origin[1] + slice * series.step[1],
                     series.origin[2] + slice * series.step[2]}));
  };
  DcmItem& shared = NewItem(d, DCM_SharedFunctionalGroupsSequence);
  DcmItem& measures = NewItem(shared, DCM_PixelMeasuresSequence);
  put(measures, DCM_PixelSpacing, DecimalList({series.row_spacing, series.column_spacing}));
  if (stated_distance != 0) put(measures, DCM_SpacingBetweenSlices, DecimalList({stated_distance}));
  if (thickness != 0) put(measures, DCM_SliceThickness, DecimalList({thickness}));
  put(NewItem(shared, DCM_PlaneOrientationSequence), DCM_ImageOrientationPatient,
      DecimalList({series.row[0], series.row[1], series.row[2], series.column[0], series.column[1],
                   series.column[2]}));
  if (shared_position && !frames.empty()) {
    position(shared, frames[0].slice);
    u16(NewItem(shared, DCM_SegmentIdentificationSequence), DCM_ReferencedSegmentNumber,
        frames[0].segment);
  }
  std::vector<uint8_t> bytes;
  size_t next = 0;
  for (const Frame& frame : frames) {
    if (per_frame) {
      DcmItem& groups = NewItem(d, DCM_PerFrameFunctionalGroupsSequence);
      if (!shared_position) {
        position(groups, frame.slice);
        if (type != "LABELMAP")
          u16(NewItem(groups, DCM_SegmentIdentificationSequence), DCM_ReferencedSegmentNumber,
              frame.segment);
      }
    }
    for (const uint8_t pixel : frame.pixels) {
      if (!bits) {
        bytes.push_back(pixel);
        continue;
      }
      bytes.resize(next / 8 + 1);
      if (pixel != 0) bytes[next / 8] |= static_cast<uint8_t>(1U << (next % 8));
      ++next;
    }
  }
  if (bytes.size() % 2) bytes.push_back(0);
  EXPECT_TRUE(d.putAndInsertUint8Array(DcmTag(DCM_PixelData, EVR_OB), bytes.data(),
                                       static_cast<unsigned long>(bytes.size()))
                  .good());
  EXPECT_TRUE(file.saveFile(path.c_str(), EXS_LittleEndianExplicit).good());
}

}  // namespace avocet::test
