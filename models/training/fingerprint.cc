// SPDX-License-Identifier: Apache-2.0
#include "models/training/fingerprint.h"

#include <string_view>

#include "io/file_util.h"

namespace avocet::models::fingerprint {

std::string Sha256OfValues(const void* values, size_t bytes) {
  return io::Sha256OfBytes({static_cast<const char*>(values), bytes});
}

std::string Sha256OfText(const std::string& text) {
  return "sha256 " + io::Sha256OfBytes(text).substr(0, 16);
}

std::string DecidingCard(ModelCard card) {
  card.provenance.clear();
  card.expects = {};  // follows from the data, whose hashes stand beside it
  card.name.clear();
  card.licence.clear();
  return ToJson(card);
}

}  // namespace avocet::models::fingerprint
