// SPDX-License-Identifier: Apache-2.0
#include "io/voxel_writer.h"

#include "app/base/error.h"
#include "io/file_util.h"
#include "io/header_text.h"
#include "io/voxel_data.h"

namespace avocet::io {
namespace fs = std::filesystem;

void WriteWithTextHeader(const Volume& volume, const fs::path& path, const TextHeaderLayout& layout,
                         const TextHeaderMaker& make_header) {
  const size_t bytes = static_cast<size_t>(volume.ValueCount()) * SizeOf(volume.type);
  if (volume.data.size() != bytes) {
    throw IoError("cannot write '" + path.string() + "': the volume holds " +
                  std::to_string(volume.data.size()) + " bytes and its size asks for " +
                  std::to_string(bytes));
  }
  if (!volume.scaling.IsIdentity()) {
    WriteWithTextHeader(WithRealValues(volume), path, layout, make_header);
    return;
  }
  const std::string packed = DeflateBytes(volume.data.data(), bytes, layout.wrapper);
  const std::string extension = Lower(path.extension().string());
  if (extension == layout.attached) {
    AtomicFile file(path);
    file.Write(make_header(volume, "", packed.size()));
    file.Write(packed);
    file.Commit();
    return;
  }
  const std::string data_name = path.stem().string() + layout.data;
  if (data_name.find_first_of("\n\r") != data_name.npos) {
    throw IoError("cannot write '" + path.string() +
                  "': a header cannot name a file with a line break in it; choose another name");
  }
  const fs::path data_path = fs::path(path).replace_filename(data_name);
  AtomicFile header_file(path);
  AtomicFile data_file(data_path);
  header_file.Write(make_header(volume, data_name, packed.size()));
  data_file.Write(packed);
  std::error_code error;
  const bool existed = fs::exists(data_path, error);
  data_file.Commit();
  try {
    header_file.Commit();
  } catch (...) {
    if (!existed) fs::remove(data_path, error);
    throw;
  }
}

}  // namespace avocet::io
