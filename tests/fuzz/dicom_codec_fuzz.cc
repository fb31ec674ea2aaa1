// SPDX-License-Identifier: Apache-2.0
// The codecs behind compressed DICOM: eight bytes say what the header would (transfer syntax, rows,
// columns, samples, bits), the rest is the compressed frame.
#include "io/dicom_instance.h"
#include "tests/fuzz/fuzz_target.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace avocet;
  static const char* const kSyntaxes[] = {"1.2.840.10008.1.2.5",      // RLE
                                          "1.2.840.10008.1.2.4.50",   // JPEG baseline
                                          "1.2.840.10008.1.2.4.51",   // JPEG extended, 12 bits
                                          "1.2.840.10008.1.2.4.57",   // JPEG lossless
                                          "1.2.840.10008.1.2.4.70",   // JPEG lossless, first order
                                          "1.2.840.10008.1.2.4.80",   // JPEG-LS
                                          "1.2.840.10008.1.2.4.81",   // JPEG-LS, near lossless
                                          "1.2.840.10008.1.2.4.90",   // JPEG 2000 lossless
                                          "1.2.840.10008.1.2.4.91",   // JPEG 2000
                                          "1.2.840.10008.1.2.4.55"};  // JPEG progressive (retired)
  fuzz::Feed feed(data, size);
  io::dicom::Instance instance;
  io::dicom::PixelFormat& f = instance.format;
  const unsigned syntax = feed.Below(std::size(kSyntaxes));
  instance.transfer_syntax = kSyntaxes[syntax];
  f.rows = static_cast<int>(std::max(1U, feed.Word()));
  f.columns = static_cast<int>(std::max(1U, feed.Word()));
  const unsigned kind = feed.Byte();
  f.samples = kind & 1 ? 3 : 1;
  f.allocated = kind & 2 ? 8 : 16;
  f.is_signed = kind & 4;
  f.photometric = f.samples == 1 ? "MONOCHROME2" : kind & 8 ? "YBR_FULL" : "RGB";
  f.stored = 1 + static_cast<int>(feed.Below(static_cast<unsigned>(f.allocated)));
  f.high_bit = f.stored - 1;
  feed.Byte();
  const std::string packed(feed.Rest());
  std::vector<std::byte> out;
  bool ybr = false;
  const std::string wrong = syntax == 0 ? io::dicom::DecodeRle(f, packed, out)
                                        : io::dicom::DecodeCompressed(instance, packed, out, &ybr);
  if (!wrong.empty()) {
    ++fuzz::Outcomes().refused;
    fuzz::CheckMessage(wrong, "");
    return 0;
  }
  ++fuzz::Outcomes().read;
  const size_t samples = static_cast<size_t>(f.rows) * f.columns * f.samples;
  if (out.size() != samples * (f.allocated / 8)) fuzz::Abort("a frame of another length");
  if (out.size() > fuzz::MostBytes(size) * 2) fuzz::Abort("more pixels than the frame can hold");
  return 0;
}
