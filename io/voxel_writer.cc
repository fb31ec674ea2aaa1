// SPDX-License-Identifier: Apache-2.0
#include "io/voxel_writer.h"

#include <zlib.h>

#include <algorithm>
#include <new>
#include <vector>

#include "app/base/error.h"
#include "io/file_util.h"
#include "io/header_text.h"
#include "io/voxel_data.h"

namespace avocet::io {
namespace fs = std::filesystem;

std::string DeflateBytes(const void* bytes, size_t size, Deflate wrapper) {
  constexpr int kLevel = 4;
  z_stream stream = {};
  const int bits = wrapper == Deflate::kGzip ? 16 + MAX_WBITS : MAX_WBITS;
  if (deflateInit2(&stream, kLevel, Z_DEFLATED, bits, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
    throw std::bad_alloc();
  }
  struct Closer {
    z_stream* stream;
    ~Closer() { deflateEnd(stream); }
  } closer{&stream};
  std::string packed;
  std::vector<unsigned char> block(size_t{1} << 18);
  auto* next = static_cast<unsigned char*>(const_cast<void*>(bytes));
  do {
    const size_t part = std::min(size, size_t{1} << 30);
    stream.next_in = next;
    stream.avail_in = static_cast<uInt>(part);
    next += part;
    size -= part;
    do {
      stream.next_out = block.data();
      stream.avail_out = static_cast<uInt>(block.size());
      deflate(&stream, size == 0 ? Z_FINISH : Z_NO_FLUSH);
      packed.append(reinterpret_cast<char*>(block.data()), block.size() - stream.avail_out);
    } while (stream.avail_out == 0);
  } while (size > 0);
  return packed;
}

void WriteWithTextHeader(const Volume& volume, const fs::path& path, const TextHeaderLayout& layout,
                         const TextHeaderMaker& make_header) {
  const size_t bytes = static_cast<size_t>(volume.ValueCount()) * SizeOf(volume.type);
  if (volume.data.size() != bytes) {
    throw IoError("cannot write '" + path.string() + "': the volume holds " +
                  std::to_string(volume.data.size()) + " bytes and its size asks for " +
                  std::to_string(bytes));
  }
  if (!volume.scaling.IsIdentity()) {
    WriteWithTextHeader(WithRealValues(volume), path, layout, make_header);
    return;
  }
  const std::string packed = DeflateBytes(volume.data.data(), bytes, layout.wrapper);
  const std::string extension = Lower(path.extension().string());
  if (extension == layout.attached) {
    AtomicFile file(path);
    file.Write(make_header(volume, "", packed.size()));
    file.Write(packed);
    file.Commit();
    return;
  }
  const std::string data_name = path.stem().string() + layout.data;
  if (data_name.find_first_of("\n\r") != data_name.npos) {
    throw IoError("cannot write '" + path.string() +
                  "': a header cannot name a file with a line break in it; choose another name");
  }
  const fs::path data_path = fs::path(path).replace_filename(data_name);
  AtomicFile header_file(path);
  AtomicFile data_file(data_path);
  header_file.Write(make_header(volume, data_name, packed.size()));
  data_file.Write(packed);
  std::error_code error;
  const bool existed = fs::exists(data_path, error);
  data_file.Commit();
  try {
    header_file.Commit();
  } catch (...) {
    if (!existed) fs::remove(data_path, error);
    throw;
  }
}

}  // namespace avocet::io
