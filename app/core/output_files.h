// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <vector>

namespace avocet::core {

// The files of one result. Unless all of them were written, those that were not there before go
// away.
class OutputSet {
 public:
  OutputSet() = default;
  ~OutputSet();
  OutputSet(const OutputSet&) = delete;
  OutputSet& operator=(const OutputSet&) = delete;
  const std::filesystem::path& Begin(const std::filesystem::path& path);
  void Complete() { complete_ = true; }

 private:
  std::vector<std::filesystem::path> fresh_;
  bool complete_ = false;
};

// Throws OptionError when `output` is one of `inputs`, whatever links and dots lead to it, or a
// DICOM image, which may belong to the series that was read: an original is never written to.
void GuardOriginals(const std::filesystem::path& output,
                    const std::vector<std::filesystem::path>& inputs);

// Throws IoError saying why. Asked before minutes of computing, not after.
void CheckFolderWritable(const std::filesystem::path& folder);
void MakeWritableFolder(const std::filesystem::path& folder);

}  // namespace avocet::core
