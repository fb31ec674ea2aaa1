// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <map>
#include <string>

namespace avocet::core {

// Names of label values from a JSON file with a "labels" member in one of the usual forms:
// {"0": "background", "1": "liver"} (Medical Segmentation Decathlon), {"background": 0, "liver": 1}
// (nnU-Net; a list of values for a region takes its last), or [{"value": 1, "name": "liver"}, ...]
// (what `avocet segment` writes beside a mask). Value 0 is left out. Throws IoError naming the
// file.
std::map<int, std::string> ReadLabelNames(const std::filesystem::path& path);

}  // namespace avocet::core
