// SPDX-License-Identifier: Apache-2.0
#include "app/gui/task_runner.h"

#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <exception>
#include <future>
#include <mutex>
#include <new>
#include <set>
#include <thread>
#include <utility>

namespace avocet::gui {

void YieldToWindow() {
  // Of this thread alone; those that it starts (LibTorch's, OpenGL's) take it over.
  setpriority(PRIO_PROCESS, static_cast<id_t>(syscall(SYS_gettid)), 5);
}

using Clock = std::chrono::steady_clock;

// Starts the tasks' threads. Making a thread waits while another one loads a library, and LibTorch
// takes its time: the window must not wait with it.
class TaskRunner::Launcher {
 public:
  Launcher() : thread_([this] { Run(); }) {}
  ~Launcher() {
    Do({});
    thread_.join();
  }
  // An empty function ends the thread.
  void Do(std::function<void()> work) {
    {
      const std::lock_guard lock(mutex_);
      queue_.push_back(std::move(work));
    }
    wake_.notify_one();
  }

 private:
  void Run() {
    for (;;) {
      std::function<void()> work;
      {
        std::unique_lock lock(mutex_);
        wake_.wait(lock, [this] { return !queue_.empty(); });
        work = std::move(queue_.front());
        queue_.pop_front();
      }
      if (!work) return;
      work();
    }
  }

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> queue_;
  std::thread thread_;  // last: it uses the others
};

class TaskRunner::Task final : public Progress {
 public:
  Task(int id, const std::string& name, bool quiet) : start_(Clock::now()) {
    state_.id = id;
    state_.name = name;
    state_.quiet = quiet;
  }
  ~Task() override {
    started_.get_future().wait();
    thread_.join();
  }

  void Run(TaskRunner& runner, Work work, Done done) {
    done_ = std::move(done);
    runner.launcher_->Do([this, &runner, work = std::move(work)] { Launch(runner, work); });
  }

  // In the launcher's thread.
  void Launch(TaskRunner& runner, const Work& work) {
    thread_ = std::thread([this, &runner, work] {
      Outcome outcome;
      YieldToWindow();
      try {
        work(*this);
      } catch (const Cancelled&) {
        outcome.cancelled = true;
      } catch (const Error& error) {
        outcome.error = error.what();
      } catch (const std::bad_alloc&) {
        outcome.error = "not enough memory for this; close other programs or layers";
      } catch (const std::exception& error) {
        outcome.error = std::string("internal error: ") + error.what();
      }
      outcome.cancelled = outcome.cancelled || (cancel_ && !outcome.error.empty());
      outcome.seconds = std::chrono::duration<double>(Clock::now() - start_).count();
      {
        const std::lock_guard lock(mutex_);
        outcome.warnings = warnings_;
      }
      runner.Post(state_.id, outcome);
    });
    started_.set_value();
  }

  // In the window's thread; null after the first call.
  Done TakeDone() { return std::exchange(done_, {}); }

  void Cancel() {
    cancel_ = true;
    const std::lock_guard lock(mutex_);
    state_.cancelled = true;
  }

  TaskState State() const {
    const std::lock_guard lock(mutex_);
    TaskState state = state_;
    const double elapsed = std::chrono::duration<double>(Clock::now() - start_).count();
    if (state.fraction > 0.02 && elapsed > 0.5) {
      state.seconds_left = elapsed * (1 - state.fraction) / state.fraction;
    }
    return state;
  }

  bool Update(double fraction, std::string_view text) override {
    const std::lock_guard lock(mutex_);
    state_.fraction = fraction;
    state_.text = text;
    return !cancel_;
  }

  void Warn(std::string_view sentence) override {
    const std::lock_guard lock(mutex_);
    if (warned_.insert(std::string(sentence)).second) warnings_.emplace_back(sentence);
  }

 private:
  const Clock::time_point start_;
  mutable std::mutex mutex_;
  TaskState state_;
  std::vector<std::string> warnings_;
  std::set<std::string> warned_;
  Done done_;  // of the window's thread
  std::atomic<bool> cancel_{false};
  std::thread thread_;
  std::promise<void> started_;
};

TaskRunner::TaskRunner() : launcher_(std::make_unique<Launcher>()) {
  timer_.setInterval(100);
  QObject::connect(&timer_, &QTimer::timeout, &receiver_, [this] {
    if (on_change) on_change();
  });
}

TaskRunner::~TaskRunner() { Stop(); }

void TaskRunner::Stop() {
  CancelAll();
  timer_.stop();
  tasks_.clear();  // joins
}

int TaskRunner::Start(const std::string& name, Work work, Done done, bool quiet) {
  const int id = next_id_++;
  auto& task = tasks_[id] = std::make_unique<Task>(id, name, quiet);
  timer_.start();
  task->Run(*this, std::move(work), std::move(done));
  if (on_change) on_change();
  return id;
}

void TaskRunner::Post(int id, const Outcome& outcome) {
  QMetaObject::invokeMethod(
      &receiver_, [this, id, outcome] { Finish(id, outcome); }, Qt::QueuedConnection);
}

void TaskRunner::Finish(int id, const Outcome& outcome) {
  const auto found = tasks_.find(id);
  if (found == tasks_.end()) return;
  const Done done = found->second->TakeDone();
  tasks_.erase(found);
  if (tasks_.empty()) timer_.stop();
  if (done) done(outcome);
  if (on_change) on_change();
}

bool TaskRunner::IsRunning(int id) const {
  const auto found = tasks_.find(id);
  return found != tasks_.end() && !found->second->State().cancelled;
}

void TaskRunner::Cancel(int id) {
  const auto found = tasks_.find(id);
  if (found == tasks_.end()) return;
  found->second->Cancel();
  Outcome outcome;
  outcome.cancelled = true;
  if (const Done done = found->second->TakeDone()) done(outcome);
  if (on_change) on_change();
}

void TaskRunner::CancelAll() {
  for (auto& [id, task] : tasks_) task->Cancel();
}

std::vector<TaskState> TaskRunner::Running() const {
  std::vector<TaskState> states;
  for (const auto& [id, task] : tasks_) states.push_back(task->State());
  return states;
}

}  // namespace avocet::gui
