// SPDX-License-Identifier: Apache-2.0
#include <dlfcn.h>
#include <unistd.h>

#include <climits>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "app/base/allocator.h"
#include "app/core/engine.h"

namespace avocet::core {
namespace {

std::filesystem::path EnginePath() {
  if (const char* path = std::getenv("AVOCET_ENGINE")) return path;
  char self[PATH_MAX];
  const ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);
  if (length <= 0)
    throw DeviceError("the running program cannot be located through /proc/self/exe");
  const auto folder = std::filesystem::path(std::string(self, length)).parent_path();
  return folder.parent_path() / "lib" / "libavocet_engine.so";
}

const Engine* Load() {
  // libgomp reads this when it is loaded; spinning threads hurt on a busy machine.
  setenv("OMP_WAIT_POLICY", "passive", /*overwrite=*/0);
  KeepFreedMemory();
  const auto path = EnginePath();
  void* handle = dlopen(path.c_str(), RTLD_NOW | RTLD_GLOBAL);
  if (handle == nullptr) {
    const char* reason = dlerror();
    throw DeviceError("the compute engine '" + path.string() +
                      "' cannot be loaded: " + (reason ? reason : "unknown reason") +
                      "; run './dev setup' and './dev build', or reinstall");
  }
  using Entry = const Engine* (*)();
  auto entry = reinterpret_cast<Entry>(dlsym(handle, "avocet_engine"));
  if (entry == nullptr) {
    throw DeviceError("'" + path.string() + "' is not an Avocet engine; rebuild or reinstall");
  }
  return entry();
}

}  // namespace

const Engine& LoadEngine() {
  static const Engine* engine = Load();
  return *engine;
}

}  // namespace avocet::core
