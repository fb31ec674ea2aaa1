// SPDX-License-Identifier: Apache-2.0
#include "io/file_util.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>

#include "app/base/error.h"

namespace avocet::io {
namespace fs = std::filesystem;
namespace {

// What the user can do about the system's reason.
const char* Remedy(int error) {
  switch (error) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
      return "; free some space or choose another folder";
    case EACCES:
    case EPERM:
    case EROFS:
      return "; choose a folder that you may write to";
    case ENOENT:
    case ENOTDIR:
      return "; create the folder first or choose another";
    default:
      return "";
  }
}

[[noreturn]] void ThrowWriteError(const fs::path& target, int error) {
  throw IoError("cannot write '" + target.string() + "': " + std::strerror(error) + Remedy(error));
}

// Makes a rename durable. Some file systems do not support it; the data itself is safe by then.
void SyncFolder(const fs::path& folder) {
  const int fd = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;
  fsync(fd);
  close(fd);
}

fs::path FolderOf(const fs::path& file) {
  return file.has_parent_path() ? file.parent_path() : fs::path(".");
}

}  // namespace

AtomicFile::AtomicFile(fs::path target) : target_(std::move(target)) {
  std::error_code error;
  // A link is kept: the file that it points to is the one replaced.
  if (fs::is_symlink(target_, error)) {
    const fs::path resolved = fs::weakly_canonical(target_, error);
    if (!error) target_ = resolved;
  }
  struct stat existing = {};
  const bool exists = stat(target_.c_str(), &existing) == 0;
  if (exists && S_ISDIR(existing.st_mode)) {
    throw IoError("cannot write '" + target_.string() + "': it is a folder; name a file");
  }
  if (exists && !S_ISREG(existing.st_mode)) {
    throw IoError("cannot write '" + target_.string() + "': it is not an ordinary file");
  }
  if (target_.filename().empty()) {
    throw IoError("cannot write '" + target_.string() + "': it names no file");
  }

  static std::atomic<unsigned> counter{0};
  // The end of the name stays, because libraries choose the format by the extension; a name near
  // the length limit of the file system loses its beginning.
  std::string tail = target_.filename().string();
  if (tail.size() > 200) tail = tail.substr(tail.size() - 200);
  for (int attempt = 0; attempt < 100 && fd_ < 0; ++attempt) {
    temporary_ = FolderOf(target_) / (".tmp-" + std::to_string(getpid()) + "-" +
                                      std::to_string(counter.fetch_add(1)) + "-" + tail);
    fd_ = open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd_ < 0 && errno != EEXIST) ThrowWriteError(target_, errno);
  }
  if (fd_ < 0) ThrowWriteError(target_, EEXIST);
  if (exists && fchmod(fd_, existing.st_mode & 07777) != 0) {
    // The permissions of a new file serve as well.
  }
}

AtomicFile::~AtomicFile() {
  if (fd_ >= 0) close(fd_);
  if (!temporary_.empty()) unlink(temporary_.c_str());
}

void AtomicFile::Write(const void* bytes, size_t size) {
  if (fd_ < 0) throw IoError("cannot write '" + target_.string() + "': it is already complete");
  const char* next = static_cast<const char*>(bytes);
  while (size > 0) {
    const ssize_t written = write(fd_, next, std::min(size, size_t{1} << 30));
    if (written < 0) {
      if (errno == EINTR) continue;
      ThrowWriteError(target_, errno);
    }
    next += written;
    size -= static_cast<size_t>(written);
  }
}

void AtomicFile::Commit() {
  if (fd_ < 0) throw IoError("cannot write '" + target_.string() + "': it is already complete");
  // A library that wrote through temporary_path() may have replaced the file, so the name counts
  // and not our descriptor.
  const int closed = close(fd_);
  fd_ = -1;
  if (closed != 0 && errno != EINTR) ThrowWriteError(target_, errno);
  const int fd = open(temporary_.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) ThrowWriteError(target_, errno);
  if (fsync(fd) != 0 && errno != EINVAL && errno != ENOSYS) {
    const int error = errno;
    close(fd);
    ThrowWriteError(target_, error);
  }
  close(fd);
  if (rename(temporary_.c_str(), target_.c_str()) != 0) ThrowWriteError(target_, errno);
  temporary_.clear();
  SyncFolder(FolderOf(target_));
}

void WriteFileAtomically(const fs::path& path, std::string_view content) {
  AtomicFile file(path);
  file.Write(content);
  file.Commit();
}

std::string ReadTextFile(const fs::path& path, size_t max_bytes) {
  const std::string name = "'" + path.string() + "'";
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) throw IoError("cannot open " + name + ": " + std::strerror(errno));
  struct Closer {
    int fd;
    ~Closer() { close(fd); }
  } closer{fd};
  struct stat status = {};
  if (fstat(fd, &status) != 0) throw IoError("cannot read " + name + ": " + std::strerror(errno));
  if (S_ISDIR(status.st_mode))
    throw IoError("cannot read " + name + ": it is a folder, not a file");
  const auto refuse_size = [&] {
    throw IoError("cannot read " + name + ": it is larger than the " +
                  std::to_string(max_bytes >> 10) + " kB that such a file may have");
  };
  if (S_ISREG(status.st_mode) && static_cast<size_t>(status.st_size) > max_bytes) refuse_size();
  std::string content;
  char block[1 << 16];
  for (;;) {
    const ssize_t got = read(fd, block, sizeof block);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw IoError("cannot read " + name + ": " + std::strerror(errno));
    if (got == 0) return content;
    if (content.size() + static_cast<size_t>(got) > max_bytes) refuse_size();
    content.append(block, static_cast<size_t>(got));
  }
}

}  // namespace avocet::io
