// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include "io/deflate.h"
#include "io/volume.h"

namespace avocet::io {

// A format whose header is text, before the voxels or in a file of its own.
struct TextHeaderLayout {
  const char* attached;  // ".nrrd"
  const char* detached;  // ".nhdr"
  const char* data;      // ".raw.gz": the voxels beside a detached header
  Deflate wrapper;
};

// The header of `volume`; `data_file` is empty when the voxels follow it, `packed_size` is the
// length of the deflated voxels.
using TextHeaderMaker = std::function<std::string(
    const Volume& volume, const std::string& data_file, size_t packed_size)>;

// Writes header and deflated voxels, in one file or two, atomically; a pair is complete before
// either half gets its name. A scaling is carried out first, because these formats have none that
// others read. Throws IoError.
void WriteWithTextHeader(const Volume& volume, const std::filesystem::path& path,
                         const TextHeaderLayout& layout, const TextHeaderMaker& make_header);

}  // namespace avocet::io
