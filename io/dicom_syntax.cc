// SPDX-License-Identifier: Apache-2.0
#include "io/dicom_syntax.h"

namespace avocet::io::dicom {
namespace {

struct Row {
  std::string_view uid;
  TransferSyntax syntax;
};

// UIDs and names: PS3.6 table A-1; the private one: GE conformance statements (the header is
// implicit little endian, pixels are big endian).
constexpr Row kRows[] = {
    {"1.2.840.10008.1.2", {"implicit VR little endian", PixelStorage::kNative}},
    {"1.2.840.10008.1.2.1", {"explicit VR little endian", PixelStorage::kNative}},
    {"1.2.840.10008.1.2.1.99", {"deflated explicit VR little endian", PixelStorage::kNative}},
    {"1.2.840.10008.1.2.2", {"explicit VR big endian", PixelStorage::kNative}},
    {"1.2.840.10008.1.20", {"Papyrus 3 implicit VR little endian", PixelStorage::kNative}},
    {"1.2.840.113619.5.2", {"GE private, pixels big endian", PixelStorage::kNativeBigEndian}},
    {"1.2.840.10008.1.2.1.98",
     {"encapsulated uncompressed explicit VR little endian", PixelStorage::kEncapsulatedNative}},
    {"1.2.840.10008.1.2.8.1", {"deflated image frames", PixelStorage::kDeflatedFrames}},
    {"1.2.840.10008.1.2.5", {"RLE lossless", PixelStorage::kRle}},
    {"1.2.840.10008.1.2.4.50", {"JPEG baseline", PixelStorage::kCodec}},
    {"1.2.840.10008.1.2.4.51", {"JPEG extended", PixelStorage::kCodec}},
    {"1.2.840.10008.1.2.4.53", {"JPEG spectral selection", PixelStorage::kCodec}},
    {"1.2.840.10008.1.2.4.55", {"JPEG full progression", PixelStorage::kCodec}},
    {"1.2.840.10008.1.2.4.57", {"JPEG lossless", PixelStorage::kCodec}},
    {"1.2.840.10008.1.2.4.70", {"JPEG lossless, first-order prediction", PixelStorage::kCodec}},
    {"1.2.840.10008.1.2.4.80", {"JPEG-LS lossless", PixelStorage::kCodec}},
    {"1.2.840.10008.1.2.4.81", {"JPEG-LS near-lossless", PixelStorage::kCodec}},
    {"1.2.840.10008.1.2.4.90", {"JPEG 2000 lossless", PixelStorage::kCodec}},
    {"1.2.840.10008.1.2.4.91", {"JPEG 2000", PixelStorage::kCodec}},
    {"1.2.840.10008.1.2.4.92", {"JPEG 2000 part 2 lossless", PixelStorage::kNotRead}},
    {"1.2.840.10008.1.2.4.93", {"JPEG 2000 part 2", PixelStorage::kNotRead}},
    {"1.2.840.10008.1.2.4.94", {"JPIP referenced", PixelStorage::kNotRead}},
    {"1.2.840.10008.1.2.4.95", {"JPIP referenced deflate", PixelStorage::kNotRead}},
    {"1.2.840.10008.1.2.4.100", {"MPEG-2 main profile", PixelStorage::kNotRead}},
    {"1.2.840.10008.1.2.4.101", {"MPEG-2 main profile high level", PixelStorage::kNotRead}},
    {"1.2.840.10008.1.2.4.102", {"MPEG-4 high profile", PixelStorage::kNotRead}},
    {"1.2.840.10008.1.2.4.103", {"MPEG-4 BD-compatible high profile", PixelStorage::kNotRead}},
    {"1.2.840.10008.1.2.4.104", {"MPEG-4 high profile for 2D video", PixelStorage::kNotRead}},
    {"1.2.840.10008.1.2.4.105", {"MPEG-4 high profile for 3D video", PixelStorage::kNotRead}},
    {"1.2.840.10008.1.2.4.106", {"MPEG-4 stereo high profile", PixelStorage::kNotRead}},
    {"1.2.840.10008.1.2.4.107", {"HEVC main profile", PixelStorage::kNotRead}},
    {"1.2.840.10008.1.2.4.108", {"HEVC main 10 profile", PixelStorage::kNotRead}},
    {"1.2.840.10008.1.2.4.110", {"JPEG XL lossless", PixelStorage::kNotRead}},
    {"1.2.840.10008.1.2.4.111", {"JPEG XL from JPEG", PixelStorage::kNotRead}},
    {"1.2.840.10008.1.2.4.112", {"JPEG XL", PixelStorage::kNotRead}},
    {"1.2.840.10008.1.2.4.201", {"high-throughput JPEG 2000 lossless", PixelStorage::kNotRead}},
    {"1.2.840.10008.1.2.4.202",
     {"high-throughput JPEG 2000 lossless with RPCL", PixelStorage::kNotRead}},
    {"1.2.840.10008.1.2.4.203", {"high-throughput JPEG 2000", PixelStorage::kNotRead}},
    {"1.2.840.10008.1.2.4.204", {"JPIP referenced HTJ2K", PixelStorage::kNotRead}},
    {"1.2.840.10008.1.2.4.205", {"JPIP referenced HTJ2K deflate", PixelStorage::kNotRead}},
};

}  // namespace

TransferSyntax TransferSyntaxOf(std::string_view uid) {
  for (const Row& row : kRows) {
    if (row.uid == uid) return row.syntax;
  }
  return {};
}

}  // namespace avocet::io::dicom
