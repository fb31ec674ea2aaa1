// SPDX-License-Identifier: Apache-2.0
// Readers of one file format; CMakeLists.txt names the format and the file's name.
#include <algorithm>
#include <cstring>

#include "io/format_list.h"
#include "io/volume_io.h"
#include "tests/fuzz/fuzz_target.h"

using namespace avocet;

namespace {

void ReadAndUse(const io::Format& format, const std::filesystem::path& path, size_t size) {
  fuzz::Attempt([&] {
    const io::Volume volume = format.Read(path);
    fuzz::CheckVolume(volume, fuzz::MostBytes(size));
    if (volume.components == 1) volume.ToFloat(volume.frames - 1);
    // What was read can be written, and read again.
    if (!format.CanWrite()) return;
    const auto copy = path.parent_path() / ("copy" + path.extension().string());
    try {
      format.Write(volume, copy);
    } catch (const IoError& error) {  // five values in a voxel are no NIfTI
      fuzz::CheckMessage(error.what(), fuzz::Folder());
      return;
    }
    const io::Volume again = format.Read(copy);
    if (again.geometry.size != volume.geometry.size || again.frames != volume.frames ||
        (volume.scaling.IsIdentity() && again.data != volume.data)) {
      fuzz::Abort("what was written is not what is read again");
    }
  });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const io::Format& format = io::AVOCET_FUZZ_FORMAT();
  // A header and its voxels in two files: NIfTI and ANALYZE without the "+" of a single file.
  if (std::strcmp(AVOCET_FUZZ_FILE, "x.nii") == 0 && size > 348 && bytes[345] != '+' &&
      bytes[5] != '+') {
    const size_t header = data[0] == 0x1c || data[3] == 0x1c ? std::min<size_t>(size, 540) : 348;
    fuzz::WriteInput("x.img", bytes.substr(header));
    ReadAndUse(format, fuzz::WriteInput("x.hdr", bytes.substr(0, header)), size);
    return 0;
  }
  ReadAndUse(format, fuzz::WriteInput(AVOCET_FUZZ_FILE, bytes), size);
  return 0;
}
