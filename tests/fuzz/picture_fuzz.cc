// SPDX-License-Identifier: Apache-2.0
// PNG, JPEG and TIFF, told apart by their content.
#include "io/format_list.h"
#include "tests/fuzz/fuzz_target.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace avocet;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto path = fuzz::WriteInput("x", bytes);
  for (const io::Format* format : {&io::PngFormat(), &io::JpegFormat(), &io::TiffFormat()}) {
    if (!format->Recognises(path, bytes.substr(0, 1024))) continue;
    fuzz::Attempt([&] { fuzz::CheckVolume(format->Read(path), fuzz::MostBytes(size)); });
  }
  return 0;
}
