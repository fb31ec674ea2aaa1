// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <unistd.h>

#include <cstdint>
#include <string>

#include "app/base/error.h"

namespace avocet::io {

// Throws IoError naming `name` when `bytes` are more than this machine has: Linux promises memory
// that is not there, and ends the process, or another one, when it is used.
inline void CheckMemory(uint64_t bytes, const std::string& name) {
  const long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
  if (pages <= 0 || page <= 0) return;
  const uint64_t there = static_cast<uint64_t>(pages) * static_cast<uint64_t>(page);
  if (bytes <= there) return;
  throw IoError("not enough memory to read '" + name + "': it asks for " +
                std::to_string(bytes >> 20) + " MB, and this machine has " +
                std::to_string(there >> 20) + "; crop it, or use a larger machine");
}

}  // namespace avocet::io
