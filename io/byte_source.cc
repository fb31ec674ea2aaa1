// SPDX-License-Identifier: Apache-2.0
#include "io/byte_source.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>

#include "app/base/error.h"
#include "io/deflate.h"
#include "io/memory_limit.h"

namespace avocet::io {

struct ByteSource::State {
  int fd = -1;
  uint64_t file_size = 0;
  bool gzip = false;
  bool stream_open = false;  // inflateEnd is due
  bool in_member = false;    // between a member's header and its trailer
  bool ended = false;        // no further bytes
  bool first = true;         // no member has ended yet
  z_stream stream = {};
  std::vector<unsigned char> input = std::vector<unsigned char>(size_t{1} << 17);
  size_t begin = 0;
  size_t end = 0;

  ~State() {
    if (stream_open) inflateEnd(&stream);
    if (fd >= 0) close(fd);
  }
};

ByteSource::ByteSource(const std::filesystem::path& path, bool gunzip)
    : path_(path), state_(std::make_unique<State>()) {
  const std::string name = "'" + path.string() + "'";
  // O_NONBLOCK: opening a named pipe must not wait for a writer that may never come.
  state_->fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (state_->fd < 0) {
    throw IoError("cannot open " + name + ": " + std::strerror(errno) +
                  (errno == ENOENT ? "; check the path" : ""));
  }
  struct stat status = {};
  if (fstat(state_->fd, &status) != 0) {
    throw IoError("cannot read " + name + ": " + std::strerror(errno));
  }
  if (S_ISDIR(status.st_mode)) {
    throw IoError("cannot read " + name + ": it is a folder, not a file; name an image file in it");
  }
  if (!S_ISREG(status.st_mode)) {
    throw IoError("cannot read " + name + ": it is not an ordinary file");
  }
  state_->file_size = static_cast<uint64_t>(status.st_size);
  if (state_->file_size == 0) {
    throw IoError("cannot read " + name + ": the file is empty; copy or download it again");
  }
  Fill();
  state_->gzip = gunzip && state_->end >= 2 && state_->input[0] == 0x1f && state_->input[1] == 0x8b;
  if (state_->gzip) {
    if (inflateInit2(&state_->stream, 16 + MAX_WBITS) != Z_OK) throw std::bad_alloc();
    state_->stream_open = true;
    state_->in_member = true;
  }
}

ByteSource::~ByteSource() = default;

bool ByteSource::compressed() const { return state_->gzip; }

uint64_t ByteSource::capacity() const {
  return state_->gzip ? state_->file_size * 1032 : state_->file_size;
}

void ByteSource::Fill() {
  State& s = *state_;
  s.begin = s.end = 0;
  for (;;) {
    const ssize_t got = read(s.fd, s.input.data(), s.input.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      throw IoError("cannot read '" + path_.string() + "': " + std::strerror(errno));
    }
    s.end = static_cast<size_t>(got);
    return;
  }
}

size_t ByteSource::ReadGzip(unsigned char* bytes, size_t size) {
  State& s = *state_;
  size_t done = 0;
  // A call with size 0 never comes here, so that "no output" always means "needs input" or "end".
  while (done < size && !s.ended) {
    if (s.begin == s.end) {
      Fill();
      if (s.end == 0) {
        if (s.in_member) {
          throw IoError("cannot read '" + path_.string() +
                        "': the gzip stream is cut off; copy or download the file again");
        }
        s.ended = true;
        break;
      }
    }
    if (!s.in_member) {
      // Another member may follow the one that ended. Anything else is padding, as gzip(1) has it.
      if (s.input[s.begin] != 0x1f) {
        s.ended = true;
        break;
      }
      inflateReset(&s.stream);
      s.in_member = true;
    }
    const size_t room = std::min(size - done, size_t{1} << 30);
    s.stream.next_in = s.input.data() + s.begin;
    s.stream.avail_in = static_cast<uInt>(s.end - s.begin);
    s.stream.next_out = bytes + done;
    s.stream.avail_out = static_cast<uInt>(room);
    const int result = inflate(&s.stream, Z_NO_FLUSH);
    s.begin = s.end - s.stream.avail_in;
    done += room - s.stream.avail_out;
    if (result == Z_STREAM_END) {
      s.in_member = s.first = false;
    } else if (result == Z_MEM_ERROR) {
      throw std::bad_alloc();
    } else if (result != Z_OK && result != Z_BUF_ERROR) {
      const char* reason = s.stream.msg ? s.stream.msg : "invalid stream";
      throw IoError("cannot read '" + path_.string() + "': its gzip data are damaged (" + reason +
                    "); copy or download the file again");
    }
  }
  return done;
}

size_t ByteSource::Read(void* bytes, size_t size) {
  State& s = *state_;
  auto* out = static_cast<unsigned char*>(bytes);
  size_t done = 0;
  if (s.gzip) {
    done = size > 0 ? ReadGzip(out, size) : 0;
  } else {
    const size_t buffered = std::min(size, s.end - s.begin);
    std::memcpy(out, s.input.data() + s.begin, buffered);
    s.begin += buffered;
    done = buffered;
    while (done < size) {  // the rest goes straight to its place
      const ssize_t got = read(s.fd, out + done, std::min(size - done, size_t{1} << 30));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) {
        throw IoError("cannot read '" + path_.string() + "': " + std::strerror(errno));
      }
      if (got == 0) break;
      done += static_cast<size_t>(got);
    }
  }
  position_ += done;
  return done;
}

// Unpacks the file from its beginning again, now with the room for all that is asked for: what zlib
// has handed out so far is little. False, and nothing has changed, when that is not the way.
bool ByteSource::AppendAtOnce(std::vector<std::byte>& bytes, uint64_t size) {
  constexpr uint64_t kWorthwhile = uint64_t{64} << 10, kFewest = uint64_t{1} << 20;
  State& s = *state_;
  if (!s.gzip || !s.first || size < kWorthwhile || position_ > kFewest ||
      !WorthInflatingAtOnce(s.file_size, size)) {
    return false;
  }
  const size_t start = bytes.size();
  const size_t before = static_cast<size_t>(position_);
  std::vector<std::byte> packed;
  try {
    packed.resize(s.file_size);
    bytes.resize(start + before + size);
  } catch (const std::exception&) {  // bad_alloc or length_error
    bytes.resize(start);
    return false;
  }
  size_t loaded = 0;
  while (loaded < packed.size()) {
    const ssize_t got =
        pread(s.fd, packed.data() + loaded, packed.size() - loaded, static_cast<off_t>(loaded));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    loaded += static_cast<size_t>(got);
  }
  const Inflated all =
      InflateAtOnce(packed.data(), loaded, Deflate::kGzip, bytes.data() + start, before + size);
  if (!all.ok || all.produced < before || lseek(s.fd, static_cast<off_t>(all.used), SEEK_SET) < 0) {
    bytes.resize(start);
    return false;
  }
  std::memmove(bytes.data() + start, bytes.data() + start + before, all.produced - before);
  bytes.resize(start + all.produced - before);
  s.begin = s.end = 0;
  s.in_member = s.first = false;
  position_ = all.produced;
  return true;
}

uint64_t ByteSource::Append(std::vector<std::byte>& bytes, uint64_t size) {
  if (state_->gzip) {
    CheckUnpacked(std::min(size, capacity()), capacity(), path_.string());
  } else {
    CheckMemory(std::min(size, capacity()), path_.string());
  }
  const size_t start = bytes.size();
  if (AppendAtOnce(bytes, size)) return bytes.size() - start;
  uint64_t done = 0;
  uint64_t grown = std::min<uint64_t>(size, uint64_t{1} << 20);
  // A plain file cannot be shorter than its directory entry says, so one step serves.
  if (!state_->gzip) grown = std::min(size, capacity());
  while (done < size) {
    try {
      bytes.resize(start + grown);
    } catch (const std::exception&) {  // bad_alloc or length_error
      throw IoError("not enough memory to read '" + path_.string() + "' (" +
                    std::to_string(size >> 20) + " MB); close other programs");
    }
    const size_t got = Read(bytes.data() + start + done, grown - done);
    const bool short_read = got < grown - done;
    done += got;
    if (short_read || grown == size) break;
    if (!state_->gzip) break;
    grown = std::min(size, grown * 8);
  }
  bytes.resize(start + done);
  return done;
}

bool ByteSource::Finish(size_t margin) {
  std::vector<unsigned char> rest(margin + 1);
  return Read(rest.data(), rest.size()) > 0;
}

}  // namespace avocet::io
