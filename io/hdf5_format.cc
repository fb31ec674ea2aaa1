// SPDX-License-Identifier: Apache-2.0
// HDF5 files of the research sets (Synapse *.npy.h5, ACDC *.h5; arrays image, label, scribble). The
// HDF5 library does not survive every damaged file: it runs in a process of its own
// (io/child/hdf5_reader.cc).
#include "io/array_volume.h"
#include "io/format_list.h"
#include "io/header_text.h"
#include "io/reader_process.h"

namespace avocet::io {
namespace fs = std::filesystem;
namespace {

class Hdf5 final : public Format {
 public:
  const char* Name() const override { return "HDF5"; }
  std::vector<std::string> Extensions() const override { return {".h5", ".hdf5"}; }
  bool Recognises(const fs::path&, std::string_view head) const override {
    constexpr std::string_view kMagic("\x89HDF\r\n\x1a\n", 8);
    // A user block may stand before it (MATLAB: 512 bytes).
    return head.substr(0, 8) == kMagic || (head.size() >= 520 && head.substr(512, 8) == kMagic);
  }
  Volume Read(const fs::path& path) const override { return ReadPart(path, true); }
  Volume ReadInformation(const fs::path& path) const override { return ReadPart(path, false); }

 private:
  static Volume ReadPart(const fs::path& path, bool voxels) {
    const MemberPath where = SplitMember(path);
    const std::string name = where.file.string();
    ReaderAnswer answer = RunReader({"hdf5", where.file, where.member, voxels});
    ArrayInfo info;
    info.name = answer.Text();
    info.type = static_cast<VoxelType>(answer.Number());
    auto shown = std::make_shared<FieldsHeader>("HDF5", answer.Number() != 0);
    const int64_t rank = answer.Number();
    std::string shape;
    for (int64_t i = 0; i < rank; ++i) {
      info.shape.push_back(answer.Number());
      shape += (i > 0 ? " " : "") + std::to_string(info.shape.back());
    }
    shown->Add("array", info.name);
    shown->Add("shape", shape);
    std::vector<std::string> notes;
    for (int64_t i = answer.Number(); i > 0; --i) notes.push_back(answer.Text());
    Volume volume = VolumeFromArray(info, answer.TakeVoxels(), name, std::move(notes), voxels);
    volume.source = shown;
    return volume;
  }
};

}  // namespace

const Format& Hdf5Format() {
  static const Hdf5 format;
  return format;
}

}  // namespace avocet::io
