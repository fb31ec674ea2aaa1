// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <unistd.h>

#include <cstdint>
#include <fstream>
#include <string>

#include "app/base/error.h"

namespace avocet::io {

// Memory that can be taken without swapping; 0 when unknown.
inline uint64_t FreeMemory() {
  std::ifstream in("/proc/meminfo");
  std::string key;
  uint64_t kilobytes = 0;
  std::string rest;
  while (in >> key >> kilobytes && std::getline(in, rest)) {
    if (key == "MemAvailable:") return kilobytes * 1024;
  }
  const long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
  return pages <= 0 || page <= 0 ? 0 : static_cast<uint64_t>(pages) * static_cast<uint64_t>(page);
}

// Throws IoError naming `name` when `bytes` are more than this machine has free: Linux promises
// memory that is not there, and ends the process, or another one, when it is used.
inline void CheckMemory(uint64_t bytes, const std::string& name) {
  if (bytes < uint64_t{64} << 20) return;  // not worth asking
  const uint64_t there = FreeMemory();
  if (there == 0 || bytes <= there) return;
  throw IoError("not enough memory to read '" + name + "': it asks for " +
                std::to_string(bytes >> 20) + " MB, and " + std::to_string(there >> 20) +
                " MB are free; close other programs, crop it, or use a larger machine");
}

// The same of what is packed, with `most` bytes at the packing's extreme. It is unpacked into
// memory that grows, half as much again at its worst. Over 1 GB that come near the extreme are an
// empty image or, more likely, meant to exhaust the machine.
inline void CheckUnpacked(uint64_t bytes, uint64_t most, const std::string& name) {
  if (bytes > uint64_t{1} << 30 && bytes > most / 2) {
    throw IoError("cannot read '" + name + "': it would unpack to " + std::to_string(bytes >> 20) +
                  " MB, over 500 times its size, as no image with something in it does; if it is "
                  "to be trusted, unpack it first");
  }
  CheckMemory(bytes + bytes / 2, name);
}

}  // namespace avocet::io
