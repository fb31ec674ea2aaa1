// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <map>

#include "app/base/error.h"
#include "io/dcmtk_util.h"
#include "io/dicom_pixels.h"
#include "io/dicom_planes.h"
#include "io/dicom_seg.h"
#include "io/label_sampler.h"

namespace avocet::io {
namespace fs = std::filesystem;
using dcm::Dot;
using dcm::Item;
using dcm::Vec3;

namespace {

constexpr int64_t kMaxVoxels = int64_t{1} << 31;
// Empty planes cost a file nothing, but memory: this many voxels in any case, then by its length.
constexpr int64_t kSomeVoxels = int64_t{1} << 27;
constexpr int64_t kMostVoxelsAByte = 4096;
// Each overlap is looked for in all layers before.
constexpr size_t kMaxLayers = 256;
// Frames of one segment may lie far apart with nothing between; more empty planes than this for
// each real one is a damaged header.
constexpr int64_t kMaxPlanes = 20000;
// Label Map Segmentation Storage (Supplement 243); DCMTK 3.6.7 does not know it.
constexpr const char* kLabelMapStorage = "1.2.840.10008.5.1.4.1.1.66.7";

[[noreturn]] void Fail(const fs::path& path, const std::string& what) {
  throw IoError(path.string() + " " + what);
}

struct Frame {
  int segment = 0;
  Vec3 position{};
};

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

class Reader {
 public:
  explicit Reader(const fs::path& path)
      : path_(path), file_(dcm::Load(path)), data_(*file_->getDataset()) {}
  SegReadResult Read(const SourceSeries* source);

 private:
  void ReadSegments();
  void ReadFrames();
  void DeriveGrid();
  bool PlaceOnSource(const SourceSeries& source);
  DcmItem* Group(DcmItem& frame, const DcmTagKey& macro);
  void Assemble();
  void AssembleLabelMap();
  void AddVolume(const std::vector<uint16_t>& labels, int largest);
  void AssembleFractions();
  void ToGridOf(const SourceSeries& source);
  void StateFields(const std::string& type);
  void MoveTo(const SourceSeries& source);
  size_t IndexOfSegment(int number) const;

  const fs::path& path_;
  std::unique_ptr<DcmFileFormat> file_;
  DcmItem& data_;
  SegReadResult result_;
  std::map<int, size_t> index_of_segment_;              // by number
  std::vector<std::vector<size_t>> frames_of_segment_;  // for each of result_.segments
  bool fractional_ = false;
  bool label_map_ = false;
  double maximum_ = 1;
  long rows_ = 0;
  long columns_ = 0;
  std::vector<Frame> frames_;
  Vec3 row_{};
  Vec3 column_{};
  Vec3 normal_{};
  std::array<double, 2> spacing_{};
  double declared_gap_ = 0;  // from the header, 0 when unknown
  Geometry geometry_;
  std::vector<int64_t> plane_of_frame_;
  PixelFrames pixels_;
};

void Reader::ReadSegments() {
  for (DcmItem* item : dcm::Items(data_, DCM_SegmentSequence)) {
    Segment segment;
    segment.number = static_cast<int>(dcm::Integer(*item, DCM_SegmentNumber, -1));
    if (segment.number < 0 || segment.number > 65535) Fail(path_, "has a segment without a number");
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

size_t Reader::IndexOfSegment(int number) const {
  const auto found = index_of_segment_.find(number);
  if (found != index_of_segment_.end()) return found->second;
  Fail(path_, "has a frame of segment " + std::to_string(number) + ", which it does not describe");
}

DcmItem* Reader::Group(DcmItem& frame, const DcmTagKey& macro) {
  if (DcmItem* own = Item(frame, macro)) return own;
  DcmItem* shared = Item(data_, DCM_SharedFunctionalGroupsSequence);
  return shared ? Item(*shared, macro) : nullptr;
}

void Reader::ReadFrames() {
  const auto items = dcm::Items(data_, DCM_PerFrameFunctionalGroupsSequence);
  const size_t count = items.size();
  const long declared = dcm::Integer(data_, DCM_NumberOfFrames, 0);
  if (count == 0 || declared != static_cast<long>(count))
    Fail(path_,
         "declares " + std::to_string(declared) + " frames and describes " + std::to_string(count));
  frames_of_segment_.resize(result_.segments.size());
  for (size_t i = 0; i < count; ++i) {
    DcmItem* item = items[i];
    const std::string name = "frame " + std::to_string(i + 1);
    // The pixels of a label map say which segment; its frames need not.
    DcmItem* identity = label_map_ ? nullptr : Group(*item, DCM_SegmentIdentificationSequence);
    DcmItem* position = Group(*item, DCM_PlanePositionSequence);
    DcmItem* orientation = Group(*item, DCM_PlaneOrientationSequence);
    DcmItem* measures = Group(*item, DCM_PixelMeasuresSequence);
    Frame frame;
    std::array<double, 6> cosines{};
    std::array<double, 2> spacing{};
    if ((!identity && !label_map_) || !position || !orientation || !measures ||
        !dcm::Triple(*position, DCM_ImagePositionPatient, frame.position) ||
        !dcm::Numbers(*orientation, DCM_ImageOrientationPatient, 6, cosines.data()) ||
        !dcm::Numbers(*measures, DCM_PixelSpacing, 2, spacing.data()) || !(spacing[0] > 0) ||
        !(spacing[1] > 0))
      Fail(path_, "lacks the segment, position, orientation or pixel spacing of " + name);
    if (!label_map_) {
      frame.segment = static_cast<int>(dcm::Integer(*identity, DCM_ReferencedSegmentNumber, -1));
      frames_of_segment_[IndexOfSegment(frame.segment)].push_back(i);
    }
    for (const double x : frame.position)
      if (std::abs(x) > 1e6) Fail(path_, "places " + name + " more than a kilometre away");
    Vec3 row{};
    Vec3 column{};
    Vec3 normal{};
    PlaneAxes({cosines[0], cosines[1], cosines[2]}, {cosines[3], cosines[4], cosines[5]}, path_,
              row, column, normal);
    if (i == 0) {
      row_ = row;
      column_ = column;
      normal_ = normal;
      spacing_ = spacing;
      double gap = 0;
      if (dcm::Numbers(*measures, DCM_SpacingBetweenSlices, 1, &gap) && gap != 0)
        declared_gap_ = std::abs(gap);
      else if (dcm::Numbers(*measures, DCM_SliceThickness, 1, &gap) && gap > 0)
        declared_gap_ = gap;
    }
    if (Dot(row, row_) < 1 - 1e-5 || Dot(column, column_) < 1 - 1e-5 ||
        std::abs(spacing[0] - spacing_[0]) > 1e-3 * spacing_[0] ||
        std::abs(spacing[1] - spacing_[1]) > 1e-3 * spacing_[1])
      Fail(path_, "has frames of different orientation or pixel spacing (" + name +
                      "), which one volume cannot hold");
    frames_.push_back(frame);
  }
}

// The planes of the frames as an evenly spaced stack.
void Reader::DeriveGrid() {
  std::vector<size_t> order(frames_.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  const auto depth = [&](size_t i) { return Dot(frames_[i].position, normal_); };
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return depth(a) < depth(b); });
  std::vector<double> gaps;
  for (size_t i = 1; i < order.size(); ++i) {
    const double gap = depth(order[i]) - depth(order[i - 1]);
    if (gap > 1e-3) gaps.push_back(gap);
  }
  const Vec3 first = frames_[order.front()].position;
  const Vec3 span = dcm::Minus(frames_[order.back()].position, first);
  const double extent = Dot(span, normal_);
  Vec3 step = normal_;
  int64_t planes = 1;
  if (gaps.empty()) {
    const double gap = declared_gap_ > 0 ? declared_gap_ : 1;
    for (double& x : step) x *= gap;
  } else {
    const double smallest = *std::min_element(gaps.begin(), gaps.end());
    // Positions are the truth; the declared distance helps where every second slice is empty, or
    // where rounded positions hide the common divisor.
    double best = 0;
    for (const double candidate : {smallest, declared_gap_}) {
      if (!(candidate > 1e-3) || candidate > smallest * 1.02) continue;
      const double count = std::round(extent / candidate);
      if (count < 1 || count > kMaxPlanes) continue;
      const double even = extent / count;
      const bool fits = std::all_of(gaps.begin(), gaps.end(), [&](double gap) {
        return std::abs(gap / even - std::round(gap / even)) < 0.05;
      });
      if (fits) {
        best = even;
        break;
      }
    }
    if (best == 0)
      Fail(path_,
           "has frames at uneven distances; give the image series that it belongs to, so that they "
           "can be placed on its slices");
    planes = std::llround(extent / best) + 1;
    for (int a = 0; a < 3; ++a) step[a] = span[a] / static_cast<double>(planes - 1);
  }
  geometry_ = GeometryOfPlanes(first, row_, column_, spacing_, step);
  geometry_.size = {columns_, rows_, planes};
  plane_of_frame_.resize(frames_.size());
  std::vector<bool> filled(static_cast<size_t>(planes));
  for (size_t i = 0; i < frames_.size(); ++i) {
    const auto index = geometry_.IndexFromPhysical(frames_[i].position);
    const double nearest = std::round(index[2]);
    if (std::abs(index[0]) > 0.1 || std::abs(index[1]) > 0.1 || std::abs(index[2] - nearest) > 0.1)
      Fail(path_, "has frames that are not one straight stack (frame " + std::to_string(i + 1) +
                      "); give the image series that it belongs to");
    plane_of_frame_[i] = static_cast<int64_t>(nearest);
    filled[static_cast<size_t>(plane_of_frame_[i])] = true;
  }
  const auto missing = std::count(filled.begin(), filled.end(), false);
  if (missing > 0)
    result_.notes.push_back(std::to_string(missing) + " of " + std::to_string(planes) +
                            " slices have no frame and are taken as empty");
  std::error_code ignored;
  const auto bytes = static_cast<int64_t>(fs::file_size(path_, ignored));
  if (rows_ * columns_ > kMaxVoxels / planes ||
      (rows_ * columns_ > kSomeVoxels / planes &&
       rows_ * columns_ / kMostVoxelsAByte > bytes / planes))
    Fail(path_, "spans " + std::to_string(planes) + " slices for " +
                    std::to_string(frames_.size()) + " frames, which is too large");
}

// Puts the frames into label volumes; a segment that meets another one at a voxel goes on into the
// next volume.
void Reader::Assemble() {
  const size_t plane = static_cast<size_t>(rows_ * columns_);
  int largest = 0;
  for (const Segment& segment : result_.segments) largest = std::max(largest, segment.number);
  const uint64_t threshold = fractional_ ? static_cast<uint64_t>(std::ceil(maximum_ / 2)) : 1;
  std::vector<std::vector<uint16_t>> layers;
  result_.volume_of_segment.assign(result_.segments.size(), 0);
  for (size_t s = 0; s < result_.segments.size(); ++s) {
    const auto number = static_cast<uint16_t>(result_.segments[s].number);
    const std::vector<size_t>& own = frames_of_segment_[s];
    size_t layer = 0;
    for (;; ++layer) {
      if (layer == layers.size()) {
        if (layers.size() == kMaxLayers ||
            geometry_.VoxelCount() * static_cast<int64_t>(layers.size() + 1) > kMaxVoxels)
          Fail(path_, "holds more overlapping segments than can be read");
        layers.emplace_back(static_cast<size_t>(geometry_.VoxelCount()));
      }
      const auto meets = [&](size_t i) {
        const uint16_t* target = layers[layer].data() + plane_of_frame_[i] * plane;
        for (size_t p = 0; p < plane; ++p)
          if (target[p] != 0 && pixels_.Value(i, p) >= threshold) return true;
        return false;
      };
      if (number == 0 || std::none_of(own.begin(), own.end(), meets)) break;
    }
    for (const size_t i : own) {
      uint16_t* target = layers[layer].data() + plane_of_frame_[i] * plane;
      for (size_t p = 0; p < plane; ++p)
        if (pixels_.Value(i, p) >= threshold) target[p] = number;
    }
    result_.volume_of_segment[s] = layer;
  }
  result_.overlapping = layers.size() > 1;
  for (const auto& layer : layers) AddVolume(layer, largest);
  if (result_.overlapping)
    result_.notes.push_back("segments overlap: they are read into " +
                            std::to_string(layers.size()) + " label volumes");
}

void Reader::AddVolume(const std::vector<uint16_t>& labels, int largest) {
  Volume volume = Volume::Zeros(geometry_, largest < 256 ? VoxelType::kUInt8 : VoxelType::kUInt16);
  if (largest < 256) {
    std::copy(labels.begin(), labels.end(), volume.As<uint8_t>());
  } else {
    std::copy(labels.begin(), labels.end(), volume.As<uint16_t>());
  }
  volume.modality = "SEG";
  result_.volumes.push_back(std::move(volume));
}

// Pixels of a label map are segment numbers already.
void Reader::AssembleLabelMap() {
  const size_t plane = static_cast<size_t>(rows_ * columns_);
  std::vector<bool> known(65536);
  int largest = 0;
  for (const Segment& segment : result_.segments) {
    known[static_cast<size_t>(segment.number)] = true;
    largest = std::max(largest, segment.number);
  }
  // What marks pixels of no segment; segment number 0 need not be described.
  known[0] = true;
  const long padding = dcm::Integer(data_, DCM_PixelPaddingValue, 0);
  std::vector<uint16_t> labels(static_cast<size_t>(geometry_.VoxelCount()));
  std::vector<bool> filled(static_cast<size_t>(geometry_.size[2]));
  for (size_t i = 0; i < frames_.size(); ++i) {
    const auto at = static_cast<size_t>(plane_of_frame_[i]);
    if (filled[at]) Fail(path_, "has two frames of labels at one place");
    filled[at] = true;
    for (size_t p = 0; p < plane; ++p) {
      unsigned value = pixels_.Value(i, p);
      if (static_cast<long>(value) == padding) value = 0;
      if (!known[value])
        Fail(path_, "holds the label " + std::to_string(value) + ", which it does not describe");
      labels[at * plane + p] = static_cast<uint16_t>(value);
    }
  }
  result_.volume_of_segment.assign(result_.segments.size(), 0);
  AddVolume(labels, largest);
}

void Reader::AssembleFractions() {
  const size_t plane = static_cast<size_t>(rows_ * columns_);
  if (geometry_.VoxelCount() * static_cast<int64_t>(result_.segments.size()) > kMaxVoxels / 2)
    Fail(path_, "holds more fractional segments than fit into memory");
  for (const Segment& segment : result_.segments) {
    Volume volume = Volume::Zeros(geometry_, VoxelType::kFloat32);
    volume.modality = "SEG";
    for (size_t i = 0; i < frames_.size(); ++i) {
      if (frames_[i].segment != segment.number) continue;
      float* target = volume.As<float>() + plane_of_frame_[i] * plane;
      for (size_t p = 0; p < plane; ++p)
        target[p] = static_cast<float>(std::min(1.0, pixels_.Value(i, p) / maximum_));
    }
    result_.fractions.push_back(std::move(volume));
  }
  result_.notes.push_back("fractional: the labels are where the fraction is at least one half");
}

// True when every frame lies on a slice of the series, pixel for pixel: the frames then are planes
// of the series, whatever their distances.
bool Reader::PlaceOnSource(const SourceSeries& source) {
  if (rows_ != source.rows || columns_ != source.columns || source.slices.empty()) return false;
  if (Dot(row_, source.row_direction) < 1 - 1e-5 ||
      Dot(column_, source.column_direction) < 1 - 1e-5 ||
      std::abs(spacing_[0] - source.spacing[0]) > 1e-3 * spacing_[0] ||
      std::abs(spacing_[1] - source.spacing[1]) > 1e-3 * spacing_[1])
    return false;
  std::vector<double> depths;
  double gap = declared_gap_ > 0 ? declared_gap_ : 1;
  for (const SourceSlice& slice : source.slices) {
    depths.push_back(Dot(slice.position, source.normal));
    if (depths.size() > 1) gap = std::min(gap, depths.back() - depths[depths.size() - 2]);
  }
  plane_of_frame_.resize(frames_.size());
  for (size_t i = 0; i < frames_.size(); ++i) {
    const double depth = Dot(frames_[i].position, source.normal);
    const auto above = std::lower_bound(depths.begin(), depths.end(), depth);
    size_t k = static_cast<size_t>(above - depths.begin());
    if (k == depths.size() || (k > 0 && depth - depths[k - 1] < depths[k] - depth)) --k;
    const Vec3 off = dcm::Minus(frames_[i].position, source.slices[k].position);
    if (std::abs(Dot(off, source.normal)) > 0.05 * gap ||
        std::abs(Dot(off, source.row_direction)) > 0.05 * spacing_[1] ||
        std::abs(Dot(off, source.column_direction)) > 0.05 * spacing_[0])
      return false;
    plane_of_frame_[i] = static_cast<int64_t>(k);
  }
  const auto planes = static_cast<int64_t>(source.slices.size());
  if (rows_ * columns_ > kMaxVoxels / planes) Fail(path_, "has a source series that is too large");
  if (source.regular) {
    geometry_ = source.geometry;
  } else {  // a stack of slices; ToGridOf puts them where they are
    geometry_ = GeometryOfPlanes(source.slices[0].position, row_, column_, spacing_, normal_);
    geometry_.size = {columns_, rows_, planes};
  }
  return true;
}

// Volumes whose planes are the slices of an uneven series, on its regular grid.
void Reader::ToGridOf(const SourceSeries& source) {
  const size_t plane = static_cast<size_t>(rows_ * columns_);
  for (Volume& volume : result_.volumes) {
    const std::vector<uint16_t> labels = volume.ToLabels(path_.string());
    std::vector<std::vector<uint16_t>> planes;
    for (size_t k = 0; k < source.slices.size(); ++k)
      planes.emplace_back(labels.begin() + static_cast<ptrdiff_t>(k * plane),
                          labels.begin() + static_cast<ptrdiff_t>((k + 1) * plane));
    volume = VolumeOfPlanes(planes, source, volume.type);
    volume.modality = "SEG";
  }
  result_.fractions.clear();
  result_.notes.push_back(
      "the slices are unevenly spaced or tilted: each voxel of the regular grid has the label of "
      "the nearest slice");
}

// The labels on the grid of a source series on whose slices the frames do not lie.
void Reader::MoveTo(const SourceSeries& source) {
  if (!source.regular)
    Fail(path_,
         "does not lie on the slices of the image series given, which is not evenly spaced; "
         "give the series that it was made from");
  const Geometry& grid = source.geometry;
  if (grid.VoxelCount() > kMaxVoxels) Fail(path_, "has a source series that is too large");
  Vec3 along_row{};
  Vec3 down_column{};
  for (int a = 0; a < 3; ++a) {
    along_row[a] = grid.direction[3 * a] * grid.spacing[0];
    down_column[a] = grid.direction[3 * a + 1] * grid.spacing[1];
  }
  double off_grid = 0;
  size_t before = 0;
  size_t after = 0;
  for (Volume& volume : result_.volumes) {
    const std::vector<uint16_t> labels = volume.ToLabels(path_.string());
    LabelSampler sampler(volume.geometry, labels);
    Volume moved = Volume::Zeros(grid, volume.type);
    moved.modality = volume.modality;
    std::vector<uint16_t> plane;
    for (int64_t k = 0; k < grid.size[2]; ++k) {
      sampler.Sample(grid.PhysicalFromIndex({0, 0, static_cast<double>(k)}), along_row, down_column,
                     source.rows, source.columns, plane);
      const int64_t start = k * grid.size[0] * grid.size[1];
      if (moved.type == VoxelType::kUInt8) {
        std::copy(plane.begin(), plane.end(), moved.As<uint8_t>() + start);
      } else {
        std::copy(plane.begin(), plane.end(), moved.As<uint16_t>() + start);
      }
      after += plane.size() - static_cast<size_t>(std::count(plane.begin(), plane.end(), 0));
    }
    before += labels.size() - static_cast<size_t>(std::count(labels.begin(), labels.end(), 0));
    off_grid = std::max(off_grid, sampler.off_grid());
    volume = std::move(moved);
  }
  if (fractional_)
    result_.notes.push_back("the fractions were left out: only labels are resampled");
  result_.fractions.clear();
  if (off_grid > 0.05)
    result_.notes.push_back(
        "the segmentation lies on another grid than the image series and was resampled to it "
        "(nearest neighbour)");
  else if (before != after)
    result_.notes.push_back("some labelled voxels lie outside the image series");
}

void Reader::StateFields(const std::string& type) {
  auto& fields = result_.fields;
  fields.emplace_back("SegmentationType", type);
  fields.emplace_back("NumberOfFrames", std::to_string(frames_.size()));
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
  if (!result_.referenced_series_uid.empty())
    fields.emplace_back("ReferencedSeriesInstanceUID", result_.referenced_series_uid);
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

SegReadResult Reader::Read(const SourceSeries* source) {
  const std::string sop_class = dcm::Text(data_, DCM_SOPClassUID);
  if (sop_class != UID_SegmentationStorage && sop_class != kLabelMapStorage)
    Fail(path_, "is not a DICOM segmentation");
  rows_ = dcm::Integer(data_, DCM_Rows, 0);
  columns_ = dcm::Integer(data_, DCM_Columns, 0);
  const std::string type = dcm::Text(data_, DCM_SegmentationType);
  fractional_ = type == "FRACTIONAL";
  label_map_ = type == "LABELMAP";
  if (!fractional_ && !label_map_ && type != "BINARY")
    Fail(path_, "is a segmentation that is neither BINARY, FRACTIONAL nor LABELMAP");
  if (fractional_) {
    maximum_ = static_cast<double>(dcm::Integer(data_, DCM_MaximumFractionalValue, 0));
    if (!(maximum_ >= 1)) Fail(path_, "is fractional and has no Maximum Fractional Value");
  }
  result_.frame_of_reference_uid = dcm::Text(data_, DCM_FrameOfReferenceUID);
  if (DcmItem* series = Item(data_, DCM_ReferencedSeriesSequence))
    result_.referenced_series_uid = dcm::Text(*series, DCM_SeriesInstanceUID);
  ReadSegments();
  ReadFrames();
  pixels_ = ReadPixelFrames(*file_, path_);
  if (pixels_.frame_count != frames_.size())
    Fail(path_, "holds another number of frames than it describes");
  const bool placed = source && PlaceOnSource(*source);
  if (!placed) DeriveGrid();
  if (label_map_) {
    AssembleLabelMap();
  } else {
    Assemble();
  }
  if (fractional_) AssembleFractions();
  if (source) {
    if (!result_.referenced_series_uid.empty() &&
        result_.referenced_series_uid != source->series_uid)
      result_.notes.push_back("the segmentation names another image series than the one given");
    if (!placed) {
      MoveTo(*source);
    } else if (!source->regular) {
      ToGridOf(*source);
    }
  }
  StateFields(type);
  for (Volume& volume : result_.volumes) volume.notes = result_.notes;
  return std::move(result_);
}

}  // namespace

SegReadResult ReadDicomSeg(const fs::path& path, const SourceSeries* source) {
  return Reader(path).Read(source);
}

std::string SeriesNamedBySeg(const fs::path& path) {
  const auto file = dcm::Load(path);
  DcmItem* series = Item(*file->getDataset(), DCM_ReferencedSeriesSequence);
  return series ? dcm::Text(*series, DCM_SeriesInstanceUID) : "";
}

bool IsDicomSeg(const fs::path& path) {
  const std::string uid = SopClassOf(path);
  return uid == UID_SegmentationStorage || uid == kLabelMapStorage;
}

}  // namespace avocet::io
