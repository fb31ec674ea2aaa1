// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "app/base/progress.h"
#include "io/frame_of_reference.h"

namespace avocet::core {

// A mask into what others read. The kind follows the extension of `output`:
//   .dcm              DICOM SEG, or RTSTRUCT with `rtstruct`; needs `source_series`
//   .stl .obj .ply    surfaces in LPS mm
//   a volume's        the mask in that format (.nii.gz, ...)
// `mask` may itself be a DICOM SEG or an RTSTRUCT (which needs `source_series` for its grid);
// segments that overlap go to OUT, OUT_2, ... so that none is lost.
struct ExportOptions {
  std::filesystem::path mask;
  std::filesystem::path output;
  std::filesystem::path source_series;  // folder, file or DICOMDIR of the images; "" when none
  std::string
      series;  // which of the series there, as in io::ChooseSeries; "" = what the mask names
  std::filesystem::path labels;  // JSON with label names; "" when none
  std::vector<int> values;       // only these label values; empty: all
  bool rtstruct = false;
  bool omit_empty_frames = false;
  bool keep_patient = false;                 // of DICOM: SegWriteOptions::keep_patient
  std::string algorithm_type = "AUTOMATIC";  // AUTOMATIC, SEMIAUTOMATIC or MANUAL
  std::string algorithm_name = "Avocet";
  std::string description = "Avocet segmentation";  // series description
  int smoothing = 10;                               // rounds, surfaces only
  // Of a mask in a file that cannot say it: the space that its positions belong to.
  io::SpaceIdentity space;
  // Lay a DICOM mask on images of another frame of reference all the same. What is written is
  // marked: the series description of DICOM, and a manifest beside each file.
  bool force = false;

  // What is wrong with the options, "" when nothing is.
  std::string Check() const;
};

struct ExportResult {
  std::vector<std::filesystem::path> files;
  std::string summary;             // one line: what was written
  std::vector<std::string> notes;  // what the user should know
  bool forced = false;             // ExportOptions::force was needed
};

// Throws OptionError, IoError (OtherSpaceError: see MaskFile), Cancelled.
ExportResult RunExport(const ExportOptions& options, Progress& progress);

}  // namespace avocet::core
