// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "app/base/error.h"

namespace avocet {

// Receives the progress of long work. Jobs poll it between slices, patches and batches; they never
// print themselves. Called from the job's own thread only.
class Progress {
 public:
  static constexpr double kUnknown = -1.0;

  virtual ~Progress() = default;

  // `fraction` is in [0, 1] or kUnknown; `text` says what is being done. Returns false when the
  // user has cancelled: the job then undoes half-written files and throws Cancelled.
  virtual bool Update(double fraction, std::string_view text) = 0;

  // A sentence the user should read (an odd header, a skipped file). Each is reported once.
  virtual void Warn(std::string_view sentence) = 0;
};

// Ignores everything and never cancels.
class SilentProgress final : public Progress {
 public:
  bool Update(double, std::string_view) override { return true; }
  void Warn(std::string_view) override {}
};

// A job within a job: its progress from 0 to 1 is that of the whole from `begin` to `end`.
class PartOf final : public Progress {
 public:
  PartOf(Progress& whole, double begin, double end) : whole_(whole), begin_(begin), end_(end) {}
  bool Update(double fraction, std::string_view text) override {
    return whole_.Update(fraction < 0 ? begin_ : begin_ + (end_ - begin_) * fraction, text);
  }
  void Warn(std::string_view sentence) override { whole_.Warn(sentence); }

 private:
  Progress& whole_;
  double begin_, end_;
};

// Update, and throw Cancelled when it returns false.
inline void UpdateOrThrow(Progress& progress, double fraction, std::string_view text) {
  if (!progress.Update(fraction, text)) throw Cancelled();
}

}  // namespace avocet
