// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "app/base/progress.h"
#include "app/core/device.h"
#include "app/core/machine.h"

namespace avocet::core {

struct FoundModel {
  std::filesystem::path path;
  std::string summary;  // "rwkv-unet T, segmentation, 3 labels, MR, sagittal"
  std::string error;    // why it cannot be used, or ""
};

// What `avocet doctor` prints: what this program and machine can do, and why not.
struct DoctorReport {
  std::string version;
  std::filesystem::path program;
  Machine machine;
  std::string engine_error;  // why LibTorch or the engine cannot be loaded, or ""
  DeviceReport device;       // meaningful when engine_error is empty
  std::vector<std::pair<std::string, std::string>>
      libraries;  // name, version or "not in this build"
  std::vector<std::filesystem::path> model_folders;
  std::vector<FoundModel> models;
  std::filesystem::path temporary_folder;
  std::string temporary_error;  // why nothing can be written there, or ""
  int64_t temporary_free_bytes = 0;
};

// Loads the engine to ask it; a failure is part of the report, not an error.
DoctorReport RunDoctor(Progress& progress);

// The report for people, and the same as JSON.
std::string DoctorText(const DoctorReport& report);
std::string DoctorJson(const DoctorReport& report);

}  // namespace avocet::core
