// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>

#include "models/checkpoint/tensor_file.h"
#include "models/model_card.h"

namespace avocet::test {

// Card of a segmentation model with three classes (background, front, back).
models::ModelCard ExampleCard();

// An RWKV-UNet-T with random weights (fixed seed) and `card` as its metadata; no training needed.
models::TensorFile RandomModel(const models::ModelCard& card);

// Writes RandomModel(card) into the running test's temporary folder; returns the path.
std::filesystem::path WriteRandomModel(const models::ModelCard& card, const std::string& name);

}  // namespace avocet::test
