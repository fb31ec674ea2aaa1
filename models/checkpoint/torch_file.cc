// SPDX-License-Identifier: Apache-2.0
// State dictionaries written by torch.save: the zip container (since PyTorch 1.6) and the bare
// pickle stream before it.
#include <algorithm>
#include <functional>
#include <unordered_map>
#include <unordered_set>

#include "app/base/error.h"
#include "models/checkpoint/pickle.h"
#include "models/checkpoint/readers.h"
#include "models/checkpoint/zip_archive.h"

namespace avocet::models {
namespace {

using Kind = PickleHeap::Kind;
using Ref = PickleHeap::Ref;
using Node = PickleHeap::Node;

// First pickle of a legacy file: the 10-byte integer 0x1950a86a20f9469cfc6c, behind PROTO 2, LONG1.
constexpr std::string_view kLegacyMagic("\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.",
                                        15);
constexpr int64_t kLegacyProtocol = 1001;
constexpr int kMaxNesting = 3;  // dictionaries around the state dictionary

// A storage as a tensor refers to it. `offset` and `numel` select the part that is a view of the
// whole (files older than PyTorch 0.4 have such views).
struct StorageId {
  StorageType type;
  std::string_view key;
  int64_t whole_numel = 0;
  int64_t offset = 0;
  int64_t numel = 0;
};

[[noreturn]] void BadStorage(const char* what) {
  throw ModelError(std::string("its pickle describes a storage wrongly (") + what +
                   "); copy or download it again");
}

// ('storage', torch.FloatStorage, key, location, numel[, view]); the location (a device) is
// ignored.
StorageId ReadStorageId(const PickleHeap& heap, Ref storage) {
  const Node& node = heap[storage];
  if (node.kind != Kind::kStorage || node.items.size() < 5) BadStorage("no persistent id");
  const Node& tag = heap[node.items[0]];
  if (tag.kind != Kind::kString || tag.text != "storage") {
    throw ModelError(
        "it holds a pickled module, not a state dictionary; save it again as "
        "torch.save(model.state_dict(), FILE)");
  }
  const Node& type = heap[node.items[1]];
  const Node& key = heap[node.items[2]];
  const Node& numel = heap[node.items[4]];
  StorageId id;
  const auto known = type.kind == Kind::kGlobal ? StorageTypeFromName(type.text) : std::nullopt;
  if (!known) BadStorage("unknown type");
  id.type = *known;
  if (key.kind != Kind::kString) BadStorage("key");
  id.key = key.text;
  if (numel.kind != Kind::kInt || numel.integer < 0) BadStorage("size");
  id.whole_numel = id.numel = numel.integer;
  if (node.items.size() >= 6 && heap[node.items[5]].kind == Kind::kTuple) {
    const Node& view = heap[node.items[5]];  // (key of the view, offset, size)
    if (view.items.size() != 3) BadStorage("view");
    const Node& offset = heap[view.items[1]];
    const Node& size = heap[view.items[2]];
    if (offset.kind != Kind::kInt || size.kind != Kind::kInt || offset.integer < 0 ||
        size.integer < 0 || offset.integer > id.whole_numel ||
        size.integer > id.whole_numel - offset.integer) {
      BadStorage("view");
    }
    id.offset = offset.integer;
    id.numel = size.integer;
  }
  return id;
}

std::vector<int64_t> ReadInts(const PickleHeap& heap, Ref tuple, const std::string& name) {
  const Node& node = heap[tuple];
  if ((node.kind != Kind::kTuple && node.kind != Kind::kList) || node.items.size() > kMaxRank) {
    throw ModelError("tensor '" + Printable(name) + "' has a malformed shape or stride");
  }
  std::vector<int64_t> values;
  for (const Ref item : node.items) {
    if (heap[item].kind != Kind::kInt || heap[item].integer < 0) {
      throw ModelError("tensor '" + Printable(name) + "' has a malformed shape or stride");
    }
    values.push_back(heap[item].integer);
  }
  return values;
}

// Copies a strided view into contiguous memory, in blocks along the last dimension.
void CopyView(const std::byte* base, size_t element, const std::vector<int64_t>& shape,
              const std::vector<int64_t>& stride, std::vector<std::byte>& out) {
  if (shape.empty()) {
    out.assign(base, base + element);
    return;
  }
  // How many trailing dimensions are contiguous: they are copied at once.
  int64_t block = 1;
  size_t outer = shape.size();
  while (outer > 0 && (shape[outer - 1] == 1 || stride[outer - 1] == block)) {
    block *= shape[--outer];
  }
  const size_t block_bytes = static_cast<size_t>(block) * element;
  if (outer == 0) {
    out.assign(base, base + block_bytes);
    return;
  }
  int64_t blocks = 1;
  for (size_t d = 0; d < outer; ++d) blocks *= shape[d];
  out.resize(static_cast<size_t>(blocks) * block_bytes);
  std::vector<int64_t> index(outer, 0);
  int64_t position = 0;
  std::byte* to = out.data();
  for (int64_t i = 0; i < blocks; ++i) {
    std::memcpy(to, base + static_cast<size_t>(position) * element, block_bytes);
    to += block_bytes;
    for (size_t d = outer; d-- > 0;) {
      position += stride[d];
      if (++index[d] < shape[d]) break;
      position -= stride[d] * shape[d];
      index[d] = 0;
    }
  }
}

// Gives the bytes of a storage, whose size has been checked against the id.
using StorageReader = std::function<std::string_view(const StorageId&)>;

class StateReader {
 public:
  StateReader(const PickleHeap& heap, StorageReader read_storage, size_t file_size)
      : heap_(heap),
        read_storage_(std::move(read_storage)),
        // Views may repeat elements (stride 0, or many views of one storage), so a small file could
        // ask for any amount of memory. Real checkpoints stay near 1.
        budget_(file_size * 64 + (size_t{1} << 20)) {}

  void Read(Ref root, TensorFile& file) {
    const Ref dict = FindState(root, file);
    const std::vector<Ref>& items = heap_[dict].items;
    std::unordered_set<std::string_view> names;
    std::vector<std::string> skipped;
    size_t skipped_count = 0;
    for (size_t i = 0; i + 1 < items.size(); i += 2) {
      const Node& key = heap_[items[i]];
      const Node& value = heap_[items[i + 1]];
      if (value.kind != Kind::kTensor || key.kind != Kind::kString) {
        ++skipped_count;
        if (skipped.size() < 5) {
          skipped.push_back(key.kind == Kind::kString ? Printable(key.text) : "(key is no string)");
        }
        continue;
      }
      if (!IsUtf8(key.text) || key.text.empty()) {
        throw ModelError("a tensor's name is empty or not UTF-8: '" + Printable(key.text) + "'");
      }
      if (!names.insert(key.text).second) {
        throw ModelError("the tensor '" + Printable(key.text) + "' is there twice");
      }
      std::string name(key.text);
      StoredTensor tensor = ReadTensor(name, value);
      file.tensors.emplace_back(std::move(name), std::move(tensor));
    }
    if (skipped_count > 0) {
      std::string note = std::to_string(skipped_count) + " entries that are no tensors left out: ";
      for (size_t i = 0; i < skipped.size(); ++i) note += (i ? ", " : "") + skipped[i];
      if (skipped_count > skipped.size()) note += ", ...";
      file.notes.push_back(std::move(note));
    }
  }

 private:
  bool HoldsTensors(Ref ref) const {
    const Node& node = heap_[ref];
    if (node.kind != Kind::kDict) return false;
    for (size_t i = 0; i + 1 < node.items.size(); i += 2) {
      if (heap_[node.items[i]].kind == Kind::kString &&
          heap_[node.items[i + 1]].kind == Kind::kTensor) {
        return true;
      }
    }
    return false;
  }

  // The dictionary of tensors: the value under a customary key, else the root itself, else the only
  // value that is one.
  Ref FindState(Ref root, TensorFile& file) const {
    static constexpr std::string_view kWrappers[] = {
        "state_dict", "model_state_dict", "model_state", "model",  "network",
        "net",        "weights",          "params",      "module", "ema"};
    Ref current = root;
    for (int depth = 0; depth < kMaxNesting; ++depth) {
      const Node& node = heap_[current];
      if (node.kind == Kind::kTensor) {
        throw ModelError("it holds one bare tensor, not a state dictionary");
      }
      if (node.kind != Kind::kDict) break;
      Ref next = current;
      for (const std::string_view wrapper : kWrappers) {
        for (size_t i = 0; i + 1 < node.items.size() && next == current; i += 2) {
          const Node& key = heap_[node.items[i]];
          const Ref value = node.items[i + 1];
          if (key.kind == Kind::kString && key.text == wrapper && HoldsTensors(value)) {
            next = value;
            file.notes.push_back("state dictionary found under the key '" + std::string(wrapper) +
                                 "'");
          }
        }
      }
      if (next != current) return next;
      if (HoldsTensors(current)) return current;
      size_t dictionaries = 0;
      for (size_t i = 0; i + 1 < node.items.size(); i += 2) {
        if (heap_[node.items[i + 1]].kind != Kind::kDict) continue;
        if (heap_[node.items[i + 1]].items.empty()) continue;
        ++dictionaries;
        next = node.items[i + 1];
      }
      if (dictionaries != 1) break;
      current = next;
    }
    if (HoldsTensors(current)) return current;
    throw ModelError(
        "it holds no dictionary of tensors; save the model as "
        "torch.save(model.state_dict(), FILE)");
  }

  StoredTensor ReadTensor(const std::string& name, const Node& node) {
    const StorageId id = ReadStorageId(heap_, node.items[0]);
    if (!id.type.type) {
      throw ModelError("tensor '" + Printable(name) +
                       "' has a complex, quantised or untyped storage, which is not supported");
    }
    StoredTensor tensor;
    tensor.type = *id.type.type;
    tensor.shape = ReadInts(heap_, node.items[2], name);
    const std::vector<int64_t> stride = ReadInts(heap_, node.items[3], name);
    const Node& offset = heap_[node.items[1]];
    int64_t numel = 0;
    if (stride.size() != tensor.shape.size() || offset.kind != Kind::kInt || offset.integer < 0 ||
        !CheckedNumel(tensor.shape, &numel)) {
      throw ModelError("tensor '" + Printable(name) + "' has a malformed shape or stride");
    }
    if (numel == 0) return tensor;
    int64_t last = offset.integer;
    for (size_t d = 0; d < stride.size(); ++d) {
      int64_t reach = 0;
      if (__builtin_mul_overflow(tensor.shape[d] - 1, stride[d], &reach) ||
          __builtin_add_overflow(last, reach, &last)) {
        last = INT64_MAX;
        break;
      }
    }
    if (last >= id.numel) {
      throw ModelError("tensor '" + Printable(name) + "' of shape " + ShapeText(tensor.shape) +
                       " reaches beyond its storage of " + std::to_string(id.numel) +
                       " elements; the file is damaged");
    }
    const size_t element = id.type.element_size;
    if (static_cast<uint64_t>(numel) > budget_ / element) {
      throw ModelError("its tensors would take more than 64 times the size of the file; tensor '" +
                       Printable(name) + "' has the shape " + ShapeText(tensor.shape));
    }
    budget_ -= static_cast<size_t>(numel) * element;
    const std::string_view storage = read_storage_(id);
    const auto* base = reinterpret_cast<const std::byte*>(storage.data()) +
                       static_cast<size_t>(id.offset + offset.integer) * element;
    CopyView(base, element, tensor.shape, stride, tensor.data);
    CheckBooleans(name, tensor);
    return tensor;
  }

  const PickleHeap& heap_;
  StorageReader read_storage_;
  size_t budget_;
};

// Bytes that a storage must have; false on overflow.
bool StorageBytes(const StorageId& id, uint64_t* bytes) {
  return !__builtin_mul_overflow(static_cast<uint64_t>(id.whole_numel),
                                 static_cast<uint64_t>(id.type.element_size), bytes);
}

}  // namespace

TensorFile ParseTorchZip(std::string_view bytes) {
  ZipArchive archive(bytes);
  // All entries lie in one folder named after the file.
  static constexpr std::string_view kPickle = "/data.pkl";
  std::string root;
  for (const std::string_view name : archive.Names()) {
    if (name.size() > kPickle.size() && name.substr(name.size() - kPickle.size()) == kPickle &&
        name.find('/') == name.size() - kPickle.size()) {
      if (!root.empty())
        throw ModelError("its zip container holds two pickles; which one is meant?");
      root = std::string(name.substr(0, name.size() - kPickle.size()));
    }
  }
  if (root.empty()) {
    throw ModelError("it is a zip archive without a PyTorch state dictionary (no data.pkl)");
  }
  if (archive.Has(root + "/constants.pkl")) {
    throw ModelError(
        "it is a TorchScript archive, which holds code; save the model as "
        "torch.save(model.state_dict(), FILE)");
  }
  if (archive.Has(root + "/byteorder") && archive.Read(root + "/byteorder") != "little") {
    throw ModelError("it was written on a big-endian machine, which is not supported");
  }
  PickleHeap heap;
  size_t at = 0;
  const Ref state = heap.Load(archive.Read(root + "/data.pkl"), &at);
  const auto read_storage = [&](const StorageId& id) {
    const std::string_view data = archive.Read(root + "/data/" + std::string(id.key));
    uint64_t expected = 0;
    if (!StorageBytes(id, &expected) || expected != data.size()) {
      throw ModelError("storage '" + Printable(id.key) + "' has " + std::to_string(data.size()) +
                       " bytes, not the " + std::to_string(id.whole_numel) + " elements of " +
                       std::to_string(id.type.element_size) + " bytes that the pickle claims");
    }
    return data;
  };
  TensorFile file;
  file.format = "torch zip";
  StateReader(heap, read_storage, bytes.size()).Read(state, file);
  return file;
}

bool LooksLikeTorchLegacy(std::string_view bytes) {
  return bytes.substr(0, kLegacyMagic.size()) == kLegacyMagic;
}

TensorFile ParseTorchLegacy(std::string_view bytes) {
  PickleHeap heap;
  size_t at = kLegacyMagic.size();
  const Ref protocol = heap.Load(bytes, &at);
  if (heap[protocol].kind != Kind::kInt || heap[protocol].integer != kLegacyProtocol) {
    throw ModelError("its PyTorch format version is unknown");
  }
  const Ref system = heap.Load(bytes, &at);
  const auto& facts = heap[system].items;
  for (size_t i = 0; i + 1 < facts.size(); i += 2) {
    if (heap[facts[i]].text == "little_endian" && heap[facts[i + 1]].integer != 1) {
      throw ModelError("it was written on a big-endian machine, which is not supported");
    }
  }
  const Ref state = heap.Load(bytes, &at);
  const auto used_nodes = heap.size();
  const Ref keys = heap.Load(bytes, &at);
  if (heap[keys].kind != Kind::kList) throw ModelError("its list of storages is missing");

  // The data of a storage do not say how wide an element is: that stands where it is used.
  std::unordered_map<std::string_view, size_t> element_sizes;
  for (Ref ref = 0; ref < used_nodes; ++ref) {
    if (heap[ref].kind != Kind::kStorage) continue;
    const StorageId id = ReadStorageId(heap, ref);
    const auto [found, fresh] = element_sizes.emplace(id.key, id.type.element_size);
    if (!fresh && found->second != id.type.element_size) BadStorage("two types");
  }
  std::unordered_map<std::string_view, std::string_view> storages;
  for (const Ref item : heap[keys].items) {
    const std::string_view key = heap[item].text;
    const auto size = element_sizes.find(key);
    if (heap[item].kind != Kind::kString || size == element_sizes.end()) BadStorage("unknown key");
    if (bytes.size() - at < 8) throw ModelError("it ends inside its data; it is truncated");
    const auto numel = LoadLittle<uint64_t>(bytes, at);
    at += 8;
    if (numel > (bytes.size() - at) / size->second) {
      throw ModelError("storage '" + Printable(key) + "' claims " + std::to_string(numel) +
                       " elements, more than the file holds; it is truncated or damaged");
    }
    const std::string_view data = bytes.substr(at, numel * size->second);
    at += data.size();
    if (!storages.emplace(key, data).second) BadStorage("twice in the list");
  }
  const auto read_storage = [&](const StorageId& id) {
    const auto found = storages.find(id.key);
    uint64_t expected = 0;
    if (found == storages.end() || !StorageBytes(id, &expected) ||
        expected != found->second.size()) {
      throw ModelError("storage '" + Printable(id.key) +
                       "' is missing or has another size than the pickle claims");
    }
    return found->second;
  };
  TensorFile file;
  file.format = "torch legacy";
  StateReader(heap, read_storage, bytes.size()).Read(state, file);
  return file;
}

}  // namespace avocet::models
