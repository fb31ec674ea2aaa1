// SPDX-License-Identifier: Apache-2.0
// Segmentations of which only some frames are there, or whose pixels mean something unusual: where
// they lie, how thick they are, and that nothing of them is lost without a sentence.
#include <gtest/gtest.h>

#include <algorithm>

#include "io/dicom_seg.h"
#include "io/volume_io.h"
#include "tests/io/dicom_test_util.h"
#include "tests/io/io_test_util.h"
#include "tests/io/seg_builder.h"
#include "tests/support/test_support.h"

namespace avocet::io {
namespace {

namespace fs = std::filesystem;
using test::ExpectError;
using test::SegSpec;
using test::SeriesSpec;
using test::TemporaryFolder;

constexpr double kStep = 2.5;  // of SeriesSpec

int64_t CountOf(const Volume& volume, int label) {
  const auto values = volume.ToLabels("test");
  return std::count(values.begin(), values.end(), label);
}

// Slices of the volume that hold the label.
std::vector<int> SlicesWith(const Volume& volume, int label) {
  const auto values = volume.ToLabels("test");
  const auto plane = static_cast<size_t>(volume.geometry.size[0] * volume.geometry.size[1]);
  std::vector<int> slices;
  for (size_t k = 0; k < static_cast<size_t>(volume.geometry.size[2]); ++k) {
    const auto first = values.begin() + static_cast<ptrdiff_t>(k * plane);
    if (std::count(first, first + static_cast<ptrdiff_t>(plane), label) > 0)
      slices.push_back(static_cast<int>(k));
  }
  return slices;
}

std::string All(const std::vector<std::string>& notes) {
  std::string text;
  for (const std::string& note : notes) text += note + "\n";
  return text;
}

// Oblique, as the ones of clinical series.
SeriesSpec Oblique() { return test::AllOrientations(0.3)[9]; }

struct Wanted {
  const char* name;
  std::vector<double> frames;  // slices, in the order of the file
  double stated = 0, thickness = 0;
  SliceDistanceFrom from = SliceDistanceFrom::kStated;
  double distance = kStep;
  std::vector<int> slices;  // of the grid that hold voxels
  int64_t planes = 0;
  bool assumed = false;
};

TEST(SparseSeg, TheDistanceIsTheStatedOneThenThatOfThePositionsOrTheThickness) {
  using From = SliceDistanceFrom;
  const Wanted kWanted[] = {
      {"middle", {2, 3, 4}, kStep, 2, From::kStated, kStep, {0, 1, 2}, 3, false},
      {"two far", {0, 6}, kStep, 2, From::kStated, kStep, {0, 6}, 7, false},
      {"1, 3 and 7", {0, 2, 6}, kStep, 2, From::kStated, kStep, {0, 2, 6}, 7, false},
      {"2 and 3 apart", {0, 2, 5}, kStep, 0, From::kStated, kStep, {0, 2, 5}, 6, false},
      {"every second", {0, 2, 4, 6}, kStep, 2, From::kStated, kStep, {0, 2, 4, 6}, 7, false},
      {"one", {3}, kStep, 2, From::kStated, kStep, {0}, 1, false},
      {"backwards", {4, 3, 2}, kStep, 2, From::kStated, kStep, {0, 1, 2}, 3, false},
      {"negative", {0, 2}, -kStep, 2, From::kStated, kStep, {0, 2}, 3, false},
      {"thickness only", {0, 4}, 0, kStep, From::kThickness, kStep, {0, 4}, 5, true},
      {"thickness, one slice", {1}, 0, kStep, From::kThickness, kStep, {0}, 1, true},
      {"thickness, uneven", {0, 2, 5}, 0, kStep, From::kThickness, kStep, {0, 2, 5}, 6, true},
      {"contiguous", {0, 1, 2}, 0, kStep, From::kPositions, kStep, {0, 1, 2}, 3, false},
      {"small gaps", {0, 1, 2}, 0, 2, From::kPositions, kStep, {0, 1, 2}, 3, false},
      {"overlapping", {0, 1, 3}, 0, 4, From::kPositions, kStep, {0, 1, 3}, 4, false},
      {"nothing", {0, 2, 6}, 0, 0, From::kPositions, 2 * kStep, {0, 1, 3}, 4, true},
      {"nothing, one slice", {1}, 0, 0, From::kAssumed, 1, {0}, 1, true},
      // What is stated does not fit the positions.
      {"wrong", {0, 1, 2}, 1.7, kStep, From::kPositions, kStep, {0, 1, 2}, 3, false},
  };
  const fs::path path = TemporaryFolder() / "seg.dcm";
  for (const Wanted& wanted : kWanted) {
    SCOPED_TRACE(wanted.name);
    SegSpec spec;
    spec.series = Oblique();
    spec.stated_distance = wanted.stated;
    spec.thickness = wanted.thickness;
    for (const double slice : wanted.frames) spec.Add(slice);
    spec.Write(path);
    const SegReadResult read = ReadDicomSeg(path);
    ASSERT_EQ(read.volumes.size(), 1U);
    const Volume& volume = read.volumes[0];
    EXPECT_EQ(read.slice_distance_from, wanted.from);
    EXPECT_NEAR(read.slice_distance_mm, wanted.distance, 1e-6);
    EXPECT_NEAR(volume.geometry.spacing[2], wanted.distance, 1e-6);
    EXPECT_EQ(volume.geometry.size[2], wanted.planes);
    EXPECT_EQ(SlicesWith(volume, 1), wanted.slices);
    EXPECT_EQ(volume.assumed.slice_distance, wanted.assumed) << All(read.notes);
    EXPECT_EQ(read.voxels, (std::vector<int64_t>{12 * static_cast<int64_t>(wanted.frames.size())}));
    // What is not plainly stated is said.
    const bool said = All(read.notes).find("distance") != std::string::npos;
    EXPECT_EQ(said, wanted.assumed || (wanted.from != From::kStated && wanted.stated > 0))
        << All(read.notes);
  }
}

TEST(SparseSeg, OnItsSeriesEveryFrameIsItsSlice) {
  const fs::path folder = TemporaryFolder();
  const SeriesSpec series = Oblique();
  const SourceSeries source = test::SourceOfFiles(test::WriteSeries(folder / "ct", series));
  for (const double stated : {kStep, 0.0, 5.0}) {
    for (const char* type : {"BINARY", "FRACTIONAL"}) {
      SCOPED_TRACE(std::to_string(stated) + type);
      SegSpec spec;
      spec.series = series;
      spec.type = type;
      spec.stated_distance = stated;
      spec.segments = {{1, "a"}, {2, "b"}};
      spec.Add(1, 1, 255);
      spec.Add(6, 2, 255);
      spec.Write(folder / "seg.dcm");
      const SegReadResult read = ReadDicomSeg(folder / "seg.dcm", &source);
      // The grid of the series runs along its normal; slices of the step may be counted backwards.
      ASSERT_EQ(read.volumes[0].geometry.size[2], series.slices);
      EXPECT_EQ(read.slice_distance_from, SliceDistanceFrom::kImage);
      EXPECT_FALSE(read.volumes[0].assumed.slice_distance);
      for (const auto& [label, slice] : {std::pair<int, double>{1, 1}, {2, 6}}) {
        const auto slices = SlicesWith(read.volumes[0], label);
        ASSERT_EQ(slices.size(), 1U);
        const auto index = read.volumes[0].geometry.IndexFromPhysical(
            {series.origin[0] + slice * series.step[0], series.origin[1] + slice * series.step[1],
             series.origin[2] + slice * series.step[2]});
        EXPECT_NEAR(index[2], slices[0], 1e-6);
      }
    }
  }
}

// Without a series, the grid of another volume tells the distance where the file does not.
TEST(SparseSeg, SlicesOfAnotherVolumeSettleTheDistance) {
  const fs::path path = TemporaryFolder() / "seg.dcm";
  SegSpec spec;
  spec.series = Oblique();
  spec.Add(1);
  spec.Add(5);
  spec.Write(path);
  SegReadOptions options;
  const Geometry grid = test::GridOf(spec.series);
  options.grid = &grid;
  const SegReadResult read = ReadDicomSeg(path, options);
  EXPECT_EQ(read.slice_distance_from, SliceDistanceFrom::kImage);
  EXPECT_EQ(read.volumes[0].geometry.size[2], 5);
  EXPECT_NEAR(read.slice_distance_mm, kStep, 1e-6);
  // Frames beside its slices do not belong to it.
  Geometry other = grid;
  for (size_t a = 0; a < 3; ++a) other.origin[a] += 0.4 * spec.series.step[a];
  options.grid = &other;
  EXPECT_EQ(ReadDicomSeg(path, options).slice_distance_from, SliceDistanceFrom::kPositions);
}

TEST(SparseSeg, PositionsMayBeSharedButNotMissing) {
  const fs::path path = TemporaryFolder() / "seg.dcm";
  SegSpec spec;
  spec.shared_position = true;
  spec.stated_distance = kStep;
  spec.Add(3);
  for (const bool per_frame : {true, false}) {  // one frame may leave the per-frame groups out
    spec.per_frame = per_frame;
    spec.Write(path);
    EXPECT_EQ(CountOf(ReadDicomSeg(path).volumes[0], 1), 12);
  }
  spec.Add(4);
  spec.Write(path);
  ExpectError([&] { ReadDicomSeg(path); }, {"seg.dcm", "no per-frame functional groups"});
}

TEST(SparseSeg, VolumesNameTheirSpace) {
  const fs::path path = TemporaryFolder() / "seg.dcm";
  SegSpec spec;
  spec.referenced_series = {"1.2.3.1", "1.2.3.2", "1.2.3.1"};
  spec.stated_distance = kStep;
  spec.Add(0);
  spec.Write(path);
  const SegReadResult read = ReadDicomSeg(path);
  EXPECT_EQ(read.referenced_series_uids, (std::vector<std::string>{"1.2.3.1", "1.2.3.2"}));
  EXPECT_EQ(read.volumes[0].frame_of_reference_uid, spec.frame_of_reference);
  EXPECT_EQ(read.volumes[0].series_instance_uid, "1.2.3.1");
  EXPECT_EQ(SpaceOfSeg(path).series_uids, read.referenced_series_uids);
  EXPECT_EQ(SpaceOf(read.volumes[0]).frame_of_reference_uid, spec.frame_of_reference);
}

// --- what pixels mean

SegSpec LabelMapOf(std::vector<SegSpec::Segment> segments, int padding) {
  SegSpec spec;
  spec.type = "LABELMAP";
  spec.stated_distance = kStep;
  spec.segments = std::move(segments);
  spec.padding = padding;
  // 143 pixels of 9 (or what means no segment), 12 of segment 0, 12 of segment 7 on two slices.
  for (const int slice : {0, 1}) {
    SegSpec::Frame frame;
    frame.slice = slice;
    frame.pixels.assign(static_cast<size_t>(spec.series.rows * spec.series.columns),
                        static_cast<uint8_t>(std::max(0, padding)));
    for (int i = 0; i < 6; ++i) {
      frame.pixels[static_cast<size_t>(20 + i)] = 0;
      frame.pixels[static_cast<size_t>(60 + i)] = 7;
    }
    spec.frames.push_back(frame);
  }
  return spec;
}

TEST(SegMeaning, ASegmentZeroUnderAnotherPaddingKeepsItsVoxels) {
  const fs::path path = TemporaryFolder() / "seg.dcm";
  LabelMapOf({{0, "kidney"}, {7, "mass"}}, 255).Write(path);
  const SegReadResult read = ReadDicomSeg(path);
  EXPECT_EQ(read.segments[0].number, 0);
  EXPECT_EQ(read.segments[0].value, 1);
  EXPECT_EQ(CountOf(read.volumes[0], 1), 12);
  EXPECT_EQ(CountOf(read.volumes[0], 7), 12);
  EXPECT_NE(All(read.notes).find("segment 0 'kidney' has the label value 1"), std::string::npos);
  // The value is one that no segment has.
  LabelMapOf({{0, "kidney"}, {1, "other"}, {2, "more"}, {7, "mass"}}, 255).Write(path);
  const SegReadResult more = ReadDicomSeg(path);
  EXPECT_EQ(more.segments[0].value, 3);
  EXPECT_EQ(CountOf(more.volumes[0], 3), 12);
  EXPECT_NE(All(more.notes).find("segment 1 'other', segment 2 'more' have no voxels"),
            std::string::npos)
      << All(more.notes);
  // A described background is none of the structures, whatever the padding.
  for (const int padding : {255, 0, -1}) {
    SCOPED_TRACE(padding);
    LabelMapOf({{0, "Background", true}, {7, "mass"}}, padding).Write(path);
    const SegReadResult plain = ReadDicomSeg(path);
    EXPECT_EQ(plain.segments[0].value, 0);
    EXPECT_TRUE(plain.notes.empty()) << All(plain.notes);
    EXPECT_EQ(CountOf(plain.volumes[0], 7), 12);
    EXPECT_EQ(CountOf(plain.volumes[0], 0), plain.volumes[0].ValueCount() - 12);
  }
  // The file says that 0 is no segment and describes it: said.
  LabelMapOf({{0, "kidney"}, {7, "mass"}}, 0).Write(path);
  const SegReadResult both = ReadDicomSeg(path);
  EXPECT_EQ(both.segments[0].value, 0);
  EXPECT_NE(All(both.notes).find("segment 0 'kidney'"), std::string::npos);
}

TEST(SegMeaning, PixelsOfNoDescribedSegmentAreCounted) {
  const fs::path path = TemporaryFolder() / "seg.dcm";
  LabelMapOf({{3, "kidney"}}, 0).Write(path);
  const SegReadResult read = ReadDicomSeg(path);
  EXPECT_NE(All(read.notes).find("12 pixels of label 7, which the file does not describe"),
            std::string::npos);
  EXPECT_NE(All(read.notes).find("segment 3 'kidney' has no voxel"), std::string::npos);
  SegSpec spec;
  spec.stated_distance = kStep;
  spec.Add(0);
  spec.Add(1, 4);
  spec.Add(2, 4);
  spec.Write(path);
  const SegReadResult binary = ReadDicomSeg(path);
  EXPECT_EQ(binary.volumes[0].geometry.size[2], 1);
  EXPECT_EQ(CountOf(binary.volumes[0], 1), 12);
  EXPECT_NE(All(binary.notes).find("frames 2 and 3 belong to segment 4"), std::string::npos)
      << All(binary.notes);
  spec.frames.erase(spec.frames.begin());
  spec.Write(path);
  ExpectError([&] { ReadDicomSeg(path); }, {"seg.dcm", "no frame of a segment that it describes"});
}

struct Fractional {
  const char* name;
  int maximum;
  std::vector<uint8_t> values;  // of 12 pixels each
  int64_t voxels;
  double used;
  const char* said;  // "" when nothing is odd
};

TEST(SegMeaning, FractionsAreReadByTheMaximumThatFits) {
  const Fractional kCases[] = {
      {"plain", 255, {255, 128, 127, 3}, 24, 255, ""},
      {"occupancy", 100, {100, 50, 49, 1}, 24, 100, ""},
      {"0 and 1 of 255", 255, {1, 0, 1}, 24, 1, "all pixels are 0 or 1"},
      {"0 and 1 of 100", 100, {1}, 12, 1, "all pixels are 0 or 1"},
      {"0 and 1 of 1", 1, {1, 0}, 12, 1, ""},
      {"up to 48", 255, {48, 20}, 0, 255, "(48 of 255), nowhere one half"},
      {"up to 40 of 100", 100, {40}, 0, 100, "(40 of 100), nowhere one half"},
      {"above the maximum", 100, {255, 200, 60}, 24, 255, "255, the largest value of its pixels"},
      {"a rounding above", 100, {101, 60, 20}, 24, 100, ""},
      {"empty", 255, {0}, 0, 255, "has no voxel"},
  };
  const fs::path path = TemporaryFolder() / "seg.dcm";
  for (const Fractional& wanted : kCases) {
    SCOPED_TRACE(wanted.name);
    SegSpec spec;
    spec.type = "FRACTIONAL";
    spec.stated_distance = kStep;
    spec.maximum = wanted.maximum;
    for (size_t n = 0; n < wanted.values.size(); ++n)
      spec.Add(static_cast<double>(n), 1, wanted.values[n]);
    spec.Write(path);
    const SegReadResult read = ReadDicomSeg(path);
    EXPECT_EQ(CountOf(read.volumes[0], 1), wanted.voxels);
    EXPECT_EQ(read.fraction_maximum, wanted.used);
    EXPECT_EQ(read.fraction_maximum_assumed, wanted.used != wanted.maximum);
    const std::string notes = All(read.notes);
    EXPECT_NE(notes.find(wanted.said), std::string::npos) << notes;
    EXPECT_EQ(notes.find("has no voxel") != std::string::npos, wanted.voxels == 0) << notes;
    if (*wanted.said == '\0') {
      EXPECT_EQ(read.notes.size(), 1U) << notes;
    }
    const float* fraction = read.fractions[0].As<float>();
    const size_t inside = 2 * static_cast<size_t>(spec.series.columns) + 2;
    EXPECT_NEAR(fraction[inside], std::min(1.0, wanted.values[0] / wanted.used), 1e-6);
  }
}

TEST(SegMeaning, VoxelsOutsideTheSeriesAreCounted) {
  const fs::path folder = TemporaryFolder();
  SegSpec spec;
  spec.segments = {{1, "in"}, {2, "out"}};
  spec.stated_distance = kStep;
  spec.Add(5);
  spec.Add(9, 2);
  spec.Write(folder / "seg.dcm");
  const SourceSeries source = test::SourceOfFiles(test::WriteSeries(folder / "ct", spec.series));
  const SegReadResult read = ReadDicomSeg(folder / "seg.dcm", &source);
  EXPECT_EQ(read.voxels, (std::vector<int64_t>{12, 0}));
  const std::string notes = All(read.notes);
  EXPECT_NE(notes.find("12 of 24 labelled voxels lie outside"), std::string::npos) << notes;
  EXPECT_NE(notes.find("no voxel of segment 2 'out' lies on the image series"), std::string::npos)
      << notes;
}

TEST(SegMeaning, CompressedFramesAreTheSame) {
  const fs::path folder = test::TestData("dicom_seg");
  for (const auto& [compressed, plain] : std::vector<std::pair<std::string, std::string>>{
           {"labelmap8_j2k", "labelmap8"},
           {"labelmap8_jpegls", "labelmap8"},
           {"labelmap16_j2k", "labelmap16"},  // two fragments a frame
           {"labelmap16_jpegls", "labelmap16"},
           {"binary_j2k", "highdicom_seg_image_ct_binary"},
           {"fractional_jpegls", "highdicom_seg_image_ct_true_fractional"},
           {"fractional_j2k", "highdicom_seg_image_ct_true_fractional"}}) {
    SCOPED_TRACE(compressed);
    const SegReadResult a = ReadDicomSeg(folder / (compressed + ".dcm"));
    const SegReadResult b = ReadDicomSeg(folder / (plain + ".dcm"));
    EXPECT_GT(a.voxels.back(), 0);  // the first may be the background
    EXPECT_EQ(a.volumes[0].data, b.volumes[0].data);
    ASSERT_EQ(a.fractions.size(), b.fractions.size());
    for (size_t n = 0; n < a.fractions.size(); ++n)
      EXPECT_EQ(a.fractions[n].data, b.fractions[n].data);
    // JPEG 2000 without "lossless" in its name may have changed values.
    EXPECT_EQ(All(a.notes).find("may have changed its values") != std::string::npos,
              compressed == "fractional_j2k");
  }
}

TEST(SegMeaning, ACompressionThatIsNotReadIsNamed) {
  const fs::path folder = TemporaryFolder();
  for (const auto& [uid, name] : std::vector<std::pair<std::string, std::string>>{
           {"1.2.840.10008.1.2.4.50", "JPEG Baseline"},
           {"1.2.840.10008.1.2.4.110", "1.2.840.10008.1.2.4.110"}}) {  // JPEG XL
    SCOPED_TRACE(uid);
    std::string bytes = test::Slurp(test::TestData("dicom_seg/labelmap8_j2k.dcm"));
    const std::string from = "1.2.840.10008.1.2.4.90";
    const size_t at = bytes.find(from);
    ASSERT_NE(at, std::string::npos);
    // The element keeps its length of 22 or grows by the padding to 24.
    std::string to = uid;
    if (to.size() % 2) to += '\0';
    bytes[at - 2] = static_cast<char>(to.size());
    bytes.replace(at, from.size(), to);
    // The group's length stands first in the meta header.
    const auto grown = static_cast<char>(to.size() - from.size());
    bytes[140] = static_cast<char>(bytes[140] + grown);
    test::Spill(folder / "seg.dcm", bytes);
    ExpectError([&] { ReadDicomSeg(folder / "seg.dcm"); },
                {"seg.dcm", "is compressed", name.c_str(), "not read"});
  }
}

// Files after public reports, judged by masks on the grid of their series.
TEST(SparseSeg, ReportedFiles) {
  const fs::path folder = test::SharedData("data/reported/31_seg_geometry");
  if (folder.empty()) GTEST_SKIP();
  int files = 0;
  SilentProgress progress;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const fs::path want = folder / ("want_" + entry.path().stem().string() + ".nii.gz");
    if (entry.path().extension() != ".dcm" || !fs::exists(want)) continue;
    SCOPED_TRACE(entry.path().filename());
    ++files;
    const Volume judge = ReadVolume(want);
    for (const char* series : {"ct", "ct2"}) {
      const SourceSeries source = ReadSourceSeries(folder / series, "", progress);
      if (source.series_uid != SpaceOfSeg(entry.path()).series_uids.at(0)) continue;
      const SegReadResult read = ReadDicomSeg(entry.path(), &source);
      EXPECT_LT(MaxCornerDistance(read.volumes[0].geometry, judge.geometry), 1e-3);
      EXPECT_EQ(read.volumes[0].ToLabels("read"), judge.ToLabels("want"));
      // Alone: the same voxels, and as thick wherever the file states anything of it.
      const SegReadResult alone = ReadDicomSeg(entry.path());
      EXPECT_EQ(alone.voxels, read.voxels);
      if (alone.slice_distance_from != SliceDistanceFrom::kPositions) {
        EXPECT_NEAR(alone.slice_distance_mm, judge.geometry.spacing[2], 1e-3);
      } else {
        EXPECT_TRUE(alone.volumes[0].assumed.slice_distance);
      }
    }
  }
  EXPECT_GE(files, 10);
}

}  // namespace
}  // namespace avocet::io
