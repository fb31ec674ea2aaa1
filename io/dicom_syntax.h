// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace avocet::io::dicom {

// How a transfer syntax stores pixels (PS3.5 chapter 10 and annex A).
enum class PixelStorage {
  kNative,           // as they are, in the byte order of the data set
  kNativeBigEndian,  // as they are, 16-bit values most significant byte first, whatever the header
  kEncapsulatedNative,  // as they are, little endian, a fragment each frame
  kDeflatedFrames,      // each frame a raw deflate stream
  kRle,
  kCodec,    // JPEG, JPEG-LS, JPEG 2000: found by the codestream
  kNotRead,  // known by name, and not read
  kUnknown   // a UID of no standard
};

struct TransferSyntax {
  std::string_view name;  // "" when unknown
  PixelStorage storage = PixelStorage::kUnknown;
};

TransferSyntax TransferSyntaxOf(std::string_view uid);

}  // namespace avocet::io::dicom
