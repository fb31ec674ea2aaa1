// SPDX-License-Identifier: Apache-2.0
#include "io/reader_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "app/base/error.h"
#include "io/child/answer.h"

extern char** environ;

namespace avocet::io {
namespace fs = std::filesystem;
namespace {

[[noreturn]] void Refuse(const std::string& name, const std::string& why) {
  throw IoError("cannot read '" + name + "': " + why);
}

// A file descriptor, closed at the end of the scope.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() { Close(); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }
  int Release() { return std::exchange(fd_, -1); }
  void Close() {
    if (fd_ >= 0) close(std::exchange(fd_, -1));
  }

 private:
  int fd_;
};

// Reads at most `size` bytes at `offset`; fewer at the end of the file.
size_t ReadAt(int fd, void* to, size_t size, size_t offset) {
  size_t done = 0;
  while (done < size) {
    const ssize_t got =
        pread(fd, static_cast<char*>(to) + done, size - done, static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    done += static_cast<size_t>(got);
  }
  return done;
}

// The child limits its own processor time; this ends one that waits or is stopped.
double PatienceSeconds(const fs::path& path) {
  std::error_code ignored;
  const auto bytes = fs::file_size(path, ignored);
  return 120 + (ignored ? 0.0 : static_cast<double>(bytes) / 1e6);
}

// Waits until the child closes its error output, which it does at its end, and keeps the first 4
// KiB of it. False when time is up.
bool WaitForEnd(int errors, double seconds, std::string& said) {
  using Clock = std::chrono::steady_clock;
  const auto end = Clock::now() + std::chrono::duration<double>(seconds);
  std::array<char, 4096> block;
  for (;;) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(end - Clock::now()).count();
    if (left <= 0) return false;
    struct pollfd waiting = {errors, POLLIN, 0};
    const int ready = poll(&waiting, 1, static_cast<int>(std::min<int64_t>(left, 60000)));
    if (ready < 0 && errno != EINTR) return false;
    if (ready <= 0) continue;
    const ssize_t got = read(errors, block.data(), block.size());
    if (got == 0 || (got < 0 && errno != EINTR)) return true;
    if (got > 0 && said.size() < block.size()) said.append(block.data(), static_cast<size_t>(got));
  }
}

struct Spawned {
  pid_t pid = -1;
  int error = 0;
};

Spawned Spawn(const fs::path& program, const ReaderRequest& request, int memory, int errors) {
  std::vector<std::string> words = {program.string(), request.kind, request.path.string(),
                                    request.member, request.voxels ? "1" : "0"};
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, errors, 2);
  posix_spawn_file_actions_adddup2(&actions, memory, kAnswerFd);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none;
  sigset_t usual;
  sigemptyset(&none);
  sigemptyset(&usual);
  for (const int number : {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL, SIGPROF, SIGPIPE}) {
    sigaddset(&usual, number);
  }
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &usual);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  Spawned child;
  child.error =
      posix_spawn(&child.pid, program.c_str(), &actions, &attributes, arguments.data(), environ);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  return child;
}

}  // namespace

fs::path ReaderProgram() {
  if (const char* named = std::getenv("AVOCET_READER"); named && *named) return named;
  std::error_code error;
  const fs::path folder = fs::read_symlink("/proc/self/exe", error).parent_path();
  for (const char* place :
       {"avocet-reader", "../bin/avocet-reader", "../libexec/avocet/avocet-reader"}) {
    if (!error && access((folder / place).c_str(), X_OK) == 0) return folder / place;
  }
  return AVOCET_READER_PROGRAM;
}

ReaderAnswer::ReaderAnswer(int memory, std::string name) : memory_(memory), name_(std::move(name)) {
  int64_t size = 0;
  if (ReadAt(memory_, &size, sizeof size, 0) == sizeof size && size >= 0 &&
      static_cast<size_t>(size) <= kVoxelsAt) {
    header_.resize(static_cast<size_t>(size));
    header_.resize(ReadAt(memory_, header_.data(), header_.size(), sizeof size));
  }
}

ReaderAnswer::~ReaderAnswer() {
  if (memory_ >= 0) close(memory_);
}

ReaderAnswer::ReaderAnswer(ReaderAnswer&& other) noexcept
    : memory_(std::exchange(other.memory_, -1)),
      name_(std::move(other.name_)),
      header_(std::move(other.header_)),
      at_(other.at_) {}

const char* ReaderAnswer::Take(size_t size) {
  if (size > header_.size() - at_) {
    Refuse(name_, "reading it ended early; the file is damaged");
  }
  const char* from = header_.data() + at_;
  at_ += size;
  return from;
}

int64_t ReaderAnswer::Number() {
  int64_t value = 0;
  std::memcpy(&value, Take(sizeof value), sizeof value);
  return value;
}

double ReaderAnswer::Real() {
  double value = 0;
  std::memcpy(&value, Take(sizeof value), sizeof value);
  return value;
}

std::string ReaderAnswer::Text() {
  const auto size = static_cast<size_t>(Number());
  return std::string(Take(size), size);
}

std::vector<std::byte> ReaderAnswer::TakeVoxels() {
  struct stat status = {};
  fstat(memory_, &status);
  const auto total = static_cast<size_t>(std::max<off_t>(status.st_size, 0));
  std::vector<std::byte> voxels;
  if (total <= kVoxelsAt) return voxels;
  try {
    voxels.resize(total - kVoxelsAt);
  } catch (const std::exception&) {
    Refuse(name_, "not enough memory for its voxels; close other programs");
  }
  voxels.resize(ReadAt(memory_, voxels.data(), voxels.size(), kVoxelsAt));
  return voxels;
}

ReaderAnswer RunReader(const ReaderRequest& request) {
  const std::string name = request.path.string();
  const fs::path program = ReaderProgram();
  Descriptor memory(memfd_create("avocet-reader", MFD_CLOEXEC));
  int ends[2];
  if (memory.get() < 0 || pipe2(ends, O_CLOEXEC) != 0) Refuse(name, std::strerror(errno));
  Descriptor errors(ends[0]);
  Descriptor child_errors(ends[1]);
  const Spawned child = Spawn(program, request, memory.get(), child_errors.get());
  child_errors.Close();
  if (child.error != 0) {
    Refuse(name, "the program '" + program.string() +
                     "' that reads such files cannot be started (" + std::strerror(child.error) +
                     "); install Avocet again");
  }
  std::string said;
  const bool late = !WaitForEnd(errors.get(), PatienceSeconds(request.path), said);
  if (late) kill(child.pid, SIGKILL);
  int status = 0;
  while (waitpid(child.pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status) && !late) {
    if (WEXITSTATUS(status) == kReaderDone) {
      if (request.errors_count && !said.empty()) {
        Refuse(name, "the library that reads it finds it damaged; copy or export it again");
      }
      return ReaderAnswer(memory.Release(), name);
    }
    if (WEXITSTATUS(status) == kReaderRefused) {
      throw IoError(ReaderAnswer(memory.Release(), name).Text());
    }
    if (WEXITSTATUS(status) == kReaderNoMemory) {
      Refuse(name,
             "it asks for more memory than there is or than its length can need; it is damaged, or "
             "other programs should be closed");
    }
  }
  const bool too_long = late || (WIFSIGNALED(status) && WTERMSIG(status) == SIGPROF);
  Refuse(name, std::string(too_long ? "reading it takes longer than it should"
                                    : "the library crashes on it") +
                   "; the file is damaged");
}

}  // namespace avocet::io
