// SPDX-License-Identifier: Apache-2.0
#include "io/stream.h"

#include <bzlib.h>
#include <zlib.h>

#include <algorithm>
#include <cstring>

#include "app/base/error.h"
#include "io/memory_limit.h"

namespace avocet::io {

bool FileStream::ReadLine(std::string& line, size_t limit) {
  line.clear();
  bool any = false;
  for (;;) {
    if (begin_ == end_) {
      buffer_.resize(size_t{1} << 12);
      begin_ = 0;
      end_ = source_.Read(buffer_.data(), buffer_.size());
      if (end_ == 0) break;
    }
    any = true;
    const char* from = buffer_.data() + begin_;
    const auto* found = static_cast<const char*>(std::memchr(from, '\n', end_ - begin_));
    const size_t length = found ? static_cast<size_t>(found - from) : end_ - begin_;
    line.append(from, length);
    begin_ += length + (found ? 1 : 0);
    if (line.size() > limit) {
      throw IoError("cannot read '" + name() + "': a line of its header is longer than " +
                    std::to_string(limit) + " characters; the header is damaged");
    }
    if (found) break;
  }
  if (!line.empty() && line.back() == '\r') line.pop_back();
  return any;
}

size_t FileStream::Read(void* bytes, size_t size) {
  const size_t buffered = std::min(size, end_ - begin_);
  if (buffered > 0) std::memcpy(bytes, buffer_.data() + begin_, buffered);
  begin_ += buffered;
  if (buffered == size) return size;
  return buffered + source_.Read(static_cast<char*>(bytes) + buffered, size - buffered);
}

uint64_t FileStream::Capacity() const {
  return source_.capacity() - std::min(source_.capacity(), position());
}

size_t MemoryStream::Read(void* bytes, size_t size) {
  size = std::min(size, left_);
  if (size > 0) std::memcpy(bytes, next_, size);
  next_ += size;
  left_ -= size;
  return size;
}

namespace {

constexpr uint64_t kDeflateRatio = 1032;
constexpr uint64_t kBzip2Ratio = 4096;

// The input side that both kinds share.
class Unpacker : public Stream {
 public:
  Unpacker(Stream& packed, std::string name, uint64_t ratio, uint64_t base)
      : packed_(packed), name_(std::move(name)) {
    uint64_t product = 0;
    if (__builtin_mul_overflow(packed.Capacity(), ratio, &product)) product = UINT64_MAX / 2;
    capacity_ = product + base;
  }
  uint64_t Capacity() const override { return capacity_ - std::min(capacity_, done_); }

  size_t Read(void* bytes, size_t size) override {
    size_t done = 0;
    while (done < size && !ended_) {
      if (begin_ == end_) {
        begin_ = 0;
        end_ = packed_.Read(input_.data(), input_.size());
        if (end_ == 0) {
          if (in_member_) {
            throw IoError("cannot read '" + name_ +
                          "': its compressed voxels are cut off; copy or download the file again");
          }
          ended_ = true;
          break;
        }
      }
      if (!in_member_) {
        // Another member may follow the one that ended; anything else is padding.
        if (!Begins(input_[begin_])) {
          ended_ = true;
          break;
        }
        Restart();
        in_member_ = true;
      }
      const size_t room = std::min(size - done, size_t{1} << 30);
      done += Step(static_cast<char*>(bytes) + done, room);
    }
    done_ += done;
    return done;
  }

 protected:
  virtual bool Begins(unsigned char first) const = 0;
  virtual void Restart() = 0;
  // Unpacks from input_[begin_, end_), moves begin_ and returns how many bytes came.
  virtual size_t Step(char* bytes, size_t room) = 0;
  [[noreturn]] void ThrowDamaged(const std::string& why) const {
    throw IoError("cannot read '" + name_ + "': its compressed voxels are damaged (" + why +
                  "); copy or download the file again");
  }

  Stream& packed_;
  std::string name_;
  std::vector<unsigned char> input_ = std::vector<unsigned char>(size_t{1} << 17);
  size_t begin_ = 0;
  size_t end_ = 0;
  bool in_member_ = true;
  bool ended_ = false;

 private:
  uint64_t capacity_ = 0;
  uint64_t done_ = 0;
};

class Inflater final : public Unpacker {
 public:
  Inflater(Stream& packed, const std::string& name, bool raw)
      : Unpacker(packed, name, kDeflateRatio, 0), raw_(raw) {
    if (inflateInit2(&stream_, raw ? -MAX_WBITS : 32 + MAX_WBITS) != Z_OK) throw std::bad_alloc();
  }
  ~Inflater() override { inflateEnd(&stream_); }

 protected:
  bool Begins(unsigned char first) const override { return !raw_ && first == 0x1f; }
  void Restart() override { inflateReset(&stream_); }
  size_t Step(char* bytes, size_t room) override {
    stream_.next_in = input_.data() + begin_;
    stream_.avail_in = static_cast<uInt>(end_ - begin_);
    stream_.next_out = reinterpret_cast<Bytef*>(bytes);
    stream_.avail_out = static_cast<uInt>(room);
    const int result = inflate(&stream_, Z_NO_FLUSH);
    begin_ = end_ - stream_.avail_in;
    if (result == Z_STREAM_END) {
      in_member_ = false;
    } else if (result == Z_MEM_ERROR) {
      throw std::bad_alloc();
    } else if (result != Z_OK && result != Z_BUF_ERROR) {
      ThrowDamaged(stream_.msg ? stream_.msg : "invalid stream");
    }
    return room - stream_.avail_out;
  }

 private:
  bool raw_;
  z_stream stream_ = {};
};

class Bunzipper final : public Unpacker {
 public:
  Bunzipper(Stream& packed, const std::string& name)
      : Unpacker(packed, name, kBzip2Ratio, uint64_t{64} << 20) {
    Restart();
  }
  ~Bunzipper() override { BZ2_bzDecompressEnd(&stream_); }

 protected:
  bool Begins(unsigned char first) const override { return first == 'B'; }
  void Restart() override {
    if (open_) BZ2_bzDecompressEnd(&stream_);
    stream_ = {};
    if (BZ2_bzDecompressInit(&stream_, 0, 0) != BZ_OK) throw std::bad_alloc();
    open_ = true;
  }
  size_t Step(char* bytes, size_t room) override {
    stream_.next_in = reinterpret_cast<char*>(input_.data() + begin_);
    stream_.avail_in = static_cast<unsigned>(end_ - begin_);
    stream_.next_out = bytes;
    stream_.avail_out = static_cast<unsigned>(room);
    const int result = BZ2_bzDecompress(&stream_);
    begin_ = end_ - stream_.avail_in;
    if (result == BZ_STREAM_END) {
      in_member_ = false;
    } else if (result == BZ_MEM_ERROR) {
      throw std::bad_alloc();
    } else if (result != BZ_OK) {
      ThrowDamaged("bzip2 error " + std::to_string(result));
    }
    return room - stream_.avail_out;
  }

 private:
  bz_stream stream_ = {};
  bool open_ = false;
};

}  // namespace

std::unique_ptr<Stream> Unpack(Stream& packed, Packing packing, const std::string& name) {
  if (packing == Packing::kBzip2) return std::make_unique<Bunzipper>(packed, name);
  return std::make_unique<Inflater>(packed, name, packing == Packing::kRawDeflate);
}

uint64_t AppendFrom(Stream& stream, std::vector<std::byte>& bytes, uint64_t size,
                    const std::string& name) {
  const uint64_t most = stream.Capacity(), claimed = std::min(size, most);
  const auto* file = dynamic_cast<const FileStream*>(&stream);
  if (dynamic_cast<const Unpacker*>(&stream) || (file && file->compressed())) {
    CheckUnpacked(claimed, most, name);
  } else {
    CheckMemory(claimed, name);
  }
  const size_t start = bytes.size();
  uint64_t done = 0;
  uint64_t grown = std::min<uint64_t>(size, uint64_t{1} << 20);
  while (done < size) {
    try {
      bytes.resize(start + grown);
    } catch (const std::exception&) {  // bad_alloc or length_error
      throw IoError("not enough memory to read '" + name + "' (" + std::to_string(size >> 20) +
                    " MB); close other programs");
    }
    const size_t wanted = grown - done;
    const size_t got = stream.Read(bytes.data() + start + done, wanted);
    done += got;
    if (got < wanted) break;
    grown = grown > size / 8 ? size : grown * 8;
  }
  bytes.resize(start + done);
  return done;
}

uint64_t SkipIn(Stream& stream, uint64_t size) {
  std::vector<char> block(std::min<uint64_t>(size, uint64_t{1} << 16));
  uint64_t done = 0;
  while (done < size) {
    const size_t wanted = std::min<uint64_t>(block.size(), size - done);
    const size_t got = stream.Read(block.data(), wanted);
    done += got;
    if (got < wanted) break;
  }
  return done;
}

}  // namespace avocet::io
