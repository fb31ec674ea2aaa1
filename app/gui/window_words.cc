// SPDX-License-Identifier: Apache-2.0
#include "app/gui/window_words.h"

#include <utility>

namespace avocet::gui {

std::string WindowWords(std::string sentence) {
  static constexpr std::pair<const char*, const char*> kWords[] = {
      {"use --force if", "tick 'Run anyway' if"},
      {"or try with --force", "or tick 'Run anyway'"},
      {"by --force", "by 'Run anyway'"},
      {"--head-only", "'Head only'"},
      {"--keep-patient", "'Keep the patient's identity'"},
  };
  for (const auto& [option, words] : kWords) {
    const std::string wanted = option;
    for (size_t at = sentence.find(wanted); at != std::string::npos;
         at = sentence.find(wanted, at)) {
      sentence.replace(at, wanted.size(), words);
    }
  }
  return sentence;
}

}  // namespace avocet::gui
