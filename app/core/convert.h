// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "app/base/progress.h"
#include "app/core/output_plan.h"
#include "io/volume.h"

namespace avocet::core {

// One image.
struct ConvertOptions {
  std::filesystem::path input;   // an image; FILE#NAME names an array of an .h5 or .npz file
  std::filesystem::path output;  // its extension chooses the format
  // Keeps free text and extensions of a NIfTI header, which may name a patient (NIfTI to NIfTI).
  bool keep_text = false;
  // Of a DICOM input (a file, folder or DICOMDIR), as in io::ReadOptions.
  std::string series;
  bool regularise = false;

  // What is wrong with the options; "" when nothing is.
  std::string Check() const;
};

struct ConvertResult {
  std::string input_format;   // "NRRD"
  std::string output_format;  // "NIfTI"
  io::Geometry geometry;
  std::string orientation;  // "LPS"
  io::VoxelType type = io::VoxelType::kFloat32;
  int components = 1;
  int64_t frames = 1;
  std::vector<std::string> notes;  // what was odd about the input
};

// Reads one image and writes it in another format: voxels and geometry exactly, values unscaled
// where the new format knows a scaling and as real values where it does not. Header text is left
// behind unless asked for. Throws IoError, OptionError, Cancelled; nothing half-written is left.
ConvertResult Convert(const ConvertOptions& options, Progress& progress);

// Many inputs into a folder.
struct ConvertBatchOptions {
  std::vector<std::filesystem::path> inputs;  // files and folders, DICOM too: see ExpandInputs
  std::filesystem::path output;               // a folder; made when missing
  std::string format = "nii.gz";              // ending of what is written, without the dot
  bool keep_text = false;
  std::string series;  // without it every DICOM series of a folder is converted
  bool regularise = false;

  std::string Check() const;
  OutputNames Names() const;
};

struct ConvertCase {
  std::filesystem::path input, output;
  std::string error;  // "" on success
  ConvertResult result;
};

struct ConvertBatchResult {
  std::vector<ConvertCase> cases;
  int failed = 0;
};

// Converts each input as Convert does; one that cannot be read does not stop the rest. Throws
// OptionError (two inputs that would get one name), IoError (the folder cannot be made, a single
// input without images), Cancelled.
ConvertBatchResult ConvertToFolder(const ConvertBatchOptions& options, Progress& progress);

}  // namespace avocet::core
