// SPDX-License-Identifier: Apache-2.0
#include "models/checkpoint/pickle.h"

#include <cstdio>
#include <string>
#include <utility>

#include "app/base/error.h"
#include "models/checkpoint/readers.h"

namespace avocet::models {
namespace {

using Ref = PickleHeap::Ref;
using Kind = PickleHeap::Kind;
using GlobalKind = PickleHeap::GlobalKind;
using Node = PickleHeap::Node;

// A network of 10,000 tensors with optimizer state makes about half a million values.
constexpr size_t kMaxNodes = 4'000'000;
// No known constructor takes more; the bound keeps repeated calls with one huge tuple cheap.
constexpr size_t kMaxArguments = 16;

struct KnownGlobal {
  std::string_view module;
  std::string_view name;
  GlobalKind kind;
};

// Everything a checkpoint may refer to. Opaque ones appear in training checkpoints beside the
// weights; their content is skipped.
constexpr KnownGlobal kGlobals[] = {
    {"collections", "OrderedDict", GlobalKind::kDict},
    {"collections", "defaultdict", GlobalKind::kDict},
    {"collections", "Counter", GlobalKind::kDict},
    {"builtins", "dict", GlobalKind::kDict},
    {"__builtin__", "dict", GlobalKind::kDict},
    {"torch", "Size", GlobalKind::kTuple},
    {"torch._utils", "_rebuild_tensor", GlobalKind::kTensor},
    {"torch._utils", "_rebuild_tensor_v2", GlobalKind::kTensor},
    {"torch._utils", "_rebuild_parameter", GlobalKind::kParameter},
    {"torch._utils", "_rebuild_parameter_with_state", GlobalKind::kParameter},
    {"argparse", "Namespace", GlobalKind::kOpaque},
    {"builtins", "set", GlobalKind::kOpaque},
    {"__builtin__", "set", GlobalKind::kOpaque},
    {"_codecs", "encode", GlobalKind::kOpaque},
    {"numpy", "dtype", GlobalKind::kOpaque},
    {"numpy", "ndarray", GlobalKind::kOpaque},
    {"numpy.core.multiarray", "scalar", GlobalKind::kOpaque},
    {"numpy.core.multiarray", "_reconstruct", GlobalKind::kOpaque},
    {"numpy._core.multiarray", "scalar", GlobalKind::kOpaque},
    {"numpy._core.multiarray", "_reconstruct", GlobalKind::kOpaque},
    {"pathlib", "PosixPath", GlobalKind::kOpaque},
    {"torch", "device", GlobalKind::kOpaque},
    {"torch", "float64", GlobalKind::kOpaque},
    {"torch", "float32", GlobalKind::kOpaque},
    {"torch", "float16", GlobalKind::kOpaque},
    {"torch", "bfloat16", GlobalKind::kOpaque},
};

[[noreturn]] void Malformed(const char* what) {
  throw ModelError(std::string("its pickle is malformed (") + what +
                   "); copy or download it again");
}

}  // namespace

std::optional<StorageType> StorageTypeFromName(std::string_view name) {
  static constexpr std::pair<std::string_view, TensorType> kTypes[] = {
      {"DoubleStorage", TensorType::kFloat64}, {"FloatStorage", TensorType::kFloat32},
      {"HalfStorage", TensorType::kFloat16},   {"BFloat16Storage", TensorType::kBFloat16},
      {"LongStorage", TensorType::kInt64},     {"IntStorage", TensorType::kInt32},
      {"ShortStorage", TensorType::kInt16},    {"CharStorage", TensorType::kInt8},
      {"ByteStorage", TensorType::kUInt8},     {"BoolStorage", TensorType::kBool}};
  for (const auto& [known, type] : kTypes) {
    if (name == known) return StorageType{type, SizeOf(type)};
  }
  static constexpr std::pair<std::string_view, size_t> kOthers[] = {
      {"ComplexDoubleStorage", 16}, {"ComplexFloatStorage", 8}, {"QInt32Storage", 4},
      {"QInt8Storage", 1},          {"QUInt8Storage", 1},       {"UntypedStorage", 1}};
  for (const auto& [known, size] : kOthers) {
    if (name == known) return StorageType{std::nullopt, size};
  }
  return std::nullopt;
}

// The stack machine of one pickle.
class PickleMachine {
 public:
  PickleMachine(std::vector<Node>& nodes, std::string_view bytes, size_t at)
      : nodes_(nodes), bytes_(bytes), at_(at) {}

  Ref Run() {
    while (!Step()) {
    }
    return Pop();
  }
  size_t at() const { return at_; }

 private:
  std::string_view Take(size_t size) {
    if (size > bytes_.size() - at_) Malformed("it ends early");
    const std::string_view taken = bytes_.substr(at_, size);
    at_ += size;
    return taken;
  }
  template <typename T>
  T TakeNumber() {
    return LoadLittle<T>(Take(sizeof(T)), 0);
  }
  std::string_view TakeLine() {
    const size_t end = bytes_.find('\n', at_);
    if (end == std::string_view::npos) Malformed("a line without end");
    const std::string_view line = bytes_.substr(at_, end - at_);
    at_ = end + 1;
    return line;
  }

  Ref Make(Kind kind) {
    if (nodes_.size() >= kMaxNodes) {
      throw ModelError("its pickle has more than " + std::to_string(kMaxNodes) + " values");
    }
    nodes_.emplace_back();
    nodes_.back().kind = kind;
    return static_cast<Ref>(nodes_.size() - 1);
  }
  void Push(Ref ref) { stack_.push_back(ref); }
  Ref PushNew(Kind kind) {
    const Ref ref = Make(kind);
    Push(ref);
    return ref;
  }
  void PushInt(int64_t value) { nodes_[PushNew(Kind::kInt)].integer = value; }
  void PushText(Kind kind, std::string_view text) { nodes_[PushNew(kind)].text = text; }

  // The part of the stack that belongs to the innermost MARK.
  size_t Floor() const { return marks_.empty() ? 0 : marks_.back(); }
  Ref Pop() {
    if (stack_.size() <= Floor()) Malformed("stack underflow");
    const Ref ref = stack_.back();
    stack_.pop_back();
    return ref;
  }
  Ref Top() const {
    if (stack_.size() <= Floor()) Malformed("stack underflow");
    return stack_.back();
  }
  std::vector<Ref> PopToMark() {
    if (marks_.empty()) Malformed("no mark");
    std::vector<Ref> items(stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back()),
                           stack_.end());
    stack_.resize(marks_.back());
    marks_.pop_back();
    return items;
  }

  void MakeTuple(size_t count) {
    std::vector<Ref> items(count);
    for (size_t i = count; i-- > 0;) items[i] = Pop();
    nodes_[PushNew(Kind::kTuple)].items = std::move(items);
  }
  void Append(Ref container, const Ref* items, size_t count) {
    Node& node = nodes_[container];
    if (node.kind == Kind::kOpaque) return;
    if (node.kind != Kind::kList) Malformed("append to something that is no list");
    node.items.insert(node.items.end(), items, items + count);
  }
  void SetItems(Ref container, const std::vector<Ref>& items) {
    Node& node = nodes_[container];
    if (node.kind == Kind::kOpaque) return;
    if (node.kind != Kind::kDict) Malformed("set item in something that is no dictionary");
    if (items.size() % 2 != 0) Malformed("a key without value");
    node.items.insert(node.items.end(), items.begin(), items.end());
  }

  void PushGlobal(std::string_view module, std::string_view name) {
    std::optional<GlobalKind> kind;
    for (const KnownGlobal& known : kGlobals) {
      if (known.module == module && known.name == name) kind = known.kind;
    }
    if ((module == "torch" || module == "torch.storage" || module == "torch.cuda") &&
        StorageTypeFromName(name)) {
      kind = GlobalKind::kStorageType;
    }
    if (!kind) {
      throw ModelError("its pickle refers to '" + Printable(module) + "." + Printable(name) +
                       "', which a state dictionary has no need of; it was refused and nothing was "
                       "executed. Save the model as torch.save(model.state_dict(), FILE)");
    }
    Node& node = nodes_[PushNew(Kind::kGlobal)];
    node.integer = static_cast<int64_t>(*kind);
    node.text = name;
  }

  // A call, understood by the name of what would be called.
  void Reduce(Ref callee, Ref arguments) {
    if (nodes_[callee].kind != Kind::kGlobal) Malformed("a call of something that has no name");
    if (nodes_[arguments].kind != Kind::kTuple) Malformed("a call without arguments");
    const auto kind = static_cast<GlobalKind>(nodes_[callee].integer);
    if (kind == GlobalKind::kOpaque) {
      PushNew(Kind::kOpaque);
      return;
    }
    // Arguments are copied, because making values moves the arena.
    if (nodes_[arguments].items.size() > kMaxArguments) Malformed("a call with many arguments");
    const std::vector<Ref> values = nodes_[arguments].items;
    switch (kind) {
      case GlobalKind::kDict: {
        const Ref dict = PushNew(Kind::kDict);
        // Python 2 passes the items of an OrderedDict as a list of pairs.
        for (const Ref value : values) {
          if (nodes_[value].kind != Kind::kList) continue;
          copied_items_ += nodes_[value].items.size();
          if (copied_items_ > kMaxNodes) Malformed("too many dictionaries made of one list");
          for (const Ref pair : nodes_[value].items) {
            if (nodes_[pair].items.size() != 2)
              Malformed("a dictionary of items that are no pairs");
            SetItems(dict, nodes_[pair].items);
          }
        }
        return;
      }
      case GlobalKind::kTuple:
        if (values.size() != 1) Malformed("torch.Size without sizes");
        Push(values[0]);
        return;
      case GlobalKind::kTensor: {
        if (values.size() < 4) Malformed("a tensor with too few arguments");
        nodes_[PushNew(Kind::kTensor)].items.assign(values.begin(), values.begin() + 4);
        return;
      }
      case GlobalKind::kParameter:
        if (values.empty()) Malformed("a parameter without data");
        Push(values[0]);
        return;
      case GlobalKind::kStorageType:
        Malformed("a storage is constructed in place");
      case GlobalKind::kOpaque:
        break;
    }
    Malformed("unknown call");
  }

  void Memoize(uint32_t index) { memo_[index] = Top(); }
  void Recall(uint32_t index) {
    const auto found = memo_.find(index);
    if (found == memo_.end()) Malformed("an unknown memo entry");
    Push(found->second);
  }

  void PushLong(std::string_view digits) {
    if (digits.size() <= 8) {
      uint64_t value = 0;
      for (size_t i = 0; i < digits.size(); ++i) {
        value |= static_cast<uint64_t>(static_cast<unsigned char>(digits[i])) << (8 * i);
      }
      const size_t bits = digits.size() * 8;
      if (bits > 0 && bits < 64 && (value >> (bits - 1)) & 1) value |= ~uint64_t{0} << bits;
      PushInt(static_cast<int64_t>(value));
    } else {
      PushText(Kind::kBigInt, digits);
    }
  }

  bool Step();

  std::vector<Node>& nodes_;
  std::string_view bytes_;
  size_t at_;
  std::vector<Ref> stack_;
  std::vector<size_t> marks_;
  std::unordered_map<uint32_t, Ref> memo_;
  size_t copied_items_ = 0;
};

// One opcode; true at STOP. Letters are those of the pickle protocol (Python's pickletools).
bool PickleMachine::Step() {
  const auto opcode = TakeNumber<uint8_t>();
  switch (opcode) {
    case 0x80: {  // PROTO
      const auto protocol = TakeNumber<uint8_t>();
      if (protocol < 2 || protocol > 5) Malformed("unknown protocol");
      return false;
    }
    case 0x95:
      TakeNumber<uint64_t>();
      return false;  // FRAME
    case '.':
      return true;  // STOP
    case '(':
      marks_.push_back(stack_.size());
      return false;
    case '0':  // POP
      if (stack_.size() == Floor() && !marks_.empty()) {
        marks_.pop_back();
      } else {
        Pop();
      }
      return false;
    case '1':
      PopToMark();
      return false;
    case '2':
      Push(Top());
      return false;  // DUP

    case 'N':
      PushNew(Kind::kNone);
      return false;
    case 0x88:
      nodes_[PushNew(Kind::kBool)].integer = 1;
      return false;
    case 0x89:
      PushNew(Kind::kBool);
      return false;
    case 'J':
      PushInt(TakeNumber<int32_t>());
      return false;
    case 'K':
      PushInt(TakeNumber<uint8_t>());
      return false;
    case 'M':
      PushInt(TakeNumber<uint16_t>());
      return false;
    case 0x8a:
      PushLong(Take(TakeNumber<uint8_t>()));
      return false;  // LONG1
    case 0x8b:
      PushLong(Take(TakeNumber<uint32_t>()));
      return false;  // LONG4
    case 'G': {      // BINFLOAT, big-endian
      uint64_t bits = __builtin_bswap64(TakeNumber<uint64_t>());
      double value;
      std::memcpy(&value, &bits, sizeof value);
      nodes_[PushNew(Kind::kFloat)].real = value;
      return false;
    }
    case 'X':
      PushText(Kind::kString, Take(TakeNumber<uint32_t>()));
      return false;
    case 0x8c:
      PushText(Kind::kString, Take(TakeNumber<uint8_t>()));
      return false;
    case 0x8d:
      PushText(Kind::kString, Take(TakeNumber<uint64_t>()));
      return false;
    case 'U':
      PushText(Kind::kString, Take(TakeNumber<uint8_t>()));
      return false;
    case 'T':
      PushText(Kind::kString, Take(TakeNumber<uint32_t>()));
      return false;
    case 'C':
      PushText(Kind::kBytes, Take(TakeNumber<uint8_t>()));
      return false;
    case 'B':
      PushText(Kind::kBytes, Take(TakeNumber<uint32_t>()));
      return false;
    case 0x8e:
      PushText(Kind::kBytes, Take(TakeNumber<uint64_t>()));
      return false;

    case ')':
      PushNew(Kind::kTuple);
      return false;
    case 0x85:
      MakeTuple(1);
      return false;
    case 0x86:
      MakeTuple(2);
      return false;
    case 0x87:
      MakeTuple(3);
      return false;
    case 't': {
      std::vector<Ref> items = PopToMark();
      nodes_[PushNew(Kind::kTuple)].items = std::move(items);
      return false;
    }
    case ']':
      PushNew(Kind::kList);
      return false;
    case 'a': {
      const Ref item = Pop();
      Append(Top(), &item, 1);
      return false;
    }
    case 'e': {
      const std::vector<Ref> items = PopToMark();
      Append(Top(), items.data(), items.size());
      return false;
    }
    case '}':
      PushNew(Kind::kDict);
      return false;
    case 's': {
      const Ref value = Pop();
      const Ref key = Pop();
      SetItems(Top(), {key, value});
      return false;
    }
    case 'u': {
      const std::vector<Ref> items = PopToMark();
      SetItems(Top(), items);
      return false;
    }
    case 0x8f:
      PushNew(Kind::kOpaque);
      return false;  // EMPTY_SET
    case 0x90: {     // ADDITEMS
      const std::vector<Ref> items = PopToMark();
      Append(Top(), items.data(), items.size());
      return false;
    }
    case 0x91:
      PopToMark();
      PushNew(Kind::kOpaque);
      return false;  // FROZENSET

    case 'q':
      Memoize(TakeNumber<uint8_t>());
      return false;
    case 'r':
      Memoize(TakeNumber<uint32_t>());
      return false;
    case 0x94:
      Memoize(static_cast<uint32_t>(memo_.size()));
      return false;
    case 'h':
      Recall(TakeNumber<uint8_t>());
      return false;
    case 'j':
      Recall(TakeNumber<uint32_t>());
      return false;

    case 'c': {
      const std::string_view module = TakeLine();
      PushGlobal(module, TakeLine());
      return false;
    }
    case 0x93: {  // STACK_GLOBAL
      const Ref name = Pop();
      const Ref module = Pop();
      if (nodes_[name].kind != Kind::kString || nodes_[module].kind != Kind::kString) {
        Malformed("a global without name");
      }
      PushGlobal(nodes_[module].text, nodes_[name].text);
      return false;
    }
    case 'R':
    case 0x81: {  // REDUCE; NEWOBJ calls cls.__new__
      const Ref arguments = Pop();
      Reduce(Pop(), arguments);
      return false;
    }
    case 'b':  // BUILD: the object's attributes (`_metadata` of a state dictionary) are not needed
      Pop();
      Top();
      return false;
    case 'Q': {  // BINPERSID
      const Ref id = Pop();
      if (nodes_[id].kind != Kind::kTuple || nodes_[id].items.size() > kMaxArguments) {
        Malformed("an odd persistent id");
      }
      std::vector<Ref> items = nodes_[id].items;
      nodes_[PushNew(Kind::kStorage)].items = std::move(items);
      return false;
    }
    default: {
      char text[8];
      std::snprintf(text, sizeof text, "0x%02x", opcode);
      throw ModelError(std::string("its pickle has the opcode ") + text + " at byte " +
                       std::to_string(at_ - 1) +
                       ", which checkpoints do not use; it is damaged or no state dictionary");
    }
  }
}

PickleHeap::Ref PickleHeap::Load(std::string_view bytes, size_t* at) {
  PickleMachine machine(nodes_, bytes, *at);
  const Ref root = machine.Run();
  *at = machine.at();
  return root;
}

}  // namespace avocet::models
