// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>

namespace avocet::io {

// Walks over the tags of a DICOM file without recursion and without reading values, before a
// recursive parser sees it. Throws IoError when data sets are nested deeper than 64 levels (a
// parser's stack would overflow), when a value claims more bytes than are left (a parser would take
// the memory first), or when a deflated data set unpacks to more than dicom::MostInflated. Other
// damage is left for the parser to report.
void CheckDicomStructure(const std::filesystem::path& path);

}  // namespace avocet::io
