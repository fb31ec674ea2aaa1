// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <set>
#include <utility>

#include "app/base/error.h"
#include "io/dcmtk_util.h"
#include "io/rtstruct.h"

namespace avocet::io {
namespace fs = std::filesystem;

namespace {

[[noreturn]] void Fail(const fs::path& path, const std::string& what) {
  throw IoError(path.string() + " " + what);
}

// "x\y\z\x\y\z..." in one pass: DCMTK's access by position starts anew for each number. Returns
// what is wrong, "" when nothing is.
std::string ParsePoints(const std::string& text, std::vector<std::array<double, 3>>& points) {
  std::vector<double> numbers;
  const char* at = text.c_str();
  const char* last = at + text.size();
  while (*at != '\0') {
    while (*at == ' ') ++at;
    if (*at == '+') ++at;
    double value = 0;  // whatever the locale, which strtod would follow
    const auto [end, error] = std::from_chars(at, last, value);
    if (error != std::errc() || !std::isfinite(value) || std::abs(value) > 1e6)
      return "contour data that are not numbers within a kilometre";
    numbers.push_back(value);
    at = end;
    while (*at == ' ') ++at;
    if (*at == '\\') {
      ++at;
    } else if (*at != '\0') {
      return "contour data that are not numbers within a kilometre";
    }
  }
  if (numbers.empty() || numbers.size() % 3 != 0)
    return "a contour with " + std::to_string(numbers.size()) +
           " numbers, which are not points of three";
  points.resize(numbers.size() / 3);
  for (size_t i = 0; i < points.size(); ++i)
    points[i] = {numbers[3 * i], numbers[3 * i + 1], numbers[3 * i + 2]};
  return "";
}

std::string NameOf(const RtRoi& roi) {
  const std::string text = "ROI " + std::to_string(roi.number);
  return roi.name.empty() ? text : text + " '" + roi.name + "'";
}

// One item of the Contour Sequence. Returns what is damaged, "" when nothing is.
std::string ReadContour(DcmItem& item, RtRoi& roi, std::vector<std::string>& notes) {
  RtContour contour;
  contour.type = dcm::Text(item, DCM_ContourGeometricType);
  const std::string numbers = dcm::Text(item, DCM_ContourData);
  const long declared = dcm::Integer(item, DCM_NumberOfContourPoints, -1);
  if (numbers.empty()) return declared > 0 ? "a contour without its points" : "";
  if (std::string wrong = ParsePoints(numbers, contour.points); !wrong.empty()) return wrong;
  if (declared >= 0 && declared != static_cast<long>(contour.points.size()))
    notes.push_back("a contour of " + NameOf(roi) + " declares " + std::to_string(declared) +
                    " points and has " + std::to_string(contour.points.size()));
  roi.contours.push_back(std::move(contour));
  return "";
}

void ReadContours(DcmItem& data, RtStruct& result, const fs::path& path) {
  std::map<long, RtRoi*> roi_of_number;
  for (RtRoi& roi : result.rois) roi_of_number[roi.number] = &roi;
  std::map<const RtRoi*, std::string> damage;  // the first of each ROI
  std::map<long, int> undescribed;             // contours, by ROI number
  size_t good = 0;
  for (DcmItem* item : dcm::Items(data, DCM_ROIContourSequence)) {
    const long number = dcm::Integer(*item, DCM_ReferencedROINumber, -1);
    const std::vector<DcmItem*> contours = dcm::Items(*item, DCM_ContourSequence);
    const auto found = roi_of_number.find(number);
    if (found == roi_of_number.end()) {
      undescribed[number] += static_cast<int>(contours.size());
      continue;
    }
    RtRoi* const roi = found->second;
    double colour[3];
    if (dcm::Numbers(*item, DCM_ROIDisplayColor, 3, colour)) {
      roi->has_rgb = true;
      for (int c = 0; c < 3; ++c)
        roi->rgb[c] = static_cast<uint8_t>(std::clamp(colour[c], 0.0, 255.0));
    }
    for (DcmItem* contour : contours) {
      const std::string wrong = ReadContour(*contour, *roi, result.notes);
      if (wrong.empty()) continue;
      ++roi->damaged_contours;
      damage.emplace(roi, wrong);
    }
    good += roi->contours.size();
  }
  if (good == 0 && !damage.empty()) Fail(path, "has " + damage.begin()->second);
  for (const RtRoi& roi : result.rois) {
    if (roi.damaged_contours == 0) continue;
    result.notes.push_back(
        NameOf(roi) + " has " + damage[&roi] + "; " + std::to_string(roi.damaged_contours) +
        " damaged of its " +
        std::to_string(roi.contours.size() + static_cast<size_t>(roi.damaged_contours)) +
        " contours " + (roi.damaged_contours == 1 ? "is" : "are") + " left out");
  }
  for (const auto& [number, count] : undescribed)
    result.notes.push_back(std::to_string(count) + " contours of ROI " + std::to_string(number) +
                           ", which the file does not describe, are left out");
}

// The frames of reference of the file with the image series that it names in each.
std::vector<SpaceIdentity> ReadFrames(DcmItem& data) {
  std::vector<SpaceIdentity> frames;
  for (DcmItem* frame : dcm::Items(data, DCM_ReferencedFrameOfReferenceSequence)) {
    SpaceIdentity space;
    space.frame_of_reference_uid = dcm::Text(*frame, DCM_FrameOfReferenceUID);
    for (DcmItem* study : dcm::Items(*frame, DCM_RTReferencedStudySequence))
      for (DcmItem* series : dcm::Items(*study, DCM_RTReferencedSeriesSequence))
        if (const std::string uid = dcm::Text(*series, DCM_SeriesInstanceUID); !uid.empty())
          space.series_uids.push_back(uid);
    frames.push_back(std::move(space));
  }
  return frames;
}

// What the file says of the space of one ROI. Its own statement comes first: several frames of
// reference may be in use.
SpaceIdentity SpaceOfRoi(DcmItem& item, const std::vector<SpaceIdentity>& frames) {
  SpaceIdentity space;
  space.frame_of_reference_uid = dcm::Text(item, DCM_ReferencedFrameOfReferenceUID);
  if (space.frame_of_reference_uid.empty() && frames.size() == 1) return frames[0];
  for (const SpaceIdentity& frame : frames)
    if (frames.size() == 1 || space.frame_of_reference_uid.empty() ||
        frame.frame_of_reference_uid == space.frame_of_reference_uid)
      space.series_uids.insert(space.series_uids.end(), frame.series_uids.begin(),
                               frame.series_uids.end());
  return space;
}

}  // namespace

RtStruct ReadRtStruct(const fs::path& path) {
  const auto file = dcm::Load(path);
  DcmItem& data = *file->getDataset();
  if (dcm::Text(data, DCM_SOPClassUID) != UID_RTStructureSetStorage)
    Fail(path, "is not an RT structure set");
  RtStruct result;
  result.label = dcm::Text(data, DCM_StructureSetLabel);
  const std::vector<SpaceIdentity> frames = ReadFrames(data);
  for (const SpaceIdentity& frame : frames) {
    if (result.frame_of_reference_uid.empty())
      result.frame_of_reference_uid = frame.frame_of_reference_uid;
    result.referenced_series_uids.insert(result.referenced_series_uids.end(),
                                         frame.series_uids.begin(), frame.series_uids.end());
  }
  if (!result.referenced_series_uids.empty())
    result.referenced_series_uid = result.referenced_series_uids[0];
  std::set<int> numbers;
  for (DcmItem* item : dcm::Items(data, DCM_StructureSetROISequence)) {
    RtRoi roi;
    roi.number = static_cast<int>(dcm::Integer(*item, DCM_ROINumber, -1));
    roi.name = dcm::Text(*item, DCM_ROIName);
    roi.space = SpaceOfRoi(*item, frames);
    if (!numbers.insert(roi.number).second) {
      result.notes.push_back("ROI " + std::to_string(roi.number) +
                             " is described twice; the first description is used");
      continue;
    }
    result.rois.push_back(std::move(roi));
  }
  if (result.rois.empty()) Fail(path, "describes no region of interest");
  ReadContours(data, result, path);
  return result;
}

bool IsRtStruct(const fs::path& path) { return SopClassOf(path) == UID_RTStructureSetStorage; }

}  // namespace avocet::io
