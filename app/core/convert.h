// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "app/base/progress.h"
#include "io/volume.h"

namespace avocet::core {

struct ConvertOptions {
  std::filesystem::path input;   // an image; FILE#NAME names an array of an .h5 or .npz file
  std::filesystem::path output;  // its extension chooses the format
  // Keeps free text and extensions of a NIfTI header, which may name a patient (NIfTI to NIfTI).
  bool keep_text = false;

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

}  // namespace avocet::core
