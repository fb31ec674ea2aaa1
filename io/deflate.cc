// SPDX-License-Identifier: Apache-2.0
#include "io/deflate.h"

#include <libdeflate.h>

#include <memory>
#include <new>

namespace avocet::io {
namespace {

// On brain MR, CT and label maps 1.4 to 2.8 times as fast as zlib's level 4 and no larger; level 6
// takes up to twice as long for a few percent.
constexpr int kLevel = 4;

}  // namespace

std::string DeflateBytes(const void* bytes, size_t size, Deflate wrapper) {
  const std::unique_ptr<libdeflate_compressor, decltype(&libdeflate_free_compressor)> compressor(
      libdeflate_alloc_compressor(kLevel), libdeflate_free_compressor);
  if (!compressor) throw std::bad_alloc();
  std::string packed;
  const auto run = [&](auto bound, auto compress) {
    packed.resize(bound(compressor.get(), size));
    packed.resize(compress(compressor.get(), bytes, size, packed.data(), packed.size()));
  };
  switch (wrapper) {
    case Deflate::kGzip:
      run(libdeflate_gzip_compress_bound, libdeflate_gzip_compress);
      break;
    case Deflate::kZlib:
      run(libdeflate_zlib_compress_bound, libdeflate_zlib_compress);
      break;
    case Deflate::kRaw:
      run(libdeflate_deflate_compress_bound, libdeflate_deflate_compress);
  }
  return packed;
}

Inflated InflateAtOnce(const void* packed, size_t size, Deflate wrapper, void* out, size_t room) {
  const std::unique_ptr<libdeflate_decompressor, decltype(&libdeflate_free_decompressor)>
      decompressor(libdeflate_alloc_decompressor(), libdeflate_free_decompressor);
  if (!decompressor) throw std::bad_alloc();
  const auto inflate = wrapper == Deflate::kGzip   ? libdeflate_gzip_decompress_ex
                       : wrapper == Deflate::kZlib ? libdeflate_zlib_decompress_ex
                                                   : libdeflate_deflate_decompress_ex;
  const auto* from = static_cast<const unsigned char*>(packed);
  auto* to = static_cast<unsigned char*>(out);
  Inflated done;
  do {
    size_t used = 0, produced = 0;
    if (inflate(decompressor.get(), from + done.used, size - done.used, to + done.produced,
                room - done.produced, &used, &produced) != LIBDEFLATE_SUCCESS) {
      return done;
    }
    done.used += used;
    done.produced += produced;
  } while (wrapper == Deflate::kGzip && done.produced < room && done.used < size &&
           from[done.used] == 0x1f);
  done.ok = true;
  return done;
}

}  // namespace avocet::io
