// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace avocet::io {

// Where a child process puts its answer; numbers in host byte order.
class PipeWriter {
 public:
  explicit PipeWriter(int fd) : fd_(fd) {}
  void Bytes(const void* bytes, size_t size);
  void Number(int64_t value) { Bytes(&value, sizeof value); }
  void Text(const std::string& text);

 private:
  int fd_;
};

// Reads what PipeWriter wrote; throws IoError when it ends early.
class AnswerReader {
 public:
  AnswerReader(std::vector<std::byte> answer, std::string name)
      : answer_(std::move(answer)), name_(std::move(name)) {}
  int64_t Number();
  std::string Text();
  std::vector<std::byte> Rest();

 private:
  const std::byte* Take(size_t size);
  std::vector<std::byte> answer_;
  size_t at_ = 0;
  std::string name_;
};

// For `work` of RunIsolated: from now on it may compute for `seconds` and take `bytes` more of
// memory. A damaged file can send a library round in circles, or have it ask for anything.
void LimitWork(double seconds, uint64_t bytes);

// Runs `work` in a child process and returns what it wrote: a library that does not survive damaged
// files (HDF5 1.10) cannot take the study down with it. An avocet::IoError of `work` is thrown
// here; a crash, a limit passed, or a minute without a byte, is an IoError naming `name`.
AnswerReader RunIsolated(const std::string& name, const std::function<void(PipeWriter&)>& work);

}  // namespace avocet::io
