// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "app/base/progress.h"
#include "app/gui/contrast.h"
#include "app/gui/label_table.h"
#include "io/frame_of_reference.h"
#include "io/volume.h"

namespace avocet::gui {

// What belongs to a layer and is kept with it when it is saved: file endings and contents
// (".manifest.json").
using Companions = std::vector<std::pair<std::string, std::string>>;

// An image as it was read. The voxels are shared and never changed or copied.
struct ImageLayer {
  int id = 0;
  std::string name;            // of the file, without its folder
  std::filesystem::path path;  // "" for a result without a file of its own
  std::string series;          // of a DICOM folder: which one, as in io::ReadOptions::series
  std::shared_ptr<const io::Volume> volume;
  ValueStatistics statistics;
  int64_t frame = 0;
  Window window;
  int colour_map = 0;
  bool visible = true;
  bool synthetic = false;  // made by a network, not acquired
  bool unsaved = false;    // a result that is in no file yet
  Companions companions;

  // What the file does not say and the reader assumed (Volume::assumed): the letters and lengths
  // shown are then not the patient's.
  bool AssumesOrientation() const;
  bool AssumesSize() const;    // of pixels in the slice
  bool KnowsPosition() const;  // where a voxel lies in the patient
  // Lengths in slices that are counted along the index axis `axis` (-1: oblique) are in pixels.
  bool AssumesLengths(int axis) const;
  // Real value of the voxel that holds the point; NaN outside.
  double ValueAt(const std::array<double, 3>& x_in_lps, int component = 0) const;
  std::string Unit() const;  // "HU", or "" when unknown
};

// A label map with its names and colours.
struct LabelLayer {
  int id = 0;
  std::string name;
  std::filesystem::path path;                // where it was read from or last saved; "" when never
  std::shared_ptr<const io::Volume> header;  // geometry and source header without voxels
  // Copies of a layer share the voxels; who changes them calls OwnLabels first.
  std::shared_ptr<std::vector<uint16_t>> labels;
  LabelTable table;
  double opacity = 0.5;
  bool outline = false;
  bool visible = true;
  bool unsaved = false;
  bool edited = false;      // painted on by hand; false again when every stroke was undone
  bool drawn = false;       // made by hand from the start, of nothing
  bool comparison = false;  // an error map: shown, but not edited, saved or scored
  // Of another frame of reference than the image it is shown on: where it lies there means nothing.
  bool other_space = false;
  uint64_t state = 0;  // of the voxels: each stroke makes a new one, undo brings the old back
  Companions companions;

  const io::Geometry& geometry() const { return header->geometry; }
  // Makes the voxels this layer's alone: copies that tasks hold keep what they were given.
  void OwnLabels();
  double VoxelMl() const;
  // False when a side of a voxel was assumed: VoxelMl is then nobody's volume.
  bool KnowsVolume() const {
    return !header->assumed.in_plane_size && !header->assumed.slice_distance;
  }
  int ValueAt(const std::array<double, 3>& x_in_lps) const;  // 0 outside
};

// A DICOM series of several in one place.
struct SeriesChoice {
  std::string selector;  // as in io::ReadOptions::series
  std::string text;      // "CT, abdomen late phase, 512 x 512 x 148"
};

// "orientation, pixel size not stated by the file"; "" when nothing was assumed.
std::string AssumedText(const io::Assumptions& assumed);

// The open image that a mask is laid on.
struct OpenImage {
  io::Geometry grid;        // contours (RTSTRUCT) are filled on it
  io::SpaceIdentity space;  // what it states of its frame of reference and series
  bool force = false;       // show a mask of another space on it all the same
};

// One of the first four is set, or `other_space`.
struct LoadedFile {
  std::unique_ptr<ImageLayer> image;
  std::unique_ptr<LabelLayer> labels;
  std::vector<std::unique_ptr<LabelLayer>> more_labels;  // segments that overlap those of `labels`
  std::vector<SeriesChoice> choices;
  // What is wrong with the slices of a series that can only be opened resampled.
  std::string uneven;
  // Why a mask was not laid on the image: its positions are not comparable with it.
  std::string other_space;
  std::vector<std::string> report;  // what is odd about the file and what was done, sentences
};

enum class LoadAs { kGuess, kImage, kLabels };

// Reads a file, or a DICOM folder, for the window; runs away from the window's thread. Guessing
// takes a map of few whole, homogeneous values for labels. Names and colours come from
// NAME.labels.json beside it, or from the names that DICOM SEG carries. Throws IoError, Cancelled.
// A DICOM folder or DICOMDIR with several readable series gives the choices, unless `series` names
// one; a series with tilted or uneven slices gives `uneven`, unless it is to be `resampled` onto an
// even grid. `image` is the one that is open; a DICOM mask of another frame of reference is not
// laid on it unasked.
LoadedFile LoadFile(const std::filesystem::path& path, LoadAs as, Progress& progress,
                    const std::string& series = "", const OpenImage* image = nullptr,
                    bool resampled = false);

// A label layer of a volume in memory; `volume` gives up its voxels.
std::unique_ptr<LabelLayer> LabelsFromVolume(io::Volume volume, const std::string& name);

// An image layer of a volume in memory, with its statistics and a window of its own.
std::unique_ptr<ImageLayer> ImageFromVolume(io::Volume volume, const std::string& name);

// The companions that stand beside `path`.
Companions ReadCompanions(const std::filesystem::path& path);

// Writes the image, voxels and geometry exactly, in the format that the name's ending says, and the
// companions beside it, as SaveLabels does. No text of the source's header goes along. Atomic.
// Throws IoError.
void SaveImage(const ImageLayer& layer, const std::filesystem::path& path);

// Writes the mask with exactly its source's geometry, NAME.labels.json and the companions beside
// it; a manifest gets the name and hash of the new file, and a note when the mask was painted on.
// Atomic. Throws IoError.
void SaveLabels(const LabelLayer& layer, const std::filesystem::path& path);

}  // namespace avocet::gui
