// SPDX-License-Identifier: Apache-2.0
#include "app/gui/task_runner.h"

#include <atomic>
#include <chrono>
#include <exception>
#include <mutex>
#include <new>
#include <set>
#include <thread>

namespace avocet::gui {

using Clock = std::chrono::steady_clock;

class TaskRunner::Task final : public Progress {
 public:
  Task(int id, const std::string& name, bool quiet) : start_(Clock::now()) {
    state_.id = id;
    state_.name = name;
    state_.quiet = quiet;
  }
  ~Task() override {
    if (thread_.joinable()) thread_.join();
  }

  void Run(TaskRunner& runner, Work work, Done done) {
    thread_ = std::thread([this, &runner, work = std::move(work), done = std::move(done)] {
      Outcome outcome;
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
      const int id = state_.id;
      QMetaObject::invokeMethod(
          &runner.receiver_,
          [&runner, id, outcome, done] {
            runner.Finish(id, outcome);
            if (done) done(outcome);
            if (runner.on_change) runner.on_change();
          },
          Qt::QueuedConnection);
    });
  }

  void Cancel() {
    cancel_ = true;
    const std::lock_guard lock(mutex_);
    state_.cancelling = true;
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
  std::atomic<bool> cancel_{false};
  std::thread thread_;
};

TaskRunner::TaskRunner() {
  timer_.setInterval(100);
  QObject::connect(&timer_, &QTimer::timeout, &receiver_, [this] {
    if (on_change) on_change();
  });
}

TaskRunner::~TaskRunner() {
  CancelAll();
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

void TaskRunner::Finish(int id, const Outcome&) {
  tasks_.erase(id);
  if (tasks_.empty()) timer_.stop();
}

void TaskRunner::Cancel(int id) {
  const auto found = tasks_.find(id);
  if (found != tasks_.end()) found->second->Cancel();
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
