// SPDX-License-Identifier: Apache-2.0
#include <dlfcn.h>
#include <unistd.h>

#include <climits>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "app/cli/command.h"

namespace avocet::cli {
namespace {

using Entry = int (*)(const char* const* files, int count);

// Qt and VTK take half a second to load and no other subcommand needs them.
Entry LoadWindow() {
  std::filesystem::path path;
  if (const char* given = std::getenv("AVOCET_GUI_LIBRARY")) {
    path = given;
  } else {
    char self[PATH_MAX];
    const ssize_t length = readlink("/proc/self/exe", self, sizeof self);
    if (length <= 0 || length >= PATH_MAX) {
      throw DeviceError("the running program cannot be located through /proc/self/exe");
    }
    const auto folder = std::filesystem::path(std::string(self, length)).parent_path();
    path = folder.parent_path() / "lib" / "libavocet_gui.so";
  }
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) {
    throw DeviceError("this build has no window ('" + path.string() +
                      "' is not there): Qt 6 and VTK 9.1 were not found, or AVOCET_GUI was OFF, "
                      "when it was built; install qt6-base-dev, qt6-svg-dev and libvtk9-dev and "
                      "build again, or use the other subcommands");
  }
  // Qt brings libgomp (through libb2), which reads this once, when it is loaded: before the engine
  // could set it. Threads that spin while they wait made models four times as slow on a busy
  // machine.
  setenv("OMP_WAIT_POLICY", "passive", /*overwrite=*/0);
  void* handle = dlopen(path.c_str(), RTLD_NOW | RTLD_GLOBAL);
  if (handle == nullptr) {
    const char* reason = dlerror();
    throw DeviceError("the window '" + path.string() +
                      "' cannot be loaded: " + (reason ? reason : "unknown reason") +
                      "; install Qt 6 (libqt6widgets6, libqt6svg6) and VTK (libvtk9.1)");
  }
  auto entry = reinterpret_cast<Entry>(dlsym(handle, "avocet_gui_main"));
  if (entry == nullptr) {
    throw DeviceError("'" + path.string() + "' is not Avocet's window; rebuild or reinstall");
  }
  return entry;
}

}  // namespace

void AddGui(CLI::App& app, Action& action) {
  auto files = std::make_shared<std::vector<std::string>>();
  CLI::App* command = app.add_subcommand("gui", "Open the window: views, models, scores, measures");
  command->add_option("files", *files, "Images, masks or DICOM folders to open");
  command->callback([files, &action] {
    action = [files](Progress&) {
      std::vector<const char*> paths;
      for (const std::string& file : *files) paths.push_back(file.c_str());
      return static_cast<ExitCode>(LoadWindow()(paths.data(), static_cast<int>(paths.size())));
    };
  });
}

}  // namespace avocet::cli
