// SPDX-License-Identifier: Apache-2.0
#include "app/gui/job_files.h"

#include "io/array_volume.h"
#include "io/format.h"
#include "io/volume_io.h"

namespace avocet::gui {
namespace fs = std::filesystem;

core::ManifestDoubts DoubtsOf(const Companions& companions) {
  for (const auto& [ending, content] : companions) {
    if (ending == ".manifest.json") return core::DoubtsOf(content);
  }
  return {};
}

fs::path FileForJob(const fs::path& source, const io::Volume& volume, const fs::path& copy,
                    Progress& progress) {
  std::error_code ignored;
  const fs::path file = io::SplitMember(source).file;  // one array of several: FILE#NAME
  // The file of a resampled image holds its slices as they were.
  if (!source.empty() && !volume.resampled && fs::is_regular_file(file, ignored) &&
      io::FormatByName(file) != nullptr) {
    return source;
  }
  UpdateOrThrow(progress, Progress::kUnknown, "preparing the image");
  io::WriteVolume(volume, copy);
  return copy;
}

}  // namespace avocet::gui
