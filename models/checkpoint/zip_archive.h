// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace avocet::models {

// A zip archive of stored (uncompressed) entries in memory, as torch.save writes it: zip64 records
// and data descriptors are understood (PKWARE APPNOTE 4.3-4.5). Sizes come from the central
// directory. Throws ModelError for anything that does not fit into the bytes given.
class ZipArchive {
 public:
  explicit ZipArchive(std::string_view bytes);

  // Entries by name, in no particular order. The views point into the bytes given.
  std::vector<std::string_view> Names() const;
  bool Has(std::string_view name) const { return entries_.count(name) != 0; }
  // Content of an entry; its CRC-32 is checked on the first call. Throws ModelError when absent.
  std::string_view Read(std::string_view name);

 private:
  struct Entry {
    std::string_view data;
    uint32_t crc = 0;
    bool checked = false;
  };
  std::unordered_map<std::string_view, Entry> entries_;
};

}  // namespace avocet::models
