// SPDX-License-Identifier: Apache-2.0
// Formats that ITK's stock readers read: legacy VTK, GIPL, MRC, MINC 2. The readers run in a
// process of their own (io/reader_process.h), behind a gate: the length of the file is compared
// with what its header claims before, because they take files that are cut off for whole.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <functional>
#include <optional>

#include "app/base/error.h"
#include "io/byte_source.h"
#include "io/format_list.h"
#include "io/header_text.h"
#include "io/memory_limit.h"
#include "io/reader_process.h"
#include "io/voxel_data.h"

namespace avocet::io {
namespace fs = std::filesystem;
namespace {

[[noreturn]] void Refuse(const fs::path& path, const std::string& why) {
  throw IoError("cannot read '" + path.string() + "': " + why);
}

// Where the voxels of a file begin. Reads only the header. Throws IoError for what ITK would read
// wrongly.
using VoxelStart = std::function<uint64_t(const fs::path&, std::string_view head)>;

struct Kind {
  const char* name;
  const char* reader;  // ReaderRequest::kind
  std::vector<std::string> extensions;
  std::function<bool(const fs::path&, std::string_view head)> recognises;
  VoxelStart voxel_start;    // none: the library itself finds files that are cut off
  double mm_per_unit = 1;    // of spacing and origin
  bool ras = false;          // the reader's coordinates are RAS, not LPS
  bool orientation = false;  // the format states where left and right are
  const char* note;
};

uint32_t BigEndian32(std::string_view bytes, size_t at) {
  uint32_t value = 0;
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return __builtin_bswap32(value);
}

// The line that names the values ends the header, or the line of their lookup table behind it.
uint64_t VtkVoxelStart(const fs::path& path, std::string_view head) {
  size_t at = 0;
  bool named = false;
  for (int number = 0; at < head.size(); ++number) {
    const size_t end = head.find('\n', at);
    if (end == head.npos) break;
    const std::string line = Lower(Trim(head.substr(at, end - at)));
    const auto begins = [&](std::string_view word) {
      return line.compare(0, word.size(), word) == 0;
    };
    if (named) return begins("lookup_table") ? end + 1 : at;
    if (number == 2 && begins("ascii")) {
      Refuse(path,
             "its voxels are text; ITK reads a text that is cut off as if it were whole, so "
             "save it as binary");
    }
    if (begins("dataset") && line.find("structured_points") == line.npos) {
      Refuse(path,
             "it holds no image on a regular grid (STRUCTURED_POINTS) but another kind of data");
    }
    if (begins("vectors") || begins("color_scalars") || begins("tensors")) return end + 1;
    named = begins("scalars");
    at = end + 1;
  }
  Refuse(path, "its header does not say which values it holds; it is cut off or damaged");
}

uint64_t GiplVoxelStart(const fs::path&, std::string_view) { return 256; }

uint64_t MrcVoxelStart(const fs::path& path, std::string_view head) {
  if (head.size() < 1024) Refuse(path, "its header is cut off; copy it again");
  uint32_t extended = 0;
  std::memcpy(&extended, head.data() + 92, sizeof extended);
  const bool big = head.substr(212, 1) == "\x11";
  return 1024 + uint64_t{big ? __builtin_bswap32(extended) : extended};
}

bool EndsIn(const fs::path& path, std::string_view ending) {
  const std::string name = Lower(path.filename().string());
  return name.size() > ending.size() &&
         name.compare(name.size() - ending.size(), ending.size(), ending) == 0;
}

const std::array<Kind, 4>& Kinds() {
  static const std::array<Kind, 4> kinds = {{
      {"legacy VTK",
       "itk-vtk",
       {".vtk"},
       [](const fs::path&, std::string_view head) {
         return head.substr(0, 22) == "# vtk DataFile Version";
       },
       VtkVoxelStart,
       1,
       false,
       false,
       "legacy VTK files state no orientation and no unit; mm and axes to the left, back and top "
       "are "
       "assumed, so left and right may be swapped"},
      {"GIPL",
       "itk-gipl",
       {".gipl", ".gipl.gz"},
       [](const fs::path& path, std::string_view head) {
         if (head.size() < 256) return false;
         const uint32_t magic = BigEndian32(head, 252);
         return (magic == 0xefffe9b0 || magic == 0x2ae389b8) &&
                (EndsIn(path, ".gipl") || EndsIn(path, ".gipl.gz"));
       },
       GiplVoxelStart,
       1,
       false,
       false,
       "GIPL files state no orientation; axes to the left, back and top are assumed, so left and "
       "right may be swapped"},
      {"MRC",
       "itk-mrc",
       {".mrc", ".rec"},
       [](const fs::path&, std::string_view head) {
         return head.size() >= 212 && head.substr(208, 3) == "MAP";
       },
       MrcVoxelStart,
       1e-7,
       false,
       false,
       "MRC files are in angstrom and state no orientation; lengths are converted to mm, and axes "
       "to "
       "the left, back and top are assumed"},
      {"MINC 2",
       "itk-minc",
       {".mnc"},
       [](const fs::path& path, std::string_view head) {
         return head.substr(0, 8) == std::string_view("\x89HDF\r\n\x1a\n", 8) &&
                EndsIn(path, ".mnc");
       },
       nullptr,
       1,
       true,
       true,
       ""},
  }};
  return kinds;
}

class ItkFormat final : public Format {
 public:
  explicit ItkFormat(const Kind& kind) : kind_(kind) {}
  const char* Name() const override { return kind_.name; }
  std::vector<std::string> Extensions() const override { return kind_.extensions; }
  bool Recognises(const fs::path& path, std::string_view head) const override {
    return kind_.recognises(path, head);
  }
  Volume Read(const fs::path& path) const override { return ReadPart(path, true); }
  Volume ReadInformation(const fs::path& path) const override { return ReadPart(path, false); }

 private:
  Volume ReadPart(const fs::path& path, bool voxels) const {
    // The header first, so that its claim can be compared with the file before memory is taken.
    Volume volume = Header(RunReader({kind_.reader, path, "", false, true}), path);
    const int64_t bytes = CheckedBytes(volume, path);
    CheckLength(path, static_cast<uint64_t>(bytes));
    if (!voxels) return volume;
    CheckMemory(2 * static_cast<uint64_t>(bytes), path.string());
    ReaderAnswer answer = RunReader({kind_.reader, path, "", true, true});
    const Volume again = Header(std::move(answer), path, &volume.data);
    if (again.geometry.size != volume.geometry.size || again.type != volume.type ||
        volume.data.size() != static_cast<size_t>(bytes)) {
      Refuse(path, "it was changed while it was read; try again");
    }
    NoteNonFinite(volume);
    return volume;
  }

  static int64_t CheckedBytes(const Volume& volume, const fs::path& path) {
    const auto& size = volume.geometry.size;
    return static_cast<int64_t>(
        CheckedByteCount({size[0], size[1], size[2], volume.frames, volume.components},
                         SizeOf(volume.type), path.string()));
  }

  void CheckLength(const fs::path& path, uint64_t bytes) const {
    if (!kind_.voxel_start) return;
    ByteSource source(path);
    std::vector<std::byte> head;
    source.Append(head, 4096);
    const uint64_t start = kind_.voxel_start(
        path, std::string_view(reinterpret_cast<const char*>(head.data()), head.size()));
    if (source.capacity() < start || source.capacity() - start < bytes) {
      ThrowTooShort(path.string(), source.capacity(), start + bytes, source.compressed());
    }
    if (!source.compressed()) return;
    // Unpacked once to see its true length and its checksum; ITK looks at neither.
    std::array<std::byte, 65536> block;
    while (source.Read(block.data(), block.size()) > 0) {
    }
    if (source.position() < start + bytes) {
      ThrowTooShort(path.string(), source.position(), start + bytes);
    }
  }

  Volume Header(ReaderAnswer answer, const fs::path& path,
                std::vector<std::byte>* voxels = nullptr) const {
    Volume volume;
    const int64_t dimension = answer.Number();
    std::array<std::array<double, 3>, 3> axes = {{{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}};
    std::array<double, 3> origin{};
    std::array<int64_t, 3> size{1, 1, 1};
    for (int64_t axis = 0; axis < dimension; ++axis) {
      const int64_t extent = answer.Number();
      const double spacing = answer.Real();
      const double start = answer.Real();
      std::vector<double> direction;
      for (int64_t row = 0; row < dimension; ++row) direction.push_back(answer.Real());
      if (axis > 2) {
        volume.frames = extent;
        continue;
      }
      size[axis] = extent;
      origin[axis] = start * kind_.mm_per_unit;
      for (int64_t row = 0; row < std::min<int64_t>(dimension, 3); ++row) {
        axes[axis][row] = direction[row] * spacing * kind_.mm_per_unit;
      }
    }
    if (kind_.ras) {
      for (int row = 0; row < 2; ++row) {
        origin[row] = -origin[row];
        for (auto& axis : axes) axis[row] = -axis[row];
      }
    }
    volume.geometry = GeometryFromAxes(size, axes, origin, path.string(), &volume.notes);
    volume.assumed.orientation = !kind_.orientation;
    volume.type = static_cast<VoxelType>(answer.Number());
    volume.components = static_cast<int>(answer.Number());
    answer.Number();  // bytes
    if (kind_.note[0]) volume.notes.emplace_back(kind_.note);
    auto shown = std::make_shared<FieldsHeader>(kind_.name);
    volume.source = shown;
    if (voxels) *voxels = answer.TakeVoxels();
    return volume;
  }

  const Kind& kind_;
};

}  // namespace

const Format& VtkFormat() {
  static const ItkFormat format(Kinds()[0]);
  return format;
}
const Format& GiplFormat() {
  static const ItkFormat format(Kinds()[1]);
  return format;
}
const Format& MrcFormat() {
  static const ItkFormat format(Kinds()[2]);
  return format;
}
const Format& MincFormat() {
  static const ItkFormat format(Kinds()[3]);
  return format;
}

}  // namespace avocet::io
