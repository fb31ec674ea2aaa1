// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "io/volume.h"

struct nifti_2_header;

namespace avocet::io {

class ByteSource;

// NIfTI-1 (nifti1.h, 2003), NIfTI-2 (nifti2.h, 2014) and ANALYZE 7.5. We read them by a path of our
// own, because ITK 5.2 refuses an affine whose axes are not orthogonal to 1e-4.
//
// Which affine counts (x_in_ras of the file; Geometry has it in LPS):
//   1. the sform, when its code is above 0 and the matrix is finite and can be inverted,
//   2. else the qform, when its code is above 0 and it is valid,
//   3. else, in files that Avocet derived from a source whose axes were assumed, those axes: they
//      stand in the sform, and intent_name says that they are assumed (AssumptionsIn),
//   4. else only pixdim is known: axes L, A, S and the origin in the middle of the image, which is
//      what nibabel, SPM and FSL assume of ANALYZE-like files. (ITK takes axes L, P, S and origin
//      0.)
// This is nibabel's order. ITK 5.2 takes the qform when both are there and the sform's code is not
// "scanner"; a note says so, with the distance, when the two disagree.
//
// The affine is in the unit of xyzt_units; metres and micrometres become mm, unknown means mm. Many
// writers (nibabel by default) leave the unit out of files whose sform is in scanner or template
// space, which are in mm by custom; a file that names neither a unit nor a space states no length.

// The header of a NIfTI or ANALYZE file, immutable.
class NiftiSource final : public SourceHeader {
 public:
  enum class Version { kAnalyze, kNifti1, kNifti2 };
  struct Extension {
    int32_t code = 0;
    std::string content;  // esize - 8 bytes
  };

  NiftiSource(const nifti_2_header& header, Version version, bool big_endian);
  ~NiftiSource() override;

  std::string FormatName() const override;
  std::vector<std::pair<std::string, std::string>> Fields() const override;
  Version version() const { return version_; }
  bool big_endian() const override { return big_endian_; }
  int qform_code() const;
  int sform_code() const;
  // All fields, widened to those of NIfTI-2 (a float survives there and back bit for bit).
  const nifti_2_header& header() const { return *header_; }
  const std::vector<Extension>& extensions() const { return extensions_; }
  void set_extensions(std::vector<Extension> extensions) { extensions_ = std::move(extensions); }

  // What the header says of the grid; notes and what is assumed are appended where asked for.
  // Throws IoError naming `name` when no size can be had. Repeating it on the same header gives the
  // same bits.
  Geometry ReadGeometry(const std::string& name, std::vector<std::string>* notes,
                        Assumptions* assumed = nullptr) const;

  // A copy that keeps only the grid: dim[1..3], pixdim, qform, sform, codes, the unit and what
  // Avocet marked as assumed. No text, intent, scaling, display range or extension of the source
  // passes to a derived file.
  std::shared_ptr<const NiftiSource> GridOnly() const;
  bool grid_only() const { return grid_only_; }

 private:
  std::unique_ptr<nifti_2_header> header_;
  Version version_;
  bool big_endian_;
  bool grid_only_ = false;
  std::vector<Extension> extensions_;
  std::array<int, 3> analyze_origin_{0, 0, 0};  // SPM's origin voxel, from 1; 0 when not given

  friend std::shared_ptr<NiftiSource> ParseNiftiHeader(const std::vector<std::byte>&,
                                                       const std::string&, bool);
};

// NIfTI has no field for a size or slice distance that is not known, so files that Avocet derives
// from such a source have "assumed: o p s" in intent_name, a letter for each: orientation, size in
// the plane, slice distance. "" when nothing is assumed. Nothing when the text is no such mark.
std::string NiftiMarkOf(const Assumptions& assumed);
Assumptions AssumptionsIn(const nifti_2_header& header);

// Header bytes (348 or 540 of them) and back. Parse returns null when they are no such header.
std::shared_ptr<NiftiSource> ParseNiftiHeader(const std::vector<std::byte>& bytes,
                                              const std::string& name, bool analyze_allowed);
std::string SerializeNiftiHeader(const nifti_2_header& header, NiftiSource::Version version);

// True when the first bytes are those of a NIfTI header in either byte order.
bool LooksLikeNifti(const std::vector<std::byte>& first_bytes);

// `path` is a .nii file, or either half of a pair; gzip is found by content. Throws IoError.
// Without `voxels` their bytes are not read, though the length of a file that is not packed is
// checked.
Volume ReadNifti(const std::filesystem::path& path, bool voxels = true);

// Writes .nii, .nii.gz or a .hdr/.img pair (by the extension; either half names the pair).
void WriteNifti(const Volume& volume, const std::filesystem::path& path);

}  // namespace avocet::io
