// SPDX-License-Identifier: Apache-2.0
// Masks on series whose slices are not evenly spaced, on series given beside the mask, and label
// maps.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <numeric>

#include "io/dicom_seg.h"
#include "io/rtstruct.h"
#include "io/volume_io.h"
#include "tests/io/dicom_builder.h"
#include "tests/io/dicom_test_util.h"
#include "tests/io/io_test_util.h"
#include "tests/support/test_support.h"

namespace avocet::io {
namespace {

namespace fs = std::filesystem;
using test::ExpectError;
using test::TemporaryFolder;

// Slices of 8 x 6 pixels at these depths, each shifted along its rows by `shift` mm a slice.
SourceSeries Uneven(const fs::path& folder, const std::vector<double>& depths, double shift = 0) {
  fs::create_directories(folder);
  for (size_t i = 0; i < depths.size(); ++i) {
    test::DicomBuilder slice(8, 6, {10 + shift * static_cast<double>(i), 20, depths[i]}, 5);
    slice.Text(0x00200052, "UI", "1.2.3.8");
    slice.Text(0x00200011, "IS", "4");
    slice.Text(0x00180050, "DS", "2");
    slice.Write(folder / ("s" + std::to_string(depths.size() - i)));
  }
  SilentProgress progress;
  return ReadSourceSeries(folder, "", progress);
}

// One label a slice, so that a slice in the wrong place shows: pixel (i, j) of slice k has label
// k + 1 where i and j are 2 or more.
std::vector<std::vector<uint16_t>> PlanesFor(const SourceSeries& source) {
  std::vector<std::vector<uint16_t>> planes;
  for (size_t k = 0; k < source.slices.size(); ++k) {
    std::vector<uint16_t> plane(static_cast<size_t>(source.rows * source.columns));
    for (int j = 2; j < source.rows; ++j)
      for (int i = 2; i < source.columns; ++i)
        plane[static_cast<size_t>(j * source.columns + i)] = static_cast<uint16_t>(k + 1);
    planes.push_back(std::move(plane));
  }
  return planes;
}

struct Positions {
  std::vector<double> z;
  std::vector<double> x;
};

Positions FramePositions(const fs::path& path) {
  DcmFileFormat file;
  EXPECT_TRUE(file.loadFile(path.c_str()).good());
  DcmSequenceOfItems* frames = nullptr;
  file.getDataset()->findAndGetSequence(DCM_PerFrameFunctionalGroupsSequence, frames);
  Positions positions;
  for (unsigned long i = 0; frames && i < frames->card(); ++i) {
    Float64 x = 0, z = 0;
    frames->getItem(i)->findAndGetFloat64(DCM_ImagePositionPatient, x, 0, OFTrue);
    frames->getItem(i)->findAndGetFloat64(DCM_ImagePositionPatient, z, 2, OFTrue);
    positions.x.push_back(x);
    positions.z.push_back(z);
  }
  return positions;
}

TEST(DicomPlaces, SegFramesLieOnTheTrueSlicesOfAnUnevenSeries) {
  for (const double shift : {0.0, 1.0}) {  // also with a tilted gantry
    const fs::path folder = TemporaryFolder() / std::to_string(shift);
    const std::vector<double> depths{0, 2, 4, 7, 9, 13};
    const SourceSeries source = Uneven(folder / "series", depths, shift);
    EXPECT_FALSE(source.regular);
    ASSERT_EQ(source.slices.size(), 6U);
    EXPECT_NEAR(source.geometry.spacing[2], 13.0 / 7, 0.2);
    const Volume mask = VolumeOfPlanes(PlanesFor(source), source, VoxelType::kUInt8);
    // What the reader resamples the images to.
    ReadOptions options;
    options.regularise = true;
    EXPECT_LT(MaxCornerDistance(ReadVolume(folder / "series", options).geometry, mask.geometry),
              1e-9);
    WriteDicomSeg(mask, source, folder / "seg.dcm", {});
    const Positions at = FramePositions(folder / "seg.dcm");
    ASSERT_EQ(at.z.size(), 36U);  // 6 segments on 6 slices
    for (size_t i = 0; i < 6; ++i) {
      EXPECT_EQ(at.z[i], depths[i]);
      EXPECT_EQ(at.x[i], 10 + shift * static_cast<double>(i));
    }
    // Every slice has its own label, and only that one.
    DcmFileFormat file;
    ASSERT_TRUE(file.loadFile((folder / "seg.dcm").c_str()).good());
    const SegReadResult read = ReadDicomSeg(folder / "seg.dcm", &source);
    ASSERT_EQ(read.volumes.size(), 1U);
    EXPECT_EQ(read.volumes[0].geometry.size, mask.geometry.size);
    EXPECT_EQ(read.volumes[0].data, mask.data);
    // Without the series uneven frames have no grid.
    if (shift == 0) ExpectError([&] { ReadDicomSeg(folder / "seg.dcm"); }, {"seg.dcm", "uneven"});

    WriteRtStruct(mask, source, folder / "rs.dcm", {});
    const RtStruct structures = ReadRtStruct(folder / "rs.dcm");
    ASSERT_EQ(structures.rois.size(), 6U);
    for (size_t r = 0; r < 6; ++r) {
      ASSERT_EQ(structures.rois[r].contours.size(), 1U);
      EXPECT_EQ(structures.rois[r].contours[0].points[0][2], depths[r]);
    }
    const RtMask filled = RasterizeRois(structures, source);
    ASSERT_EQ(filled.volumes.size(), 1U);
    EXPECT_EQ(filled.volumes[0].data, mask.data);
  }
}

TEST(DicomPlaces, GapsTooWideToFillStillTakeAMask) {
  const fs::path folder = TemporaryFolder();
  const SourceSeries source = Uneven(folder / "series", {0, 1, 2, 40});
  EXPECT_EQ(source.geometry.VoxelCount(), 0);
  Geometry grid;  // a mask made elsewhere, on the first slices
  grid.size = {8, 6, 3};
  grid.spacing = {0.5, 0.75, 1};
  grid.origin = {10, 20, 0};
  Volume mask = Volume::Zeros(grid, VoxelType::kUInt8);
  mask.As<uint8_t>()[3] = 1;
  WriteDicomSeg(mask, source, folder / "seg.dcm", {});
  EXPECT_EQ(FramePositions(folder / "seg.dcm").z, (std::vector<double>{0, 1, 2, 40}));
  ExpectError([&] { ReadDicomSeg(folder / "seg.dcm", &source); }, {"too wide"});
}

TEST(DicomPlaces, WhatHasNoPlanesIsNoSource) {
  const fs::path folder = TemporaryFolder();
  test::DicomBuilder picture(8, 6, {0, 0, 0});
  picture.Erase(0x00200032);
  picture.Write(folder / "picture");
  SilentProgress progress;
  ExpectError([&] { ReadSourceSeries(folder / "picture", "", progress); },
              {"picture", "no complete place"});
}

TEST(DicomPlaces, FractionsStayWhereTheFramesLieOnTheSeries) {
  const fs::path path = test::TestData("dicom_seg/highdicom_seg_image_ct_true_fractional.dcm");
  const SegReadResult alone = ReadDicomSeg(path);
  ASSERT_EQ(alone.fractions.size(), 1U);
  // A series on the frames' own slices, found through the segmentation itself.
  SourceSeries source;
  const Geometry& g = alone.volumes[0].geometry;
  source.rows = static_cast<int>(g.size[1]);
  source.columns = static_cast<int>(g.size[0]);
  for (int a = 0; a < 3; ++a) {
    source.row_direction[a] = g.direction[3 * a];
    source.column_direction[a] = g.direction[3 * a + 1];
    source.normal[a] = g.direction[3 * a + 2];
  }
  source.spacing = {g.spacing[1], g.spacing[0]};
  source.geometry = g;
  source.regular = true;
  source.series_uid = alone.referenced_series_uid;
  for (int64_t k = 0; k < g.size[2]; ++k) {
    SourceSlice slice;
    slice.position = g.PhysicalFromIndex({0, 0, static_cast<double>(k)});
    source.slices.push_back(slice);
  }
  const SegReadResult placed = ReadDicomSeg(path, &source);
  ASSERT_EQ(placed.fractions.size(), 1U);
  EXPECT_EQ(placed.fractions[0].data, alone.fractions[0].data);
  // On another grid only labels are carried over, and it says so.
  source.geometry.origin[0] += 0.4 * g.spacing[0];
  for (SourceSlice& slice : source.slices) slice.position[0] += 0.4 * g.spacing[0];
  const SegReadResult moved = ReadDicomSeg(path, &source);
  EXPECT_TRUE(moved.fractions.empty());
  EXPECT_TRUE(std::any_of(moved.notes.begin(), moved.notes.end(), [](const std::string& note) {
    return note.find("fractions were left out") != std::string::npos;
  }));
}

// Judged by the array that highdicom wrote them from.
TEST(DicomPlaces, LabelMaps) {
  for (const char* name : {"labelmap8", "labelmap8_rle", "labelmap16", "labelmap16_rle"}) {
    SCOPED_TRACE(name);
    const fs::path path = test::TestData(std::string("dicom_seg/") + name + ".dcm");
    const int third = std::string(name).find("16") != std::string::npos ? 300 : 3;
    EXPECT_TRUE(IsDicomSeg(path));
    const Volume volume = ReadVolume(path);
    ASSERT_EQ(volume.geometry.size, (std::array<int64_t, 3>{13, 11, 4}));
    EXPECT_EQ(volume.geometry.origin, (std::array<double, 3>{1.5, -2.25, 0.5}));
    const auto labels = volume.ToLabels(name);
    for (int k = 0; k < 4; ++k)
      for (int j = 0; j < 11; ++j)
        for (int i = 0; i < 13; ++i) {
          int expected = 0;
          if (k >= 1 && k < 3 && j >= 2 && j < 7 && i >= 3 && i < 9) expected = 1;
          if (k == 2 && j >= 4 && j < 6 && i >= 5 && i < 7) expected = 2;
          if (k == 3 && j == 8 && i >= 1 && i < 12) expected = third;
          ASSERT_EQ(labels[static_cast<size_t>((k * 11 + j) * 13 + i)], expected);
        }
    const SegReadResult read = ReadDicomSeg(path);
    EXPECT_EQ(read.segments.back().label, "Skin");
    EXPECT_EQ(read.segments.back().number, third);
  }
}

// AVOCET_TEST_PYTHON names a Python that has highdicom.
TEST(DicomPlaces, HighdicomReadsTheSameMask) {
  const char* python = std::getenv("AVOCET_TEST_PYTHON");
  if (!python) GTEST_SKIP() << "AVOCET_TEST_PYTHON is not set";
  std::vector<test::SeriesSpec> specs;
  for (const size_t n : {0, 5, 21, 40}) specs.push_back(test::AllOrientations(0.3)[n]);
  for (size_t n = 0; n < specs.size(); ++n) {
    const fs::path folder = TemporaryFolder() / std::to_string(n);
    const SourceSeries source = test::SourceOfFiles(test::WriteSeries(folder / "series", specs[n]));
    const Volume mask = test::LopsidedLabels(test::GridOf(specs[n]));
    SegWriteOptions options;
    options.omit_empty_frames = n % 2 == 1;
    WriteDicomSeg(mask, source, folder / "seg.dcm", options);
    const std::string script = test::TestData("../io/highdicom_judge.py").string();
    const std::string command = std::string(python) + " '" + script + "' '" +
                                (folder / "seg.dcm").string() + "' > '" +
                                (folder / "judged").string() + "'";
    ASSERT_EQ(std::system(command.c_str()), 0);
    std::ifstream in(folder / "judged");
    const int labels[] = {1, 2, 5};
    const auto values = mask.ToLabels("mask");
    int segments = 0, number = 0;
    int64_t voxels = 0;
    test::Vec3 centroid;
    std::string label;
    while (in >> number >> voxels >> centroid[0] >> centroid[1] >> centroid[2] >> label) {
      const int value = labels[segments++];
      EXPECT_EQ(number, segments);
      EXPECT_EQ(voxels, std::count(values.begin(), values.end(), value));
      EXPECT_LT(test::Distance(centroid, test::CentroidOf(mask, value)), 1e-4);
      EXPECT_EQ(label, "Segment_" + std::to_string(value));
    }
    EXPECT_EQ(segments, 3);
  }
}

// dciodvfy on the odd ones: uneven, tilted, from a multi-frame file, from a mosaic.
TEST(DicomPlaces, OddSourcesPassDciodvfy) {
  if (std::system("command -v dciodvfy >/dev/null 2>&1") != 0) GTEST_SKIP() << "no dciodvfy";
  const fs::path folder = TemporaryFolder();
  const fs::path shared = test::SharedData("data/dicom");
  SilentProgress progress;
  std::vector<SourceSeries> sources{
      Uneven(folder / "uneven", {0, 2, 4, 7, 9}), Uneven(folder / "tilted", {0, 2, 4, 6}, 1.0),
      ReadSourceSeries(test::TestData("dicom/multiframe.dcm"), "", progress)};
  // Sources without identifiers: nothing of them is named, rather than half of it.
  sources.push_back(sources[0]);
  sources.back().series_uid.clear();
  sources.push_back(sources[0]);
  sources.back().slices[1].sop_instance.clear();
  if (!shared.empty()) {
    for (const char* name : {"transfer_syntaxes/1.dcm", "enhanced/siemens_xa10_enhanced_6_1.dcm",
                             "enhanced/pydicom_eCT_Supplemental.dcm", "seg/dcmqi/ct-3slice"}) {
      sources.push_back(ReadSourceSeries(shared / name, "", progress));
    }
  }
  for (size_t n = 0; n < sources.size(); ++n) {
    Volume mask = Volume::Zeros(sources[n].geometry, VoxelType::kUInt8);
    mask.As<uint8_t>()[3] = 1;
    for (const bool keep : {false, true}) {
      SegWriteOptions options;
      options.keep_patient = keep;
      const fs::path seg = folder / "seg.dcm", log = folder / "log";
      WriteDicomSeg(mask, sources[n], seg, options);
      const std::string command = "dciodvfy '" + seg.string() + "' >'" + log.string() + "' 2>&1";
      [[maybe_unused]] const int ignored = std::system(command.c_str());
      const std::string text = test::Slurp(log);
      EXPECT_NE(text.find("Segmentation"), std::string::npos);
      EXPECT_EQ(text.find("Error"), std::string::npos) << sources[n].slices[0].path << text;
    }
  }
}

TEST(DicomPlaces, AMosaicTakesAMaskOnItsTiles) {
  const fs::path shared = test::SharedData("data/dicom/transfer_syntaxes/1.dcm");
  if (shared.empty()) GTEST_SKIP();
  SilentProgress progress;
  const SourceSeries source = ReadSourceSeries(shared, "", progress);
  ASSERT_EQ(source.slices.size(), 35U);
  Volume mask = Volume::Zeros(source.geometry, VoxelType::kUInt8);
  mask.As<uint8_t>()[64 * 64 * 20 + 64 * 30 + 12] = 1;
  const fs::path seg = TemporaryFolder() / "seg.dcm";
  WriteDicomSeg(mask, source, seg, {});
  const SegReadResult read = ReadDicomSeg(seg, &source);
  EXPECT_EQ(read.volumes[0].data, mask.data);
  EXPECT_LT(MaxCornerDistance(ReadDicomSeg(seg).volumes[0].geometry, source.geometry), 1e-3);
}

}  // namespace
}  // namespace avocet::io
