// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace avocet::io {

enum class VoxelType : int {
  kUInt8,
  kInt8,
  kUInt16,
  kInt16,
  kUInt32,
  kInt32,
  kUInt64,
  kInt64,
  kFloat32,
  kFloat64
};
size_t SizeOf(VoxelType type);
const char* NameOf(VoxelType type);  // "uint8", "float32", ...

// Where the voxels lie in the patient. ITK's conventions: physical space is LPS in millimetres,
// index (i, j, k) runs fastest to slowest in memory, voxel centres at integer indices:
//
//   x_in_lps = origin + direction * diag(spacing) * index
//
// `direction` is row-major; its columns are the unit vectors of the i, j and k axes. For a sheared
// source affine the columns are still unit vectors but not orthogonal (`IsOrthonormal` tells).
struct Geometry {
  std::array<int64_t, 3> size{0, 0, 0};    // voxels along i, j, k
  std::array<double, 3> spacing{1, 1, 1};  // mm, > 0
  std::array<double, 3> origin{0, 0, 0};   // LPS mm of voxel (0, 0, 0)
  std::array<double, 9> direction{1, 0, 0, 0, 1, 0, 0, 0, 1};

  int64_t VoxelCount() const { return size[0] * size[1] * size[2]; }
  std::array<double, 3> PhysicalFromIndex(const std::array<double, 3>& index) const;
  std::array<double, 3> IndexFromPhysical(const std::array<double, 3>& x_in_lps) const;
  // Letters of the directions in which i, j, k increase, nearest anatomical axis each: "RAS",
  // "LPS".
  std::string OrientationLetters() const;
  bool IsOrthonormal(double tolerance = 1e-4) const;
};

// Largest distance in mm between corresponding voxel corners of two grids of equal size; infinity
// when the sizes differ.
double MaxCornerDistance(const Geometry& a, const Geometry& b);

// real = slope * stored + inter (NIfTI scl_slope/scl_inter, DICOM rescale). slope is never 0.
struct ValueScaling {
  double slope = 1;
  double inter = 0;
  bool IsIdentity() const { return slope == 1 && inter == 0; }
};

// The header a volume came from, opaque outside io/: writers use it to give a file derived from
// this one (a mask, a translated image) exactly the same sform, qform, codes and units.
class SourceHeader {
 public:
  virtual ~SourceHeader() = default;
  virtual std::string FormatName() const = 0;  // "NIfTI-1", ...
  virtual bool big_endian() const { return false; }
  // What the header says, in its own words, for `avocet info`: name and value of each field. Free
  // text and anything that may name a patient is left out.
  virtual std::vector<std::pair<std::string, std::string>> Fields() const { return {}; }
};

// What a reader assumed because its source does not state it. By default everything is stated.
struct Assumptions {
  bool orientation = false;     // direction and origin: left and right of the patient are unknown
  bool in_plane_size = false;   // spacing[0] and spacing[1]: lengths in the slice are unknown
  bool slice_distance = false;  // spacing[2]: lengths across slices, and volumes, are unknown

  bool Any() const { return orientation || in_plane_size || slice_distance; }
};
// "orientation in_plane_size slice_distance": those that hold; "" when none does. Formats that have
// no other place for it keep it in their headers in this form. What is not such a name is ignored.
std::string NamesOf(const Assumptions& assumed);
Assumptions AssumptionsFromNames(std::string_view names);

// A scalar or multi-component image: a plain buffer of stored values with geometry. Cheap to move;
// copying copies the voxels.
struct Volume {
  Geometry geometry;
  VoxelType type = VoxelType::kFloat32;
  int components = 1;  // values per voxel, interleaved (3 for RGB)
  int64_t frames = 1;  // fourth axis (time, channel), slowest
  ValueScaling scaling;
  std::vector<std::byte> data;  // frames * voxels * components * SizeOf(type), host byte order
  std::shared_ptr<const SourceHeader> source;  // may be null
  std::string modality;                        // "" when unknown; "CT", "MR", ...
  Assumptions assumed;
  // True when the reader resampled a tilted or unevenly spaced source onto this even grid.
  bool resampled = false;
  // DICOM identity of the physical space and of the image series; "" where the source has none.
  // Positions of two volumes whose frames of reference are both known and differ are not
  // comparable.
  std::string frame_of_reference_uid;
  std::string series_instance_uid;
  // What a derived volume is ("synthetic, ..."); ASCII, written where a format has a place for it
  // (NIfTI descrip, 79 characters; NRRD content; MetaImage Comment). Readers fill it by
  // NoteIfComputed alone: other free text may name a patient.
  std::string description;
  std::vector<std::string>
      notes;  // what was odd about the file, one sentence each, no patient data

  int64_t ValueCount() const { return geometry.VoxelCount() * components * frames; }

  template <typename T>
  T* As() {
    return reinterpret_cast<T*>(data.data());
  }
  template <typename T>
  const T* As() const {
    return reinterpret_cast<const T*>(data.data());
  }

  // Allocates zeros. Throws IoError when the size overflows or memory is short.
  static Volume Zeros(const Geometry& geometry, VoxelType type);

  // Real values (scaling applied) of one frame, i fastest; requires components == 1.
  std::vector<float> ToFloat(int64_t frame = 0) const;

  // Label values: requires components == 1, one frame, and every real value to be an integer in
  // [0, 65535] within 1e-3; otherwise throws IoError naming `name` and the first offending value.
  std::vector<uint16_t> ToLabels(const std::string& name) const;
};

// Where the text that a header has for the user says "synthetic" or "simulated" first, as what
// Avocet computes does: says so in the notes, and in the description, so that copies say it too.
void NoteIfComputed(std::string_view text, Volume& volume);

}  // namespace avocet::io
