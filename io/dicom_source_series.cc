// SPDX-License-Identifier: Apache-2.0
#include "io/dicom_source_series.h"

#include <algorithm>
#include <cmath>

#include "app/base/error.h"
#include "io/dcmtk_util.h"
#include "io/dicom_planes.h"

namespace avocet::io {
namespace fs = std::filesystem;
using dcm::Dot;
using dcm::Vec3;

namespace {

bool Near(const Vec3& a, const Vec3& b, double tolerance) {
  return std::abs(a[0] - b[0]) < tolerance && std::abs(a[1] - b[1]) < tolerance &&
         std::abs(a[2] - b[2]) < tolerance;
}

// What all slices of a series share; the first slice sets it, the others are held against it.
struct Plane {
  long rows = 0;
  long columns = 0;
  std::array<double, 6> cosines{};
  std::array<double, 2> spacing{};
  std::string orientation_text;
  std::string spacing_text;
};

// An attribute of a frame: its own functional group, the shared one, or the data set itself.
DcmItem* Group(DcmItem& data, DcmItem* frame, const DcmTagKey& macro) {
  if (!frame) return &data;
  if (DcmItem* own = dcm::Item(*frame, macro)) return own;
  if (DcmItem* shared = dcm::Item(data, DCM_SharedFunctionalGroupsSequence))
    return dcm::Item(*shared, macro);
  return nullptr;
}

class Collector {
 public:
  void Add(const fs::path& path);
  SourceSeries Finish();

 private:
  void AddPlane(DcmItem& data, DcmItem* frame, int number, const fs::path& path);

  SourceSeries series_;
  bool first_ = true;
  bool has_image_ = false;
  Plane plane_;
  fs::path first_path_;
};

void Collector::Add(const fs::path& path) {
  const auto file = dcm::Load(path);
  DcmItem& data = *file->getDataset();
  const std::string modality = dcm::Text(data, DCM_Modality);
  const bool derived = modality == "SEG" || modality == "RTSTRUCT" || modality == "RTDOSE" ||
                       modality == "RTPLAN" || modality == "SR" || modality == "PR";
  if (derived || dcm::Integer(data, DCM_Rows, 0) <= 0) return;
  if (dcm::Text(data, DCM_ImageType).find("MOSAIC") != std::string::npos)
    throw IoError(path.string() +
                  " is a Siemens mosaic, which has no position for each slice; export the mask as "
                  "NIfTI instead");
  const std::string series = dcm::Text(data, DCM_SeriesInstanceUID);
  if (!has_image_) {
    has_image_ = true;
    first_path_ = path;
    series_.series_uid = series;
    series_.study_uid = dcm::Text(data, DCM_StudyInstanceUID);
    series_.frame_of_reference_uid = dcm::Text(data, DCM_FrameOfReferenceUID);
    series_.modality = modality;
  } else if (series != series_.series_uid) {
    throw IoError(path.string() + " belongs to another series than " + first_path_.string() +
                  "; give the files of one series");
  }
  if (data.tagExists(DCM_PerFrameFunctionalGroupsSequence)) {
    int number = 0;
    for (DcmItem* frame : dcm::Items(data, DCM_PerFrameFunctionalGroupsSequence))
      AddPlane(data, frame, ++number, path);
  } else {
    AddPlane(data, nullptr, 0, path);
  }
}

void Collector::AddPlane(DcmItem& data, DcmItem* frame, int number, const fs::path& path) {
  DcmItem* orientation = Group(data, frame, DCM_PlaneOrientationSequence);
  DcmItem* position = Group(data, frame, DCM_PlanePositionSequence);
  DcmItem* measures = Group(data, frame, DCM_PixelMeasuresSequence);
  Plane plane;
  plane.rows = dcm::Integer(data, DCM_Rows, 0);
  plane.columns = dcm::Integer(data, DCM_Columns, 0);
  SourceSlice slice;
  slice.path = path;
  slice.frame = number;
  slice.sop_class = dcm::Text(data, DCM_SOPClassUID);
  slice.sop_instance = dcm::Text(data, DCM_SOPInstanceUID);
  if (!orientation || !position || !measures ||
      !dcm::Numbers(*orientation, DCM_ImageOrientationPatient, 6, plane.cosines.data()) ||
      !dcm::Triple(*position, DCM_ImagePositionPatient, slice.position) ||
      !dcm::Numbers(*measures, DCM_PixelSpacing, 2, plane.spacing.data()) ||
      !(plane.spacing[0] > 0) || !(plane.spacing[1] > 0) || plane.columns <= 0)
    throw IoError(path.string() +
                  " lacks the position, orientation or pixel spacing of its image; it cannot be "
                  "the source of a mask");
  slice.position_text = dcm::LegalDecimals(dcm::Text(*position, DCM_ImagePositionPatient));
  plane.orientation_text = dcm::LegalDecimals(dcm::Text(*orientation, DCM_ImageOrientationPatient));
  plane.spacing_text = dcm::LegalDecimals(dcm::Text(*measures, DCM_PixelSpacing));
  const Vec3 row{plane.cosines[0], plane.cosines[1], plane.cosines[2]};
  const Vec3 column{plane.cosines[3], plane.cosines[4], plane.cosines[5]};
  if (first_) {
    first_ = false;
    plane_ = plane;
    PlaneAxes(row, column, path, series_.row_direction, series_.column_direction, series_.normal);
    double thickness = 0;
    if (dcm::Numbers(*measures, DCM_SliceThickness, 1, &thickness) && thickness > 0)
      series_.thickness = thickness;
  } else {
    const char* what = nullptr;
    if (plane.rows != plane_.rows || plane.columns != plane_.columns) what = "size";
    const Vec3 first_row{plane_.cosines[0], plane_.cosines[1], plane_.cosines[2]};
    const Vec3 first_column{plane_.cosines[3], plane_.cosines[4], plane_.cosines[5]};
    if (!Near(row, first_row, 1e-3) || !Near(column, first_column, 1e-3)) what = "orientation";
    if (std::abs(plane.spacing[0] - plane_.spacing[0]) > 1e-3 * plane_.spacing[0] ||
        std::abs(plane.spacing[1] - plane_.spacing[1]) > 1e-3 * plane_.spacing[1])
      what = "pixel spacing";
    if (what)
      throw IoError(path.string() + " has another " + what + " than " + first_path_.string() +
                    "; give the images of one stack");
  }
  series_.slices.push_back(std::move(slice));
}

SourceSeries Collector::Finish() {
  SourceSeries& s = series_;
  if (s.slices.empty())
    throw IoError("the source series holds no DICOM image; give the folder of the image series");
  s.rows = static_cast<int>(plane_.rows);
  s.columns = static_cast<int>(plane_.columns);
  s.spacing = plane_.spacing;
  s.orientation_text = plane_.orientation_text;
  s.spacing_text = plane_.spacing_text;
  std::stable_sort(s.slices.begin(), s.slices.end(),
                   [&](const SourceSlice& a, const SourceSlice& b) {
                     return Dot(a.position, s.normal) < Dot(b.position, s.normal);
                   });
  for (size_t i = 1; i < s.slices.size(); ++i)
    if (Dot(s.slices[i].position, s.normal) - Dot(s.slices[i - 1].position, s.normal) < 1e-3)
      throw IoError(s.slices[i].path.string() + " lies at the position of " +
                    s.slices[i - 1].path.string() + "; give one time point or echo of the series");
  const size_t count = s.slices.size();
  Vec3 step{s.normal[0], s.normal[1], s.normal[2]};
  const double single = s.thickness > 0 ? s.thickness : 1;
  for (double& x : step) x *= single;
  s.regular = true;
  if (count > 1) {
    const Vec3& first = s.slices.front().position;
    const Vec3 span = dcm::Minus(s.slices.back().position, first);
    for (int a = 0; a < 3; ++a) step[a] = span[a] / static_cast<double>(count - 1);
    const double length = std::sqrt(Dot(step, step));
    for (size_t i = 0; i < count; ++i) {
      Vec3 expected = first;
      for (int a = 0; a < 3; ++a) expected[a] += static_cast<double>(i) * step[a];
      const Vec3 off = dcm::Minus(s.slices[i].position, expected);
      if (std::sqrt(Dot(off, off)) > std::max(0.02 * length, 0.01)) s.regular = false;
    }
  }
  s.geometry = GeometryOfPlanes(s.slices.front().position, s.row_direction, s.column_direction,
                                s.spacing, step);
  s.geometry.size = {s.columns, s.rows, static_cast<int64_t>(count)};
  if (!s.regular) s.notes.push_back("the source series is not evenly spaced");
  return std::move(series_);
}

}  // namespace

void PlaneAxes(const Vec3& row, const Vec3& column, const fs::path& path, Vec3& row_out,
               Vec3& column_out, Vec3& normal_out) {
  const double row_length = std::sqrt(Dot(row, row));
  const double column_length = std::sqrt(Dot(column, column));
  if (!(std::abs(row_length - 1) < 0.01) || !(std::abs(column_length - 1) < 0.01) ||
      !(std::abs(Dot(row, column)) < 0.01))
    throw IoError(path.string() +
                  " has an image orientation whose cosines are not two perpendicular unit vectors");
  row_out = row;
  for (double& x : row_out) x /= row_length;
  // Header digits leave the axes a little off perpendicular; the row is kept.
  const double along = Dot(column, row_out);
  column_out = column;
  for (int a = 0; a < 3; ++a) column_out[a] -= along * row_out[a];
  const double length = std::sqrt(Dot(column_out, column_out));
  for (double& x : column_out) x /= length;
  normal_out = dcm::Cross(row_out, column_out);
}

Geometry GeometryOfPlanes(const Vec3& origin, const Vec3& row, const Vec3& column,
                          const std::array<double, 2>& spacing, const Vec3& step) {
  Geometry geometry;
  const double length = std::sqrt(Dot(step, step));
  geometry.spacing = {spacing[1], spacing[0], length};
  geometry.origin = origin;
  for (int a = 0; a < 3; ++a) {
    geometry.direction[3 * a] = row[a];
    geometry.direction[3 * a + 1] = column[a];
    geometry.direction[3 * a + 2] = step[a] / length;
  }
  return geometry;
}

SourceSeries ReadSourceSeries(const std::vector<fs::path>& files) {
  Collector collector;
  for (const fs::path& file : files) collector.Add(file);
  SourceSeries series = collector.Finish();
  return series;
}

bool HasDicomPreamble(const fs::path& path) { return dcm::LooksLikeDicom(path); }

std::vector<fs::path> ListDicomFiles(const fs::path& folder_or_file) {
  std::error_code error;
  if (fs::is_regular_file(folder_or_file, error)) return {folder_or_file};
  if (!fs::is_directory(folder_or_file, error))
    throw IoError(folder_or_file.string() + " is neither a folder nor a file");
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(folder_or_file, error))
    if (entry.path().filename() != "DICOMDIR" && dcm::LooksLikeDicom(entry.path()))
      files.push_back(entry.path());
  if (files.empty()) throw IoError(folder_or_file.string() + " holds no DICOM file");
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace avocet::io
