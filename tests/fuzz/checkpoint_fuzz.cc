// SPDX-License-Identifier: Apache-2.0
// Checkpoints. The first byte chooses: 'Z' a pickle, put into a zip container with right checksums;
// 'S' a safetensors header, given the right length; anything else a whole file.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "app/base/error.h"
#include "models/architecture/layout.h"
#include "models/checkpoint/tensor_file.h"
#include "models/model_card.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/models/checkpoint_builder.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace avocet;
  const std::string input(reinterpret_cast<const char*>(data), size);
  std::string built;
  std::string_view bytes = input;
  if (size > 0 && input[0] == 'Z') {
    built = test::MakeTorchZip(input.substr(1), 4);
    bytes = built;
  } else if (size > 0 && input[0] == 'S') {
    built = test::MakeSafetensors(input.substr(1), std::string(64, '\1'));
    bytes = built;
  }
  try {
    const models::TensorFile file = models::ParseTensorFile(bytes);
    size_t total = 0;
    for (const auto& [name, tensor] : file.tensors) {
      if (tensor.data.size() != static_cast<size_t>(tensor.Numel()) * models::SizeOf(tensor.type)) {
        std::abort();
      }
      total += tensor.data.size();
    }
    const bool gzip = !file.notes.empty() && file.notes[0].find("gzip") != std::string::npos;
    if (!gzip && total > bytes.size() * 64 + (size_t{1} << 20)) std::abort();
    models::DetectArchitecture(file);
    models::CardOf(file);
    ++fuzz::Outcomes().read;
  } catch (const ModelError& error) {  // bytes have no name
    ++fuzz::Outcomes().refused;
    fuzz::CheckMessage(error.what(), "");
  }
  return 0;
}
