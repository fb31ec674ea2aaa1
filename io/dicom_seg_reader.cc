// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <set>

#include "app/base/error.h"
#include "io/dcmtk_util.h"
#include "io/dicom_pixels.h"
#include "io/dicom_planes.h"
#include "io/dicom_seg.h"
#include "io/dicom_seg_labels.h"
#include "io/dicom_seg_planes.h"

namespace avocet::io {
namespace fs = std::filesystem;
using dcm::Dot;
using dcm::Item;
using dcm::Vec3;

namespace {

// Label Map Segmentation Storage (Supplement 243); DCMTK 3.6.7 does not know it.
constexpr const char* kLabelMapStorage = "1.2.840.10008.5.1.4.1.1.66.7";

[[noreturn]] void Fail(const fs::path& path, const std::string& what) {
  throw IoError(path.string() + " " + what);
}

CodedConcept ReadCode(DcmItem& item, const DcmTagKey& sequence) {
  CodedConcept code;
  if (DcmItem* found = Item(item, sequence)) {
    code.value = dcm::Text(*found, DCM_CodeValue);
    if (code.value.empty()) code.value = dcm::Text(*found, DCM_LongCodeValue);
    code.scheme = dcm::Text(*found, DCM_CodingSchemeDesignator);
    code.meaning = dcm::Text(*found, DCM_CodeMeaning);
  }
  return code;
}

SpaceIdentity ReadSpace(DcmItem& data) {
  SpaceIdentity space;
  space.frame_of_reference_uid = dcm::Text(data, DCM_FrameOfReferenceUID);
  std::set<std::string> seen;
  for (DcmItem* series : dcm::Items(data, DCM_ReferencedSeriesSequence)) {
    const std::string uid = dcm::Text(*series, DCM_SeriesInstanceUID);
    if (!uid.empty() && seen.insert(uid).second) space.series_uids.push_back(uid);
  }
  return space;
}

class Reader {
 public:
  explicit Reader(const fs::path& path)
      : path_(path), file_(dcm::Load(path)), data_(*file_->getDataset()) {}
  SegReadResult Read(const SegReadOptions& options);

 private:
  void ReadSegments();
  void ReadBackground();
  void GiveValues();
  void ReadFrames();
  void ReadFrame(DcmItem* item, size_t number, bool first);
  DcmItem* Group(DcmItem* frame, const DcmTagKey& macro);
  // The described segment that a frame names, or none.
  std::optional<int> SegmentOf(DcmItem* frame, size_t number);
  void ReadReferences();
  void NoteUndescribed();
  void NoteEmpty();
  void StateFields(const std::string& type);
  void StateSpace(const SourceSeries* source);

  const fs::path& path_;
  std::unique_ptr<DcmFileFormat> file_;
  DcmItem& data_;
  SegReadResult result_;
  std::map<int, size_t> index_of_segment_;          // by number
  std::map<int, std::vector<size_t>> undescribed_;  // frames from 1, by the segment they name
  seg::Kind kind_ = seg::Kind::kBinary;
  seg::Background background_;
  seg::FrameStack stack_;
  seg::Placement placement_;
};

void Reader::ReadSegments() {
  for (DcmItem* item : dcm::Items(data_, DCM_SegmentSequence)) {
    Segment segment;
    segment.number = static_cast<int>(dcm::Integer(*item, DCM_SegmentNumber, -1));
    if (segment.number < 0 || segment.number > 65535) Fail(path_, "has a segment without a number");
    segment.value = segment.number;
    segment.label = dcm::Text(*item, DCM_SegmentLabel);
    segment.description = dcm::Text(*item, DCM_SegmentDescription);
    segment.algorithm_type = dcm::Text(*item, DCM_SegmentAlgorithmType);
    segment.algorithm_name = dcm::Text(*item, DCM_SegmentAlgorithmName);
    segment.category = ReadCode(*item, DCM_SegmentedPropertyCategoryCodeSequence);
    segment.type = ReadCode(*item, DCM_SegmentedPropertyTypeCodeSequence);
    if (DcmItem* type = Item(*item, DCM_SegmentedPropertyTypeCodeSequence))
      segment.type_modifier = ReadCode(*type, DCM_SegmentedPropertyTypeModifierCodeSequence);
    std::array<uint16_t, 3> cielab{};
    segment.has_rgb = true;
    for (unsigned long c = 0; c < 3; ++c)
      if (item->findAndGetUint16(DCM_RecommendedDisplayCIELabValue, cielab[c], c).bad())
        segment.has_rgb = false;
    if (segment.has_rgb) segment.rgb = RgbFromCielab(cielab);
    if (!index_of_segment_.emplace(segment.number, result_.segments.size()).second)
      Fail(path_, "describes segment " + std::to_string(segment.number) + " twice");
    result_.segments.push_back(segment);
  }
  if (result_.segments.empty()) Fail(path_, "describes no segment");
}

// Which pixels of a label map mean no segment. PS3.3 C.8.20.2 (Supplement 243): PixelPaddingValue
// says so; the background may also be described, as segment 0 of type "Background".
void Reader::ReadBackground() {
  if (kind_ != seg::Kind::kLabelMap) return;
  const long padding = dcm::Integer(data_, DCM_PixelPaddingValue, -1);
  background_.has_padding = padding >= 0 && padding <= 65535;
  background_.padding = background_.has_padding ? static_cast<int>(padding) : 0;
  const auto is_background = [](const Segment& segment) {
    return segment.type.scheme == "DCM" && segment.type.value == "125040";
  };
  for (Segment& segment : result_.segments) {
    const bool padded = background_.has_padding && segment.number == background_.padding;
    if (segment.number != 0 && !padded) continue;
    if (padded || is_background(segment)) {
      segment.value = 0;
      if (!is_background(segment))
        result_.notes.push_back(seg::NameOf(segment) + " has the number that the file gives to " +
                                "pixels of no segment (PixelPaddingValue): it is taken as the " +
                                "background");
    } else {
      background_.segment_zero = true;
    }
  }
}

// A structure whose number is 0 needs another label value.
void Reader::GiveValues() {
  const auto zero = index_of_segment_.find(0);
  if (zero == index_of_segment_.end()) return;
  if (kind_ == seg::Kind::kLabelMap && !background_.segment_zero) return;
  int value = 1;
  while (index_of_segment_.count(value) > 0) ++value;
  if (value > 65535) Fail(path_, "describes more segments than there are label values");
  Segment& segment = result_.segments[zero->second];
  segment.value = value;
  result_.notes.push_back(seg::NameOf(segment) + " has the label value " + std::to_string(value) +
                          ": 0 is the background of a label map");
}

DcmItem* Reader::Group(DcmItem* frame, const DcmTagKey& macro) {
  if (frame != nullptr)
    if (DcmItem* own = Item(*frame, macro)) return own;
  DcmItem* shared = Item(data_, DCM_SharedFunctionalGroupsSequence);
  return shared ? Item(*shared, macro) : nullptr;
}

std::optional<int> Reader::SegmentOf(DcmItem* frame, size_t number) {
  if (kind_ == seg::Kind::kLabelMap) return 0;  // its pixels say which
  DcmItem* identity = Group(frame, DCM_SegmentIdentificationSequence);
  const long segment = identity ? dcm::Integer(*identity, DCM_ReferencedSegmentNumber, -1) : -1;
  if (segment < 0 || segment > 65535)
    Fail(path_, "does not say which segment frame " + std::to_string(number) + " belongs to");
  if (index_of_segment_.count(static_cast<int>(segment)) > 0) return static_cast<int>(segment);
  undescribed_[static_cast<int>(segment)].push_back(number);
  return std::nullopt;
}

void Reader::ReadFrame(DcmItem* item, size_t number, bool first) {
  const std::string name = "frame " + std::to_string(number);
  const std::optional<int> segment = SegmentOf(item, number);
  if (!segment) return;
  DcmItem* position = Group(item, DCM_PlanePositionSequence);
  DcmItem* orientation = Group(item, DCM_PlaneOrientationSequence);
  DcmItem* measures = Group(item, DCM_PixelMeasuresSequence);
  seg::Frame frame;
  frame.segment = *segment;
  frame.pixels = number - 1;
  std::array<double, 6> cosines{};
  std::array<double, 2> spacing{};
  if (!position || !orientation || !measures ||
      !dcm::Triple(*position, DCM_ImagePositionPatient, frame.position) ||
      !dcm::Numbers(*orientation, DCM_ImageOrientationPatient, 6, cosines.data()) ||
      !dcm::Numbers(*measures, DCM_PixelSpacing, 2, spacing.data()) || !(spacing[0] > 0) ||
      !(spacing[1] > 0))
    Fail(path_, "lacks the position, orientation or pixel spacing of " + name);
  for (const double x : frame.position)
    if (std::abs(x) > 1e6) Fail(path_, "places " + name + " more than a kilometre away");
  Vec3 row{};
  Vec3 column{};
  Vec3 normal{};
  PlaneAxes({cosines[0], cosines[1], cosines[2]}, {cosines[3], cosines[4], cosines[5]}, path_, row,
            column, normal);
  double distance = 0;
  double thickness = 0;
  if (!dcm::Numbers(*measures, DCM_SpacingBetweenSlices, 1, &distance)) distance = 0;
  if (!dcm::Numbers(*measures, DCM_SliceThickness, 1, &thickness)) thickness = 0;
  distance = std::abs(distance);  // of stacks that run backwards it may be negative
  if (first) {
    stack_.row = row;
    stack_.column = column;
    stack_.normal = normal;
    stack_.spacing = spacing;
    stack_.stated_distance = distance;
    stack_.thickness = std::max(0.0, thickness);
  }
  // A distance that is not that of all frames is no distance of the stack.
  if (std::abs(distance - stack_.stated_distance) > 0.01 * stack_.stated_distance)
    stack_.stated_distance = 0;
  if (std::abs(thickness - stack_.thickness) > 0.01 * stack_.thickness) stack_.thickness = 0;
  if (Dot(row, stack_.row) < 1 - 1e-5 || Dot(column, stack_.column) < 1 - 1e-5 ||
      std::abs(spacing[0] - stack_.spacing[0]) > 1e-3 * stack_.spacing[0] ||
      std::abs(spacing[1] - stack_.spacing[1]) > 1e-3 * stack_.spacing[1])
    Fail(path_, "has frames of different orientation or pixel spacing (" + name +
                    "), which one volume cannot hold");
  stack_.frames.push_back(frame);
}

void Reader::ReadFrames() {
  std::vector<DcmItem*> items = dcm::Items(data_, DCM_PerFrameFunctionalGroupsSequence);
  const long declared = dcm::Integer(data_, DCM_NumberOfFrames, 0);
  if (items.empty() && declared == 1) items.push_back(nullptr);  // the shared groups say all
  if (items.empty())
    Fail(path_, "has " + std::to_string(declared) +
                    " frames and no per-frame functional groups: where they lie is not stated; "
                    "write the segmentation anew with the program that made it");
  if (declared != static_cast<long>(items.size()))
    Fail(path_, "declares " + std::to_string(declared) + " frames and describes " +
                    std::to_string(items.size()));
  for (size_t i = 0; i < items.size(); ++i) ReadFrame(items[i], i + 1, stack_.frames.empty());
  if (stack_.frames.empty())
    Fail(path_, "has no frame of a segment that it describes (its frames name segment " +
                    std::to_string(undescribed_.begin()->first) + ")");
}

void Reader::ReadReferences() {
  SpaceIdentity space = ReadSpace(data_);
  result_.frame_of_reference_uid = space.frame_of_reference_uid;
  result_.referenced_series_uids = std::move(space.series_uids);
  if (!result_.referenced_series_uids.empty())
    result_.referenced_series_uid = result_.referenced_series_uids[0];
}

void Reader::NoteUndescribed() {
  for (const auto& [segment, frames] : undescribed_)
    result_.notes.push_back((frames.size() == 1 ? "frame " : "frames ") + seg::ListOf(frames) +
                            (frames.size() == 1 ? " belongs" : " belong") + " to segment " +
                            std::to_string(segment) +
                            ", which the file does not describe; left out");
}

// Segments that the file describes and that have no voxel in what was read.
void Reader::NoteEmpty() {
  std::vector<std::string> names;
  for (size_t s = 0; s < result_.segments.size(); ++s)
    if (result_.voxels[s] == 0 && result_.segments[s].value > 0)
      names.push_back(seg::NameOf(result_.segments[s]));
  if (names.empty()) return;
  std::string text;
  for (size_t n = 0; n < names.size(); ++n) text += (n ? ", " : "") + names[n];
  result_.notes.push_back(text + (names.size() == 1 ? " has no voxel" : " have no voxels"));
}

// What the volumes are, and whose.
void Reader::StateSpace(const SourceSeries* source) {
  for (std::vector<Volume>* volumes : {&result_.volumes, &result_.fractions}) {
    for (Volume& volume : *volumes) {
      volume.modality = "SEG";
      volume.frame_of_reference_uid = result_.frame_of_reference_uid;
      volume.series_instance_uid = result_.referenced_series_uid;
      const auto& named = result_.referenced_series_uids;
      if (source && std::find(named.begin(), named.end(), source->series_uid) != named.end())
        volume.series_instance_uid = source->series_uid;
      volume.assumed.slice_distance = placement_.assumed && !source;
      volume.resampled = source && !source->regular;
      volume.notes = result_.notes;
    }
  }
}

void Reader::StateFields(const std::string& type) {
  auto& fields = result_.fields;
  fields.emplace_back("SegmentationType", type);
  fields.emplace_back("NumberOfFrames", dcm::Text(data_, DCM_NumberOfFrames));
  fields.emplace_back("SliceDistance", dcm::DecimalString(result_.slice_distance_mm) + " mm, " +
                                           NameOf(result_.slice_distance_from));
  for (const auto& [tag, name] :
       {std::pair<DcmTagKey, const char*>{DCM_SegmentsOverlap, "SegmentsOverlap"},
        {DCM_SegmentationFractionalType, "SegmentationFractionalType"},
        {DCM_MaximumFractionalValue, "MaximumFractionalValue"},
        {DCM_Manufacturer, "Manufacturer"},
        {DCM_ManufacturerModelName, "ManufacturerModelName"},
        {DCM_LossyImageCompression, "LossyImageCompression"}}) {
    std::string value = dcm::Text(data_, tag);
    if (!value.empty()) fields.emplace_back(name, std::move(value));
  }
  for (const std::string& uid : result_.referenced_series_uids)
    fields.emplace_back("ReferencedSeriesInstanceUID", uid);
  if (!result_.frame_of_reference_uid.empty())
    fields.emplace_back("FrameOfReferenceUID", result_.frame_of_reference_uid);
  for (const Segment& segment : result_.segments) {
    std::string text = segment.label;
    if (!segment.type.empty())
      text += ", " + segment.type.meaning + " (" + segment.type.value + ", " + segment.type.scheme +
              ")";
    if (!segment.type_modifier.empty()) text += ", " + segment.type_modifier.meaning;
    if (!segment.algorithm_type.empty()) text += ", " + segment.algorithm_type;
    if (!segment.algorithm_name.empty()) text += " by " + segment.algorithm_name;
    fields.emplace_back("segment " + std::to_string(segment.number), text);
  }
}

SegReadResult Reader::Read(const SegReadOptions& options) {
  const SourceSeries* source = options.source;
  const std::string sop_class = dcm::Text(data_, DCM_SOPClassUID);
  if (sop_class != UID_SegmentationStorage && sop_class != kLabelMapStorage)
    Fail(path_, "is not a DICOM segmentation");
  stack_.rows = dcm::Integer(data_, DCM_Rows, 0);
  stack_.columns = dcm::Integer(data_, DCM_Columns, 0);
  const std::string type = dcm::Text(data_, DCM_SegmentationType);
  if (type == "FRACTIONAL") {
    kind_ = seg::Kind::kFractional;
  } else if (type == "LABELMAP") {
    kind_ = seg::Kind::kLabelMap;
  } else if (type != "BINARY") {
    Fail(path_, "is a segmentation that is neither BINARY, FRACTIONAL nor LABELMAP");
  }
  const long maximum = dcm::Integer(data_, DCM_MaximumFractionalValue, 0);
  if (kind_ == seg::Kind::kFractional && maximum < 1)
    Fail(path_, "is fractional and has no Maximum Fractional Value");
  ReadReferences();
  ReadSegments();
  ReadBackground();
  GiveValues();
  ReadFrames();
  const PixelFrames pixels = ReadPixelFrames(*file_, path_);
  if (static_cast<long>(pixels.frame_count) != dcm::Integer(data_, DCM_NumberOfFrames, 0))
    Fail(path_, "holds another number of frames than it describes");
  if (pixels.may_be_lossy)
    result_.notes.push_back(
        "the compression of the segmentation may have changed its values (transfer syntax " +
        dcm::Text(*file_->getMetaInfo(), DCM_TransferSyntaxUID) + ")");
  const bool placed = source && seg::PlaceOnSeries(stack_, *source, path_, placement_);
  if (!placed) placement_ = seg::DeriveGrid(stack_, options, path_);
  result_.slice_distance_from = placement_.from;
  result_.slice_distance_mm = placement_.geometry.spacing[2];
  result_.notes.insert(result_.notes.end(), placement_.notes.begin(), placement_.notes.end());
  NoteUndescribed();
  seg::Content content{
      path_,
      kind_,
      stack_,
      placement_,
      pixels,
      static_cast<double>(maximum),
      static_cast<int>(std::clamp(dcm::Integer(data_, DCM_BitsStored, 8), 1L, 16L)),
      background_};
  seg::Assemble(content, result_);
  NoteEmpty();
  if (source && !placed) {
    seg::MoveTo(*source, path_, result_);
  } else if (source && !source->regular) {
    seg::MoveToUneven(*source, path_, result_);
  }
  StateFields(type);
  StateSpace(source);
  return std::move(result_);
}

}  // namespace

const char* NameOf(SliceDistanceFrom from) {
  switch (from) {
    case SliceDistanceFrom::kStated:
      return "as the file states";
    case SliceDistanceFrom::kImage:
      return "that of the image";
    case SliceDistanceFrom::kPositions:
      return "from the positions of the frames";
    case SliceDistanceFrom::kThickness:
      return "the slice thickness";
    case SliceDistanceFrom::kAssumed:
      return "assumed";
  }
  return "";
}

SegReadResult ReadDicomSeg(const fs::path& path, const SegReadOptions& options) {
  return Reader(path).Read(options);
}

SegReadResult ReadDicomSeg(const fs::path& path, const SourceSeries* source) {
  SegReadOptions options;
  options.source = source;
  return ReadDicomSeg(path, options);
}

SpaceIdentity SpaceOfSeg(const fs::path& path) {
  const auto file = dcm::Load(path);
  return ReadSpace(*file->getDataset());
}

bool IsDicomSeg(const fs::path& path) {
  const std::string uid = SopClassOf(path);
  return uid == UID_SegmentationStorage || uid == kLabelMapStorage;
}

}  // namespace avocet::io
