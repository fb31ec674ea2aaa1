// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>

#include "app/base/progress.h"
#include "app/core/manifest.h"
#include "app/gui/layers.h"
#include "io/volume.h"

namespace avocet::gui {

// A folder for the files that go into and come out of a job; it goes with the job. Jobs run through
// files so that they are the ones of the command line.
class WorkFolder {
 public:
  explicit WorkFolder(const std::filesystem::path& folder) : folder_(folder) {
    std::error_code ignored;  // what is written into it says why it cannot be
    std::filesystem::create_directories(folder_, ignored);
  }
  ~WorkFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }
  WorkFolder(const WorkFolder&) = delete;
  WorkFolder& operator=(const WorkFolder&) = delete;

  std::filesystem::path File(const char* name) const { return folder_ / name; }

 private:
  std::filesystem::path folder_;
};

// What the manifest among a layer's companions says against the result.
core::ManifestDoubts DoubtsOf(const Companions& companions);

// The file that a job reads for an image: `source`, the image's own, when it is a file that says
// all of it, else a copy written to `copy` (of a DICOM series, of a result that is not saved).
// Throws IoError, Cancelled.
std::filesystem::path FileForJob(const std::filesystem::path& source, const io::Volume& volume,
                                 const std::filesystem::path& copy, Progress& progress);

}  // namespace avocet::gui
