// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace avocet::models {

// Makes the batches of one epoch ahead of time on a thread of its own. Batches come out in order.
// Dataset has Batch, EpochOrder, steps_per_epoch and MakeBatch (see SliceDataset).
template <typename Dataset>
class BatchQueue {
 public:
  using Batch = typename Dataset::Batch;

  BatchQueue(const Dataset& dataset, int64_t epoch, int64_t first_step)
      : dataset_(dataset), thread_([this, epoch, first_step] { Produce(epoch, first_step); }) {}
  ~BatchQueue() {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      stop_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }
  BatchQueue(const BatchQueue&) = delete;
  BatchQueue& operator=(const BatchQueue&) = delete;

  // The next batch; rethrows what failed on the other thread.
  Batch Next() {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [this] { return failure_ || !ready_.empty(); });
    if (ready_.empty()) std::rethrow_exception(failure_);
    Batch batch = std::move(ready_.front());
    ready_.pop_front();
    changed_.notify_all();
    return batch;
  }

 private:
  static constexpr size_t kDepth = 3;

  void Produce(int64_t epoch, int64_t first_step) {
    try {
      const std::vector<int64_t> order = dataset_.EpochOrder(epoch);
      for (int64_t step = first_step; step < dataset_.steps_per_epoch(); ++step) {
        Batch batch = dataset_.MakeBatch(epoch, step, order);
        std::unique_lock<std::mutex> lock(mutex_);
        changed_.wait(lock, [this] { return stop_ || ready_.size() < kDepth; });
        if (stop_) return;
        ready_.push_back(std::move(batch));
        changed_.notify_all();
      }
    } catch (...) {
      const std::lock_guard<std::mutex> lock(mutex_);
      failure_ = std::current_exception();
      changed_.notify_all();
    }
  }

  const Dataset& dataset_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Batch> ready_;
  std::exception_ptr failure_;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace avocet::models
