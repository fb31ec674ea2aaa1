// SPDX-License-Identifier: Apache-2.0
#include "app/core/device.h"

#include <algorithm>
#include <cctype>

namespace avocet::core {

std::string DeviceRequest::Check() const {
  if (threads < 0)
    return "--threads is " + std::to_string(threads) + "; it must be 0 (all) or more";
  if (graph && text == "cpu") return "--cuda-graph needs a GPU; leave it out, or add --device cuda";
  if (text == "auto" || text == "cpu" || text == "cuda") return "";
  const std::string prefix = "cuda:";
  const bool numbered = text.rfind(prefix, 0) == 0 && text.size() > prefix.size() &&
                        text.size() <= prefix.size() + 3 &&
                        std::all_of(text.begin() + prefix.size(), text.end(),
                                    [](unsigned char c) { return std::isdigit(c); });
  if (numbered) return "";
  return "--device is '" + text + "'; it must be auto, cpu, cuda or cuda:N";
}

}  // namespace avocet::core
