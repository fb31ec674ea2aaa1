// SPDX-License-Identifier: Apache-2.0
// Header fields of NIfTI-1, NIfTI-2 and ANALYZE 7.5 to and from bytes, and the grid they describe.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "app/base/error.h"
#include "io/header_text.h"
#include "io/nifti.h"
#include "io/nifti_layout.h"

namespace avocet::io {
namespace {

template <typename T>
void Swap(T& value) {
  auto* bytes = reinterpret_cast<unsigned char*>(&value);
  std::reverse(bytes, bytes + sizeof(T));
}
template <typename T, size_t N>
void Swap(T (&values)[N]) {
  for (T& value : values) Swap(value);
}
template <typename... T>
void SwapAll(T&... fields) {
  (Swap(fields), ...);
}

void SwapHeader(nifti_1_header& h) {
  SwapAll(h.sizeof_hdr, h.dim, h.intent_p1, h.intent_p2, h.intent_p3, h.intent_code, h.datatype,
          h.bitpix, h.slice_start, h.pixdim, h.vox_offset, h.scl_slope, h.scl_inter, h.slice_end,
          h.cal_max, h.cal_min, h.slice_duration, h.toffset, h.qform_code, h.sform_code);
  SwapAll(h.quatern_b, h.quatern_c, h.quatern_d, h.qoffset_x, h.qoffset_y, h.qoffset_z, h.srow_x,
          h.srow_y, h.srow_z);
}

void SwapHeader(nifti_2_header& h) {
  SwapAll(h.sizeof_hdr, h.datatype, h.bitpix, h.dim, h.intent_p1, h.intent_p2, h.intent_p3,
          h.pixdim, h.vox_offset, h.scl_slope, h.scl_inter, h.cal_max, h.cal_min, h.slice_duration,
          h.toffset, h.slice_start, h.slice_end, h.qform_code, h.sform_code);
  SwapAll(h.quatern_b, h.quatern_c, h.quatern_d, h.qoffset_x, h.qoffset_y, h.qoffset_z, h.srow_x,
          h.srow_y, h.srow_z, h.slice_code, h.xyzt_units, h.intent_code);
}

// Copies between the two layouts; `To` may be narrower.
template <typename To, typename From>
void CopyFields(To& to, const From& from) {
  const auto copy = [](auto& target, const auto& source) {
    // Header bytes are numbers, char included.
    target = static_cast<std::remove_reference_t<decltype(target)>>(
        source);  // NOLINT(bugprone-signed-char-misuse)
  };
  const auto copy_array = [&](auto& target, const auto& source) {
    for (size_t i = 0; i < std::size(target); ++i) copy(target[i], source[i]);
  };
  copy(to.datatype, from.datatype);
  copy(to.bitpix, from.bitpix);
  copy_array(to.dim, from.dim);
  copy(to.intent_p1, from.intent_p1);
  copy(to.intent_p2, from.intent_p2);
  copy(to.intent_p3, from.intent_p3);
  copy_array(to.pixdim, from.pixdim);
  copy(to.scl_slope, from.scl_slope);
  copy(to.scl_inter, from.scl_inter);
  copy(to.cal_max, from.cal_max);
  copy(to.cal_min, from.cal_min);
  copy(to.slice_duration, from.slice_duration);
  copy(to.toffset, from.toffset);
  copy(to.slice_start, from.slice_start);
  copy(to.slice_end, from.slice_end);
  copy_array(to.descrip, from.descrip);
  copy_array(to.aux_file, from.aux_file);
  copy(to.qform_code, from.qform_code);
  copy(to.sform_code, from.sform_code);
  copy(to.quatern_b, from.quatern_b);
  copy(to.quatern_c, from.quatern_c);
  copy(to.quatern_d, from.quatern_d);
  copy(to.qoffset_x, from.qoffset_x);
  copy(to.qoffset_y, from.qoffset_y);
  copy(to.qoffset_z, from.qoffset_z);
  copy_array(to.srow_x, from.srow_x);
  copy_array(to.srow_y, from.srow_y);
  copy_array(to.srow_z, from.srow_z);
  copy(to.slice_code, from.slice_code);
  copy(to.intent_code, from.intent_code);
  copy_array(to.intent_name, from.intent_name);
  copy(to.dim_info, from.dim_info);
}

// Columns 0 to 2 are voxel axes in mm, column 3 the origin; rows are R, A, S.
struct Affine {
  double m[3][4];
};

double ColumnNorm(const Affine& affine, int column) {
  return std::hypot(affine.m[0][column], affine.m[1][column], affine.m[2][column]);
}

// Finite, with axes that are neither zero nor nearly in one plane.
bool IsUsable(const Affine& affine) {
  double unit[3][3];
  for (int column = 0; column < 4; ++column) {
    for (int row = 0; row < 3; ++row) {
      if (!std::isfinite(affine.m[row][column])) return false;
    }
  }
  for (int column = 0; column < 3; ++column) {
    const double norm = ColumnNorm(affine, column);
    if (!(norm > 1e-9 && norm < 1e9)) return false;
    for (int row = 0; row < 3; ++row) unit[row][column] = affine.m[row][column] / norm;
  }
  const double det = unit[0][0] * (unit[1][1] * unit[2][2] - unit[1][2] * unit[2][1]) -
                     unit[0][1] * (unit[1][0] * unit[2][2] - unit[1][2] * unit[2][0]) +
                     unit[0][2] * (unit[1][0] * unit[2][1] - unit[1][1] * unit[2][0]);
  return std::abs(det) > 1e-4;
}

Geometry GeometryFrom(const Affine& affine, const std::array<int64_t, 3>& size, double unit_in_mm) {
  Geometry geometry;
  geometry.size = size;
  for (int row = 0; row < 3; ++row) {
    const double lps = row < 2 ? -1 : 1;
    for (int column = 0; column < 3; ++column) {
      // + 0.0 turns the -0 of a flipped zero into 0.
      geometry.direction[row * 3 + column] =
          lps * affine.m[row][column] / ColumnNorm(affine, column) + 0.0;
    }
    geometry.origin[row] = lps * affine.m[row][3] * unit_in_mm + 0.0;
  }
  for (int column = 0; column < 3; ++column) {
    geometry.spacing[column] = ColumnNorm(affine, column) * unit_in_mm;
  }
  return geometry;
}

std::string Rounded(double value, const char* format = "%.3g") {
  char text[32];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

constexpr std::string_view kMark = "assumed:";

}  // namespace

std::string NiftiMarkOf(const Assumptions& assumed) {
  if (!assumed.Any()) return "";
  std::string mark(kMark);
  if (assumed.orientation) mark += " o";
  if (assumed.in_plane_size) mark += " p";
  if (assumed.slice_distance) mark += " s";
  return mark;
}

Assumptions AssumptionsIn(const nifti_2_header& header) {
  const std::string_view name(header.intent_name,
                              strnlen(header.intent_name, sizeof header.intent_name));
  if (name.substr(0, kMark.size()) != kMark) return {};
  const std::string_view letters = name.substr(kMark.size());
  const auto has = [&](char letter) { return letters.find(letter) != letters.npos; };
  return {has('o'), has('p'), has('s')};
}

NiftiSource::NiftiSource(const nifti_2_header& header, Version version, bool big_endian)
    : header_(std::make_unique<nifti_2_header>(header)),
      version_(version),
      big_endian_(big_endian) {}

NiftiSource::~NiftiSource() = default;

std::string NiftiSource::FormatName() const {
  switch (version_) {
    case Version::kAnalyze:
      return "ANALYZE 7.5";
    case Version::kNifti1:
      return "NIfTI-1";
    case Version::kNifti2:
      break;
  }
  return "NIfTI-2";
}

std::vector<std::pair<std::string, std::string>> NiftiSource::Fields() const {
  const nifti_2_header& h = *header_;
  FieldsHeader fields(FormatName());
  const auto add = [&](const char* name, const auto&... values) {
    std::string text;
    const auto append = [&](const auto& value) {
      using T = std::decay_t<decltype(value)>;
      if (!text.empty()) text += " ";
      if constexpr (std::is_floating_point_v<T>) {
        text += NumberText(value);
      } else {
        text += std::to_string(value);
      }
    };
    (append(values), ...);
    fields.Add(name, text);
  };
  const auto& d = h.dim;
  add("dim", d[0], d[1], d[2], d[3], d[4], d[5], d[6], d[7]);
  const auto& p = h.pixdim;
  add("pixdim", p[0], p[1], p[2], p[3], p[4], p[5], p[6], p[7]);
  add("datatype", h.datatype);
  add("bitpix", h.bitpix);
  add("vox_offset", h.vox_offset);
  add("scl_slope", h.scl_slope);
  add("scl_inter", h.scl_inter);
  add("cal_min", h.cal_min);
  add("cal_max", h.cal_max);
  if (version_ != Version::kAnalyze) {
    add("xyzt_units", h.xyzt_units);
    add("qform_code", h.qform_code);
    add("quatern", h.quatern_b, h.quatern_c, h.quatern_d);
    add("qoffset", h.qoffset_x, h.qoffset_y, h.qoffset_z);
    add("sform_code", h.sform_code);
    add("srow_x", h.srow_x[0], h.srow_x[1], h.srow_x[2], h.srow_x[3]);
    add("srow_y", h.srow_y[0], h.srow_y[1], h.srow_y[2], h.srow_y[3]);
    add("srow_z", h.srow_z[0], h.srow_z[1], h.srow_z[2], h.srow_z[3]);
    add("intent_code", h.intent_code);
    add("intent_p", h.intent_p1, h.intent_p2, h.intent_p3);
    add("dim_info", static_cast<int>(h.dim_info));
    add("slice_code", h.slice_code);
    add("slice_start", h.slice_start);
    add("slice_end", h.slice_end);
    add("slice_duration", h.slice_duration);
    add("toffset", h.toffset);
  }
  for (const Extension& extension : extensions_) {
    fields.Add("extension (content left out)", "code " + std::to_string(extension.code) + ", " +
                                                   std::to_string(extension.content.size()) +
                                                   " bytes");
  }
  return fields.Fields();
}

int NiftiSource::qform_code() const { return header_->qform_code; }
int NiftiSource::sform_code() const { return header_->sform_code; }

std::shared_ptr<const NiftiSource> NiftiSource::GridOnly() const {
  const nifti_2_header& from = *header_;
  nifti_2_header to = {};
  to.dim[0] = std::clamp<int64_t>(from.dim[0], 1, 3);
  for (int i = 1; i < 8; ++i) to.dim[i] = i <= to.dim[0] ? from.dim[i] : 1;
  std::copy(std::begin(from.pixdim), std::end(from.pixdim), to.pixdim);
  to.xyzt_units = from.xyzt_units;
  to.qform_code = from.qform_code;
  to.sform_code = from.sform_code;
  to.quatern_b = from.quatern_b;
  to.quatern_c = from.quatern_c;
  to.quatern_d = from.quatern_d;
  to.qoffset_x = from.qoffset_x;
  to.qoffset_y = from.qoffset_y;
  to.qoffset_z = from.qoffset_z;
  std::copy(std::begin(from.srow_x), std::end(from.srow_x), to.srow_x);
  std::copy(std::begin(from.srow_y), std::end(from.srow_y), to.srow_y);
  std::copy(std::begin(from.srow_z), std::end(from.srow_z), to.srow_z);
  const std::string mark = NiftiMarkOf(AssumptionsIn(from));
  std::memcpy(to.intent_name, mark.data(), mark.size());
  auto copy = std::make_shared<NiftiSource>(to, version_, big_endian_);
  copy->grid_only_ = true;
  copy->analyze_origin_ = analyze_origin_;
  return copy;
}

Geometry NiftiSource::ReadGeometry(const std::string& name, std::vector<std::string>* notes,
                                   Assumptions* assumed) const {
  const nifti_2_header& h = *header_;
  const auto note = [&](std::string sentence) {
    if (notes) notes->push_back(std::move(sentence));
  };
  if (h.dim[0] < 1 || h.dim[0] > 7) {
    throw IoError("cannot read '" + name + "': its header gives " + std::to_string(h.dim[0]) +
                  " dimensions (1 to 7 are possible); the header is damaged");
  }
  std::array<int64_t, 3> size{1, 1, 1};
  for (int i = 1; i <= 3 && i <= h.dim[0]; ++i) {
    if (h.dim[i] < 1) {
      throw IoError("cannot read '" + name + "': its header gives a size of " +
                    std::to_string(h.dim[i]) + " along axis " + std::to_string(i) +
                    "; the header is damaged");
    }
    size[i - 1] = h.dim[i];
  }

  double unit_in_mm = 1;
  if ((h.xyzt_units & 7) == NIFTI_UNITS_METER) {
    unit_in_mm = 1000;
    note("the header is in metres; sizes are converted to millimetres");
  } else if ((h.xyzt_units & 7) == NIFTI_UNITS_MICRON) {
    unit_in_mm = 1e-3;
    note("the header is in micrometres; sizes are converted to millimetres");
  }

  // What pixdim does not state; an sform does, whatever pixdim says.
  Assumptions unstated;
  std::array<double, 3> pixdim{};
  for (int i = 0; i < 3; ++i) {
    pixdim[i] = std::abs(h.pixdim[i + 1]);
    const bool valid = pixdim[i] > 1e-9 && pixdim[i] < 1e9;  // false for NaN
    if (!valid) {
      pixdim[i] = 1;
      (i < 2 ? unstated.in_plane_size : unstated.slice_distance) = true;
      if (size[i] > 1) {
        note("the header gives no valid voxel size along axis " + std::to_string(i + 1) +
             "; 1 mm is assumed where it is needed");
      }
    } else if (h.pixdim[i + 1] < 0 && version_ != Version::kAnalyze) {
      note("the header gives a negative voxel size along axis " + std::to_string(i + 1) +
           "; its magnitude is used");
    }
  }

  const Assumptions marked = AssumptionsIn(h);
  const bool in_no_space = h.sform_code <= 0 && h.qform_code <= 0;
  // The mark holds for as long as no other program has stated what was assumed.
  const bool no_unit = version_ != Version::kAnalyze && (h.xyzt_units & 7) == NIFTI_UNITS_UNKNOWN;
  Assumptions kept = marked;
  kept.orientation = in_no_space && marked.orientation;
  kept.in_plane_size = no_unit && marked.in_plane_size;
  kept.slice_distance = marked.slice_distance && std::abs(pixdim[2] - 1) < 1e-6;
  const auto settle = [&](Assumptions found) {
    if (assumed == nullptr) return;
    if (in_no_space && no_unit && !marked.Any()) {
      found.in_plane_size = found.slice_distance = true;
      note("the header names neither a unit of length nor a space; mm is assumed");
    }
    assumed->orientation = found.orientation || kept.orientation;
    assumed->in_plane_size = found.in_plane_size || kept.in_plane_size;
    assumed->slice_distance = found.slice_distance || kept.slice_distance;
  };

  Affine sform = {};
  bool has_sform = h.sform_code > 0 || kept.orientation;
  bool normal_made = false;
  if (has_sform) {
    for (int column = 0; column < 4; ++column) {
      sform.m[0][column] = h.srow_x[column];
      sform.m[1][column] = h.srow_y[column];
      sform.m[2][column] = h.srow_z[column];
    }
    // Some programs write no third axis for a single slice.
    if (size[2] == 1 && ColumnNorm(sform, 2) == 0 && ColumnNorm(sform, 0) > 0 &&
        ColumnNorm(sform, 1) > 0) {
      const double scale = pixdim[2] / (ColumnNorm(sform, 0) * ColumnNorm(sform, 1));
      for (int row = 0; row < 3; ++row) {
        const int a = (row + 1) % 3;
        const int b = (row + 2) % 3;
        sform.m[row][2] = scale * (sform.m[a][0] * sform.m[b][1] - sform.m[b][0] * sform.m[a][1]);
      }
      normal_made = true;
      note("the sform has no third axis; the normal of the single slice is used");
    }
    if (!IsUsable(sform)) {
      has_sform = false;
      note("the sform is not a valid affine (code " + std::to_string(h.sform_code) +
           "); it is ignored");
    }
  }

  Affine qform = {};
  bool has_qform = h.qform_code > 0;
  if (has_qform) {
    double b = h.quatern_b;
    double c = h.quatern_c;
    double d = h.quatern_d;
    const double squared = b * b + c * c + d * d;
    // Half turns: a = sqrt(1 - b^2 - c^2 - d^2) is 0, and the rounding of three floats must not be
    // read as an angle. The limit is that of nifti1_io, whose arithmetic is in float.
    if (version_ == Version::kNifti1 && squared > 1 - 1e-7) {
      const double scale = 1 / std::sqrt(squared);
      b *= scale;
      c *= scale;
      d *= scale;
    }
    if (!(squared < 1.01)) {
      has_qform = false;  // NaN or no rotation
    } else {
      const std::array<double, 9> rotation =
          MatrixOfNiftiRotation({b, c, d, h.pixdim[0] < 0 ? -1.0 : 1.0});
      const double offset[3] = {h.qoffset_x, h.qoffset_y, h.qoffset_z};
      for (int row = 0; row < 3; ++row) {
        for (int column = 0; column < 3; ++column) {
          qform.m[row][column] =
              rotation[row * 3 + column] * (pixdim[column] > 0 ? pixdim[column] : 1.0);
        }
        qform.m[row][3] = offset[row];
      }
      has_qform = IsUsable(qform);
    }
    if (!has_qform) {
      note("the qform is not a valid rotation (code " + std::to_string(h.qform_code) +
           "); it is ignored");
    }
  }

  if (has_sform) {
    const Geometry geometry = GeometryFrom(sform, size, unit_in_mm);
    const double smallest = *std::min_element(geometry.spacing.begin(), geometry.spacing.end());
    if (has_qform) {
      const double distance = MaxCornerDistance(geometry, GeometryFrom(qform, size, unit_in_mm));
      if (distance > 0.05 * smallest) {
        note("qform and sform disagree by up to " + Rounded(distance) + " mm; the sform (code " +
             std::to_string(h.sform_code) + ") is used");
      }
    }
    for (int i = 0; i < 3; ++i) {
      const double stated = pixdim[i] * unit_in_mm;
      if (size[i] > 1 && std::abs(geometry.spacing[i] - stated) > 0.01 * geometry.spacing[i]) {
        note("the header's voxel size along axis " + std::to_string(i + 1) + " is " +
             Rounded(stated, "%.5g") + " mm, but its sform says " +
             Rounded(geometry.spacing[i], "%.5g") + " mm; the sform is used");
      }
    }
    if (!geometry.IsOrthonormal()) {
      double largest = 0;
      for (int a = 0; a < 3; ++a) {
        for (int b = a + 1; b < 3; ++b) {
          double dot = 0;
          for (int row = 0; row < 3; ++row) {
            dot += geometry.direction[row * 3 + a] * geometry.direction[row * 3 + b];
          }
          largest = std::max(largest, std::abs(std::asin(std::clamp(dot, -1.0, 1.0))));
        }
      }
      note("the axes are sheared by up to " + Rounded(largest * 180 / M_PI) +
           " degrees; the affine is kept as it is");
    }
    if (kept.orientation) {
      note("the axes are those that were assumed of the source; left and right may be swapped");
    }
    settle({false, false, normal_made && unstated.slice_distance});
    return geometry;
  }
  if (has_qform) {
    settle({false, unstated.in_plane_size, unstated.slice_distance});
    return GeometryFrom(qform, size, unit_in_mm);
  }

  Affine base = {};
  for (int i = 0; i < 3; ++i) {
    base.m[i][i] = i == 0 ? -pixdim[i] : pixdim[i];
    double centre = 0.5 * static_cast<double>(size[i] - 1);
    // SPM keeps a 1-based voxel of the origin in ANALYZE headers.
    if (version_ == Version::kAnalyze && analyze_origin_[0] >= 1 && analyze_origin_[0] <= size[0] &&
        analyze_origin_[1] >= 1 && analyze_origin_[1] <= size[1] && analyze_origin_[2] >= 1 &&
        analyze_origin_[2] <= size[2]) {
      centre = analyze_origin_[i] - 1;
    }
    base.m[i][3] = -base.m[i][i] * centre;
  }
  note(std::string(version_ == Version::kAnalyze ? "ANALYZE 7.5 knows no orientation"
                                                 : "the header gives no orientation") +
       "; axes to the left, front and top are assumed, so left and right may be swapped");
  settle({true, unstated.in_plane_size, unstated.slice_distance});
  return GeometryFrom(base, size, unit_in_mm);
}

bool LooksLikeNifti(const std::vector<std::byte>& first_bytes) {
  if (first_bytes.size() < 4) return false;
  int32_t size = 0;
  std::memcpy(&size, first_bytes.data(), 4);
  int32_t swapped = size;
  Swap(swapped);
  return size == 348 || size == 540 || swapped == 348 || swapped == 540;
}

std::shared_ptr<NiftiSource> ParseNiftiHeader(const std::vector<std::byte>& bytes,
                                              const std::string& name, bool analyze_allowed) {
  if (!LooksLikeNifti(bytes)) return nullptr;
  int32_t size = 0;
  std::memcpy(&size, bytes.data(), 4);
  const bool swap = size != 348 && size != 540;
  if (swap) Swap(size);
  // x86-64 and AArch64 as we build for them are little endian.
  const bool big_endian = swap;
  if (bytes.size() < static_cast<size_t>(size)) {
    throw IoError("cannot read '" + name + "': the file ends inside its header (" +
                  std::to_string(bytes.size()) + " of " + std::to_string(size) +
                  " bytes); copy or download it again");
  }

  if (size == 540) {
    nifti_2_header header;
    std::memcpy(&header, bytes.data(), sizeof header);
    if (std::memcmp(header.magic, "n+2", 4) != 0 && std::memcmp(header.magic, "ni2", 4) != 0) {
      return nullptr;
    }
    if (swap) SwapHeader(header);
    return std::make_shared<NiftiSource>(header, NiftiSource::Version::kNifti2, big_endian);
  }

  nifti_1_header narrow;
  std::memcpy(&narrow, bytes.data(), sizeof narrow);
  const bool nifti =
      std::memcmp(narrow.magic, "n+1", 4) == 0 || std::memcmp(narrow.magic, "ni1", 4) == 0;
  if (!nifti && !analyze_allowed) return nullptr;
  if (swap) SwapHeader(narrow);
  nifti_2_header header = {};
  header.sizeof_hdr = 540;
  CopyFields(header, narrow);
  header.xyzt_units = static_cast<unsigned char>(narrow.xyzt_units);
  std::memcpy(header.magic, narrow.magic, 4);
  const bool offset_valid = narrow.vox_offset >= 0 && narrow.vox_offset < 9e18F;
  header.vox_offset = offset_valid ? static_cast<int64_t>(narrow.vox_offset) : -1;
  if (nifti) {
    return std::make_shared<NiftiSource>(header, NiftiSource::Version::kNifti1, big_endian);
  }

  // ANALYZE 7.5: what NIfTI put in the place of other fields must not be read as such. The origin
  // voxel of SPM is five shorts at byte 253, the orientation byte 252.
  nifti_2_header analyze = {};
  std::copy(std::begin(header.dim), std::end(header.dim), analyze.dim);
  std::copy(std::begin(header.pixdim), std::end(header.pixdim), analyze.pixdim);
  analyze.datatype = header.datatype;
  analyze.bitpix = header.bitpix;
  analyze.vox_offset = header.vox_offset;
  analyze.scl_slope = header.scl_slope;
  auto source = std::make_shared<NiftiSource>(analyze, NiftiSource::Version::kAnalyze, big_endian);
  for (int i = 0; i < 3; ++i) {
    int16_t voxel = 0;
    std::memcpy(&voxel, bytes.data() + 253 + 2 * i, 2);
    if (swap) Swap(voxel);
    source->analyze_origin_[i] = voxel;
  }
  return source;
}

std::string SerializeNiftiHeader(const nifti_2_header& header, NiftiSource::Version version) {
  if (version == NiftiSource::Version::kNifti2) {
    nifti_2_header wide = header;
    wide.sizeof_hdr = 540;
    return std::string(reinterpret_cast<const char*>(&wide), sizeof wide);
  }
  nifti_1_header narrow = {};
  CopyFields(narrow, header);
  narrow.sizeof_hdr = 348;
  narrow.regular = 'r';
  narrow.vox_offset = static_cast<float>(header.vox_offset);
  narrow.xyzt_units = static_cast<char>(header.xyzt_units);
  std::memcpy(narrow.magic, header.magic, 4);
  return std::string(reinterpret_cast<const char*>(&narrow), sizeof narrow);
}

}  // namespace avocet::io
