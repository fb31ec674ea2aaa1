// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "app/gui/measurement.h"

namespace avocet::gui {

// Measurements as JSON, without the image they belong to.
std::string MeasurementsJson(const std::vector<Measurement>& measurements);
// Throws IoError when the text is of another kind or damaged.
std::vector<Measurement> MeasurementsFromJson(const std::string& text);

// Measurements on disk between sessions, a file an image. Files are named by a hash of voxels and
// grid, so that an image is known again wherever it lies, and nothing in the folder names a patient
// or a file.
class MeasurementStore {
 public:
  // The folder is made, open to this user only, when something is first kept.
  explicit MeasurementStore(std::filesystem::path folder) : folder_(std::move(folder)) {}

  // Name of an image's file: SHA-256 of its grid, type and voxels, hex.
  static std::string KeyOf(const io::Volume& volume);

  // What is kept of an image; empty when nothing is, or when the file cannot be understood.
  std::vector<Measurement> Load(const std::string& key) const;
  // Replaces it; nothing to keep removes the file. Atomic. Throws IoError.
  void Keep(const std::string& key, const std::vector<Measurement>& measurements) const;

 private:
  std::filesystem::path FileOf(const std::string& key) const { return folder_ / (key + ".json"); }

  std::filesystem::path folder_;
};

}  // namespace avocet::gui
