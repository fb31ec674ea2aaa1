// SPDX-License-Identifier: Apache-2.0
#include "models/forward_options.h"

#include "app/base/error.h"

namespace avocet::models {

WkvMode WkvModeFromName(const std::string& name, WkvMode official) {
  if (name == "exact") return WkvMode::kExact;
  if (name == "official") return official;
  if (name == "official32") return WkvMode::kOfficial32;
  if (name == "official64") return WkvMode::kOfficial64;
  throw OptionError("the WKV mode is '" + name +
                    "'; it must be exact, official, official32 or official64");
}

const char* NameOf(WkvMode mode) {
  switch (mode) {
    case WkvMode::kExact:
      return "exact";
    case WkvMode::kOfficial32:
      return "official32";
    case WkvMode::kOfficial64:
      return "official64";
  }
  return "";
}

}  // namespace avocet::models
