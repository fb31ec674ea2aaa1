// SPDX-License-Identifier: Apache-2.0
#include "app/gui/journal.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <nlohmann/json.hpp>

#include "app/base/error.h"
#include "io/file_util.h"

namespace avocet::gui {
namespace fs = std::filesystem;
namespace {

constexpr const char* kLock = "lock";

fs::path LayerFile(const fs::path& folder, int layer) {
  return folder / ("layer-" + std::to_string(layer) + ".nii");
}

}  // namespace

fs::path Journal::DefaultRoot() {
  if (const char* state = std::getenv("XDG_STATE_HOME"); state != nullptr && *state == '/') {
    return fs::path(state) / "avocet" / "unsaved";
  }
  const char* home = std::getenv("HOME");
  return fs::path(home == nullptr ? "/tmp" : home) / ".local" / "state" / "avocet" / "unsaved";
}

Journal::Journal(const fs::path& root) : root_(root) {
  std::error_code error;
  fs::create_directories(root_, error);
  for (int attempt = 0; attempt < 1000 && !error; ++attempt) {
    folder_ = root_ / ("window-" + std::to_string(getpid()) + "-" + std::to_string(attempt));
    if (!fs::create_directory(folder_, error)) continue;
    fs::permissions(folder_, fs::perms::owner_all, error);
    lock_ = open((folder_ / kLock).c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    if (lock_ >= 0 && flock(lock_, LOCK_EX | LOCK_NB) == 0) return;
    break;
  }
  throw IoError("the folder for unsaved work '" + root_.string() + "' cannot be used (" +
                (error ? error.message() : std::strerror(errno)) +
                "); set XDG_STATE_HOME to a folder that can be written");
}

Journal::~Journal() {
  std::error_code ignored;
  fs::remove_all(folder_, ignored);
  if (lock_ >= 0) close(lock_);
}

void Journal::Keep(const LabelLayer& layer, const fs::path& image) const {
  const fs::path file = LayerFile(folder_, layer.id);
  SaveLabels(layer, file);
  Describe(file, layer.name, image, false);
}

void Journal::Keep(const ImageLayer& layer, const fs::path& image) const {
  const fs::path file = LayerFile(folder_, layer.id);
  SaveImage(layer, file);
  Describe(file, layer.name, image, true);
}

void Journal::Describe(const fs::path& file, const std::string& name, const fs::path& image,
                       bool is_image) const {
  nlohmann::json about;
  about["name"] = name;
  about["image"] = image.string();
  about["kind"] = is_image ? "image" : "mask";
  fs::path beside = file;
  beside.replace_extension(".json");
  io::WriteFileAtomically(beside,
                          about.dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
}

void Journal::Forget(int layer) const {
  std::error_code ignored;
  const std::string stem = "layer-" + std::to_string(layer) + ".";
  std::vector<fs::path> gone;
  for (const auto& entry : fs::directory_iterator(folder_, ignored)) {
    if (entry.path().filename().string().rfind(stem, 0) == 0) gone.push_back(entry.path());
  }
  for (const fs::path& path : gone) fs::remove(path, ignored);
}

std::vector<fs::path> Journal::AbandonedFolders() const {
  std::vector<fs::path> folders;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(root_, ignored)) {
    if (entry.path() == folder_ || !entry.is_directory(ignored)) continue;
    const int fd = open((entry.path() / kLock).c_str(), O_RDWR | O_CLOEXEC);
    // Another window holds it: not ours to touch.
    const bool free = fd < 0 || flock(fd, LOCK_EX | LOCK_NB) == 0;
    if (fd >= 0) close(fd);
    if (free) folders.push_back(entry.path());
  }
  std::sort(folders.begin(), folders.end());
  return folders;
}

std::vector<Journal::Entry> Journal::Abandoned() const {
  std::vector<Entry> entries;
  std::error_code ignored;
  for (const fs::path& folder : AbandonedFolders()) {
    for (const auto& file : fs::directory_iterator(folder, ignored)) {
      if (file.path().extension() != ".nii") continue;
      Entry entry;
      entry.file = file.path();
      fs::path beside = entry.file;
      beside.replace_extension(".json");
      try {
        const auto about = nlohmann::json::parse(io::ReadTextFile(beside));
        entry.name = about.value("name", "");
        entry.image = about.value("image", "");
        entry.is_image = about.value("kind", "mask") == "image";
      } catch (const std::exception&) {
        entry.name = entry.file.stem().string();  // the voxels are what matters
      }
      entries.push_back(std::move(entry));
    }
  }
  return entries;
}

void Journal::DiscardAbandoned() const {
  std::error_code ignored;
  for (const fs::path& folder : AbandonedFolders()) fs::remove_all(folder, ignored);
}

}  // namespace avocet::gui
