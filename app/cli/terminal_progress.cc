// SPDX-License-Identifier: Apache-2.0
#include "app/cli/terminal_progress.h"

#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace avocet::cli {
namespace {

volatile sig_atomic_t cancelled = 0;

void OnSignal(int) {
  if (cancelled) _exit(static_cast<int>(ExitCode::kCancelled));
  cancelled = 1;
}

// Columns of the terminal; a longer line would wrap and could not be rewritten.
size_t TerminalWidth() {
  winsize size{};
  if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col < 20) return 80;
  return size.ws_col;
}

std::string Duration(double seconds) {
  char text[32];
  const long s = std::lround(seconds);
  if (s < 60) {
    std::snprintf(text, sizeof text, "%lds", s);
  } else if (s < 3600) {
    std::snprintf(text, sizeof text, "%ldm%02lds", s / 60, s % 60);
  } else {
    std::snprintf(text, sizeof text, "%ldh%02ldm", s / 3600, s % 3600 / 60);
  }
  return text;
}

}  // namespace

TerminalProgress::TerminalProgress(bool quiet)
    : quiet_(quiet),
      terminal_(isatty(STDERR_FILENO)),
      start_(std::chrono::steady_clock::now()),
      last_(terminal_ ? start_ - std::chrono::hours(1) : start_) {
  struct sigaction action = {};
  action.sa_handler = OnSignal;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

TerminalProgress::~TerminalProgress() { Clear(); }

void TerminalProgress::Clear() {
  if (line_open_) std::fputs("\r\033[K", stderr);
  line_open_ = false;
}

bool TerminalProgress::Update(double fraction, std::string_view text) {
  if (cancelled) return false;
  if (quiet_) return true;
  if (fraction >= 1) {  // results are printed next
    Clear();
    return true;
  }
  const auto now = std::chrono::steady_clock::now();
  const auto interval = std::chrono::milliseconds(terminal_ ? 100 : 5000);
  if (now - last_ < interval) return true;
  last_ = now;
  std::string line;
  if (fraction >= 0) {
    char percent[16];
    std::snprintf(percent, sizeof percent, "%3.0f %%  ", fraction * 100);
    line += percent;
  }
  line.append(text);
  const double elapsed = std::chrono::duration<double>(now - start_).count();
  if (fraction > 0.02 && fraction < 1 && elapsed > 2) {
    line += "  (" + Duration(elapsed * (1 - fraction) / fraction) + " left)";
  }
  if (terminal_) {
    line.resize(std::min(line.size(), TerminalWidth() - 1));
    std::fprintf(stderr, "\r\033[K%s", line.c_str());
    std::fflush(stderr);
    line_open_ = true;
  } else {
    std::fprintf(stderr, "%s\n", line.c_str());
  }
  return true;
}

void TerminalProgress::Warn(std::string_view sentence) {
  if (!warned_.insert(std::string(sentence)).second) return;
  Clear();
  std::fprintf(stderr, "avocet: warning: %.*s\n", static_cast<int>(sentence.size()),
               sentence.data());
}

}  // namespace avocet::cli
