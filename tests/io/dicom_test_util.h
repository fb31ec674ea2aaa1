// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dctk.h>
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include "io/dicom_source_series.h"
#include "io/volume.h"

namespace avocet::test {

using Vec3 = std::array<double, 3>;

struct SeriesSpec {
  Vec3 row{1, 0, 0};
  Vec3 column{0, 1, 0};
  Vec3 origin{-20.5, 13.25, -7};
  Vec3 step{0, 0, 2.5};  // from image to image
  double row_spacing = 1.5;
  double column_spacing = 0.75;
  int rows = 11;  // frames of neither 8 rows, nor 8 columns, nor 8 pixels
  int columns = 13;
  int slices = 7;
  std::string patient = "TEST^NAME";
};

inline std::string DecimalList(const std::vector<double>& values) {
  std::string text;
  char number[32];
  for (const double value : values) {
    std::snprintf(number, sizeof number, "%.10f", value);
    if (std::string(number).size() > 16) std::snprintf(number, sizeof number, "%.9g", value);
    text += (text.empty() ? "" : "\\") + std::string(number).substr(0, 16);
  }
  return text;
}

// Writes a CT series; file names and instance numbers do not follow the positions.
inline std::vector<std::filesystem::path> WriteSeries(const std::filesystem::path& folder,
                                                      const SeriesSpec& spec) {
  std::filesystem::create_directories(folder);
  std::vector<std::filesystem::path> files;
  for (int k = 0; k < spec.slices; ++k) {
    DcmFileFormat file;
    DcmDataset& d = *file.getDataset();
    const auto put = [&](const DcmTagKey& tag, const std::string& value) {
      EXPECT_TRUE(d.putAndInsertString(tag, value.c_str()).good());
    };
    const int shuffled = (k * 5 + 2) % spec.slices;
    put(DCM_SOPClassUID, UID_CTImageStorage);
    put(DCM_SOPInstanceUID, "1.2.826.0.1.3680043.9.9999.1." + std::to_string(k + 1));
    put(DCM_StudyInstanceUID, "1.2.826.0.1.3680043.9.9999.2");
    put(DCM_SeriesInstanceUID, "1.2.826.0.1.3680043.9.9999.3");
    put(DCM_FrameOfReferenceUID, "1.2.826.0.1.3680043.9.9999.4");
    put(DCM_ImageType, "ORIGINAL\\PRIMARY\\AXIAL");
    put(DCM_Modality, "CT");
    put(DCM_PatientName, spec.patient);
    put(DCM_PatientID, "ID-4711");
    put(DCM_PatientBirthDate, "19500101");
    put(DCM_PatientSex, "O");
    put(DCM_StudyDate, "20200102");
    put(DCM_StudyTime, "030405");
    put(DCM_AccessionNumber, "ACC1");
    put(DCM_StudyID, "S1");
    put(DCM_ReferringPhysicianName, "DOCTOR^REF");
    put(DCM_InstanceNumber, std::to_string(shuffled));
    put(DCM_ImageOrientationPatient, DecimalList({spec.row[0], spec.row[1], spec.row[2],
                                                  spec.column[0], spec.column[1], spec.column[2]}));
    put(DCM_ImagePositionPatient,
        DecimalList({spec.origin[0] + k * spec.step[0], spec.origin[1] + k * spec.step[1],
                     spec.origin[2] + k * spec.step[2]}));
    put(DCM_PixelSpacing, DecimalList({spec.row_spacing, spec.column_spacing}));
    put(DCM_SliceThickness, "2");
    d.putAndInsertUint16(DCM_SamplesPerPixel, 1);
    put(DCM_PhotometricInterpretation, "MONOCHROME2");
    d.putAndInsertUint16(DCM_Rows, static_cast<Uint16>(spec.rows));
    d.putAndInsertUint16(DCM_Columns, static_cast<Uint16>(spec.columns));
    d.putAndInsertUint16(DCM_BitsAllocated, 16);
    d.putAndInsertUint16(DCM_BitsStored, 16);
    d.putAndInsertUint16(DCM_HighBit, 15);
    d.putAndInsertUint16(DCM_PixelRepresentation, 0);
    const std::vector<Uint16> pixels(static_cast<size_t>(spec.rows) * spec.columns, 7);
    d.putAndInsertUint16Array(DCM_PixelData, pixels.data(), pixels.size());
    const auto path = folder / ("image" + std::to_string(shuffled));
    EXPECT_TRUE(file.saveFile(path.c_str(), EXS_LittleEndianExplicit).good());
    files.push_back(path);
  }
  return files;
}

// The series that these files are, whatever else lies beside them.
inline io::SourceSeries SourceOfFiles(const std::vector<std::filesystem::path>& files) {
  SilentProgress progress;
  const io::DicomTree tree = io::ScanDicomFiles(files, "the files", progress);
  return io::SourceOf(io::ChooseSeries(tree, "", "the files"));
}

// The series' own grid as a volume would be stored: i along rows, j down columns, k along step.
inline io::Geometry GridOf(const SeriesSpec& spec) {
  io::Geometry g;
  const double gap = std::sqrt(spec.step[0] * spec.step[0] + spec.step[1] * spec.step[1] +
                               spec.step[2] * spec.step[2]);
  g.size = {spec.columns, spec.rows, spec.slices};
  g.spacing = {spec.column_spacing, spec.row_spacing, gap};
  g.origin = spec.origin;
  for (int a = 0; a < 3; ++a) {
    g.direction[3 * a] = spec.row[a];
    g.direction[3 * a + 1] = spec.column[a];
    g.direction[3 * a + 2] = spec.step[a] / gap;
  }
  return g;
}

// Labels 1 (a lopsided block with a hole), 2 (a bar) and 5 (single voxels, some touching corners).
inline io::Volume LopsidedLabels(const io::Geometry& g) {
  io::Volume volume = io::Volume::Zeros(g, io::VoxelType::kUInt8);
  const auto at = [&](int64_t i, int64_t j, int64_t k) -> uint8_t& {
    return volume.As<uint8_t>()[(k * g.size[1] + j) * g.size[0] + i];
  };
  for (int64_t k = 1; k < 4; ++k)
    for (int64_t j = 1; j < 8 - k; ++j)
      for (int64_t i = 1; i < 9; ++i) at(i, j, k) = 1;
  at(3, 3, 2) = at(4, 3, 2) = at(4, 4, 2) = 0;  // a hole
  at(6, 2, 2) = 0;                              // and another one
  for (int64_t i = 2; i < 12; ++i) at(i, 9, 5) = 2;
  at(10, 2, 1) = at(11, 3, 1) = at(10, 4, 1) = at(12, 0, 6) = at(0, 10, 6) = 5;
  return volume;
}

// Mean position in LPS mm of the voxels with `label`; labels of the volume as uint16.
inline Vec3 CentroidOf(const io::Volume& volume, int label) {
  const auto values = volume.ToLabels("test");
  Vec3 sum{};
  double count = 0;
  const auto& s = volume.geometry.size;
  for (int64_t k = 0, n = 0; k < s[2]; ++k)
    for (int64_t j = 0; j < s[1]; ++j)
      for (int64_t i = 0; i < s[0]; ++i, ++n) {
        if (values[static_cast<size_t>(n)] != label) continue;
        const auto x = volume.geometry.PhysicalFromIndex(
            {static_cast<double>(i), static_cast<double>(j), static_cast<double>(k)});
        for (int a = 0; a < 3; ++a) sum[a] += x[a];
        ++count;
      }
  for (double& x : sum) x /= count;
  return sum;
}

inline double Distance(const Vec3& a, const Vec3& b) {
  return std::sqrt((a[0] - b[0]) * (a[0] - b[0]) + (a[1] - b[1]) * (a[1] - b[1]) +
                   (a[2] - b[2]) * (a[2] - b[2]));
}

// 48 ways to lay rows, columns and slices along the axes of a frame turned by odd angles.
inline std::vector<SeriesSpec> AllOrientations(double turn) {
  const double c = std::cos(turn);
  const double s = std::sin(turn);
  // Two rotations, about z and about x.
  const std::array<Vec3, 3> axes{Vec3{c, s, 0}, Vec3{-s * c, c * c, s}, Vec3{s * s, -c * s, c}};
  std::vector<SeriesSpec> all;
  const int orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
  for (const auto& order : orders)
    for (int signs = 0; signs < 8; ++signs) {
      SeriesSpec spec;
      for (int a = 0; a < 3; ++a) {
        spec.row[a] = axes[order[0]][a] * (signs & 1 ? -1 : 1);
        spec.column[a] = axes[order[1]][a] * (signs & 2 ? -1 : 1);
        spec.step[a] = axes[order[2]][a] * (signs & 4 ? -2.5 : 2.5);
      }
      all.push_back(spec);
    }
  return all;
}

}  // namespace avocet::test
