// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>

#include <cstdio>
#include <exception>
#include <new>

#include "app/cli/command.h"
#include "app/cli/terminal_progress.h"

using avocet::ExitCode;

int main(int argc, char** argv) {
  CLI::App app{"Avocet: RWKV networks for medical images. Research use, not for diagnosis."};
  app.name("avocet");
  app.require_subcommand(1);
  bool quiet = false;
  app.add_flag("-q,--quiet", quiet, "No progress on stderr (warnings and errors stay)");
  app.footer(
      "Exit codes: 0 done, 1 internal error, 2 wrong option, 3 file cannot be read or written,\n"
      "4 model does not fit, 5 device not available, 6 some items of a batch failed, 130 cancelled.");

  avocet::cli::Action action;
  avocet::cli::AddModel(app, action);
  avocet::cli::AddInfo(app, action);

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int code = app.exit(error);
    return code == 0 ? 0 : static_cast<int>(ExitCode::kOption);
  }

  avocet::cli::TerminalProgress progress(quiet);
  try {
    return static_cast<int>(action(progress));
  } catch (const avocet::Error& error) {
    std::fprintf(stderr, "avocet: error: %s\n", error.what());
    return static_cast<int>(error.exit_code());
  } catch (const std::bad_alloc&) {
    std::fprintf(stderr, "avocet: error: not enough memory for this input; close other programs or "
                         "use a smaller --batch\n");
    return static_cast<int>(ExitCode::kIo);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "avocet: internal error: %s\n", error.what());
    return static_cast<int>(ExitCode::kInternal);
  }
}
