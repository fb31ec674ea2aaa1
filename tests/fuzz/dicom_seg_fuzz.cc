// SPDX-License-Identifier: Apache-2.0
// DICOM SEG, by itself.
#include "io/dicom_seg.h"
#include "tests/fuzz/fuzz_target.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace avocet;
  const auto path =
      fuzz::WriteInput("x.dcm", std::string_view(reinterpret_cast<const char*>(data), size));
  fuzz::Attempt([&] {
    const io::SegReadResult read = io::ReadDicomSeg(path);
    if (read.volumes.empty() || read.volume_of_segment.size() != read.segments.size()) {
      fuzz::Abort("segments without a volume");
    }
    for (const size_t volume : read.volume_of_segment) {
      if (volume >= read.volumes.size()) fuzz::Abort("a segment in a volume that is not there");
    }
    // Omitted frames are empty planes: some thousand of them may stand between two.
    for (const io::Volume& volume : read.volumes) fuzz::CheckVolume(volume, uint64_t{1} << 31);
    for (const io::Volume& volume : read.fractions) fuzz::CheckVolume(volume, uint64_t{1} << 31);
  });
  return 0;
}
