// SPDX-License-Identifier: Apache-2.0
#include "app/gui/job_files.h"

#include "io/format.h"
#include "io/volume_io.h"

namespace avocet::gui {
namespace fs = std::filesystem;

fs::path FileForJob(const fs::path& source, const io::Volume& volume, const fs::path& copy,
                    Progress& progress) {
  std::error_code ignored;
  if (!source.empty() && fs::is_regular_file(source, ignored) &&
      io::FormatByName(source) != nullptr) {
    return source;
  }
  UpdateOrThrow(progress, Progress::kUnknown, "preparing the image");
  io::WriteVolume(volume, copy);
  return copy;
}

}  // namespace avocet::gui
