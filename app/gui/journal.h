// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "app/gui/layers.h"

namespace avocet::gui {

// Unsaved layers on disk, so that they survive the end of the process, whatever ends it. Each
// running window has a folder of its own under `root`, held by a lock that the system lets go when
// the process dies.
class Journal {
 public:
  struct Entry {
    std::filesystem::path file;   // in an abandoned folder
    bool is_image = false;        // otherwise a mask
    std::string name;             // of the layer
    std::filesystem::path image;  // that it lay on; may be ""
  };

  // Creates the folder, open to this user only. Throws IoError.
  explicit Journal(const std::filesystem::path& root);
  // Removes the folder: what is still in it has been saved or given up.
  ~Journal();
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  const std::filesystem::path& folder() const { return folder_; }
  // Writes or replaces the layer's copy; safe in any thread for different layers. Throws IoError.
  void Keep(const LabelLayer& layer, const std::filesystem::path& image) const;
  void Keep(const ImageLayer& layer, const std::filesystem::path& image) const;
  void Forget(int layer) const;

  // Layers that earlier windows left behind without a wish to do so.
  std::vector<Entry> Abandoned() const;
  // Deletes the abandoned folders.
  void DiscardAbandoned() const;

  // $XDG_STATE_HOME/avocet/unsaved, or ~/.local/state/avocet/unsaved.
  static std::filesystem::path DefaultRoot();

 private:
  std::vector<std::filesystem::path> AbandonedFolders() const;
  void Describe(const std::filesystem::path& file, const std::string& name,
                const std::filesystem::path& image, bool is_image) const;

  std::filesystem::path root_, folder_;
  int lock_ = -1;
};

}  // namespace avocet::gui
