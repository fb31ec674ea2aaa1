// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <CLI/CLI.hpp>

#include <functional>
#include <string>

#include "app/base/error.h"
#include "app/base/progress.h"
#include "app/cli/option_modes.h"

namespace avocet::cli {

// What the chosen subcommand will do once the command line is parsed. Numbers go to stdout,
// progress and warnings to stderr through `progress`.
using Action = std::function<ExitCode(Progress& progress)>;

// --series and --regularise of the commands that take DICOM.
void AddSeriesOptions(CLI::App& command, std::string& series, bool& regularise);

// Each subcommand is one file with one such function: it adds itself to `app` and, when chosen,
// sets `action`. The option struct is kept alive by the lambdas (shared_ptr). A command in which
// not every option always means something declares that in `modes`.
void AddInfo(CLI::App& app, Action& action);
void AddConvert(CLI::App& app, Action& action);
void AddModel(CLI::App& app, Action& action);
void AddForward(CLI::App& app, Action& action);
void AddSegment(CLI::App& app, Action& action, ModeTable& modes);
void AddTranslate(CLI::App& app, Action& action);
void AddDegrade(CLI::App& app, Action& action, ModeTable& modes);
void AddEvaluate(CLI::App& app, Action& action, ModeTable& modes);
void AddTrain(CLI::App& app, Action& action, ModeTable& modes);
void AddExport(CLI::App& app, Action& action, ModeTable& modes);
void AddAnonymize(CLI::App& app, Action& action);
void AddGui(CLI::App& app, Action& action);
void AddDemo(CLI::App& app, Action& action);
void AddDoctor(CLI::App& app, Action& action);

// All of them, in the order of `avocet --help`.
void AddCommands(CLI::App& app, Action& action, ModeTable& modes);

}  // namespace avocet::cli
