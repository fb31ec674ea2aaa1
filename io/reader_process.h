// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace avocet::io {

// Files of formats whose library does not survive every damaged file are read by a program of their
// own, avocet-reader: a fresh process (posix_spawn), limited in time and memory, whose answer comes
// through shared memory.

struct ReaderRequest {
  std::string kind;  // "hdf5", "itk-vtk", "itk-gipl", "itk-mrc", "itk-minc"
  std::filesystem::path path;
  std::string member;  // an array of the file; "" = the reader chooses
  bool voxels = true;  // false: only what the header tells
  // The library reports damage on the error output alone: any text there is a refusal.
  bool errors_count = false;
};

// What the program answered: numbers, reals and texts in the order of its documentation
// (io/child/child_reader.h), then the voxels. Reading beyond the end throws IoError.
class ReaderAnswer {
 public:
  ReaderAnswer(int memory, std::string name);
  ~ReaderAnswer();
  ReaderAnswer(ReaderAnswer&& other) noexcept;
  ReaderAnswer(const ReaderAnswer&) = delete;
  ReaderAnswer& operator=(const ReaderAnswer&) = delete;

  int64_t Number();
  double Real();
  std::string Text();
  // All voxels. Throws IoError when memory is short.
  std::vector<std::byte> TakeVoxels();

 private:
  const char* Take(size_t size);

  int memory_;
  std::string name_;
  std::string header_;
  size_t at_ = 0;
};

// Runs the program. Throws IoError: its refusal, a crash, a limit that was passed, or a program
// that is not installed.
ReaderAnswer RunReader(const ReaderRequest& request);

// Where the program is: AVOCET_READER in the environment, else beside the running program, in
// ../bin or ../libexec/avocet from there, else where the build put it.
std::filesystem::path ReaderProgram();

}  // namespace avocet::io
