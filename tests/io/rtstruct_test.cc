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
  EXPECT_NE(notes.find("1 contours of ROI 2 lie outside"), std::string::npos) << notes;
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

}  // namespace
}  // namespace avocet::io
