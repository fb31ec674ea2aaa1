// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <set>
#include <string>

#include "app/base/progress.h"

namespace avocet::cli {

// Progress on stderr: one line that is rewritten on a terminal, a line every few seconds otherwise.
// Ctrl-C (SIGINT) and SIGTERM make Update return false; a second signal ends the process at once.
class TerminalProgress final : public Progress {
 public:
  explicit TerminalProgress(bool quiet);
  ~TerminalProgress() override;
  bool Update(double fraction, std::string_view text) override;
  void Warn(std::string_view sentence) override;
  void set_quiet(bool quiet) { quiet_ = quiet; }
  // Takes the progress line off the terminal, so that something else can be printed.
  void Clear();

 private:
  bool quiet_;
  bool terminal_;
  bool line_open_ = false;
  std::chrono::steady_clock::time_point start_;
  std::chrono::steady_clock::time_point last_;
  std::set<std::string> warned_;
};

}  // namespace avocet::cli
