// SPDX-License-Identifier: Apache-2.0
// The safetensors format (Hugging Face): u64 header length, JSON header, data.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>
#include <optional>
#include <unordered_set>

#include "app/base/error.h"
#include "io/file_util.h"
#include "models/checkpoint/readers.h"

namespace avocet::models {
namespace {

using Json = nlohmann::json;

constexpr uint64_t kMaxHeader = 100'000'000;  // as in the reference implementation

std::optional<TensorType> TypeFromName(std::string_view name) {
  for (int i = 0; i <= static_cast<int>(TensorType::kBool); ++i) {
    const auto type = static_cast<TensorType>(i);
    if (name == NameOf(type)) return type;
  }
  return std::nullopt;
}

struct HeaderEntry {
  std::string name;
  std::string type;
  std::vector<int64_t> shape;
  std::vector<uint64_t> offsets;
  bool has_type = false;
  bool has_shape = false;
  bool has_offsets = false;
};

// Accepts exactly the header's grammar, so that neither depth nor size of a hostile header can grow
// beyond what the format allows:
//   { "__metadata__": {str: str}, name: {"dtype": str, "shape": [..], "data_offsets": [b, e]} }
class HeaderHandler final : public nlohmann::json_sax<Json> {
 public:
  std::vector<HeaderEntry> entries;
  std::map<std::string, std::string> metadata;

  bool null() override { return Wrong("null"); }
  bool boolean(bool) override { return Wrong("a boolean"); }
  bool number_integer(number_integer_t) override { return Wrong("a negative number"); }
  bool number_float(number_float_t, const string_t&) override { return Wrong("a fraction"); }
  bool binary(binary_t&) override { return Wrong("binary"); }

  bool number_unsigned(number_unsigned_t value) override {
    if (state_ == kShape) {
      HeaderEntry& entry = entries.back();
      if (value > static_cast<uint64_t>(INT64_MAX)) return Wrong("an extent beyond 2^63");
      if (entry.shape.size() >= kMaxRank) {
        throw ModelError("tensor '" + Printable(entry.name) + "' has more than " +
                         std::to_string(kMaxRank) + " dimensions");
      }
      entry.shape.push_back(static_cast<int64_t>(value));
      return true;
    }
    if (state_ == kOffsets && entries.back().offsets.size() < 2) {
      entries.back().offsets.push_back(value);
      return true;
    }
    return Wrong("a number");
  }

  bool string(string_t& value) override {
    if (state_ == kMetadata) {
      if (!metadata.emplace(key_, value).second) {
        throw ModelError("its metadata has the key '" + Printable(key_) + "' twice");
      }
      return true;
    }
    if (state_ == kTensor && key_ == "dtype") {
      entries.back().type = value;
      entries.back().has_type = true;
      return true;
    }
    return Wrong("a string");
  }

  bool key(string_t& value) override {
    key_ = value;
    if (state_ == kRoot) {
      if (value == "__metadata__") {
        if (seen_metadata_) throw ModelError("its header has '__metadata__' twice");
        seen_metadata_ = true;
      } else if (value.empty()) {
        throw ModelError("its header has a tensor without a name");
      } else if (!names_.insert(value).second) {
        throw ModelError("its header lists the tensor '" + Printable(value) + "' twice");
      }
    } else if (state_ == kTensor) {
      const HeaderEntry& entry = entries.back();
      const bool twice = (value == "dtype" && entry.has_type) ||
                         (value == "shape" && entry.has_shape) ||
                         (value == "data_offsets" && entry.has_offsets);
      if (twice)
        throw ModelError("tensor '" + Printable(entry.name) + "' has '" + value + "' twice");
    }
    return true;
  }

  bool start_object(std::size_t) override {
    if (state_ == kBegin) {
      state_ = kRoot;
    } else if (state_ == kRoot && key_ == "__metadata__") {
      state_ = kMetadata;
    } else if (state_ == kRoot) {
      entries.emplace_back();
      entries.back().name = key_;
      state_ = kTensor;
    } else {
      return Wrong("an object");
    }
    return true;
  }

  bool end_object() override {
    if (state_ == kRoot) {
      state_ = kEnd;
    } else {
      if (state_ == kTensor) {
        const HeaderEntry& entry = entries.back();
        if (!entry.has_type || !entry.has_shape || entry.offsets.size() != 2) {
          throw ModelError("tensor '" + Printable(entry.name) +
                           "' lacks dtype, shape or data_offsets in the header");
        }
      }
      state_ = kRoot;
    }
    return true;
  }

  bool start_array(std::size_t) override {
    if (state_ == kTensor && key_ == "shape") {
      state_ = kShape;
      entries.back().has_shape = true;
    } else if (state_ == kTensor && key_ == "data_offsets") {
      state_ = kOffsets;
      entries.back().has_offsets = true;
    } else {
      return Wrong("an array");
    }
    return true;
  }

  bool end_array() override {
    state_ = kTensor;
    return true;
  }

  bool parse_error(std::size_t position, const std::string&, const Json::exception&) override {
    throw ModelError("its safetensors header is not valid JSON near byte " +
                     std::to_string(position + 8));
  }

 private:
  bool Wrong(const char* what) const {
    throw ModelError(std::string("its safetensors header has ") + what + " at or after '" +
                     Printable(key_) + "' where the format does not allow it");
  }

  enum State { kBegin, kRoot, kMetadata, kTensor, kShape, kOffsets, kEnd } state_ = kBegin;
  std::string key_;
  bool seen_metadata_ = false;
  std::unordered_set<std::string> names_;
};

}  // namespace

bool LooksLikeSafetensors(std::string_view bytes) {
  // The length of a header is at most 10^8, so a sane file has zeros in bytes 4-7 and '{' next. A
  // wrong length is left to the parser to report.
  return bytes.size() >= 9 && bytes[8] == '{';
}

TensorFile ParseSafetensors(std::string_view bytes) {
  if (bytes.size() < 10) throw ModelError("its safetensors header is cut off");
  const auto header_size = LoadLittle<uint64_t>(bytes, 0);
  if (header_size > kMaxHeader || header_size < 2 || header_size > bytes.size() - 8) {
    throw ModelError("its safetensors header claims " + std::to_string(header_size) +
                     " bytes, the file has " + std::to_string(bytes.size()) +
                     "; it is truncated or damaged");
  }
  const std::string_view header = bytes.substr(8, header_size);
  const std::string_view data = bytes.substr(8 + header_size);
  HeaderHandler handler;
  Json::sax_parse(header.begin(), header.end(), &handler);

  TensorFile file;
  file.format = "safetensors";
  file.metadata = std::move(handler.metadata);
  // Offsets must tile the data: sorted, each begins where the one before ends.
  std::vector<size_t> order(handler.entries.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return handler.entries[a].offsets < handler.entries[b].offsets;
  });
  uint64_t end = 0;
  for (size_t index : order) {
    const HeaderEntry& entry = handler.entries[index];
    const auto type = TypeFromName(entry.type);
    if (!type) {
      throw ModelError("tensor '" + Printable(entry.name) + "' has the type '" +
                       Printable(entry.type, 20) + "', which is not supported");
    }
    int64_t numel = 0;
    int64_t size = 0;
    if (!CheckedNumel(entry.shape, &numel) ||
        __builtin_mul_overflow(numel, static_cast<int64_t>(SizeOf(*type)), &size)) {
      throw ModelError("tensor '" + Printable(entry.name) + "' has an impossible shape " +
                       ShapeText(entry.shape));
    }
    if (entry.offsets[0] != end || entry.offsets[1] < end || entry.offsets[1] > data.size()) {
      throw ModelError("tensor '" + Printable(entry.name) + "' lies at bytes " +
                       std::to_string(entry.offsets[0]) + " to " +
                       std::to_string(entry.offsets[1]) + " of " + std::to_string(data.size()) +
                       "; the file is truncated, or its tensors overlap or leave gaps");
    }
    if (entry.offsets[1] - end != static_cast<uint64_t>(size)) {
      throw ModelError("tensor '" + Printable(entry.name) + "' of shape " + ShapeText(entry.shape) +
                       " and type " + entry.type + " needs " + std::to_string(size) +
                       " bytes, the header gives it " + std::to_string(entry.offsets[1] - end));
    }
    end = entry.offsets[1];
  }
  if (end != data.size()) {
    throw ModelError("it has " + std::to_string(data.size() - end) +
                     " bytes after its last tensor; it is damaged");
  }
  file.tensors.reserve(handler.entries.size());
  for (HeaderEntry& entry : handler.entries) {
    StoredTensor tensor;
    tensor.type = *TypeFromName(entry.type);
    tensor.shape = std::move(entry.shape);
    const auto* from = reinterpret_cast<const std::byte*>(data.data());
    tensor.data.assign(from + entry.offsets[0], from + entry.offsets[1]);
    CheckBooleans(entry.name, tensor);
    file.tensors.emplace_back(std::move(entry.name), std::move(tensor));
  }
  return file;
}

void WriteSafetensors(const TensorFile& file, const std::filesystem::path& path) {
  const auto refuse = [&](const std::string& name, const std::string& why) {
    throw ModelError("'" + path.string() + "' cannot be written: tensor '" + Printable(name) +
                     "' " + why);
  };
  // Wider types first: then each tensor begins at a multiple of its element size, which other
  // readers rely on to map tensors in place.
  std::vector<size_t> order(file.tensors.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return SizeOf(file.tensors[a].second.type) > SizeOf(file.tensors[b].second.type);
  });
  std::vector<uint64_t> begin(file.tensors.size());
  uint64_t end = 0;
  for (size_t index : order) {
    begin[index] = end;
    end += file.tensors[index].second.data.size();
  }

  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  // Entries are appended to the underlying sequence: looking each name up would be quadratic.
  auto& members = header.get_ref<nlohmann::ordered_json::object_t&>();
  if (!file.metadata.empty()) {
    for (const auto& [key, value] : file.metadata) {
      if (!IsUtf8(key) || !IsUtf8(value)) {
        throw ModelError("'" + path.string() + "' cannot be written: metadata '" + Printable(key) +
                         "' is not UTF-8");
      }
    }
    members.emplace_back("__metadata__", file.metadata);
  }
  std::unordered_set<std::string_view> names;
  for (size_t i = 0; i < file.tensors.size(); ++i) {
    const auto& [name, tensor] = file.tensors[i];
    if (!names.insert(name).second) refuse(name, "is listed twice");
    if (name.empty() || name == "__metadata__") refuse(name, "has a name that is reserved");
    if (!IsUtf8(name)) refuse(name, "has a name that is not UTF-8");
    int64_t numel = 0;
    if (!CheckedNumel(tensor.shape, &numel) ||
        static_cast<uint64_t>(numel) * SizeOf(tensor.type) != tensor.data.size()) {
      refuse(name, "has " + std::to_string(tensor.data.size()) + " bytes, which do not fit " +
                       ShapeText(tensor.shape) + " " + NameOf(tensor.type));
    }
    nlohmann::ordered_json entry;
    entry["dtype"] = NameOf(tensor.type);
    entry["shape"] = tensor.shape;
    entry["data_offsets"] = {begin[i], begin[i] + tensor.data.size()};
    members.emplace_back(name, std::move(entry));
  }
  std::string text = header.dump();
  text.append((8 - text.size() % 8) % 8, ' ');
  if (text.size() > kMaxHeader) {
    throw ModelError("'" + path.string() + "' cannot be written: its header would have " +
                     std::to_string(text.size()) + " bytes, more than the format allows");
  }

  io::AtomicFile out(path);
  const uint64_t length = text.size();
  out.Write(&length, sizeof length);
  out.Write(text);
  for (size_t index : order) {
    const auto& data = file.tensors[index].second.data;
    out.Write(data.data(), data.size());
  }
  out.Commit();
}

}  // namespace avocet::models
