// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdexcept>
#include <string>

namespace avocet {

// What the process returns to the shell. Documented in README.md and `avocet --help`.
enum class ExitCode : int {
  kOk = 0,
  kInternal = 1,     // a defect of ours
  kOption = 2,       // a wrong option or argument
  kIo = 3,           // a file that cannot be read or written
  kModel = 4,        // a model file that does not fit
  kDevice = 5,       // a device that is asked for and missing
  kSomeFailed = 6,   // a batch in which some items failed
  kCancelled = 130,  // Ctrl-C
};

// Base of all errors that a user can cause or mend. The message is one sentence that names the file
// or option, the offending value, and what to do. Control characters in it become '?': messages
// quote names and values of damaged files, which must not steer a terminal or forge a line of a
// log.
class Error : public std::runtime_error {
 public:
  Error(const std::string& message, ExitCode exit_code)
      : std::runtime_error(Printable(message)), exit_code_(exit_code) {}
  ExitCode exit_code() const { return exit_code_; }

 private:
  static std::string Printable(std::string message) {
    for (char& c : message) {
      if (static_cast<unsigned char>(c) < 32 || c == 127) c = '?';
    }
    return message;
  }

  ExitCode exit_code_;
};

class IoError : public Error {
 public:
  explicit IoError(const std::string& message) : Error(message, ExitCode::kIo) {}
};

// A series whose slices are tilted, missing or uneven, and which can be read resampled onto an even
// grid. The message names the command line's option for that; `fault` does not.
class UnevenSeriesError : public IoError {
 public:
  UnevenSeriesError(const std::string& fault, const std::string& message)
      : IoError(message), fault_(fault) {}
  // What is wrong with the slices: a part of a sentence.
  const std::string& fault() const { return fault_; }

 private:
  std::string fault_;
};

class ModelError : public Error {
 public:
  explicit ModelError(const std::string& message) : Error(message, ExitCode::kModel) {}
};

class DeviceError : public Error {
 public:
  explicit DeviceError(const std::string& message) : Error(message, ExitCode::kDevice) {}
};

class OptionError : public Error {
 public:
  explicit OptionError(const std::string& message) : Error(message, ExitCode::kOption) {}
};

// Thrown by long work when Progress::Update returned false.
class Cancelled : public Error {
 public:
  Cancelled() : Error("cancelled", ExitCode::kCancelled) {}
};

}  // namespace avocet
