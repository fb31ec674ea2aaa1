// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstdio>
#include <set>

#include "app/base/error.h"
#include "io/contours.h"
#include "io/dcmtk_util.h"
#include "io/dicom_source_series.h"
#include "io/label_sampler.h"
#include "io/rtstruct.h"
#include "io/segment_codes.h"

namespace avocet::io {
namespace fs = std::filesystem;
using dcm::AddItem;
using dcm::Put;

namespace {

std::set<int> LabelsIn(const std::vector<uint16_t>& values) {
  std::vector<bool> seen(65536);
  for (const uint16_t value : values) seen[value] = true;
  std::set<int> labels;
  for (int value = 1; value < 65536; ++value)
    if (seen[static_cast<size_t>(value)]) labels.insert(value);
  return labels;
}

std::vector<Polygon> OutlinesOf(const std::vector<uint16_t>& plane, int label, int rows,
                                int columns) {
  std::vector<uint8_t> inside(plane.size());
  bool any = false;
  for (size_t i = 0; i < plane.size(); ++i) {
    inside[i] = plane[i] == label;
    any = any || inside[i];
  }
  return any ? OutlinePolygons(inside, rows, columns) : std::vector<Polygon>();
}

std::string NameOf(const std::map<int, std::string>& names, int label) {
  const auto found = names.find(label);
  return found == names.end() || found->second.empty() ? "ROI " + std::to_string(label)
                                                       : found->second;
}

// A tenth of a micrometre is finer than any scanner; short numbers keep the file small.
std::string Coordinates(const Polygon& polygon, const SourceSlice& slice,
                        const SourceSeries& source) {
  std::string text;
  char number[32];
  for (const auto& point : polygon) {
    for (int a = 0; a < 3; ++a) {
      const double x = slice.position[a] + point[0] * source.row_direction[a] * source.spacing[1] +
                       point[1] * source.column_direction[a] * source.spacing[0];
      std::snprintf(number, sizeof number, "%.4f", x);
      std::string digits = number;
      digits.erase(digits.find_last_not_of('0') + 1);
      if (digits.back() == '.') digits.pop_back();
      if (digits == "-0") digits = "0";
      if (!text.empty()) text += '\\';
      text += digits;
    }
  }
  return text;
}

void PutReference(DcmItem& item, const SourceSlice& slice) {
  Put(item, DCM_ReferencedSOPClassUID, slice.sop_class);
  Put(item, DCM_ReferencedSOPInstanceUID, slice.sop_instance);
  if (slice.frame > 0) Put(item, DCM_ReferencedFrameNumber, std::to_string(slice.frame));
}

void PutHeader(DcmDataset& data, DcmItem& from, const SourceSeries& source,
               const RtWriteOptions& options, RtWriteResult& result,
               const std::string& frame_of_reference) {
  const dcm::Now now = dcm::CurrentTime();
  result.patient_left_out = dcm::CopyPatientAndStudy(from, data, options.keep_patient);
  if (source.study_uid.empty()) Put(data, DCM_StudyInstanceUID, dcm::NewUid());
  std::vector<std::string> texts{options.series_description, options.label};
  for (const auto& entry : options.names) texts.push_back(entry.second);
  dcm::PrepareForTexts(data, texts);
  Put(data, DCM_Modality, "RTSTRUCT");
  Put(data, DCM_SeriesInstanceUID, dcm::NewUid());
  Put(data, DCM_SeriesNumber, std::to_string(options.series_number));
  Put(data, DCM_SeriesDescription, dcm::Clean(options.series_description, 64));
  Put(data, DCM_OperatorsName, "");
  dcm::PutEquipment(data);
  Put(data, DCM_FrameOfReferenceUID, frame_of_reference);
  dcm::Copy(from, data, DCM_PositionReferenceIndicator, true);
  Put(data, DCM_SOPClassUID, UID_RTStructureSetStorage);
  Put(data, DCM_SOPInstanceUID, result.sop_instance_uid);
  Put(data, DCM_InstanceNumber, "1");
  Put(data, DCM_InstanceCreationDate, now.date);
  Put(data, DCM_InstanceCreationTime, now.time);
  Put(data, DCM_StructureSetLabel, dcm::Clean(options.label, 16));
  Put(data, DCM_StructureSetDate, now.date);
  Put(data, DCM_StructureSetTime, now.time);
  Put(data, DCM_ApprovalStatus, "UNAPPROVED");
  DcmItem& frame = AddItem(data, DCM_ReferencedFrameOfReferenceSequence);
  Put(frame, DCM_FrameOfReferenceUID, frame_of_reference);
  if (source.study_uid.empty() || !source.CanBeReferenced()) return;
  DcmItem& study = AddItem(frame, DCM_RTReferencedStudySequence);
  Put(study, DCM_ReferencedSOPClassUID, UID_RETIRED_DetachedStudyManagementSOPClass);
  Put(study, DCM_ReferencedSOPInstanceUID, source.study_uid);
  DcmItem& series = AddItem(study, DCM_RTReferencedSeriesSequence);
  Put(series, DCM_SeriesInstanceUID, source.series_uid);
  for (const SourceSlice& slice : source.slices)
    PutReference(AddItem(series, DCM_ContourImageSequence), slice);
}

}  // namespace

RtStruct ContoursOfLabels(const Volume& labels, int axis, const std::map<int, std::string>& names) {
  const std::vector<uint16_t> values = labels.ToLabels("the mask");
  const Geometry& grid = labels.geometry;
  const int across = axis == 0 ? 1 : 0;
  const int down = axis == 2 ? 1 : 2;
  const auto rows = static_cast<int>(grid.size[down]);
  const auto columns = static_cast<int>(grid.size[across]);
  RtStruct result;
  for (const int label : LabelsIn(values)) {
    RtRoi roi;
    roi.number = static_cast<int>(result.rois.size()) + 1;
    roi.name = NameOf(names, label);
    roi.rgb = MeaningOfLabel(roi.name, label).rgb;
    roi.has_rgb = true;
    std::vector<uint16_t> plane(static_cast<size_t>(rows) * columns);
    for (int64_t slice = 0; slice < grid.size[axis]; ++slice) {
      size_t next = 0;
      std::array<int64_t, 3> index{};
      index[axis] = slice;
      for (index[down] = 0; index[down] < rows; ++index[down])
        for (index[across] = 0; index[across] < columns; ++index[across])
          plane[next++] = values[static_cast<size_t>(
              (index[2] * grid.size[1] + index[1]) * grid.size[0] + index[0])];
      for (const Polygon& polygon : OutlinesOf(plane, label, rows, columns)) {
        RtContour contour;
        contour.type = "CLOSED_PLANAR";
        for (const auto& point : polygon) {
          std::array<double, 3> at{};
          at[axis] = static_cast<double>(slice);
          at[across] = point[0];
          at[down] = point[1];
          contour.points.push_back(grid.PhysicalFromIndex(at));
        }
        roi.contours.push_back(std::move(contour));
      }
    }
    result.rois.push_back(std::move(roi));
  }
  return result;
}

RtWriteResult WriteRtStruct(const Volume& labels, const SourceSeries& source, const fs::path& path,
                            const RtWriteOptions& options) {
  RtWriteResult result;
  const std::vector<uint16_t> values = labels.ToLabels("the mask");
  const std::set<int> present = LabelsIn(values);
  if (present.empty()) throw IoError("the mask holds no label: there is nothing to outline");
  std::vector<std::vector<uint16_t>> planes;
  result.notes = SampleSource(labels.geometry, values, source, planes);
  if (!source.CanBeReferenced())
    result.notes.push_back(
        "source images lack their unique identifiers; the structure set cannot name all of them");
  std::string frame_of_reference = source.frame_of_reference_uid;
  if (frame_of_reference.empty()) {
    frame_of_reference = dcm::NewUid();
    result.notes.push_back("the source images name no frame of reference; a new one was made");
  }

  DcmFileFormat file;
  DcmDataset& data = *file.getDataset();
  const auto from = dcm::Load(source.slices.front().path);
  result.sop_instance_uid = dcm::NewUid();
  PutHeader(data, *from->getDataset(), source, options, result, frame_of_reference);
  for (const int label : present) {
    const std::string number = std::to_string(++result.rois);
    const std::string name = NameOf(options.names, label);
    const SegmentMeaning meaning = MeaningOfLabel(name, label);
    DcmItem& roi = AddItem(data, DCM_StructureSetROISequence);
    Put(roi, DCM_ROINumber, number);
    Put(roi, DCM_ReferencedFrameOfReferenceUID, frame_of_reference);
    Put(roi, DCM_ROIName, dcm::Clean(name, 64));
    Put(roi, DCM_ROIGenerationAlgorithm, options.algorithm_type);

    DcmItem& outline = AddItem(data, DCM_ROIContourSequence);
    const auto colour = options.colours.find(label);
    const auto rgb = colour == options.colours.end() ? meaning.rgb : colour->second;
    Put(outline, DCM_ROIDisplayColor,
        std::to_string(rgb[0]) + "\\" + std::to_string(rgb[1]) + "\\" + std::to_string(rgb[2]));
    Put(outline, DCM_ReferencedROINumber, number);
    for (size_t i = 0; i < planes.size(); ++i) {
      for (const Polygon& polygon : OutlinesOf(planes[i], label, source.rows, source.columns)) {
        DcmItem& contour = AddItem(outline, DCM_ContourSequence);
        if (source.CanBeReferenced())
          PutReference(AddItem(contour, DCM_ContourImageSequence), source.slices[i]);
        Put(contour, DCM_ContourGeometricType, "CLOSED_PLANAR");
        Put(contour, DCM_NumberOfContourPoints, std::to_string(polygon.size()));
        Put(contour, DCM_ContourData, Coordinates(polygon, source.slices[i], source));
        ++result.contours;
      }
    }

    DcmItem& observation = AddItem(data, DCM_RTROIObservationsSequence);
    Put(observation, DCM_ObservationNumber, number);
    Put(observation, DCM_ReferencedROINumber, number);
    Put(observation, DCM_RTROIInterpretedType, "");
    Put(observation, DCM_ROIInterpreter, "");
    if (meaning.known)
      dcm::PutCode(observation, DCM_RTROIIdentificationCodeSequence, meaning.type.value,
                   meaning.type.scheme, meaning.type.meaning);
  }
  // Implicit VR: in explicit VR contour data (DS) end at 64 KiB.
  dcm::Save(file, path, EXS_LittleEndianImplicit);
  return result;
}

}  // namespace avocet::io
