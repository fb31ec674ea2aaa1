// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "app/base/progress.h"
#include "io/dicom.h"
#include "io/volume.h"

namespace avocet::core {

// One volume of those that a job is given.
struct JobInput {
  std::filesystem::path path;  // a file; of a DICOM series the folder or file it was found through
  std::string name;            // what its output is called: no folder, no extension
  std::string error;           // "" or why it cannot be read
  // Of DICOM: the series, and the scan that it belongs to.
  std::shared_ptr<const io::DicomTree> tree;
  const io::DicomSeries* series = nullptr;
};

// What `inputs` name, in their order:
//   a file            itself
//   a folder          the volumes directly in it (io::ListVolumes); if it has none, the DICOM
//                     series in it and below
//   a DICOMDIR        the series that it lists
//   DICOM files       named one by one (a wildcard) are looked at together: their series
// `series` chooses among the DICOM series as io::ChooseSeries does. Without it a tree gives all its
// readable series when `all_series`, else the one that it holds (or an error that lists them).
// A DICOM series is called after the file or folder (of a DICOMDIR: its folder) that it is alone
// in, else NAME-series-N, where N is its number in `avocet info` of that folder. With one input
// that cannot be read this throws IoError; with several, that input has its error. Also throws
// Cancelled.
std::vector<JobInput> ExpandInputs(const std::vector<std::filesystem::path>& inputs,
                                   const std::string& series, bool regularise, bool all_series,
                                   Progress& progress);

// The volume. Throws IoError, Cancelled.
io::Volume ReadInput(const JobInput& input, bool regularise, Progress& progress);

// The files it was read from: one, or those of the series.
std::vector<std::filesystem::path> FilesOf(const JobInput& input, const io::Volume& volume);

}  // namespace avocet::core
