// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>

// The headers of NIfTI-1 (348 bytes, 2003) and NIfTI-2 (540 bytes, 2014) as they lie in a file, and
// the codes that Avocet uses. Names are those of the standards (nifti1.h, nifti2.h of the NIfTI
// Data Format Working Group), so that they are not in a namespace.

#pragma pack(push, 1)
struct nifti_1_header {
  int32_t sizeof_hdr;  // 348
  char data_type[10];
  char db_name[18];
  int32_t extents;
  int16_t session_error;
  char regular;
  char dim_info;
  int16_t dim[8];
  float intent_p1, intent_p2, intent_p3;
  int16_t intent_code;
  int16_t datatype;
  int16_t bitpix;
  int16_t slice_start;
  float pixdim[8];
  float vox_offset;
  float scl_slope, scl_inter;
  int16_t slice_end;
  char slice_code;
  char xyzt_units;
  float cal_max, cal_min;
  float slice_duration;
  float toffset;
  int32_t glmax, glmin;
  char descrip[80];
  char aux_file[24];
  int16_t qform_code, sform_code;
  float quatern_b, quatern_c, quatern_d;
  float qoffset_x, qoffset_y, qoffset_z;
  float srow_x[4], srow_y[4], srow_z[4];
  char intent_name[16];
  char magic[4];
};

struct nifti_2_header {
  int32_t sizeof_hdr;  // 540
  char magic[8];
  int16_t datatype;
  int16_t bitpix;
  int64_t dim[8];
  double intent_p1, intent_p2, intent_p3;
  double pixdim[8];
  int64_t vox_offset;
  double scl_slope, scl_inter;
  double cal_max, cal_min;
  double slice_duration;
  double toffset;
  int64_t slice_start, slice_end;
  char descrip[80];
  char aux_file[24];
  int32_t qform_code, sform_code;
  double quatern_b, quatern_c, quatern_d;
  double qoffset_x, qoffset_y, qoffset_z;
  double srow_x[4], srow_y[4], srow_z[4];
  int32_t slice_code;
  int32_t xyzt_units;
  int32_t intent_code;
  char intent_name[16];
  char dim_info;
  char unused_str[15];
};
#pragma pack(pop)
static_assert(sizeof(nifti_1_header) == 348 && sizeof(nifti_2_header) == 540);

enum NiftiCode : int {
  NIFTI_TYPE_UINT8 = 2,
  NIFTI_TYPE_INT16 = 4,
  NIFTI_TYPE_INT32 = 8,
  NIFTI_TYPE_FLOAT32 = 16,
  NIFTI_TYPE_COMPLEX64 = 32,
  NIFTI_TYPE_FLOAT64 = 64,
  NIFTI_TYPE_RGB24 = 128,
  NIFTI_TYPE_INT8 = 256,
  NIFTI_TYPE_UINT16 = 512,
  NIFTI_TYPE_UINT32 = 768,
  NIFTI_TYPE_INT64 = 1024,
  NIFTI_TYPE_UINT64 = 1280,
  NIFTI_TYPE_FLOAT128 = 1536,
  NIFTI_TYPE_COMPLEX128 = 1792,
  NIFTI_TYPE_COMPLEX256 = 2048,
  NIFTI_TYPE_RGBA32 = 2304,

  NIFTI_UNITS_UNKNOWN = 0,
  NIFTI_UNITS_METER = 1,
  NIFTI_UNITS_MM = 2,
  NIFTI_UNITS_MICRON = 3,

  NIFTI_XFORM_UNKNOWN = 0,
  NIFTI_XFORM_SCANNER_ANAT = 1,
};

namespace avocet::io {

// The rotation of a qform: the quaternion (a, b, c, d) of unit length with a >= 0, of which b, c, d
// are stored, and qfac, 1 or -1, by which the third axis is multiplied.
struct NiftiRotation {
  double b = 0, c = 0, d = 0;
  double qfac = 1;
};

// The matrix of a rotation (NIfTI-1, "method 2"), row-major; the columns are the directions of i,
// j, k in RAS. b^2 + c^2 + d^2 above 1 is scaled to 1.
std::array<double, 9> MatrixOfNiftiRotation(const NiftiRotation& rotation);

// The rotation nearest to three unit columns (row-major matrix with a determinant that is not 0):
// the orthogonal factor of its polar decomposition (Higham 1986).
NiftiRotation NiftiRotationNear(std::array<double, 9> columns);

}  // namespace avocet::io
