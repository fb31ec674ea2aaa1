// SPDX-License-Identifier: Apache-2.0
// Bytes of checkpoint containers, well formed around a payload that need not be.
#pragma once

#include <zlib.h>

#include <cstdint>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

namespace avocet::test {

template <typename T>
std::string Little(T value) {
  std::string bytes(sizeof value, '\0');
  std::memcpy(bytes.data(), &value, sizeof value);
  return bytes;
}

struct ZipEntry {
  std::string name;
  std::string data;
  uint16_t method = 0;
  uint16_t flags = 0;
};

// A zip archive with right checksums.
inline std::string MakeZip(const std::vector<ZipEntry>& entries) {
  std::string bytes;
  std::string directory;
  for (const ZipEntry& entry : entries) {
    const auto crc =
        static_cast<uint32_t>(crc32(0, reinterpret_cast<const Bytef*>(entry.data.data()),
                                    static_cast<uInt>(entry.data.size())));
    const auto size = static_cast<uint32_t>(entry.data.size());
    const std::string common = Little<uint16_t>(entry.flags) + Little<uint16_t>(entry.method) +
                               Little<uint32_t>(0) + Little(crc) + Little(size) + Little(size) +
                               Little(static_cast<uint16_t>(entry.name.size())) +
                               Little<uint16_t>(0);
    directory += Little<uint32_t>(0x02014b50) + Little<uint16_t>(20) + Little<uint16_t>(20) +
                 common + Little<uint16_t>(0) + Little<uint16_t>(0) + Little<uint16_t>(0) +
                 Little<uint32_t>(0) + Little(static_cast<uint32_t>(bytes.size())) + entry.name;
    bytes += Little<uint32_t>(0x04034b50) + Little<uint16_t>(20) + common + entry.name + entry.data;
  }
  const auto count = static_cast<uint16_t>(entries.size());
  return bytes + directory + Little<uint32_t>(0x06054b50) + Little<uint32_t>(0) + Little(count) +
         Little(count) + Little(static_cast<uint32_t>(directory.size())) +
         Little(static_cast<uint32_t>(bytes.size())) + Little<uint16_t>(0);
}

// torch.save's zip container around a pickle, with storages of 96 bytes named "0", "1", ...
inline std::string MakeTorchZip(const std::string& pickle, int storages = 1) {
  std::vector<ZipEntry> entries{{"archive/data.pkl", pickle}, {"archive/version", "3\n"}};
  for (int i = 0; i < storages; ++i) {
    entries.push_back({"archive/data/" + std::to_string(i), std::string(96, '\x01')});
  }
  return MakeZip(entries);
}

// Pickle fragments (protocol 2), each leaving one value on the stack.
inline std::string PText(const std::string& text) {
  return "X" + Little(static_cast<uint32_t>(text.size())) + text;
}
inline std::string PInt(int64_t value) { return "\x8a\x08" + Little(value); }
inline std::string PTuple(const std::vector<std::string>& items) {
  std::string bytes = "(";
  for (const auto& item : items) bytes += item;
  return bytes + "t";
}
inline std::string PInts(const std::vector<int64_t>& values) {
  std::vector<std::string> items;
  for (const int64_t value : values) items.push_back(PInt(value));
  return PTuple(items);
}
inline std::string PGlobal(const std::string& module, const std::string& name) {
  return "c" + module + "\n" + name + "\n";
}
inline std::string PStorage(int64_t numel = 24, const std::string& key = "0",
                            const std::string& type = "FloatStorage") {
  return PTuple({PText("storage"), PGlobal("torch", type), PText(key), PText("cpu"), PInt(numel)}) +
         "Q";
}
inline std::string PTensor(const std::string& storage, int64_t offset,
                           const std::vector<int64_t>& shape, const std::vector<int64_t>& stride) {
  return PGlobal("torch._utils", "_rebuild_tensor_v2") +
         PTuple({storage, PInt(offset), PInts(shape), PInts(stride), "\x89", "}"}) + "R";
}
inline std::string PDict(const std::vector<std::pair<std::string, std::string>>& items) {
  std::string bytes = "}(";
  for (const auto& [name, value] : items) bytes += PText(name) + value;
  return bytes + "u";
}
inline std::string Pickle(const std::string& body) { return "\x80\x02" + body + "."; }

// A safetensors file of this header and data.
inline std::string MakeSafetensors(const std::string& header, const std::string& data) {
  return Little(static_cast<uint64_t>(header.size())) + header + data;
}

}  // namespace avocet::test
