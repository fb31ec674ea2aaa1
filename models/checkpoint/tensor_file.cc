// SPDX-License-Identifier: Apache-2.0
#include "models/checkpoint/tensor_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>

#include "app/base/error.h"
#include "models/checkpoint/readers.h"

namespace avocet::models {

size_t SizeOf(TensorType type) {
  switch (type) {
    case TensorType::kFloat64:
    case TensorType::kInt64:
      return 8;
    case TensorType::kFloat32:
    case TensorType::kInt32:
      return 4;
    case TensorType::kFloat16:
    case TensorType::kBFloat16:
    case TensorType::kInt16:
      return 2;
    case TensorType::kInt8:
    case TensorType::kUInt8:
    case TensorType::kBool:
      return 1;
  }
  throw ModelError("unknown tensor type");
}

const char* NameOf(TensorType type) {
  switch (type) {
    case TensorType::kFloat64:
      return "F64";
    case TensorType::kFloat32:
      return "F32";
    case TensorType::kFloat16:
      return "F16";
    case TensorType::kBFloat16:
      return "BF16";
    case TensorType::kInt64:
      return "I64";
    case TensorType::kInt32:
      return "I32";
    case TensorType::kInt16:
      return "I16";
    case TensorType::kInt8:
      return "I8";
    case TensorType::kUInt8:
      return "U8";
    case TensorType::kBool:
      return "BOOL";
  }
  throw ModelError("unknown tensor type");
}

bool IsFloating(TensorType type) {
  return type == TensorType::kFloat64 || type == TensorType::kFloat32 ||
         type == TensorType::kFloat16 || type == TensorType::kBFloat16;
}

int64_t StoredTensor::Numel() const {
  int64_t count = 1;
  for (int64_t extent : shape) count *= extent;
  return count;
}

const StoredTensor* TensorFile::Find(const std::string& name) const {
  for (const auto& [key, tensor] : tensors) {
    if (key == name) return &tensor;
  }
  return nullptr;
}

std::string ShapeText(const std::vector<int64_t>& shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i) {
    if (i > 0) text += ", ";
    text += std::to_string(shape[i]);
  }
  return text + "]";
}

bool CheckedNumel(const std::vector<int64_t>& shape, int64_t* numel) {
  int64_t count = 1;
  bool empty = false;
  for (int64_t extent : shape) {
    if (extent < 0) return false;
    if (extent == 0) {
      empty = true;  // the other extents must still be sane
    } else if (__builtin_mul_overflow(count, extent, &count)) {
      return false;
    }
  }
  *numel = empty ? 0 : count;
  return true;
}

std::string Printable(std::string_view text, size_t max_length) {
  std::string out;
  for (char c : text.substr(0, max_length)) {
    const auto u = static_cast<unsigned char>(c);
    out += u < 0x20 || u == 0x7f ? '?' : c;
  }
  if (text.size() > max_length) {
    while (!out.empty() && (static_cast<unsigned char>(out.back()) & 0xc0) == 0x80) out.pop_back();
    if (!out.empty() && (static_cast<unsigned char>(out.back()) & 0x80)) out.pop_back();
    out += "...";
  }
  return IsUtf8(out) ? out : "(name that is not UTF-8)";
}

bool IsUtf8(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i]);
    size_t length = 0;
    uint32_t code = 0;
    if (lead < 0x80) {
      length = 1;
      code = lead;
    } else if ((lead & 0xe0) == 0xc0) {
      length = 2;
      code = lead & 0x1f;
    } else if ((lead & 0xf0) == 0xe0) {
      length = 3;
      code = lead & 0x0f;
    } else if ((lead & 0xf8) == 0xf0) {
      length = 4;
      code = lead & 0x07;
    } else {
      return false;
    }
    if (text.size() - i < length) return false;
    for (size_t k = 1; k < length; ++k) {
      const auto next = static_cast<unsigned char>(text[i + k]);
      if ((next & 0xc0) != 0x80) return false;
      code = code << 6 | (next & 0x3f);
    }
    static constexpr uint32_t kSmallest[5] = {0, 0, 0x80, 0x800, 0x10000};
    if (code < kSmallest[length] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) {
      return false;
    }
    i += length;
  }
  return true;
}

void CheckBooleans(const std::string& name, const StoredTensor& tensor) {
  if (tensor.type != TensorType::kBool) return;
  for (std::byte value : tensor.data) {
    if (std::to_integer<int>(value) > 1) {
      throw ModelError("tensor '" + Printable(name) + "' is boolean but holds the byte " +
                       std::to_string(std::to_integer<int>(value)));
    }
  }
}

namespace {

// Takes "module." off when every name begins with it; repeatedly, because the official scripts may
// wrap a network in DataParallel twice.
void StripModulePrefix(TensorFile& file) {
  static constexpr std::string_view kPrefix = "module.";
  while (!file.tensors.empty() &&
         std::all_of(file.tensors.begin(), file.tensors.end(), [](const auto& entry) {
           return entry.first.size() > kPrefix.size() &&
                  entry.first.compare(0, kPrefix.size(), kPrefix) == 0;
         })) {
    for (auto& entry : file.tensors) entry.first.erase(0, kPrefix.size());
    file.notes.push_back("prefix 'module.' removed from " + std::to_string(file.tensors.size()) +
                         " names");
  }
}

bool LooksLikeGzip(std::string_view bytes) {
  return bytes.size() >= 18 && static_cast<unsigned char>(bytes[0]) == 0x1f &&
         static_cast<unsigned char>(bytes[1]) == 0x8b && bytes[2] == 8;
}

// Weights compress by a factor of 1 to 5; a file of zeros by 1000. The bound leaves room for every
// real checkpoint and none for a bomb.
std::string Gunzip(std::string_view bytes) {
  const size_t limit =
      std::min<size_t>(size_t{2} << 30, bytes.size() * size_t{100} + (size_t{1} << 20));
  z_stream stream = {};
  if (inflateInit2(&stream, 16 + MAX_WBITS) != Z_OK) throw std::bad_alloc();
  const std::unique_ptr<z_stream, int (*)(z_stream*)> guard(&stream, &inflateEnd);
  std::string out;
  size_t consumed = 0;
  size_t filled = 0;
  int status = Z_OK;
  while (status != Z_STREAM_END) {
    if (stream.avail_in == 0) {
      const size_t chunk = std::min<size_t>(bytes.size() - consumed, size_t{1} << 30);
      stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data() + consumed));
      stream.avail_in = static_cast<uInt>(chunk);
      consumed += chunk;
    }
    if (filled == out.size()) {
      if (filled >= limit) {
        throw ModelError("it expands to more than " + std::to_string(limit >> 20) +
                         " MiB, which no model does; gunzip it yourself if you trust it");
      }
      out.resize(std::min(limit, std::max<size_t>(filled * 2, bytes.size() * 3 + 4096)));
    }
    const size_t room = std::min<size_t>(out.size() - filled, size_t{1} << 30);
    stream.next_out = reinterpret_cast<Bytef*>(out.data() + filled);
    stream.avail_out = static_cast<uInt>(room);
    status = inflate(&stream, Z_NO_FLUSH);
    filled += room - stream.avail_out;
    if (status == Z_BUF_ERROR && consumed == bytes.size() && stream.avail_in == 0) {
      throw ModelError("its gzip stream ends early; copy or download it again");
    }
    if (status != Z_OK && status != Z_STREAM_END && status != Z_BUF_ERROR) {
      throw ModelError("its gzip stream is damaged; copy or download it again");
    }
  }
  out.resize(filled);
  return out;
}

// A hundred times the largest network; beyond it, a sparse or wrong file would fill the memory.
constexpr size_t kMaxFile = size_t{8} << 30;

struct FileBytes {
  std::unique_ptr<char[]> data;
  size_t size = 0;
};

// A plain read, not a memory map: a file that shrinks meanwhile is an error and not a signal.
FileBytes ReadWhole(const std::filesystem::path& path) {
  const auto fail = [&](int error) -> FileBytes {
    throw IoError("model file '" + path.string() + "' cannot be read: " + std::strerror(error));
  };
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return fail(errno);
  struct Closer {
    int fd;
    ~Closer() { close(fd); }
  } closer{fd};
  struct stat status;
  if (fstat(fd, &status) != 0) return fail(errno);
  if (S_ISDIR(status.st_mode)) return fail(EISDIR);
  if (!S_ISREG(status.st_mode)) {
    throw IoError("model file '" + path.string() + "' is not a regular file");
  }
  FileBytes bytes;
  const auto size = static_cast<size_t>(status.st_size);
  if (size > kMaxFile) {
    throw ModelError("it has " + std::to_string(size >> 30) + " GiB, more than the " +
                     std::to_string(kMaxFile >> 30) + " GiB that Avocet reads");
  }
  // Judge by the first bytes before taking memory for something that is no model at all.
  char head[64];
  const ssize_t head_size = pread(fd, head, sizeof head, 0);
  if (head_size < 0) return fail(errno);
  const std::string_view start(head, static_cast<size_t>(head_size));
  if (!LooksLikeGzip(start) && !LooksLikeZip(start) && !LooksLikeTorchLegacy(start) &&
      !LooksLikeSafetensors(start)) {
    ParseTensorFile(start);  // throws and says what was expected
  }
  bytes.data.reset(new char[size + 1]);
  while (bytes.size < size) {
    const ssize_t got = read(fd, bytes.data.get() + bytes.size, size - bytes.size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail(errno);
    if (got == 0) break;
    bytes.size += static_cast<size_t>(got);
  }
  return bytes;
}

}  // namespace

TensorFile ParseTensorFile(std::string_view bytes) {
  std::string unpacked;
  const bool gzip = LooksLikeGzip(bytes);
  if (gzip) {
    unpacked = Gunzip(bytes);
    bytes = unpacked;
  }
  TensorFile file;
  if (LooksLikeZip(bytes)) {
    file = ParseTorchZip(bytes);
  } else if (LooksLikeTorchLegacy(bytes)) {
    file = ParseTorchLegacy(bytes);
  } else if (LooksLikeSafetensors(bytes)) {
    file = ParseSafetensors(bytes);
  } else if (bytes.empty()) {
    throw ModelError("it is empty; copy or download it again");
  } else {
    throw ModelError(
        "it is neither safetensors nor a PyTorch state dictionary (.pth); give a model file");
  }
  if (gzip) file.notes.push_back("the file is gzip-compressed");
  StripModulePrefix(file);
  return file;
}

TensorFile ReadTensorFile(const std::filesystem::path& path) {
  try {
    const FileBytes bytes = ReadWhole(path);
    return ParseTensorFile({bytes.data.get(), bytes.size});
  } catch (const ModelError& error) {
    throw ModelError("model file '" + path.string() + "' cannot be used: " + error.what());
  }
}

}  // namespace avocet::models
