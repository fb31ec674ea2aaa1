// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "app/base/field_table.h"
#include "models/architecture/layout.h"

namespace avocet::models {

// Sizes of FS-RWKV (spec/fs_rwkv.md 1), as the official constructor takes them. One image channel
// in and out.
struct FsRwkvSizes {
  int64_t dim = 48;                       // width of level 1, a multiple of 8
  std::array<int, 4> blocks{4, 6, 6, 8};  // in levels 1-3 (encoder and decoder each) and the latent
  int refinement = 4;

  // "" when the network exists, otherwise what is wrong.
  std::string Check() const;
  // "dim48-4.6.6.8-r4".
  std::string Variant() const;
};
inline auto FieldsOf(const FsRwkvSizes& s) {
  return std::make_tuple(Decides("dim", s.dim), Decides("blocks", s.blocks),
                         Decides("refinement", s.refinement));
}

// Names and shapes in the official registration order (spec/fs_rwkv.md 7). The Haar filters of the
// official modules are in the list with used = false; a file may lack them, but where they are,
// they must have the right values (tolerance 1e-6), else they are reported as of the wrong shape.
std::vector<TensorSpec> FsRwkvTensors(const FsRwkvSizes& sizes);

// The sizes that a file's tensors have; nothing when it holds no FS-RWKV.
std::optional<FsRwkvSizes> FindFsRwkvSizes(const TensorFile& file);

// Compares a file with FS-RWKV. Throws ModelError when it holds no FS-RWKV.
LayoutReport MatchFsRwkv(const TensorFile& file);

// As above, but nothing when the file is something else.
std::optional<LayoutReport> DetectFsRwkv(const TensorFile& file);

// Adds the Haar filter buffers that the file of an FS-RWKV lacks, so that the official code loads
// it strictly.
void AddWaveletFilters(TensorFile& file);

}  // namespace avocet::models
