// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "models/architecture/layout.h"
#include "models/checkpoint/tensor_file.h"
#include "models/rwkv_unet/rwkv_unet.h"

namespace avocet::models {

// What a training took from the checkpoint that it starts from. Names are those of the network,
// those of `unknown` the file's.
struct StartReport {
  std::vector<std::string> loaded;
  std::vector<std::string> fresh;    // not in the file, or of other classes: initial values
  std::vector<std::string> unused;   // in the file, known not to influence the result
  std::vector<std::string> unknown;  // in the file, not of this architecture
  int classes = 0;                   // of the file; 0 when it has no class layer
  bool encoder_only = false;
};

// The RWKV-UNet in `file` as a beginning: an official checkpoint, a model of ours, or the encoder
// alone (ImageNet form). Throws ModelError that names `source` when it is of another architecture,
// when a tensor is missing (the decoder of an encoder excepted), or when one has a wrong shape (the
// class layer's number of classes excepted).
LayoutReport CheckStart(const TensorFile& file, const std::string& source);

// Copies the weights of `file` into `network`, which has been initialised: what the file does not
// have keeps its values. Throws ModelError as CheckStart, when the variants differ, and when a
// weight is not finite.
StartReport StartFrom(const TensorFile& file, const std::string& source, RwkvUnet& network);

}  // namespace avocet::models
