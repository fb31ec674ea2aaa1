// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "io/volume.h"

namespace avocet::io {

// A closed triangle mesh in LPS millimetres; corners anticlockwise seen from outside, so that
// normals point out of the label.
struct Surface {
  std::vector<std::array<double, 3>> vertices;
  std::vector<std::array<uint32_t, 3>> triangles;
  std::string name;  // "Liver"; group name in OBJ
  int label = 0;
  std::array<uint8_t, 3> rgb{200, 200, 200};

  double Volume() const;  // mm^3, signed: positive when the triangles face outward
  double Area() const;    // mm^2
};

struct SurfaceOptions {
  // Rounds of Taubin's smoothing (SIGGRAPH 1995: a shrinking and a growing Laplacian step), 0 for
  // none. No vertex moves further than half a voxel from its place, so that small parts stay.
  int smoothing = 10;
  // Moves the surface along its normals until it encloses the volume of the voxels (cutting corners
  // makes it a little smaller).
  bool keep_volume = true;
};

// The boundary of the voxels with `label`, by marching cubes (Lorensen and Cline 1987) at the
// middle between inside and outside, with one rule for ambiguous faces (voxels that touch at an
// edge or a corner are apart), which makes it closed and free of cracks; the image's border counts
// as outside. Empty when the label is absent. Throws IoError for a volume that is no label volume.
Surface SurfaceOfLabel(const Volume& labels, int label, const SurfaceOptions& options = {});

// Several surfaces, one file, by extension: .stl (binary; one solid), .obj (a group and a material
// colour comment for each label), .ply (binary little endian; colour and label with each
// triangle). Atomic. Throws IoError: no triangles, other extension.
void WriteSurfaces(const std::vector<Surface>& surfaces, const std::filesystem::path& path);

bool HasSurfaceExtension(const std::filesystem::path& path);

}  // namespace avocet::io
