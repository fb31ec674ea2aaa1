// SPDX-License-Identifier: Apache-2.0
#include "io/dicom_instance.h"

namespace avocet::io::dicom {

std::string DecodeRle(const PixelFormat& format, const std::string& packed,
                      std::vector<std::byte>& out) {
  const char* const damaged = "its RLE pixel data are damaged or cut short";
  const auto* b = reinterpret_cast<const unsigned char*>(packed.data());
  const auto u32 = [&](size_t at) -> uint64_t {
    return b[at] | b[at + 1] << 8 | b[at + 2] << 16 | static_cast<uint64_t>(b[at + 3]) << 24;
  };
  if (format.allocated % 8 != 0 || packed.size() < 64) return damaged;
  const size_t width = static_cast<size_t>(format.allocated / 8);
  const size_t planes = width * static_cast<size_t>(format.samples);
  const size_t pixels = static_cast<size_t>(format.rows) * format.columns;
  if (u32(0) != planes || planes > 15) return damaged;
  // A run of 128 samples takes two bytes; a claim above that is no memory worth.
  if (pixels * planes / 64 > packed.size() + 1) return damaged;
  out.assign(pixels * planes, std::byte{0});
  for (size_t plane = 0; plane < planes; ++plane) {
    size_t at = u32(4 + 4 * plane);
    size_t end = plane + 1 < planes ? u32(8 + 4 * plane) : packed.size();
    if (at < 64 || at > end || end > packed.size()) return damaged;
    // Segments are the bytes of a sample, most significant first.
    const size_t sample = plane / width, byte = width - 1 - plane % width;
    std::byte* to = out.data() + sample * width + byte;
    const size_t stride = planes;
    size_t done = 0;
    while (done < pixels && at < end) {
      const int code = b[at] < 128 ? b[at] : b[at] - 256;  // a signed byte
      ++at;
      if (code == -128) continue;
      const size_t run = static_cast<size_t>(code >= 0 ? code + 1 : 1 - code);
      if (run > pixels - done) return damaged;
      if (code >= 0) {
        if (run > end - at) return damaged;
        for (size_t i = 0; i < run; ++i) to[(done + i) * stride] = std::byte{b[at + i]};
        at += run;
      } else {
        if (at >= end) return damaged;
        for (size_t i = 0; i < run; ++i) to[(done + i) * stride] = std::byte{b[at]};
        ++at;
      }
      done += run;
    }
    if (done < pixels) return damaged;
  }
  return "";
}

}  // namespace avocet::io::dicom
