// SPDX-License-Identifier: Apache-2.0
// NRRD (Teem, "Definition of NRRD File Format", versions 1 to 6), read and written by a path of our
// own: the header is simple text, and nothing is trusted before it is checked against the file.
//
// Axes: those with a direction (or, without directions, of a kind domain or space; or the first
// three) are i, j, k. A colour or vector axis gives components, any other axis frames; where they
// stand elsewhere than in Volume's order the voxels are reordered and a note says so.
// Space: RAS, LAS and LPS become LPS. A space without anatomical meaning is taken as LPS, as ITK
// does, with a note.
#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include "app/base/error.h"
#include "io/format_list.h"
#include "io/header_text.h"
#include "io/nifti.h"
#include "io/nrrd_header.h"
#include "io/voxel_data.h"
#include "io/voxel_writer.h"

namespace avocet::io {
namespace fs = std::filesystem;
namespace {

constexpr size_t kLongestLine = size_t{1} << 20;

class Reader : NrrdHeader {
 public:
  Reader(const fs::path& path, std::vector<std::string>* notes)
      : NrrdHeader(path), path_(path), notes_(notes) {}

  Volume Read();

 private:
  void Note(const std::string& note) { notes_->push_back(note); }
  double LengthUnit(const std::vector<int>& space_axes);
  // Space that is not that of a patient.
  void AssumeOrientation(const std::string& why) {
    assumed_.orientation = true;
    Note(why + "axes to the left, back and top are assumed, so left and right may be swapped");
  }
  void ReadDirections(Volume& volume, const std::vector<int>& space_axes);
  void ReadSpacings(Volume& volume, const std::vector<int>& space_axes);

  fs::path path_;
  std::vector<std::string>* notes_;
  std::vector<int64_t> sizes_;
  std::vector<std::optional<std::vector<double>>> directions_;
  std::vector<std::string> kinds_;
  Assumptions assumed_;
};

// Words in quotation marks, which may hold blanks: "mm" "" "micro meter".
std::vector<std::string> QuotedWords(const std::string& text) {
  if (text.find('"') == text.npos) return SplitWords(text);
  std::vector<std::string> words;
  for (size_t at = text.find('"'); at != text.npos; at = text.find('"', at + 1)) {
    const size_t end = text.find('"', at + 1);
    if (end == text.npos) break;
    words.emplace_back(Trim(std::string_view(text).substr(at + 1, end - at - 1)));
    at = end;
  }
  return words;
}

// Of the world axes ("space units") or, where these have none, of the axes of the array ("units")
// that lie in space; all must agree.
double Reader::LengthUnit(const std::vector<int>& space_axes) {
  const std::string* world = Find({"spaceunits"});
  const std::string* array = Find({"units"});
  std::vector<std::string> words;
  if (world) {
    words = QuotedWords(*world);
    if (words.size() > 3) words.resize(3);  // the fourth is that of time
  } else if (array) {
    const std::vector<std::string> all = QuotedWords(*array);
    for (const int axis : space_axes) {
      if (static_cast<size_t>(axis) < all.size()) words.push_back(all[static_cast<size_t>(axis)]);
    }
  }
  words.erase(std::remove_if(words.begin(), words.end(),
                             [](const std::string& word) {
                               return word.empty() || word == "???" || Lower(word) == "none";
                             }),
              words.end());
  if (words.empty()) return 1;
  const std::optional<double> unit = UnitInMm(words[0]);
  for (const std::string& word : words) {
    if (word != words[0] && UnitInMm(word) != unit) {
      Refuse("the units of its axes differ; convert it to mm first");
    }
  }
  if (!unit) {
    Note("its unit of length is not known; mm is assumed");
    assumed_.in_plane_size = assumed_.slice_distance = true;
    return 1;
  }
  if (*unit != 1) Note("the header is in " + std::string(Trim(words[0])) + "; sizes are converted to millimetres");
  return *unit;
}

void Reader::ReadDirections(Volume& volume, const std::vector<int>& space_axes) {
  // Signs that turn the space's axes into L, P, S.
  std::array<double, 3> sign{1, 1, 1};
  size_t dimension = 3;
  if (const std::string* space = Find({"space"})) {
    std::string text = Lower(*space);
    if (text.size() > 5 && text.substr(text.size() - 5) == "-time") {
      text.resize(text.size() - 5);
      dimension = 4;
    }
    if (text.size() == 4 && text.back() == 't' &&
        (text == "rast" || text == "last" || text == "lpst")) {
      text.pop_back();
      dimension = 4;
    }
    if (text == "right-anterior-superior" || text == "ras") {
      sign = {-1, -1, 1};
    } else if (text == "left-anterior-superior" || text == "las") {
      sign = {1, -1, 1};
    } else if (text != "left-posterior-superior" && text != "lps") {
      if (text != "scanner-xyz" && text != "3d-right-handed" && text != "3d-left-handed") {
        Refuse("its space '" + text.substr(0, 60) + "' is not known");
      }
      AssumeOrientation("its space '" + text + "' has no anatomical meaning; ");
    }
  } else {
    const int64_t stated = Integer({"spacedimension"}, 3);
    if (stated < 1 || stated > 4) Refuse("its space has " + std::to_string(stated) + " dimensions");
    dimension = static_cast<size_t>(stated);
    AssumeOrientation("its space has no name; ");
  }
  const double unit = LengthUnit(space_axes);

  std::array<std::array<double, 3>, 3> axes{};
  std::array<int64_t, 3> size{1, 1, 1};
  for (size_t a = 0; a < space_axes.size(); ++a) {
    const std::vector<double>& vector = *directions_[space_axes[a]];
    if (vector.size() != dimension) {
      Refuse("a direction in its header has " + std::to_string(vector.size()) + " numbers for " +
             std::to_string(dimension) + " dimensions; the header is damaged");
    }
    for (size_t row = 0; row < std::min<size_t>(3, dimension); ++row) {
      axes[a][row] = sign[row] * unit * vector[row];
    }
    size[a] = sizes_[space_axes[a]];
  }
  const auto norm = [](const std::array<double, 3>& v) { return std::hypot(v[0], v[1], v[2]); };
  if (space_axes.size() == 1) {
    // Any two normals serve: nothing lies along them.
    const std::array<double, 3> other = std::abs(axes[0][2]) < 0.9 * norm(axes[0])
                                            ? std::array<double, 3>{0, 0, 1}
                                            : std::array<double, 3>{0, 1, 0};
    axes[1] = NormalAxis(other, axes[0], 1);
  }
  if (space_axes.size() < 3) {
    axes[2] = NormalAxis(axes[0], axes[1], 1);
    assumed_.slice_distance = true;
    if (space_axes.size() < 2) assumed_.in_plane_size = true;
    Note(
        "the header gives fewer than three directions; the missing ones are normal to the others, "
        "1 mm long");
  }
  std::array<double, 3> origin{};
  if (const std::string* text = Find({"spaceorigin"})) {
    const auto vectors = Vectors(*text);
    if (vectors.size() == 1 && vectors[0] && vectors[0]->size() == dimension) {
      for (size_t row = 0; row < std::min<size_t>(3, dimension); ++row) {
        origin[row] = sign[row] * unit * (*vectors[0])[row];
      }
    } else if (vectors.size() == 1 && !vectors[0]) {
      Note("the header's space origin is not a number; 0 is used");
    } else {
      Refuse("its space origin is not one vector of " + std::to_string(dimension) + " numbers");
    }
  } else {
    Note("the header gives no origin; 0 is used");
  }
  volume.geometry = GeometryFromAxes(size, axes, origin, name(), notes_);
}

void Reader::ReadSpacings(Volume& volume, const std::vector<int>& space_axes) {
  const auto spacings = Numbers({"spacings"}, sizes_.size());
  const auto mins = Numbers({"axismins"}, sizes_.size());
  const auto maxs = Numbers({"axismaxs"}, sizes_.size());
  const std::string* centers = Find({"centerings", "centers"});
  const std::vector<std::string> centering =
      centers ? SplitWords(*centers) : std::vector<std::string>();
  std::array<std::array<double, 3>, 3> axes{};
  std::array<double, 3> origin{0, 0, 0};
  std::array<int64_t, 3> size{1, 1, 1};
  bool assumed = false;
  bool reversed = false;
  bool placed = !mins.empty();
  const double unit = LengthUnit(space_axes);
  for (size_t a = 0; a < 3; ++a) {
    double spacing = std::numeric_limits<double>::quiet_NaN();
    if (a < space_axes.size()) {
      const auto axis = static_cast<size_t>(space_axes[a]);
      size[a] = sizes_[axis];
      if (!spacings.empty() && spacings[axis]) {
        spacing = *spacings[axis];
      } else if (!mins.empty() && !maxs.empty() && mins[axis] && maxs[axis]) {
        const bool cell = axis < centering.size() && Lower(centering[axis]) == "cell";
        const double steps = static_cast<double>(cell ? size[a] : size[a] - 1);
        spacing = std::abs(*maxs[axis] - *mins[axis]) / steps;
      }
      spacing *= unit;
      if (!(std::abs(spacing) > 1e-9 && std::abs(spacing) < 1e9)) {
        assumed = assumed || size[a] > 1;
        (a < 2 ? assumed_.in_plane_size : assumed_.slice_distance) = true;
        spacing = 1;
      }
      reversed = reversed || spacing < 0;
      // As ITK: the first sample lies half a cell inside, unless the samples are nodes.
      placed = placed && mins[axis].has_value();
      if (placed) {
        const bool node = axis < centering.size() && Lower(centering[axis]) == "node";
        origin[a] = unit * *mins[axis] + (node ? 0 : spacing / 2);
      }
    } else {
      (a < 2 ? assumed_.in_plane_size : assumed_.slice_distance) = true;
      spacing = 1;
    }
    axes[a][a] = spacing;
  }
  if (assumed) Note("the header gives no valid voxel size for an axis; 1 mm is assumed");
  if (reversed) Note("the header gives a negative voxel size; that axis runs backwards");
  if (placed) {
    Note("the origin is that of the header's axis mins");
  } else {
    origin = {0, 0, 0};
  }
  assumed_.orientation = true;
  Note(std::string("the header gives no orientation; axes to the left, back and top ") +
       (placed ? "" : "and the origin 0 ") + "are assumed, so left and right may be swapped");
  volume.geometry = GeometryFromAxes(size, axes, origin, name(), notes_);
}

// Colour and vector kinds, whose values belong together.
bool IsComponentKind(const std::string& kind) {
  const std::string text = Lower(kind);
  return text == "vector" || text == "covariant-vector" || text == "normal" ||
         text.find("color") != text.npos || text.find("-vector") != text.npos ||
         text.find("-gradient") != text.npos || text.find("-normal") != text.npos ||
         text.find("matrix") != text.npos || text == "quaternion";
}

Volume Reader::Read() {
  Volume volume;
  if (const std::string* content = Find({"content"})) NoteIfComputed(*content, volume);
  volume.type = ReadType();
  const int64_t dimension = Integer({"dimension"}, 0);
  if (dimension < 1 || dimension > 16) {
    Refuse("its header gives " + std::to_string(dimension) +
           " dimensions (1 to 16 are possible); the header is damaged");
  }
  for (const std::string& word : SplitWords(Need("sizes"))) {
    const auto size = ParseInteger(word);
    if (!size) Refuse("its field 'sizes' holds something that is no number");
    sizes_.push_back(*size);
  }
  if (static_cast<int64_t>(sizes_.size()) != dimension) {
    Refuse("its header gives " + std::to_string(sizes_.size()) + " sizes for " +
           std::to_string(dimension) + " dimensions; the header is damaged");
  }
  const size_t width = SizeOf(volume.type);
  VoxelFiles where;
  where.bytes = CheckedByteCount(sizes_, width, name());

  if (const std::string* kinds = Find({"kinds"})) {
    kinds_ = SplitWords(*kinds);
    if (kinds_.size() != sizes_.size()) {
      Refuse("its field 'kinds' has " + std::to_string(kinds_.size()) + " entries for " +
             std::to_string(dimension) + " axes; the header is damaged");
    }
    for (const std::string& kind : kinds_) {
      if (Lower(kind) == "complex") {
        Refuse("its voxels are complex numbers; save the magnitude first");
      }
    }
  }
  kinds_.resize(sizes_.size());
  const std::string* direction_text = Find({"spacedirections"});
  if (direction_text) {
    directions_ = Vectors(*direction_text);
    if (directions_.size() != sizes_.size()) {
      Refuse("its header gives " + std::to_string(directions_.size()) + " space directions for " +
             std::to_string(dimension) + " axes; the header is damaged");
    }
  }

  // Which axis is what.
  std::vector<int> space_axes;
  std::vector<int> component_axes;
  std::vector<int> frame_axes;
  const bool kinds_tell = std::any_of(kinds_.begin(), kinds_.end(), [](const std::string& kind) {
    return Lower(kind) == "domain" || Lower(kind) == "space";
  });
  for (int axis = 0; axis < dimension; ++axis) {
    const std::string kind = Lower(kinds_[axis]);
    bool space = kind.empty() || kind == "???" || kind == "none";
    if (kinds_tell) space = kind == "domain" || kind == "space";
    if (direction_text) space = directions_[axis].has_value();
    // A space with time gives the time axis a direction too: (0,0,0,1).
    if (space && direction_text && directions_[axis]->size() == 4) {
      const auto& v = *directions_[axis];
      space = v[0] != 0 || v[1] != 0 || v[2] != 0;
    }
    if (space && space_axes.size() < 3) {
      space_axes.push_back(axis);
    } else if (!space && IsComponentKind(kind)) {
      component_axes.push_back(axis);
    } else {
      frame_axes.push_back(axis);
    }
  }
  if (space_axes.empty()) Refuse("none of its axes lies in space");
  for (const int axis : component_axes) {
    if (sizes_[axis] * volume.components > 1024) {
      Refuse("it has more than 1024 values in a voxel; it is not an image");
    }
    volume.components *= static_cast<int>(sizes_[axis]);
  }
  for (const int axis : frame_axes) volume.frames *= sizes_[axis];
  if (frame_axes.size() > 1) {
    Note("the image has more than four dimensions; those beyond space are read as " +
         std::to_string(volume.frames) + " frames");
  }

  if (direction_text) {
    ReadDirections(volume, space_axes);
  } else {
    ReadSpacings(volume, space_axes);
  }

  // The voxels.
  const std::string encoding = Lower(Need("encoding"));
  const bool text = encoding == "ascii" || encoding == "text" || encoding == "txt";
  const bool hex = encoding == "hex";
  if (encoding == "gzip" || encoding == "gz") where.packing = Packing::kDeflate;
  if (encoding == "bzip2" || encoding == "bz2") where.packing = Packing::kBzip2;
  if (where.packing == Packing::kNone && encoding != "raw" && !text && !hex) {
    Refuse("its encoding '" + encoding.substr(0, 40) + "' is not known");
  }
  where.line_skip = Integer({"lineskip"}, 0);
  where.byte_skip = Integer({"byteskip"}, 0);
  if (where.line_skip < 0) {
    Refuse("its line skip is " + std::to_string(where.line_skip) + "; it must be 0 or more");
  }
  if (where.byte_skip < -1 || (where.byte_skip == -1 && (text || hex))) {
    Refuse("its byte skip is " + std::to_string(where.byte_skip) +
           "; it must be 0 or more, or -1 for voxels at the end of the file");
  }
  for (const std::string& file : data_files()) {
    where.files.push_back(ResolveBeside(path_, file));
  }
  if (text || hex) {
    if (where.files.size() > 1) Refuse("its voxels are text in several files, which is not read");
    std::optional<FileStream> detached;
    if (!where.files.empty()) detached.emplace(where.files[0], true);
    FileStream& stream = detached ? *detached : file();
    std::string line;
    for (int64_t i = 0; i < where.line_skip; ++i) {
      if (!stream.ReadLine(line, kLongestLine)) Refuse("it has fewer lines than its header skips");
    }
    SkipIn(stream, static_cast<uint64_t>(where.byte_skip));
    volume.data = hex ? ReadHexVoxels(stream, where.bytes, stream.name())
                      : ReadTextVoxels(stream, volume.type, where.bytes / width, stream.name());
  } else {
    if (where.byte_skip == 0 && where.line_skip == 0 && where.files.size() == 1) {
      // A common slip: without a skip the NIfTI header would be taken for voxels.
      FileStream data(where.files[0], where.packing == Packing::kDeflate);
      std::vector<std::byte> first(348);
      first.resize(data.Read(first.data(), first.size()));
      std::shared_ptr<NiftiSource> nifti;
      try {
        nifti = ParseNiftiHeader(first, where.files[0].string(), false);
      } catch (const IoError&) {  // what is no header is voxels
      }
      if (nifti) {
        Refuse("its voxel file '" + where.files[0].filename().string() +
               "' is a NIfTI file, and without 'byte skip: -1' its header would be taken for "
               "voxels; open the NIfTI file itself, or add that line");
      }
    }
    volume.data = ReadVoxelFiles(where, file(), name(), notes_);
  }
  const std::string* endian = Find({"endian"});
  if (!endian && width > 1 && !text) {
    Refuse(
        "its header does not say the byte order; add the line 'endian: little' or 'endian: big'");
  }
  if (endian && Lower(*endian) != "little" && Lower(*endian) != "big") {
    Refuse("its byte order '" + endian->substr(0, 20) + "' is neither little nor big");
  }
  if (endian && Lower(*endian) == "big" && !text) {
    SwapValues(volume.data, width);
    shown()->set_big_endian(true);
  }

  std::vector<int> order = component_axes;
  order.insert(order.end(), space_axes.begin(), space_axes.end());
  order.insert(order.end(), frame_axes.begin(), frame_axes.end());
  if (!std::is_sorted(order.begin(), order.end())) {
    volume.data = PermuteAxes(volume.data, sizes_, order, width);
    Note(
        "the axes are stored in another order than components, space, frames; the voxels are "
        "reordered");
  }
  volume.modality = modality();
  volume.source = shown();
  volume.assumed = {assumed_.orientation || assumed().orientation,
                    assumed_.in_plane_size || assumed().in_plane_size,
                    assumed_.slice_distance || assumed().slice_distance};
  return volume;
}

const char* TypeName(VoxelType type) {
  switch (type) {
    case VoxelType::kFloat32:
      return "float";
    case VoxelType::kFloat64:
      return "double";
    default:
      return NameOf(type);
  }
}

// Our own grid and type, nothing of the source: no text passes to a derived file.
std::string MakeHeader(const Volume& volume, const std::string& data_file, size_t) {
  const bool colour = volume.components > 1;
  const bool frames = volume.frames > 1;
  const Geometry& g = volume.geometry;
  std::string sizes;
  std::string directions;
  std::string kinds;
  if (colour) {
    sizes += " " + std::to_string(volume.components);
    directions += " none";
    kinds += volume.type == VoxelType::kUInt8 && volume.components == 3   ? " RGB-color"
             : volume.type == VoxelType::kUInt8 && volume.components == 4 ? " RGBA-color"
                                                                          : " vector";
  }
  for (int a = 0; a < 3; ++a) {
    sizes += " " + std::to_string(g.size[a]);
    directions += " (" + NumberText(g.direction[a] * g.spacing[a]) + "," +
                  NumberText(g.direction[3 + a] * g.spacing[a]) + "," +
                  NumberText(g.direction[6 + a] * g.spacing[a]) + ")";
    kinds += " domain";
  }
  if (frames) {
    sizes += " " + std::to_string(volume.frames);
    directions += " none";
    kinds += " list";
  }
  std::string text = "NRRD0004\n";
  if (!volume.description.empty()) text += "content: " + volume.description + "\n";
  text += std::string("type: ") + TypeName(volume.type) + "\n";
  text += "dimension: " + std::to_string(3 + colour + frames) + "\n";
  // A space without a name: the axes as they were assumed, stated as nobody's.
  text += volume.assumed.orientation ? "space dimension: 3\n" : "space: left-posterior-superior\n";
  text += "sizes:" + sizes + "\n";
  text += "space directions:" + directions + "\n";
  text += "kinds:" + kinds + "\n";
  text += "endian: little\n";
  text += "encoding: gzip\n";
  text += "space origin: (" + NumberText(g.origin[0]) + "," + NumberText(g.origin[1]) + "," +
          NumberText(g.origin[2]) + ")\n";
  if (volume.assumed.Any()) {
    text += std::string(kNrrdAssumedKey) + ":=" + NamesOf(volume.assumed) + "\n";
  }
  if (!data_file.empty()) text += "data file: " + data_file + "\n";
  return text + (data_file.empty() ? "\n" : "");
}

class Nrrd final : public Format {
 public:
  const char* Name() const override { return "NRRD"; }
  std::vector<std::string> Extensions() const override { return {".nrrd", ".nhdr"}; }
  bool Recognises(const fs::path&, std::string_view head) const override {
    return head.size() >= 8 && head.substr(0, 5) == "NRRD0";
  }
  Volume Read(const fs::path& path) const override {
    std::vector<std::string> notes;
    Volume volume = Reader(path, &notes).Read();
    volume.notes.insert(volume.notes.begin(), notes.begin(), notes.end());
    NoteNonFinite(volume);
    return volume;
  }
  bool CanWrite() const override { return true; }
  // .nrrd: gzip behind the header. .nhdr: the voxels in <stem>.raw.gz beside it.
  void Write(const Volume& volume, const fs::path& path) const override {
    WriteWithTextHeader(volume, path, {".nrrd", ".nhdr", ".raw.gz", Deflate::kGzip}, MakeHeader);
  }
};

}  // namespace

const Format& NrrdFormat() {
  static const Nrrd format;
  return format;
}

}  // namespace avocet::io
