// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "models/checkpoint/tensor_file.h"

namespace avocet::models {

// One tensor that an architecture has. Free of LibTorch.
struct TensorSpec {
  enum class Role : uint8_t {
    kParameter,  // trained
    kBuffer,     // running statistics and counters
  };
  std::string name;
  std::vector<int64_t> shape;
  Role role = Role::kParameter;
  bool used = true;  // false: constructed by the official code, without influence on the result

  int64_t Numel() const;
};

// What a tensor file holds, seen as a network of a known architecture. Names are those of the whole
// network, also where the file leaves a prefix out (see encoder_only).
struct LayoutReport {
  std::string architecture;  // "rwkv-unet", "fs-rwkv"
  std::string variant;       // "T", "S", "B"; "dim48-4.6.6.8-r4"
  int classes = 0;           // 0 when the file does not say (no final layer)
  // "used": only tensors with influence; "lean", "full": exactly those of the two published
  // revisions (FS-RWKV has one, "full"); "other": some unused tensors, or holes.
  std::string layout;
  // The file holds an encoder and nothing else (ImageNet pre-training). Its names may lack the
  // prefix "encoder.".
  bool encoder_only = false;
  bool without_encoder_prefix = false;

  struct Mismatch {
    std::string name;
    std::string found;  // shape and type
    std::string expected;
  };
  std::vector<std::string> matched;     // used tensors that are there with the right shape
  std::vector<std::string> missing;     // used tensors that are not there
  std::vector<std::string> unused;      // known not to influence the result
  std::vector<std::string> unexpected;  // unknown to the architecture, named as in the file
  std::vector<Mismatch> wrong_shape;    // used, but of another shape or not a floating type

  int64_t used_parameters =
      0;  // elements of trained tensors that are used, as the network has them
  int64_t total_parameters = 0;  // elements of trained tensors in the file, unused ones included

  // How the file calls a tensor of the network.
  std::string NameInFile(const std::string& name) const;
  // Nothing is missing, wrong or unexpected. For encoder_only files this asks for a whole encoder.
  bool Complete() const;
  // Missing tensors, those outside the encoder left out when the file is encoder_only.
  std::vector<std::string> Holes() const;
  // "" when Complete(), otherwise a clause that names the first few names of each kind:
  // "3 tensors are missing (a, b, c)".
  std::string Complaint(size_t max_names = 3) const;
};

// The architecture that a file's names and shapes fit; nothing when they fit none. (Files with
// holes still fit: most names have to agree.)
std::optional<LayoutReport> DetectArchitecture(const TensorFile& file);

// First 16 hex digits of the SHA-256 over lines "name dim,dim,...\n" sorted by name
// (spec/rwkv_unet.md 10.4).
std::string LayoutDigest(const std::vector<TensorSpec>& tensors);

// "a, b, c and 7 more".
std::string ListNames(const std::vector<std::string>& names, size_t max_names);

}  // namespace avocet::models
