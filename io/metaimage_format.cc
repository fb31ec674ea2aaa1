// SPDX-License-Identifier: Apache-2.0
// MetaImage (ITK's MetaIO, "MetaImage tag reference"): .mha with the voxels behind the header, .mhd
// with the voxels in files beside it. Read and written by a path of our own with strict checks.
//
// Physical space is LPS mm, as ITK has it. TransformMatrix lists the directions of the axes one
// after the other; Offset (Position, Origin) is the centre of the first voxel.
// AnatomicalOrientation repeats the matrix in letters and is not used, CenterOfRotation moves
// nothing.
#include <algorithm>
#include <cmath>
#include <map>
#include <optional>

#include "app/base/error.h"
#include "io/format_list.h"
#include "io/header_text.h"
#include "io/voxel_data.h"
#include "io/voxel_writer.h"

namespace avocet::io {
namespace fs = std::filesystem;
namespace {

constexpr size_t kLongestLine = size_t{1} << 20;
constexpr size_t kLongestHeader = size_t{16} << 20;

struct ElementType {
  const char* name;
  VoxelType type;
};
constexpr ElementType kElementTypes[] = {
    {"MET_UCHAR", VoxelType::kUInt8},
    {"MET_CHAR", VoxelType::kInt8},
    {"MET_USHORT", VoxelType::kUInt16},
    {"MET_SHORT", VoxelType::kInt16},
    {"MET_UINT", VoxelType::kUInt32},
    {"MET_INT", VoxelType::kInt32},
    {"MET_ULONG_LONG", VoxelType::kUInt64},
    {"MET_LONG_LONG", VoxelType::kInt64},
    {"MET_FLOAT", VoxelType::kFloat32},
    {"MET_DOUBLE", VoxelType::kFloat64},
    // MetaIO stores its "long" in four bytes.
    {"MET_ULONG", VoxelType::kUInt32},
    {"MET_LONG", VoxelType::kInt32},
};

// Field of files that Avocet derives from a source which does not state all of its geometry, in the
// form of NamesOf. ITK's reader skips fields that it does not know.
constexpr const char* kAssumed = "AvocetAssumed";

class Reader {
 public:
  explicit Reader(const fs::path& path) : path_(path), name_(path.string()), file_(path, true) {}
  Volume Read();

 private:
  [[noreturn]] void Refuse(const std::string& why) const {
    throw IoError("cannot read '" + name_ + "': " + why);
  }
  void Note(const std::string& note) { volume_.notes.push_back(note); }
  const std::string* Find(std::initializer_list<const char*> names) const;
  bool Flag(std::initializer_list<const char*> names, bool missing) const;
  std::vector<double> Numbers(std::initializer_list<const char*> names, size_t count) const;
  void ReadHeader();
  void NameDataFiles(VoxelFiles& where);
  void ReadGrid(const std::vector<int64_t>& sizes);
  void ReadScaling();

  fs::path path_;
  std::string name_;
  FileStream file_;
  std::map<std::string, std::string> fields_;
  std::shared_ptr<FieldsHeader> shown_ = std::make_shared<FieldsHeader>("MetaImage");
  Volume volume_;
};

const std::string* Reader::Find(std::initializer_list<const char*> names) const {
  for (const char* name : names) {
    const auto found = fields_.find(name);
    if (found != fields_.end()) return &found->second;
  }
  return nullptr;
}

bool Reader::Flag(std::initializer_list<const char*> names, bool missing) const {
  const std::string* text = Find(names);
  if (!text || text->empty()) return missing;
  const std::string value = Lower(*text);
  if (value == "true" || value == "t" || value == "1" || value == "yes") return true;
  if (value == "false" || value == "f" || value == "0" || value == "no") return false;
  Refuse(std::string("its field ") + *names.begin() + " is neither True nor False");
}

// Empty without the field.
std::vector<double> Reader::Numbers(std::initializer_list<const char*> names, size_t count) const {
  const std::string* text = Find(names);
  if (!text) return {};
  std::vector<double> numbers;
  for (const std::string& word : SplitWords(*text)) {
    const auto value = ParseNumber(word);
    if (!value || !std::isfinite(*value)) {
      Refuse(std::string("its field ") + *names.begin() + " holds something that is no number");
    }
    numbers.push_back(*value);
  }
  if (numbers.size() != count) {
    Refuse(std::string("its field ") + *names.begin() + " has " + std::to_string(numbers.size()) +
           " numbers instead of " + std::to_string(count) + "; the header is damaged");
  }
  return numbers;
}

void Reader::ReadHeader() {
  std::string line;
  size_t total = 0;
  while (file_.ReadLine(line, kLongestLine)) {
    total += line.size();
    if (total > kLongestHeader) Refuse("its header is longer than 16 MB; it is damaged");
    if (Trim(line).empty()) continue;
    const size_t equals = line.find_first_of("=:");
    if (equals == line.npos) Refuse("a line of its header has no '='; the header is damaged");
    const std::string key(Trim(std::string_view(line).substr(0, equals)));
    const std::string value(Trim(std::string_view(line).substr(equals + 1)));
    fields_.emplace(key, value);
    // Free text may name a patient.
    static const char* const kShown[] = {"ObjectType",
                                         "NDims",
                                         "DimSize",
                                         "ElementType",
                                         "ElementSpacing",
                                         "ElementSize",
                                         "ElementNumberOfChannels",
                                         "Offset",
                                         "Position",
                                         "Origin",
                                         "TransformMatrix",
                                         "Rotation",
                                         "Orientation",
                                         "CenterOfRotation",
                                         "AnatomicalOrientation",
                                         "BinaryData",
                                         "BinaryDataByteOrderMSB",
                                         "ElementByteOrderMSB",
                                         "CompressedData",
                                         "CompressedDataSize",
                                         "HeaderSize",
                                         "Modality",
                                         "DistanceUnits",
                                         "ElementMin",
                                         "ElementMax",
                                         "ElementToIntensityFunctionSlope",
                                         "ElementToIntensityFunctionOffset",
                                         "ElementDataFile"};
    if (std::find(std::begin(kShown), std::end(kShown), key) != std::end(kShown)) {
      shown_->Add(key, value);
    }
    if (key == "ElementDataFile") return;
  }
  Refuse("its header does not say where the voxels are (ElementDataFile); it is cut off");
}

void Reader::NameDataFiles(VoxelFiles& where) {
  const std::string& value = fields_.at("ElementDataFile");
  const std::vector<std::string> words = SplitWords(value);
  if (words.empty()) Refuse("its field ElementDataFile is empty");
  if (words[0] == "LOCAL" || words[0] == "Local" || words[0] == "local") return;
  std::vector<std::string> names;
  if (words[0] == "LIST") {
    std::string line;
    while (file_.ReadLine(line, kLongestLine)) {
      const std::string_view name = Trim(line);
      if (!name.empty()) names.emplace_back(name);
      if (names.size() > 100000) Refuse("it lists more than 100000 voxel files");
    }
    if (names.empty()) Refuse("its list of voxel files is empty");
  } else if (words.size() >= 3 && words[0].find('%') != std::string::npos) {
    const auto first = ParseInteger(words[1]);
    const auto last = ParseInteger(words[2]);
    const auto step = words.size() > 3 ? ParseInteger(words[3]) : std::optional<int64_t>(1);
    if (first && last && step) names = ExpandPattern(words[0], *first, *last, *step);
    if (names.empty()) Refuse("the pattern of its voxel files is not understood");
  } else {
    names = {value};
  }
  for (const std::string& name : names) where.files.push_back(ResolveBeside(path_, name));
}

void Reader::ReadGrid(const std::vector<int64_t>& sizes) {
  const size_t n = sizes.size();
  std::vector<double> spacing = Numbers({"ElementSpacing", "ElementSize"}, n);
  if (spacing.empty()) {
    spacing.assign(n, 1);
    volume_.assumed.in_plane_size = volume_.assumed.slice_distance = true;
    Note("the header gives no voxel size; 1 mm is assumed");
  }
  std::vector<double> matrix = Numbers({"TransformMatrix", "Rotation", "Orientation"}, n * n);
  if (matrix.empty()) {
    volume_.assumed.orientation = true;
    Note(
        "the header gives no orientation; axes to the left, back and top are assumed, so left and "
        "right may be swapped");
    matrix.assign(n * n, 0);
    for (size_t i = 0; i < n; ++i) matrix[i * n + i] = 1;
  }
  std::vector<double> offset = Numbers({"Offset", "Position", "Origin"}, n);
  if (offset.empty()) {
    Note("the header gives no origin; 0 is used");
    offset.assign(n, 0);
  }
  double unit = 1;
  if (const std::string* text = Find({"DistanceUnits"})) {
    const std::optional<double> known = UnitInMm(*text);
    unit = known.value_or(1);
    if (unit != 1) Note("the header is in " + std::string(Trim(*text)) + "; sizes are converted to millimetres");
    if (!known && !Trim(*text).empty() && *text != "?") {
      Note("its unit of length is not known; mm is assumed");
      volume_.assumed.in_plane_size = volume_.assumed.slice_distance = true;
    }
  }
  std::array<std::array<double, 3>, 3> axes{};
  std::array<double, 3> origin{};
  std::array<int64_t, 3> size{1, 1, 1};
  for (size_t a = 0; a < 3; ++a) {
    if (a >= n) {
      (a < 2 ? volume_.assumed.in_plane_size : volume_.assumed.slice_distance) = true;
      axes[a] = a == 2 && n == 2 ? NormalAxis(axes[0], axes[1], 1) : std::array<double, 3>{};
      if (n == 1) axes[a][a] = 1;
      continue;
    }
    if (spacing[a] < 0) {
      Note("the header gives a negative voxel size along axis " + std::to_string(a + 1) +
           "; that axis runs backwards");
    }
    if (!(std::abs(spacing[a]) > 0)) {
      Refuse("its voxel size along axis " + std::to_string(a + 1) + " is " +
             NumberText(spacing[a]) + " mm; the header is damaged");
    }
    size[a] = sizes[a];
    double norm = 0;
    for (size_t row = 0; row < std::min<size_t>(3, n); ++row) {
      axes[a][row] = matrix[a * n + row];
      norm = std::hypot(norm, axes[a][row]);
    }
    if (std::abs(norm - 1) > 1e-3) {
      Note("the direction of axis " + std::to_string(a + 1) +
           " is not of length 1; only where it points is used");
    }
    for (double& x : axes[a]) x *= spacing[a] * unit / (norm > 0 ? norm : 1);
    origin[a] = offset[a] * unit;
  }
  if (const std::string* text = Find({kAssumed})) {
    const Assumptions stated = AssumptionsFromNames(*text);
    if (stated.orientation && !volume_.assumed.orientation) {
      Note("the axes are those that were assumed of the source; left and right may be swapped");
    }
    volume_.assumed.orientation |= stated.orientation;
    volume_.assumed.in_plane_size |= stated.in_plane_size;
    volume_.assumed.slice_distance |= stated.slice_distance;
  }
  volume_.geometry = GeometryFromAxes(size, axes, origin, name_, &volume_.notes);
}

void Reader::ReadScaling() {
  const auto slope = Numbers({"ElementToIntensityFunctionSlope"}, 1);
  const auto offset = Numbers({"ElementToIntensityFunctionOffset"}, 1);
  if (!slope.empty() && slope[0] != 0) volume_.scaling.slope = slope[0];
  if (!offset.empty()) volume_.scaling.inter = offset[0];
  if (volume_.components > 1 && !volume_.scaling.IsIdentity()) {
    Note("the header scales values of several components; the scaling is ignored");
    volume_.scaling = {};
  }
  if (!volume_.scaling.IsIdentity()) {
    Note("the header scales its values (ElementToIntensityFunction); ITK ignores this");
  }
}

Volume Reader::Read() {
  ReadHeader();
  if (const std::string* object = Find({"ObjectType"}); object && *object != "Image") {
    Refuse("it holds a '" + object->substr(0, 40) + "', not an image");
  }
  if (const std::string* comment = Find({"Comment"})) NoteIfComputed(*comment, volume_);
  const std::string* dims = Find({"NDims"});
  const auto dimension = dims ? ParseInteger(*dims) : std::nullopt;
  if (!dimension || *dimension < 1 || *dimension > 10) {
    Refuse("its number of dimensions (NDims) is missing or not between 1 and 10");
  }
  std::vector<int64_t> sizes;
  if (const std::string* text = Find({"DimSize"})) {
    for (const std::string& word : SplitWords(*text)) {
      const auto size = ParseInteger(word);
      if (!size) Refuse("its field DimSize holds something that is no number");
      sizes.push_back(*size);
    }
  }
  if (static_cast<int64_t>(sizes.size()) != *dimension) {
    Refuse("its header gives " + std::to_string(sizes.size()) + " sizes for " +
           std::to_string(*dimension) + " dimensions; the header is damaged");
  }
  std::string element = Find({"ElementType"}) ? *Find({"ElementType"}) : "";
  if (element.size() > 6 && element.substr(element.size() - 6) == "_ARRAY") {
    element.resize(element.size() - 6);
  }
  const auto* known =
      std::find_if(std::begin(kElementTypes), std::end(kElementTypes),
                   [&](const ElementType& candidate) { return element == candidate.name; });
  if (known == std::end(kElementTypes)) {
    Refuse("its voxel type '" + element.substr(0, 40) +
           "' is not read; convert it to a standard type such as MET_SHORT");
  }
  volume_.type = known->type;
  int64_t channels = 1;
  if (const std::string* text = Find({"ElementNumberOfChannels"})) {
    channels = ParseInteger(*text).value_or(0);
    if (channels < 1 || channels > 1024) Refuse("its number of channels is not from 1 to 1024");
  }
  volume_.components = static_cast<int>(channels);

  const size_t width = SizeOf(volume_.type);
  VoxelFiles where;
  std::vector<int64_t> all = sizes;
  all.push_back(channels);
  where.bytes = CheckedByteCount(all, width, name_);
  for (size_t i = 3; i < sizes.size(); ++i) volume_.frames *= sizes[i];
  if (sizes.size() > 4) {
    Note("the image has more than four dimensions; those from the fourth on are read as " +
         std::to_string(volume_.frames) + " frames");
  }
  ReadGrid(sizes);
  ReadScaling();

  NameDataFiles(where);
  const bool binary = Flag({"BinaryData"}, true);
  if (Flag({"CompressedData"}, false)) where.packing = Packing::kDeflate;
  if (const std::string* text = Find({"HeaderSize"})) {
    const auto skip = ParseInteger(*text);
    if (!skip || *skip < -1) Refuse("its field HeaderSize is not a number from -1 on");
    if (where.packing == Packing::kNone && !where.files.empty()) where.byte_skip = *skip;
  }
  if (binary) {
    volume_.data = ReadVoxelFiles(where, file_, name_, &volume_.notes);
    const bool big = Flag({"BinaryDataByteOrderMSB", "ElementByteOrderMSB"}, false);
    shown_->set_big_endian(big);
    if (big) SwapValues(volume_.data, width);
  } else if (where.packing != Packing::kNone || where.files.size() > 1) {
    Refuse("its voxels are text, compressed or in several files, which is not read");
  } else {
    std::optional<FileStream> detached;
    if (!where.files.empty()) detached.emplace(where.files[0], true);
    FileStream& stream = detached ? *detached : file_;
    volume_.data = ReadTextVoxels(stream, volume_.type, where.bytes / width, stream.name());
  }
  if (const std::string* modality = Find({"Modality"})) {
    if (*modality == "MET_MOD_CT") volume_.modality = "CT";
    if (*modality == "MET_MOD_MR") volume_.modality = "MR";
    if (*modality == "MET_MOD_US") volume_.modality = "US";
    if (*modality == "MET_MOD_NM") volume_.modality = "NM";
  }
  volume_.source = shown_;
  NoteNonFinite(volume_);
  return std::move(volume_);
}

std::string MakeHeader(const Volume& volume, const std::string& data_file, size_t packed_size) {
  const Geometry& g = volume.geometry;
  const bool frames = volume.frames > 1;
  const int n = frames ? 4 : 3;
  std::string size;
  std::string spacing;
  std::string offset;
  std::string matrix;
  std::string center;
  for (int a = 0; a < n; ++a) {
    size += " " + std::to_string(a < 3 ? g.size[a] : volume.frames);
    spacing += " " + NumberText(a < 3 ? g.spacing[a] : 1);
    offset += " " + NumberText(a < 3 ? g.origin[a] : 0);
    center += " 0";
    for (int row = 0; row < n; ++row) {
      const double cosine = a < 3 && row < 3 ? g.direction[row * 3 + a] : (a == row ? 1.0 : 0.0);
      matrix += " " + NumberText(cosine);
    }
  }
  const auto* element =
      std::find_if(std::begin(kElementTypes), std::end(kElementTypes),
                   [&](const ElementType& candidate) { return candidate.type == volume.type; });
  std::string text = "ObjectType = Image\nNDims = " + std::to_string(n) + "\n";
  if (!volume.description.empty()) text += "Comment = " + volume.description + "\n";
  text += "BinaryData = True\nBinaryDataByteOrderMSB = False\n";
  text += "CompressedData = True\nCompressedDataSize = " + std::to_string(packed_size) + "\n";
  // What is not known is left out, as far as a reader then takes the same; the rest is named.
  const bool plain = g.direction == Geometry().direction;
  const bool no_size = volume.assumed.in_plane_size && volume.assumed.slice_distance &&
                       g.spacing == Geometry().spacing;
  if (!(volume.assumed.orientation && plain)) text += "TransformMatrix =" + matrix + "\n";
  text += "Offset =" + offset + "\n";
  text += "CenterOfRotation =" + center + "\n";
  if (!no_size) text += "ElementSpacing =" + spacing + "\n";
  if (volume.assumed.Any()) {
    text += std::string(kAssumed) + " = " + NamesOf(volume.assumed) + "\n";
  }
  text += "DimSize =" + size + "\n";
  if (volume.components > 1) {
    text += "ElementNumberOfChannels = " + std::to_string(volume.components) + "\n";
  }
  text += std::string("ElementType = ") + element->name + "\n";
  text += "ElementDataFile = " + (data_file.empty() ? "LOCAL" : data_file) + "\n";
  return text;
}

class MetaImage final : public Format {
 public:
  const char* Name() const override { return "MetaImage"; }
  std::vector<std::string> Extensions() const override { return {".mha", ".mhd"}; }
  bool Recognises(const fs::path&, std::string_view head) const override {
    static constexpr const char* kFirst[] = {"ObjectType", "NDims", "Comment", "ObjectSubType"};
    const std::string_view line = head.substr(0, head.find('\n'));
    const bool first = std::any_of(std::begin(kFirst), std::end(kFirst), [&](const char* key) {
      return line.substr(0, std::string_view(key).size()) == key;
    });
    return first && line.find('=') != line.npos && head.find("NDims") != head.npos;
  }
  Volume Read(const fs::path& path) const override { return Reader(path).Read(); }
  bool CanWrite() const override { return true; }
  // .mha: zlib behind the header. .mhd: the voxels in <stem>.zraw beside it.
  void Write(const Volume& volume, const fs::path& path) const override {
    WriteWithTextHeader(volume, path, {".mha", ".mhd", ".zraw", Deflate::kZlib}, MakeHeader);
  }
};

}  // namespace

const Format& MetaImageFormat() {
  static const MetaImage format;
  return format;
}

}  // namespace avocet::io
