// SPDX-License-Identifier: Apache-2.0
#include <zlib.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <optional>

#include "app/base/error.h"
#include "io/deflate.h"
#include "io/file_util.h"
#include "io/nifti.h"
#include "io/nifti_layout.h"

namespace avocet::io {
namespace fs = std::filesystem;
namespace {

using Version = NiftiSource::Version;

// Volumes up to here are packed in one go, which takes their size three times in memory; larger
// ones piece by piece by zlib, whose level 4 packs to within a few percent of 6 in half the time.
constexpr size_t kLargestAtOnce = size_t{1} << 30;
constexpr int kGzipLevel = 4;

int DatatypeOf(const Volume& volume) {
  if (volume.components == 3 && volume.type == VoxelType::kUInt8) return NIFTI_TYPE_RGB24;
  if (volume.components == 4 && volume.type == VoxelType::kUInt8) return NIFTI_TYPE_RGBA32;
  if (volume.components != 1) return 0;
  switch (volume.type) {
    case VoxelType::kUInt8:
      return NIFTI_TYPE_UINT8;
    case VoxelType::kInt8:
      return NIFTI_TYPE_INT8;
    case VoxelType::kUInt16:
      return NIFTI_TYPE_UINT16;
    case VoxelType::kInt16:
      return NIFTI_TYPE_INT16;
    case VoxelType::kUInt32:
      return NIFTI_TYPE_UINT32;
    case VoxelType::kInt32:
      return NIFTI_TYPE_INT32;
    case VoxelType::kUInt64:
      return NIFTI_TYPE_UINT64;
    case VoxelType::kInt64:
      return NIFTI_TYPE_INT64;
    case VoxelType::kFloat32:
      return NIFTI_TYPE_FLOAT32;
    case VoxelType::kFloat64:
      return NIFTI_TYPE_FLOAT64;
  }
  return 0;
}

bool SameGrid(const Geometry& a, const Geometry& b) {
  return a.size == b.size && a.spacing == b.spacing && a.origin == b.origin &&
         a.direction == b.direction;
}

// Both forms, code "scanner", from a geometry that came from no NIfTI file. A sheared one has no
// qform: its code is 0 then, and the quaternion is that of the nearest rotation. What was assumed
// is not stated: axes have code 0, a length no unit, and NiftiMarkOf says so.
void SetGrid(nifti_2_header& h, const Geometry& geometry, const Assumptions& assumed) {
  double* const rows[3] = {h.srow_x, h.srow_y, h.srow_z};
  std::array<double, 9> columns{};
  for (int row = 0; row < 3; ++row) {
    const double ras_from_lps = row < 2 ? -1 : 1;
    for (int column = 0; column < 3; ++column) {
      columns[row * 3 + column] = ras_from_lps * geometry.direction[row * 3 + column];
      rows[row][column] = columns[row * 3 + column] * geometry.spacing[column] + 0.0;
    }
    rows[row][3] = ras_from_lps * geometry.origin[row] + 0.0;
  }
  h.qoffset_x = h.srow_x[3];
  h.qoffset_y = h.srow_y[3];
  h.qoffset_z = h.srow_z[3];
  const NiftiRotation rotation = NiftiRotationNear(columns);
  h.quatern_b = rotation.b;
  h.quatern_c = rotation.c;
  h.quatern_d = rotation.d;
  h.pixdim[0] = rotation.qfac;
  for (int i = 0; i < 3; ++i) h.pixdim[i + 1] = geometry.spacing[i];
  for (int i = 4; i < 8; ++i) h.pixdim[i] = 1;
  const int code = assumed.orientation ? NIFTI_XFORM_UNKNOWN : NIFTI_XFORM_SCANNER_ANAT;
  h.sform_code = code;
  h.qform_code = geometry.IsOrthonormal() ? code : NIFTI_XFORM_UNKNOWN;
  h.xyzt_units = assumed.in_plane_size ? NIFTI_UNITS_UNKNOWN : NIFTI_UNITS_MM;
  const std::string mark = NiftiMarkOf(assumed);
  std::memcpy(h.intent_name, mark.data(), mark.size());
}

int64_t FramesOf(const nifti_2_header& h) {
  int64_t frames = 1;
  for (int i = 4; i <= h.dim[0]; ++i) frames *= std::max<int64_t>(1, h.dim[i]);
  return frames;
}

struct Plan {
  nifti_2_header header = {};
  Version version = Version::kNifti1;
  std::vector<NiftiSource::Extension> extensions;
};

Plan MakePlan(const Volume& volume, int datatype) {
  Plan plan;
  nifti_2_header& h = plan.header;
  const auto* source = dynamic_cast<const NiftiSource*>(volume.source.get());
  // ANALYZE has no orientation to carry; what was assumed of it is written as assumed.
  const bool carried = source && source->version() != Version::kAnalyze &&
                       SameGrid(source->ReadGeometry("", nullptr), volume.geometry);
  ValueScaling source_scaling;
  if (carried && !source->grid_only() && std::isfinite(source->header().scl_slope) &&
      source->header().scl_slope != 0) {
    source_scaling.slope = source->header().scl_slope;
    if (std::isfinite(source->header().scl_inter)) {
      source_scaling.inter = source->header().scl_inter;
    }
  }
  // A copy of the image itself keeps every field; anything else only the grid.
  const bool copy = carried && !source->grid_only() && source->header().datatype == datatype &&
                    FramesOf(source->header()) == volume.frames &&
                    (volume.components > 1 || (source_scaling.slope == volume.scaling.slope &&
                                               source_scaling.inter == volume.scaling.inter));
  if (copy) {
    h = source->header();
    plan.extensions = source->extensions();
  } else {
    if (carried) {
      h = source->GridOnly()->header();
    } else {
      SetGrid(h, volume.geometry, volume.assumed);
      h.dim[0] = 3;
      for (int i = 0; i < 3; ++i) h.dim[i + 1] = volume.geometry.size[i];
      for (int i = 4; i < 8; ++i) h.dim[i] = 1;
    }
    if (volume.frames > 1) {
      h.dim[0] = 4;
      h.dim[4] = volume.frames;
    }
    h.scl_slope = volume.scaling.slope;
    h.scl_inter = volume.scaling.inter;
  }
  if (!volume.description.empty()) {
    std::memset(h.descrip, 0, sizeof h.descrip);
    std::memcpy(h.descrip, volume.description.data(),
                std::min(volume.description.size(), sizeof h.descrip - 1));
  }
  h.datatype = static_cast<int16_t>(datatype);
  h.bitpix = static_cast<int16_t>(8 * SizeOf(volume.type) * volume.components);
  if (carried) plan.version = source->version();
  for (int i = 1; i < 8; ++i) {
    if (h.dim[i] > std::numeric_limits<int16_t>::max()) plan.version = Version::kNifti2;
  }
  return plan;
}

// The header, the extender and the extensions; the voxels begin at its end in a single file.
std::string MakeHead(Plan& plan, bool single) {
  std::string tail(4, '\0');
  if (!plan.extensions.empty()) tail[0] = 1;
  for (const auto& extension : plan.extensions) {
    const size_t padded = (extension.content.size() + 8 + 15) / 16 * 16;
    const int32_t head[2] = {static_cast<int32_t>(padded), extension.code};
    tail.append(reinterpret_cast<const char*>(head), 8);
    tail += extension.content;
    tail.append(padded - 8 - extension.content.size(), '\0');
  }
  nifti_2_header& h = plan.header;
  std::memset(h.magic, 0, sizeof h.magic);
  if (plan.version == Version::kNifti2) {
    std::memcpy(h.magic, single ? "n+2\0\r\n\032\n" : "ni2\0\r\n\032\n", 8);
  } else {
    std::memcpy(h.magic, single ? "n+1" : "ni1", 4);
  }
  const size_t header_size = plan.version == Version::kNifti2 ? 540 : 348;
  const size_t end = header_size + tail.size();
  // The voxels of a float32 offset field and of memory-mapping readers begin at a multiple of 16.
  const size_t offset = (end + 15) / 16 * 16;
  h.vox_offset = single ? static_cast<int64_t>(offset) : 0;
  std::string head = SerializeNiftiHeader(h, plan.version) + tail;
  if (single) head.append(offset - end, '\0');
  return head;
}

// A gzip stream into an AtomicFile; without time and name, so that equal volumes give equal files.
class GzipWriter {
 public:
  explicit GzipWriter(AtomicFile& file) : file_(file) {
    if (deflateInit2(&stream_, kGzipLevel, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY) !=
        Z_OK) {
      throw std::bad_alloc();
    }
  }
  ~GzipWriter() { deflateEnd(&stream_); }
  GzipWriter(const GzipWriter&) = delete;
  GzipWriter& operator=(const GzipWriter&) = delete;

  void Write(const void* bytes, size_t size, bool last) {
    auto* next = static_cast<unsigned char*>(const_cast<void*>(bytes));
    do {
      const size_t part = std::min(size, size_t{1} << 30);
      stream_.next_in = next;
      stream_.avail_in = static_cast<uInt>(part);
      next += part;
      size -= part;
      const int flush = last && size == 0 ? Z_FINISH : Z_NO_FLUSH;
      do {
        stream_.next_out = buffer_.data();
        stream_.avail_out = static_cast<uInt>(buffer_.size());
        deflate(&stream_, flush);
        file_.Write(buffer_.data(), buffer_.size() - stream_.avail_out);
      } while (stream_.avail_out == 0);
    } while (size > 0);
  }

 private:
  AtomicFile& file_;
  z_stream stream_ = {};
  std::vector<unsigned char> buffer_ = std::vector<unsigned char>(size_t{1} << 18);
};

void WriteParts(AtomicFile& file, bool gzip, std::string_view head, const void* data, size_t size) {
  if (gzip && size <= kLargestAtOnce) {
    std::string all;
    all.reserve(head.size() + size);
    all.append(head).append(static_cast<const char*>(data), size);
    file.Write(DeflateBytes(all.data(), all.size(), Deflate::kGzip));
  } else if (gzip) {
    GzipWriter writer(file);
    writer.Write(head.data(), head.size(), false);
    writer.Write(data, size, true);
  } else {
    file.Write(head);
    file.Write(data, size);
  }
}

std::string Lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return std::tolower(c); });
  return text;
}

}  // namespace

void WriteNifti(const Volume& volume, const fs::path& path) {
  const bool gzip = Lower(path.extension().string()) == ".gz";
  const fs::path inner = gzip ? fs::path(path).replace_extension() : path;
  const std::string extension = Lower(inner.extension().string());

  const int datatype = DatatypeOf(volume);
  if (datatype == 0) {
    throw IoError("cannot write '" + path.string() + "': NIfTI has no type for " +
                  std::to_string(volume.components) + " values of " + NameOf(volume.type) +
                  " in each voxel");
  }
  const size_t bytes = static_cast<size_t>(volume.ValueCount()) * SizeOf(volume.type);
  if (volume.data.size() != bytes) {
    throw IoError("cannot write '" + path.string() + "': the volume holds " +
                  std::to_string(volume.data.size()) + " bytes and its size asks for " +
                  std::to_string(bytes));
  }

  Plan plan = MakePlan(volume, datatype);
  if (extension == ".nii") {
    const std::string head = MakeHead(plan, true);
    AtomicFile file(path);
    WriteParts(file, gzip, head, volume.data.data(), bytes);
    file.Commit();
    return;
  }

  // A pair is complete before either half gets its name.
  const std::string head = MakeHead(plan, false);
  const bool upper = inner.extension() == ".HDR" || inner.extension() == ".IMG";
  fs::path header_path = inner;
  fs::path image_path = inner;
  header_path.replace_extension(upper ? ".HDR" : ".hdr");
  image_path.replace_extension(upper ? ".IMG" : ".img");
  if (gzip) {
    header_path += ".gz";
    image_path += ".gz";
  }
  AtomicFile header_file(header_path);
  AtomicFile image_file(image_path);
  WriteParts(header_file, gzip, head, nullptr, 0);
  WriteParts(image_file, gzip, {}, volume.data.data(), bytes);
  std::error_code error;
  const bool existed = fs::exists(image_path, error);
  image_file.Commit();
  try {
    header_file.Commit();
  } catch (...) {
    if (!existed) fs::remove(image_path, error);
    throw;
  }
}

}  // namespace avocet::io
