// SPDX-License-Identifier: Apache-2.0
#include "io/dicom_instance.h"
#include "io/dicom_syntax.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "app/base/error.h"

namespace avocet::io::dicom {
namespace {

constexpr Tag kPosition = 0x00200032, kOrientation = 0x00200037, kPixelSpacing = 0x00280030;
constexpr Tag kImagerSpacing = 0x00181164, kCalibration = 0x00280a02;
constexpr Tag kSlope = 0x00281053, kIntercept = 0x00281052;

std::string Short(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.6g", value);
  return text;
}

double Norm(const double* v) { return std::sqrt(v[0] * v[0] + v[1] * v[1] + v[2] * v[2]); }

// The numbers of an attribute on which the place or the scale of voxels depends. "1,5" is neither
// 1 nor 1.5: what is stated and cannot be read must not be taken for absent.
std::vector<double> NumbersOrProblem(const Dataset& data, Tag tag, const char* name,
                                     FrameInfo& frame) {
  std::vector<double> numbers = data.Numbers(tag);
  if (numbers.empty()) {
    const std::string text = data.Text(tag);
    if (!text.empty() && frame.problem.empty()) {
      frame.problem =
          std::string("its ") + name + " is '" + text.substr(0, 60) + "', which is not a number";
    }
  }
  return numbers;
}

void ReadPosition(const Dataset& data, FrameInfo& frame) {
  const std::vector<double> p = NumbersOrProblem(data, kPosition, "ImagePositionPatient", frame);
  if (p.size() != 3) return;
  for (const double x : p) {
    if (std::abs(x) > 1e6) return;  // a kilometre away is not in the patient
  }
  std::copy(p.begin(), p.end(), frame.position.begin());
  frame.has_position = true;
}

void ReadOrientation(const Dataset& data, FrameInfo& frame) {
  const std::vector<double> c =
      NumbersOrProblem(data, kOrientation, "ImageOrientationPatient", frame);
  if (c.size() != 6) return;
  const double row = Norm(&c[0]), column = Norm(&c[3]);
  const double dot = c[0] * c[3] + c[1] * c[4] + c[2] * c[5];
  // Cosines are rounded to some digits; what is further off is no orientation.
  if (std::abs(row - 1) > 0.02 || std::abs(column - 1) > 0.02 || std::abs(dot) > 0.02) return;
  for (int i = 0; i < 6; ++i) frame.cosines[i] = c[i] / (i < 3 ? row : column);
  std::copy(c.begin(), c.end(), frame.stated_cosines.begin());
  frame.has_orientation = true;
}

// What is stated and makes no sense.
void NoteUnused(const Dataset& data, const FrameInfo& frame, Instance& it) {
  if (!frame.has_position && !data.Text(kPosition).empty()) {
    it.notes.emplace_back("ImagePositionPatient is no place in a patient; it is not used");
  }
  if (!frame.has_orientation && !data.Text(kOrientation).empty()) {
    it.notes.emplace_back(
        "ImageOrientationPatient is not two directions at right angles; it is not used");
  }
  if (!frame.has_spacing && !data.Text(kPixelSpacing).empty()) {
    it.notes.emplace_back("PixelSpacing is not two lengths; it is not used");
  }
  const std::vector<double> slope = data.Numbers(kSlope);
  if (!slope.empty() && slope[0] == 0) {
    it.notes.emplace_back("RescaleSlope is 0; values are not scaled by it");
  }
}

bool ReadSpacing(const Dataset& data, Tag tag, FrameInfo& frame) {
  const std::vector<double> s = NumbersOrProblem(data, tag, "pixel spacing", frame);
  if (s.size() != 2) return false;
  for (const double x : s) {
    if (!(x > 1e-6 && x < 1e4)) return false;
  }
  frame.spacing = {s[1], s[0]};  // PS3.3 10.7.1.3: distance of rows first
  frame.has_spacing = true;
  frame.magnified = false;
  return true;
}

// Ultrasound states its scale by regions of the picture (PS3.3 C.8.5.5). It is that of the pixels
// when all regions show tissue in two dimensions at one scale; where others lie beside them (a
// spectrum, an ECG), a length across the picture would be false.
bool ReadUltrasoundSpacing(const Dataset& data, FrameInfo& frame, Instance& instance) {
  const std::vector<Dataset>& regions = data.Items(0x00186011);
  if (regions.empty()) return false;
  std::array<double, 2> spacing{0, 0};
  for (const Dataset& region : regions) {
    constexpr int64_t kTwoDimensional = 1, kCentimetres = 3;
    const std::array<double, 2> delta{std::abs(region.Number(0x0018602c, 0)) * 10,
                                      std::abs(region.Number(0x0018602e, 0)) * 10};
    const bool in_space = region.Integer(0x00186012, 0) == kTwoDimensional &&
                          region.Integer(0x00186024, 0) == kCentimetres &&
                          region.Integer(0x00186026, 0) == kCentimetres;
    const bool same = spacing[0] == 0 || (std::abs(delta[0] - spacing[0]) <= 1e-3 * spacing[0] &&
                                          std::abs(delta[1] - spacing[1]) <= 1e-3 * spacing[1]);
    if (!in_space || !same || !(delta[0] > 1e-6 && delta[1] > 1e-6) ||
        !(delta[0] < 1e4 && delta[1] < 1e4)) {
      instance.notes.emplace_back(
          "its ultrasound regions have several scales or units; none is used for the picture");
      return false;
    }
    spacing = delta;
  }
  frame.spacing = spacing;
  frame.has_spacing = true;
  instance.notes.emplace_back("the pixel size is that of its calibrated ultrasound regions");
  return true;
}

void ReadRescale(const Dataset& data, FrameInfo& frame) {
  const std::vector<double> slope = NumbersOrProblem(data, kSlope, "RescaleSlope", frame);
  const std::vector<double> inter = NumbersOrProblem(data, kIntercept, "RescaleIntercept", frame);
  if (!slope.empty() && slope[0] != 0) frame.slope = slope[0];
  frame.inter = inter.empty() ? 0 : inter[0];
}

void SetKey(FrameInfo& frame, FrameInfo::Key key, const char* word, const std::string& value) {
  // Every frame has its own copy; what is real is short.
  if (!value.empty()) frame.keys[key] = std::string(word) + " " + value.substr(0, 200);
}

std::string NumberText(const Dataset& data, Tag tag) {
  const std::vector<double> numbers = data.Numbers(tag);
  return numbers.empty() ? "" : Short(numbers[0]);
}

std::string Joined(const std::vector<std::string>& parts) {
  std::string text;
  for (const std::string& part : parts) text += (text.empty() ? "" : "\\") + part;
  return text;
}

// HHMMSS.FFFFFF in seconds; -1 when it is not given.
double Seconds(const std::string& time) {
  if (time.size() < 4 || time.find_first_not_of("0123456789.") != time.npos) return -1;
  const double value = std::atof(time.c_str());
  const int hours = static_cast<int>(value / 10000), minutes = static_cast<int>(value / 100) % 100;
  return hours * 3600.0 + minutes * 60.0 + std::fmod(value, 100);
}

// A private value that implicit VR leaves without a type: `count` floats, or text.
std::vector<double> PrivateNumbers(const Dataset& data, uint16_t group, const char* creator,
                                   uint8_t number, char type) {
  const Element* found = data.FindPrivate(group, creator, number);
  if (found == nullptr) return {};
  if (std::string_view(found->vr, 2) != "UN") return data.NumbersOf(*found);
  Element typed = *found;
  typed.vr[0] = type == 't' ? 'D' : 'F';
  typed.vr[1] = type == 't' ? 'S' : type == 'd' ? 'D' : 'L';
  return data.NumbersOf(typed);
}

// b-value and direction of the gradient: PS3.3 C.8.13.5.9, or where the makers put them in classic
// images: Siemens (0019,xx0C) and (0019,xx0E), GE (0043,xx39) and (0019,xxBB) to (0019,xxBD),
// Philips (2001,xx03) and (2005,xxB0) to (2005,xxB2).
void ReadDiffusion(const Dataset& data, FrameInfo& frame) {
  std::vector<double> b = data.Numbers(0x00189087), g = data.Numbers(0x00189089);
  const auto triple = [&](uint16_t group, const char* creator, uint8_t first, char type) {
    std::vector<double> all;
    for (uint8_t i = 0; i < 3; ++i) {
      const auto one = PrivateNumbers(data, group, creator, static_cast<uint8_t>(first + i), type);
      if (!one.empty()) all.push_back(one[0]);
    }
    return all;
  };
  if (b.empty()) {
    b = PrivateNumbers(data, 0x0019, "SIEMENS MR HEADER", 0x0c, 't');
    if (!b.empty()) g = PrivateNumbers(data, 0x0019, "SIEMENS MR HEADER", 0x0e, 'd');
  }
  if (b.empty()) {
    b = PrivateNumbers(data, 0x0043, "GEMS_PARM_01", 0x39, 't');
    if (!b.empty()) {
      b[0] = std::fmod(b[0], 1e9);  // newer software adds a billion, or several
      g = triple(0x0019, "GEMS_ACQU_01", 0xbb, 't');
    }
  }
  if (b.empty()) {
    b = PrivateNumbers(data, 0x2001, "Philips Imaging DD 001", 0x03, 'f');
    if (!b.empty()) g = triple(0x2005, "Philips MR Imaging DD 001", 0xb0, 'f');
  }
  if (b.empty()) return;
  std::string text = Short(b[0]);
  if (b[0] > 0 && g.size() == 3) {
    // Rounded, so that the last digit does not tell slices of one volume apart.
    for (double& x : g) x = std::round(x * 1000) / 1000 + 0.0;
    text += " along " + Short(g[0]) + ", " + Short(g[1]) + ", " + Short(g[2]);
  }
  SetKey(frame, FrameInfo::kBValue, "b-value", text);
}

void ReadKeys(const Dataset& data, FrameInfo& frame) {
  SetKey(frame, FrameInfo::kImageType, "image type", Joined(data.Texts(0x00080008)));
  std::string echo = NumberText(data, 0x00180086);
  const std::string echo_time = NumberText(data, 0x00180081);
  if (!echo_time.empty()) echo += (echo.empty() ? "time " : ", echo time ") + echo_time + " ms";
  SetKey(frame, FrameInfo::kEcho, "echo", echo);
  ReadDiffusion(data, frame);
  SetKey(frame, FrameInfo::kTemporal, "time point", NumberText(data, 0x00200100));
  SetKey(frame, FrameInfo::kAcquisition, "acquisition", NumberText(data, 0x00200012));
  SetKey(frame, FrameInfo::kTrigger, "trigger time", NumberText(data, 0x00181060));
}

// Functional groups (PS3.3 C.7.6.16): the frame's own, else the shared ones.
void ReadGroups(const Dataset& groups, FrameInfo& frame) {
  if (const Dataset* item = groups.Item(0x00209113)) ReadPosition(*item, frame);
  if (const Dataset* item = groups.Item(0x00209116)) ReadOrientation(*item, frame);
  if (const Dataset* item = groups.Item(0x00289110)) {
    ReadSpacing(*item, kPixelSpacing, frame);
    frame.slice_spacing = item->Number(0x00180088, frame.slice_spacing);
    frame.thickness = item->Number(0x00180050, frame.thickness);
  }
  if (const Dataset* item = groups.Item(0x00289145)) ReadRescale(*item, frame);
  if (const Dataset* item = groups.Item(0x00209111)) {
    SetKey(frame, FrameInfo::kStack, "stack", item->Text(0x00209056));
    SetKey(frame, FrameInfo::kTemporal, "time point", NumberText(*item, 0x00209128));
    const std::string acquired = item->Text(0x00189074);
    if (acquired.size() > 8 && Seconds(acquired.substr(8)) >= 0) {
      frame.order = Seconds(acquired.substr(8));
    }
  }
  for (const Tag tag : {0x00189226U, 0x00189329U}) {
    if (const Dataset* item = groups.Item(tag)) {
      SetKey(frame, FrameInfo::kImageType, "image type", Joined(item->Texts(0x00089007)));
    }
  }
  if (const Dataset* item = groups.Item(0x00189114)) {
    const std::string time = NumberText(*item, 0x00189082);
    if (!time.empty()) SetKey(frame, FrameInfo::kEcho, "echo time", time + " ms");
  }
  if (const Dataset* item = groups.Item(0x00189117)) {
    std::string b = NumberText(*item, 0x00189087);
    if (const Dataset* gradient = item->Item(0x00189076)) {
      const std::vector<double> g = gradient->Numbers(0x00189089);
      if (g.size() == 3) b += " along " + Short(g[0]) + ", " + Short(g[1]) + ", " + Short(g[2]);
    }
    SetKey(frame, FrameInfo::kBValue, "b-value", b);
  }
  if (const Dataset* item = groups.Item(0x00189118)) {
    SetKey(frame, FrameInfo::kTrigger, "trigger time", NumberText(*item, 0x00209153));
  }
}

void ReadFormat(const ParsedFile& file, Instance& instance) {
  const Dataset& data = file.data;
  PixelFormat& f = instance.format;
  std::string& problem = instance.problem;
  f.kind = file.pixels.kind;
  const int64_t rows = data.Integer(0x00280010, 0), columns = data.Integer(0x00280011, 0);
  if (rows < 1 || columns < 1 || rows > 65535 || columns > 65535) {
    problem = "it does not state its rows and columns";
    return;
  }
  f.rows = static_cast<int>(rows);
  f.columns = static_cast<int>(columns);
  const auto small = [&](Tag tag, int64_t otherwise) {
    return static_cast<int>(std::clamp<int64_t>(data.Integer(tag, otherwise), -1, 1 << 20));
  };
  f.samples = small(0x00280002, 1);
  f.photometric = data.Text(0x00280004);
  if (f.photometric.empty()) f.photometric = f.samples == 3 ? "RGB" : "MONOCHROME2";
  f.planar = small(0x00280006, 0) == 1;
  if (f.kind == PixelLocation::Kind::kFloat || f.kind == PixelLocation::Kind::kDouble) {
    f.allocated = f.stored = f.kind == PixelLocation::Kind::kFloat ? 32 : 64;
    f.high_bit = f.allocated - 1;
    if (f.samples != 1) problem = "it has floating-point pixels of several samples";
    return;
  }
  f.allocated = small(0x00280100, 16);
  f.stored = small(0x00280101, f.allocated);
  f.high_bit = small(0x00280102, f.stored - 1);
  f.is_signed = small(0x00280103, 0) == 1;
  if (f.samples != 1 && f.samples != 3) {
    problem = "it has " + std::to_string(f.samples) + " samples per pixel; 1 and 3 are read";
  } else if (f.allocated != 1 && f.allocated != 8 && f.allocated != 16 && f.allocated != 32) {
    problem =
        "it has " + std::to_string(f.allocated) + " bits per sample; 1, 8, 16 and 32 are read";
  } else if (f.stored < 1 || f.stored > f.allocated || f.high_bit >= f.allocated ||
             f.high_bit < f.stored - 1) {
    problem = "its bits do not fit each other (allocated " + std::to_string(f.allocated) +
              ", stored " + std::to_string(f.stored) + ", high bit " + std::to_string(f.high_bit) +
              ")";
  } else if (f.samples == 3 && f.allocated != 8) {
    problem = "it has colours of " + std::to_string(f.allocated) + " bits; 8 are read";
  } else if (f.photometric == "PALETTE COLOR") {
    if (f.samples != 1 || f.allocated > 16) {
      problem = "its colour palette is missing or damaged";
    } else {
      ReadPalette(data, f, problem);
    }
  }
}

// Whether the pixels can be told from their transfer syntax. Values in a byte order that is guessed
// look like an image and are none.
void CheckSyntax(Instance& instance) {
  const TransferSyntax syntax = TransferSyntaxOf(instance.transfer_syntax);
  const std::string uid = instance.transfer_syntax.substr(0, 64);
  const bool native = !instance.pixels.encapsulated;
  if (syntax.storage == PixelStorage::kUnknown) {
    instance.problem = "its transfer syntax " + uid + " is not known, so " +
                       (native ? "the byte order" : "the packing") +
                       " of its pixels is not either; export it as explicit VR little endian";
  } else if (syntax.storage == PixelStorage::kNotRead) {
    instance.problem = "its pixels are packed as " + std::string(syntax.name) +
                       " (transfer syntax " + uid +
                       "), which is not read; convert it to JPEG 2000 or explicit VR little endian";
  } else if (native && syntax.storage != PixelStorage::kNative &&
             syntax.storage != PixelStorage::kNativeBigEndian) {
    instance.notes.push_back("the transfer syntax says " + std::string(syntax.name) +
                             ", but its pixels are not packed; they were read as they are");
  } else if (!native && (syntax.storage == PixelStorage::kNative ||
                         syntax.storage == PixelStorage::kNativeBigEndian)) {
    instance.notes.push_back("the transfer syntax says " + std::string(syntax.name) +
                             ", but its pixels are packed; they were decoded by their content");
  }
}

// Size of the pixel data against rows, columns and frames.
void CheckLength(Instance& instance) {
  const PixelFormat& f = instance.format;
  const PixelLocation& p = instance.pixels;
  const auto words = [](uint64_t n) { return std::to_string(n); };
  if (p.encapsulated) {
    if (p.fragments.size() < static_cast<uint64_t>(instance.frame_count)) {
      instance.problem = "its compressed pixel data are cut short: " + words(p.fragments.size()) +
                         " fragments for " + words(static_cast<uint64_t>(instance.frame_count)) +
                         " frames";
    } else if (p.cut) {
      instance.notes.push_back("the compressed pixel data end without their end mark");
    }
    return;
  }
  const auto frames = static_cast<uint64_t>(instance.frame_count);
  const uint64_t samples = static_cast<uint64_t>(f.rows) * f.columns * f.samples;
  uint64_t needed =
      f.allocated == 1 ? (samples * frames + 7) / 8 : samples * frames * (f.allocated / 8);
  if (f.photometric == "YBR_FULL_422") needed = needed / 3 * 2;
  if (p.length < needed) {
    instance.problem =
        "its pixel data are cut short: " + words(p.length) + " of " + words(needed) + " bytes";
  } else if (p.length / 2 >= needed && needed > 1) {
    // Another frame would fit: which pixels are meant cannot be told.
    instance.problem =
        "its pixel data hold " + words(p.length) + " bytes, its header describes " + words(needed);
  } else if (p.length > needed + 1) {
    instance.notes.push_back("the pixel data are followed by " + words(p.length - needed) +
                             " bytes that belong to no image; they are ignored");
  }
}

// Ways from stored values to others that are not applied.
void NoteOtherScales(const Dataset& data, Instance& instance) {
  if (!data.Items(0x00283000).empty()) {
    instance.notes.push_back(
        "a Modality LUT turns its values into others; it was not applied, values are as stored");
  }
  const std::vector<double> slope =
      PrivateNumbers(data, 0x2005, "Philips MR Imaging DD 001", 0x0e, 'f');
  if (!slope.empty() && slope[0] > 0 && slope[0] != 1) {
    instance.notes.push_back("Philips states a private scale slope of " + Short(slope[0]) +
                             "; it was not applied, only the rescale slope is");
  }
  const Dataset* map = data.Item(0x00409096);
  if (map != nullptr) {
    const std::vector<double> real = map->Numbers(0x00409225), offset = map->Numbers(0x00409224);
    if (!real.empty() && (real[0] != 1 || (!offset.empty() && offset[0] != 0))) {
      instance.notes.push_back("a real-world value mapping is given (slope " + Short(real[0]) +
                               (offset.empty() ? "" : ", intercept " + Short(offset[0])) +
                               "); it was not applied, only the rescale slope is");
    }
  }
}

std::string NotAnImage(const std::string& sop_class, const std::string& modality) {
  if (sop_class.rfind("1.2.840.10008.5.1.4.1.1.66.", 0) == 0 || modality == "SEG") {
    return "it is a segmentation or registration object, not an image series";
  }
  if (modality == "RTSTRUCT")
    return "it holds contours (RTSTRUCT), not an image; 'avocet export' fills them on their images";
  if (modality == "RTPLAN") return "it holds a radiotherapy plan, not an image";
  if (modality == "SR" || modality == "KO" || modality == "PR") {
    return "it is a document or presentation, not an image";
  }
  return "it holds no pixel data";
}

}  // namespace

VoxelType PixelFormat::type() const {
  if (kind == PixelLocation::Kind::kFloat) return VoxelType::kFloat32;
  if (kind == PixelLocation::Kind::kDouble) return VoxelType::kFloat64;
  if (!palette.empty() || allocated <= 8) {
    return palette.empty() && is_signed ? VoxelType::kInt8 : VoxelType::kUInt8;
  }
  if (allocated == 16) return is_signed ? VoxelType::kInt16 : VoxelType::kUInt16;
  return is_signed ? VoxelType::kInt32 : VoxelType::kUInt32;
}

bool PixelFormat::SameValues(const PixelFormat& other) const {
  return type() == other.type() && components() == other.components() &&
         (photometric == "MONOCHROME1") == (other.photometric == "MONOCHROME1");
}

std::shared_ptr<const Instance> InterpretFile(const ParsedFile& file,
                                              const std::filesystem::path& path) {
  const Dataset& data = file.data;
  auto instance = std::make_shared<Instance>();
  Instance& it = *instance;
  it.path = path;
  std::error_code ignored;
  it.bytes = std::filesystem::file_size(path, ignored);
  it.patient_name = data.Text(0x00100010);
  it.patient_id = data.Text(0x00100020);
  it.study_uid = data.Text(0x0020000d);
  it.study_date = data.Text(0x00080020);
  it.study_description = data.Text(0x00081030);
  it.series_uid = data.Text(0x0020000e);
  it.series_description = data.Text(0x0008103e);
  if (it.series_description.empty()) it.series_description = data.Text(0x00181030);
  it.modality = data.Text(0x00080060);
  it.series_number = data.Integer(0x00200011, -1);
  it.instance_number = data.Integer(0x00200013, -1);
  it.sop_class = data.Text(0x00080016);
  it.sop_uid = data.Text(0x00080018);
  it.frame_of_reference = data.Text(0x00200052);
  it.transfer_syntax = file.transfer_syntax;
  const PixelStorage storage = TransferSyntaxOf(it.transfer_syntax).storage;
  it.big_endian = file.big_endian || storage == PixelStorage::kNativeBigEndian;
  it.notes = file.notes;
  it.pixels = file.pixels;
  const std::vector<std::string> image_type = data.Texts(0x00080008);
  it.localizer = std::find(image_type.begin(), image_type.end(), "LOCALIZER") != image_type.end();
  if (it.pixels.kind == PixelLocation::Kind::kNone || it.modality == "SEG") {
    it.problem = NotAnImage(it.sop_class, it.modality);
    return instance;
  }
  CheckSyntax(it);
  if (!it.problem.empty()) return instance;
  ReadFormat(file, it);
  if (!it.problem.empty()) return instance;
  it.frame_count = data.Integer(0x00280008, data.Text(0x00280008).empty() ? 1 : 0);
  if (it.frame_count < 1 || it.frame_count > 1000000) {
    it.problem = "its number of frames is '" + data.Text(0x00280008).substr(0, 16) + "'";
    return instance;
  }
  // What is kept of a frame takes more memory than pixels of a few bits; 64 bits are no image.
  if (static_cast<uint64_t>(it.frame_count) > it.bytes / 8 + 1) {
    it.problem = "it claims " + std::to_string(it.frame_count) + " frames and has " +
                 std::to_string(it.bytes) + " bytes";
    return instance;
  }
  CheckLength(it);
  if (!it.problem.empty()) return instance;
  if (const Element* padding = data.Find(0x00280120)) {
    // US or SS by PixelRepresentation; files mix them up, so the bits count.
    std::vector<double> value = data.NumbersOf(*padding);
    if (!value.empty()) {
      it.has_padding = true;
      it.padding = value[0];
      if (it.format.allocated == 16 && it.format.is_signed && it.padding > 32767) {
        it.padding -= 65536;
      } else if (it.format.allocated == 16 && !it.format.is_signed && it.padding < 0) {
        it.padding += 65536;
      }
    }
  }

  FrameInfo base;
  ReadPosition(data, base);
  ReadOrientation(data, base);
  if (ReadSpacing(data, kPixelSpacing, base)) {
    // PS3.3 10.7.1.1: equal to that at the detector, and not said to be calibrated, it is that at
    // the detector.
    FrameInfo detector;
    base.magnified = ReadSpacing(data, kImagerSpacing, detector) &&
                     detector.spacing == base.spacing && data.Text(kCalibration).empty();
    if (base.magnified) {
      it.notes.emplace_back(
          "PixelSpacing repeats the spacing at the detector (ImagerPixelSpacing), without "
          "calibration: lengths are not those in the patient");
    }
  } else if (!ReadUltrasoundSpacing(data, base, it)) {
    for (const Tag tag : {kImagerSpacing, Tag{0x00182010}}) {  // Imager, NominalScannedPixelSpacing
      if (!ReadSpacing(data, tag, base)) continue;
      base.magnified = true;
      it.notes.push_back(tag == kImagerSpacing
                             ? "the voxel size is that at the detector (ImagerPixelSpacing), not "
                               "in the patient"
                             : "the voxel size is that of the scanned film or slide");
      break;
    }
  }
  ReadRescale(data, base);
  ReadKeys(data, base);
  base.slice_spacing = std::abs(data.Number(0x00180088, 0));
  base.thickness = data.Number(0x00180050, 0);
  double time = Seconds(data.Text(0x00080032));
  if (time < 0) time = Seconds(data.Text(0x00080033));
  base.order = time < 0 ? 0 : time;

  const std::vector<Dataset>& per_frame = data.Items(0x52009230);
  it.multi_frame = it.frame_count > 1 || !per_frame.empty();
  if (const Dataset* shared = data.Item(0x52009229)) ReadGroups(*shared, base);
  if (!per_frame.empty() && per_frame.size() != static_cast<size_t>(it.frame_count)) {
    it.problem = "it has " + std::to_string(it.frame_count) + " frames and describes " +
                 std::to_string(per_frame.size());
    return instance;
  }
  // Multi-frame dose grids and the like: GridFrameOffsetVector (3004,000C) along the normal.
  std::vector<double> offsets = data.Numbers(0x3004000c);
  if (offsets.size() != static_cast<size_t>(it.frame_count) || it.frame_count == 1) offsets.clear();
  const bool offsets_are_positions = !offsets.empty() && offsets[0] != 0;
  if (const double dose = data.Number(0x3004000e, 0); dose != 0) base.slope = dose;
  it.frames.reserve(static_cast<size_t>(it.frame_count));
  for (int64_t i = 0; i < it.frame_count; ++i) {
    FrameInfo frame = base;
    frame.frame = static_cast<int>(i);
    if (!per_frame.empty()) ReadGroups(per_frame[static_cast<size_t>(i)], frame);
    if (!offsets.empty() && frame.has_position && frame.has_orientation) {
      const auto& c = frame.cosines;
      const double normal[3] = {c[1] * c[5] - c[2] * c[4], c[2] * c[3] - c[0] * c[5],
                                c[0] * c[4] - c[1] * c[3]};
      const double step =
          offsets[static_cast<size_t>(i)] - (offsets_are_positions ? offsets[0] : 0);
      for (int a = 0; a < 3; ++a) frame.position[a] += step * normal[a];
    }
    if (it.problem.empty()) it.problem = frame.problem;
    it.frames.push_back(std::move(frame));
  }
  if (!it.problem.empty()) return instance;
  NoteUnused(data, base, it);
  if (std::find(image_type.begin(), image_type.end(), "MOSAIC") != image_type.end() &&
      it.frame_count == 1) {
    UnpackMosaic(data, it);
  }
  NoteOtherScales(data, it);
  if (data.Text(0x00282110) == "01") {
    it.notes.push_back("the image was compressed with loss: values differ from those measured");
  }
  if (it.format.photometric == "MONOCHROME1") {
    it.notes.push_back("MONOCHROME1: low values are shown bright; values are kept as stored");
  }
  if (!it.format.palette.empty()) {
    it.notes.push_back("the colour palette was applied: values are 8-bit RGB");
  }
  return instance;
}

std::shared_ptr<const Instance> ReadInstance(const std::filesystem::path& path) {
  return InterpretFile(ParseFile(path), path);
}

}  // namespace avocet::io::dicom
