// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cctype>
#include <map>
#include <set>

#include "app/base/error.h"
#include "io/dcmtk_util.h"
#include "io/dicom_seg.h"
#include "io/label_sampler.h"

namespace avocet::io {
namespace fs = std::filesystem;
using dcm::AddItem;
using dcm::Put;
using dcm::PutUInt16;
using dcm::PutUInt32;

namespace {

// A frame to be written: whose segment (index), on which source slice.
struct Frame {
  size_t segment;
  size_t slice;
};

// The pixels of all frames, one bit each, first pixel in the lowest bit, frames not padded
// (PS3.5 8.1.1 and D.).
class BitWriter {
 public:
  explicit BitWriter(uint64_t bits) : bytes_((bits + 15) / 16 * 2) {}
  void Add(bool bit) {
    if (bit) bytes_[next_ / 8] |= static_cast<uint8_t>(1U << (next_ % 8));
    ++next_;
  }
  const std::vector<uint8_t>& bytes() const { return bytes_; }

 private:
  std::vector<uint8_t> bytes_;
  uint64_t next_ = 0;
};

std::vector<SegmentToWrite> ChooseSegments(const std::vector<uint16_t>& labels,
                                           const SegWriteOptions& options,
                                           std::vector<std::string>& notes) {
  std::set<int> present;
  std::vector<bool> seen(65536);
  for (const uint16_t label : labels) seen[label] = true;
  for (int value = 1; value < 65536; ++value)
    if (seen[value]) present.insert(value);
  std::vector<SegmentToWrite> chosen = options.segments;
  if (chosen.empty()) {
    for (const int value : present) {
      SegmentToWrite segment;
      segment.value = value;
      segment.segment.label = "Segment " + std::to_string(value);
      chosen.push_back(segment);
    }
  }
  std::sort(chosen.begin(), chosen.end(),
            [](const auto& a, const auto& b) { return a.value < b.value; });
  std::set<int> named;
  for (const auto& segment : chosen) {
    if (segment.value < 1 || segment.value > 65535 || !named.insert(segment.value).second)
      throw IoError("the segment value " + std::to_string(segment.value) +
                    " is given twice or is not between 1 and 65535");
  }
  for (const int value : present)
    if (!named.count(value))
      notes.push_back("label " + std::to_string(value) +
                      " of the mask is not among the segments and was left out");
  if (chosen.empty())
    throw IoError("the mask holds no label, and no segments were named: there is nothing to write");
  for (auto& entry : chosen) {
    Segment& segment = entry.segment;
    if (segment.label.empty()) segment.label = "Segment " + std::to_string(entry.value);
    const SegmentMeaning meaning = MeaningOfLabel(segment.label, entry.value);
    if (segment.type.empty()) {
      segment.category = meaning.category;
      segment.type = meaning.type;
      segment.type_modifier = meaning.laterality;
    }
    if (!segment.has_rgb) segment.rgb = meaning.rgb;
    if (segment.algorithm_type.empty()) segment.algorithm_type = options.algorithm_type;
    if (segment.algorithm_name.empty()) segment.algorithm_name = options.algorithm_name;
  }
  return chosen;
}

void PutSegments(DcmItem& data, const std::vector<SegmentToWrite>& segments) {
  for (size_t i = 0; i < segments.size(); ++i) {
    const Segment& segment = segments[i].segment;
    DcmItem& item = AddItem(data, DCM_SegmentSequence);
    PutUInt16(item, DCM_SegmentNumber, {static_cast<uint16_t>(i + 1)});
    Put(item, DCM_SegmentLabel, dcm::Clean(segment.label, 64));
    if (!segment.description.empty())
      Put(item, DCM_SegmentDescription, dcm::Clean(segment.description, 1024));
    Put(item, DCM_SegmentAlgorithmType, segment.algorithm_type);
    if (segment.algorithm_type != "MANUAL")
      Put(item, DCM_SegmentAlgorithmName, dcm::Clean(segment.algorithm_name, 64));
    dcm::PutCode(item, DCM_SegmentedPropertyCategoryCodeSequence, segment.category.value,
                 segment.category.scheme, segment.category.meaning);
    dcm::PutCode(item, DCM_SegmentedPropertyTypeCodeSequence, segment.type.value,
                 segment.type.scheme, segment.type.meaning);
    if (!segment.type_modifier.empty()) {
      DcmItem* type = dcm::Item(item, DCM_SegmentedPropertyTypeCodeSequence);
      dcm::PutCode(*type, DCM_SegmentedPropertyTypeModifierCodeSequence,
                   segment.type_modifier.value, segment.type_modifier.scheme,
                   segment.type_modifier.meaning);
    }
    const auto cielab = CielabFromRgb(segment.rgb);
    PutUInt16(item, DCM_RecommendedDisplayCIELabValue, {cielab[0], cielab[1], cielab[2]});
  }
}

void PutDimensions(DcmItem& data) {
  const std::string organization = dcm::NewUid();
  Put(AddItem(data, DCM_DimensionOrganizationSequence), DCM_DimensionOrganizationUID, organization);
  const struct {
    DcmTagKey pointer;
    DcmTagKey group;
    const char* label;
  } dimensions[] = {
      {DCM_ReferencedSegmentNumber, DCM_SegmentIdentificationSequence, "Segment Number"},
      {DCM_ImagePositionPatient, DCM_PlanePositionSequence, "Image Position Patient"}};
  for (const auto& dimension : dimensions) {
    DcmItem& item = AddItem(data, DCM_DimensionIndexSequence);
    Put(item, DCM_DimensionOrganizationUID, organization);
    item.putAndInsertTagKey(DCM_DimensionIndexPointer, dimension.pointer);
    item.putAndInsertTagKey(DCM_FunctionalGroupPointer, dimension.group);
    Put(item, DCM_DimensionDescriptionLabel, dimension.label);
  }
}

void PutSharedGroups(DcmItem& data, const SourceSeries& source) {
  DcmItem& shared = AddItem(data, DCM_SharedFunctionalGroupsSequence);
  DcmItem& measures = AddItem(shared, DCM_PixelMeasuresSequence);
  // Unevenly spaced slices have no distance to state; each frame has its position.
  double spacing = source.geometry.spacing[2];
  if (!source.regular && source.slices.size() > 1) {
    spacing =
        dcm::Dot(dcm::Minus(source.slices[1].position, source.slices[0].position), source.normal);
  }
  Put(measures, DCM_SliceThickness,
      dcm::DecimalString(source.thickness > 0 ? source.thickness : spacing));
  if (source.regular && source.slices.size() > 1)
    Put(measures, DCM_SpacingBetweenSlices, dcm::DecimalString(spacing));
  Put(measures, DCM_PixelSpacing, dcm::DecimalStrings(source.spacing));
  Put(AddItem(shared, DCM_PlaneOrientationSequence), DCM_ImageOrientationPatient,
      dcm::DecimalStrings(source.cosines));
}

void PutSourceReference(DcmItem& item, const SourceSlice& slice) {
  Put(item, DCM_ReferencedSOPClassUID, slice.sop_class);
  Put(item, DCM_ReferencedSOPInstanceUID, slice.sop_instance);
}

// `referenced`: frames name their images, which PutReferencedSeries then lists.
void PutFrame(DcmItem& data, const SourceSlice& slice, const Frame& frame, bool referenced) {
  DcmItem& item = AddItem(data, DCM_PerFrameFunctionalGroupsSequence);
  if (referenced) {
    DcmItem& derivation = AddItem(item, DCM_DerivationImageSequence);
    DcmItem& image = AddItem(derivation, DCM_SourceImageSequence);
    PutSourceReference(image, slice);
    if (slice.frame > 0) Put(image, DCM_ReferencedFrameNumber, std::to_string(slice.frame));
    dcm::PutCode(image, DCM_PurposeOfReferenceCodeSequence, "121322", "DCM",
                 "Source image for image processing operation");
    Put(image, DCM_SpatialLocationsPreserved, slice.whole_image ? "YES" : "NO");
    dcm::PutCode(derivation, DCM_DerivationCodeSequence, "113076", "DCM", "Segmentation");
  }
  PutUInt32(AddItem(item, DCM_FrameContentSequence), DCM_DimensionIndexValues,
            {static_cast<uint32_t>(frame.segment + 1), static_cast<uint32_t>(frame.slice + 1)});
  Put(AddItem(item, DCM_PlanePositionSequence), DCM_ImagePositionPatient,
      dcm::DecimalStrings(slice.position));
  PutUInt16(AddItem(item, DCM_SegmentIdentificationSequence), DCM_ReferencedSegmentNumber,
            {static_cast<uint16_t>(frame.segment + 1)});
}

void PutReferencedSeries(DcmItem& data, const SourceSeries& source) {
  if (!source.CanBeReferenced()) return;
  DcmItem& series = AddItem(data, DCM_ReferencedSeriesSequence);
  std::set<std::string> done;
  for (const SourceSlice& slice : source.slices)
    if (done.insert(slice.sop_instance).second)
      PutSourceReference(AddItem(series, DCM_ReferencedInstanceSequence), slice);
  Put(series, DCM_SeriesInstanceUID, source.series_uid);
}

std::string ContentLabel(const std::string& text) {
  std::string label;
  for (const char c : text.substr(0, 16)) {
    const auto upper = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    label += std::isalnum(static_cast<unsigned char>(upper)) ? upper : '_';
  }
  return label.empty() ? "SEGMENTATION" : label;
}

// True when the patient's identity was left out.
bool PutHeader(DcmDataset& data, DcmItem& from, const SourceSeries& source,
               const std::vector<SegmentToWrite>& segments, const SegWriteOptions& options,
               const std::string& sop_instance) {
  const dcm::Now now = dcm::CurrentTime();
  const bool left = dcm::CopyPatientAndStudy(from, data, options.keep_patient);
  std::vector<std::string> texts{options.series_description, options.algorithm_name};
  for (const auto& entry : segments) {
    texts.push_back(entry.segment.label);
    texts.push_back(entry.segment.description);
    texts.push_back(entry.segment.algorithm_name);
    texts.push_back(entry.segment.category.meaning);
    texts.push_back(entry.segment.type.meaning);
  }
  dcm::PrepareForTexts(data, texts);
  if (source.study_uid.empty()) Put(data, DCM_StudyInstanceUID, dcm::NewUid());
  Put(data, DCM_Modality, "SEG");
  Put(data, DCM_SeriesInstanceUID, dcm::NewUid());
  Put(data, DCM_SeriesNumber, std::to_string(options.series_number));
  Put(data, DCM_SeriesDate, now.date);
  Put(data, DCM_SeriesTime, now.time);
  Put(data, DCM_SeriesDescription, dcm::Clean(options.series_description, 64));
  dcm::Copy(from, data, DCM_PatientPosition);
  for (const DcmTagKey& tag : {DCM_BodyPartExamined, DCM_Laterality})
    if (!dcm::Text(from, tag).empty()) dcm::Copy(from, data, tag);  // empty is not allowed
  Put(data, DCM_FrameOfReferenceUID,
      source.frame_of_reference_uid.empty() ? dcm::NewUid() : source.frame_of_reference_uid);
  dcm::Copy(from, data, DCM_PositionReferenceIndicator, true);
  dcm::PutEquipment(data);
  Put(data, DCM_SOPClassUID, UID_SegmentationStorage);
  Put(data, DCM_SOPInstanceUID, sop_instance);
  Put(data, DCM_InstanceNumber, "1");
  Put(data, DCM_ContentDate, now.date);
  Put(data, DCM_ContentTime, now.time);
  Put(data, DCM_InstanceCreationDate, now.date);
  Put(data, DCM_InstanceCreationTime, now.time);
  Put(data, DCM_ContentLabel, ContentLabel(options.content_label));
  Put(data, DCM_ContentDescription, dcm::Clean(options.series_description, 64));
  Put(data, DCM_ContentCreatorName, "AVOCET^SOFTWARE");
  Put(data, DCM_ImageType, "DERIVED\\PRIMARY");
  if (dcm::Text(from, DCM_LossyImageCompression) == "01") {
    for (const DcmTagKey& tag : {DCM_LossyImageCompression, DCM_LossyImageCompressionRatio,
                                 DCM_LossyImageCompressionMethod})
      dcm::Copy(from, data, tag);
  } else {
    Put(data, DCM_LossyImageCompression, "00");
  }
  return left;
}

void PutPixelModule(DcmItem& data, const SourceSeries& source, size_t frames) {
  Put(data, DCM_SegmentationType, "BINARY");
  Put(data, DCM_SegmentsOverlap, "NO");
  PutUInt16(data, DCM_SamplesPerPixel, {1});
  Put(data, DCM_PhotometricInterpretation, "MONOCHROME2");
  Put(data, DCM_NumberOfFrames, std::to_string(frames));
  PutUInt16(data, DCM_Rows, {static_cast<uint16_t>(source.rows)});
  PutUInt16(data, DCM_Columns, {static_cast<uint16_t>(source.columns)});
  PutUInt16(data, DCM_BitsAllocated, {1});
  PutUInt16(data, DCM_BitsStored, {1});
  PutUInt16(data, DCM_HighBit, {0});
  PutUInt16(data, DCM_PixelRepresentation, {0});
}

}  // namespace

SegWriteResult WriteDicomSeg(const Volume& labels, const SourceSeries& source, const fs::path& path,
                             const SegWriteOptions& options) {
  SegWriteResult result;
  const std::vector<uint16_t> values = labels.ToLabels("the mask");
  std::vector<std::vector<uint16_t>> planes;
  result.notes = SampleSource(labels.geometry, values, source, planes);
  if (source.frame_of_reference_uid.empty())
    result.notes.push_back("the source images name no frame of reference; a new one was made");
  if (!source.CanBeReferenced())
    result.notes.push_back(
        "source images lack their unique identifiers; the segmentation cannot name all of them");
  const std::vector<SegmentToWrite> segments = ChooseSegments(values, options, result.notes);

  // Which segments each plane holds.
  std::vector<std::vector<bool>> holds(planes.size(), std::vector<bool>(65536));
  for (size_t i = 0; i < planes.size(); ++i)
    for (const uint16_t label : planes[i]) holds[i][label] = true;
  std::vector<Frame> frames;
  for (size_t s = 0; s < segments.size(); ++s)
    for (size_t i = 0; i < planes.size(); ++i)
      if (!options.omit_empty_frames || holds[i][static_cast<size_t>(segments[s].value)])
        frames.push_back({s, i});
  if (frames.empty()) frames.push_back({0, 0});  // an image has at least one frame
  const uint64_t pixels = static_cast<uint64_t>(source.rows) * source.columns;
  if (pixels * frames.size() / 8 > 0xFFFFFFF0ULL)
    throw IoError("the segmentation would pass 4 GiB, the limit of DICOM; leave empty frames out");

  DcmFileFormat file;
  DcmDataset& data = *file.getDataset();
  const auto from = dcm::Load(source.slices.front().path);
  result.sop_instance_uid = dcm::NewUid();
  result.patient_left_out =
      PutHeader(data, *from->getDataset(), source, segments, options, result.sop_instance_uid);
  PutPixelModule(data, source, frames.size());
  PutSegments(data, segments);
  PutDimensions(data);
  PutSharedGroups(data, source);
  PutReferencedSeries(data, source);
  BitWriter bits(pixels * frames.size());
  for (const Frame& frame : frames) {
    PutFrame(data, source.slices[frame.slice], frame, source.CanBeReferenced());
    const int value = segments[frame.segment].value;
    for (const uint16_t label : planes[frame.slice]) bits.Add(label == value);
  }
  const auto pixel_data =
      data.putAndInsertUint8Array(DcmTag(DCM_PixelData, EVR_OB), bits.bytes().data(),
                                  static_cast<unsigned long>(bits.bytes().size()));
  if (pixel_data.bad())
    throw IoError(path.string() + " could not be written: " + pixel_data.text());
  dcm::Save(file, path);
  result.frames = static_cast<int>(frames.size());
  return result;
}

}  // namespace avocet::io
