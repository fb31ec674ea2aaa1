// SPDX-License-Identifier: Apache-2.0
#include "io/child/answer.h"

#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <new>

// Sanitizers map more than any limit.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define AVOCET_SHADOW_MEMORY
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define AVOCET_SHADOW_MEMORY
#endif
#endif

namespace avocet::io {

void* AnswerWriter::ReserveVoxels(uint64_t bytes) {
  if (ftruncate(kAnswerFd, static_cast<off_t>(kVoxelsAt + bytes)) != 0) throw std::bad_alloc();
  if (bytes == 0) return nullptr;
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, kAnswerFd,
                      static_cast<off_t>(kVoxelsAt));
  if (memory == MAP_FAILED) throw std::bad_alloc();
  return memory;
}

void AnswerWriter::Finish() const {
  std::string all(sizeof(int64_t), '\0');
  const auto size = static_cast<int64_t>(header_.size());
  all.replace(0, sizeof size, reinterpret_cast<const char*>(&size), sizeof size);
  all += header_;
  if (all.size() > kVoxelsAt) throw std::bad_alloc();
  size_t done = 0;
  while (done < all.size()) {
    const ssize_t step =
        pwrite(kAnswerFd, all.data() + done, all.size() - done, static_cast<off_t>(done));
    if (step <= 0) throw std::bad_alloc();
    done += static_cast<size_t>(step);
  }
}

void LimitWork(double seconds, uint64_t bytes) {
  struct itimerval timer = {};
  timer.it_value.tv_sec = static_cast<time_t>(seconds);
  timer.it_value.tv_usec = 1;               // 0 and 0 would be no timer
  setitimer(ITIMER_PROF, &timer, nullptr);  // SIGPROF ends the process
#ifndef AVOCET_SHADOW_MEMORY
  unsigned long long pages = 0;
  if (FILE* file = std::fopen("/proc/self/statm", "r")) {
    if (std::fscanf(file, "%llu", &pages) != 1) pages = 0;
    std::fclose(file);
  }
  struct rlimit memory = {};
  if (pages == 0 || getrlimit(RLIMIT_AS, &memory) != 0) return;
  const uint64_t most = pages * static_cast<uint64_t>(sysconf(_SC_PAGESIZE)) + bytes;
  memory.rlim_cur = std::min<rlim_t>(most, memory.rlim_max);
  setrlimit(RLIMIT_AS, &memory);
#else
  (void)bytes;
#endif
}

}  // namespace avocet::io
