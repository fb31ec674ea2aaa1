// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>

#include "models/checkpoint/tensor_file.h"
#include "models/model_card.h"

namespace avocet::test {

// Card of a translation model: percentiles 0 and 99.5, plane sagittal.
models::ModelCard TranslatorCard();

// A tiny FS-RWKV with random weights (fixed seed) and `card` as its metadata. Its last convolution
// is scaled by `strength`; with 0 the network gives back its input.
models::TensorFile RandomTranslator(const models::ModelCard& card, double strength);

// Writes it into the running test's temporary folder; returns the path.
std::filesystem::path WriteRandomTranslator(const models::ModelCard& card, double strength,
                                            const std::string& name);

}  // namespace avocet::test
