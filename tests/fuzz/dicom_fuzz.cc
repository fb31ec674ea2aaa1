// SPDX-License-Identifier: Apache-2.0
// A DICOM file by itself: header, frames, codecs, grid.
#include "io/dicom.h"
#include "tests/fuzz/fuzz_target.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace avocet;
  const auto path =
      fuzz::WriteInput("x.dcm", std::string_view(reinterpret_cast<const char*>(data), size));
  SilentProgress progress;
  io::DicomTree tree;
  if (!fuzz::Attempt([&] { tree = io::ScanDicom(path, progress); })) return 0;
  for (const io::DicomSeries* series : tree.AllSeries()) {
    fuzz::Attempt([&] {
      fuzz::CheckVolume(io::ReadDicomSeries(*series, {true}, progress), fuzz::MostBytes(size));
    });
  }
  return 0;
}
