// SPDX-License-Identifier: Apache-2.0
#include "io/rtstruct.h"

#include "io/dicom_source_series.h"
#include "io/volume_io.h"
#include "tests/io/dicom_test_util.h"
#include "tests/io/io_test_util.h"
#include "tests/support/test_support.h"

namespace avocet::io {
namespace {

namespace fs = std::filesystem;
using test::ExpectError;
using test::GridOf;
using test::LopsidedLabels;
using test::SeriesSpec;
using test::TemporaryFolder;
using test::WriteSeries;

TEST(RtStruct, RoundTripInAllOrientations) {
  int number = 0;
  for (const double turn : {0.0, 0.3}) {
    for (const SeriesSpec& spec : test::AllOrientations(turn)) {
      const fs::path folder = TemporaryFolder() / std::to_string(number++);
      const auto files = WriteSeries(folder / "series", spec);
      const Volume mask = LopsidedLabels(GridOf(spec));
      const auto written = WriteRtStruct(mask, test::SourceOfFiles(files), folder / "rs.dcm", {});
      EXPECT_EQ(written.rois, 3);
      EXPECT_TRUE(written.notes.empty()) << written.notes[0];
      const RtStruct read = ReadRtStruct(folder / "rs.dcm");
      // On the mask's own grid (not the order of the slices in the file): voxel for voxel.
      const RtMask filled = RasterizeRois(read, mask.geometry);
      ASSERT_EQ(filled.volumes.size(), 1U);
      const auto before = mask.ToLabels("mask");
      const auto after = filled.volumes[0].ToLabels("filled");
      const int value_of_roi[] = {0, 1, 2, 5};
      for (size_t i = 0; i < before.size(); ++i)
        ASSERT_EQ(value_of_roi[after[i]], before[i]) << "orientation " << number << " voxel " << i;
      fs::remove_all(folder);
    }
  }
}

TEST(RtStruct, ContoursAcrossEachAxisComeBack) {
  SeriesSpec spec = test::AllOrientations(0.7)[30];
  const Volume mask = LopsidedLabels(GridOf(spec));
  for (int axis = 0; axis < 3; ++axis) {
    const RtStruct contours = ContoursOfLabels(mask, axis, {{1, "one"}});
    ASSERT_EQ(contours.rois.size(), 3U);
    EXPECT_EQ(contours.rois[0].name, "one");
    EXPECT_EQ(contours.rois[2].name, "ROI 5");
    const RtMask filled = RasterizeRois(contours, mask.geometry);
    const auto before = mask.ToLabels("mask");
    const auto after = filled.volumes[0].ToLabels("filled");
    const int value_of_roi[] = {0, 1, 2, 5};
    for (size_t i = 0; i < before.size(); ++i) ASSERT_EQ(value_of_roi[after[i]], before[i]) << axis;
  }
}

TEST(RtStruct, SeparateHoleContoursFollowEvenOdd) {
  Geometry grid;
  grid.size = {20, 20, 3};
  const auto square = [](double low, double high, double z) {
    RtContour contour;
    contour.type = "CLOSED_PLANAR";
    contour.points = {{low, low, z}, {high, low, z}, {high, high, z}, {low, high, z}};
    return contour;
  };
  RtStruct structures;
  structures.rois.resize(2);
  structures.rois[0].number = 1;
  structures.rois[0].contours = {square(1.5, 15.5, 1), square(4.5, 9.5, 1), square(1.5, 5.5, 2.3),
                                 square(3.5, 7.5, 1.8)};
  structures.rois[1].number = 2;
  structures.rois[1].contours = {square(2.5, 3.5, 1), square(2.5, 3.5, 9)};
  const RtMask mask = RasterizeRois(structures, grid);
  ASSERT_EQ(mask.volumes.size(), 2U);  // ROI 2 lies on ROI 1
  EXPECT_EQ(mask.volume_of_roi, (std::vector<size_t>{0, 1}));
  const auto values = mask.volumes[0].ToLabels("test");
  const auto in_slice = [&](int k) {
    return std::count(values.begin() + k * 400, values.begin() + (k + 1) * 400, 1);
  };
  EXPECT_EQ(in_slice(0), 0);
  EXPECT_EQ(in_slice(1), 14 * 14 - 5 * 5);
  EXPECT_EQ(in_slice(2), 16 + 16 - 4);  // two planes in one slice are united
  std::string notes;
  for (const auto& note : mask.notes) notes += note + "\n";
  EXPECT_NE(notes.find("1 contour of ROI 2 lies outside"), std::string::npos) << notes;
  EXPECT_NE(notes.find("united"), std::string::npos) << notes;
}

TEST(RtStruct, TiltedContoursAreRefused) {
  Geometry grid;
  grid.size = {20, 20, 20};
  RtStruct structures;
  structures.rois.resize(1);
  RtContour contour;
  contour.type = "CLOSED_PLANAR";
  contour.points = {{1, 1, 1}, {15, 1, 8}, {15, 15, 12}, {1, 15, 5}};
  structures.rois[0].contours = {contour};
  ExpectError([&] { RasterizeRois(structures, grid); }, {"not parallel"});
}

double Dice(const std::vector<uint16_t>& a, const std::vector<uint16_t>& b) {
  int64_t both = 0;
  int64_t sum = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    both += a[i] && b[i];
    sum += (a[i] != 0) + (b[i] != 0);
  }
  return sum == 0 ? 1 : 2.0 * static_cast<double>(both) / static_cast<double>(sum);
}

// Contours drawn on clinical images, judged by masks that others made of them.
TEST(RtStruct, SarcomaContoursAgreeWithTheirMasks) {
  const fs::path shared = test::SharedData("data/sts_sarcoma");
  if (shared.empty()) GTEST_SKIP();
  for (const char* which : {"STS_002/MR_T1", "STS_019/PET"}) {
    const fs::path folder = shared / "dicom" / which;
    SilentProgress progress;
    const SourceSeries source = ReadSourceSeries(folder / "image", "", progress);
    ASSERT_TRUE(source.regular);
    const RtStruct structures = ReadRtStruct(folder / "mask/RS.dcm");
    const RtMask mask = RasterizeRois(structures, source.geometry);
    ASSERT_EQ(mask.volumes.size(), 1U);
    std::string name = which;
    name.replace(name.find('/'), 1, "/");
    const Volume judge = ReadVolume(shared / "nifti" / (name + "_mask.nii.gz"));
    // The same voxels of the two grids, by position.
    const auto ours = mask.volumes[0].ToLabels("ours");
    const auto theirs = judge.ToLabels("theirs");
    std::vector<uint16_t> moved(theirs.size());
    const auto& s = judge.geometry.size;
    for (int64_t k = 0, n = 0; k < s[2]; ++k)
      for (int64_t j = 0; j < s[1]; ++j)
        for (int64_t i = 0; i < s[0]; ++i, ++n) {
          const auto at = source.geometry.IndexFromPhysical(judge.geometry.PhysicalFromIndex(
              {static_cast<double>(i), static_cast<double>(j), static_cast<double>(k)}));
          int64_t index[3];
          bool inside = true;
          for (int a = 0; a < 3; ++a) {
            index[a] = std::llround(at[a]);
            inside = inside && index[a] >= 0 && index[a] < source.geometry.size[a];
          }
          if (inside)
            moved[static_cast<size_t>(n)] = ours[static_cast<size_t>(
                (index[2] * source.geometry.size[1] + index[1]) * source.geometry.size[0] +
                index[0])];
        }
    EXPECT_GT(std::count(theirs.begin(), theirs.end(), 1), 100) << which;
    std::printf("%s: Dice %.4f\n", which, Dice(moved, theirs));
    EXPECT_GT(Dice(moved, theirs), 0.95) << which;
  }
}

TEST(RtStruct, PointsAreNotedAndTheRestIsRead) {
  const fs::path shared = test::SharedData("data/dicom/misc");
  if (shared.empty()) GTEST_SKIP();
  const RtStruct structures = ReadRtStruct(shared / "rtstruct.dcm");
  ASSERT_EQ(structures.rois.size(), 3U);
  EXPECT_EQ(structures.rois[1].name, "Isocenter 1");
  EXPECT_EQ(structures.rois[0].contours.size(), 3U);
  Geometry grid;
  grid.size = {60, 60, 10};
  grid.spacing = {10, 10, 10};
  grid.origin = {-300, -300, -250};
  const RtMask mask = RasterizeRois(structures, grid);
  // Two ROIs are points: that they enclose nothing and have no voxel is said of each.
  EXPECT_EQ(mask.notes.size(), 4U);
  EXPECT_EQ(mask.voxels[1], 0);
}

// --- structure sets as other programs write them

struct RtSpec {
  struct Contour {
    std::string type = "CLOSED_PLANAR";
    std::string data;
  };
  struct Roi {
    int number = 1;
    std::string name = "organ";
    bool described = true;
    std::vector<Contour> contours;
    std::string frame = "1.2.3.4";
  };
  std::vector<Roi> rois;
  std::vector<std::pair<std::string, std::string>> frames{{"1.2.3.4", "1.2.3.5"}};  // and series
};

// A square from (low, low) to (high, high) at z.
std::string SquareAt(double low, double high, double z) {
  return test::DecimalList({low, low, z, high, low, z, high, high, z, low, high, z});
}

void WriteRt(const RtSpec& spec, const fs::path& path) {
  DcmFileFormat file;
  DcmDataset& d = *file.getDataset();
  const auto put = [](DcmItem& item, const DcmTagKey& tag, const std::string& value) {
    ASSERT_TRUE(item.putAndInsertString(tag, value.c_str()).good());
  };
  const auto add = [](DcmItem& data, const DcmTagKey& sequence) -> DcmItem& {
    DcmItem* item = nullptr;
    EXPECT_TRUE(data.findOrCreateSequenceItem(DcmTag(sequence), item, -2).good());
    return *item;
  };
  put(d, DCM_SOPClassUID, UID_RTStructureSetStorage);
  put(d, DCM_SOPInstanceUID, "1.2.3.6");
  put(d, DCM_Modality, "RTSTRUCT");
  for (const auto& [frame, series] : spec.frames) {
    DcmItem& item = add(d, DCM_ReferencedFrameOfReferenceSequence);
    put(item, DCM_FrameOfReferenceUID, frame);
    put(add(add(item, DCM_RTReferencedStudySequence), DCM_RTReferencedSeriesSequence),
        DCM_SeriesInstanceUID, series);
  }
  for (const RtSpec::Roi& roi : spec.rois) {
    if (!roi.described) continue;
    DcmItem& item = add(d, DCM_StructureSetROISequence);
    put(item, DCM_ROINumber, std::to_string(roi.number));
    put(item, DCM_ReferencedFrameOfReferenceUID, roi.frame);
    put(item, DCM_ROIName, roi.name);
  }
  for (const RtSpec::Roi& roi : spec.rois) {
    DcmItem& item = add(d, DCM_ROIContourSequence);
    put(item, DCM_ReferencedROINumber, std::to_string(roi.number));
    for (const RtSpec::Contour& contour : roi.contours) {
      DcmItem& one = add(item, DCM_ContourSequence);
      put(one, DCM_ContourGeometricType, contour.type);
      put(one, DCM_ContourData, contour.data);
    }
  }
  ASSERT_TRUE(file.saveFile(path.c_str(), EXS_LittleEndianExplicit).good());
}

std::string All(const std::vector<std::string>& notes) {
  std::string text;
  for (const std::string& note : notes) text += note + "\n";
  return text;
}

Geometry Cube() {
  Geometry grid;
  grid.size = {20, 20, 6};
  grid.spacing = {1, 1, 2.5};
  return grid;
}

int64_t InSlice(const Volume& volume, int k, int label = 1) {
  const auto values = volume.ToLabels("test");
  return std::count(values.begin() + k * 400, values.begin() + (k + 1) * 400, label);
}

TEST(RtStruct, ContoursStoredTwiceOrOverlappingAreUnitedAndCounted) {
  const fs::path path = TemporaryFolder() / "rs.dcm";
  RtSpec spec;
  // Twice in one item on one slice, in a second item of the same ROI, overlapping on another slice.
  spec.rois = {{1, "organ", true, {}, "1.2.3.4"}, {1, "organ", false, {}, ""}};
  spec.rois[0].contours = {
      {"CLOSED_PLANAR", SquareAt(1.5, 11.5, 0)},   {"CLOSED_PLANAR", SquareAt(1.51, 11.51, 0)},
      {"CLOSED_PLANAR", SquareAt(1.5, 11.5, 2.5)}, {"CLOSED_PLANAR", SquareAt(1.5, 11.5, 5)},
      {"CLOSED_PLANAR", SquareAt(8.5, 14.5, 5)},   {"CLOSED_PLANAR", SquareAt(4.5, 6.5, 5)}};
  spec.rois[1].contours = {{"CLOSED_PLANAR", SquareAt(1.5, 11.5, 2.5)}};
  WriteRt(spec, path);
  const RtMask mask = RasterizeRois(ReadRtStruct(path), Cube());
  EXPECT_EQ(InSlice(mask.volumes[0], 0), 100);
  EXPECT_EQ(InSlice(mask.volumes[0], 1), 100);
  EXPECT_EQ(InSlice(mask.volumes[0], 2), 100 + 36 - 9 - 4);
  EXPECT_EQ(mask.voxels, (std::vector<int64_t>{200 + 123}));
  EXPECT_NE(All(mask.notes).find("2 contours of ROI 1 'organ' coincide"), std::string::npos)
      << All(mask.notes);
  EXPECT_NE(All(mask.notes).find("2 contours of ROI 1 'organ' overlap"), std::string::npos);
}

TEST(RtStruct, PlanesThatFallOnOneSliceAreUnited) {
  const fs::path path = TemporaryFolder() / "rs.dcm";
  RtSpec spec;
  spec.rois = {{}};
  // A tenth of a millimetre apart: two planes, whether they fall on one slice or on two.
  spec.rois[0].contours = {{"CLOSED_PLANAR", SquareAt(1.5, 11.5, 2.5)},
                           {"CLOSED_PLANAR", SquareAt(3.5, 6.5, 2.6)},
                           {"CLOSED_PLANAR", SquareAt(1.5, 11.5, 6.2)},
                           {"CLOSED_PLANAR", SquareAt(1.5, 11.5, 6.3)},
                           // Digits: a hole of the same plane.
                           {"CLOSED_PLANAR", SquareAt(1.5, 11.5, 10)},
                           {"CLOSED_PLANAR", SquareAt(3.5, 6.5, 10.01)}};
  WriteRt(spec, path);
  const RtMask mask = RasterizeRois(ReadRtStruct(path), Cube());
  EXPECT_EQ(InSlice(mask.volumes[0], 1), 100);
  EXPECT_EQ(InSlice(mask.volumes[0], 2), 100);
  EXPECT_EQ(InSlice(mask.volumes[0], 3), 100);
  EXPECT_EQ(InSlice(mask.volumes[0], 4), 100 - 9);
  EXPECT_NE(All(mask.notes).find("those that share a slice were united"), std::string::npos);
  EXPECT_NE(All(mask.notes).find("2 contours of ROI 1 'organ' lie between slices, up to 1.2 mm"),
            std::string::npos)
      << All(mask.notes);
}

// Halfway between two slices the grid's direction does not decide.
TEST(RtStruct, HalfwayIsTheSliceAtTheSmallerCoordinate) {
  const fs::path path = TemporaryFolder() / "rs.dcm";
  RtSpec spec;
  spec.rois = {{}};
  for (const double z : {3.75, 6.25, 8.75})
    spec.rois[0].contours.push_back({"CLOSED_PLANAR", SquareAt(1.5, 11.5, z)});
  WriteRt(spec, path);
  const Geometry up = Cube();
  Geometry down = up;
  down.direction[8] = -1;
  down.origin[2] = 12.5;
  const RtMask a = RasterizeRois(ReadRtStruct(path), up);
  const RtMask b = RasterizeRois(ReadRtStruct(path), down);
  for (int k = 0; k < 6; ++k) {
    EXPECT_EQ(InSlice(a.volumes[0], k), k >= 1 && k <= 3 ? 100 : 0) << k;
    EXPECT_EQ(InSlice(b.volumes[0], 5 - k), InSlice(a.volumes[0], k)) << k;
  }
}

TEST(RtStruct, OneDamagedRoiDoesNotHideTheOthers) {
  const fs::path path = TemporaryFolder() / "rs.dcm";
  const std::string good = SquareAt(1.5, 11.5, 5);
  for (const std::string& bad :
       {std::string("1\\2\\3\\4"), std::string("1\\2\\x"), std::string("1e9\\0\\0")}) {
    SCOPED_TRACE(bad);
    RtSpec spec;
    spec.rois = {{1, "bad", true, {{"CLOSED_PLANAR", bad}}, "1.2.3.4"},
                 {2, "organ", true, {{"CLOSED_PLANAR", good}, {"CLOSED_PLANAR", bad}}, "1.2.3.4"},
                 {5, "", false, {{"CLOSED_PLANAR", good}, {"CLOSED_PLANAR", good}}, ""},
                 {6, "tilted", true, {}, "1.2.3.4"},
                 {7, "nothing", true, {}, "1.2.3.4"}};
    spec.rois[3].contours = {
        {"CLOSED_PLANAR", test::DecimalList({1, 1, 0, 9, 1, 0, 9, 9, 9, 1, 9, 9})}};
    WriteRt(spec, path);
    const RtStruct read = ReadRtStruct(path);
    EXPECT_EQ(read.rois[0].damaged_contours, 1);
    EXPECT_EQ(read.rois[1].damaged_contours, 1);
    const RtMask mask = RasterizeRois(read, Cube());
    EXPECT_EQ(mask.voxels, (std::vector<int64_t>{0, 100, 0, 0}));
    const std::string notes = All(read.notes) + All(mask.notes);
    for (const char* said : {"ROI 1 'bad' has", "1 damaged of its 2 contours is left out",
                             "2 contours of ROI 5, which the file does not describe, are left out",
                             "1 contour of ROI 6 'tilted' is not parallel",
                             "ROI 1 'bad' has no voxel", "ROI 7 'nothing' has no voxel"})
      EXPECT_NE(notes.find(said), std::string::npos) << said << "\n" << notes;
    spec.rois.resize(1);  // nothing good is left
    WriteRt(spec, path);
    ExpectError([&] { ReadRtStruct(path); }, {"rs.dcm"});
  }
}

TEST(RtStruct, EachRoiNamesItsSpace) {
  const fs::path path = TemporaryFolder() / "rs.dcm";
  RtSpec spec;
  spec.frames = {{"1.1", "1.1.5"}, {"1.2", "1.2.5"}, {"1.1", "1.1.6"}};
  const std::string square = SquareAt(1.5, 11.5, 5);
  spec.rois = {{1, "a", true, {{"CLOSED_PLANAR", square}}, "1.1"},
               {2, "b", true, {{"CLOSED_PLANAR", square}}, "1.2"}};
  WriteRt(spec, path);
  const RtStruct read = ReadRtStruct(path);
  EXPECT_EQ(read.rois[0].space.frame_of_reference_uid, "1.1");
  EXPECT_EQ(read.rois[0].space.series_uids, (std::vector<std::string>{"1.1.5", "1.1.6"}));
  EXPECT_EQ(read.rois[1].space.series_uids, (std::vector<std::string>{"1.2.5"}));
  EXPECT_EQ(read.referenced_series_uids.size(), 3U);
  const RtMask mask = RasterizeRois(read, Cube());
  EXPECT_EQ(mask.volumes[0].frame_of_reference_uid, "1.1");
  EXPECT_EQ(mask.volumes[0].series_instance_uid, "1.1.5");
}

TEST(RtStruct, ReportedFiles) {
  for (const char* name : {"34_rtstruct_holes", "35_rtstruct_odd_contours"}) {
    const fs::path folder = test::SharedData(std::string("data/reported/") + name);
    if (folder.empty()) GTEST_SKIP();
    SilentProgress progress;
    const SourceSeries source = ReadSourceSeries(folder / "ct", "", progress);
    int files = 0;
    for (const auto& entry : fs::directory_iterator(folder)) {
      const std::string stem = entry.path().stem().string();
      if (entry.path().extension() != ".dcm" || stem == "g_outside") continue;
      SCOPED_TRACE(entry.path().filename());
      fs::path want = folder / ("want_" + stem + ".nii.gz");
      if (!fs::exists(want)) want = folder / "want.nii.gz";
      ++files;
      const RtMask mask = RasterizeRois(ReadRtStruct(entry.path()), source);
      auto labels = mask.volumes[0].ToLabels("read");
      auto judge = ReadVolume(want).ToLabels("want");
      for (auto* values : {&labels, &judge})
        for (uint16_t& value : *values) value = value != 0;
      EXPECT_EQ(labels, judge);
    }
    EXPECT_GE(files, 8);
  }
}

}  // namespace
}  // namespace avocet::io
