// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <initializer_list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "io/header_text.h"
#include "io/stream.h"

namespace avocet::io {

// Key of the pair in which Avocet's NRRD files name what their source does not state, as NamesOf
// has it.
inline constexpr const char* kNrrdAssumedKey = "avocet_assumed";

// The text at the beginning of an NRRD file: fields by name, and the file standing behind the empty
// line that ends it. Every function throws IoError naming the file.
class NrrdHeader {
 public:
  explicit NrrdHeader(const std::filesystem::path& path);

  const std::string& name() const { return name_; }
  FileStream& file() { return file_; }
  // Names as they are written; empty when the voxels are attached.
  const std::vector<std::string>& data_files() const { return data_files_; }
  const std::string& modality() const { return modality_; }  // of the key/value pairs
  const Assumptions& assumed() const { return assumed_; }    // the same; in files by Avocet
  const std::shared_ptr<FieldsHeader>& shown() const { return shown_; }

  [[noreturn]] void Refuse(const std::string& why) const;
  // The first of `names` (lower case, no spaces) that is there; null when none is.
  const std::string* Find(std::initializer_list<const char*> names) const;
  const std::string& Need(const char* name) const;
  int64_t Integer(std::initializer_list<const char*> names, int64_t missing) const;
  // One number for each of `count` axes, none for "nan", "none" and "???"; empty without the field.
  std::vector<std::optional<double>> Numbers(std::initializer_list<const char*> names,
                                             size_t count) const;
  // "(1,0,0) none (0,0,1)"; a vector of NaN is none.
  std::vector<std::optional<std::vector<double>>> Vectors(const std::string& text) const;
  VoxelType ReadType() const;

 private:
  void NameDataFiles(const std::string& value);

  std::string name_;
  FileStream file_;
  std::map<std::string, std::string> fields_;
  std::vector<std::string> data_files_;
  std::string modality_;
  Assumptions assumed_;
  std::shared_ptr<FieldsHeader> shown_;
};

}  // namespace avocet::io
