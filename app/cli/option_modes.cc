// SPDX-License-Identifier: Apache-2.0
#include "app/cli/option_modes.h"

#include <algorithm>

#include "app/base/error.h"

namespace avocet::cli {

OptionModes::OptionModes(CLI::App& command, std::vector<std::string> modes, Current current)
    : command_(command), modes_(std::move(modes)), current_(std::move(current)) {}

CLI::Option* OptionModes::Only(std::initializer_list<size_t> modes, CLI::Option* option) {
  restricted_.push_back({option, modes});
  return option;
}

bool OptionModes::Restricted::Knows(size_t mode) const {
  return std::find(modes.begin(), modes.end(), mode) != modes.end();
}

void OptionModes::Check() const {
  const std::optional<size_t> mode = current_();
  if (!mode) return;
  for (const Restricted& one : restricted_) {
    if (one.option->count() == 0 || one.Knows(*mode)) continue;
    std::string others;
    for (size_t n = 0; n < one.modes.size(); ++n) {
      const char* joint = n == 0 ? "" : n + 1 == one.modes.size() ? " or " : ", ";
      others += joint + modes_.at(one.modes[n]);
    }
    throw OptionError(one.option->get_name() + " has no effect with " + modes_.at(*mode) +
                      ": it is for " + others + "; leave it out");
  }
}

OptionModes& ModeTable::Add(CLI::App& command, std::vector<std::string> modes,
                            OptionModes::Current current) {
  return choices_.emplace_back(command, std::move(modes), std::move(current));
}

void ModeTable::Check() const {
  for (const OptionModes& choice : choices_) {
    if (choice.command().parsed()) choice.Check();
  }
}

}  // namespace avocet::cli
