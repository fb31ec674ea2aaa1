// SPDX-License-Identifier: Apache-2.0
// HDF5 files of the research sets (spec/datasets.md: Synapse *.npy.h5, ACDC *.h5; arrays image,
// label, scribble), read by the HDF5 library in the child process. Links and storage outside the
// file, virtual data sets and filters that need a plugin are refused.
#include <hdf5.h>

#include <algorithm>
#include <set>

#include "app/base/error.h"
#include "io/array_volume.h"
#include "io/byte_source.h"
#include "io/child/child_reader.h"
#include "io/memory_limit.h"
#include "io/voxel_data.h"

namespace avocet::io {
namespace fs = std::filesystem;
namespace {

// An identifier, closed at the end of the scope.
class Id {
 public:
  Id(hid_t id, herr_t (*close)(hid_t)) : id_(id), close_(close) {}
  ~Id() {
    if (id_ >= 0) close_(id_);
  }
  Id(const Id&) = delete;
  Id& operator=(const Id&) = delete;
  operator hid_t() const { return id_; }
  bool ok() const { return id_ >= 0; }

 private:
  hid_t id_;
  herr_t (*close_)(hid_t);
};

constexpr int kDeepest = 6;
constexpr size_t kMostArrays = 1000;
// What the library may take for finding the arrays; what it needs beside them.
constexpr double kHeaderSeconds = 1;
constexpr uint64_t kLibraryBytes = uint64_t{512} << 20;

class Child {
 public:
  Child(const fs::path& path, std::string member)
      : name_(path.string()), member_(std::move(member)), path_(path) {}
  void Run(AnswerWriter& out, bool voxels);

 private:
  [[noreturn]] void Refuse(const std::string& why) const {
    throw IoError("cannot read '" + name_ + "': " + why);
  }
  void ListGroup(hid_t group, const std::string& prefix, int depth);
  ArrayInfo Describe(hid_t dataset, const std::string& name) const;
  void CheckStorage(hid_t dataset, uint64_t bytes) const;

  std::string name_;
  std::string member_;
  fs::path path_;
  uint64_t file_bytes_ = 0;
  std::vector<ArrayInfo> arrays_;
  std::set<haddr_t> seen_;
};

hid_t MemoryType(VoxelType type) {
  switch (type) {
    case VoxelType::kUInt8:
      return H5T_NATIVE_UINT8;
    case VoxelType::kInt8:
      return H5T_NATIVE_INT8;
    case VoxelType::kUInt16:
      return H5T_NATIVE_UINT16;
    case VoxelType::kInt16:
      return H5T_NATIVE_INT16;
    case VoxelType::kUInt32:
      return H5T_NATIVE_UINT32;
    case VoxelType::kInt32:
      return H5T_NATIVE_INT32;
    case VoxelType::kUInt64:
      return H5T_NATIVE_UINT64;
    case VoxelType::kInt64:
      return H5T_NATIVE_INT64;
    case VoxelType::kFloat32:
      return H5T_NATIVE_FLOAT;
    case VoxelType::kFloat64:
      break;
  }
  return H5T_NATIVE_DOUBLE;
}

ArrayInfo Child::Describe(hid_t dataset, const std::string& name) const {
  ArrayInfo info;
  info.name = name;
  const Id space(H5Dget_space(dataset), H5Sclose);
  const Id type(H5Dget_type(dataset), H5Tclose);
  if (!space.ok() || !type.ok()) {
    info.unusable = "has a damaged header";
    return info;
  }
  hsize_t sizes[H5S_MAX_RANK] = {};
  const int rank = H5Sget_simple_extent_ndims(space);
  if (rank < 2 || rank > 4 || H5Sget_simple_extent_dims(space, sizes, nullptr) != rank) {
    info.unusable = "has " + std::to_string(rank) + " dimensions; an image has two to four";
    return info;
  }
  for (int i = 0; i < rank; ++i) {
    info.shape.push_back(static_cast<int64_t>(std::min<hsize_t>(sizes[i], hsize_t{1} << 62)));
  }
  const size_t width = H5Tget_size(type);
  const H5T_class_t kind = H5Tget_class(type);
  const bool is_signed = kind == H5T_INTEGER && H5Tget_sign(type) == H5T_SGN_2;
  if (kind == H5T_FLOAT) {
    info.type = width <= 4 ? VoxelType::kFloat32 : VoxelType::kFloat64;
  } else if (kind == H5T_ENUM && width == 1) {
    info.type = VoxelType::kUInt8;  // h5py's booleans
  } else if (kind == H5T_INTEGER && width == 1) {
    info.type = is_signed ? VoxelType::kInt8 : VoxelType::kUInt8;
  } else if (kind == H5T_INTEGER && width == 2) {
    info.type = is_signed ? VoxelType::kInt16 : VoxelType::kUInt16;
  } else if (kind == H5T_INTEGER && width == 4) {
    info.type = is_signed ? VoxelType::kInt32 : VoxelType::kUInt32;
  } else if (kind == H5T_INTEGER && width == 8) {
    info.type = is_signed ? VoxelType::kInt64 : VoxelType::kUInt64;
  } else {
    info.unusable = "is of a type that is no image's";
  }
  return info;
}

void Child::ListGroup(hid_t group, const std::string& prefix, int depth) {
  H5G_info_t group_info;
  if (H5Gget_info(group, &group_info) < 0) Refuse("its directory is damaged");
  for (hsize_t i = 0; i < group_info.nlinks && arrays_.size() < kMostArrays; ++i) {
    char link[256];
    const ssize_t length = H5Lget_name_by_idx(group, ".", H5_INDEX_NAME, H5_ITER_INC, i, link,
                                              sizeof link, H5P_DEFAULT);
    if (length < 0) Refuse("its directory is damaged");
    if (static_cast<size_t>(length) >= sizeof link) continue;
    const std::string name = prefix + link;
    H5L_info_t link_info;
    if (H5Lget_info(group, link, &link_info, H5P_DEFAULT) < 0) Refuse("its directory is damaged");
    if (link_info.type != H5L_TYPE_HARD) {
      ArrayInfo info;
      info.name = name;
      info.unusable = link_info.type == H5L_TYPE_SOFT
                          ? "is a symbolic link, which is not followed"
                          : "is a link to another file, which is not followed";
      arrays_.push_back(info);
      continue;
    }
    // A group that contains itself is entered once.
    if (!seen_.insert(link_info.u.address).second) continue;
    const Id object(H5Oopen(group, link, H5P_DEFAULT), H5Oclose);
    if (!object.ok()) Refuse("its object '" + name.substr(0, 60) + "' is damaged");
    const H5I_type_t kind = H5Iget_type(object);
    if (kind == H5I_DATASET) arrays_.push_back(Describe(object, name));
    if (kind == H5I_GROUP && depth < kDeepest) ListGroup(object, name + "/", depth + 1);
  }
}

// That the values are in this file, and can be as many as the shape says.
void Child::CheckStorage(hid_t dataset, uint64_t bytes) const {
  const Id plist(H5Dget_create_plist(dataset), H5Pclose);
  if (!plist.ok()) Refuse("its image's header is damaged");
  const H5D_layout_t layout = H5Pget_layout(plist);
  if (layout == H5D_VIRTUAL)
    Refuse("its image lies in other files (virtual data set), which are not followed");
  if (H5Pget_external_count(plist) != 0) {
    Refuse("its image lies in other files (external storage), which are not followed");
  }
  const uint64_t stored = H5Dget_storage_size(dataset);
  const int filters = H5Pget_nfilters(plist);
  uint64_t ratio = 1;
  for (int i = 0; i < filters; ++i) {
    unsigned flags = 0;
    size_t values = 0;
    char filter_name[64] = "";
    const H5Z_filter_t filter = H5Pget_filter2(plist, static_cast<unsigned>(i), &flags, &values,
                                               nullptr, sizeof filter_name, filter_name, nullptr);
    if (filter == H5Z_FILTER_DEFLATE || filter == H5Z_FILTER_SZIP) {
      ratio = 1032;
    } else if (filter != H5Z_FILTER_SHUFFLE && filter != H5Z_FILTER_FLETCHER32) {
      Refuse("its image is packed by filter " + std::to_string(filter) +
             ", which is not read; write it again with gzip compression");
    }
  }
  if (layout != H5D_COMPACT && stored > file_bytes_) {
    ThrowTooShort(name_, file_bytes_, stored);
  }
  if (bytes > stored * ratio) ThrowTooShort(name_, stored * ratio, bytes, ratio > 1);
  if (layout == H5D_CHUNKED) {
    hsize_t chunk[H5S_MAX_RANK] = {};
    const int rank = H5Pget_chunk(plist, H5S_MAX_RANK, chunk);
    const Id type(H5Dget_type(dataset), H5Tclose);
    uint64_t chunk_bytes = H5Tget_size(type);
    for (int i = 0; i < rank; ++i) {
      if (__builtin_mul_overflow(chunk_bytes, static_cast<uint64_t>(chunk[i]), &chunk_bytes)) {
        Refuse("its image's header is damaged");
      }
    }
    if (chunk_bytes > stored * ratio && chunk_bytes > (uint64_t{64} << 20)) {
      ThrowTooShort(name_, stored * ratio, chunk_bytes, true);
    }
  }
}

void Child::Run(AnswerWriter& out, bool voxels) {
  H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
  H5PLset_loading_state(0);  // no code from files named by the environment
  const Id access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose);
  std::vector<std::byte> image;
  {
    ByteSource source(path_);
    file_bytes_ = source.capacity();
    if (source.compressed()) {
      // Arrays of one value pack better than this; a bomb does too.
      const uint64_t most = (uint64_t{32} << 20) + file_bytes_ / 16;
      if (source.Append(image, most + 1) > most) {
        Refuse("its gzip content is over " + std::to_string(most >> 20) +
               " MB; unpack it with gunzip first");
      }
      file_bytes_ = image.size();
      H5Pset_fapl_core(access, size_t{1} << 20, 0);
      H5Pset_file_image(access, image.data(), image.size());
    }
  }
  LimitWork(kHeaderSeconds, kLibraryBytes + 2 * image.size());
  // An image in memory must have a name that no file has.
  const std::string open_name = image.empty() ? path_.string() : path_.string() + "#in-memory";
  const Id file(H5Fopen(open_name.c_str(), H5F_ACC_RDONLY, access), H5Fclose);
  if (!file.ok()) Refuse("it is no HDF5 file, or cut off or damaged; copy or download it again");
  {
    const Id root(H5Gopen2(file, "/", H5P_DEFAULT), H5Gclose);
    if (!root.ok()) Refuse("its directory is damaged");
    ListGroup(root, "", 0);
  }
  std::vector<std::string> notes;
  const ArrayInfo& info = arrays_[ChooseArray(arrays_, member_, name_, &notes)];
  const uint64_t bytes = CheckedByteCount(info.shape, SizeOf(info.type), name_);
  const Id dataset(H5Dopen2(file, info.name.c_str(), H5P_DEFAULT), H5Dclose);
  if (!dataset.ok()) Refuse("its array '" + info.name.substr(0, 60) + "' is damaged");
  const Id type(H5Dget_type(dataset), H5Tclose);
  CheckStorage(dataset, bytes / SizeOf(info.type) * H5Tget_size(type));
  out.Text(info.name);
  out.Number(static_cast<int64_t>(info.type));
  out.Number(H5Tget_order(type) == H5T_ORDER_BE);
  out.Number(static_cast<int64_t>(info.shape.size()));
  for (const int64_t size : info.shape) out.Number(size);
  out.Number(static_cast<int64_t>(notes.size()));
  for (const std::string& note : notes) out.Text(note);
  if (voxels) {
    CheckMemory(bytes, name_);
    // 20 MB/s is slower than any machine unpacks; chunks come on top of the values.
    LimitWork(kHeaderSeconds + static_cast<double>(bytes) / 20e6, kLibraryBytes + 3 * bytes);
    void* data = out.ReserveVoxels(bytes);
    // h5py's booleans are an enumeration, which converts to no integer; its bytes are read as
    // stored.
    const hid_t memory =
        H5Tget_class(type) == H5T_ENUM ? static_cast<hid_t>(type) : MemoryType(info.type);
    if (H5Dread(dataset, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) < 0) {
      Refuse("the values of its array '" + info.name.substr(0, 60) +
             "' are damaged or cut off; copy or download it again");
    }
  }
}

}  // namespace

void ReadHdf5InChild(const ChildRequest& request, AnswerWriter& out) {
  Child(request.path, request.member).Run(out, request.voxels);
}

}  // namespace avocet::io
