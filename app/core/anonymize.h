// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "app/base/progress.h"
#include "io/anonymize.h"

namespace avocet::core {

struct AnonymizeOptions {
  std::filesystem::path input;   // a DICOM file, or a folder of them (searched through)
  std::filesystem::path output;  // a file for a file; for a folder a new or empty folder
  std::filesystem::path report;  // JSON; "" = report.json in the output folder, none for a file
};

struct AnonymizeResult {
  io::AnonymizeReport report;
  std::vector<std::filesystem::path> files;
  std::vector<std::string> failures;  // one sentence each
  int skipped = 0;                    // files that are not DICOM
};

// Writes OUT/series-N/NNNN.dcm: names of folders and files may name a patient too. Originals are
// not touched; symbolic links are not followed. A file that cannot be read is reported and left
// out. Throws OptionError, IoError, Cancelled.
AnonymizeResult RunAnonymize(const AnonymizeOptions& options, Progress& progress);

// What was removed, emptied and replaced, without any value, as JSON.
std::string ToJson(const AnonymizeResult& result);

}  // namespace avocet::core
