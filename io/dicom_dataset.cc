// SPDX-License-Identifier: Apache-2.0
#include "io/dicom_dataset.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>

#include "app/base/error.h"
#include "io/header_text.h"

namespace avocet::io::dicom {

ByteStore::ByteStore(const std::filesystem::path& path) : path_(path) {
  fd_ = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  struct stat status = {};
  if (fd_ < 0 || fstat(fd_, &status) != 0) {
    const std::string reason = std::strerror(errno);
    if (fd_ >= 0) close(fd_);
    throw IoError("cannot read '" + path.string() + "': " + reason);
  }
  if (!S_ISREG(status.st_mode)) {
    close(fd_);
    throw IoError("cannot read '" + path.string() + "': it is not a regular file");
  }
  size_ = static_cast<uint64_t>(status.st_size);
}

ByteStore::ByteStore(std::string content, const std::filesystem::path& path)
    : path_(path), content_(std::move(content)), size_(content_.size()) {}

ByteStore::~ByteStore() {
  if (fd_ >= 0) close(fd_);
}

void ByteStore::Read(uint64_t offset, void* bytes, size_t count) const {
  if (offset > size_ || count > size_ - offset) {
    throw IoError("cannot read '" + path_.string() + "': the file ends too early");
  }
  if (fd_ < 0) {
    std::memcpy(bytes, content_.data() + offset, count);
    return;
  }
  auto* to = static_cast<char*>(bytes);
  while (count > 0) {
    const ssize_t got = pread(fd_, to, count, static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) {
      throw IoError("cannot read '" + path_.string() +
                    "': " + (got < 0 ? std::strerror(errno) : "the file became shorter"));
    }
    to += got;
    offset += static_cast<uint64_t>(got);
    count -= static_cast<size_t>(got);
  }
}

const Element* Dataset::Find(Tag tag) const {
  for (const Element& element : elements) {
    if (element.tag == tag) return &element;
  }
  return nullptr;
}

std::string Dataset::Text(Tag tag) const {
  const Element* element = Find(tag);
  if (element == nullptr) return "";
  std::string text = element->bytes;
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 32 || c == 127) c = ' ';
  }
  const size_t first = text.find_first_not_of(' ');
  if (first == text.npos) return "";
  return text.substr(first, text.find_last_not_of(' ') - first + 1);
}

std::vector<std::string> Dataset::Texts(Tag tag) const {
  std::vector<std::string> parts;
  const std::string text = Text(tag);
  if (text.empty()) return parts;
  for (size_t start = 0; start <= text.size();) {
    const size_t end = std::min(text.find('\\', start), text.size());
    std::string part = text.substr(start, end - start);
    const size_t first = part.find_first_not_of(' ');
    part = first == part.npos ? "" : part.substr(first, part.find_last_not_of(' ') - first + 1);
    parts.push_back(std::move(part));
    start = end + 1;
  }
  return parts;
}

namespace {

template <typename T>
void AppendBinary(const std::string& bytes, bool big_endian, std::vector<double>& out) {
  for (size_t at = 0; at + sizeof(T) <= bytes.size(); at += sizeof(T)) {
    unsigned char raw[sizeof(T)];
    std::memcpy(raw, bytes.data() + at, sizeof(T));
    if (big_endian) std::reverse(raw, raw + sizeof(T));
    T value;
    std::memcpy(&value, raw, sizeof(T));
    out.push_back(static_cast<double>(value));
  }
}

}  // namespace

std::vector<double> Dataset::NumbersOf(const Element& element) const {
  std::vector<double> numbers;
  const std::string_view vr(element.vr, 2);
  const std::string& bytes = element.bytes;
  if (vr == "US" || vr == "OW") {
    AppendBinary<uint16_t>(bytes, big_endian, numbers);
  } else if (vr == "SS") {
    AppendBinary<int16_t>(bytes, big_endian, numbers);
  } else if (vr == "UL" || vr == "OL") {
    AppendBinary<uint32_t>(bytes, big_endian, numbers);
  } else if (vr == "SL") {
    AppendBinary<int32_t>(bytes, big_endian, numbers);
  } else if (vr == "FL" || vr == "OF") {
    AppendBinary<float>(bytes, big_endian, numbers);
  } else if (vr == "FD" || vr == "OD") {
    AppendBinary<double>(bytes, big_endian, numbers);
  } else if (vr == "UV" || vr == "OV") {
    AppendBinary<uint64_t>(bytes, big_endian, numbers);
  } else {
    for (const std::string& part : Texts(element.tag)) {
      // Whatever the locale; and PS3.5 allows neither hexadecimal numbers nor names.
      if (part.empty() || part.find_first_not_of("0123456789+-.eE") != part.npos) return {};
      const auto number = ParseNumber(part);
      if (!number) return {};
      numbers.push_back(*number);
    }
  }
  for (const double number : numbers) {
    if (!std::isfinite(number)) return {};
  }
  return numbers;
}

std::vector<double> Dataset::Numbers(Tag tag) const {
  const Element* element = Find(tag);
  return element == nullptr ? std::vector<double>() : NumbersOf(*element);
}

double Dataset::Number(Tag tag, double otherwise) const {
  const std::vector<double> numbers = Numbers(tag);
  return numbers.empty() ? otherwise : numbers[0];
}

int64_t Dataset::Integer(Tag tag, int64_t otherwise) const {
  const std::vector<double> numbers = Numbers(tag);
  if (numbers.empty() || std::abs(numbers[0]) > 9e15) return otherwise;
  return std::llround(numbers[0]);
}

const std::vector<Dataset>& Dataset::Items(Tag tag) const {
  static const std::vector<Dataset> kNone;
  const Element* element = Find(tag);
  return element == nullptr ? kNone : element->items;
}

const Dataset* Dataset::Item(Tag tag) const {
  const std::vector<Dataset>& items = Items(tag);
  return items.empty() ? nullptr : &items[0];
}

const Element* Dataset::FindPrivate(uint16_t group, std::string_view creator,
                                    uint8_t number) const {
  // PS3.5 7.8.1: (group,00bb) holds the creator of the elements (group,bb00) to (group,bbFF).
  for (const Element& element : elements) {
    const uint16_t low = element.tag & 0xffff;
    if (element.tag >> 16 != group || low < 0x10 || low > 0xff) continue;
    if (std::string_view(element.bytes).substr(0, creator.size()) != creator ||
        Text(element.tag) != creator) {
      continue;
    }
    return Find(static_cast<Tag>(group) << 16 | static_cast<Tag>(low) << 8 | number);
  }
  return nullptr;
}

}  // namespace avocet::io::dicom
