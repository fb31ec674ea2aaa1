// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <CLI/CLI.hpp>

#include <cstddef>
#include <deque>
#include <functional>
#include <initializer_list>
#include <optional>
#include <string>
#include <vector>

namespace avocet::cli {

// A choice of a command that decides which of its options mean something: the task, the kind of
// output. An option that only some modes know is declared with Only; where it is given in another
// mode the command is refused, by name (ModeTable::Check). Nothing is ever ignored in silence.
class OptionModes {
 public:
  // The mode that the parsed options ask for; nothing when that cannot be said (another error will
  // be reported then).
  using Current = std::function<std::optional<size_t>()>;

  // `modes`: what a person would write or give to get each, such as "--task translation".
  OptionModes(CLI::App& command, std::vector<std::string> modes, Current current);

  // Declares that `option` means something in these modes only. Returns the option.
  CLI::Option* Only(std::initializer_list<size_t> modes, CLI::Option* option);
  CLI::Option* Only(size_t mode, CLI::Option* option) { return Only({mode}, option); }

  std::optional<size_t> Mode() const { return current_(); }
  // Throws OptionError that names the option, the mode, and what to do.
  void Check() const;

  struct Restricted {
    CLI::Option* option;
    std::vector<size_t> modes;
    bool Knows(size_t mode) const;
  };
  const CLI::App& command() const { return command_; }
  const std::vector<std::string>& modes() const { return modes_; }
  const std::vector<Restricted>& restricted() const { return restricted_; }

 private:
  CLI::App& command_;
  std::vector<std::string> modes_;
  Current current_;
  std::vector<Restricted> restricted_;
};

// The choices of all commands.
class ModeTable {
 public:
  // The result lives as long as the table.
  OptionModes& Add(CLI::App& command, std::vector<std::string> modes, OptionModes::Current current);
  // Those of the commands that were parsed.
  void Check() const;
  const std::deque<OptionModes>& choices() const { return choices_; }

 private:
  std::deque<OptionModes> choices_;
};

}  // namespace avocet::cli
