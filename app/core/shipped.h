// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <vector>

namespace avocet::core {

// Folders in which models are looked for, in this order, existing ones only:
//   each folder of $AVOCET_MODELS (separated by ':');
//   <program>/../../../data/models, the checkout that a build folder lies in;
//   <program>/../share/avocet/models, an installation.
std::vector<std::filesystem::path> ModelFolders();

// Folders of sample data that ship: data/ of the checkout, or share/avocet of an installation.
std::vector<std::filesystem::path> DataFolders();

// `name` itself when such a file exists; otherwise NAME or NAME.safetensors in ModelFolders().
// Throws IoError that says where was looked.
std::filesystem::path FindModel(const std::filesystem::path& name);

}  // namespace avocet::core
