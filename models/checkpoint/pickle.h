// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "models/checkpoint/tensor_file.h"

namespace avocet::models {

// A reader of the pickle subset that PyTorch checkpoints use (protocols 2 to 4). It builds plain
// data and calls nothing: the few constructors that state dictionaries refer to are recognised by
// name, a short list of harmless ones (argparse.Namespace, NumPy scalars) yields an opaque value,
// and every other name is refused.
//
// Values live in one arena and refer to each other by index, so that shared and even cyclic
// structures need neither recursion nor reference counts. Each opcode makes at most one value:
// memory is linear in the bytes read, and the number of values is bounded.
class PickleHeap {
 public:
  using Ref = uint32_t;

  enum class Kind : uint8_t {
    kNone,
    kBool,     // integer
    kInt,      // integer
    kBigInt,   // text: little-endian two's complement
    kFloat,    // real
    kString,   // text (UTF-8 as in the file, not checked)
    kBytes,    // text
    kTuple,    // items
    kList,     // items
    kDict,     // items: key, value, key, value, ...
    kGlobal,   // integer: GlobalKind; text: module and name
    kStorage,  // items: the persistent id's tuple
    kTensor,   // items: storage, offset, size, stride
    kOpaque    // something that is not needed
  };

  enum class GlobalKind : uint8_t {
    kDict,         // OrderedDict, defaultdict, dict
    kTuple,        // torch.Size
    kTensor,       // torch._utils._rebuild_tensor, _rebuild_tensor_v2
    kParameter,    // torch._utils._rebuild_parameter
    kStorageType,  // torch.FloatStorage, ...
    kOpaque
  };

  struct Node {
    Kind kind = Kind::kNone;
    int64_t integer = 0;
    double real = 0;
    std::string_view text;
    std::vector<Ref> items;
  };

  const Node& operator[](Ref ref) const { return nodes_[ref]; }
  Ref size() const { return static_cast<Ref>(nodes_.size()); }

  // Reads one pickle that begins at `*at` and moves `*at` behind its STOP. Views point into
  // `bytes`. Throws ModelError; names the global when one is refused.
  Ref Load(std::string_view bytes, size_t* at);

 private:
  friend class PickleMachine;
  std::vector<Node> nodes_;
};

// What a torch storage class holds. `type` is empty for types that Avocet has no use for (complex,
// quantised); element_size is right for them too.
struct StorageType {
  std::optional<TensorType> type;
  size_t element_size = 0;
};
// "FloatStorage" -> {kFloat32, 4}; nothing for unknown names.
std::optional<StorageType> StorageTypeFromName(std::string_view name);

}  // namespace avocet::models
