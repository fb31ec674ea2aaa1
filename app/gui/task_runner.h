// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <QObject>
#include <QTimer>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "app/base/progress.h"

namespace avocet::gui {

struct TaskState {
  int id = 0;
  std::string name;      // "Segment hippocampus_007.nii.gz"
  double fraction = -1;  // Progress::kUnknown when not known
  std::string text;
  double seconds_left = -1;  // < 0: not known
  bool cancelled = false;    // over for the user, its thread not quite
  bool quiet = false;        // not worth a line in the status bar
};

// Lowers the priority of the calling thread, so that the window comes first on a busy machine; an
// idle one computes as fast as before.
void YieldToWindow();

// Runs long work in threads, each task in one of its own, and brings its end back to the window's
// thread. Lives in the window's thread.
class TaskRunner {
 public:
  // In the task's thread. May throw; Cancelled counts as an end by the user's wish.
  using Work = std::function<void(Progress& progress)>;
  // In the window's thread. `error` is "" on success, one sentence otherwise; `warnings` are what
  // the user should read. Not called after ~TaskRunner.
  struct Outcome {
    std::string error;
    bool cancelled = false;
    std::vector<std::string> warnings;
    double seconds = 0;
  };
  using Done = std::function<void(const Outcome& outcome)>;

  TaskRunner();
  ~TaskRunner();  // stops
  TaskRunner(const TaskRunner&) = delete;
  TaskRunner& operator=(const TaskRunner&) = delete;

  int Start(const std::string& name, Work work, Done done, bool quiet = false);
  // The task is over for the user at once: `done` is told so, and whatever the thread still brings
  // is thrown away. The thread itself ends where its work next looks at the wish.
  void Cancel(int id);
  void CancelAll();
  // Cancels all and waits until their threads have ended; nobody is told.
  void Stop();
  bool IsRunning(int id) const;
  std::vector<TaskState> Running() const;

  // Called about ten times a second while something runs, and after each end.
  std::function<void()> on_change;

 private:
  class Launcher;
  class Task;
  void Finish(int id, const Outcome& outcome);
  void Post(int id, const Outcome& outcome);

  QObject receiver_;  // of ends, in the window's thread
  QTimer timer_;
  int next_id_ = 1;
  std::unique_ptr<Launcher> launcher_;  // outlives the tasks
  std::map<int, std::unique_ptr<Task>> tasks_;
};

}  // namespace avocet::gui
