// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "app/gui/layers.h"

namespace avocet::gui {

// How a layer came about, as far as that is known.
struct Origin {
  bool computed = false;  // by a job: its manifest is kept with the layer
  std::string model;      // that the manifest names; "" when it names none
  bool edited = false;    // painted on by hand since
  bool drawn = false;     // by hand from the start, in this window
};

Origin OriginOf(const LabelLayer& layer);
Origin OriginOf(const ImageLayer& layer);

// "made by MODEL, edited by hand"; "" when nothing is known.
std::string Describe(const Origin& origin);

// Value of Segment Algorithm Type (PS3.3 C.8.20.2): AUTOMATIC, SEMIAUTOMATIC or MANUAL. A mask that
// was read from a file without a manifest counts as computed.
const char* AlgorithmType(const Origin& origin);

// Whether the manifest says that its output was edited after the job.
bool SaysEdited(const std::string& manifest);

// Whether the manifest is about the file: names its hash as that of the output. Throws IoError.
bool IsManifestOf(const std::string& manifest, const std::filesystem::path& file);

}  // namespace avocet::gui
