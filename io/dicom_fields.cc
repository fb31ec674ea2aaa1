// SPDX-License-Identifier: Apache-2.0
#include <cstdio>

#include "io/dicom_instance.h"
#include "io/dicom_syntax.h"

namespace avocet::io::dicom {
namespace {

struct Field {
  Tag tag;
  const char* name;                 // keyword of PS3.6
  const char* binary_vr = nullptr;  // where the values are binary and implicit VR would not say so
};

// What tells how the image was made and how its values are to be read. Left out: whatever names or
// dates a patient, a person or an institution, free text (descriptions, comments, protocol names),
// private attributes, and the geometry of single slices other than the first.
constexpr Field kFields[] = {
    {0x00080005, "SpecificCharacterSet"},
    {0x00080008, "ImageType"},
    {0x00080016, "SOPClassUID"},
    {0x00080060, "Modality"},
    {0x00080064, "ConversionType"},
    {0x00080070, "Manufacturer"},
    {0x00081090, "ManufacturerModelName"},
    {0x00089205, "PixelPresentation"},
    {0x00089206, "VolumetricProperties"},
    {0x00180015, "BodyPartExamined"},
    {0x00180020, "ScanningSequence"},
    {0x00180021, "SequenceVariant"},
    {0x00180022, "ScanOptions"},
    {0x00180023, "MRAcquisitionType"},
    {0x00180050, "SliceThickness"},
    {0x00180060, "KVP"},
    {0x00180080, "RepetitionTime"},
    {0x00180081, "EchoTime"},
    {0x00180082, "InversionTime"},
    {0x00180083, "NumberOfAverages"},
    {0x00180084, "ImagingFrequency"},
    {0x00180086, "EchoNumbers"},
    {0x00180087, "MagneticFieldStrength"},
    {0x00180088, "SpacingBetweenSlices"},
    {0x00180091, "EchoTrainLength"},
    {0x00181060, "TriggerTime"},
    {0x00181120, "GantryDetectorTilt"},
    {0x00181150, "ExposureTime"},
    {0x00181151, "XRayTubeCurrent"},
    {0x00181164, "ImagerPixelSpacing"},
    {0x00181210, "ConvolutionKernel"},
    {0x00181312, "InPlanePhaseEncodingDirection"},
    {0x00181314, "FlipAngle"},
    {0x00185100, "PatientPosition"},
    {0x00189073, "AcquisitionDuration", "FD"},
    {0x00189087, "DiffusionBValue", "FD"},
    {0x00200012, "AcquisitionNumber"},
    {0x00200032, "ImagePositionPatient"},
    {0x00200037, "ImageOrientationPatient"},
    {0x00200052, "FrameOfReferenceUID"},
    {0x00200100, "TemporalPositionIdentifier"},
    {0x00200105, "NumberOfTemporalPositions"},
    {0x00280002, "SamplesPerPixel", "US"},
    {0x00280004, "PhotometricInterpretation"},
    {0x00280006, "PlanarConfiguration", "US"},
    {0x00280008, "NumberOfFrames"},
    {0x00280010, "Rows", "US"},
    {0x00280011, "Columns", "US"},
    {0x00280030, "PixelSpacing"},
    {0x00280034, "PixelAspectRatio"},
    {0x00280100, "BitsAllocated", "US"},
    {0x00280101, "BitsStored", "US"},
    {0x00280102, "HighBit", "US"},
    {0x00280103, "PixelRepresentation", "US"},
    {0x00280106, "SmallestImagePixelValue", "US"},
    {0x00280107, "LargestImagePixelValue", "US"},
    {0x00280120, "PixelPaddingValue", "US"},
    {0x00280121, "PixelPaddingRangeLimit", "US"},
    {0x00280301, "BurnedInAnnotation"},
    {0x00281050, "WindowCenter"},
    {0x00281051, "WindowWidth"},
    {0x00281052, "RescaleIntercept"},
    {0x00281053, "RescaleSlope"},
    {0x00281054, "RescaleType"},
    {0x00282110, "LossyImageCompression"},
    {0x00282112, "LossyImageCompressionRatio"},
    {0x00541001, "Units"},
    {0x00541102, "DecayCorrection"},
    {0x30040002, "DoseUnits"},
    {0x3004000a, "DoseSummationType"},
    {0x3004000e, "DoseGridScaling"},
};

// In the data set, else in the shared functional groups, else in those of the first frame.
const Dataset* HolderOf(const Dataset& data, Tag tag) {
  if (data.Has(tag)) return &data;
  for (const Tag groups : {0x52009229U, 0x52009230U}) {
    const Dataset* item = data.Item(groups);
    if (item == nullptr) continue;
    for (const Element& macro : item->elements) {
      if (!macro.items.empty() && macro.items[0].Has(tag)) return &macro.items[0];
    }
  }
  return nullptr;
}

std::string ValueOf(const Dataset& data, const Field& field) {
  Element element = *data.Find(field.tag);
  const std::string vr(element.vr, 2);
  const bool binary = vr == "US" || vr == "SS" || vr == "UL" || vr == "SL" || vr == "FL" ||
                      vr == "FD" || (vr == "UN" && field.binary_vr != nullptr);
  if (!binary) return data.Text(field.tag);
  if (vr == "UN") {
    element.vr[0] = field.binary_vr[0];
    element.vr[1] = field.binary_vr[1];
  }
  std::string text;
  for (const double value : data.NumbersOf(element)) {
    char number[32];
    std::snprintf(number, sizeof number, "%.10g", value);
    text += (text.empty() ? "" : "\\") + std::string(number);
  }
  return text;
}

}  // namespace

std::vector<std::pair<std::string, std::string>> FieldsOf(const ParsedFile& file) {
  std::vector<std::pair<std::string, std::string>> fields;
  const std::string name(TransferSyntaxOf(file.transfer_syntax).name);
  fields.emplace_back("TransferSyntaxUID",
                      file.transfer_syntax + (name.empty() ? "" : " (" + name + ")"));
  for (const Field& field : kFields) {
    const Dataset* holder = HolderOf(file.data, field.tag);
    if (holder == nullptr) continue;
    std::string value = ValueOf(*holder, field);
    if (value.size() > 500) value = value.substr(0, 500) + "...";
    if (!value.empty()) fields.emplace_back(field.name, std::move(value));
  }
  return fields;
}

}  // namespace avocet::io::dicom
