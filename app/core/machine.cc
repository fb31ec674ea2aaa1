// SPDX-License-Identifier: Apache-2.0
#include "app/core/machine.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <set>
#include <sstream>

namespace avocet::core {
namespace {

int64_t MemInfoBytes(const std::string& key) {
  std::ifstream in("/proc/meminfo");
  std::string name, unit;
  int64_t kilobytes = 0;
  while (in >> name >> kilobytes) {
    std::getline(in, unit);
    if (name == key + ":") return kilobytes * 1024;
  }
  return 0;
}

// The group's limit on processor time, in cores; 0 = none.
double ControlGroupCores() {
  std::ifstream in("/sys/fs/cgroup/cpu.max");
  std::string quota;
  double period = 0;
  if (!(in >> quota >> period) || quota == "max" || period <= 0) return 0;
  return std::strtod(quota.c_str(), nullptr) / period;
}

}  // namespace

int UsableCores() {
  int cores = static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN));
  cpu_set_t mask;
  CPU_ZERO(&mask);
  if (sched_getaffinity(0, sizeof mask, &mask) == 0) cores = CPU_COUNT(&mask);
  const double limit = ControlGroupCores();
  if (limit > 0) cores = std::min(cores, static_cast<int>(std::ceil(limit)));
  return std::max(cores, 1);
}

int64_t AvailableMemoryBytes() { return MemInfoBytes("MemAvailable"); }

Machine DescribeMachine() {
  Machine machine;
  machine.cores = UsableCores();
  machine.memory_bytes = MemInfoBytes("MemTotal");
  machine.available_bytes = AvailableMemoryBytes();
  std::ifstream in("/proc/cpuinfo");
  std::string line;
  std::set<std::string> flags;
  while (std::getline(in, line) && !line.empty()) {  // the first processor's paragraph
    const size_t colon = line.find(':');
    if (colon == std::string::npos) continue;
    const std::string value = line.size() > colon + 2 ? line.substr(colon + 2) : "";
    if (line.rfind("model name", 0) == 0) machine.cpu_model = value;
    if (line.rfind("flags", 0) == 0) {
      std::istringstream words(value);
      for (std::string word; words >> word;) flags.insert(word);
    }
  }
  static constexpr std::pair<const char*, const char*> kFeatures[] = {
      {"avx2", "AVX2"},
      {"fma", "FMA"},
      {"avx512f", "AVX-512"},
      {"avx512_bf16", "AVX-512 bf16"},
      {"avx512_fp16", "AVX-512 fp16"},
      {"amx_tile", "AMX"},
      {"amx_bf16", "AMX bf16"}};
  for (const auto& [flag, name] : kFeatures) {
    if (flags.count(flag) != 0) machine.cpu_features.push_back(name);
  }
  return machine;
}

}  // namespace avocet::core
