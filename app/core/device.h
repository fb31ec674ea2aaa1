// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

namespace avocet::core {

// "auto" (a GPU when one works, otherwise the CPU), "cpu", "cuda", "cuda:N".
struct DeviceRequest {
  std::string text = "auto";
  int threads = 0;     // CPU threads; 0 = all cores of the affinity mask
  bool graph = false;  // a GPU's launches of a network as one graph

  // "" when valid, otherwise one sentence saying what is wrong.
  std::string Check() const;
};

// What `avocet doctor` prints about compute devices.
struct DeviceReport {
  std::string torch_version;
  int threads = 0;
  bool cuda_available = false;
  std::string cuda_reason;              // why not, or "" when available
  std::vector<std::string> cuda_names;  // one per device
};

}  // namespace avocet::core
