// SPDX-License-Identifier: Apache-2.0
// Every file of ../shared/data/dicom: read as the table says or refused in one sentence; and every
// series against the NIfTI reference that lies beside it and against dcm2niix, where it is
// installed.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <set>

#include "io/dicom.h"
#include "io/dicom_seg.h"
#include "io/volume_io.h"
#include "tests/io/dicom_table.h"
#include "tests/io/io_test_util.h"
#include "tests/support/test_support.h"

namespace avocet::io {
namespace {

namespace fs = std::filesystem;

template <typename T>
void Measure(const Volume& volume, double& low, double& high, double& sum) {
  for (int64_t i = 0; i < volume.ValueCount(); ++i) {
    const auto value = static_cast<double>(volume.As<T>()[i]);
    low = std::min(low, value);
    high = std::max(high, value);
    sum += value;
  }
}

void Measure(const Volume& volume, double& low, double& high, double& sum) {
  switch (volume.type) {
    case VoxelType::kUInt8:
      return Measure<uint8_t>(volume, low, high, sum);
    case VoxelType::kInt16:
      return Measure<int16_t>(volume, low, high, sum);
    case VoxelType::kUInt16:
      return Measure<uint16_t>(volume, low, high, sum);
    case VoxelType::kUInt32:
      return Measure<uint32_t>(volume, low, high, sum);
    case VoxelType::kFloat32:
      return Measure<float>(volume, low, high, sum);
    default:
      FAIL() << NameOf(volume.type);
  }
}

TEST(SharedDicom, EveryFileIsReadRightOrRefused) {
  const fs::path folder = test::SharedData("data/dicom");
  if (folder.empty()) GTEST_SKIP() << "../shared/data is not there";
  std::set<std::string> present, listed;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    const std::string extension = entry.path().extension().string();
    if (entry.is_regular_file() && extension != ".zip" && extension != ".nrrd" &&
        extension != ".nii") {
      present.insert(fs::relative(entry.path(), folder).string());
    }
  }
  SilentProgress progress;
  for (const test::DicomCase& expected : test::kDicomCases) {
    SCOPED_TRACE(expected.file);
    EXPECT_TRUE(listed.insert(expected.file).second);
    const fs::path path = folder / expected.file;
    if (expected.refused) {
      // Segmentations may have a reader of their own; as an image series they are refused.
      const std::string got = test::ExpectError(
          [&] { ReadDicomSeries(*ScanDicom(path, progress).AllSeries().at(0), {}, progress); },
          {path.filename().string(), expected.refused});
      std::printf("%-62s expected refusal '%s', got: %s\n", expected.file, expected.refused,
                  got.substr(got.rfind('/') + 1).c_str());
      continue;
    }
    DicomTree tree;
    ASSERT_NO_THROW(tree = ScanDicom(path, progress));
    double low = INFINITY, high = -INFINITY, sum = 0;
    for (const DicomSeries* series : tree.AllSeries()) {
      Volume volume;
      ASSERT_NO_THROW(volume = ReadDicomSeries(*series, {}, progress));
      EXPECT_EQ(volume.geometry.size, expected.size);
      EXPECT_EQ(volume.frames, expected.frames);
      EXPECT_EQ(volume.components, expected.components);
      EXPECT_STREQ(NameOf(volume.type), expected.type);
      EXPECT_EQ(volume.geometry.OrientationLetters(), expected.letters);
      EXPECT_TRUE(volume.geometry.IsOrthonormal());
      Measure(volume, low, high, sum);
    }
    std::printf("%-62s expected %lld x %lld x %lld %s %s [%g, %g], got [%g, %g]\n", expected.file,
                static_cast<long long>(expected.size[0]), static_cast<long long>(expected.size[1]),
                static_cast<long long>(expected.size[2]), expected.type, expected.letters,
                expected.min, expected.max, low, high);
    EXPECT_EQ(low, expected.min);
    EXPECT_EQ(high, expected.max);
    // Decoders of lossy JPEG, and of YBR colours, round differently.
    const bool lossy =
        expected.components == 3 || std::string(expected.file) == "misc/JPGExtended.dcm";
    const double slack = lossy ? 2e-3 : 1e-9;
    EXPECT_LE(std::abs(sum - expected.sum), slack * std::abs(expected.sum));
  }
  EXPECT_EQ(present, listed);
}

TEST(SharedDicom, EverySegmentationIsReadRight) {
  const fs::path folder = test::SharedData("data/dicom");
  if (folder.empty()) GTEST_SKIP() << "../shared/data is not there";
  std::set<std::string> listed, refused;
  for (const test::DicomCase& one : test::kDicomCases) {
    if (one.refused && std::string(one.refused) == "segmentation") refused.insert(one.file);
  }
  for (const test::SegCase& expected : test::kSegCases) {
    SCOPED_TRACE(expected.file);
    listed.insert(expected.file);
    SegReadResult seg;
    ASSERT_NO_THROW(seg = ReadDicomSeg(folder / expected.file));
    EXPECT_EQ(seg.fields[0].second, expected.type);
    EXPECT_EQ(seg.fields[1].second, std::to_string(expected.frames));
    std::printf("%-52s expected %-10s %d frames,", expected.file, expected.type, expected.frames);
    for (const auto& [number, voxels] : expected.voxels) {
      const auto at = std::find_if(seg.segments.begin(), seg.segments.end(),
                                   [n = number](const Segment& s) { return s.number == n; });
      ASSERT_NE(at, seg.segments.end());
      const auto which = static_cast<size_t>(at - seg.segments.begin());
      const auto labels = seg.volumes[seg.volume_of_segment[which]].ToLabels(expected.file);
      const auto got = std::count(labels.begin(), labels.end(), number);
      EXPECT_EQ(got, voxels);
      std::printf(" %d: %lld (got %lld)", number, static_cast<long long>(voxels),
                  static_cast<long long>(got));
    }
    std::printf("\n");
  }
  EXPECT_EQ(listed, refused);
}

// Same grid up to flipped axes (every voxel centre within `tolerance` mm), same stored values.
template <typename T, typename U>
void ExpectSame(const Volume& ours, const Volume& theirs, double tolerance) {
  ASSERT_EQ(ours.geometry.size, theirs.geometry.size);
  const auto& size = ours.geometry.size;
  double worst = 0;
  int64_t different = 0;
  for (int64_t k = 0; k < size[2]; ++k) {
    for (int64_t j = 0; j < size[1]; ++j) {
      for (int64_t i = 0; i < size[0]; ++i) {
        const auto x = theirs.geometry.PhysicalFromIndex({double(i), double(j), double(k)});
        auto index = ours.geometry.IndexFromPhysical(x);
        for (double& at : index) at = std::round(at);
        for (int axis = 0; axis < 3; ++axis) {
          ASSERT_GE(index[axis], 0);
          ASSERT_LT(index[axis], size[axis]);
        }
        const auto y = ours.geometry.PhysicalFromIndex(index);
        for (int axis = 0; axis < 3; ++axis) worst = std::max(worst, std::abs(x[axis] - y[axis]));
        const int64_t a =
            int64_t(index[0]) + size[0] * (int64_t(index[1]) + size[1] * int64_t(index[2]));
        const int64_t b = i + size[0] * (j + size[1] * k);
        different += static_cast<double>(ours.As<T>()[a]) != static_cast<double>(theirs.As<U>()[b]);
      }
    }
  }
  EXPECT_EQ(different, 0);
  EXPECT_LT(worst, tolerance);
}

void ExpectSame(const Volume& ours, const Volume& theirs, double tolerance) {
  if (ours.type == VoxelType::kFloat32) {
    ASSERT_EQ(theirs.type, VoxelType::kFloat32);
    return ExpectSame<float, float>(ours, theirs, tolerance);
  }
  if (theirs.type == VoxelType::kUInt16) {
    ASSERT_EQ(ours.type, VoxelType::kUInt16);
    return ExpectSame<uint16_t, uint16_t>(ours, theirs, tolerance);
  }
  ASSERT_EQ(theirs.type, VoxelType::kInt16);
  if (ours.type == VoxelType::kInt16) return ExpectSame<int16_t, int16_t>(ours, theirs, tolerance);
  ASSERT_EQ(ours.type, VoxelType::kUInt16);
  ExpectSame<uint16_t, int16_t>(ours, theirs, tolerance);
}

TEST(SharedDicom, AllTransferSyntaxesGiveTheReference) {
  const fs::path folder = test::SharedData("data/dicom/transfer_syntaxes");
  if (folder.empty()) GTEST_SKIP() << "../shared/data is not there";
  const Volume reference = ReadVolume(folder / "reference_1.nii");
  for (int i = 1; i <= 9; ++i) {
    SCOPED_TRACE(i);
    ExpectSame(ReadVolume(folder / (std::to_string(i) + ".dcm")), reference, 1e-4);
  }
}

bool Shell(const std::string& command) { return std::system(command.c_str()) == 0; }

TEST(SharedDicom, AgreesWithDcm2niix) {
  const fs::path folder = test::SharedData("data");
  if (folder.empty()) GTEST_SKIP() << "../shared/data is not there";
  if (!Shell("command -v dcm2niix >/dev/null")) GTEST_SKIP() << "dcm2niix is not installed";
  struct Case {
    const char* source;
    double tolerance = 1e-4;
    size_t series = 0;
  };
  const Case cases[] = {
      {"dicom/studyforrest_t1w_3T_slices_180-211.zip"},
      // dcm2niix takes the distance of two neighbours, 4.7999954 mm, we that of the first and the
      // last by their count, 4.7999999 mm: 1.5e-4 mm at the far end.
      {"dicom/t1_patient_position_HFP.zip", 2e-4},
      {"dicom/12bit_signed/12bitUnsigned.dcm"},
      {"dicom/12bit_signed/12bitUnsigned_0x0F0F.dcm"},
      {"dicom/enhanced/siemens_xa10_enhanced_6_1.dcm"},
      {"dicom/enhanced/pydicom_eCT_Supplemental.dcm"},
      {"dicom/enhanced/philips_b0_fieldmap_enhanced.dcm", 1e-4, 1},
      {"dicom/enhanced/philips_b0_fieldmap_enhanced.dcm", 1e-4, 0},
      {"dicom/seg/dcmqi/ct-3slice"},
      {"dicom/seg/dcmqi/23x38x3/image"},
      {"dicom/seg/dcmqi/23x38x3/multiframe"},
      {"dicom/tiny_ct_series/98892001"},
      {"dicom/misc/CT_small.dcm"},
      {"dicom/misc/MR_small.dcm"},
      {"totalsegmentator/example_ct_dicom"},
  };
  const fs::path base = test::TemporaryFolder();
  int count = 0;
  for (const Case& one : cases) {
    SCOPED_TRACE(one.source);
    const fs::path in = base / ("in" + std::to_string(++count)), out = in / "out";
    fs::create_directories(in);
    fs::path source = folder / one.source;
    ASSERT_TRUE(fs::exists(source));
    if (source.extension() == ".zip") {
      ASSERT_TRUE(Shell("cd '" + in.string() + "' && cmake -E tar xf '" + source.string() + "'"));
      source = in;
    } else if (fs::is_directory(source)) {
      fs::copy(source, in, fs::copy_options::recursive);
    } else {
      fs::copy_file(source, in / source.filename());
    }
    SilentProgress progress;
    const DicomTree tree = ScanDicom(source, progress);
    ASSERT_GT(tree.AllSeries().size(), one.series);
    const Volume ours = ReadDicomSeries(*tree.AllSeries()[one.series], {}, progress);
    fs::create_directories(out);
    ASSERT_TRUE(Shell("dcm2niix -z n -b n -f x -o '" + out.string() + "' '" + in.string() +
                      "' >/dev/null 2>&1"));
    std::vector<fs::path> files;
    for (const auto& entry : fs::directory_iterator(out)) files.push_back(entry.path());
    std::sort(files.begin(), files.end());
    ASSERT_FALSE(files.empty());
    // Two series: the magnitude (our second) is dcm2niix's first.
    const size_t which = files.size() == 1 ? 0 : 1 - one.series;
    ExpectSame(ours, ReadVolume(files.at(which)), one.tolerance);
  }
}

TEST(SharedDicom, GantryTiltIsRefusedAndResampledOnRequest) {
  const fs::path zip = test::SharedData("data/dicom/ct_ge_gantry_tilt_variable_spacing.zip");
  if (zip.empty()) GTEST_SKIP() << "../shared/data is not there";
  const fs::path folder = test::TemporaryFolder();
  ASSERT_TRUE(Shell("cd '" + folder.string() + "' && cmake -E tar xf '" + zip.string() + "'"));
  test::ExpectError([&] { ReadVolume(folder); },
                    {"gantry was tilted", "20.dcm", "18.5 degrees", "unevenly spaced"});
  ReadOptions options;
  options.regularise = true;
  const Volume volume = ReadVolume(folder, options);
  EXPECT_TRUE(volume.geometry.IsOrthonormal(1e-6));
  EXPECT_GT(volume.geometry.size[1], 512);
  const auto source = std::dynamic_pointer_cast<const DicomSource>(volume.source);
  ASSERT_TRUE(source && source->regularised);
  // The first slice keeps its pixels and their place.
  const Volume first = ReadVolume(source->files[0]);
  const auto index = volume.geometry.IndexFromPhysical(first.geometry.origin);
  EXPECT_NEAR(index[2], 0, 1e-6);
  const auto di = std::llround(index[0]), dj = std::llround(index[1]);
  int64_t different = 0;
  for (int64_t j = 0; j < 512; ++j) {
    for (int64_t i = 0; i < 512; ++i) {
      different += first.As<int16_t>()[j * 512 + i] !=
                   volume.As<int16_t>()[(j + dj) * volume.geometry.size[0] + i + di];
    }
  }
  EXPECT_EQ(different, 0);
}

}  // namespace
}  // namespace avocet::io
