// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "app/gui/layers.h"
#include "app/gui/measurement.h"

namespace avocet::gui {

// Unsaved layers on disk, so that they survive the end of the process, whatever ends it. Each
// running window has a folder of its own under `root`, held by a lock that the system lets go when
// the process dies.
class Journal {
 public:
  // How a layer stands in the window, besides what is its own.
  struct Standing {
    std::filesystem::path image;  // that it lies on; may be ""
    bool selected = false;        // highlighted in the list
    int brush_label = 0;          // of the selected mask: what the brush paints
  };
  struct Entry {
    std::filesystem::path file;   // in an abandoned folder
    int layer = 0;                // its id in the window that ended
    bool is_image = false;        // otherwise a mask
    std::string name;             // of the layer
    std::filesystem::path image;  // that it lay on; may be ""
    bool selected = false;
    int brush_label = 0;
    // Of a mask; where an older window said nothing of these, `described` is false.
    bool described = false;
    bool edited = false;
    bool drawn = false;
    bool visible = true;
    bool outline = false;
    double opacity = 0.5;
    LabelTable table;  // names, colours, visibility, of labels without voxels too
  };
  // Measurements that were not in the store yet.
  struct Measured {
    std::filesystem::path image;  // file; "" of an image that was not saved
    std::string series;           // of a DICOM folder
    std::string name;
    int layer = 0;                 // its id in the window that ended
    std::filesystem::path folder;  // of that window; set when read
    std::vector<Measurement> measurements;
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
  // All of a layer but its voxels: name, labels, how it stands. KeepVoxels comes first.
  static std::string Describe(const LabelLayer& layer, const Standing& standing);
  static std::string Describe(const ImageLayer& layer, const Standing& standing);
  void KeepVoxels(const LabelLayer& layer) const;
  void KeepVoxels(const ImageLayer& layer) const;
  void KeepDescription(int layer, const std::string& description) const;
  void Forget(int layer) const;
  // Replaces the measurements of the image; none: removes them.
  void KeepMeasurements(const Measured& measured) const;

  // Layers that earlier windows left behind without a wish to do so.
  std::vector<Entry> Abandoned() const;
  std::vector<Measured> AbandonedMeasurements() const;
  // Deletes the abandoned folders.
  void DiscardAbandoned() const;

  // $XDG_STATE_HOME/avocet/unsaved, or ~/.local/state/avocet/unsaved.
  static std::filesystem::path DefaultRoot();

 private:
  std::vector<std::filesystem::path> AbandonedFolders() const;

  std::filesystem::path root_, folder_;
  int lock_ = -1;
};

}  // namespace avocet::gui
