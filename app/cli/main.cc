// SPDX-License-Identifier: Apache-2.0
#include <signal.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <new>

#include "app/cli/command.h"
#include "app/cli/terminal_progress.h"
#include "app/core/version.h"

using avocet::ExitCode;

namespace {

// One sentence instead of the parser's paragraph, with the place that says more.
int ReportParseError(const CLI::App& app, const CLI::ParseError& error, int argc, char** argv) {
  std::string command = "avocet";
  std::string message = error.what();
  if (const auto chosen = app.get_subcommands(); !chosen.empty()) {
    command += " " + chosen.front()->get_name();
  } else {
    for (int i = 1; i < argc; ++i) {
      if (argv[i][0] == '-') {
        if (app.get_option_no_throw(argv[i]) != nullptr) continue;
        message = std::string("there is no option '") + argv[i] + "'";
        break;
      }
      message = std::string("there is no subcommand '") + argv[i] + "'";
      break;
    }
  }
  while (!message.empty() && (message.back() == '\n' || message.back() == '.')) message.pop_back();
  for (char& c : message) {
    if (c == '\n') c = ' ';
  }
  std::fprintf(stderr, "avocet: error: %s; see '%s --help'\n", message.c_str(), command.c_str());
  return static_cast<int>(ExitCode::kOption);
}

}  // namespace

int main(int argc, char** argv) {
  // A file-size limit then is a failed write with a reason, not the end of the process.
  signal(SIGXFSZ, SIG_IGN);

  CLI::App app{"Avocet: RWKV networks for medical images. Research use, not for diagnosis."};
  app.name("avocet");
  app.set_version_flag("--version", std::string("avocet ") + avocet::core::Version());
  app.require_subcommand(1);
  app.fallthrough();  // -q may stand behind the subcommand
  bool quiet = false;
  app.add_flag("-q,--quiet", quiet, "No progress on stderr (warnings and errors stay)");
  app.footer(
      "Exit codes: 0 done, 1 internal error, 2 wrong option, 3 file cannot be read or written,\n"
      "4 model does not fit, 5 device not available, 6 some items of a batch failed, 130 "
      "cancelled.");

  avocet::cli::Action action;
  avocet::cli::ModeTable modes;
  avocet::cli::AddCommands(app, action, modes);

  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& request) {  // --help, --version
    return app.exit(request);
  } catch (const CLI::ParseError& error) {
    return ReportParseError(app, error, argc, argv);
  }

  avocet::cli::TerminalProgress progress(quiet);
  try {
    modes.Check();
    const ExitCode code = action(progress);
    if (std::fflush(stdout) != 0) {
      std::fprintf(stderr, "avocet: error: the output could not be written to stdout\n");
      return static_cast<int>(ExitCode::kIo);
    }
    return static_cast<int>(code);
  } catch (const avocet::Error& error) {
    progress.Clear();
    std::fprintf(stderr, "avocet: error: %s\n", error.what());
    return static_cast<int>(error.exit_code());
  } catch (const std::bad_alloc&) {
    progress.Clear();
    std::fprintf(stderr,
                 "avocet: error: not enough memory for this input; close other programs or "
                 "use a smaller --batch\n");
    return static_cast<int>(ExitCode::kIo);
  } catch (const std::exception& error) {
    progress.Clear();
    std::fprintf(stderr, "avocet: internal error: %s\n", error.what());
    return static_cast<int>(ExitCode::kInternal);
  }
}
