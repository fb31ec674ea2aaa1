// SPDX-License-Identifier: Apache-2.0
#include "io/isolated.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <exception>
#include <new>

#include "app/base/error.h"

// Sanitizers map more than any limit.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define AVOCET_SHADOW_MEMORY
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define AVOCET_SHADOW_MEMORY
#endif
#endif

namespace avocet::io {

void PipeWriter::Bytes(const void* bytes, size_t size) {
  const auto* next = static_cast<const char*>(bytes);
  while (size > 0) {
    const ssize_t done = write(fd_, next, size);
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) _exit(3);  // nobody listens any more
    next += done;
    size -= static_cast<size_t>(done);
  }
}

void PipeWriter::Text(const std::string& text) {
  Number(static_cast<int64_t>(text.size()));
  Bytes(text.data(), text.size());
}

const std::byte* AnswerReader::Take(size_t size) {
  if (size > answer_.size() - at_) {
    throw IoError("cannot read '" + name_ + "': reading it ended early; the file is damaged");
  }
  const std::byte* from = answer_.data() + at_;
  at_ += size;
  return from;
}

int64_t AnswerReader::Number() {
  int64_t value = 0;
  std::memcpy(&value, Take(sizeof value), sizeof value);
  return value;
}

std::string AnswerReader::Text() {
  const auto size = static_cast<size_t>(Number());
  const std::byte* from = Take(size);
  return std::string(reinterpret_cast<const char*>(from), size);
}

std::vector<std::byte> AnswerReader::Rest() {
  answer_.erase(answer_.begin(), answer_.begin() + static_cast<ptrdiff_t>(at_));
  at_ = 0;
  return std::move(answer_);
}

namespace {

constexpr int kPatienceMs = 60000;

[[noreturn]] void RunChild(int fd, const std::function<void(PipeWriter&)>& work) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  const struct rlimit no_core = {0, 0};
  setrlimit(RLIMIT_CORE, &no_core);
  for (const int number : {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL, SIGPROF}) {
    signal(number, SIG_DFL);
  }
  PipeWriter writer(fd);
  try {
    writer.Text("");
    work(writer);
    _exit(0);
  } catch (const std::bad_alloc&) {
    _exit(4);
  } catch (const std::exception& error) {
    // The error stands where the answer is not complete: behind it, found by the exit code.
    writer.Text(error.what());
    _exit(2);
  }
}

}  // namespace

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

AnswerReader RunIsolated(const std::string& name, const std::function<void(PipeWriter&)>& work) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) {
    throw IoError("cannot read '" + name + "': " + std::strerror(errno));
  }
  const pid_t child = fork();
  if (child < 0) {
    const int error = errno;
    close(ends[0]);
    close(ends[1]);
    throw IoError("cannot read '" + name + "': " + std::strerror(error));
  }
  if (child == 0) {
    close(ends[0]);
    RunChild(ends[1], work);
  }
  close(ends[1]);
  std::vector<std::byte> answer;
  bool late = false;
  size_t held = 0;
  try {
    for (;;) {
      struct pollfd waiting = {ends[0], POLLIN, 0};
      const int ready = poll(&waiting, 1, kPatienceMs);
      if (ready < 0 && errno == EINTR) continue;
      if (ready <= 0) {
        late = true;
        break;
      }
      if (answer.size() - held < (size_t{1} << 16)) answer.resize(held * 2 + (size_t{1} << 16));
      const ssize_t got = read(ends[0], answer.data() + held, answer.size() - held);
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) break;
      held += static_cast<size_t>(got);
    }
    answer.resize(held);
  } catch (const std::exception&) {  // no memory for the answer
    late = true;
  }
  close(ends[0]);
  if (late) kill(child, SIGKILL);
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0 && !late) {
    AnswerReader reader(std::move(answer), name);
    reader.Text();
    return reader;
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 2 && !late) {
    // "" and then the message: work() throws before it writes anything.
    AnswerReader reader(std::move(answer), name);
    reader.Text();
    throw IoError(reader.Text());
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 4) {
    throw IoError("cannot read '" + name +
                  "': it asks for more memory than there is or than its length can need; it is "
                  "damaged, or other programs should be closed");
  }
  late = late || (WIFSIGNALED(status) && WTERMSIG(status) == SIGPROF);
  throw IoError("cannot read '" + name + "': " +
                (late ? "reading it takes longer than it should" : "the library crashes on it") +
                "; the file is damaged");
}

}  // namespace avocet::io
