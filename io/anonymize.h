// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace avocet::io {

// What became of one attribute over all files so far. Values are never kept.
struct AttributeCounts {
  int removed = 0;
  int emptied = 0;
  int replaced = 0;  // by a dummy, or a UID by its new one
};

struct AnonymizeReport {
  std::map<std::string, AttributeCounts> attributes;  // "(0010,0010) PatientName"
  int private_removed = 0;
  int files = 0;
  std::vector<std::string> warnings;  // without header text; each once
};

// De-identifies DICOM files by the Basic Application Level Confidentiality Profile (PS3.15 Annex E,
// table E.1-1 of 2024b in resources/confidentiality_profile.tsv), without its options:
//   - attributes of the table are removed, emptied, or given a dummy, also inside sequences; where
//     the table leaves a choice by the object's type, the one that keeps the object valid is taken
//     (a dummy before empty before removal); content trees and sequences of persons are emptied;
//   - all private attributes, curves, overlays, unknown attributes and group lengths are removed,
//     names of persons outside the table are emptied, the preamble is zeroed;
//   - UIDs of instances are replaced, the same old one by the same new one for as long as the
//     Anonymizer lives, so that references between files hold;
//   - Patient ID becomes ANON-1, ANON-2, ... for each different patient;
//   - what the standard wants stated is added (0012,0062..0064 and 0028,0303).
// Pixels are not looked at: text burned into them stays, and a warning says where it is likely.
class Anonymizer {
 public:
  Anonymizer();
  ~Anonymizer();
  Anonymizer(const Anonymizer&) = delete;
  Anonymizer& operator=(const Anonymizer&) = delete;

  // Loads `in` and keeps its de-identified form; throws IoError naming the file.
  // Returns the new Series Instance UID ("" when the file has none).
  std::string Load(const std::filesystem::path& in);
  // Writes what was loaded last, atomically, in the transfer syntax that it had.
  void Save(const std::filesystem::path& out);

  const AnonymizeReport& report() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace avocet::io
