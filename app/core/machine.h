// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace avocet::core {

// What this machine offers, read from /proc; Linux only, free of LibTorch.
struct Machine {
  std::string cpu_model;  // "" when unknown
  std::vector<std::string>
      cpu_features;             // those that matter here: "AVX2", "AVX-512", "AMX bf16", ...
  int cores = 1;                // what this process may use, see UsableCores
  int64_t memory_bytes = 0;     // installed; 0 when unknown
  int64_t available_bytes = 0;  // without swapping; 0 when unknown
};

Machine DescribeMachine();

// Cores of the affinity mask, less where a control group allows less (cgroup v2 cpu.max), at
// least 1.
int UsableCores();

// Memory that can be taken without swapping; 0 when unknown.
int64_t AvailableMemoryBytes();

}  // namespace avocet::core
