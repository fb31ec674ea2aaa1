// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace avocet::io {

// Writes a file so that a crash, a full disk or Ctrl-C never leaves a partial one under the target
// name: everything goes to a temporary file in the same folder, Commit() flushes it to disk and
// renames it over the target. Without Commit the destructor removes the temporary file.
// Throws IoError naming the target and the system's reason.
class AtomicFile {
 public:
  explicit AtomicFile(std::filesystem::path target);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void Write(const void* bytes, size_t size);
  void Write(std::string_view text) { Write(text.data(), text.size()); }
  // Name of the temporary file, for libraries that write files themselves.
  const std::filesystem::path& temporary_path() const { return temporary_; }
  void Commit();

 private:
  std::filesystem::path target_;
  std::filesystem::path temporary_;
  int fd_ = -1;
};

void WriteFileAtomically(const std::filesystem::path& path, std::string_view content);

// Whole file as bytes; refuses files over `max_bytes`. Throws IoError.
std::string ReadTextFile(const std::filesystem::path& path, size_t max_bytes = size_t{64} << 20);

// Lower-case hex SHA-256 of a file (FIPS 180-4), read in blocks. Throws IoError.
std::string Sha256OfFile(const std::filesystem::path& path);
// The same of several files as if they were one, in this order.
std::string Sha256OfFiles(const std::vector<std::filesystem::path>& paths);
std::string Sha256OfBytes(std::string_view bytes);

}  // namespace avocet::io
