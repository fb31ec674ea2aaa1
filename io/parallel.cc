// SPDX-License-Identifier: Apache-2.0
#include "io/parallel.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace avocet::io {

int ReadingThreads() {
  return static_cast<int>(std::clamp(std::thread::hardware_concurrency(), 1U, 4U));
}

void ParallelFor(size_t count, int threads, const std::function<void(size_t)>& work,
                 const std::function<void(size_t)>& tick) {
  std::atomic<size_t> next{0}, done{0};
  std::atomic<bool> stop{false};
  std::mutex mutex;
  size_t failed_at = count;
  std::exception_ptr failure;
  const auto step = [&]() -> bool {
    if (stop) return false;
    const size_t i = next++;
    if (i >= count) return false;
    try {
      work(i);
      ++done;
    } catch (...) {
      const std::lock_guard<std::mutex> lock(mutex);
      if (i < failed_at) {
        failed_at = i;
        failure = std::current_exception();
      }
      stop = true;
      return false;
    }
    return true;
  };
  std::vector<std::thread> helpers;
  const size_t wanted = std::min<size_t>(static_cast<size_t>(std::max(threads, 1)), count);
  try {
    for (size_t t = 1; t < wanted; ++t) {
      helpers.emplace_back([&] {
        while (step()) {
        }
      });
    }
  } catch (const std::system_error&) {
    // The system gives no more threads: those that run do the work.
  }
  std::exception_ptr stopped;
  while (step()) {
    try {
      tick(done);
    } catch (...) {
      stopped = std::current_exception();
      stop = true;
    }
  }
  for (std::thread& helper : helpers) helper.join();
  if (stopped) std::rethrow_exception(stopped);
  if (failure) std::rethrow_exception(failure);
}

}  // namespace avocet::io
